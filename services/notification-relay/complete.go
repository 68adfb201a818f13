package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"signbus.dev/pkg/store"
	"signbus.dev/services/notification-relay/webhook"
)

// verdict says what became of a delivery by an attempt.
type verdict struct {
	status Status
	reason string
	// nextAt is set while the delivery is pending.
	nextAt time.Time
	// stale says that the lane had been given to another try in the meantime.
	stale bool
	// pausedUntil and disabled say what the attempt did to the endpoint.
	pausedUntil time.Time
	disabled    string
}

// judge decides what an outcome means for the delivery.
func judge(a attempt, out webhook.Outcome, now time.Time) verdict {
	switch {
	case out.Delivered():
		return verdict{status: Delivered}
	case out.Disables():
		return verdict{status: Discarded, reason: string(out.Reason)}
	case !out.Counts():
		return verdict{status: Pending, reason: string(out.Reason), nextAt: now}
	case a.nextAt.IsZero():
		return verdict{status: Exhausted, reason: string(out.Reason)}
	}
	v := verdict{status: Pending, reason: string(out.Reason), nextAt: a.nextAt}
	if asked := now.Add(out.RetryAfter); asked.After(v.nextAt) {
		v.nextAt = asked
	}
	return v
}

// landing is an attempt that has ended.
type landing struct {
	attempt
	outcome webhook.Outcome
}

// complete records how attempts ended and lets their lanes go on, in one transaction.
func (l *ledger) complete(ctx context.Context, landings ...landing) ([]verdict, error) {
	verdicts := make([]verdict, len(landings))
	err := l.db.Update(ctx, func(tx *store.Tx) (err error) {
		for i, n := range landings {
			if verdicts[i], err = l.completeOne(ctx, tx, n.attempt, n.outcome); err != nil {
				return fmt.Errorf("complete attempt %d of delivery %s: %w", n.number, n.delivery, err)
			}
		}
		return nil
	})
	return verdicts, err
}

func (l *ledger) completeOne(ctx context.Context, tx *store.Tx, a attempt, out webhook.Outcome) (verdict, error) {
	now := l.now()
	v := judge(a, out, now)
	if err := l.closeAttempt(ctx, tx, a, out, now); err != nil {
		return v, err
	}
	h, err := l.rate(ctx, tx, a, out, now)
	if err != nil {
		return v, err
	}
	v.pausedUntil, v.disabled = h.pausedUntil, h.disabled
	if out.Disables() && v.disabled == "" { // the address has changed: try that one
		v.status, v.nextAt = Pending, now
	}
	held, err := tx.Exec(ctx, `UPDATE relay_lanes SET claim = '', claimed_by = ''
		WHERE customer = $1 AND subscription = $2 AND envelope = $3 AND claim = $4`,
		a.customer, a.subscription, a.envelope, a.claim)
	if err != nil {
		return v, err
	}
	v.stale = held == 0
	// When the lane is in other hands, they decide; only a success is told all the same.
	if !v.stale || v.status == Delivered {
		if err := l.move(ctx, tx, a, out, v, now); err != nil {
			return v, err
		}
	}
	if !v.stale {
		if err := l.settle(ctx, tx, a.lane); err != nil {
			return v, err
		}
	}
	if v.disabled == "" {
		return v, nil
	}
	return v, l.dropDisabled(ctx, tx, a.endpointKey, v.disabled)
}

