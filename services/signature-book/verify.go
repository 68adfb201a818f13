package signaturebook

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"time"

	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/sign/cades"
	"signbus.dev/pkg/sign/pades"
	"signbus.dev/services/signature-book/pages"
)

// verify checks a file for the verification page. What is no PDF is taken for a signed message.
func (s *Service) verify(ctx context.Context, file io.ReaderAt, size int64) ([]pages.Checked, error) {
	head := make([]byte, 1024)
	n, err := file.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if bytes.Contains(head[:n], []byte("%PDF-")) {
		return s.verifyPDF(ctx, file, size)
	}
	return s.verifyMessage(ctx, file, size)
}

func (s *Service) verifyPDF(ctx context.Context, file io.ReaderAt, size int64) ([]pages.Checked, error) {
	reports, err := pades.Verify(ctx, file, size, s.Keys.Roots(), s.Now())
	if err != nil {
		return nil, errors.Join(pages.ErrNotReadable, err)
	}
	var out []pages.Checked
	for _, r := range reports {
		c := checked(r.Certificate, r.Time, r.TimestampTime)
		c.Verdict, c.Level = verdict(r.Intact, r.Trusted, r.LaterChanges), string(r.Level)
		c.Reason, c.Timestamp = r.Reason, r.DocTimestamp
		out = append(out, c)
	}
	return out, nil
}

func (s *Service) verifyMessage(ctx context.Context, file io.ReaderAt, size int64) ([]pages.Checked, error) {
	message, err := cades.Open(digest.Source{ReaderAt: file, Size: size}, digest.Source{})
	if err != nil {
		return nil, errors.Join(pages.ErrNotReadable, err)
	}
	reports, err := message.Verify(ctx, s.Keys.Roots(), s.Now())
	if err != nil {
		return nil, errors.Join(pages.ErrNotReadable, err)
	}
	var out []pages.Checked
	for _, r := range reports {
		c := checked(r.Certificate, r.Time, r.TimestampTime)
		c.Verdict, c.Level = verdict(r.Intact, r.Trusted, false), string(r.Level)
		out = append(out, c)
	}
	return out, nil
}

// checked says who signed and when: the proven time counts, else the claimed one.
func checked(certificate *x509.Certificate, claimed, proven time.Time) pages.Checked {
	c := pages.Checked{Time: claimed}
	if certificate != nil {
		c.Name = certificate.Subject.CommonName
	}
	if !proven.IsZero() {
		c.Time, c.Proven = proven, true
	}
	return c
}

func verdict(intact, trusted, changed bool) pages.Verdict {
	switch {
	case !intact:
		return pages.Broken
	case !trusted:
		return pages.Unknown
	case changed:
		return pages.Changed
	}
	return pages.Valid
}
