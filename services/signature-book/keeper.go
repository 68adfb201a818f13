package signaturebook

import (
	"context"
	"errors"
	"fmt"

	"signbus.dev/pkg/pki"
	"signbus.dev/pkg/store"
)

// Keeper keeps the records of the key store in this service's database, so that all its
// processes sign with the same keys.
type Keeper struct{ db *store.DB }

var _ pki.Keeper = (*Keeper)(nil)

// NewKeeper returns the keeper; its table must exist (see [Migrate]).
func NewKeeper(db *store.DB) *Keeper { return &Keeper{db: db} }

// Get implements [pki.Keeper].
func (k *Keeper) Get(ctx context.Context, name string) ([]byte, error) {
	return readKey(ctx, k.db, name)
}

// PutIfAbsent implements [pki.Keeper].
func (k *Keeper) PutIfAbsent(ctx context.Context, name string, value []byte) ([]byte, error) {
	var stored []byte
	err := k.db.Update(ctx, func(tx *store.Tx) error {
		n, err := tx.Exec(ctx, `INSERT INTO signature_key (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`, name, value)
		if err != nil {
			return err
		}
		if n == 1 {
			stored = value
			return nil
		}
		stored, err = readKey(ctx, tx, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("keep key record %s: %w", name, err)
	}
	return stored, nil
}

func readKey(ctx context.Context, q store.Querier, name string) ([]byte, error) {
	var value []byte
	err := q.QueryRow(ctx, `SELECT value FROM signature_key WHERE name = $1`, []any{name}, &value)
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("key record %s: %w", name, pki.ErrNotFound)
	}
	return value, err
}
