package relay_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/bus/bustest"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/journal"
	"signbus.dev/pkg/store/storetest"
	relay "signbus.dev/services/notification-relay"
	"signbus.dev/services/notification-relay/webhook"
)

func TestEventsReachTheSubscriptionsThatWantThem(t *testing.T) {
	each(t, func(w *world) {
		all, sent, other, foreign := newReceiver(w.t, nil), newReceiver(w.t, nil), newReceiver(w.t, nil), newReceiver(w.t, nil)
		w.subscribe(handover.Subscription{ID: "all", URL: all.URL + "/hook?x=1", Secrets: []string{otherSecret, secret}})
		w.subscribe(handover.Subscription{ID: "sent", URL: sent.URL, System: "ERP", Types: []contract.EventType{contract.EventEnvelopeSent}, Mode: "binary"})
		w.subscribe(handover.Subscription{ID: "other", URL: other.URL, System: "CRM"})
		w.subscribe(handover.Subscription{ID: "foreign", URL: foreign.URL, Customer: "acme"})
		w.start("one")
		refused := entry("operation-x", 1)
		refused.ID, refused.Chain, refused.Type = "lone", journal.OperationChain("x"), contract.EventOperationDone
		w.emit(entry("e1", 1), entry("e1", 2), refused)
		w.waitFor(relay.Delivered, 4)

		require.ElementsMatch(w.t, []string{"e1-1", "e1-2", "lone"}, all.ids())
		require.Equal(w.t, []string{"e1-1"}, sent.ids())
		require.Empty(w.t, other.ids())
		require.Empty(w.t, foreign.ids())

		for _, g := range all.all() {
			for _, s := range []string{secret, otherSecret} {
				verifier, err := standardwebhooks.NewWebhook(s)
				require.NoError(w.t, err)
				require.NoError(w.t, verifier.Verify(g.body, g.header))
			}
			var ce event.Event
			require.NoError(w.t, json.Unmarshal(g.body, &ce))
			require.NoError(w.t, ce.Validate())
			require.Equal(w.t, g.id(), ce.ID())
			require.JSONEq(w.t, `{"enveExtId":"C"}`, string(ce.Data()))
			require.Equal(w.t, "demo", ce.Extensions()["customer"])
			require.Equal(w.t, "op-1", ce.Extensions()["operationid"])
			if ce.ID() == "e1-2" {
				require.Equal(w.t, "2", ce.Extensions()["sequence"])
				require.Equal(w.t, "C e1", ce.Subject())
			}
			require.Equal(w.t, "1", g.header.Get("webhook-attempt"))
			require.NotEmpty(w.t, g.header.Get("webhook-next-attempt"))
			require.Equal(w.t, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", g.header.Get("traceparent"))
		}
		binary := sent.all()[0]
		require.Equal(w.t, "C%20e1", binary.header.Get("ce-subject"))
		require.Equal(w.t, string(contract.EventEnvelopeSent), binary.header.Get("ce-type"))
		require.JSONEq(w.t, `{"enveExtId":"C"}`, string(binary.body))
	})
}

func TestFailedDeliveryIsTriedAgainUnderTheSameID(t *testing.T) {
	each(t, func(w *world) {
		r := newReceiver(w.t, func(n int, _ got, rw http.ResponseWriter) {
			if n < 4 {
				http.Error(rw, "not now", http.StatusInternalServerError)
			}
		})
		w.subscribe(handover.Subscription{ID: "s", URL: r.URL})
		w.start("one")
		w.emit(entry("e1", 1))
		w.waitFor(relay.Delivered, 1)
		seen := r.all()
		require.Len(w.t, seen, 4)
		for i, g := range seen {
			require.Equal(w.t, "e1-1", g.id())
			require.Equal(w.t, strconv.Itoa(i+1), g.header.Get("webhook-attempt"))
		}
		list := w.list(relay.ListRequest{})
		require.Len(w.t, list.Deliveries, 1)
		d := list.Deliveries[0]
		require.Equal(w.t, relay.Delivered, d.Status)
		require.Equal(w.t, int64(4), d.Attempts)
		require.Nil(w.t, d.NextAttempt)
		require.NotNil(w.t, d.EndedAt)
		require.Len(w.t, d.Tries, 4)
		require.Equal(w.t, "server_error", d.Tries[0].Reason)
		require.Equal(w.t, 500, d.Tries[0].Status)
		require.Equal(w.t, "accepted", d.Tries[3].Reason)
		require.Empty(w.t, list.Endpoints, "the success has cleared the endpoint's health")
	})
}

func TestExhaustedDeliveryLetsTheNextEventOfTheEnvelopePass(t *testing.T) {
	each(t, func(w *world) {
		r := newReceiver(w.t, func(_ int, g got, rw http.ResponseWriter) {
			if g.id() == "e1-1" {
				http.Error(rw, "never", http.StatusBadRequest)
			}
		})
		w.subscribe(handover.Subscription{ID: "s", URL: r.URL})
		w.start("one")
		w.emit(entry("e1", 1), entry("e1", 2))
		w.waitFor(relay.Exhausted, 1)
		w.waitFor(relay.Delivered, 1)
		ids := r.ids()
		require.Len(w.t, ids, len(w.cfg.Schedule)+1)
		require.Equal(w.t, "e1-2", ids[len(ids)-1], "it waited for the end of the one before")
		last := r.all()[len(w.cfg.Schedule)-1]
		require.Empty(w.t, last.header.Values("webhook-next-attempt"), "the last try announces no other")
	})
}

// Events come to the stream out of order, receivers fail at random: what a receiver has
// accepted of an envelope is in order all the same, and never two at a time.
func TestOrderWithinAnEnvelope(t *testing.T) {
	each(t, func(w *world) {
		const envelopes, events = 12, 5
		var mu sync.Mutex
		underWay, accepted := map[string]bool{}, map[string]int{}
		var broken []string
		random := rand.New(rand.NewPCG(7, 7))
		r := newReceiver(w.t, func(_ int, g got, rw http.ResponseWriter) {
			envelope, number, _ := strings.Cut(g.id(), "-")
			n, _ := strconv.Atoi(number)
			mu.Lock()
			if underWay[envelope] || accepted[envelope] != n-1 {
				broken = append(broken, g.id())
			}
			underWay[envelope] = true
			fail := random.IntN(3) == 0 && g.header.Get("webhook-attempt") < "4"
			mu.Unlock()
			if fail {
				rw.WriteHeader(http.StatusServiceUnavailable)
			}
			mu.Lock()
			defer mu.Unlock()
			underWay[envelope] = false
			if !fail {
				accepted[envelope] = n
			}
		})
		w.subscribe(handover.Subscription{ID: "s", URL: r.URL})
		w.start("one")
		// The envelopes are mixed at will; within each the stream has the order of the journal.
		turns := random.Perm(envelopes * events)
		next := map[int]int64{}
		var entries []journal.Entry
		for _, turn := range turns {
			e := turn % envelopes
			next[e]++
			entries = append(entries, entry(fmt.Sprintf("e%d", e), next[e]))
		}
		w.emit(entries...)
		w.waitFor(relay.Delivered, envelopes*events)
		mu.Lock()
		defer mu.Unlock()
		require.Empty(w.t, broken)
	})
}

func TestDeadEndpointHoldsUpNobody(t *testing.T) {
	each(t, func(w *world) {
		release := make(chan struct{})
		hanging := newReceiver(w.t, func(int, got, http.ResponseWriter) { <-release })
		w.t.Cleanup(func() { close(release) })
		healthy := newReceiver(w.t, nil)
		w.subscribe(handover.Subscription{ID: "hanging", URL: hanging.URL})
		w.subscribe(handover.Subscription{ID: "refused", URL: "http://127.0.0.1:1/"})
		w.subscribe(handover.Subscription{ID: "healthy", URL: healthy.URL})
		w.cfg.Grace = 10 * time.Millisecond
		w.cfg.Total = w.cfg.PerEndpoint * 2
		w.start("one")
		const n = 50
		for i := range n {
			w.emit(entry(fmt.Sprintf("e%d", i), 1))
		}
		bustest.Eventually(w.t, func() bool { return len(healthy.ids()) == n }, "the healthy endpoint has everything")
		require.LessOrEqual(w.t, len(hanging.ids()), w.cfg.PerEndpoint)
	})
}

func TestBreakerPausesAndProbes(t *testing.T) {
	each(t, func(w *world) {
		var down atomic.Bool
		down.Store(true)
		var atOnce, most atomic.Int64
		r := newReceiver(w.t, func(_ int, _ got, rw http.ResponseWriter) {
			most.Store(max(most.Load(), atOnce.Add(1)))
			defer atOnce.Add(-1)
			if down.Load() {
				rw.WriteHeader(http.StatusBadGateway)
			}
		})
		w.subscribe(handover.Subscription{ID: "s", URL: r.URL})
		w.cfg.PerEndpoint = 2
		w.cfg.Schedule = append(w.cfg.Schedule, make([]time.Duration, 100)...)
		w.cfg.Breaker.Failures, w.cfg.Breaker.Pause, w.cfg.Breaker.MaxPause = 3, 40*time.Millisecond, 80*time.Millisecond
		w.start("one")
		var all []journal.Entry
		for i := range 40 {
			all = append(all, entry(fmt.Sprintf("e%d", i), 1))
		}
		w.emit(all...)
		bustest.Eventually(w.t, func() bool {
			return w.number(`SELECT COALESCE(MAX(pauses), 0) FROM relay_endpoints`) >= 3 && w.number(`SELECT COUNT(*) FROM relay_deliveries`) == 40
		}, "three pauses, and all events taken")
		// Before the first pause up to Failures+PerEndpoint tries; then one for each pause, and one under way.
		tries := int64(len(r.ids()))
		require.LessOrEqual(w.t, tries, 3+2+1+w.number(`SELECT MAX(pauses) FROM relay_endpoints`), "the others wait without being tried")
		require.LessOrEqual(w.t, most.Load(), int64(2))
		list := w.list(relay.ListRequest{Status: relay.Pending})
		require.Len(w.t, list.Deliveries, 40)
		require.Len(w.t, list.Endpoints, 1)
		require.NotNil(w.t, list.Endpoints[0].PausedUntil)
		require.NotNil(w.t, list.Endpoints[0].FailingSince)

		down.Store(false)
		w.waitFor(relay.Delivered, 40)
		require.Zero(w.t, w.number(`SELECT SUM(failures + pauses + paused_until + probe_until + failing_since) FROM relay_endpoints`))
		require.Contains(w.t, w.logs.String(), "endpoint_paused_until")
	})
}

func TestGoneDisablesTheEndpointUntilItsAddressChanges(t *testing.T) {
	each(t, func(w *world) {
		gone := newReceiver(w.t, func(_ int, _ got, rw http.ResponseWriter) { rw.WriteHeader(http.StatusGone) })
		moved := newReceiver(w.t, nil)
		sub := w.subscribe(handover.Subscription{ID: "s", URL: gone.URL})
		w.start("one")
		w.emit(entry("e1", 1), entry("e1", 2), entry("e1", 3))
		w.waitFor(relay.Discarded, 3)
		require.Equal(w.t, []string{"e1-1"}, gone.ids(), "nothing is sent after 410")
		w.emit(entry("e2", 1))
		w.waitFor(relay.Discarded, 4)
		list := w.list(relay.ListRequest{})
		require.Equal(w.t, "gone", list.Endpoints[0].Disabled)
		require.Equal(w.t, "endpoint_gone", list.Deliveries[0].Reason)

		sub.URL = moved.URL
		w.subscribe(sub)
		bustest.Eventually(w.t, func() bool { return len(w.list(relay.ListRequest{}).Endpoints) == 0 }, "the new address starts afresh")
		w.emit(entry("e3", 1))
		w.waitFor(relay.Delivered, 1)
		require.Equal(w.t, []string{"e3-1"}, moved.ids())
	})
}

func TestEndpointThatFailsForTooLongIsDisabled(t *testing.T) {
	each(t, func(w *world) {
		r := newReceiver(w.t, func(_ int, _ got, rw http.ResponseWriter) { rw.WriteHeader(http.StatusInternalServerError) })
		w.subscribe(handover.Subscription{ID: "s", URL: r.URL})
		w.cfg.Schedule = append(w.cfg.Schedule, make([]time.Duration, 1000)...)
		w.cfg.Breaker.Failures, w.cfg.Breaker.Pause, w.cfg.Breaker.MaxPause = 2, time.Millisecond, time.Millisecond
		w.cfg.Breaker.DisableAfter = 100 * time.Millisecond
		w.start("one")
		w.emit(entry("e1", 1), entry("e2", 1), entry("e2", 2))
		w.waitFor(relay.Exhausted, 3)
		require.Equal(w.t, "failing", w.list(relay.ListRequest{}).Endpoints[0].Disabled)
		require.Zero(w.t, w.number(`SELECT COUNT(*) FROM relay_lanes`))
	})
}

func TestDeletedSubscriptionLosesItsPendingDeliveries(t *testing.T) {
	each(t, func(w *world) {
		r := newReceiver(w.t, func(_ int, _ got, rw http.ResponseWriter) { rw.WriteHeader(http.StatusInternalServerError) })
		keep := w.subscribe(handover.Subscription{ID: "keep", URL: r.URL})
		drop := w.subscribe(handover.Subscription{ID: "drop", URL: r.URL})
		w.cfg.Schedule = []time.Duration{0, time.Hour, time.Hour}
		_, stop := w.start("one")
		w.emit(entry("e1", 1), entry("e1", 2))
		w.waitFor(relay.Pending, 4)
		require.NoError(w.t, w.kv.Delete(w.t.Context(), subscriptionKey(drop)))
		w.waitFor(relay.Discarded, 2)
		require.Equal(w.t, 2, w.count(relay.Pending))
		require.Equal(w.t, "subscription_deleted", w.list(relay.ListRequest{Status: relay.Discarded}).Deliveries[0].Reason)

		// The same while the relay is down.
		stop()
		require.NoError(w.t, w.kv.Delete(w.t.Context(), subscriptionKey(keep)))
		w.start("one")
		w.waitFor(relay.Discarded, 4)
	})
}

func TestDisabledSubscriptionHoldsBack(t *testing.T) {
	each(t, func(w *world) {
		r := newReceiver(w.t, func(n int, _ got, rw http.ResponseWriter) {
			if n == 1 {
				rw.WriteHeader(http.StatusInternalServerError)
			}
		})
		witness := newReceiver(w.t, nil)
		sub := w.subscribe(handover.Subscription{ID: "s", URL: r.URL})
		w.cfg.Schedule[1] = time.Hour
		_, stop := w.start("one")
		w.emit(entry("e1", 1))
		bustest.Eventually(w.t, func() bool { return w.number(`SELECT COUNT(*) FROM relay_deliveries WHERE failures = 1`) == 1 }, "the first try failed")
		stop()
		_, err := w.service("tool").Resend(w.t.Context(), relay.ResendRequest{Customer: "demo", Delivery: "none"})
		requireCode(w.t, err, contract.CodeNotFound)

		sub.Disabled = "paused by the customer"
		w.subscribe(sub)
		w.subscribe(handover.Subscription{ID: "witness", URL: witness.URL})
		s, _ := w.start("one")
		held := w.list(relay.ListRequest{Subscription: "s"}).Deliveries
		require.Len(w.t, held, 1)
		_, err = s.Resend(w.t.Context(), relay.ResendRequest{Customer: "demo", Delivery: held[0].ID}) // due now
		require.NoError(w.t, err)
		w.emit(entry("e1", 2), entry("e1", 3), entry("e1", 4))
		w.waitFor(relay.Delivered, 3)
		require.Len(w.t, witness.ids(), 3)
		require.Len(w.t, r.ids(), 1, "nothing is sent")
		require.Len(w.t, w.list(relay.ListRequest{Subscription: "s"}).Deliveries, 1, "and nothing new is taken")

		sub.Disabled = ""
		w.subscribe(sub)
		w.waitFor(relay.Delivered, 4)
		require.Equal(w.t, []string{"e1-1", "e1-1"}, r.ids())
	})
}

// What the directory has not published is not the same as what it has deleted.
func TestUnpublishedSubscriptionKeepsWhatIsPending(t *testing.T) {
	each(t, func(w *world) {
		var up atomic.Bool
		r := newReceiver(w.t, func(_ int, _ got, rw http.ResponseWriter) {
			if !up.Load() {
				rw.WriteHeader(http.StatusInternalServerError)
			}
		})
		sub := w.subscribe(handover.Subscription{ID: "s", URL: r.URL})
		// Never the last try, however late this test is.
		w.cfg.Schedule = append(webhook.Schedule{0}, slices.Repeat(webhook.Schedule{500 * time.Millisecond}, 500)...)
		_, stop := w.start("one")
		w.emit(entry("e1", 1))
		bustest.Eventually(w.t, func() bool { return len(r.ids()) >= 1 }, "first try")
		stop()
		require.Equal(w.t, 1, w.count(relay.Pending))

		// The bucket is lost: the directory has yet to publish it again.
		require.NoError(w.t, w.bus.JS.DeleteKeyValue(w.t.Context(), handover.BucketDirectory))
		kv, err := bus.OpenBucket(w.t.Context(), w.bus.JS, handover.BucketDirectory, 1)
		require.NoError(w.t, err)
		w.kv = kv
		w.start("one")
		bustest.Eventually(w.t, func() bool { return strings.Contains(w.logs.String(), "its deliveries wait") }, "the relay noticed")
		require.Equal(w.t, 1, w.count(relay.Pending))

		up.Store(true)
		w.subscribe(sub)
		w.waitFor(relay.Delivered, 1)
	})
}

// A relay that is stopped in mid-attempt releases what it can't finish; the next one
// makes that attempt again and no other.
func TestRestartInMidAttempt(t *testing.T) {
	each(t, func(w *world) {
		release := make(chan struct{})
		var block atomic.Bool
		block.Store(true)
		r := newReceiver(w.t, func(_ int, _ got, _ http.ResponseWriter) {
			if block.Load() {
				<-release
			}
		})
		w.t.Cleanup(func() { close(release) })
		w.subscribe(handover.Subscription{ID: "s", URL: r.URL})
		w.cfg.Grace = 10 * time.Millisecond
		_, stop := w.start("one")
		w.emit(entry("e1", 1), entry("e1", 2), entry("e2", 1))
		bustest.Eventually(w.t, func() bool { return len(r.ids()) == 2 }, "both lanes are in mid-attempt")
		stop()
		require.Equal(w.t, 3, w.count(relay.Pending))
		require.Zero(w.t, w.number(`SELECT COUNT(*) FROM relay_lanes WHERE claim <> ''`), "claims are released")
		require.Equal(w.t, int64(2), w.number(`SELECT COUNT(*) FROM relay_attempts WHERE reason = 'interrupted'`))
		require.Zero(w.t, w.number(`SELECT COALESCE(SUM(failures), 0) FROM relay_deliveries`), "the receiver is not to blame")

		block.Store(false)
		require.NoError(w.t, w.db.Close())
		w.open()
		w.start("two")
		w.waitFor(relay.Delivered, 3)
		times := map[string]int{}
		for _, id := range r.ids() {
			times[id]++
		}
		require.Equal(w.t, map[string]int{"e1-1": 2, "e1-2": 1, "e2-1": 2}, times)
	})
}

// An attempt under way ends in peace when the relay is stopped.
func TestStopWaitsForAttemptsUnderWay(t *testing.T) {
	each(t, func(w *world) {
		arrived, release := make(chan struct{}), make(chan struct{})
		r := newReceiver(w.t, func(int, got, http.ResponseWriter) {
			close(arrived)
			<-release
		})
		w.subscribe(handover.Subscription{ID: "s", URL: r.URL})
		_, stop := w.start("one")
		w.emit(entry("e1", 1))
		<-arrived
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			stop()
		}()
		close(release)
		<-stopped
		require.Equal(w.t, 1, w.count(relay.Delivered))
		require.Len(w.t, r.ids(), 1)
	})
}

