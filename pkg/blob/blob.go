// Package blob keeps document bytes under their SHA-256. Bytes are written once, under a
// temporary name that is synced and renamed, and read back with the digest checked, so a
// reader never sees half a document or a damaged one.
//
// A version that is an older one with a tail shares the older one's bytes, and its digest
// goes on from the one that was kept: storing it costs what it adds. Each is still a blob
// of its own, which can be removed without the other.
//
// Blobs live in a scope: a customer and an envelope. The same bytes in two scopes are
// two files; so one customer can never reach another's bytes, and removing a scope
// cannot touch anybody else's document.
package blob

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"signbus.dev/pkg/digest"
)

// Sentinel errors.
var (
	// ErrNotFound says that the scope has no such blob.
	ErrNotFound = errors.New("blob not found")
	// ErrCorrupt says that the bytes on disk no longer have their digest.
	ErrCorrupt = errors.New("blob is damaged")
	// ErrTooLarge says that more bytes came than the caller allows.
	ErrTooLarge = errors.New("blob is too large")
	// ErrName says that a scope or a digest is not well formed.
	ErrName = errors.New("malformed blob name")
)

// Scope is the place of the blobs of one envelope.
type Scope struct {
	// Customer is the public id of the customer: letters, digits, "-" and "_".
	Customer string
	// ID is the envelope's own id, of the same characters.
	ID string
}

// Ref names stored bytes.
type Ref struct {
	// SHA256 is the digest in lower-case hexadecimal.
	SHA256 string
	// Size is the number of bytes.
	Size int64
}

// Store is where blobs are kept. Implementations pass the suite in blobtest.
type Store interface {
	// Put keeps the bytes of r durably and returns their name. It returns
	// [ErrTooLarge], keeping nothing, when r has more than limit bytes. Putting the same
	// bytes twice is harmless.
	Put(ctx context.Context, scope Scope, r io.Reader, limit int64) (Ref, error)
	// Append keeps, durably, the bytes of a blob followed by the tail. The state is that
	// of the blob's digest and so names it; the blob stays as it is. Bytes that are there
	// are neither read nor copied when there are many of them. It returns [ErrNotFound]
	// when the scope has no such blob.
	Append(ctx context.Context, scope Scope, base digest.State, tail []byte) (Ref, error)
	// Open returns the bytes; reading to the end reports [ErrCorrupt] when they do not
	// have their digest. It returns [ErrNotFound] when there are none.
	Open(ctx context.Context, scope Scope, sha256 string) (Reader, error)
	// Link makes a blob of one scope a blob of another as well, durably and without
	// copying; either can be removed without the other. It returns [ErrNotFound] when from
	// has no such blob.
	Link(ctx context.Context, from Scope, sha256 string, to Scope) error
	// Move renames a scope, durably. to must not exist.
	Move(ctx context.Context, from, to Scope) error
	// List returns the blobs of a scope, in no particular order.
	List(ctx context.Context, scope Scope) ([]Ref, error)
	// Remove removes one blob; a missing one is not an error. Blobs that were made of it
	// stay.
	Remove(ctx context.Context, scope Scope, sha256 string) error
	// RemoveScope removes every blob of a scope; a missing scope is not an error.
	RemoveScope(ctx context.Context, scope Scope) error
	// Scopes calls visit for every scope with the time of its last change.
	Scopes(ctx context.Context, visit func(Scope, time.Time) error) error
	// Clean removes what a crash in the middle of a call left in a scope before that
	// time; a missing scope is not an error.
	Clean(ctx context.Context, scope Scope, before time.Time) error
}

// Reader reads a blob. Sequential reading checks the digest at the end; ReadAt does not.
type Reader interface {
	io.ReadSeekCloser
	io.ReaderAt
	// Size is the number of bytes.
	Size() int64
	// Digest is the state of the digest of all bytes, proven to be that of the blob's
	// name; the zero State when none was kept, as for a small blob.
	Digest() digest.State
}

// Dir is a [Store] in a folder of a local or shared file system.
type Dir struct{ root string }

var _ Store = (*Dir)(nil)

