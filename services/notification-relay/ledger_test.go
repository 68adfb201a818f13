package relay

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/store/storetest"
	"signbus.dev/services/notification-relay/webhook"
)

// clock is a clock that tests move.
type clock struct{ at time.Time }

func (c *clock) now() time.Time          { return c.at }
func (c *clock) advance(d time.Duration) { c.at = c.at.Add(d) }

var (
	testKey = endpointKey{"demo", "s"}
	testSub = subscription{endpointKey: testKey, url: "https://erp.example/hook"}
)

func newLedger(db *store.DB, instance string, c *clock) *ledger {
	return &ledger{db: db, instance: instance, cfg: Default(), now: c.now, newID: bus.NewID, random: func() float64 { return 0 }}
}

func eachLedger(t *testing.T, test func(t *testing.T, l *ledger, c *clock)) {
	t.Helper()
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		require.NoError(t, Migrate(t.Context(), db))
		c := &clock{time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC)}
		test(t, newLedger(db, "one", c), c)
	})
}

func testEvent(envelope string, n int64) event {
	return event{
		customer: "demo", system: "ERP", envelope: envelope, sequence: n, id: fmt.Sprintf("%s-%d", envelope, n),
		eventType: "dev.signbus.envelope.sent", externalID: "C", body: []byte("{}"),
	}
}

func accept(t require.TestingT, ctx context.Context, l *ledger, attempt int, events ...event) {
	require.NoError(t, l.db.Update(ctx, func(tx *store.Tx) error {
		for _, ev := range events {
			if err := l.accept(ctx, tx, ev, []subscription{testSub}, attempt); err != nil {
				return err
			}
		}
		return nil
	}))
}

func claimOne(t *testing.T, l *ledger) attempt {
	t.Helper()
	attempts, err := l.claim(t.Context(), testKey, 8)
	require.NoError(t, err)
	require.Len(t, attempts, 1)
	return attempts[0]
}

func claimNone(t *testing.T, l *ledger) {
	t.Helper()
	attempts, err := l.claim(t.Context(), testKey, 8)
	require.NoError(t, err)
	require.Empty(t, attempts)
}

func completed(t *testing.T, l *ledger, a attempt, out webhook.Outcome) verdict {
	t.Helper()
	verdicts, err := l.complete(t.Context(), landing{a, out})
	require.NoError(t, err)
	return verdicts[0]
}

var (
	accepted    = webhook.Outcome{Reason: webhook.Accepted, Status: 204, Duration: time.Millisecond}
	failed      = webhook.Outcome{Reason: webhook.ServerError, Status: 500}
	interrupted = webhook.Outcome{Reason: webhook.Interrupted}
)

func TestAttemptIsRecordedBeforeTheCall(t *testing.T) {
	eachLedger(t, func(t *testing.T, l *ledger, _ *clock) {
		accept(t, t.Context(), l, 1, testEvent("e", 1))
		a := claimOne(t, l)
		d, err := l.delivery(t.Context(), "demo", a.delivery)
		require.NoError(t, err)
		require.Equal(t, int64(1), d.Attempts)
		require.Len(t, d.Tries, 1)
		require.Empty(t, d.Tries[0].Reason, "under way")
		require.Equal(t, Delivered, completed(t, l, a, accepted).status)
		d, err = l.delivery(t.Context(), "demo", a.delivery)
		require.NoError(t, err)
		require.Equal(t, []Try{{Number: 1, StartedAt: a.startedAt, Reason: "accepted", Status: 204, DurationMillis: 1}}, d.Tries)
	})
}

func TestScheduleIsFollowedToItsEnd(t *testing.T) {
	eachLedger(t, func(t *testing.T, l *ledger, c *clock) {
		l.cfg.Breaker.Failures = 1000
		accept(t, t.Context(), l, 1, testEvent("e", 1))
		begin := c.at
		for i, delay := range l.cfg.Schedule {
			if delay > 0 {
				c.advance(delay - time.Microsecond)
				claimNone(t, l)
				c.advance(time.Microsecond)
			}
			a := claimOne(t, l)
			require.Equal(t, int64(i+1), a.number)
			v := completed(t, l, a, failed)
			if i < len(l.cfg.Schedule)-1 {
				require.Equal(t, Pending, v.status)
				require.Equal(t, a.nextAt, v.nextAt, "what was announced is kept")
				continue
			}
			require.True(t, a.nextAt.IsZero())
			require.Equal(t, verdict{status: Exhausted, reason: "server_error"}, v)
		}
		require.Equal(t, 75*time.Hour+35*time.Minute+5*time.Second, c.at.Sub(begin))
		c.advance(100 * time.Hour)
		claimNone(t, l)
	})
}

