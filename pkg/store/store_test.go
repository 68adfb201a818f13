package store_test

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"signbus.dev/pkg/store"
	"signbus.dev/pkg/store/storetest"
)

func migrated(t *testing.T, db *store.DB) *store.DB {
	t.Helper()
	require.NoError(t, db.Migrate(t.Context(), "thing", os.DirFS("testdata")))
	return db
}

func insert(t *testing.T, tx *store.Tx, id string) error {
	t.Helper()
	_, err := tx.Exec(t.Context(), `INSERT INTO thing (id, made_at, open, share, body) VALUES ($1, $2, $3, $4, $5)`,
		id, store.Micros(time.Unix(1, 5000)), true, 0.25, []byte{0, 0xff})
	return err
}

func count(t *testing.T, db *store.DB) (n int) {
	t.Helper()
	require.NoError(t, db.QueryRow(t.Context(), `SELECT count(*) FROM thing`, nil, &n))
	return n
}

func TestValuesComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		migrated(t, db)
		require.NoError(t, db.Update(t.Context(), func(tx *store.Tx) error { return insert(t, tx, "a") }))
		var (
			made  int64
			open  bool
			share float64
			body  []byte
		)
		require.NoError(t, db.QueryRow(t.Context(), `SELECT made_at, open, share, body FROM thing WHERE id = $1 AND open = $2`,
			[]any{"a", true}, &made, &open, &share, &body))
		require.Equal(t, time.Unix(1, 5000).UTC(), store.Time(made))
		require.True(t, open)
		require.InDelta(t, 0.25, share, 0)
		require.Equal(t, []byte{0, 0xff}, body)
	})
}

func TestPlaceholdersMayRepeatAndComeInAnyOrder(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		var a, b, c string
		require.NoError(t, db.QueryRow(t.Context(), `SELECT CAST($2 AS TEXT), CAST($1 AS TEXT), CAST($2 AS TEXT)`,
			[]any{"one", "two"}, &a, &b, &c))
		require.Equal(t, []string{"two", "one", "two"}, []string{a, b, c})
	})
}

func TestUpdateRollsBackOnErrorAndOnPanic(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		migrated(t, db)
		boom := errors.New("boom")
		require.ErrorIs(t, db.Update(t.Context(), func(tx *store.Tx) error {
			require.NoError(t, insert(t, tx, "a"))
			return boom
		}), boom)
		require.Panics(t, func() {
			_ = db.Update(t.Context(), func(tx *store.Tx) error {
				require.NoError(t, insert(t, tx, "b"))
				panic("boom")
			})
		})
		require.Zero(t, count(t, db))
	})
}

func TestSavepointUndoesOnlyItsOwn(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		migrated(t, db)
		require.NoError(t, db.Update(t.Context(), func(tx *store.Tx) error {
			require.NoError(t, insert(t, tx, "a"))
			err := tx.Savepoint(t.Context(), func() error {
				require.NoError(t, insert(t, tx, "b"))
				return insert(t, tx, "a")
			})
			require.ErrorIs(t, err, store.ErrConflict)
			return tx.Savepoint(t.Context(), func() error { return insert(t, tx, "c") })
		}))
		require.Equal(t, 2, count(t, db))
	})
}

func TestErrorsAreSentinels(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		migrated(t, db)
		require.ErrorIs(t, db.QueryRow(t.Context(), `SELECT id FROM thing`, nil, new(string)), store.ErrNotFound)
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(t.Context(), `INSERT INTO thing (id, parent, made_at, open, share) VALUES ('x', 'nobody', 0, $1, 0)`, false)
			return err
		})
		require.ErrorIs(t, err, store.ErrConflict)
	})
}

func TestConcurrentUpdatesAllHappen(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		migrated(t, db)
		var group errgroup.Group
		for i := range 50 {
			group.Go(func() error {
				return db.Update(t.Context(), func(tx *store.Tx) error { return insert(t, tx, fmt.Sprint(i)) })
			})
		}
		require.NoError(t, group.Wait())
		require.Equal(t, 50, count(t, db))
	})
}

// Two transactions that lock two rows in opposite order cannot both go on: the engine
// gives one up, and Update repeats it.
func TestDeadlocksAreRepeated(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		migrated(t, db)
		require.NoError(t, db.Update(t.Context(), func(tx *store.Tx) error {
			return errors.Join(insert(t, tx, "a"), insert(t, tx, "b"))
		}))
		if db.Exclusive() {
			t.Log("one writer at a time: no deadlock is possible")
		}
		var first sync.WaitGroup
		first.Add(2)
		if db.Exclusive() {
			first.Add(-1)
		}
		lock := func(rows ...string) error {
			tries := 0
			return db.Update(t.Context(), func(tx *store.Tx) error {
				tries++
				for i, row := range rows {
					if _, err := tx.Exec(t.Context(), `UPDATE thing SET share = share + 1 WHERE id = $1`, row); err != nil {
						return err
					}
					if i == 0 && tries == 1 && !db.Exclusive() {
						first.Done()
						first.Wait()
					}
				}
				return nil
			})
		}
		var group errgroup.Group
		group.Go(func() error { return lock("a", "b") })
		group.Go(func() error { return lock("b", "a") })
		require.NoError(t, group.Wait())
		var share float64
		require.NoError(t, db.QueryRow(t.Context(), `SELECT sum(share) FROM thing`, nil, &share))
		require.InDelta(t, 4.5, share, 0)
	})
}

func TestMigrateIsRepeatableAndConcurrent(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		var group errgroup.Group
		for range 3 {
			group.Go(func() error { return db.Migrate(t.Context(), "thing", os.DirFS("testdata")) })
		}
		require.NoError(t, group.Wait())
		require.Zero(t, count(t, db))
	})
}

func TestSQLiteFileHasOneProcess(t *testing.T) {
	t.Parallel()
	address := storetest.SQLite(t)
	storetest.Open(t, address)
	_, err := store.Open(t.Context(), address)
	require.ErrorContains(t, err, "in use by another process")
}

func TestSQLiteIsDurable(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, storetest.SQLite(t))
	var mode string
	require.NoError(t, db.QueryRow(t.Context(), `PRAGMA journal_mode`, nil, &mode))
	require.Equal(t, "wal", mode)
	require.NoError(t, db.Update(t.Context(), func(tx *store.Tx) error {
		var synchronous int
		require.NoError(t, tx.QueryRow(t.Context(), `PRAGMA synchronous`, nil, &synchronous))
		require.Equal(t, 2, synchronous, "FULL")
		return nil
	}))
}

func TestOpenRefusesUnknownAddressesWithoutRepeatingThem(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"mysql://secret@host/db", "postgres://app:secret@:bad:port/db"} {
		_, err := store.Open(t.Context(), address)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "secret")
	}
}