// NewDir returns the store in root, which is created when missing.
func NewDir(root string) (*Dir, error) {
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, fmt.Errorf("open blob store: %w", err)
	}
	return &Dir{root: root}, nil
}

var (
	namePattern   = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	digestPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// ReadAll reads a whole blob into memory and checks its digest.
func ReadAll(ctx context.Context, s Store, scope Scope, sha256 string) ([]byte, error) {
	r, err := s.Open(ctx, scope, sha256)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	buf := bytes.NewBuffer(make([]byte, 0, r.Size()+bytes.MinRead))
	_, err = buf.ReadFrom(r)
	return buf.Bytes(), err
}

func (d *Dir) dir(scope Scope) (string, error) {
	if !namePattern.MatchString(scope.Customer) || !namePattern.MatchString(scope.ID) {
		return "", fmt.Errorf("%w: scope", ErrName)
	}
	return filepath.Join(d.root, scope.Customer, scope.ID), nil
}

func (d *Dir) path(scope Scope, digest string) (string, error) {
	dir, err := d.dir(scope)
	if err != nil {
		return "", err
	}
	if !digestPattern.MatchString(digest) {
		return "", fmt.Errorf("%w: digest", ErrName)
	}
	return filepath.Join(dir, digest), nil
}

func nameOf(state digest.State) string {
	sum := state.Sum()
	return hex.EncodeToString(sum[:])
}

func refOf(state digest.State) Ref { return Ref{SHA256: nameOf(state), Size: state.Bytes()} }

// Put implements [Store].
func (d *Dir) Put(ctx context.Context, scope Scope, r io.Reader, limit int64) (ref Ref, err error) {
	dir, err := d.dir(scope)
	if err != nil {
		return Ref{}, err
	}
	tmp, err := createTemp(d.root, dir)
	if err != nil {
		return Ref{}, fmt.Errorf("put blob: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tmp.Close(), remove(tmp.Name()))
			_ = os.Remove(dir) // only when nothing else is in it
		}
	}()
	sum := digest.NewWriter(digest.State{})
	n, err := io.Copy(io.MultiWriter(tmp, sum), io.LimitReader(contextReader{ctx, r}, limit+1))
	if err != nil {
		return Ref{}, fmt.Errorf("put blob: %w", err)
	}
	if n > limit {
		return Ref{}, fmt.Errorf("put blob: %w: more than %d bytes", ErrTooLarge, limit)
	}
	if err := tmp.Sync(); err != nil {
		return Ref{}, fmt.Errorf("put blob: %w", err)
	}
	if err := publish(dir, tmp.Name(), sum.State()); err != nil {
		return Ref{}, fmt.Errorf("put blob: %w", err)
	}
	return refOf(sum.State()), errors.Join(tmp.Close(), syncDir(dir))
}

// publish gives a synced file its name: its digest.
func publish(dir, file string, state digest.State) error {
	if state.Bytes() < inParts {
		return os.Rename(file, filepath.Join(dir, nameOf(state)))
	}
	s, err := newStage(dir)
	if err != nil {
		return err
	}
	if err := os.Rename(file, s.next()); err != nil {
		return errors.Join(err, s.discard())
	}
	return s.publish(state)
}

// createTemp makes a temporary file in dir. A failing Put may remove the folder, empty
// again, between its creation and that of the file; then both are made once more.
func createTemp(root, dir string) (*os.File, error) {
	for try := 1; ; try++ {
		if err := makeDir(root, dir); err != nil {
			return nil, err
		}
		f, err := os.OpenFile(tempName(dir), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err == nil || !errors.Is(err, fs.ErrNotExist) || try == 5 {
			return f, err
		}
	}
}

// tempPrefix begins the names of what is not finished or not wanted any more.
const tempPrefix = ".tmp-"

func tempName(dir string) string { return filepath.Join(dir, tempPrefix+rand.Text()) }

// remove is os.Remove for what may be gone.
func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// makeDir creates the scope's folder and syncs the parents that it had to create, so
// that the folder itself outlives a power cut.
func makeDir(root, dir string) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return syncDir(filepath.Dir(dir)) // whoever made it may not have come so far
	}
	customer := filepath.Dir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.Mkdir(customer, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := syncDir(root); err != nil {
			return err
		}
		if err = os.Mkdir(dir, 0o700); errors.Is(err, fs.ErrExist) {
			err = nil
		}
	}
	if err != nil {
		return err
	}
	return syncDir(customer)
}

