package digest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Source is a file that is read, and the digest of it where that is known.
//
// With a Digest the bytes are not read for digesting by SHA-256 at all, so that what goes on
// from them costs what it adds; the digest must be that of the very bytes, as [Restore] ensures.
type Source struct {
	io.ReaderAt
	// Size is the number of bytes.
	Size int64
	// Digest is SHA-256 after all of them; the zero State when it is not known.
	Digest State
}

// chunk is how much is read at once: small enough to be digested out of the
// processor's cache.
const chunk = 128 << 10

// chunks are buffers that are used again: for a small file a new one costs as much as its digest.
var chunks = sync.Pool{New: func() any { return new([chunk]byte) }}

// Pass reads all bytes once, in order. It ends with the context.
func (s Source) Pass(ctx context.Context, w io.Writer) error {
	if m, ok := s.ReaderAt.(memory); ok {
		_, err := w.Write(m)
		return err
	}
	return Copy(ctx, w, io.NewSectionReader(s, 0, s.Size), s.Size)
}

// Copy reads exactly size bytes and writes them. It ends with the context; too few bytes
// are [io.ErrUnexpectedEOF].
func Copy(ctx context.Context, w io.Writer, r io.Reader, size int64) error {
	kept, _ := chunks.Get().(*[chunk]byte)
	defer chunks.Put(kept)
	for left := size; left > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := r.Read(kept[:min(chunk, left)])
		if n == 0 && err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("read at %d: %w", size-left, err)
		}
		if _, err := w.Write(kept[:n]); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		left -= int64(n)
	}
	return nil
}

// Resident reads a small file whose digest is not known at once, so that its structure
// and its digest take one call to the operating system and not a dozen. The buffer is to be released.
func (s Source) Resident() (Source, func(), error) {
	if s.Digest.Known() || s.Size > chunk {
		return s, func() {}, nil
	}
	kept, _ := chunks.Get().(*[chunk]byte)
	release := func() { chunks.Put(kept) }
	if n, err := s.ReadAt(kept[:s.Size], 0); int64(n) < s.Size {
		release()
		return s, nil, fmt.Errorf("read: %w", cmp.Or(err, io.ErrUnexpectedEOF))
	}
	s.ReaderAt = memory(kept[:s.Size])
	return s, release, nil
}

// memory is a file in memory.
type memory []byte

// ReadAt implements [io.ReaderAt].
func (m memory) ReadAt(p []byte, off int64) (int, error) {
	n := copy(p, m[min(off, int64(len(m))):])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
