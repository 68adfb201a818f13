package pades

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"time"

	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/sign/cms"
)

// Level is the baseline level that a signature reaches.
type Level string

// The levels that this package tells apart.
const (
	// LevelNone is for a signature that holds but is no PAdES baseline signature.
	LevelNone Level = ""
	// LevelBB is a baseline signature.
	LevelBB Level = "B-B"
	// LevelBT is a baseline signature with a time-stamp.
	LevelBT Level = "B-T"
)

// Report is what the check of one signature found.
type Report struct {
	// Field is the name of the signed field.
	Field string `json:"field"`
	// Name, Reason and Location are what the document says; they are covered by the
	// signature when it is intact, and proven by nobody.
	Name     string `json:"name,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Location string `json:"location,omitempty"`
	// Time is the claimed time of signing.
	Time time.Time `json:"time,omitzero"`
	// TimestampTime is the time that a time-stamp proves; zero without one.
	TimestampTime time.Time `json:"timestampTime,omitzero"`
	// TimestampAuthority is the subject of the authority that made the time-stamp.
	TimestampAuthority string `json:"timestampAuthority,omitempty"`
	// SubFilter names the format.
	SubFilter string `json:"subFilter"`
	// Subject is the subject of the signer's certificate, Certificate the certificate.
	Subject     string            `json:"subject,omitempty"`
	Certificate *x509.Certificate `json:"-"`
	// WholeFile tells whether the signature covers every byte of the file but itself.
	WholeFile bool `json:"wholeFile"`
	// LaterChanges tells whether bytes were appended that neither this nor any later
	// intact signature covers.
	LaterChanges bool `json:"laterChanges"`
	// Intact tells whether the signed bytes are unchanged and the signature belongs to the certificate.
	Intact bool `json:"intact"`
	// Trusted tells whether the certificate leads to one of the given roots.
	Trusted bool `json:"trusted"`
	// Level is the baseline level reached; empty for a signature that is not intact.
	Level Level `json:"level,omitempty"`
	// Problem says in one sentence what is wrong; empty when nothing is.
	Problem string `json:"problem,omitempty"`

	end int64 // of the signed range
}

// Valid tells whether the signature is intact and trusted, and nothing uncovered came later.
func (r Report) Valid() bool { return r.Intact && r.Trusted && !r.LaterChanges }

// Verify checks every signature of a file that may be hostile, in the order in which
// they were made. An error means that the file could not be read; what is wrong with a signature stands
// in its report. A file without signatures has no reports.
func Verify(ctx context.Context, in io.ReaderAt, size int64, roots *x509.CertPool, now time.Time) ([]Report, error) {
	// A signed file was read and accepted once; its size is not what makes it dangerous.
	signatures, err := pdf.Signatures(ctx, in, size, pdf.Limits{Bytes: max(size, 1)})
	if err != nil {
		return nil, fmt.Errorf("verify pdf: %w", err)
	}
	reports := make([]Report, 0, len(signatures))
	for _, s := range signatures {
		v := verifier{ctx: ctx, in: in, size: size, roots: roots, now: now}
		r, err := v.check(s)
		if err != nil {
			return nil, fmt.Errorf("verify pdf: %w", err)
		}
		reports = append(reports, r)
	}
	markLaterChanges(reports, size)
	return reports, nil
}

// markLaterChanges finds what the last intact signature leaves open.
func markLaterChanges(reports []Report, size int64) {
	var covered int64
	for _, r := range reports {
		if r.Intact {
			covered = max(covered, r.end)
		}
	}
	for i := range reports {
		r := &reports[i]
		if covered == size || !r.Intact {
			continue
		}
		r.LaterChanges = true
		if r.Problem == "" {
			r.Problem = "The file was changed after the last signature; later changes are not signed."
		}
	}
}

type verifier struct {
	ctx   context.Context
	in    io.ReaderAt
	size  int64
	roots *x509.CertPool
	now   time.Time
}

// check fills in the report of one signature; an error means that reading fails.
func (v verifier) check(s pdf.Signature) (Report, error) {
	r := Report{Field: s.Field, Name: s.Name, Reason: s.Reason, Location: s.Location, Time: s.Time, SubFilter: s.SubFilter}
	if r.Problem = v.envelope(s); r.Problem != "" {
		return r, nil
	}
	r.end = s.ByteRange[2] + s.ByteRange[3]
	r.WholeFile = r.end == v.size
	var readErr error
	info, err := cms.Verify(s.Contents, func(h crypto.Hash) ([]byte, error) {
		digest, err := v.digest(h, s.ByteRange)
		readErr = err
		return digest, err
	}, v.roots, v.now)
	if readErr != nil {
		return r, readErr
	}
	untrusted := errors.Is(err, cms.ErrUntrusted) || errors.Is(err, cms.ErrTimestamp)
	r.Intact = info != nil && (err == nil || untrusted)
	r.Trusted = r.Intact && !errors.Is(err, cms.ErrUntrusted)
	r.Problem = problemOf(err)
	if r.Intact {
		r.describe(info, s)
	}
	return r, nil
}

// envelope checks everything about a signature that needs no cryptography: the
// signed range must be the whole of a revision but the signature itself, else bytes could hide
// in the gap. It returns the problem, if there is one.
func (v verifier) envelope(s pdf.Signature) string {
	b := s.ByteRange
	switch {
	case s.SubFilter != "ETSI.CAdES.detached" && s.SubFilter != "adbe.pkcs7.detached":
		return "The format of the signature is not supported."
	case s.Ambiguous:
		return "The signature is described twice, so that programs read it differently."
	case len(b) != 4 || s.Contents == nil:
		return "The signature does not say which bytes it covers."
	case b[0] != 0 || b[1] <= 0 || b[2] <= b[1] || b[3] < 0 || b[3] > v.size || b[2] > v.size-b[3]:
		return "The signature claims bytes that are not in the file, or leaves out its beginning."
	case s.Start != b[1] || s.End != b[2]:
		return "The signature leaves out more than itself, so that unsigned bytes could hide."
	}
	return ""
}

// digest hashes the signed bytes.
func (v verifier) digest(h crypto.Hash, b []int64) ([]byte, error) {
	sum := h.New()
	buf := make([]byte, 128<<10)
	for i := 0; i < len(b); i += 2 {
		part := io.NewSectionReader(v.in, b[i], b[i+1])
		for {
			if err := v.ctx.Err(); err != nil {
				return nil, err
			}
			n, err := part.Read(buf)
			sum.Write(buf[:n])
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("read signed bytes: %w", err)
			}
		}
	}
	return sum.Sum(nil), nil
}

func (r *Report) describe(info *cms.Info, s pdf.Signature) {
	r.Certificate, r.Subject = info.Certificate, info.Certificate.Subject.String()
	if r.Time.IsZero() {
		r.Time = info.SigningTime
	}
	if s.SubFilter == "ETSI.CAdES.detached" && info.HasSigningCertificateV2 {
		r.Level = LevelBB
	}
	if info.Timestamp == nil {
		return
	}
	r.TimestampTime = info.Timestamp.Time
	if info.Timestamp.Authority != nil {
		r.TimestampAuthority = info.Timestamp.Authority.Subject.String()
	}
	if r.Level == LevelBB {
		r.Level = LevelBT
	}
}

// problemOf says what an error of the check means to a reader.
func problemOf(err error) string {
	for _, p := range []struct {
		is   error
		text string
	}{
		{cms.ErrDigestMismatch, "The signed bytes were changed after signing."},
		{cms.ErrSignature, "The signature does not belong to the signer's certificate."},
		{cms.ErrSigningCertificate, "The signature names another certificate than the one it comes with."},
		{cms.ErrUnsupported, "The signature uses an algorithm that is weak or unknown."},
		{cms.ErrTimestamp, "The time-stamp of the signature is wrong or not trusted."},
		{cms.ErrUntrusted, "The signer's certificate does not lead to a trusted authority."},
		{cms.ErrMalformed, "The signature is damaged."},
	} {
		if errors.Is(err, p.is) {
			return p.text
		}
	}
	if err != nil {
		return "The signature can not be checked."
	}
	return ""
}
