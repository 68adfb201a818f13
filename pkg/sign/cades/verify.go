package cades

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"signbus.dev/pkg/sign/cms"
	"signbus.dev/pkg/sign/revocation"
)

// Report is what the check of one signature found.
type Report struct {
	// Time is the claimed time of signing.
	Time time.Time `json:"time,omitzero"`
	// TimestampTime is the time that a time-stamp proves; zero without one.
	TimestampTime time.Time `json:"timestampTime,omitzero"`
	// TimestampAuthority is the subject of the authority that made the time-stamp.
	TimestampAuthority string `json:"timestampAuthority,omitempty"`
	// Subject is the subject of the signer's certificate, Certificate the certificate.
	Subject     string            `json:"subject,omitempty"`
	Certificate *x509.Certificate `json:"-"`
	// Intact tells whether the content is unchanged and the signature belongs to the certificate.
	Intact bool `json:"intact"`
	// Trusted tells whether the certificate leads to one of the given roots, that of a time-stamp
	// too, and was not revoked as far as the message tells.
	Trusted bool `json:"trusted"`
	// Level is the baseline level reached; empty for a signature that is not intact.
	Level Level `json:"level,omitempty"`
	// Problem says in one sentence what is wrong; empty when nothing is.
	Problem string `json:"problem,omitempty"`
}

// Valid tells whether the signature is intact and trusted.
func (r Report) Valid() bool { return r.Intact && r.Trusted }

// Verify checks every signature, in the order of the message. The content is read once. An error means
// that it could not be read; what is wrong with a signature stands in its report. A message without
// signatures has no reports.
func (m *Message) Verify(ctx context.Context, roots *x509.CertPool, now time.Time) ([]Report, error) {
	if err := m.digest(ctx, m.hashes()...); err != nil {
		return nil, fmt.Errorf("verify signatures: %w", err)
	}
	data := revocation.Data{Certificates: m.message.Certificates()}
	data.OCSPs, data.CRLs = m.message.Revocations()
	proofs := revocation.NewEvidence(ctx, data)
	reports := make([]Report, 0, m.Signers())
	for i := range m.Signers() {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("verify signatures: %w", err)
		}
		info, err := m.message.Verify(i, func(h crypto.Hash) ([]byte, error) { return m.digests[h], nil }, roots, now)
		reports = append(reports, report(info, err, proofs, now))
	}
	return reports, nil
}

func report(info *cms.Info, err error, proofs *revocation.Evidence, now time.Time) Report {
	var r Report
	r.Problem = problemOf(err)
	if r.Intact = info != nil; !r.Intact {
		return r
	}
	r.Trusted = err == nil
	r.Certificate, r.Subject, r.Time = info.Certificate, info.Certificate.Subject.String(), info.SigningTime
	if info.HasSigningCertificateV2 && !info.SigningTime.IsZero() {
		r.Level = LevelBB
	}
	if info.Timestamp != nil {
		r.TimestampTime, r.TimestampAuthority = info.Timestamp.Time, info.Timestamp.Authority.Subject.String()
	}
	if !r.Trusted {
		return r
	}
	// Without a good time-stamp nothing is proven but that the signature exists now.
	stamped := info.Timestamp != nil
	at := now
	if stamped {
		at = info.Timestamp.Time
		switch {
		case at.After(now.Add(revocation.Skew)):
			r.Trusted, r.Problem = false, "The time-stamp is of a later time than now."
			return r
		case proofs.Discredits(info.Timestamp.Chain, at, now):
			r.Trusted, r.Problem = false, "The certificate of the time-stamp authority was revoked."
			return r
		}
	}
	state := proofs.Worst(info.Chain, at)
	if state == revocation.Revoked {
		r.Trusted, r.Problem = false, "The signer's certificate, or one above it, was revoked when the signature was made."
	}
	if r.Level == LevelBB && stamped {
		r.Level = LevelBT
		if state == revocation.Good && proofs.Worst(info.Timestamp.Chain, at) == revocation.Good {
			r.Level = LevelBLT
		}
	}
	return r
}

// problemOf says what an error of the check means to a reader.
func problemOf(err error) string {
	switch {
	case errors.Is(err, cms.ErrTimestamp): // first: what is wrong inside a time-stamp is wrapped too
		return cms.Problem(cms.ErrTimestamp)
	case errors.Is(err, cms.ErrDigestMismatch):
		return "The content was changed after signing, or is not the content that was signed."
	}
	return cms.Problem(err)
}
