package jetstream_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/bus/bustest"
	"signbus.dev/pkg/bus/jetstream"
	"signbus.dev/pkg/embednats"
	"signbus.dev/pkg/subjects"
)

const topic = "evt.demo.ERP.operation.done"

func subscribe(t *testing.T, s *jetstream.Subscriber, topic string) <-chan *message.Message {
	t.Helper()
	messages, err := s.Subscribe(t.Context(), topic)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return messages
}

func receive(t *testing.T, messages <-chan *message.Message) *message.Message {
	t.Helper()
	select {
	case m, open := <-messages:
		require.True(t, open, "the channel is closed")
		return m
	case <-time.After(bustest.Patience):
		require.Fail(t, "no message came")
		return nil
	}
}

func publish(t *testing.T, b *bustest.Bus, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		require.NoError(t, jetstream.NewPublisher(b.JS).Publish(topic, message.NewMessage("m"+strconv.Itoa(i), []byte(strconv.Itoa(i)))))
	}
}

func quick(uint64) time.Duration { return time.Millisecond }

func traced(t *testing.T) (context.Context, trace.TraceID) {
	t.Helper()
	id, err := trace.TraceIDFromHex("0af7651916cd43dd8448eb211c80319c")
	require.NoError(t, err)
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled})
	return trace.ContextWithSpanContext(t.Context(), span), id
}

func TestMessageTravelsWhole(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t)
	ctx, id := traced(t)
	out := message.NewMessageWithContext(ctx, "id-1", []byte("data"))
	out.Metadata.Set("ce-type", "x: y")
	require.NoError(t, jetstream.NewPublisher(b.JS).Publish(topic, out))
	in := receive(t, subscribe(t, jetstream.NewSubscriber(jetstream.Options{JS: b.JS, Log: b.Log}), topic))
	require.Equal(t, "id-1", in.UUID)
	require.Equal(t, "data", string(in.Payload))
	require.Equal(t, "x: y", in.Metadata.Get("ce-type"))
	require.Equal(t, id, trace.SpanContextFromContext(in.Context()).TraceID())
	require.NotContains(t, in.Metadata, bus.HeaderMessageID)
	in.Ack()
}

// The stock subscriber crashes on this message.
func TestRepeatedHeaderIsTolerated(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t)
	msg := nats.NewMsg(topic)
	msg.Header["x-twice"] = []string{"first", "second"}
	_, err := b.JS.PublishMsg(t.Context(), msg)
	require.NoError(t, err)
	in := receive(t, subscribe(t, jetstream.NewSubscriber(jetstream.Options{JS: b.JS, Log: b.Log}), topic))
	require.Equal(t, "first", in.Metadata.Get("x-twice"))
	require.Equal(t, "EVENTS:1", in.UUID)
	in.Ack()
}

func TestMetadataThatWouldChangeOnTheWayIsRefused(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t)
	for name, value := range map[string]string{"key": "two\nlines", "other": " space", "bad key:": "x"} {
		m := message.NewMessage("1", nil)
		m.Metadata.Set(name, value)
		require.Error(t, jetstream.NewPublisher(b.JS).Publish(topic, m), name)
	}
	require.ErrorIs(t, jetstream.NewPublisher(b.JS).Publish(topic, message.NewMessage("1\n", nil)), jetstream.ErrMetadata)
}

func TestMessageIsKnownByTopicAndUUID(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t)
	p := jetstream.NewPublisher(b.JS)
	for range 2 {
		require.NoError(t, p.Publish("evt.a", message.NewMessage("same", nil)))
		require.NoError(t, p.Publish("evt.b", message.NewMessage("same", nil)))
	}
	stream, err := b.JS.Stream(t.Context(), subjects.StreamEvents)
	require.NoError(t, err)
	require.EqualValues(t, 2, stream.CachedInfo().State.Msgs)
	require.NoError(t, p.Close())
	require.ErrorIs(t, p.Publish("evt.a", message.NewMessage("2", nil)), jetstream.ErrClosed)
	require.True(t, b.Conn.IsConnected(), "the connection belongs to somebody else")
}