func TestRetryAfterPutsOffButNeverHastens(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC)
	a := attempt{startedAt: now.Add(-time.Second), nextAt: now.Add(time.Minute)}
	for name, c := range map[string]struct {
		out  webhook.Outcome
		want verdict
	}{
		"later":       {webhook.Outcome{Reason: webhook.Throttled, RetryAfter: time.Hour}, verdict{status: Pending, reason: "throttled", nextAt: now.Add(time.Hour)}},
		"earlier":     {webhook.Outcome{Reason: webhook.Throttled, RetryAfter: time.Second}, verdict{status: Pending, reason: "throttled", nextAt: now.Add(time.Minute)}},
		"none":        {failed, verdict{status: Pending, reason: "server_error", nextAt: now.Add(time.Minute)}},
		"accepted":    {accepted, verdict{status: Delivered}},
		"gone":        {webhook.Outcome{Reason: webhook.Gone}, verdict{status: Discarded, reason: "gone"}},
		"interrupted": {interrupted, verdict{status: Pending, reason: "interrupted", nextAt: now}},
	} {
		require.Equal(t, c.want, judge(a, c.out, now), name)
	}
	a.nextAt = time.Time{}
	require.Equal(t, Exhausted, judge(a, webhook.Outcome{Reason: webhook.Throttled, RetryAfter: time.Hour}, now).status)
	require.Equal(t, Pending, judge(a, interrupted, now).status, "a try that was broken off is not the last")
}

func TestEventsAreAcceptedOnceAndInOrder(t *testing.T) {
	eachLedger(t, func(t *testing.T, l *ledger, _ *clock) {
		late := func(ev event, attempt int) error {
			return l.db.Update(t.Context(), func(tx *store.Tx) error {
				return l.accept(t.Context(), tx, ev, []subscription{testSub}, attempt)
			})
		}
		require.ErrorIs(t, late(testEvent("e", 2), maxWaitForPredecessor-1), errOutOfOrder)
		accept(t, t.Context(), l, 1, testEvent("e", 1), testEvent("e", 2))
		accept(t, t.Context(), l, 1, testEvent("e", 2), testEvent("e", 1))
		require.ErrorIs(t, late(testEvent("e", 5), maxWaitForPredecessor-1), errOutOfOrder)
		require.NoError(t, late(testEvent("e", 5), maxWaitForPredecessor), "after long waiting the gap is accepted")
		require.NoError(t, late(testEvent("e", 6), 1))
		alone := testEvent("e", 9)
		alone.settled = true
		require.NoError(t, late(alone, 1), "what cannot come is not waited for")
		require.NoError(t, late(testEvent("e", 4), 1), "too late for its place, but not lost")
		list, err := l.list(t.Context(), ListRequest{Customer: "demo", Limit: 10})
		require.NoError(t, err)
		require.Len(t, list, 6)
		var order []int64
		for range 6 {
			a := claimOne(t, l)
			order = append(order, a.sequence)
			completed(t, l, a, accepted)
		}
		require.Equal(t, []int64{1, 2, 4, 5, 6, 9}, order)
		claimNone(t, l)
	})
}

// A process dies in mid-attempt: nobody else tries the lane until the claim ends, then
// the attempt is made again; what the dead one still reports changes nothing but a success.
func TestClaimOfADeadProcessEnds(t *testing.T) {
	eachLedger(t, func(t *testing.T, l *ledger, c *clock) {
		other := newLedger(l.db, "two", c)
		accept(t, t.Context(), l, 1, testEvent("e", 1), testEvent("e", 2))
		dead := claimOne(t, l)
		claimNone(t, other)
		c.advance(l.cfg.Lease - time.Microsecond)
		claimNone(t, other)
		c.advance(time.Microsecond)
		second := claimOne(t, other)
		require.Equal(t, dead.delivery, second.delivery)
		require.Equal(t, int64(2), second.number)
		require.Zero(t, second.failures, "the receiver is not to blame")
		d, err := l.delivery(t.Context(), "demo", dead.delivery)
		require.NoError(t, err)
		require.Equal(t, "interrupted", d.Tries[0].Reason)

		require.True(t, completed(t, l, dead, failed).stale)
		claimNone(t, l)
		require.True(t, completed(t, l, dead, accepted).stale)
		d, err = l.delivery(t.Context(), "demo", dead.delivery)
		require.NoError(t, err)
		require.Equal(t, Delivered, d.Status, "the receiver has it, whoever asked")
		claimNone(t, l)

		require.False(t, completed(t, other, second, failed).stale)
		d, err = l.delivery(t.Context(), "demo", dead.delivery)
		require.NoError(t, err)
		require.Equal(t, Delivered, d.Status)
		require.Equal(t, int64(2), claimOne(t, l).sequence)
	})
}

