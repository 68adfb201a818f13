package signaturebook

import (
	"context"
	"errors"
	"fmt"
	"strings"

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
		n, err := tx.Exec(ctx, `INSERT INTO signature_key (name, kind, value) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING`,
			name, kindOf(name), value)
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

// Each implements [pki.Keeper].
func (k *Keeper) Each(ctx context.Context, kind string, f func(name string, value []byte) error) error {
	rows, err := k.db.Query(ctx, `SELECT name, value FROM signature_key WHERE kind = $1 AND kind <> ''`, kind)
	if err != nil {
		return fmt.Errorf("list key records: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var value []byte
		if err := rows.Scan(&name, &value); err != nil {
			return fmt.Errorf("list key records: %w", err)
		}
		if err := f(name, value); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("list key records: %w", err)
	}
	return nil
}

// kindOf is what Each asks for: the part of a name before the first hyphen.
func kindOf(name string) string {
	kind, _, found := strings.Cut(name, "-")
	if !found {
		return ""
	}
	return kind
}

func readKey(ctx context.Context, q store.Querier, name string) ([]byte, error) {
	var value []byte
	err := q.QueryRow(ctx, `SELECT value FROM signature_key WHERE name = $1`, []any{name}, &value)
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("key record %s: %w", name, pki.ErrNotFound)
	}
	return value, err
}
