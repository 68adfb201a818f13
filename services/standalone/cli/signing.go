package cli

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"os"
	"time"

	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/pdf/stamp"
	"signbus.dev/pkg/sign/keys"
	"signbus.dev/pkg/sign/pades"
	"signbus.dev/pkg/sign/tsp"
)

// signed is what sign, seal and timestamp print of their result.
type signed struct {
	File       string      `json:"file"`
	Level      pades.Level `json:"level"`
	Field      string      `json:"field,omitempty"`
	Signatures int         `json:"signatures"`
	SHA256     string      `json:"sha256"`
}

func (a *app) signFile(ctx context.Context, path string, f *signFlags) error {
	if err := f.usage(); err != nil {
		return usageError{fmt.Errorf("%w; see `signbus sign --help`", err)}
	}
	if err := f.unsupported(); err != nil {
		return err
	}
	params, err := f.params()
	if err != nil {
		return usageError{err}
	}
	if err := a.signPDF(ctx, path, f, params); err != nil {
		return explain(fmt.Errorf("%s: %w", path, err))
	}
	return nil
}

// params reads the flags that need nothing else.
func (f *signFlags) params() (pades.Params, error) {
	p := pades.Params{
		Field: f.field, Name: f.name, Reason: f.reason, Location: f.location, Contact: f.contact,
		Appearance: stamp.Appearance{Lines: f.text},
	}
	if f.seal && p.Reason == "" {
		p.Reason = "Sealed"
	}
	if f.autograph != "" {
		p.Appearance.Autograph = &stamp.Autograph{Typed: f.autograph}
	}
	if f.rect != "" {
		b, err := box(f.rect)
		if err != nil {
			return p, fmt.Errorf("--rect: %w", err)
		}
		p.Boxes = []pdf.Box{b}
	}
	for _, text := range f.addField {
		field, err := newField(text)
		if err != nil {
			return p, fmt.Errorf("--add-field: %w", err)
		}
		p.Fields = append(p.Fields, field)
	}
	var err error
	if p.Certify, err = certification(f.certify); err != nil {
		return p, fmt.Errorf("--certify: %w", err)
	}
	if p.Lock, err = lock(f.lock); err != nil {
		return p, fmt.Errorf("--lock: %w", err)
	}
	return p, nil
}

func (a *app) signPDF(ctx context.Context, path string, f *signFlags, p pades.Params) error {
	in, err := os.Open(path) //nolint:gosec // the user's own file
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := create(f.out, f.force, info)
	if err != nil {
		return err
	}
	defer out.discard()
	key, err := f.open(ctx, a)
	if err != nil {
		return err
	}
	defer func() { _ = key.Close() }()
	if err := f.complete(&p, key); err != nil {
		return err
	}
	reading := a.progress(in, info.Size(), "Reading")
	addition, err := pades.Sign(ctx, pades.Source{ReaderAt: reading, Size: info.Size()}, p)
	reading.end()
	if err != nil {
		return err
	}
	if err := addition.WriteTo(ctx, out.File, pades.Source{ReaderAt: in, Size: info.Size()}); err != nil {
		return err
	}
	if err := out.commit(); err != nil {
		return err
	}
	sum := addition.Digest.Sum()
	return a.print(signed{
		File: f.out, Level: addition.Level, Field: addition.FieldName, Signatures: addition.Signatures, SHA256: hex.EncodeToString(sum[:]),
	}, "%s: signed at level %s in field %s, %d signature(s)\n", f.out, addition.Level, addition.FieldName, addition.Signatures)
}

// complete adds what comes from the key and from outside.
func (f *signFlags) complete(p *pades.Params, key *keys.Key) error {
	p.Signer, p.Chain, p.Time = key.Signer, key.Chain, time.Now()
	p.Level, _ = f.wanted() // was checked with the flags
	if p.Name == "" {
		p.Name = holder(key.Chain[0], f.seal)
	}
	if len(p.Appearance.Lines) == 0 && p.Appearance.Autograph == nil {
		p.Appearance.Lines = []string{p.Name}
	}
	if len(f.tsa) == 0 {
		return nil
	}
	roots, err := trusted(f.trust)
	if err != nil {
		return err
	}
	client, err := tsp.NewClient(tsp.ClientOptions{URL: f.tsa[0], Roots: roots})
	if err != nil {
		return err
	}
	p.Timestamp = client.Timestamp
	return nil
}

// holder is the name in a certificate; for a seal that of the organisation.
func holder(c *x509.Certificate, seal bool) string {
	if seal && len(c.Subject.Organization) > 0 {
		return c.Subject.Organization[0]
	}
	return c.Subject.CommonName
}