// A living process keeps what it tries for longer than a claim lasts.
func TestRenewedClaimLasts(t *testing.T) {
	eachLedger(t, func(t *testing.T, l *ledger, c *clock) {
		other := newLedger(l.db, "two", c)
		accept(t, t.Context(), l, 1, testEvent("e", 1))
		a := claimOne(t, l)
		for range 5 {
			c.advance(l.cfg.Lease * 2 / 3)
			require.NoError(t, l.renew(t.Context(), []string{a.claim, ""}))
			claimNone(t, other)
		}
		require.False(t, completed(t, l, a, accepted).stale)
		require.NoError(t, l.renew(t.Context(), []string{a.claim}), "a claim that has ended is left alone")
	})
}

// A restarted process takes back what it had claimed without waiting for the claim's end.
func TestRecover(t *testing.T) {
	eachLedger(t, func(t *testing.T, l *ledger, c *clock) {
		accept(t, t.Context(), l, 1, testEvent("e", 1))
		claimOne(t, l)
		stranger := newLedger(l.db, "two", c)
		require.NoError(t, stranger.recover(t.Context()))
		if !l.db.Exclusive() {
			claimNone(t, stranger)
			require.NoError(t, newLedger(l.db, "one", c).recover(t.Context()))
		}
		require.Equal(t, int64(2), claimOne(t, stranger).number)
	})
}

func TestBreakerProbesWithOneTry(t *testing.T) {
	eachLedger(t, func(t *testing.T, l *ledger, c *clock) {
		l.cfg.Breaker.Failures = 2
		other := newLedger(l.db, "two", c)
		other.cfg = l.cfg
		accept(t, t.Context(), l, 1, testEvent("a", 1), testEvent("b", 1), testEvent("c", 1), testEvent("d", 1))
		attempts, err := l.claim(t.Context(), testKey, 3)
		require.NoError(t, err)
		require.Len(t, attempts, 3)
		require.True(t, completed(t, l, attempts[0], failed).pausedUntil.IsZero())
		require.Equal(t, c.at.Add(5*time.Second), completed(t, l, attempts[1], failed).pausedUntil)
		require.True(t, completed(t, l, attempts[2], failed).pausedUntil.IsZero(), "it was under way before the pause")
		claimNone(t, l)

		c.advance(5 * time.Second)
		probe := claimOne(t, l)
		require.True(t, probe.probe)
		claimNone(t, l)
		claimNone(t, other)
		require.Equal(t, c.at.Add(10*time.Second), completed(t, l, probe, failed).pausedUntil, "twice as long")
		claimNone(t, other)
		c.advance(10 * time.Second)
		probe = claimOne(t, other)
		completed(t, other, probe, interrupted)
		probe = claimOne(t, l)
		require.True(t, probe.probe, "an interrupted probe frees the place")
		completed(t, l, probe, accepted)
		attempts, err = l.claim(t.Context(), testKey, 8)
		require.NoError(t, err)
		require.Len(t, attempts, 3)
		require.False(t, attempts[0].probe)
	})
}

// A probe whose lane has nothing to try gives its place back.
func TestProbeWithoutWork(t *testing.T) {
	eachLedger(t, func(t *testing.T, l *ledger, c *clock) {
		l.cfg.Breaker.Failures = 1
		accept(t, t.Context(), l, 1, testEvent("a", 1))
		completed(t, l, claimOne(t, l), failed)
		c.advance(l.cfg.Breaker.Pause)
		require.NoError(t, l.db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(t.Context(), `UPDATE relay_deliveries SET status = 'discarded'`)
			return err
		}))
		claimNone(t, l)
		list, err := l.due(t.Context())
		require.NoError(t, err)
		require.Empty(t, list)
		accept(t, t.Context(), l, 1, testEvent("b", 1))
		require.True(t, claimOne(t, l).probe)
	})
}

