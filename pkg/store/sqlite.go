package store

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

type sqliteEngine struct{}

// openSQLite opens one connection that writes and a few that read. SQLite has one
// writer at a time whatever the number of connections; with one connection for it the
// wait happens in Go's pool, in order, instead of in busy loops.
func openSQLite(path string) (*DB, error) {
	release, err := lockFile(path + ".lock")
	if err != nil {
		return nil, err
	}
	write, err := sql.Open("sqlite", dsn(path, "immediate"))
	if err != nil {
		return nil, errors.Join(err, release())
	}
	write.SetMaxOpenConns(1)
	read, err := sql.Open("sqlite", dsn(path, "deferred", "query_only(1)"))
	if err != nil {
		return nil, errors.Join(err, write.Close(), release())
	}
	read.SetMaxOpenConns(8)
	return &DB{engine: sqliteEngine{}, write: write, read: read, release: release}, nil
}

// dsn sets the pragmas of every connection. busy_timeout comes first, because setting
// the journal mode may itself find the file busy.
func dsn(path, txlock string, extra ...string) string {
	q := url.Values{}
	for _, pragma := range append([]string{
		"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
		"cache_size(-16000)", "temp_store(MEMORY)",
	}, extra...) {
		q.Add("_pragma", pragma)
	}
	q.Set("_txlock", txlock)
	return "file:" + strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path) + "?" + q.Encode()
}

// lockFile makes sure that one process alone uses the database: a second one would
// run the same pumps and deliver in another order. The lock ends with the process.
func lockFile(path string) (func() error, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the path is the operator's own
	if err != nil {
		return nil, fmt.Errorf("lock database: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock database: %s is in use by another process: %w", path, err), f.Close())
	}
	return f.Close, nil
}

func (sqliteEngine) exclusive() bool { return true }

func (sqliteEngine) interpret(err error) error {
	if known(err) {
		return err
	}
	var se *sqlite.Error
	if !errors.As(err, &se) {
		return interpretCommon(err)
	}
	switch code := se.Code(); code & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("%w: %w", errTryAgain, err)
	case sqlite3.SQLITE_CONSTRAINT:
		if code == sqlite3.SQLITE_CONSTRAINT_UNIQUE || code == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY ||
			code == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY {
			return fmt.Errorf("%w: %w", ErrConflict, err)
		}
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN:
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}
