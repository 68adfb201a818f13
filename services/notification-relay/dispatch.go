package relay

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"signbus.dev/services/notification-relay/webhook"
)

// sender makes one try; [webhook.Client] is the one that is used.
type sender interface {
	Send(ctx context.Context, endpoint string, secrets webhook.Secrets, msg webhook.Message) webhook.Outcome
}

// subscriptions finds the subscription of an endpoint.
type subscriptions interface {
	get(key endpointKey) (subscription, bool)
}

// dispatcher tries what is due. It sleeps until the next delivery is due, until it is
// nudged, or until it has to look for work that another process left behind.
type dispatcher struct {
	ledger   *ledger
	subs     subscriptions
	sender   sender
	cfg      Config
	now      func() time.Time
	log      *slog.Logger
	metrics  *metrics
	recorder *recorder

	nudges chan struct{}
	tries  sync.WaitGroup

	mu       sync.Mutex
	underWay map[endpointKey]int
	customer map[string]int // tries under way of each customer
	claims   map[string]int
	total    int
}

func newDispatcher(l *ledger, subs subscriptions, s sender, log *slog.Logger, m *metrics) *dispatcher {
	return &dispatcher{
		ledger: l, subs: subs, sender: s, cfg: l.cfg, now: l.now, log: log, metrics: m,
		recorder: newRecorder(l),
		nudges:   make(chan struct{}, 1), underWay: map[endpointKey]int{},
		customer: map[string]int{}, claims: map[string]int{},
	}
}

// nudge tells the dispatcher that there may be something to do. It does not block.
func (d *dispatcher) nudge() {
	select {
	case d.nudges <- struct{}{}:
	default:
	}
}

// run dispatches until ctx ends. Then it waits for the tries under way; those that
// outlast the grace are broken off and released, so that they are made again at once by
// whoever comes next.
func (d *dispatcher) run(ctx context.Context) error {
	sending, breakOff := context.WithCancel(context.WithoutCancel(ctx))
	defer breakOff()
	var helpers sync.WaitGroup
	helping, letGo := context.WithCancel(context.WithoutCancel(ctx))
	defer helpers.Wait()
	defer letGo()
	helpers.Go(func() { d.keepClaims(helping) })
	helpers.Go(func() { d.recorder.run(helping) })
	for ctx.Err() == nil {
		wake := d.round(ctx, sending)
		timer := time.NewTimer(wake)
		select {
		case <-ctx.Done():
		case <-d.nudges:
		case <-timer.C:
		}
		timer.Stop()
	}
	grace := time.AfterFunc(d.cfg.Grace, breakOff)
	defer grace.Stop()
	d.tries.Wait()
	return nil
}

// keepClaims renews the claims of long tries, so that a claim can be short: what a dead
// process had under way is then soon tried by another.
func (d *dispatcher) keepClaims(ctx context.Context) {
	ticker := time.NewTicker(d.cfg.Lease / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		d.mu.Lock()
		claims := slices.Sorted(maps.Keys(d.claims))
		d.mu.Unlock()
		if len(claims) == 0 {
			continue
		}
		if err := d.ledger.renew(ctx, claims); err != nil && ctx.Err() == nil {
			d.log.Warn("claims are not renewed", "error", err)
		}
	}
}

// round starts what can be started now and returns how long nothing more is due.
func (d *dispatcher) round(ctx, sending context.Context) time.Duration {
	list, err := d.ledger.due(ctx)
	if err != nil {
		if ctx.Err() == nil {
			d.log.Warn("finding due deliveries waits", "error", err)
		}
		return d.cfg.Poll
	}
	now := d.now()
	wake := d.cfg.Poll
	paused := 0
	for _, e := range list {
		at := e.at
		if e.pausedUntil.After(now) {
			paused++
		}
		for _, bar := range []time.Time{e.pausedUntil, e.probeUntil} {
			if bar.After(at) && bar.After(now) {
				at = bar
			}
		}
		if at.After(now) {
			wake = min(wake, at.Sub(now))
			continue
		}
		d.start(ctx, sending, e, now)
	}
	d.metrics.waiting.Set(float64(len(list)))
	d.metrics.paused.Set(float64(paused))
	return wake
}