// A delivery that was being written while its endpoint was disabled does not stay pending.
func TestDeliveryWrittenWhileTheEndpointIsDisabled(t *testing.T) {
	eachLedger(t, func(t *testing.T, l *ledger, _ *clock) {
		accept(t, t.Context(), l, 1, testEvent("a", 1))
		require.NoError(t, l.end(t.Context(), testKey), "nothing happens to an endpoint that works")
		require.NoError(t, l.db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(t.Context(), `UPDATE relay_endpoints SET disabled = 'gone'`)
			return err
		}))
		claimNone(t, l)
		d := newDispatcher(l, nil, nil, slog.New(slog.DiscardHandler), newMetrics(nil))
		d.round(t.Context(), t.Context())
		list, err := l.list(t.Context(), ListRequest{Customer: "demo", Limit: 10})
		require.NoError(t, err)
		require.Equal(t, Discarded, list[0].Status)
		require.Equal(t, reasonGone, list[0].Reason)
		left, err := l.due(t.Context())
		require.NoError(t, err)
		require.Empty(t, left)
	})
}

// A resend while the delivery is being tried does not make a second try beside it.
func TestResendInMidAttempt(t *testing.T) {
	eachLedger(t, func(t *testing.T, l *ledger, c *clock) {
		accept(t, t.Context(), l, 1, testEvent("e", 1), testEvent("e", 2))
		a := claimOne(t, l)
		request := ResendRequest{Customer: "demo", Delivery: a.delivery}
		require.NoError(t, l.resend(t.Context(), request, func(endpointKey) bool { return true }))
		claimNone(t, l)
		require.False(t, completed(t, l, a, failed).stale)
		claimNone(t, l)
		require.NoError(t, l.resend(t.Context(), request, func(endpointKey) bool { return true }))
		again := claimOne(t, l)
		require.Equal(t, a.delivery, again.delivery, "now, not when the schedule says")
		require.Zero(t, again.failures, "with the whole schedule before it")
		completed(t, l, again, accepted)
		require.Equal(t, int64(2), claimOne(t, l).sequence)
	})
}

func TestFailingEndpointGetsOnePlace(t *testing.T) {
	t.Parallel()
	l := &ledger{cfg: Default(), now: time.Now}
	l.cfg.PerEndpoint, l.cfg.Total = 3, 4
	d := newDispatcher(l, nil, nil, nil, newMetrics(nil))
	healthy, failing := due{endpointKey: testKey}, due{endpointKey: endpointKey{"demo", "f"}, health: health{failures: 1}}
	require.Equal(t, 3, d.free(healthy))
	require.Equal(t, 1, d.free(failing))
	a := attempt{lane: lane{endpointKey: testKey}, claim: "x"}
	d.occupy(a, 3)
	require.Zero(t, d.free(healthy))
	require.Equal(t, 1, d.free(due{endpointKey: endpointKey{"demo", "other"}}), "the total is nearly reached")
	healthy.failures = 1
	require.Zero(t, d.free(healthy), "never below none")
	d.occupy(a, -3)
	require.Equal(t, 1, d.free(healthy))
	require.Empty(t, d.underWay)
	require.Empty(t, d.claims)
}

// What the old address answers is not held against the new one.
func TestGoneFromAnOldAddress(t *testing.T) {
	eachLedger(t, func(t *testing.T, l *ledger, _ *clock) {
		accept(t, t.Context(), l, 1, testEvent("a", 1), testEvent("b", 1))
		attempts, err := l.claim(t.Context(), testKey, 2)
		require.NoError(t, err)
		require.Len(t, attempts, 2)
		moved := testSub
		moved.url = "https://new.example/hook"
		require.NoError(t, l.readdress(t.Context(), moved))
		gone := webhook.Outcome{Reason: webhook.Gone, Status: 410}
		v := completed(t, l, attempts[0], gone)
		require.Equal(t, Pending, v.status)
		require.Empty(t, v.disabled)
		again := claimOne(t, l)
		require.Equal(t, attempts[0].delivery, again.delivery)
		require.Equal(t, disabledGone, completed(t, l, again, gone).disabled)
		require.True(t, completed(t, l, attempts[1], failed).stale)
		claimNone(t, l)
		list, err := l.list(t.Context(), ListRequest{Customer: "demo", Limit: 10})
		require.NoError(t, err)
		for _, d := range list {
			require.Equal(t, Discarded, d.Status)
			for _, try := range d.Tries {
				require.NotEmpty(t, try.Reason, "every attempt has an end")
			}
		}
	})
}

