package pades

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/pdf/stamp"
	"signbus.dev/pkg/sign/cms"
)

// Reasons for which a signature is not made, beside those of pdf and cms.
var (
	// ErrLevel means that the level asked for is none that this package makes.
	ErrLevel = errors.New("unknown signature level")
	// ErrTimestamp means that the level needs a time-stamp and there is none to be had.
	// The clock of this machine never takes its place.
	ErrTimestamp = errors.New("no time-stamp for the signature")
)

// Params says how to sign.
type Params struct {
	// Level is the level to reach: it is reached or the signature fails. Empty is B-T
	// with Timestamp and B-B without.
	Level Level
	// Field is the name of a blank signature field, an existing one or one of Fields; empty
	// adds a new field.
	Field string
	// FieldName is the beginning of a new field's name, "Signature" when empty.
	FieldName string
	// Fields, Certify, Lock and Extra are those of [pdf.Request].
	Fields  []pdf.NewField
	Certify int
	Lock    *pdf.Lock
	Extra   []pdf.Entry
	// Boxes are where the signature shows, see [pdf.Request]; none makes it invisible.
	Boxes []pdf.Box
	// Appearance is what shows there.
	Appearance stamp.Appearance
	// Name, Reason, Location and Contact are stated in the signature dictionary.
	Name, Reason, Location, Contact string
	// Time is the claimed time of signing.
	Time time.Time
	// Signer holds the private key, Chain its certificates, leaf first.
	Signer crypto.Signer
	Chain  []*x509.Certificate
	// Timestamp gets an RFC 3161 token over a signature value; B-B needs none.
	Timestamp func(ctx context.Context, signatureValue []byte) (token []byte, err error)
	// Now tells at which time the certificate must be valid; nil is time.Now.
	Now func() time.Time
	// Limits bounds the reading of the original; zero values are the defaults, but any size.
	Limits pdf.Limits
}

// Addition is what a signature adds to a file.
type Addition struct {
	// Tail is to be written behind the original.
	Tail []byte
	// Digest is SHA-256 after the whole output, to be kept for the next signature.
	Digest digest.State
	// FieldName is the full name of the signed field.
	FieldName string
	// Signatures is the number of signatures in the output.
	Signatures int
	// Level is the level reached.
	Level Level
}

// Sign makes a signature over all of a file. The file is only read, and with a known
// digest only those parts that say how to append: see [Source].
func Sign(ctx context.Context, src Source, p Params) (*Addition, error) {
	addition, err := sign(ctx, src, p)
	if err != nil {
		return nil, fmt.Errorf("sign pdf: %w", err)
	}
	return addition, nil
}

func sign(ctx context.Context, src Source, p Params) (*Addition, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	if p.Limits.Bytes == 0 {
		p.Limits.Bytes = max(src.Size, 1) // the file is streamed, and signatures make it grow
	}
	// What is refused is refused before the long pass over the file.
	update, err := p.prepare(ctx, src, cms.Size(p.Chain, p.Timestamp != nil))
	if err != nil {
		return nil, err
	}
	d, err := src.digests(ctx, cms.HashFor(p.Signer.Public()))
	if err != nil {
		return nil, err
	}
	signature, err := p.sign(ctx, d, update)
	if err != nil {
		return nil, err
	}
	if err := update.Fill(signature); errors.Is(err, pdf.ErrContentsTooSmall) {
		// Certificates or a token were larger than foreseen. The new tail is signed anew.
		if update, err = p.prepare(ctx, src, 2*len(signature)+1024); err != nil {
			return nil, err
		}
		if signature, err = p.sign(ctx, d, update); err != nil {
			return nil, err
		}
		if err = update.Fill(signature); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	return &Addition{
		Tail: update.Tail, Digest: d.whole.With(update.Tail),
		FieldName: update.FieldName, Signatures: update.Signatures, Level: p.Level,
	}, nil
}

// check finds what no signature can come of, and settles the level.
func (p *Params) check() error {
	if len(p.Chain) == 0 || p.Signer == nil {
		return fmt.Errorf("no certificate or no key: %w", cms.ErrKeyMismatch)
	}
	switch {
	case p.Level == LevelNone && p.Timestamp == nil:
		p.Level = LevelBB
	case p.Level == LevelNone:
		p.Level = LevelBT
	case p.Level != LevelBB && p.Level != LevelBT:
		return fmt.Errorf("%w: %q; use B-B or B-T", ErrLevel, p.Level)
	}
	if p.Level == LevelBB {
		p.Timestamp = nil
	} else if p.Timestamp == nil {
		return fmt.Errorf("%w: level %s needs a time-stamp authority; name one or use B-B", ErrTimestamp, p.Level)
	}
	return nil
}

func (p *Params) prepare(ctx context.Context, src Source, reserve int) (*pdf.Update, error) {
	return pdf.Prepare(ctx, src, src.Size, p.Limits, pdf.Request{
		Field: p.Field, FieldName: p.FieldName, Boxes: p.Boxes, Appearance: p.Appearance,
		Name: p.Name, Reason: p.Reason, Location: p.Location, Contact: p.Contact,
		Fields: p.Fields, Certify: p.Certify, Lock: p.Lock, Extra: p.Extra, Time: p.Time, Reserve: reserve,
	})
}

// sign makes the signature over the original and the signed parts of the tail.
func (p *Params) sign(ctx context.Context, d *digests, update *pdf.Update) ([]byte, error) {
	signed, err := d.signed(update)
	if err != nil {
		return nil, err
	}
	request := cms.Request{Digest: signed, Signer: p.Signer, Chain: p.Chain, Now: p.Now}
	if p.Timestamp != nil {
		request.Timestamp = func(ctx context.Context, value []byte) ([]byte, error) {
			token, err := p.Timestamp(ctx, value)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", ErrTimestamp, err)
			}
			return token, nil
		}
	}
	return cms.Sign(ctx, request)
}