// A try that lasts longer than a claim stays with its process: the other relay does not
// make it a second time.
func TestLongTryStaysWithItsProcess(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.Postgres(t))
	release := make(chan struct{})
	r := newReceiver(t, func(_ int, g got, _ http.ResponseWriter) {
		if g.id() == "slow-1" {
			<-release
		}
	})
	let := sync.OnceFunc(func() { close(release) })
	t.Cleanup(let)
	w.subscribe(handover.Subscription{ID: "s", URL: r.URL})
	w.cfg.Lease = 6 * time.Second
	w.start("one")
	w.start("two")
	w.emit(entry("slow", 1))
	bustest.Eventually(t, func() bool { return len(r.ids()) == 1 }, "the slow try is under way")
	first := w.number(`SELECT due_at FROM relay_lanes WHERE envelope = 'slow'`)
	bustest.Eventually(t, func() bool {
		return w.number(`SELECT due_at FROM relay_lanes WHERE envelope = 'slow'`) > first+2*w.cfg.Lease.Microseconds()
	}, "the claim is renewed well beyond its first end")
	let()
	w.waitFor(relay.Delivered, 1)
	require.Len(t, r.ids(), 1)
}

// Two relays on one database share the work: nothing is sent twice, order holds.
func TestTwoRelaysOnOneDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.Postgres(t))
	const envelopes, events = 30, 4
	var mu sync.Mutex
	last := map[string]int{}
	var broken []string
	r := newReceiver(t, func(_ int, g got, _ http.ResponseWriter) {
		envelope, number, _ := strings.Cut(g.id(), "-")
		n, _ := strconv.Atoi(number)
		mu.Lock()
		defer mu.Unlock()
		if last[envelope] != n-1 {
			broken = append(broken, g.id())
		}
		last[envelope] = n
	})
	w.subscribe(handover.Subscription{ID: "s", URL: r.URL})
	w.start("one")
	w.start("two")
	for n := range events {
		for e := range envelopes {
			w.emit(entry(fmt.Sprintf("e%d", e), int64(n+1)))
		}
	}
	w.waitFor(relay.Delivered, envelopes*events)
	require.Len(t, r.ids(), envelopes*events)
	mu.Lock()
	defer mu.Unlock()
	require.Empty(t, broken)
}

