package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"signbus.dev/pkg/store"
)

// leaseTime is how long a lease outlives its holder's last sign of life.
const leaseTime = 6 * time.Second

// Lease lets one of several processes do what only one may do at a time. The epoch rises
// with every change of holder, so that what an earlier holder still does can be told apart.
// It is for one goroutine.
type Lease struct {
	db     *store.DB
	name   string
	holder string
	now    func() time.Time
	until  time.Time
	epoch  int64
}

// NewLease returns a lease that is not held yet.
func NewLease(db *store.DB, name string) *Lease {
	return &Lease{db: db, name: name, holder: NewID(), now: time.Now}
}

// Hold takes the lease or renews it, and says whether this process holds it now. On a
// database that no other process can open it costs nothing.
func (l *Lease) Hold(ctx context.Context) (bool, error) {
	if l.db.Exclusive() {
		return true, nil
	}
	now := l.now()
	if now.Before(l.until.Add(-leaseTime / 2)) {
		return true, nil
	}
	until := now.Add(leaseTime)
	err := l.db.Update(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(ctx, `INSERT INTO bus_lease (name, holder, epoch, expires_at) VALUES ($1, $2, 1, $3)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at,
				epoch = CASE WHEN bus_lease.holder = excluded.holder THEN bus_lease.epoch ELSE bus_lease.epoch + 1 END
			WHERE bus_lease.holder = excluded.holder OR bus_lease.expires_at < $4
			RETURNING epoch`, []any{l.name, l.holder, store.Micros(until), store.Micros(now)}, &l.epoch)
	})
	if errors.Is(err, store.ErrNotFound) { // another process holds it
		l.until = time.Time{}
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("lease %s: %w", l.name, err)
	}
	l.until = until
	return true, nil
}

// Epoch is the number of the holding that [Lease.Hold] last confirmed.
func (l *Lease) Epoch() int64 { return l.epoch }

// Release gives the lease up so that another process need not wait for its end.
func (l *Lease) Release(ctx context.Context) error {
	if l.until.IsZero() {
		return nil
	}
	l.until = time.Time{}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return l.db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE bus_lease SET expires_at = 0 WHERE name = $1 AND holder = $2`, l.name, l.holder)
		return err
	})
}
