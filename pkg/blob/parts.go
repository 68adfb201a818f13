package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"signbus.dev/pkg/digest"
)

// A blob is a file under its digest, or a folder under its digest: then the files 0, 1, 2
// and so on are its parts in order, and the file "state" is the state of its digest.
// Blobs that begin alike have hard links to the same parts, which are never written
// again, so the file system counts for us who still needs them.

// inParts is the size in bytes from which a blob is a folder. Smaller ones are copied and
// digested in less time than a folder takes.
const inParts = 1 << 20

const stateFile = "state"

// stage is a folder in which a blob is put together before it gets its name. A crash
// leaves it behind under a temporary name, for [Dir.Clean].
type stage struct {
	dir  string // of the scope
	path string
	size int64 // of the parts that were linked
	n    int   // number of parts
}

func newStage(dir string) (*stage, error) {
	s := &stage{dir: dir, path: tempName(dir)}
	return s, os.Mkdir(s.path, 0o700)
}

func (s *stage) discard() error { return os.RemoveAll(s.path) }

// next is the path of the next part.
func (s *stage) next() string {
	s.n++
	return filepath.Join(s.path, strconv.Itoa(s.n-1))
}

// link makes a part of another blob the next part.
func (s *stage) link(path string) error {
	to := s.next()
	if err := os.Link(path, to); err != nil {
		return err
	}
	info, err := os.Stat(to)
	if err == nil {
		s.size += info.Size()
	}
	return err
}

// write makes the bytes of r the next part, durably.
func (s *stage) write(r io.Reader) error {
	f, err := os.OpenFile(s.next(), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// publish adds the state and gives the folder its name. A blob that is there already has
// the same bytes and stays. The state is not synced: a damaged one is as good as none.
func (s *stage) publish(state digest.State) error {
	kept, err := state.MarshalBinary()
	if err == nil {
		err = os.WriteFile(filepath.Join(s.path, stateFile), kept, 0o600)
	}
	if err == nil {
		err = syncDir(s.path)
	}
	if err != nil {
		return errors.Join(err, s.discard())
	}
	target := filepath.Join(s.dir, nameOf(state))
	if err := os.Rename(s.path, target); err != nil {
		if _, there := os.Stat(target); there == nil {
			err = nil
		}
		return errors.Join(err, s.discard())
	}
	return nil
}

// Append implements [Store].
func (d *Dir) Append(ctx context.Context, scope Scope, base digest.State, tail []byte) (Ref, error) {
	dir, err := d.dir(scope)
	if err != nil {
		return Ref{}, err
	}
	if !base.Known() {
		return Ref{}, fmt.Errorf("%w: the digest is not known", ErrName)
	}
	if err := ctx.Err(); err != nil {
		return Ref{}, err
	}
	old, err := d.open(scope, nameOf(base))
	if err != nil {
		return Ref{}, err
	}
	defer old.Close()
	after := base.With(tail)
	if after.Bytes() < inParts {
		return d.Put(ctx, scope, io.MultiReader(old, bytes.NewReader(tail)), after.Bytes())
	}
	if err := appendParts(ctx, dir, old, base.Bytes(), tail, after); err != nil {
		return Ref{}, fmt.Errorf("append to blob %s: %w", nameOf(base), err)
	}
	return refOf(after), syncDir(dir)
}

// appendParts links the parts of the old blob and writes the tail as the last one. A part
// that is not much larger than what comes after it is copied into it, so that each part has more than
// twice the size of the next: many small tails stay few files, and each byte is copied a few times at most.
func appendParts(ctx context.Context, dir string, old *reader, size int64, tail []byte, after digest.State) error {
	keep, last := len(old.parts), int64(len(tail))
	for keep > 0 && old.parts[keep-1].size <= 2*last {
		keep--
		last += old.parts[keep].size
	}
	s, err := newStage(dir)
	if err != nil {
		return gone(err)
	}
	for _, p := range old.parts[:keep] {
		if err := s.link(p.Name()); err != nil {
			return errors.Join(gone(err), s.discard())
		}
	}
	if s.size+last != size+int64(len(tail)) {
		// Cut off on the disk, or removed and stored anew in other parts since it was opened.
		return errors.Join(ErrCorrupt, s.discard())
	}
	var rest []io.Reader
	for _, p := range old.parts[keep:] {
		rest = append(rest, contextReader{ctx, io.NewSectionReader(p, 0, p.size)})
	}
	if err := s.write(io.MultiReader(append(rest, bytes.NewReader(tail))...)); err != nil {
		return errors.Join(err, s.discard())
	}
	return s.publish(after)
}

// gone says that what was there when it was opened is there no more.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNotFound
	}
	return err
}

// Link implements [Store].
func (d *Dir) Link(_ context.Context, from Scope, digest string, to Scope) error {
	source, err := d.path(from, digest)
	if err != nil {
		return err
	}
	dir, err := d.dir(to)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		if err := makeDir(d.root, dir); err != nil {
			return fmt.Errorf("link blob %s: %w", digest, err)
		}
		err := linkTo(dir, source, digest)
		switch {
		case err == nil, errors.Is(err, fs.ErrExist):
			return syncDir(dir)
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("link blob %s: %w", digest, err)
		}
		if _, err := os.Stat(source); errors.Is(err, fs.ErrNotExist) {
			_ = os.Remove(dir) // only when nothing else is in it
			return fmt.Errorf("link blob %s: %w", digest, ErrNotFound)
		}
		if try == 5 {
			return fmt.Errorf("link blob %s: %w", digest, err)
		}
	}
}

// linkTo links a file, or the parts of a folder.
func linkTo(dir, source, digest string) error {
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	target := filepath.Join(dir, digest)
	if !info.IsDir() {
		return os.Link(source, target)
	}
	if _, err := os.Stat(target); err == nil {
		return fs.ErrExist
	}
	s, err := newStage(dir)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(source)
	for _, entry := range entries {
		err = errors.Join(err, os.Link(filepath.Join(source, entry.Name()), filepath.Join(s.path, entry.Name())))
	}
	if err == nil {
		err = syncDir(s.path)
	}
	if err == nil {
		// Removed meanwhile, it may have been listed or linked in part.
		_, err = os.Stat(source)
	}
	if err == nil {
		err = os.Rename(s.path, target)
	}
	if err != nil {
		return errors.Join(err, s.discard())
	}
	return nil
}

// sizeOf is the size of a blob.
func sizeOf(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return sizeOfFile(info), err
	}
	var size int64
	for n := 0; ; n++ {
		part, err := os.Stat(filepath.Join(path, strconv.Itoa(n)))
		if errors.Is(err, fs.ErrNotExist) {
			return size, nil
		}
		if err != nil {
			return 0, err
		}
		size += part.Size()
	}
}

func sizeOfFile(info fs.FileInfo) int64 {
	if info == nil {
		return 0
	}
	return info.Size()
}