func TestResend(t *testing.T) {
	each(t, func(w *world) {
		var up atomic.Bool
		r := newReceiver(w.t, func(_ int, _ got, rw http.ResponseWriter) {
			if !up.Load() {
				rw.WriteHeader(http.StatusGone)
			}
		})
		sub := w.subscribe(handover.Subscription{ID: "s", URL: r.URL})
		w.start("one")
		w.emit(entry("e1", 1))
		w.waitFor(relay.Discarded, 1)
		id := w.list(relay.ListRequest{Subscription: "s", ExternalID: "C e1", Status: relay.Discarded}).Deliveries[0].ID
		up.Store(true)

		resend := func(customer, delivery string) (relay.Delivery, error) {
			var d relay.Delivery
			err := bus.Call(w.t.Context(), w.bus.Conn, "notification-relay", "resend", relay.ResendRequest{Customer: customer, Delivery: delivery}, &d)
			return d, err
		}
		_, err := resend("acme", id)
		requireCode(w.t, err, contract.CodeNotFound)
		_, err = resend("demo", "")
		requireCode(w.t, err, contract.CodeIllegalArgument)

		d, err := resend("demo", id)
		require.NoError(w.t, err)
		require.Equal(w.t, id, d.ID)
		w.waitFor(relay.Delivered, 1)
		require.Equal(w.t, []string{"e1-1", "e1-1"}, r.ids())
		require.Equal(w.t, "2", r.all()[1].header.Get("webhook-attempt"), "numbers go on")
		require.Empty(w.t, w.list(relay.ListRequest{}).Endpoints, "the endpoint is back")

		require.NoError(w.t, w.kv.Delete(w.t.Context(), subscriptionKey(sub)))
		bustest.Eventually(w.t, func() bool {
			_, err := resend("demo", id)
			return err != nil
		}, "no resend without a subscription")
		_, err = resend("demo", id)
		requireCode(w.t, err, contract.CodeNotFound)
	})
}