func syncDir(path string) error {
	f, err := os.Open(path) //nolint:gosec // built from checked names
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

type contextReader struct {
	ctx context.Context //nolint:containedctx // lives as long as one Put
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// Move implements [Store].
func (d *Dir) Move(_ context.Context, from, to Scope) error {
	source, err := d.dir(from)
	if err != nil {
		return err
	}
	target, err := d.dir(to)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return fmt.Errorf("move blobs: %w", err)
	}
	if err := os.Rename(source, target); err != nil {
		return fmt.Errorf("move blobs: %w", err)
	}
	return errors.Join(syncDir(d.root), syncDir(filepath.Dir(target)), syncDir(filepath.Dir(source)))
}

// List implements [Store].
func (d *Dir) List(_ context.Context, scope Scope) ([]Ref, error) {
	dir, err := d.dir(scope)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list blobs: %w", err)
	}
	var refs []Ref
	for _, entry := range entries {
		if !digestPattern.MatchString(entry.Name()) {
			continue // not finished, or removed
		}
		size, err := sizeOf(filepath.Join(dir, entry.Name()))
		if err != nil {
			continue // removed meanwhile
		}
		refs = append(refs, Ref{SHA256: entry.Name(), Size: size})
	}
	return refs, nil
}

// Remove implements [Store].
func (d *Dir) Remove(_ context.Context, scope Scope, digest string) error {
	path, err := d.path(scope, digest)
	if err != nil {
		return err
	}
	if err := removeAtOnce(path); err != nil {
		return fmt.Errorf("remove blob %s: %w", digest, err)
	}
	return nil
}

// removeAtOnce takes the name away first, so that nobody opens half a blob.
func removeAtOnce(path string) error {
	gone := tempName(filepath.Dir(path))
	if err := os.Rename(path, gone); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return os.RemoveAll(gone)
}

// RemoveScope implements [Store].
func (d *Dir) RemoveScope(_ context.Context, scope Scope) error {
	dir, err := d.dir(scope)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove blobs of %s: %w", scope.ID, err)
	}
	for _, entry := range entries {
		if entry.IsDir() {
			err = errors.Join(err, removeAtOnce(filepath.Join(dir, entry.Name())))
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove blobs of %s: %w", scope.ID, err)
	}
	return nil
}

// Clean implements [Store].
func (d *Dir) Clean(ctx context.Context, scope Scope, before time.Time) error {
	dir, err := d.dir(scope)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("clean blobs of %s: %w", scope.ID, err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !strings.HasPrefix(entry.Name(), tempPrefix) || !info.ModTime().Before(before) {
			continue // finished, in the making, or gone meanwhile
		}
		if err := errors.Join(ctx.Err(), os.RemoveAll(filepath.Join(dir, entry.Name()))); err != nil {
			return fmt.Errorf("clean blobs of %s: %w", scope.ID, err)
		}
	}
	return nil
}

// Scopes implements [Store].
func (d *Dir) Scopes(ctx context.Context, visit func(Scope, time.Time) error) error {
	customers, err := os.ReadDir(d.root)
	if err != nil {
		return fmt.Errorf("list blob scopes: %w", err)
	}
	for _, customer := range customers {
		scopes, err := os.ReadDir(filepath.Join(d.root, customer.Name()))
		if err != nil {
			return fmt.Errorf("list blob scopes: %w", err)
		}
		for _, scope := range scopes {
			info, err := scope.Info()
			if err != nil {
				continue // removed meanwhile
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := visit(Scope{Customer: customer.Name(), ID: scope.Name()}, info.ModTime()); err != nil {
				return err
			}
		}
	}
	return nil
}
