package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// waitTime bounds the wait for an event.
const waitTime = 2 * time.Minute

// event is a CloudEvent as it came over NATS.
type event struct {
	// Type is the type without its prefix, ExternalID the subject: the envelope.
	Type, ID, ExternalID, Operation string
	// Sequence counts the events of an envelope from 1; 0: the event has none.
	Sequence int64
	// Header are the headers of the message, percent-encoded.
	Header map[string]string
	Data   json.RawMessage
}

// outcome is an answer over REST, and the return status of an operation.
type outcome struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// operationDone is the data of operation.done.
type operationDone struct {
	ID           string  `json:"id"`
	Command      string  `json:"command"`
	ExtID        string  `json:"extId"`
	Details      string  `json:"details"`
	ReturnStatus outcome `json:"returnStatus"`
}

// trail collects events in the order in which they come.
type trail struct {
	mutex   sync.Mutex
	events  []event
	problem error
	changed chan struct{}
}

// follow collects the events of the customer from the first on, until the test ends,
// however often the server goes away.
func follow(t *testing.T, js jetstream.JetStream) *trail {
	t.Helper()
	tr := &trail{changed: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	wait.Go(func() {
		for next := uint64(1); ctx.Err() == nil; {
			next = tr.consume(ctx, js, next)
		}
	})
	t.Cleanup(func() {
		cancel()
		wait.Wait()
	})
	return tr
}

// consume collects events from a place in the stream on until the server goes away, and
// returns the next place.
func (tr *trail) consume(ctx context.Context, js jetstream.JetStream, next uint64) uint64 {
	tryCtx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	consumer, err := js.OrderedConsumer(tryCtx, "EVENTS", jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{"evt.demo.>"}, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: next,
	})
	if err != nil {
		return next
	}
	// Frequent signs of life show soon that the server was restarted.
	iterator, err := consumer.Messages(jetstream.PullExpiry(4*time.Second), jetstream.PullHeartbeat(time.Second))
	if err != nil {
		return next
	}
	defer iterator.Stop()
	defer context.AfterFunc(ctx, iterator.Stop)()
	for {
		msg, err := iterator.Next()
		if err != nil {
			return next
		}
		meta, err := msg.Metadata()
		if err == nil {
			next = meta.Sequence.Stream + 1
			tr.add(readEvent(msg.Headers(), msg.Data()))
		}
	}
}

// readEvent reads a CloudEvent in binary mode.
func readEvent(header map[string][]string, data []byte) (event, error) {
	e := event{Header: map[string]string{}, Data: data}
	attribute := map[string]string{}
	for name, values := range header {
		e.Header[name] = values[0]
		if short, ok := strings.CutPrefix(strings.ToLower(name), "ce-"); ok {
			value, err := url.PathUnescape(values[0])
			if err != nil {
				return e, err
			}
			attribute[short] = value
		}
	}
	e.ID, e.ExternalID, e.Operation = attribute["id"], attribute["subject"], attribute["operationid"]
	e.Type = strings.TrimPrefix(attribute["type"], "dev.signbus.")
	if attribute["sequence"] != "" {
		var err error
		if e.Sequence, err = strconv.ParseInt(attribute["sequence"], 10, 64); err != nil {
			return e, err
		}
	}
	return e, nil
}

func (tr *trail) add(e event, err error) {
	tr.mutex.Lock()
	defer tr.mutex.Unlock()
	if err != nil {
		tr.problem = err
	} else {
		tr.events = append(tr.events, e)
	}
	close(tr.changed)
	tr.changed = make(chan struct{})
}

// all returns the events so far that are chosen.
func (tr *trail) all(t testing.TB, chosen func(event) bool) []event {
	t.Helper()
	tr.mutex.Lock()
	defer tr.mutex.Unlock()
	require.NoError(t, tr.problem)
	var found []event
	for _, e := range tr.events {
		if chosen(e) {
			found = append(found, e)
		}
	}
	return found
}

// wait waits until at least n events are there that are chosen.
func (tr *trail) wait(t testing.TB, n int, what string, chosen func(event) bool) []event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitTime)
	defer cancel()
	for {
		tr.mutex.Lock()
		changed := tr.changed
		tr.mutex.Unlock()
		if found := tr.all(t, chosen); len(found) >= n {
			return found
		}
		select {
		case <-changed:
		case <-ctx.Done():
			require.FailNowf(t, "waited in vain", "for %s: %s", waitTime, what)
		}
	}
}

// of chooses the events of an envelope, of some types or all.
func of(extID string, types ...string) func(event) bool {
	return func(e event) bool {
		if e.ExternalID != extID {
			return false
		}
		return len(types) == 0 || slices.Contains(types, e.Type)
	}
}

// await waits for the first event of a type of an envelope. It fails at once when the
// envelope was refused.
func (b *bus) await(t testing.TB, extID, eventType string) event {
	t.Helper()
	found := b.trail.wait(t, 1, eventType+" of "+extID, func(e event) bool {
		return of(extID, eventType)(e) || (of(extID, "operation.done")(e) && e.Sequence == 0 && eventType != "operation.done")
	})
	for _, e := range found {
		if e.Type == eventType {
			return e
		}
	}
	require.FailNowf(t, "the envelope was refused", "%s: %s", extID, found[0].Data)
	return event{}
}

// ended waits for the end of an envelope's process.
func (b *bus) ended(t testing.TB, extID string) event {
	t.Helper()
	return b.await(t, extID, "envelope.process.ended")
}

// outcomeOf waits for the end of an operation.
func (b *bus) outcomeOf(t testing.TB, operation string) operationDone {
	t.Helper()
	found := b.trail.wait(t, 1, "the end of operation "+operation, func(e event) bool {
		return e.Type == "operation.done" && e.Operation == operation
	})
	var done operationDone
	require.NoError(t, json.Unmarshal(found[0].Data, &done))
	require.Equal(t, operation, done.ID)
	return done
}

// requireWhole checks what must hold for every trail: ids are unique, each operation
// ended once, and the events of each envelope are in order without a gap.
func requireWhole(t testing.TB, events []event) {
	t.Helper()
	ids, ends, last := map[string]bool{}, map[string]int{}, map[string]int64{}
	for _, e := range events {
		require.Falsef(t, ids[e.ID], "the event %s came twice", e.ID)
		ids[e.ID] = true
		if e.Type == "operation.done" && !bytes.Contains(e.Data, []byte(`"operation_id_reused"`)) {
			ends[e.Operation]++
			require.Equalf(t, 1, ends[e.Operation], "the operation %s of %s ended twice", e.Operation, e.ExternalID)
		}
		if e.Sequence == 0 {
			continue
		}
		require.Equalf(t, last[e.ExternalID]+1, e.Sequence, "the sequence of %s at %s", e.ExternalID, e.Type)
		last[e.ExternalID] = e.Sequence
	}
}