func requireCode(t *testing.T, err error, code contract.Code) {
	t.Helper()
	var e *contract.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, code, e.Code)
}

func TestListRefusesAndPages(t *testing.T) {
	each(t, func(w *world) {
		r := newReceiver(w.t, nil)
		w.subscribe(handover.Subscription{ID: "s", URL: r.URL})
		s, _ := w.start("one")
		for _, request := range []relay.ListRequest{{}, {Customer: "demo", Limit: -1}, {Customer: "demo", Limit: 1001}, {Customer: "demo", Status: "lost"}} {
			_, err := s.List(w.t.Context(), request)
			requireCode(w.t, err, contract.CodeIllegalArgument)
		}
		for i := range 5 {
			w.emit(entry(fmt.Sprintf("e%d", i), 1))
		}
		w.waitFor(relay.Delivered, 5)
		first := w.list(relay.ListRequest{Limit: 3}).Deliveries
		require.Len(w.t, first, 3)
		rest := w.list(relay.ListRequest{Limit: 3, Before: first[2].ID}).Deliveries
		require.Len(w.t, rest, 2)
		require.Greater(w.t, first[2].ID, rest[0].ID)
		require.Empty(w.t, w.list(relay.ListRequest{Customer: "acme"}).Deliveries)
	})
}