func TestPause(t *testing.T) {
	t.Parallel()
	b := Default().Breaker
	none, most := func() float64 { return 0 }, func() float64 { return 0.999999 }
	for pauses, want := range map[int64]time.Duration{
		0: 5 * time.Second, 1: 10 * time.Second, 2: 20 * time.Second, 7: 640 * time.Second, 8: 15 * time.Minute, 1 << 40: 15 * time.Minute,
	} {
		require.Equal(t, want, b.pause(pauses, none))
		require.InDelta(t, want.Seconds()*1.2, b.pause(pauses, most).Seconds(), 0.01)
	}
}

func TestPurge(t *testing.T) {
	eachLedger(t, func(t *testing.T, l *ledger, c *clock) {
		accept(t, t.Context(), l, 1, testEvent("old", 1))
		completed(t, l, claimOne(t, l), accepted)
		accept(t, t.Context(), l, 1, testEvent("waiting", 1))
		c.advance(l.cfg.Retention + time.Second)
		accept(t, t.Context(), l, 1, testEvent("new", 1))
		require.NoError(t, l.purge(t.Context()))
		list, err := l.list(t.Context(), ListRequest{Customer: "demo", Limit: 10})
		require.NoError(t, err)
		require.Len(t, list, 2)
		require.Equal(t, "waiting-1", list[1].EventID, "what is pending is never purged")
		count := func(table string) (n int) {
			require.NoError(t, l.db.QueryRow(t.Context(), "SELECT COUNT(*) FROM "+table, nil, &n))
			return n
		}
		require.Zero(t, count("relay_attempts"))
		require.Equal(t, 3, count("relay_envelopes"))
		c.advance(envelopeMemory)
		require.NoError(t, l.purge(t.Context()))
		require.Equal(t, 1, count("relay_envelopes"))
	})
}

// Whatever happens, in whatever order, on two processes: an event of an envelope is only
// tried when all before it have ended, no lane is tried twice at once while a claim
// lasts, and in the end everything has ended and nothing is left behind.
func TestLedgerProperties(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		require.NoError(t, Migrate(t.Context(), db))
		rapid.Check(t, func(rt *rapid.T) { runMachine(t.Context(), rt, db) })
	})
}

func runMachine(ctx context.Context, rt *rapid.T, db *store.DB) {
	require.NoError(rt, db.Update(ctx, func(tx *store.Tx) error {
		for _, table := range []string{"relay_deliveries", "relay_lanes", "relay_envelopes", "relay_endpoints"} {
			if _, err := tx.Exec(ctx, "DELETE FROM "+table); err != nil {
				return err
			}
		}
		return nil
	}))
	c := &clock{time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC)}
	m := &machine{t: rt, ctx: ctx, clock: c, next: map[string]int64{}}
	for _, name := range []string{"one", "two"} {
		l := newLedger(db, name, c)
		l.cfg.Schedule = webhook.Schedule{0, time.Minute, time.Minute}
		l.cfg.Breaker.Failures = 3
		m.ledgers = append(m.ledgers, l)
	}
	rt.Repeat(map[string]func(*rapid.T){
		"accept":   m.accept,
		"claim":    m.claim,
		"complete": m.complete,
		"crash":    m.crash,
		"advance":  m.advance,
		"move":     m.move,
		"forget":   m.forget,
		"":         func(*rapid.T) {},
	})
	m.drain()
}

// flight is an attempt under way, as the test knows it.
type flight struct {
	attempt
	owner int
	until time.Time
}

type machine struct {
	t       *rapid.T
	ctx     context.Context //nolint:containedctx // of one test
	clock   *clock
	ledgers []*ledger
	next    map[string]int64
	flights []flight
}

func (m *machine) accept(t *rapid.T) {
	envelope := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "envelope")
	m.next[envelope]++
	accept(t, m.ctx, m.ledgers[0], 1, testEvent(envelope, m.next[envelope]))
}

