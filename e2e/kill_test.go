package e2e

import (
	"encoding/json"
	"flag"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf/pdftest"
)

const (
	killEnvelopes = 200
	killTimes     = 8
	killWorkers   = 8
	// killTime bounds the whole of it.
	killTime = 6 * time.Minute
	// killEvents is how many events an envelope with one automatic signature has.
	killEvents = 5
)

// seed chooses the moments and the victims.
var seed = flag.Uint64("seed", 4711, "seed of the test that kills processes")

// TestNothingIsLost kills processes at random moments while envelopes are inserted,
// signed and notified. Whatever was accepted comes to its end, exactly once.
func TestNothingIsLost(t *testing.T) {
	for i, s := range []shape{shapes[0], shapes[2]} {
		t.Run(s.name, func(t *testing.T) {
			b := s.start(t)
			k := &killing{b: b, random: rand.New(rand.NewPCG(*seed, uint64(i))), receiver: b.receive(t, "structured", nil)}
			k.run(t)
		})
	}
}

// killing is one run of the test.
type killing struct {
	b        *bus
	random   *rand.Rand
	receiver *receiver
	accepted atomic.Int64
	refused  atomic.Int64
}

func killExtID(i int) string     { return "kill-" + itoa(i) }
func killOperation(i int) string { return "kill-operation-" + itoa(i) }

// run inserts and kills at once, then looks at what has become of everything.
func (k *killing) run(t *testing.T) {
	deadline := time.Now().Add(killTime)
	next := make(chan int)
	var callers sync.WaitGroup
	for range killWorkers {
		callers.Go(func() {
			for i := range next {
				k.insert(t, i, deadline)
			}
		})
	}
	callers.Go(func() {
		defer close(next)
		for i := range killEnvelopes {
			next <- i
		}
	})
	k.kill(t, deadline)
	callers.Wait()
	require.Equal(t, int64(killEnvelopes), k.accepted.Load(), "every caller got his acknowledgement")
	until(t, time.Until(deadline), "every envelope ends", func() bool {
		return len(k.b.trail.all(t, func(e event) bool { return e.Type == "envelope.process.ended" })) == killEnvelopes
	})
	k.check(t)
}

// insert gives one command as a careful caller does: with an operation id of its own, and
// again until it is acknowledged.
func (k *killing) insert(t *testing.T, i int, deadline time.Time) {
	r := request(killExtID(i), pdftest.Sample(1, "Contract "+itoa(i)), automatic(1, "brunoU", action("S", compass(1, 9))))
	data := encode(t, r)
	tick := time.NewTicker(10 * pollEvery)
	defer tick.Stop()
	for time.Now().Before(deadline) {
		if (i%2 == 0 && k.publish(i, data)) || (i%2 == 1 && k.put(t, i, r)) {
			k.accepted.Add(1)
			return
		}
		k.refused.Add(1)
		<-tick.C
	}
}

func (k *killing) publish(i int, data []byte) bool {
	msg := nats.NewMsg(queueInsert)
	msg.Header.Set("Signbus-Operation-Id", killOperation(i))
	msg.Data = data
	reply, err := k.b.conn.RequestMsg(msg, 2*time.Second)
	if err != nil {
		return false
	}
	var ack struct {
		Stream string          `json:"stream"`
		Error  json.RawMessage `json:"error"`
	}
	return json.Unmarshal(reply.Data, &ack) == nil && ack.Stream == "COMMANDS" && ack.Error == nil
}

func (k *killing) put(t *testing.T, i int, r object) bool {
	a, err := tryCall(t, http.MethodPut, k.b.api+proxy+"/envelopes/"+killExtID(i), r, "Idempotency-Key", killOperation(i))
	return err == nil && a.status == http.StatusOK
}

// progress counts everything that happens.
func (k *killing) progress(t *testing.T) int {
	k.receiver.mutex.Lock()
	delivered := len(k.receiver.got)
	k.receiver.mutex.Unlock()
	return int(k.accepted.Load()) + delivered + len(k.b.trail.all(t, func(event) bool { return true }))
}

// kill kills a process at random points of the progress and starts it again. A restarted
// process may be killed before it is ready.
func (k *killing) kill(t *testing.T, deadline time.Time) {
	total := killEnvelopes * (1 + 2*killEvents)
	var points []int
	for range killTimes {
		points = append(points, k.random.IntN(total*9/10))
	}
	slices.Sort(points)
	victims := k.random.Perm(len(k.b.processes)) // everyone has his turn
	for n, point := range points {
		until(t, time.Until(deadline), "the progress goes on to "+itoa(point), func() bool { return k.progress(t) >= point })
		victim := k.b.processes[victims[n%len(victims)]]
		t.Logf("kill %d at %d of %d: %s", n+1, k.progress(t), total, victim.name)
		victim.kill()
		victim.start(t)
		if k.random.IntN(3) == 0 {
			victim.kill() // in the middle of its start
			victim.start(t)
		}
	}
	for _, p := range k.b.processes {
		p.ready(t)
	}
}