func TestUnusableSubscriptionFailsVisibly(t *testing.T) {
	each(t, func(w *world) {
		r := newReceiver(w.t, nil)
		w.subscribe(handover.Subscription{ID: "s", URL: r.URL, Secrets: []string{"whsec_short"}})
		w.start("one")
		w.emit(entry("e1", 1))
		w.waitFor(relay.Exhausted, 1)
		require.Equal(w.t, "invalid_request", w.list(relay.ListRequest{}).Deliveries[0].Reason)
		require.Empty(w.t, r.ids(), "nothing goes out unsigned")
		require.NotContains(w.t, w.logs.String(), "whsec_short")
	})
}

func TestMessageThatIsNoEventGoesToTheDeadLetters(t *testing.T) {
	each(t, func(w *world) {
		r := newReceiver(w.t, nil)
		w.subscribe(handover.Subscription{ID: "s", URL: r.URL})
		w.start("one")
		_, err := w.bus.JS.Publish(w.t.Context(), "evt.demo.ERP.envelope.sent", []byte("no event"))
		require.NoError(w.t, err)
		w.emit(entry("e1", 1))
		w.waitFor(relay.Delivered, 1)
		dead := w.bus.Next(w.t, "DEAD", "dead.notification-relay", 1)
		require.Equal(w.t, "message is no event of the bus: it is not a CloudEvent of version 1.0", dead[0].Headers().Get("Signbus-Dead-Reason"))
	})
}

