// Package store opens the SQL database that a service keeps its state in. One
// hand-written SQL text serves two engines: SQLite, the default, which lives in one
// file and one process, and PostgreSQL for clusters.
//
// The package promises that a transaction given to [DB.Update] is durable when Update
// returns nil, that it is tried again when the engine asks for it (busy, deadlock,
// serialization), and that engine errors come back as the sentinels below. It does not
// know any table: each table is created and used by one owner only.
//
// What the SQL text must keep to: placeholders $1, $2, ...; column types TEXT, BIGINT,
// BOOLEAN, BYTEA and DOUBLE PRECISION; times as UTC microseconds in BIGINT (see [Micros]);
// keys chosen by the program, no auto-increment; ON CONFLICT and RETURNING are available.
// A row is locked by an UPDATE ... RETURNING, which both engines understand.
package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Sentinel errors. Engine errors are wrapped so that errors.Is finds them.
var (
	// ErrNotFound says that a query for one row found none.
	ErrNotFound = errors.New("not found")
	// ErrConflict says that a unique or foreign key forbids the change.
	ErrConflict = errors.New("conflict with an existing row")
	// ErrUnavailable says that the database cannot be reached or is shutting down;
	// the same call may succeed later.
	ErrUnavailable = errors.New("database unavailable")
	// errTryAgain says that the engine gave up a transaction that may be repeated.
	errTryAgain = errors.New("transaction must be repeated")
)

// DB is a database. It is safe for concurrent use.
type DB struct {
	engine  engine
	write   *sql.DB
	read    *sql.DB
	release func() error
}

// Querier reads rows: either a transaction or a snapshot of the database.
type Querier interface {
	// Query returns the rows of a statement; the caller closes them.
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	// QueryRow scans the single row of a statement into dest; it returns
	// [ErrNotFound] when there is none.
	QueryRow(ctx context.Context, query string, args []any, dest ...any) error
}

// Tx is a transaction that may write.
type Tx struct {
	tx     *sql.Tx
	engine engine
	points int
}

// Open opens the database that the address names: "sqlite:PATH" for a file that is
// created when missing (its folder must exist), or a "postgres://" URL. The file of a
// SQLite database is locked: a second process that opens it gets an error at once.
func Open(ctx context.Context, address string) (*DB, error) {
	var (
		db  *DB
		err error
	)
	switch {
	case strings.HasPrefix(address, "sqlite:"):
		db, err = openSQLite(strings.TrimPrefix(address, "sqlite:"))
	case strings.HasPrefix(address, "postgres://"), strings.HasPrefix(address, "postgresql://"):
		db, err = openPostgres(address)
	default:
		return nil, errors.New("open database: the address must begin with sqlite: or postgres://")
	}
	if err != nil {
		return nil, err
	}
	if err := db.Ping(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open database: %w", err), db.Close())
	}
	return db, nil
}

// Close closes the database.
func (db *DB) Close() error {
	var errs []error
	if db.read != db.write {
		errs = append(errs, db.read.Close())
	}
	errs = append(errs, db.write.Close())
	if db.release != nil {
		errs = append(errs, db.release())
	}
	return errors.Join(errs...)
}

// Ping says whether the database answers.
func (db *DB) Ping(ctx context.Context) error {
	return db.engine.interpret(db.write.PingContext(ctx))
}

// Exclusive says that no other process can use the database at the same time.
func (db *DB) Exclusive() bool { return db.engine.exclusive() }

// maxTries bounds how often Update repeats a transaction that the engine gave up.
// Deadlocks between batches resolve in two or three; ten leaves room for bad luck.
const maxTries = 10

// Update runs fn in one transaction and commits it. It repeats fn when the engine asks
// for it, so fn must not have effects outside of the transaction. An error of fn rolls
// everything back and is returned as it is.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	for try := 1; ; try++ {
		err := db.once(ctx, fn)
		if err == nil || !errors.Is(err, errTryAgain) || try == maxTries {
			return err
		}
		pause := time.Duration(1<<min(try, 6)) * time.Millisecond
		timer := time.NewTimer(pause/2 + rand.N(pause)) //nolint:gosec // jitter, not a secret
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

