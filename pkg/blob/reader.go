package blob

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"signbus.dev/pkg/digest"
)

// reader reads the parts of a blob as one. It checks the digest of what is read in
// sequence from the beginning. After a Seek to elsewhere the check is off until the reader
// is back at the beginning.
type reader struct {
	name   string
	folder string // empty for a blob that is one file
	parts  []part
	size   int64

	pos    int64
	sum    *digest.Writer
	broken bool
}

// part is an open file of a blob.
type part struct {
	*os.File
	at, size int64
}

// Open implements [Store].
func (d *Dir) Open(_ context.Context, scope Scope, digest string) (Reader, error) {
	r, err := d.open(scope, digest)
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (d *Dir) open(scope Scope, name string) (*reader, error) {
	path, err := d.path(scope, name)
	if err != nil {
		return nil, err
	}
	r := &reader{name: name, sum: digest.NewWriter(digest.State{})}
	if err := r.open(path); err != nil {
		return nil, errors.Join(fmt.Errorf("open blob %s: %w", name, gone(err)), r.Close())
	}
	return r, nil
}

func (r *reader) open(path string) error {
	before, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !before.IsDir() {
		return r.add(path)
	}
	r.folder = path
	for n := 0; ; n++ {
		err := r.add(filepath.Join(path, strconv.Itoa(n)))
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return err
		}
	}
	// A blob loses its name before its parts: who still has it has all of them.
	after, err := os.Stat(path)
	if err == nil && !os.SameFile(before, after) {
		return fs.ErrNotExist
	}
	return err
}

func (r *reader) add(path string) error {
	f, err := os.Open(path) //nolint:gosec // built from checked names
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	r.parts = append(r.parts, part{File: f, at: r.size, size: info.Size()})
	r.size += info.Size()
	return nil
}

// Size implements [Reader].
func (r *reader) Size() int64 { return r.size }

// Digest implements [Reader].
func (r *reader) Digest() digest.State {
	var want [digest.Size]byte
	if _, err := hex.Decode(want[:], []byte(r.name)); err != nil || r.folder == "" {
		return digest.State{}
	}
	kept, err := os.ReadFile(filepath.Join(r.folder, stateFile))
	if err != nil {
		return digest.State{}
	}
	state, err := digest.Restore(kept, want, r.size)
	if err != nil {
		return digest.State{} // damaged: then the bytes are read once more
	}
	return state
}

// Read implements [io.Reader].
func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := r.ReadAt(p, r.pos)
	r.pos += int64(n)
	if !r.broken {
		_, _ = r.sum.Write(p[:n]) // a digest never fails
	}
	if n > 0 {
		return n, nil
	}
	if errors.Is(err, io.EOF) && !r.broken && nameOf(r.sum.State()) != r.name {
		return 0, fmt.Errorf("read blob %s: %w", r.name, ErrCorrupt)
	}
	return 0, err
}

// ReadAt implements [io.ReaderAt].
func (r *reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read blob %s: %w", r.name, fs.ErrInvalid)
	}
	var n int
	for _, part := range r.parts {
		if n == len(p) {
			return n, nil
		}
		at := off + int64(n) - part.at
		if at >= part.size {
			continue
		}
		got, err := part.ReadAt(p[n:min(int64(len(p)), int64(n)+part.size-at)], at)
		n += got
		if err != nil {
			return n, err
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Seek implements [io.Seeker].
func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.pos
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return r.pos, fmt.Errorf("seek in blob %s: %w", r.name, fs.ErrInvalid)
	}
	r.pos = offset
	if r.broken = offset != 0; !r.broken {
		r.sum = digest.NewWriter(digest.State{})
	}
	return offset, nil
}

// Close implements [io.Closer].
func (r *reader) Close() error {
	var errs []error
	for _, p := range r.parts {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}