func TestSlowHandlerKeepsItsMessage(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t)
	publish(t, b, 0, 1)
	s := jetstream.NewSubscriber(jetstream.Options{JS: b.JS, Log: b.Log, Group: "slow", AckWait: 6 * time.Second})
	messages := subscribe(t, s, topic)
	m := receive(t, messages)
	select {
	case <-messages:
		require.Fail(t, "the message came again while its handler worked")
	case <-time.After(14 * time.Second): // more than twice what JetStream waits
	}
	m.Ack()
	settled(t, b, "slow-evt-demo-ERP-operation-done")
}

// settled waits until a consumer has handed over everything and got every acknowledgement.
func settled(t *testing.T, b *bustest.Bus, consumer string) {
	t.Helper()
	bustest.Eventually(t, func() bool {
		c, err := b.JS.Consumer(t.Context(), subjects.StreamEvents, consumer)
		if err != nil {
			return false
		}
		info := c.CachedInfo()
		return info.NumPending == 0 && info.NumAckPending == 0
	}, "every message is acknowledged")
}

func TestRefusedMessageComesAgainAfterItsPause(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t)
	publish(t, b, 0, 2)
	deliveries := make(chan uint64, 3)
	s := jetstream.NewSubscriber(jetstream.Options{
		JS: b.JS, Log: b.Log, Group: "g", MaxInFlight: 1,
		Backoff: func(n uint64) time.Duration { deliveries <- n; return time.Millisecond },
	})
	messages := subscribe(t, s, topic)
	for range 3 {
		m := receive(t, messages)
		require.Equal(t, "m0", m.UUID, "the refused message is overtaken")
		m.Nack()
	}
	receive(t, messages).Ack()
	m := receive(t, messages)
	require.Equal(t, "m1", m.UUID)
	m.Ack()
	for n := range uint64(3) {
		require.Equal(t, n+1, <-deliveries)
	}
}

func TestWithoutGroupEverySubscriptionGetsWhatComesFromNow(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t)
	publish(t, b, 0, 1)
	s := jetstream.NewSubscriber(jetstream.Options{JS: b.JS, Log: b.Log, FromNow: true})
	one, two := subscribe(t, s, "evt.*.*.operation.done"), subscribe(t, s, "evt.*.*.operation.done")
	publish(t, b, 1, 2)
	for _, messages := range []<-chan *message.Message{one, two} {
		m := receive(t, messages)
		require.Equal(t, "m1", m.UUID)
		m.Ack()
	}
	require.NoError(t, s.Close())
	stream, err := b.JS.Stream(t.Context(), subjects.StreamEvents)
	require.NoError(t, err)
	require.Zero(t, stream.CachedInfo().State.Consumers, "consumers are left behind")
}

func TestLostConsumerIsMadeAnew(t *testing.T) {
	t.Parallel()
	for _, group := range []string{"g", ""} {
		t.Run("group "+group, func(t *testing.T) {
			t.Parallel()
			b := bustest.Start(t)
			s := jetstream.NewSubscriber(jetstream.Options{JS: b.JS, Log: b.Log, Group: group, FromNow: group == ""})
			messages := subscribe(t, s, topic)
			publish(t, b, 0, 1)
			receive(t, messages).Ack()
			stream, err := b.JS.Stream(t.Context(), subjects.StreamEvents)
			require.NoError(t, err)
			for name := range stream.ConsumerNames(t.Context()).Name() {
				require.NoError(t, stream.DeleteConsumer(t.Context(), name))
			}
			publish(t, b, 1, 3) // before there is a consumer again
			got := map[string]bool{}
			for !got["m1"] || !got["m2"] {
				m := receive(t, messages)
				got[m.UUID] = true
				m.Ack()
			}
		})
	}
}