func (db *DB) once(ctx context.Context, fn func(*Tx) error) (err error) {
	sqlTx, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin transaction: %w", db.engine.interpret(err))
	}
	committed := false
	defer func() {
		if !committed { // also when fn panics
			_ = sqlTx.Rollback()
		}
	}()
	if err := fn(&Tx{tx: sqlTx, engine: db.engine}); err != nil {
		return db.engine.interpret(err)
	}
	if err := sqlTx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", db.engine.interpret(err))
	}
	committed = true
	return nil
}

// Query implements [Querier] outside of a transaction.
func (db *DB) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := db.read.QueryContext(ctx, query, args...)
	return rows, db.engine.interpret(err)
}

// QueryRow implements [Querier] outside of a transaction.
func (db *DB) QueryRow(ctx context.Context, query string, args []any, dest ...any) error {
	return db.engine.interpret(db.read.QueryRowContext(ctx, query, args...).Scan(dest...))
}

// Exec runs a statement and returns the number of rows it changed.
func (tx *Tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	res, err := tx.tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, tx.engine.interpret(err)
	}
	n, err := res.RowsAffected()
	return n, tx.engine.interpret(err)
}

// Query implements [Querier].
func (tx *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := tx.tx.QueryContext(ctx, query, args...)
	return rows, tx.engine.interpret(err)
}

// QueryRow implements [Querier].
func (tx *Tx) QueryRow(ctx context.Context, query string, args []any, dest ...any) error {
	return tx.engine.interpret(tx.tx.QueryRowContext(ctx, query, args...).Scan(dest...))
}

// Savepoint runs fn inside the transaction so that an error of fn undoes only what fn
// did. The error is returned as it is.
func (tx *Tx) Savepoint(ctx context.Context, fn func() error) (err error) {
	tx.points++
	name := fmt.Sprintf("p%d", tx.points)
	if _, err := tx.Exec(ctx, "SAVEPOINT "+name); err != nil {
		return err
	}
	done := false
	defer func() {
		if done {
			return
		}
		_, undo := tx.Exec(ctx, "ROLLBACK TO SAVEPOINT "+name)
		_, free := tx.Exec(ctx, "RELEASE SAVEPOINT "+name)
		err = errors.Join(err, undo, free)
	}()
	if err := fn(); err != nil {
		return tx.engine.interpret(err)
	}
	done = true
	_, err = tx.Exec(ctx, "RELEASE SAVEPOINT "+name)
	return err
}

// Micros is the form in which times are kept: UTC microseconds since 1970.
func Micros(t time.Time) int64 { return t.UnixMicro() }

// Time is the inverse of [Micros].
func Time(micros int64) time.Time { return time.UnixMicro(micros).UTC() }

// Collect scans every row with scan and closes the rows.
func Collect[T any](rows *sql.Rows, err error, scan func(*T, func(...any) error) error) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []T
	for rows.Next() {
		var item T
		if err := scan(&item, rows.Scan); err != nil {
			return nil, err
		}
		list = append(list, item)
	}
	return list, rows.Err()
}

// engine is what differs between the two database engines.
type engine interface {
	exclusive() bool
	// interpret turns an error of the engine into one that wraps a sentinel of this
	// package; other errors, nil included, come back unchanged.
	interpret(err error) error
}

func interpretCommon(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	if errors.Is(err, sql.ErrConnDone) || errors.Is(err, driver.ErrBadConn) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}

func known(err error) bool {
	return err == nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrConflict) ||
		errors.Is(err, ErrUnavailable) || errors.Is(err, errTryAgain)
}

// MustRepeat says that an error asks for the whole transaction to be repeated.
// [DB.Update] does so by itself when its function returns the error.
func MustRepeat(err error) bool { return errors.Is(err, errTryAgain) }
