package cades

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"signbus.dev/pkg/digest"
)

// Source is a file.
//
// With a Digest content that is signed by SHA-256 is not read for digesting at all; the
// digest must be that of the very bytes, as [digest.Restore] ensures.
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

// buffers are used again, since allocating one costs as much as a signature.
var buffers = sync.Pool{New: func() any { return new([chunk]byte) }}

// pass copies size bytes, watching the context.
func pass(ctx context.Context, out io.Writer, in io.Reader, size int64) error {
	buf, ok := buffers.Get().(*[chunk]byte)
	if !ok {
		buf = new([chunk]byte)
	}
	defer buffers.Put(buf)
	for size > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := in.Read(buf[:min(chunk, size)])
		if n == 0 && err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("read content: %w", err)
		}
		if _, err := out.Write(buf[:n]); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		size -= int64(n)
	}
	return nil
}