// TestOutageOfNATS subscribes before there is a server, and loses it once.
func TestOutageOfNATS(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address, dir := l.Addr().String(), t.TempDir()
	require.NoError(t, l.Close())
	log := slog.New(slog.DiscardHandler)
	nc, err := bus.Connect("nats://"+address, t.Name(), log)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := natsjs.New(nc)
	require.NoError(t, err)

	s := jetstream.NewSubscriber(jetstream.Options{JS: js, Log: log, Group: "g"})
	subscribed := make(chan (<-chan *message.Message), 1)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	go func() {
		messages, err := s.Subscribe(t.Context(), "evt.>")
		if err != nil {
			t.Errorf("subscribe: %v", err)
		}
		subscribed <- messages
	}()
	for round := range 2 {
		srv, err := embednats.Start(t.Context(), embednats.Options{Listen: address, Dir: dir, Log: log})
		require.NoError(t, err)
		bustest.Eventually(t, func() bool {
			return bus.CreateStreams(t.Context(), js, bus.Limits{QueueBytes: 1 << 20, EventsBytes: 1 << 20}) == nil
		}, "the streams are there")
		require.NoError(t, jetstream.NewPublisher(js).Publish("evt.x", message.NewMessage(strconv.Itoa(round), nil)))
		messages := <-subscribed
		m := receive(t, messages)
		for m.UUID != strconv.Itoa(round) { // the one before, if its acknowledgement got lost
			m.Ack()
			m = receive(t, messages)
		}
		m.Ack()
		subscribed <- messages
		srv.Stop()
	}
}

func TestCloseGivesBackWhatNobodyHandled(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t)
	publish(t, b, 0, 10)
	options := jetstream.Options{JS: b.JS, Log: b.Log, Group: "g", AckWait: time.Hour, Backoff: quick}
	first := jetstream.NewSubscriber(options)
	taken := receive(t, subscribe(t, first, topic))

	closed := make(chan error, 1)
	go func() { closed <- first.Close() }()
	<-taken.Context().Done() // the handler is told
	select {
	case <-closed:
		require.Fail(t, "Close did not wait for the handler")
	default:
	}
	require.True(t, taken.Ack())
	require.NoError(t, <-closed)
	_, err := first.Subscribe(t.Context(), topic)
	require.ErrorIs(t, err, jetstream.ErrClosed)
	require.True(t, b.Conn.IsConnected(), "the connection belongs to somebody else")

	got := map[string]bool{taken.UUID: true}
	messages := subscribe(t, jetstream.NewSubscriber(options), topic)
	for len(got) < 10 {
		m := receive(t, messages)
		require.False(t, got[m.UUID], "the acknowledgement given during Close is lost")
		got[m.UUID] = true
		m.Ack()
	}
	settled(t, b, "g-evt-demo-ERP-operation-done")
}

func TestRouterKeepsTraceAndOutlivesPanics(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t)
	router, err := jetstream.NewRouter(b.Log)
	require.NoError(t, err)
	var tries atomic.Int32
	s := jetstream.NewSubscriber(jetstream.Options{JS: b.JS, Log: b.Log, Group: "g", Backoff: quick})
	router.AddHandler("echo", topic, s, "evt.echo", jetstream.NewPublisher(b.JS), func(m *message.Message) ([]*message.Message, error) {
		switch tries.Add(1) {
		case 1:
			panic("one")
		case 2:
			return nil, errors.New("two")
		}
		return message.Messages{message.NewMessage("e-"+m.UUID, m.Payload)}, nil
	})
	bustest.Go(t, router.Run)
	ctx, id := traced(t)
	m := message.NewMessageWithContext(ctx, "1", []byte("x"))
	middleware.SetCorrelationID("op-1", m)
	require.NoError(t, jetstream.NewPublisher(b.JS).Publish(topic, m))
	echo := b.Next(t, subjects.StreamEvents, "evt.echo", 1)[0]
	require.Equal(t, "x", string(echo.Data()))
	require.Equal(t, "op-1", echo.Headers().Get(middleware.CorrelationIDMetadataKey))
	require.Equal(t, id, trace.SpanContextFromContext(bus.Extract(t.Context(), echo.Headers())).TraceID())
	require.EqualValues(t, 3, tries.Load())
	require.Equal(t, fmt.Sprintf("%s:%s", "evt.echo", "e-1"), echo.Headers().Get(bus.HeaderMessageID))
}
