package pades

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/sign/cms"
)

// Params says how to sign.
type Params struct {
	// Field is the name of an existing blank signature field; empty adds a new field.
	Field string
	// FieldName is the beginning of a new field's name, "Signature" when empty.
	FieldName string
	// Boxes are where the signature shows, see [pdf.Request]; none makes it invisible.
	Boxes []pdf.Box
	// Appearance is what shows there.
	Appearance pdf.Appearance
	// Name, Reason, Location and Contact are stated in the signature dictionary.
	Name, Reason, Location, Contact string
	// Time is the claimed time of signing.
	Time time.Time
	// Signer holds the private key, Chain its certificates, leaf first.
	Signer crypto.Signer
	Chain  []*x509.Certificate
	// Timestamp gets a time-stamp token over the signature value; nil makes a B-B signature.
	Timestamp func(ctx context.Context, signatureValue []byte) (token []byte, err error)
	// Now tells at which time the certificate must be valid; nil is time.Now.
	Now func() time.Time
	// Limits bounds the reading of the original; zero values are the defaults, but any size.
	Limits pdf.Limits
}

// Result describes a signed file.
type Result struct {
	// SHA256 is the digest of the whole output.
	SHA256 [sha256.Size]byte
	// Size is its number of bytes.
	Size int64
	// FieldName is the full name of the signed field.
	FieldName string
	// Signatures is the number of signatures in the output.
	Signatures int
}

// Sign copies in to out and appends a signature over all of it. What is refused is
// refused before anything is written; after an error in between, out is to be discarded.
func Sign(ctx context.Context, in io.ReaderAt, size int64, out io.Writer, p Params) (Result, error) {
	result, err := sign(ctx, in, size, out, p)
	if err != nil {
		return Result{}, fmt.Errorf("sign pdf: %w", err)
	}
	return result, nil
}

func sign(ctx context.Context, in io.ReaderAt, size int64, out io.Writer, p Params) (Result, error) {
	if len(p.Chain) == 0 || p.Signer == nil {
		return Result{}, fmt.Errorf("no certificate or no key: %w", cms.ErrKeyMismatch)
	}
	if p.Limits.Bytes == 0 {
		p.Limits.Bytes = max(size, 1) // the file is streamed, and signatures make it grow
	}
	reserve := cms.Size(p.Chain, p.Timestamp != nil)
	update, err := pdf.Prepare(ctx, in, size, p.Limits, p.request(reserve))
	if err != nil {
		return Result{}, err
	}
	d := newDigests(cms.HashFor(p.Signer.Public()))
	if err := copyOriginal(ctx, io.MultiWriter(out, d), in, size); err != nil {
		return Result{}, err
	}
	signature, err := p.sign(ctx, d, update)
	if err != nil {
		return Result{}, err
	}
	if err := update.Fill(signature); errors.Is(err, pdf.ErrContentsTooSmall) {
		// Certificates or a token were larger than foreseen. The new tail is signed anew.
		if update, err = pdf.Prepare(ctx, in, size, p.Limits, p.request(2*len(signature)+1024)); err != nil {
			return Result{}, err
		}
		if signature, err = p.sign(ctx, d, update); err != nil {
			return Result{}, err
		}
		if err = update.Fill(signature); err != nil {
			return Result{}, err
		}
	} else if err != nil {
		return Result{}, err
	}
	if _, err := out.Write(update.Tail); err != nil {
		return Result{}, fmt.Errorf("write: %w", err)
	}
	return Result{
		SHA256: d.complete(update.Tail), Size: size + int64(len(update.Tail)),
		FieldName: update.FieldName, Signatures: update.Signatures,
	}, nil
}

func (p Params) request(reserve int) pdf.Request {
	return pdf.Request{
		Field: p.Field, FieldName: p.FieldName, Boxes: p.Boxes, Appearance: p.Appearance,
		Name: p.Name, Reason: p.Reason, Location: p.Location, Contact: p.Contact,
		Time: p.Time, Reserve: reserve,
	}
}

// sign makes the signature over the original and the signed parts of the tail.
func (p Params) sign(ctx context.Context, d *digests, update *pdf.Update) ([]byte, error) {
	digest, err := d.signed(update)
	if err != nil {
		return nil, err
	}
	return cms.Sign(ctx, cms.Request{Digest: digest, Signer: p.Signer, Chain: p.Chain, Timestamp: p.Timestamp, Now: p.Now})
}

// copyOriginal copies exactly size bytes, watching the context.
func copyOriginal(ctx context.Context, out io.Writer, in io.ReaderAt, size int64) error {
	buf := make([]byte, 128<<10)
	for off := int64(0); off < size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := in.ReadAt(buf[:min(int64(len(buf)), size-off)], off)
		if n == 0 && err != nil {
			return fmt.Errorf("read at %d: %w", off, err)
		}
		if _, err := out.Write(buf[:n]); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		off += int64(n)
	}
	return nil
}

// digests holds the state after the original, so that the digest of the signed bytes
// and that of the whole output go on from there without reading it again.
type digests struct {
	whole hash.Hash
	own   hash.Hash // nil when the signature uses SHA-256 too
}

func newDigests(h crypto.Hash) *digests {
	d := &digests{whole: sha256.New()}
	if h != crypto.SHA256 {
		d.own = h.New()
	}
	return d
}

// Write takes bytes of the original.
func (d *digests) Write(p []byte) (int, error) {
	if d.own != nil {
		d.own.Write(p)
	}
	return d.whole.Write(p)
}

// signed returns the digest of the signed bytes; the state stays that of the original.
func (d *digests) signed(update *pdf.Update) ([]byte, error) {
	base := d.whole
	if d.own != nil {
		base = d.own
	}
	cloner, ok := base.(hash.Cloner)
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

// complete returns the digest of the whole output.
func (d *digests) complete(tail []byte) (sum [sha256.Size]byte) {
	d.whole.Write(tail)
	d.whole.Sum(sum[:0])
	return sum
}
