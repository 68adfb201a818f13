package pki

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxRecord bounds what is read back; a record has about three kilobytes.
const maxRecord = 1 << 20

// Directory is a Keeper with one file for each record, readable by its owner alone.
type Directory struct{ path string }

var _ Keeper = (*Directory)(nil)

// NewDirectory makes the directory if it is not there.
func NewDirectory(path string) (*Directory, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("open key store: %w", err)
	}
	return &Directory{path: path}, nil
}

// Get implements Keeper.
func (d *Directory) Get(ctx context.Context, name string) ([]byte, error) {
	path, err := d.file(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("read key record %s: %w", name, err)
	}
	value, err := readBounded(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read key record %s: %w", name, err)
	}
	return value, nil
}

// PutIfAbsent implements Keeper. The value is complete and on disk before it has
// its name, and a hard link never replaces a file that another process made first.
func (d *Directory) PutIfAbsent(ctx context.Context, name string, value []byte) ([]byte, error) {
	path, err := d.file(ctx, name)
	if err == nil {
		err = d.write(path, value)
	}
	if errors.Is(err, fs.ErrExist) {
		return d.Get(ctx, name)
	}
	if err != nil {
		return nil, fmt.Errorf("write key record %s: %w", name, err)
	}
	return value, nil
}

// Each implements Keeper.
func (d *Directory) Each(ctx context.Context, kind string, f func(name string, value []byte) error) error {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return fmt.Errorf("list key records: %w", err)
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), kind+"-") {
			continue
		}
		value, err := d.Get(ctx, entry.Name())
		if err != nil {
			return err
		}
		if err := f(entry.Name(), value); err != nil {
			return err
		}
	}
	return nil
}

func (d *Directory) write(path string, value []byte) (err error) {
	temporary, err := os.CreateTemp(d.path, ".new-*") // Mode 0600.
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temporary.Name()) }()
	_, err = temporary.Write(value)
	if err == nil {
		err = temporary.Sync()
	}
	if err := errors.Join(err, temporary.Close()); err != nil {
		return err
	}
	// When another was first, its name may not be on disk yet, so both sync the folder.
	linked := os.Link(temporary.Name(), path)
	folder, err := os.Open(d.path)
	if err != nil {
		return err
	}
	if err := errors.Join(folder.Sync(), folder.Close()); err != nil {
		return err
	}
	return linked
}

func (d *Directory) file(ctx context.Context, name string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if len(name) == 0 || len(name) > 100 || name[0] == '.' {
		return "", errors.New("name is not that of a record")
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return "", errors.New("name is not that of a record")
		}
	}
	return filepath.Join(d.path, name), nil
}

func readBounded(path string) ([]byte, error) {
	file, err := os.Open(path) //nolint:gosec // The name was checked by file.
	if err != nil {
		return nil, err
	}
	value, err := io.ReadAll(io.LimitReader(file, maxRecord+1))
	if err == nil && len(value) > maxRecord {
		err = fmt.Errorf("more than %d bytes", maxRecord)
	}
	return value, errors.Join(err, file.Close())
}
