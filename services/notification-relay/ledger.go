package relay

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"time"

	"signbus.dev/pkg/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate creates the tables of this service.
func Migrate(ctx context.Context, db *store.DB) error {
	return db.Migrate(ctx, "relay", migrations)
}

// Status is the state of a delivery.
type Status string

// The states. Only the first is not an end.
const (
	// Pending: to be tried, now or later.
	Pending Status = "pending"
	// Delivered: the receiver has taken the event.
	Delivered Status = "delivered"
	// Exhausted: the retry schedule has ended without success.
	Exhausted Status = "exhausted"
	// Discarded: nobody wants it any more.
	Discarded Status = "discarded"
)

// Why a delivery ended other than by its own last try.
const (
	reasonDeleted = "subscription_deleted"
	reasonGone    = "endpoint_gone"
	reasonFailing = "endpoint_failing"
)

// Why an endpoint is disabled.
const (
	disabledGone    = "gone"
	disabledFailing = "failing"
)

var errOutOfOrder = errors.New("an earlier event of the envelope has not been seen yet")

// ledger keeps deliveries, attempts and endpoint health. Its methods that take a
// transaction are parts of another's; the others are transactions of their own.
//
// Locks on PostgreSQL are taken in the order endpoint, lane, delivery. A lane's row is
// what makes everything about one envelope and subscription happen one after the other.
type ledger struct {
	db       *store.DB
	instance string
	cfg      Config
	now      func() time.Time
	newID    func() string
	random   func() float64
}

// lane names what must stay in order.
type lane struct {
	endpointKey
	envelope string
}

// accept writes one delivery for each subscription, once. It refuses an event whose
// predecessor in the envelope has not been accepted and may still come.
func (l *ledger) accept(ctx context.Context, tx *store.Tx, ev event, subs []subscription, attempt int) error {
	if err := l.advance(ctx, tx, ev, attempt); err != nil {
		return err
	}
	for _, sub := range subs {
		if err := l.insert(ctx, tx, ev, sub); err != nil {
			return fmt.Errorf("accept event %s for subscription %s: %w", ev.id, sub.subscription, err)
		}
	}
	return nil
}

// advance moves the envelope's place forward. Redeliveries and several consuming
// processes can bring the events of one envelope in another order than that of the stream.
func (l *ledger) advance(ctx context.Context, tx *store.Tx, ev event, attempt int) error {
	if ev.sequence == 0 {
		return nil
	}
	var last int64
	err := tx.QueryRow(ctx, `SELECT sequence FROM relay_envelopes WHERE customer = $1 AND envelope = $2`,
		[]any{ev.customer, ev.envelope}, &last)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if ev.sequence > last+1 && !ev.settled && attempt < maxWaitForPredecessor {
		return errOutOfOrder
	}
	if ev.sequence <= last {
		return nil
	}
	_, err = tx.Exec(ctx, `INSERT INTO relay_envelopes (customer, envelope, sequence, seen_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (customer, envelope) DO UPDATE SET sequence = excluded.sequence, seen_at = excluded.seen_at
		WHERE relay_envelopes.sequence < excluded.sequence`,
		ev.customer, ev.envelope, ev.sequence, store.Micros(l.now()))
	return err
}

func (l *ledger) insert(ctx context.Context, tx *store.Tx, ev event, sub subscription) error {
	now := l.now()
	if _, err := tx.Exec(ctx, `INSERT INTO relay_endpoints (customer, subscription, address_digest) VALUES ($1, $2, $3)
		ON CONFLICT (customer, subscription) DO NOTHING`, sub.customer, sub.subscription, sub.addressDigest()); err != nil {
		return err
	}
	var disabled string
	if err := tx.QueryRow(ctx, `SELECT disabled FROM relay_endpoints WHERE customer = $1 AND subscription = $2`,
		[]any{sub.customer, sub.subscription}, &disabled); err != nil {
		return err
	}
	status, reason, ended := Pending, "", int64(0)
	if disabled != "" {
		status, reason, ended = Discarded, "endpoint_"+disabled, store.Micros(now)
	}
	delay, _ := l.cfg.Schedule.Next(0, l.random)
	next := store.Micros(now.Add(delay))
	if status == Pending {
		// The update that changes nothing locks the lane against its being ended meanwhile.
		if _, err := tx.Exec(ctx, `INSERT INTO relay_lanes (customer, subscription, envelope, due_at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (customer, subscription, envelope) DO UPDATE SET due_at = relay_lanes.due_at`,
			sub.customer, sub.subscription, ev.envelope, next); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `INSERT INTO relay_deliveries (id, customer, subscription, envelope, sequence, event_id, event_type,
			external_id, event, status, reason, next_at, created_at, ended_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
		ON CONFLICT (customer, subscription, event_id) DO NOTHING`,
		l.newID(), sub.customer, sub.subscription, ev.envelope, ev.sequence, ev.id, ev.eventType,
		ev.externalID, ev.body, string(status), reason, next, store.Micros(now), ended)
	return err
}

// settle sets when the lane's first delivery may be tried, or ends the lane when
// nothing is pending in it. The caller has locked the lane's row.
func (l *ledger) settle(ctx context.Context, tx *store.Tx, ln lane) error {
	var next int64
	err := tx.QueryRow(ctx, `SELECT next_at FROM relay_deliveries
		WHERE customer = $1 AND subscription = $2 AND envelope = $3 AND status = 'pending' ORDER BY sequence, id LIMIT 1`,
		[]any{ln.customer, ln.subscription, ln.envelope}, &next)
	switch {
	case errors.Is(err, store.ErrNotFound):
		_, err = tx.Exec(ctx, `DELETE FROM relay_lanes WHERE customer = $1 AND subscription = $2 AND envelope = $3`,
			ln.customer, ln.subscription, ln.envelope)
	case err == nil:
		_, err = tx.Exec(ctx, `UPDATE relay_lanes SET due_at = $1, claim = '', claimed_by = ''
			WHERE customer = $2 AND subscription = $3 AND envelope = $4`, next, ln.customer, ln.subscription, ln.envelope)
	}
	return err
}

