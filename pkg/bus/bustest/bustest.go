// Package bustest gives tests a real NATS server in the process, with the streams, and a
// way to wait on conditions instead of time.
package bustest

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/embednats"
)

// Bus is a running bus for one test.
type Bus struct {
	Conn      *nats.Conn
	JS        jetstream.JetStream
	Publisher *bus.Publisher
	Log       *slog.Logger
	// URL is where outside clients connect.
	URL string
}

// Start starts a server with the streams and a running publisher; all stop with the test.
func Start(t testing.TB) *Bus {
	t.Helper()
	return StartIn(t, t.TempDir())
}

// StartIn is [Start] on a folder that may hold streams already.
func StartIn(t testing.TB, dir string) *Bus {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	srv, err := embednats.Start(t.Context(), embednats.Options{Listen: "127.0.0.1:0", Dir: dir, Log: log})
	require.NoError(t, err)
	t.Cleanup(srv.Stop)
	nc, err := bus.Connect(srv.ClientURL(), t.Name(), log)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	require.NoError(t, bus.CreateStreams(t.Context(), js, bus.Limits{QueueBytes: 64 << 20, EventsBytes: 64 << 20}))
	b := &Bus{Conn: nc, JS: js, Publisher: bus.NewPublisher(js), Log: log, URL: srv.ClientURL()}
	Go(t, b.Publisher.Run)
	return b
}

// Patience is how long a test waits for what has to come: longer than the busiest machine
// takes, as only a test that fails waits so long.
const Patience = 2 * time.Minute

// Go runs a component until the test ends and requires that it ends without an error.
// The returned function stops it earlier and waits for it.
func Go(t testing.TB, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background()) //nolint:usetesting // must outlive t.Context to stop in order
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("component ended with: %v", err)
			}
		case <-time.After(Patience):
			t.Errorf("component did not stop within %s", Patience)
		}
	}
	t.Cleanup(stop)
	return stop
}

// Eventually waits until the condition holds. It asks in the goroutine of the test, so that
// the condition may end the test.
func Eventually(t testing.TB, condition func() bool, what string) {
	t.Helper()
	end := time.NewTimer(Patience)
	defer end.Stop()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for !condition() {
		select {
		case <-again.C:
		case <-end.C:
			require.FailNow(t, "condition never satisfied", what)
		}
	}
}

// Next returns the next messages of a stream from a subject, waiting for them.
func (b *Bus) Next(t testing.TB, stream, subject string, n int) []jetstream.Msg {
	t.Helper()
	consumer, err := b.JS.OrderedConsumer(t.Context(), stream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject}})
	require.NoError(t, err)
	iter, err := consumer.Messages()
	require.NoError(t, err)
	defer iter.Stop()
	timer := time.AfterFunc(Patience, iter.Stop)
	defer timer.Stop()
	var msgs []jetstream.Msg
	for len(msgs) < n {
		msg, err := iter.Next()
		require.NoError(t, err, "got %d of %d messages on %s", len(msgs), n, subject)
		msgs = append(msgs, msg)
	}
	return msgs
}