// start claims and tries as many deliveries of an endpoint as it may have under way.
func (d *dispatcher) start(ctx, sending context.Context, e due, now time.Time) {
	if e.disabled != "" {
		if err := d.ledger.end(ctx, e.endpointKey); err != nil && ctx.Err() == nil {
			d.log.Warn("ending deliveries of a disabled endpoint waits", "subscription", e.subscription, "error", err)
		}
		return
	}
	sub, ok := d.subs.get(e.endpointKey)
	if !ok || sub.disabled {
		return // held back until the directory says something new
	}
	limit := d.free(e)
	if limit == 0 {
		return // the end of a try nudges
	}
	attempts, err := d.ledger.claim(ctx, e.endpointKey, limit)
	if err != nil {
		if ctx.Err() == nil {
			d.log.Warn("claiming deliveries waits", "subscription", e.subscription, "error", err)
		}
		return
	}
	if len(attempts) > 0 {
		d.metrics.lateness.Observe(now.Sub(e.at).Seconds())
	}
	for _, a := range attempts {
		d.occupy(a, 1)
		d.tries.Go(func() {
			defer d.nudge()
			defer d.occupy(a, -1)
			d.try(sending, sub, a)
		})
	}
}

// free says how many more tries an endpoint may have under way. One that has just failed
// gets a single one, so that slow failures can't take the places of healthy endpoints, and
// a customer with many slow endpoints can't take the places of the others.
func (d *dispatcher) free(e due) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	limit := d.cfg.PerEndpoint
	if e.failures > 0 {
		limit = 1
	}
	return max(0, min(limit-d.underWay[e.endpointKey], d.cfg.PerCustomer-d.customer[e.customer], d.cfg.Total-d.total))
}

func (d *dispatcher) occupy(a attempt, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.total += n
	if d.customer[a.customer] += n; d.customer[a.customer] == 0 {
		delete(d.customer, a.customer)
	}
	if d.underWay[a.endpointKey] += n; d.underWay[a.endpointKey] == 0 {
		delete(d.underWay, a.endpointKey)
	}
	if d.claims[a.claim] += n; d.claims[a.claim] == 0 {
		delete(d.claims, a.claim)
	}
	d.metrics.underWay.Set(float64(d.total))
}

// try makes one attempt and records how it ended.
func (d *dispatcher) try(ctx context.Context, sub subscription, a attempt) {
	out := d.send(ctx, sub, a)
	v, err := d.recorder.record(ctx, landing{a, out})
	if err != nil {
		// The claim ends by itself and the delivery is tried again.
		d.log.Error("attempt is not recorded", "customer", a.customer, "delivery", a.delivery, "attempt", a.number, "error", err)
		return
	}
	d.metrics.attempted(out, v)
	d.report(ctx, a, out, v)
}

func (d *dispatcher) send(ctx context.Context, sub subscription, a attempt) webhook.Outcome {
	var ce cloudevents.Event
	if err := json.Unmarshal(a.event, &ce); err != nil {
		return webhook.Outcome{Reason: webhook.Invalid}
	}
	return d.sender.Send(ctx, sub.url, sub.secrets, webhook.Message{
		Event: ce, Mode: sub.mode, Attempt: int(a.number), At: a.startedAt, NextAttempt: a.nextAt,
	})
}

// report writes the one line about the attempt.
func (d *dispatcher) report(ctx context.Context, a attempt, out webhook.Outcome, v verdict) {
	level := slog.LevelInfo
	if v.status == Exhausted || v.disabled != "" {
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{
		slog.String("customer", a.customer), slog.String("subscription", a.subscription), slog.String("delivery", a.delivery),
		slog.String("envelope", a.envelope), slog.Int64("sequence", a.sequence),
		slog.String("event", a.eventID), slog.String("type", a.eventType),
		slog.Int64("attempt", a.number), slog.String("reason", string(out.Reason)), slog.Int("status", out.Status),
		slog.Duration("duration", out.Duration), slog.String("delivery_status", string(v.status)),
	}
	if v.status == Pending {
		attrs = append(attrs, slog.Time("next", v.nextAt.UTC()))
	}
	if !v.pausedUntil.IsZero() {
		attrs = append(attrs, slog.Time("endpoint_paused_until", v.pausedUntil.UTC()))
	}
	if v.disabled != "" {
		attrs = append(attrs, slog.String("endpoint_disabled", v.disabled))
	}
	if v.stale {
		attrs = append(attrs, slog.Bool("stale", true))
	}
	d.log.LogAttrs(ctx, level, "delivery.attempted", attrs...)
}
