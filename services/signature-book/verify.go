package signaturebook

import (
	"bytes"
	"context"
	"errors"
	"io"

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
		c := pages.Checked{
			Verdict: verdict(r.Intact, r.Trusted, r.LaterChanges), Reason: r.Reason, Time: r.Time, Level: string(r.Level), Timestamp: r.DocTimestamp,
		}
		if r.Certificate != nil {
			c.Name = r.Certificate.Subject.CommonName
		}
		if !r.TimestampTime.IsZero() {
			c.Time, c.Proven = r.TimestampTime, true
		}
		out = append(out, c)
	}
	return out, nil
}

func (s *Service) verifyMessage(ctx context.Context, file io.ReaderAt, size int64) ([]pages.Checked, error) {
	message, err := cades.Open(cades.Source{ReaderAt: file, Size: size}, cades.Source{})
	if err != nil {
		return nil, errors.Join(pages.ErrNotReadable, err)
	}
	reports, err := message.Verify(ctx, s.Keys.Roots(), s.Now())
	if err != nil {
		return nil, errors.Join(pages.ErrNotReadable, err)
	}
	var out []pages.Checked
	for _, r := range reports {
		c := pages.Checked{Verdict: verdict(r.Intact, r.Trusted, false), Time: r.Time, Level: string(r.Level)}
		if r.Certificate != nil {
			c.Name = r.Certificate.Subject.CommonName
		}
		if !r.TimestampTime.IsZero() {
			c.Time, c.Proven = r.TimestampTime, true
		}
		out = append(out, c)
	}
	return out, nil
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
