package pades

import (
	"context"
	"crypto"
	"fmt"
	"hash"
	"io"
	"os"

	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/sign/cms"
)

// WriteTo writes the original and what was added to it. After an error out is to be
// discarded. Where both are files the operating system copies, from the file's own
// position, which moves: one file is not for two of these calls at once.
func (a *Addition) WriteTo(ctx context.Context, out io.Writer, src digest.Source) error {
	if err := copyTo(ctx, out, src); err != nil {
		return fmt.Errorf("copy pdf: %w", err)
	}
	if _, err := out.Write(a.Tail); err != nil {
		return fmt.Errorf("write signature: %w", err)
	}
	return nil
}

func copyTo(ctx context.Context, out io.Writer, src digest.Source) error {
	from, ok := src.ReaderAt.(*os.File)
	if _, file := out.(*os.File); !ok || !file {
		return src.Pass(ctx, out)
	}
	if _, err := from.Seek(0, io.SeekStart); err != nil {
		return err
	}
	const step = 64 << 20 // after which the context is looked at
	for left := src.Size; left > 0; {
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

// stateOf is SHA-256 after the file, kept or by a pass.
func stateOf(ctx context.Context, src digest.Source) (digest.State, error) {
	d, err := digestsOf(ctx, src, crypto.SHA256)
	if err != nil {
		return digest.State{}, err
	}
	return d.whole, nil
}

// digestsOf makes the digests that a signature by h starts from. Of SHA-256 the state is
// known or kept; that of others never is, so that they always take the pass.
func digestsOf(ctx context.Context, src digest.Source, h crypto.Hash) (*digests, error) {
	d := &digests{whole: src.Digest}
	if src.Digest.Known() && src.Digest.Bytes() != src.Size {
		return nil, fmt.Errorf("%w: it is of %d bytes, the file has %d", digest.ErrState, src.Digest.Bytes(), src.Size)
	}
	var all []io.Writer
	whole := digest.NewWriter(digest.State{})
	if !src.Digest.Known() {
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
	if err := src.Pass(ctx, to); err != nil {
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