// Neither the database nor the log learns an endpoint's address or secret.
func TestAddressesAndSecretsAreNotKept(t *testing.T) {
	each(t, func(w *world) {
		r := newReceiver(w.t, func(n int, _ got, rw http.ResponseWriter) {
			if n == 1 {
				http.Error(rw, "private words of the receiver", http.StatusInternalServerError)
			}
		})
		w.subscribe(handover.Subscription{ID: "s", URL: r.URL + "/private-path"})
		w.start("one")
		w.emit(entry("e1", 1))
		w.waitFor(relay.Delivered, 1)
		var kept strings.Builder
		for _, table := range []string{"relay_endpoints", "relay_envelopes", "relay_lanes", "relay_deliveries", "relay_attempts"} {
			rows, err := w.db.Query(w.t.Context(), "SELECT * FROM "+table)
			require.NoError(w.t, err)
			columns, err := rows.Columns()
			require.NoError(w.t, err)
			for rows.Next() {
				values := make([]any, len(columns))
				for i := range values {
					values[i] = new(any)
				}
				require.NoError(w.t, rows.Scan(values...))
				for _, v := range values {
					if b, ok := (*v.(*any)).([]byte); ok {
						kept.Write(b)
						continue
					}
					fmt.Fprintln(&kept, *v.(*any))
				}
			}
			require.NoError(w.t, rows.Err())
			require.NoError(w.t, rows.Close())
		}
		bustest.Eventually(w.t, func() bool { return strings.Count(w.logs.String(), "delivery.attempted") == 2 }, "a line for each try")
		require.Contains(w.t, kept.String(), "e1-1")
		for _, text := range []string{kept.String(), w.logs.String()} {
			require.NotContains(w.t, text, "private")
			require.NotContains(w.t, text, strings.TrimPrefix(secret, "whsec_"))
			require.NotContains(w.t, text, r.URL)
		}
		require.Contains(w.t, w.logs.String(), `"attempt":1,"reason":"server_error","status":500`)
	})
}
