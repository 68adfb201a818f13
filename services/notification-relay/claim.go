package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"signbus.dev/pkg/store"
)

// due says when an endpoint has something to be tried, and in which health it is.
type due struct {
	endpointKey
	health
	// at is when its first lane is due.
	at time.Time
}

// due lists the endpoints that have pending deliveries. It reads one index entry for
// each endpoint, so that a long queue of one costs the others nothing.
func (l *ledger) due(ctx context.Context) ([]due, error) {
	rows, err := l.db.Query(ctx, `SELECT e.customer, e.subscription, e.failures, e.pauses, e.paused_until, e.probe_until, e.disabled,
			COALESCE((SELECT MIN(d.due_at) FROM relay_lanes d WHERE d.customer = e.customer AND d.subscription = e.subscription), -1)
		FROM relay_endpoints e`)
	all, err := store.Collect(rows, err, func(d *due, scan func(...any) error) error {
		var paused, probe, at int64
		if err := scan(&d.customer, &d.subscription, &d.failures, &d.pauses, &paused, &probe, &d.disabled, &at); err != nil {
			return err
		}
		d.pausedUntil, d.probeUntil = store.Time(paused), store.Time(probe)
		if at >= 0 {
			d.at = store.Time(at)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find due deliveries: %w", err)
	}
	list := all[:0]
	for _, d := range all {
		if !d.at.IsZero() {
			list = append(list, d)
		}
	}
	return list, nil
}

// attempt is one try that has been recorded and is to be made now.
type attempt struct {
	lane
	// claim fences the try: whoever lost the lane in the meantime can't change it.
	claim string
	// probe says that an endpoint is tried again after a pause; address is the digest of
	// its address, so that what an old address answers is not held against a new one.
	probe   bool
	address string

	delivery   string
	event      []byte
	eventID    string
	eventType  string
	externalID string
	sequence   int64

	// number counts the tries, failures those that used up the schedule.
	number    int64
	failures  int64
	startedAt time.Time
	// nextAt is when the next try follows if this one fails; zero on the last.
	nextAt time.Time
}

// probeTime is how long a probe keeps others off when its process gives no more sign of
// life: longer than a try can last.
const probeTime = 30 * time.Second

// renew lengthens claims whose tries are under way.
func (l *ledger) renew(ctx context.Context, claims []string) error {
	return l.db.Update(ctx, func(tx *store.Tx) error {
		until := store.Micros(l.now().Add(l.cfg.Lease))
		for _, claim := range claims {
			if _, err := tx.Exec(ctx, `UPDATE relay_lanes SET due_at = $1 WHERE claim = $2 AND claim <> ''`, until, claim); err != nil {
				return fmt.Errorf("renew claims: %w", err)
			}
		}
		return nil
	})
}

// claim takes up to limit lanes of an endpoint and records a started attempt for the
// first delivery of each. Nobody else gets these lanes until the claim's end. It returns
// nothing when the endpoint pauses or another process probes it.
func (l *ledger) claim(ctx context.Context, key endpointKey, limit int) ([]attempt, error) {
	var attempts []attempt
	err := l.db.Update(ctx, func(tx *store.Tx) error {
		attempts = nil
		now := l.now()
		admitted, err := l.admit(ctx, tx, key, now)
		if err != nil || !admitted.ok {
			return err
		}
		if admitted.probe {
			limit = 1
		}
		claim := l.newID()
		rows, err := tx.Query(ctx, `UPDATE relay_lanes SET due_at = $1, claim = $2, claimed_by = $3
			WHERE customer = $4 AND subscription = $5 AND due_at <= $6 AND envelope IN
				(SELECT envelope FROM relay_lanes WHERE customer = $4 AND subscription = $5 AND due_at <= $6 ORDER BY due_at, envelope LIMIT $7)
			RETURNING envelope`,
			store.Micros(now.Add(l.cfg.Lease)), claim, l.instance, key.customer, key.subscription, store.Micros(now), int64(limit))
		lanes, err := store.Collect(rows, err, func(ln *lane, scan func(...any) error) error {
			ln.endpointKey = key
			return scan(&ln.envelope)
		})
		if err != nil {
			return err
		}
		for _, ln := range lanes {
			a, err := l.begin(ctx, tx, ln, now)
			if err != nil {
				return err
			}
			if a != nil {
				a.claim, a.probe, a.address = claim, admitted.probe, admitted.address
				attempts = append(attempts, *a)
			}
		}
		if admitted.probe && len(attempts) == 0 {
			return l.endProbe(ctx, tx, key)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("claim deliveries of subscription %s: %w", key.subscription, err)
	}
	return attempts, nil
}

// admission says whether and how an endpoint may be tried.
type admission struct {
	ok, probe bool
	address   string
}

// admit decides about an endpoint. After a pause one try alone may probe it; the
// conditional update gives the probe to one process only.
func (l *ledger) admit(ctx context.Context, tx *store.Tx, key endpointKey, now time.Time) (admission, error) {
	var a admission
	var failures, paused int64
	var disabled string
	err := tx.QueryRow(ctx, `SELECT address_digest, failures, paused_until, disabled FROM relay_endpoints WHERE customer = $1 AND subscription = $2`,
		[]any{key.customer, key.subscription}, &a.address, &failures, &paused, &disabled)
	if errors.Is(err, store.ErrNotFound) {
		return admission{}, nil
	}
	if err != nil || disabled != "" || paused > store.Micros(now) {
		return admission{}, err
	}
	if failures < int64(l.cfg.Breaker.Failures) {
		a.ok = true
		return a, nil
	}
	n, err := tx.Exec(ctx, `UPDATE relay_endpoints SET probe_until = $1
		WHERE customer = $2 AND subscription = $3 AND probe_until <= $4 AND paused_until <= $4`,
		store.Micros(now.Add(probeTime)), key.customer, key.subscription, store.Micros(now))
	a.ok, a.probe = n == 1, true
	return a, err
}

func (l *ledger) endProbe(ctx context.Context, tx *store.Tx, key endpointKey) error {
	_, err := tx.Exec(ctx, `UPDATE relay_endpoints SET probe_until = 0 WHERE customer = $1 AND subscription = $2`,
		key.customer, key.subscription)
	return err
}

// begin records a started attempt for the first delivery of a lane. An attempt that was
// left open by a process that died is closed as interrupted. It returns nil when the
// lane has nothing to try now.
func (l *ledger) begin(ctx context.Context, tx *store.Tx, ln lane, now time.Time) (*attempt, error) {
	a := &attempt{lane: ln, startedAt: now}
	var next int64
	err := tx.QueryRow(ctx, `SELECT id, event, event_id, event_type, external_id, sequence, attempts, failures, next_at FROM relay_deliveries
		WHERE customer = $1 AND subscription = $2 AND envelope = $3 AND status = 'pending' ORDER BY sequence, id LIMIT 1`,
		[]any{ln.customer, ln.subscription, ln.envelope},
		&a.delivery, &a.event, &a.eventID, &a.eventType, &a.externalID, &a.sequence, &a.number, &a.failures, &next)
	if errors.Is(err, store.ErrNotFound) || (err == nil && next > store.Micros(now)) {
		return nil, l.settle(ctx, tx, ln)
	}
	if err != nil {
		return nil, err
	}
	a.number++
	if delay, more := l.cfg.Schedule.Next(int(a.failures)+1, l.random); more {
		a.nextAt = now.Add(delay)
	}
	if err := closeOpen(ctx, tx, a.delivery, now); err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, `UPDATE relay_deliveries SET attempts = $1 WHERE id = $2`, a.number, a.delivery); err != nil {
		return nil, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO relay_attempts (delivery, attempt, started_at) VALUES ($1, $2, $3)`,
		a.delivery, a.number, store.Micros(now))
	return a, err
}
