package cli

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/pdf/stamp"
	"signbus.dev/pkg/sign/pades"
)

// pdf signs a PDF file with PAdES.
func (s *signing) pdf(ctx context.Context) error {
	if s.detached {
		return usage(errors.New("--detached is for CAdES; add --format cades"))
	}
	if s.resume != "" {
		return s.finishPDF(ctx)
	}
	params, err := s.params()
	if err != nil {
		return usage(err)
	}
	if s.prepare != "" {
		return s.beginPDF(ctx, params)
	}
	key, err := s.open(ctx, s.app)
	if err != nil {
		return err
	}
	defer func() { _ = key.Close() }()
	params.Signer = key.Signer
	if err := s.describe(&params, key.Chain); err != nil {
		return err
	}
	if err := s.ask(&params); err != nil {
		return err
	}
	var preview *output
	if s.preview != "" {
		if preview, err = s.drawPreview(ctx, &params); err != nil {
			return err
		}
		defer preview.discard()
	}
	if s.out != "" {
		if err := s.writePDF(ctx, func(src digest.Source) (*pades.Addition, error) { return pades.Sign(ctx, src, params) }); err != nil {
			return err
		}
	}
	if preview != nil {
		return preview.commit()
	}
	return nil
}

// beginPDF is the first phase for PDF files.
func (s *signing) beginPDF(ctx context.Context, params pades.Params) error {
	chain, err := s.certificates()
	if err != nil {
		return err
	}
	if err := s.describe(&params, chain); err != nil {
		return err
	}
	reading := s.app.progress(s.in, s.size)
	pending, err := pades.Begin(ctx, digest.Source{ReaderAt: reading, Size: s.size}, params)
	reading.end()
	if err != nil {
		return err
	}
	state, err := pending.MarshalBinary()
	if err != nil {
		return err
	}
	return s.keep("pades", pending, state, chain[0])
}

// finishPDF is the second phase for PDF files.
func (s *signing) finishPDF(ctx context.Context) error {
	k, value, err := s.keptFile("pades")
	if err != nil {
		return err
	}
	pending, err := pades.UnmarshalPending(k.Signature)
	if err != nil {
		return err
	}
	var params pades.Params
	if err := s.ask(&params); err != nil {
		return err
	}
	return s.writePDF(ctx, func(src digest.Source) (*pades.Addition, error) {
		return pades.Finish(ctx, src, pending, value, params)
	})
}

// writePDF signs, and writes the original with its signature.
func (s *signing) writePDF(ctx context.Context, sign func(src digest.Source) (*pades.Addition, error)) error {
	if err := free(s.out, s.force, s.info); err != nil {
		return err
	}
	reading := s.app.progress(s.in, s.size)
	defer reading.end()
	addition, err := sign(digest.Source{ReaderAt: reading, Size: s.size})
	if err != nil {
		return err
	}
	reading.end()
	return s.app.extend(ctx, addition, input{s.in, s.info}, s.out, s.force)
}

// params reads the flags that need nothing else.
func (f *signFlags) params() (pades.Params, error) {
	p := pades.Params{
		Field: f.field, Name: f.name, Reason: f.reason, Location: f.location, Contact: f.contact,
		Appearance: stamp.Appearance{Lines: f.text, QR: f.qr}, Time: time.Now(),
	}
	if f.seal && p.Reason == "" {
		p.Reason = "Sealed"
	}
	if f.autograph != "" {
		p.Appearance.Autograph = &stamp.Autograph{Typed: f.autograph}
	}
	if f.date {
		p.Appearance.Date = p.Time
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

// describe adds the certificates, and what is shown of them where the flags say nothing.
func (s *signing) describe(p *pades.Params, chain []*x509.Certificate) error {
	p.Chain, p.PSS, p.Level = chain, s.pss, pades.Level(s.at)
	if p.Name == "" {
		p.Name = holder(chain[0], s.seal)
	}
	if s.image != "" {
		var err error
		if p.Appearance.Image, err = readPicture(s.image); err != nil {
			return err
		}
	}
	if look := p.Appearance; len(look.Lines) == 0 && look.Autograph == nil && len(look.Image) == 0 && look.QR == "" {
		p.Appearance.Lines = []string{p.Name}
	}
	return nil
}

// ask adds the authorities that the level needs.
func (s *signing) ask(p *pades.Params) error {
	authority, err := s.authority()
	if err != nil {
		return err
	}
	if authority != nil {
		p.Timestamp, p.TimestampDigest = authority.Timestamp, authority.TimestampDigest
	}
	p.Revocation, err = s.revocations(p.Chain)
	return err
}

// readPicture reads what the renderer takes, and one byte more where the file is too long for it.
func readPicture(path string) ([]byte, error) {
	file, err := os.Open(path) //nolint:gosec // the user's own file
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return io.ReadAll(io.LimitReader(file, stamp.MaxImageBytes+1))
}

// previewDPI shows a signature twice as large as on most screens, so that it can be judged.
const previewDPI = 192

// drawPreview draws the appearance, as large as the place that it will have.
func (s *signing) drawPreview(ctx context.Context, p *pades.Params) (*output, error) {
	width, height, err := s.place(ctx, p)
	if err != nil {
		return nil, err
	}
	drawing, err := p.Appearance.Layout(width, height)
	if err != nil {
		return nil, err
	}
	out, err := create(s.preview, s.force, input{s.in, s.info})
	if err != nil {
		return nil, err
	}
	if err := drawing.PNG(out, previewDPI); err != nil {
		out.discard()
		return nil, err
	}
	return out, nil
}

// place is the size of the box in which the signature will show.
func (s *signing) place(ctx context.Context, p *pades.Params) (width, height float64, err error) {
	boxes := p.Boxes
	for _, f := range p.Fields {
		if f.Name == p.Field {
			boxes = append(boxes, f.Box)
		}
	}
	if len(boxes) == 0 && p.Field != "" {
		info, err := pdf.Inspect(ctx, s.in, s.size, pdf.Limits{Bytes: max(s.size, 1)})
		if err != nil {
			return 0, 0, err
		}
		for _, f := range info.Fields {
			if f.Name == p.Field {
				boxes = append(boxes, f.Box)
			}
		}
	}
	if len(boxes) == 0 || boxes[0].Empty() {
		return 0, 0, refuse("PLACE", errors.New("an invisible signature has no preview; give it a place with --rect, or name a field that shows"))
	}
	return math.Abs(boxes[0].URX - boxes[0].LLX), math.Abs(boxes[0].URY - boxes[0].LLY), nil
}
