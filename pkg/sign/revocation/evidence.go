package revocation

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"time"
)

// maxEvidenceRead bounds the bytes of answers that an Evidence reads in all: each question
// reads all of them once.
const maxEvidenceRead = 512 << 20

// Evidence answers out of Data that came with a file, which may be hostile: each question
// once, within bounded work, and not after the end of its context. It is for one goroutine.
type Evidence struct {
	// Data are the answers.
	Data Data

	ctx    context.Context
	bytes  int // of all answers
	budget int // bytes that may still be read
	known  map[evidenceKey]Status
}

type evidenceKey struct {
	certificate, issuer [sha256.Size]byte
	at                  int64
}

// NewEvidence makes an Evidence for one check.
func NewEvidence(ctx context.Context, data Data) *Evidence {
	e := &Evidence{Data: data, ctx: ctx, budget: maxEvidenceRead, known: map[evidenceKey]Status{}}
	for _, list := range [][][]byte{data.OCSPs, data.CRLs} {
		for _, der := range list {
			e.bytes += len(der)
		}
	}
	return e
}

// Status is [Data.Status]; Unknown when the work would be too much.
func (e *Evidence) Status(cert, issuer *x509.Certificate, at time.Time) Status {
	key := evidenceKey{sha256.Sum256(cert.Raw), sha256.Sum256(issuer.Raw), at.UnixNano()}
	s, ok := e.known[key]
	if ok {
		return s
	}
	s.serial = serial(cert)
	if e.ctx.Err() == nil && e.bytes <= e.budget {
		e.budget -= e.bytes
		s = e.Data.Status(cert, issuer, at)
	}
	e.known[key] = s
	return s
}

// Worst is the worst that is known of the certificates of a path at a time, its root's own
// excepted: Revoked before Unknown before Good.
func (e *Evidence) Worst(path []*x509.Certificate, at time.Time) State {
	worst := Good
	for i, c := range path[:max(len(path)-1, 0)] {
		switch e.Status(c, path[i+1], at).State {
		case Revoked:
			return Revoked
		case Unknown:
			worst = Unknown
		case Good:
		}
	}
	return worst
}

// Discredits tells whether a token that a time-stamp authority made at a time is no longer
// worth anything at another: its certificate, or one above it, was revoked. An authority that was
// merely closed later leaves its tokens good, one whose key may be in other hands does not (RFC 3161, 4).
func (e *Evidence) Discredits(path []*x509.Certificate, made, at time.Time) bool {
	for i, c := range path[:max(len(path)-1, 0)] {
		s := e.Status(c, path[i+1], at)
		closed := s.Reason >= affiliationChanged && s.Reason <= cessationOfOperation && s.RevokedAt.After(made)
		if s.State == Revoked && !closed {
			return true
		}
	}
	return false
}