// check reads everything anew: nothing is lost, nothing came twice.
func (k *killing) check(t *testing.T) {
	t.Logf("%d tries were not acknowledged and repeated", k.refused.Load())
	for _, p := range k.b.processes {
		require.Truef(t, p.running(), "%s ended by itself", p.name)
	}
	events := k.stream(t)
	requireWhole(t, events)
	ends := map[string]int{}
	for _, e := range events {
		if e.Type != "operation.done" {
			continue
		}
		ends[e.Operation]++
		require.Contains(t, string(e.Data), `"code":"OK"`, "%s: %s", e.Operation, e.Data)
	}
	require.Len(t, ends, killEnvelopes)
	require.Len(t, events, killEnvelopes*killEvents)
	for i := range killEnvelopes {
		require.Equal(t, 1, ends[killOperation(i)])
		require.Equal(t, "WKD", k.b.status(t, killExtID(i)))
	}
	k.checkWebhooks(t, events)
	k.checkDocuments(t)
	info, err := k.b.js.Stream(t.Context(), "DEAD")
	require.NoError(t, err)
	require.Zero(t, info.CachedInfo().State.Msgs, "no dead letters")
}

// stream reads the EVENTS stream from its beginning.
func (k *killing) stream(t *testing.T) []event {
	stream, err := k.b.js.Stream(t.Context(), "EVENTS")
	require.NoError(t, err)
	info := stream.CachedInfo().State
	consumer, err := stream.OrderedConsumer(t.Context(), jetstream.OrderedConsumerConfig{})
	require.NoError(t, err)
	var events []event
	for last := info.FirstSeq - 1; last < info.LastSeq; {
		msg, err := consumer.Next(jetstream.FetchMaxWait(waitTime))
		require.NoError(t, err)
		meta, err := msg.Metadata()
		require.NoError(t, err)
		last = meta.Sequence.Stream
		e, err := readEvent(msg.Headers(), msg.Data())
		require.NoError(t, err)
		events = append(events, e)
	}
	return events
}

// checkWebhooks requires that each event arrived, in the order of its envelope.
func (k *killing) checkWebhooks(t *testing.T, events []event) {
	missing := func() (list []string) {
		k.receiver.mutex.Lock()
		defer k.receiver.mutex.Unlock()
		arrived := map[string]bool{}
		for _, m := range k.receiver.got {
			arrived[m.Headers["webhook-id"]] = true
		}
		for _, e := range events {
			if !arrived[e.ID] {
				list = append(list, e.ExternalID+" "+itoa(int(e.Sequence))+" "+e.Type+" "+e.ID)
			}
		}
		return list
	}
	// Longer than the relay waits for an event that comes again.
	const webhookTime = 4 * time.Minute
	limit := time.Now().Add(webhookTime)
	until(t, 2*webhookTime, "every webhook arrives", func() bool {
		list := missing()
		require.Truef(t, len(list) == 0 || time.Now().Before(limit), "%d events did not arrive: %q", len(list), list)
		return len(list) == 0
	})
	k.receiver.mutex.Lock()
	defer k.receiver.mutex.Unlock()
	t.Logf("%d deliveries of %d events", len(k.receiver.got), len(events))
	seen, last := map[string]bool{}, map[string]string{}
	for _, m := range k.receiver.got {
		requireSigned(t, m)
		var e struct {
			Subject  string `json:"subject"`
			Sequence string `json:"sequence"`
		}
		require.NoError(t, json.Unmarshal([]byte(m.Body), &e))
		if id := m.Headers["webhook-id"]; !seen[id] {
			seen[id] = true
			require.Less(t, last[e.Subject], e.Sequence, "the events of %s are in order", e.Subject)
			last[e.Subject] = e.Sequence
		}
	}
}

// checkDocuments looks at some of the documents with other eyes, and at all of them for
// the number of signatures.
func (k *killing) checkDocuments(t *testing.T) {
	eyes := k.b.eyes(t)
	for i := 0; i < killEnvelopes; i += killEnvelopes / 10 {
		eyes.accept(t, k.b.get(t, killExtID(i)).Documents[0].Bytes, 1)
	}
	folder := t.TempDir()
	args := []string{"verify", "--url", k.b.book}
	for i := range killEnvelopes {
		path := filepath.Join(folder, killExtID(i)+".pdf")
		require.NoError(t, os.WriteFile(path, k.b.get(t, killExtID(i)).Documents[0].Bytes, 0o600))
		args = append(args, path)
	}
	said := k.b.signbus(t, args...).out
	require.Equal(t, killEnvelopes, strings.Count(said, ": 1 signature(s)"))
	require.Equal(t, killEnvelopes, strings.Count(said, "  valid  "), said)
}