func (l *ledger) closeAttempt(ctx context.Context, tx *store.Tx, a attempt, out webhook.Outcome, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE relay_attempts SET ended_at = $1, duration = $2, status = $3, reason = $4 WHERE delivery = $5 AND attempt = $6`,
		store.Micros(now), out.Duration.Microseconds(), int64(out.Status), string(out.Reason), a.delivery, a.number)
	return err
}

// move changes the delivery. What has ended meanwhile (the subscription was deleted)
// stays ended, except that a success is always told.
func (l *ledger) move(ctx context.Context, tx *store.Tx, a attempt, out webhook.Outcome, v verdict, now time.Time) error {
	next, ended := store.Micros(now), store.Micros(now)
	if v.status == Pending {
		next, ended = store.Micros(v.nextAt), 0
	}
	failures := a.failures
	if out.Counts() && !out.Delivered() && !out.Disables() {
		failures++
	}
	if _, err := tx.Exec(ctx, `UPDATE relay_deliveries SET status = $1, reason = $2, failures = $3, next_at = $4, ended_at = $5
		WHERE id = $6 AND (status = 'pending' OR $1 = 'delivered')`,
		string(v.status), v.reason, failures, next, ended, a.delivery); err != nil || !v.stale {
		return err
	}
	// Nobody begins this delivery again, so nobody would close the attempt that took its
	// place if that one's process died. Alive, it overwrites this.
	return closeOpen(ctx, tx, a.delivery, now)
}

// closeOpen closes attempts whose process gave no more sign of life.
func closeOpen(ctx context.Context, tx *store.Tx, delivery string, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE relay_attempts SET ended_at = $1, reason = $2 WHERE delivery = $3 AND ended_at = 0`,
		store.Micros(now), string(webhook.Interrupted), delivery)
	return err
}

// health is what is known about an endpoint.
type health struct {
	failures, pauses        int64
	pausedUntil, probeUntil time.Time
	disabled                string
}

// rate takes an outcome into the endpoint's health. It returns what the outcome caused:
// a pause or the end of the endpoint.
func (l *ledger) rate(ctx context.Context, tx *store.Tx, a attempt, out webhook.Outcome, now time.Time) (health, error) {
	switch {
	case out.Delivered():
		_, err := tx.Exec(ctx, `UPDATE relay_endpoints SET failures = 0, failing_since = 0, pauses = 0, paused_until = 0, probe_until = 0
			WHERE customer = $1 AND subscription = $2 AND failures > 0`, a.customer, a.subscription)
		return health{}, err
	case out.Disables():
		return l.disable(ctx, tx, a, disabledGone)
	case !out.Counts():
		if !a.probe {
			return health{}, nil
		}
		return health{}, l.endProbe(ctx, tx, a.endpointKey)
	}
	var failures, since, pauses, paused int64
	err := tx.QueryRow(ctx, `UPDATE relay_endpoints SET failures = failures + 1,
			failing_since = CASE WHEN failing_since = 0 THEN $1 ELSE failing_since END
		WHERE customer = $2 AND subscription = $3 RETURNING failures, failing_since, pauses, paused_until`,
		[]any{store.Micros(now), a.customer, a.subscription}, &failures, &since, &pauses, &paused)
	if errors.Is(err, store.ErrNotFound) { // the subscription is gone
		return health{}, nil
	}
	if err != nil || failures < int64(l.cfg.Breaker.Failures) {
		return health{}, err
	}
	if now.Sub(store.Time(since)) >= l.cfg.Breaker.DisableAfter {
		return l.disable(ctx, tx, a, disabledFailing)
	}
	// What was under way when the pause began says nothing new.
	if !a.probe && paused > store.Micros(a.startedAt) {
		return health{}, nil
	}
	until := now.Add(l.cfg.Breaker.pause(pauses, l.random))
	_, err = tx.Exec(ctx, `UPDATE relay_endpoints SET pauses = pauses + 1, paused_until = $1, probe_until = 0
		WHERE customer = $2 AND subscription = $3`, store.Micros(until), a.customer, a.subscription)
	return health{pausedUntil: until}, err
}

// disable ends the endpoint, unless its address has changed since the attempt began.
func (l *ledger) disable(ctx context.Context, tx *store.Tx, a attempt, why string) (health, error) {
	n, err := tx.Exec(ctx, `UPDATE relay_endpoints SET disabled = $1, probe_until = 0
		WHERE customer = $2 AND subscription = $3 AND address_digest = $4`, why, a.customer, a.subscription, a.address)
	if err != nil || n == 0 {
		return health{}, err
	}
	return health{disabled: why}, nil
}