// drop ends everything that is pending for an endpoint.
func (l *ledger) drop(ctx context.Context, tx *store.Tx, key endpointKey, status Status, reason string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM relay_lanes WHERE customer = $1 AND subscription = $2`, key.customer, key.subscription); err != nil {
		return err
	}
	now := store.Micros(l.now())
	// An attempt under way overwrites this at its end; one whose process died has none.
	if _, err := tx.Exec(ctx, `UPDATE relay_attempts SET ended_at = $1, reason = 'interrupted' WHERE ended_at = 0 AND delivery IN
			(SELECT id FROM relay_deliveries WHERE customer = $2 AND subscription = $3 AND status = 'pending')`,
		now, key.customer, key.subscription); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE relay_deliveries SET status = $1, reason = $2, ended_at = $3
		WHERE customer = $4 AND subscription = $5 AND status = 'pending'`,
		string(status), reason, now, key.customer, key.subscription)
	return err
}

// end gives the pending deliveries of a disabled endpoint their end. Disabling does so
// itself; this is for what was being written at that moment.
func (l *ledger) end(ctx context.Context, key endpointKey) error {
	return l.db.Update(ctx, func(tx *store.Tx) error {
		var why string
		err := tx.QueryRow(ctx, `UPDATE relay_endpoints SET probe_until = 0 WHERE customer = $1 AND subscription = $2 AND disabled <> ''
			RETURNING disabled`, []any{key.customer, key.subscription}, &why)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return l.dropDisabled(ctx, tx, key, why)
	})
}

func (l *ledger) dropDisabled(ctx context.Context, tx *store.Tx, key endpointKey, why string) error {
	if why == disabledFailing {
		return l.drop(ctx, tx, key, Exhausted, reasonFailing)
	}
	return l.drop(ctx, tx, key, Discarded, reasonGone)
}

// forget discards what is pending for a subscription that was deleted.
func (l *ledger) forget(ctx context.Context, key endpointKey) error {
	return l.db.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM relay_endpoints WHERE customer = $1 AND subscription = $2`, key.customer, key.subscription); err != nil {
			return err
		}
		return l.drop(ctx, tx, key, Discarded, reasonDeleted)
	})
}

// readdress gives the endpoint of a subscription a new start when its address has changed.
func (l *ledger) readdress(ctx context.Context, sub subscription) error {
	var known string
	err := l.db.QueryRow(ctx, `SELECT address_digest FROM relay_endpoints WHERE customer = $1 AND subscription = $2`,
		[]any{sub.customer, sub.subscription}, &known)
	if errors.Is(err, store.ErrNotFound) || (err == nil && known == sub.addressDigest()) {
		return nil
	}
	if err != nil {
		return err
	}
	return l.db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE relay_endpoints SET address_digest = $1, failures = 0, failing_since = 0, pauses = 0,
				paused_until = 0, probe_until = 0, disabled = ''
			WHERE customer = $2 AND subscription = $3 AND address_digest <> $1`, sub.addressDigest(), sub.customer, sub.subscription)
		return err
	})
}

// recover gives back the claims of an earlier run of this instance, or of any run when
// no other process can use the database; they would else wait for their end.
func (l *ledger) recover(ctx context.Context) error {
	query, args := `UPDATE relay_lanes SET claim = '', claimed_by = '', due_at = $1 WHERE claim <> '' AND claimed_by = $2`,
		[]any{store.Micros(l.now()), l.instance}
	if l.db.Exclusive() {
		query, args = `UPDATE relay_lanes SET claim = '', claimed_by = '', due_at = $1 WHERE claim <> ''`, args[:1]
	}
	return l.db.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(ctx, query, args...); err != nil || !l.db.Exclusive() {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE relay_endpoints SET probe_until = 0 WHERE probe_until <> 0`)
		return err
	})
}

// purgeBatch keeps a purge from holding up deliveries.
const purgeBatch = 500

// purge deletes deliveries that ended long ago, and the places of envelopes of which
// nothing was seen for longer than events are kept.
func (l *ledger) purge(ctx context.Context) error {
	for {
		var n int64
		err := l.db.Update(ctx, func(tx *store.Tx) (err error) {
			n, err = tx.Exec(ctx, `DELETE FROM relay_deliveries WHERE id IN
				(SELECT id FROM relay_deliveries WHERE ended_at > 0 AND ended_at < $1 LIMIT $2)`,
				store.Micros(l.now().Add(-l.cfg.Retention)), int64(purgeBatch))
			return err
		})
		if err != nil {
			return fmt.Errorf("purge deliveries: %w", err)
		}
		if n < purgeBatch {
			break
		}
	}
	return l.db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM relay_envelopes WHERE seen_at < $1`, store.Micros(l.now().Add(-envelopeMemory)))
		return err
	})
}

// envelopeMemory is longer than the EVENTS stream keeps events by default.
const envelopeMemory = 100 * 24 * time.Hour

// endpoints lists the endpoints that the ledger knows.
func (l *ledger) endpoints(ctx context.Context) ([]endpointKey, error) {
	rows, err := l.db.Query(ctx, `SELECT customer, subscription FROM relay_endpoints`)
	return store.Collect(rows, err, func(k *endpointKey, scan func(...any) error) error {
		return scan(&k.customer, &k.subscription)
	})
}