func (m *machine) claim(t *rapid.T) {
	owner := rapid.IntRange(0, 1).Draw(t, "owner")
	m.take(t, owner, rapid.IntRange(1, 3).Draw(t, "limit"))
}

func (m *machine) take(t *rapid.T, owner, limit int) {
	l := m.ledgers[owner]
	attempts, err := l.claim(m.ctx, testKey, limit)
	require.NoError(t, err)
	for _, a := range attempts {
		for _, f := range m.flights {
			require.False(t, f.lane == a.lane && f.until.After(m.clock.at), "lane %s is tried twice at once", a.envelope)
		}
		var earlier int
		require.NoError(t, l.db.QueryRow(m.ctx, `SELECT COUNT(*) FROM relay_deliveries WHERE envelope = $1 AND sequence < $2 AND status = 'pending'`,
			[]any{a.envelope, a.sequence}, &earlier))
		require.Zero(t, earlier, "an earlier event of the envelope has not ended")
		m.flights = append(m.flights, flight{a, owner, m.clock.at.Add(l.cfg.Lease)})
	}
}

func (m *machine) complete(t *rapid.T) {
	if len(m.flights) == 0 {
		t.Skip("nothing under way")
	}
	i := rapid.IntRange(0, len(m.flights)-1).Draw(t, "flight")
	out := rapid.SampledFrom([]webhook.Outcome{accepted, accepted, failed, failed, interrupted, {Reason: webhook.Gone, Status: 410}}).Draw(t, "outcome")
	m.land(t, i, out)
}

func (m *machine) land(t *rapid.T, i int, out webhook.Outcome) {
	f := m.flights[i]
	m.flights = append(m.flights[:i], m.flights[i+1:]...)
	verdicts, err := m.ledgers[f.owner].complete(m.ctx, landing{f.attempt, out})
	require.NoError(t, err)
	v := verdicts[0]
	if f.until.After(m.clock.at) {
		require.False(t, v.stale, "nobody takes a lane while its claim lasts")
	}
	if v.disabled != "" {
		m.void()
	}
}

func (m *machine) crash(t *rapid.T) {
	owner := rapid.IntRange(0, 1).Draw(t, "owner")
	kept := m.flights[:0]
	for _, f := range m.flights {
		if f.owner != owner {
			kept = append(kept, f)
		}
	}
	m.flights = kept
}

func (m *machine) advance(t *rapid.T) {
	m.clock.advance(time.Duration(rapid.IntRange(1, 90).Draw(t, "seconds")) * time.Second)
}

// move gives the endpoint a new address.
func (m *machine) move(t *rapid.T) {
	moved := testSub
	moved.url = rapid.SampledFrom([]string{"https://one.example/", "https://two.example/"}).Draw(t, "url")
	require.NoError(t, m.ledgers[0].readdress(m.ctx, moved))
}

// forget deletes the subscription; the next event finds a new one of that name.
func (m *machine) forget(t *rapid.T) {
	require.NoError(t, m.ledgers[0].forget(m.ctx, testKey))
	m.void()
}

// void notes that every claim has lost its lane, because the lanes were ended.
func (m *machine) void() {
	for i := range m.flights {
		m.flights[i].until = time.Time{}
	}
}

// drain lets everything come to its end.
func (m *machine) drain() {
	l := m.ledgers[0]
	for range 1000 {
		for len(m.flights) > 0 {
			m.land(m.t, 0, accepted)
		}
		m.clock.advance(time.Minute)
		m.take(m.t, 0, 8)
		if len(m.flights) == 0 {
			var pending, lanes, open, total int
			require.NoError(m.t, l.db.QueryRow(m.ctx, `SELECT (SELECT COUNT(*) FROM relay_deliveries WHERE status = 'pending'),
				(SELECT COUNT(*) FROM relay_lanes), (SELECT COUNT(*) FROM relay_attempts WHERE ended_at = 0),
				(SELECT COUNT(*) FROM relay_deliveries)`, nil, &pending, &lanes, &open, &total))
			if lanes > 0 {
				continue
			}
			require.Zero(m.t, pending)
			require.Zero(m.t, open, "every attempt has an end")
			want := 0
			for _, n := range m.next {
				want += int(n)
			}
			require.Equal(m.t, want, total)
			return
		}
	}
	m.t.Fatal("something is stuck")
}
