package providerdispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/store"
	"signbus.dev/services/provider-dispatch/process"
)

// watchClock expires envelopes until ctx ends. Of all processes that share the database
// one does it at a time, to spare the others the work; the row locks alone would do for
// correctness.
func (s *Service) watchClock(ctx context.Context) error {
	lease := bus.NewLease(s.db, "dispatch-expiry")
	ticker := time.NewTicker(s.opts.ExpiryInterval)
	defer ticker.Stop()
	for {
		if err := s.expireDue(ctx, lease); err != nil && ctx.Err() == nil {
			s.log.Warn("expiry waits", "error", err)
		}
		select {
		case <-ctx.Done():
			return lease.Release(context.WithoutCancel(ctx))
		case <-ticker.C:
		}
	}
}

// expireDue expires every envelope whose time has passed, each in its own transaction. An
// envelope that cannot be expired holds up no other; it is tried again in the next round.
func (s *Service) expireDue(ctx context.Context, lease *bus.Lease) error {
	var last deadline
	for ctx.Err() == nil {
		held, err := lease.Hold(ctx)
		if err != nil || !held {
			return err
		}
		list, err := s.due(ctx, last)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, d := range list {
			if err := s.expire(ctx, d.envelope); err != nil {
				s.log.Warn("envelope is not expired", "envelope", d.envelope, "error", err)
			}
		}
		s.journal.Nudge()
		s.outbox.Nudge()
		last = list[len(list)-1]
	}
	return nil
}

// deadline is when an envelope expires.
type deadline struct {
	at       int64
	envelope string
}

// dueBatch bounds how long the lease is not renewed.
const dueBatch = 100

// due returns the next deadlines that have passed, after one.
func (s *Service) due(ctx context.Context, after deadline) ([]deadline, error) {
	rows, err := s.db.Query(ctx, `SELECT expire_at, id FROM dispatch_envelopes
		WHERE expire_at > 0 AND expire_at <= $1 AND (expire_at > $2 OR (expire_at = $2 AND id > $3))
		ORDER BY expire_at, id LIMIT $4`, store.Micros(s.now()), after.at, after.envelope, dueBatch)
	return store.Collect(rows, err, func(d *deadline, scan func(...any) error) error {
		return scan(&d.at, &d.envelope)
	})
}

// expire expires one envelope, unless it has ended in the meantime.
func (s *Service) expire(ctx context.Context, id string) error {
	var facts []fact
	err := s.db.Update(ctx, func(tx *store.Tx) error {
		facts = nil
		e, err := lockEnvelope(ctx, tx, id)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		result, err := process.Apply(e.State, process.Expire{}, s.now())
		if err != nil || result.Void != process.Effective {
			return err
		}
		facts, err = s.advance(ctx, tx, e, result, nil)
		return err
	})
	if err != nil {
		return fmt.Errorf("expire envelope %s: %w", id, err)
	}
	tell(facts)
	return nil
}
