package pades

import (
	"cmp"
	"context"
	"crypto"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"

	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/sign/cms"
)

// Source is a file to be signed.
//
// With a Digest the bytes of the file are not read for digesting at all, so that a
// signature costs what it adds; the digest must be that of the very bytes, as
// [digest.Restore] ensures. Without one they are read once. Ed25519 signs SHA-512
// (RFC 8419), whose state is not kept: it always takes the pass.
type Source struct {
	io.ReaderAt
	// Size is the number of bytes.
	Size int64
	// Digest is SHA-256 after all of them; the zero State when it is not known.
	Digest digest.State
}

// chunk is how much is read at once: small enough to be digested out of the
// processor's cache.
const chunk = 128 << 10

// chunks are buffers that are used again: for a small file a new one costs as much as its digest.
var chunks = sync.Pool{New: func() any { return new([chunk]byte) }}

// pass reads all bytes once, in order.
func (s Source) pass(ctx context.Context, w io.Writer) error {
	if m, ok := s.ReaderAt.(memory); ok {
		_, err := w.Write(m)
		return err
	}
	kept, _ := chunks.Get().(*[chunk]byte)
	defer chunks.Put(kept)
	buf := kept[:]
	for off := int64(0); off < s.Size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := s.ReadAt(buf[:min(int64(len(buf)), s.Size-off)], off)
		if n == 0 {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("read at %d: %w", off, err)
		}
		if _, err := w.Write(buf[:n]); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		off += int64(n)
	}
	return nil
}

// resident reads a small file whose digest is not known at once, so that its structure
// and its digest take one call to the operating system and not a dozen. The buffer is to be released.
func (s Source) resident() (Source, func(), error) {
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

// WriteTo writes the original and what was added to it. After an error out is to be
// discarded. Where both are files the operating system copies, from the file's own
// position, which moves: one file is not for two of these calls at once.
func (a *Addition) WriteTo(ctx context.Context, out io.Writer, src Source) error {
	if err := src.copyTo(ctx, out); err != nil {
		return fmt.Errorf("copy pdf: %w", err)
	}
	if _, err := out.Write(a.Tail); err != nil {
		return fmt.Errorf("write signature: %w", err)
	}
	return nil
}

func (s Source) copyTo(ctx context.Context, out io.Writer) error {
	from, ok := s.ReaderAt.(*os.File)
	if _, file := out.(*os.File); !ok || !file {
		return s.pass(ctx, out)
	}
	if _, err := from.Seek(0, io.SeekStart); err != nil {
		return err
	}
	const step = 64 << 20 // after which the context is looked at
	for left := s.Size; left > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.CopyN(out, from, min(left, step))
		if err != nil {
			return err
		}
		left -= n
	}
	return nil
}

// digests holds the state after the original, so that the digest of the signed bytes
// and that of the whole output go on from there without reading it again.
type digests struct {
	whole digest.State
	own   hash.Hash // nil when the signature uses SHA-256 too
}

// digest is SHA-256 after the file, kept or by a pass.
func (s Source) digest(ctx context.Context) (digest.State, error) {
	d, err := s.digests(ctx, crypto.SHA256)
	if err != nil {
		return digest.State{}, err
	}
	return d.whole, nil
}

func (s Source) digests(ctx context.Context, h crypto.Hash) (*digests, error) {
	d := &digests{whole: s.Digest}
	if s.Digest.Known() && s.Digest.Bytes() != s.Size {
		return nil, fmt.Errorf("%w: it is of %d bytes, the file has %d", digest.ErrState, s.Digest.Bytes(), s.Size)
	}
	var all []io.Writer
	whole := digest.NewWriter(digest.Empty())
	if !s.Digest.Known() {
		all = append(all, whole)
	}
	if h != crypto.SHA256 {
		d.own = h.New()
		all = append(all, d.own)
	}
	if len(all) == 0 {
		return d, nil
	}
	to := all[0]
	if len(all) > 1 {
		to = io.MultiWriter(all...)
	}
	if err := s.pass(ctx, to); err != nil {
		return nil, err
	}
	if !d.whole.Known() {
		d.whole = whole.State()
	}
	return d, nil
}

// signed returns the digest of the signed bytes; the state stays that of the original.
func (d *digests) signed(update *pdf.Update) ([]byte, error) {
	if d.own == nil {
		sum := d.whole.With(update.Before(), update.After()).Sum()
		return sum[:], nil
	}
	cloner, ok := d.own.(hash.Cloner)
	if !ok {
		return nil, fmt.Errorf("digest of the key's kind can not be continued: %w", cms.ErrUnsupported)
	}
	h, err := cloner.Clone()
	if err != nil {
		return nil, fmt.Errorf("continue digest: %w", err)
	}
	h.Write(update.Before())
	h.Write(update.After())
	return h.Sum(nil), nil
}
