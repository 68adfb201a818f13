package pades

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/pdf/stamp"
	"signbus.dev/pkg/sign/cms"
	"signbus.dev/pkg/sign/revocation"
)

// Reasons for which a signature is not made, beside those of pdf and cms.
var (
	// ErrLevel means that the level asked for is none that this package makes.
	ErrLevel = errors.New("unknown signature level")
	// ErrTimestamp means that the level needs a time-stamp and there is none to be had.
	// The clock of this machine never takes its place.
	ErrTimestamp = errors.New("no time-stamp for the signature")
	// ErrRevocation means that the level needs proof that no certificate was revoked and
	// there is none; it comes with the cause, such as [revocation.ErrRevoked].
	ErrRevocation = errors.New("no revocation data for the signature")
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
	// PSS makes an RSA key sign by RSASSA-PSS and not by PKCS #1 v1.5.
	PSS bool
	// Timestamp gets an RFC 3161 token over a signature value; nil asks TimestampDigest.
	Timestamp func(ctx context.Context, signatureValue []byte) (token []byte, err error)
	// TimestampDigest gets a token over a SHA-256 digest; B-LTA stamps the document by it.
	TimestampDigest func(ctx context.Context, digest []byte) (token []byte, err error)
	// Revocation tells for B-LT and B-LTA that no certificate was revoked, with proof.
	Revocation revocation.Source
	// Rand is the source of randomness of the key operation; nil is crypto/rand.
	Rand io.Reader
	// Now tells at which time the certificate must be valid; nil is time.Now.
	Now func() time.Time
	// Limits bounds the reading of the original; zero values are the defaults, but any size.
	Limits pdf.Limits
}

// Addition is what a signature adds to a file.
type Addition struct {
	// Tail is to be written behind the original.
	Tail []byte
	// FieldName is the full name of the signed field.
	FieldName string
	// Signatures is the number of signatures in the output, without document time-stamps.
	Signatures int
	// Level is the level reached; empty for a document time-stamp by itself.
	Level Level

	base digest.State // after the original
}

// Digest is SHA-256 after the whole output, to be kept for the next signature. It digests the tail.
func (a *Addition) Digest() digest.State { return a.base.With(a.Tail) }

// Sign makes a signature over all of a file. The file is only read, and with a known
// digest only those parts that say how to append: see [digest.Source].
func Sign(ctx context.Context, src digest.Source, p Params) (*Addition, error) {
	addition, err := sign(ctx, src, p)
	if err != nil {
		return nil, fmt.Errorf("sign pdf: %w", err)
	}
	return addition, nil
}

func sign(ctx context.Context, src digest.Source, p Params) (*Addition, error) {
	if p.Signer == nil {
		return nil, fmt.Errorf("no key: %w", cms.ErrKeyMismatch)
	}
	if len(p.Chain) == 0 {
		return nil, fmt.Errorf("no certificate: %w", cms.ErrKeyMismatch)
	}
	if err := p.settle(); err != nil {
		return nil, err
	}
	if err := p.equipped(); err != nil {
		return nil, err
	}
	src, release, err := src.Resident()
	if err != nil {
		return nil, err
	}
	defer release()
	// What is refused is refused before the long pass over the file.
	g := &growth{src: src, limits: p.Limits}
	reserve := cms.Size(p.Chain, p.Level != LevelBB)
	update, err := p.prepare(ctx, g, reserve)
	if err != nil {
		return nil, err
	}
	d, err := digestsOf(ctx, src, cms.HashFor(p.Signer.Public()))
	if err != nil {
		return nil, err
	}
	signature, err := p.sign(ctx, d, update)
	if err != nil {
		return nil, err
	}
	err = update.Fill(signature)
	if errors.Is(err, pdf.ErrContentsTooSmall) {
		// Certificates or a token were larger than foreseen. The new tail is signed anew.
		reserve = roomFor(signature)
		if update, err = p.prepare(ctx, g, reserve); err != nil {
			return nil, err
		}
		if signature, err = p.sign(ctx, d, update); err != nil {
			return nil, err
		}
		err = update.Fill(signature)
	}
	if err != nil {
		return nil, err
	}
	g.base = d.whole
	g.add(update.Tail)
	return p.complete(ctx, g, update, signature, reserve)
}

// complete adds to a signature what the level asks for beyond it (ETSI EN 319 142-1,
// 6.3): the validation data of the signer and the time-stamp, then a time-stamp over all.
func (p *Params) complete(ctx context.Context, g *growth, update *pdf.Update, signature []byte, reserve int) (*Addition, error) {
	if p.Level.atLeast(LevelBLT) {
		claims, err := cms.Read(signature)
		if err != nil {
			return nil, err
		}
		var all revocation.Data
		now := p.now()
		for _, q := range questions(claims, nil, now) {
			data, err := p.collect(ctx, question{q.chain, now})
			if err != nil {
				return nil, err
			}
			all.Merge(data)
		}
		padded := slices.Concat(signature, make([]byte, reserve-len(signature)))
		if err := g.secure(ctx, map[string]revocation.Data{pdf.Signature{Contents: padded}.Key(): all}, now); err != nil {
			return nil, err
		}
	}
	if p.Level == LevelBLTA {
		if _, err := g.stamp(ctx, p); err != nil {
			return nil, err
		}
	}
	return &Addition{Tail: g.tail, base: g.base, FieldName: update.FieldName, Signatures: update.Signatures, Level: p.Level}, nil
}

// settle decides on the level.
func (p *Params) settle() error {
	if stamp := p.TimestampDigest; p.Timestamp == nil && stamp != nil {
		p.Timestamp = func(ctx context.Context, value []byte) ([]byte, error) {
			sum := sha256.Sum256(value)
			return stamp(ctx, sum[:])
		}
	}
	switch {
	case p.Level == LevelNone && p.Timestamp == nil:
		p.Level = LevelBB
	case p.Level == LevelNone:
		p.Level = LevelBT
	case !slices.Contains(levels, p.Level):
		return fmt.Errorf("%w: %q; use B-B, B-T, B-LT or B-LTA", ErrLevel, p.Level)
	}
	return nil
}

// equipped tells whether everything is there that the level needs.
func (p *Params) equipped() error {
	switch {
	case p.Level.atLeast(LevelBT) && p.Timestamp == nil, p.Level == LevelBLTA && p.TimestampDigest == nil:
		return fmt.Errorf("%w: level %s needs a time-stamp authority; name one or use B-B", ErrTimestamp, p.Level)
	case p.Level.atLeast(LevelBLT) && p.Revocation == nil:
		return fmt.Errorf("%w: level %s needs a source of revocation data; name one or use B-T", ErrRevocation, p.Level)
	}
	return nil
}

func (p *Params) now() time.Time {
	if p.Now == nil {
		return time.Now()
	}
	return p.Now()
}

func (p *Params) prepare(ctx context.Context, g *growth, reserve int) (*pdf.Update, error) {
	return pdf.Prepare(ctx, g, g.size(), g.bounds(), pdf.Request{
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
	return cms.Sign(ctx, cms.Request{
		Digest: signed, Signer: p.Signer, Chain: p.Chain, PSS: p.PSS, Timestamp: p.stamper(), Now: p.Now, Rand: p.Rand,
	})
}

// stamper gets the time-stamp of the signature, nil for a level without one.
func (p *Params) stamper() func(ctx context.Context, value []byte) ([]byte, error) {
	if p.Level == LevelBB {
		return nil
	}
	return func(ctx context.Context, value []byte) ([]byte, error) {
		token, err := p.Timestamp(ctx, value)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrTimestamp, err)
		}
		return token, nil
	}
}
