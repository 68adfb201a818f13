package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"github.com/pressly/goose/v3/lock"
)

// Migrate brings the tables of one owner to the newest version. The SQL files in the
// folder migrations of fsys follow goose's form and naming (00001_name.sql) and run on
// both engines. Each owner
// has its own version table, "<owner>_migrations", so owners can share a database.
// Several processes may call it at once.
func (db *DB) Migrate(ctx context.Context, owner string, fsys fs.FS) error {
	files, err := fs.Sub(fsys, "migrations")
	if err != nil {
		return fmt.Errorf("migrate %s: %w", owner, err)
	}
	dialect := database.DialectSQLite3
	opts := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if !db.Exclusive() {
		dialect = database.DialectPostgres
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300), lock.WithUnlockTimeout(1, 60))
		if err != nil {
			return fmt.Errorf("migrate %s: %w", owner, err)
		}
		opts = append(opts, goose.WithSessionLocker(locker))
	}
	versions, err := database.NewStore(dialect, owner+"_migrations")
	if err != nil {
		return fmt.Errorf("migrate %s: %w", owner, err)
	}
	provider, err := goose.NewProvider("", db.write, files, append(opts, goose.WithStore(versions))...)
	if err != nil {
		return fmt.Errorf("migrate %s: %w", owner, err)
	}
	if _, err := provider.Up(ctx); err != nil && !errors.Is(err, goose.ErrNoMigrations) {
		return fmt.Errorf("migrate %s: %w", owner, db.engine.interpret(err))
	}
	return nil
}
