// Package revocation finds out whether certificates were revoked, and keeps the
// signed answers that prove it: OCSP responses (RFC 6960) and CRLs (RFC 5280).
//
// It promises that an answer is believed only after its signature, its issuer's
// authority to give it and its time were checked, that a certificate about which
// nobody can answer is an error and never a good one, and that what is fetched is
// bounded in size and time. Whether the end of a chain is trusted is not its
// question: the roots that a verifier brings decide that.
package revocation

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"
)

var (
	// ErrRevoked means that a certificate was revoked at the time in question; errors.As gives a *RevokedError.
	ErrRevoked = errors.New("certificate is revoked")
	// ErrUnknown means that no verified answer is about the certificate, or that its authority does not know it.
	ErrUnknown = errors.New("revocation status of the certificate is unknown")
	// ErrUnavailable means that nobody who could answer was reached or gave an answer that holds; another time may be better.
	ErrUnavailable = errors.New("revocation information is not available")
	// ErrChain means that certificates do not form a chain, each signed by the next.
	ErrChain = errors.New("certificates are not a chain")
)

// RevokedError says which certificate was revoked, when and why. It is an ErrRevoked.
type RevokedError struct {
	// Serial is the certificate's number in upper-case hexadecimal.
	Serial string
	// At is when it was revoked.
	At time.Time
	// Reason is the CRLReason of RFC 5280, 5.3.1.
	Reason Reason
}

// Error names the certificate by its number; its names may be personal data.
func (e *RevokedError) Error() string {
	return fmt.Sprintf("certificate %s was revoked on %s (%s); sign with another certificate", e.Serial, e.At.UTC().Format(time.RFC3339), e.Reason)
}

// Is makes the error an ErrRevoked.
func (e *RevokedError) Is(target error) bool { return target == ErrRevoked }

// Reason is why a certificate was revoked (RFC 5280, 5.3.1).
type Reason int

// The reasons that speak of no lost key.
const (
	affiliationChanged   Reason = 3
	cessationOfOperation Reason = 5
	certificateHold      Reason = 6
)

var reasons = []string{
	"unspecified", "keyCompromise", "cACompromise", "affiliationChanged", "superseded", "cessationOfOperation",
	"certificateHold", "reason 7", "removeFromCRL", "privilegeWithdrawn", "aACompromise",
}

// String is the name in RFC 5280.
func (r Reason) String() string {
	if r < 0 || int(r) >= len(reasons) {
		return fmt.Sprintf("reason %d", int(r))
	}
	return reasons[r]
}

// Data are signed answers, and the certificates that a verifier needs to read them.
type Data struct {
	// Certificates are the chain asked about, completed to its root, and delegated OCSP responders.
	Certificates []*x509.Certificate
	// OCSPs are OCSPResponse, CRLs are CertificateList; both DER.
	OCSPs, CRLs [][]byte
}

// Source gives the answers for a chain of certificates.
type Source interface {
	// Collect returns what proves that no certificate of a chain, leaf first, was revoked at a
	// time, the root's own excepted. The error is ErrRevoked, ErrUnknown, ErrUnavailable or
	// ErrChain, or that of the context; then there is no data.
	Collect(ctx context.Context, chain []*x509.Certificate, at time.Time) (Data, error)
}

// Merge adds what is not there yet.
func (d *Data) Merge(other Data) {
	d.addCertificates(other.Certificates...)
	d.OCSPs = union(d.OCSPs, other.OCSPs)
	d.CRLs = union(d.CRLs, other.CRLs)
}

func (d *Data) addCertificates(certificates ...*x509.Certificate) {
	for _, c := range certificates {
		if !slices.ContainsFunc(d.Certificates, c.Equal) {
			d.Certificates = append(d.Certificates, c)
		}
	}
}

func union(list, more [][]byte) [][]byte {
	for _, der := range more {
		if !slices.ContainsFunc(list, func(have []byte) bool { return bytes.Equal(have, der) }) {
			list = append(list, der)
		}
	}
	return list
}

// State is what is known of a certificate.
type State int

const (
	// Unknown is the zero value: nothing that was verified says anything.
	Unknown State = iota
	// Good means not revoked at the time in question.
	Good
	// Revoked means revoked at the time in question.
	Revoked
)

// String is a word for people.
func (s State) String() string {
	switch s {
	case Good:
		return "good"
	case Revoked:
		return "revoked"
	}
	return "unknown"
}

// Status is what verified answers say of one certificate at one time.
type Status struct {
	State State
	// RevokedAt and Reason are set when an answer says revoked, also when that was later than
	// the time in question and the state is therefore Good.
	RevokedAt time.Time
	Reason    Reason
	// ThisUpdate and NextUpdate are those of the answer that decided; zero when the certificate needs none.
	ThisUpdate, NextUpdate time.Time

	serial string
	cause  error
}

// Err is nil for Good, a *RevokedError for Revoked, and an ErrUnknown that says why for Unknown.
func (s Status) Err() error {
	switch s.State {
	case Good:
		return nil
	case Revoked:
		return &RevokedError{Serial: s.serial, At: s.RevokedAt, Reason: s.Reason}
	}
	if s.cause != nil {
		return fmt.Errorf("certificate %s: %w: %w", s.serial, ErrUnknown, s.cause)
	}
	return fmt.Errorf("certificate %s: %w", s.serial, ErrUnknown)
}

// maxDepth is how far the question goes whether the one who answers was revoked himself.
const maxDepth = 2

// Status says what the data prove about a certificate at a time. The newest answer that
// was verified and had not run out by then decides; it may be younger than the time, since
// signatures are proven with what was learned after them. A certificate that needs no
// answer is Good (see Exempt).
func (d Data) Status(cert, issuer *x509.Certificate, at time.Time) Status {
	return d.status(cert, issuer, at, 0)
}

func (d Data) status(cert, issuer *x509.Certificate, at time.Time, depth int) Status {
	none := Status{serial: serial(cert)}
	if none.cause = signed(cert, issuer); none.cause != nil {
		return none
	}
	if Exempt(cert) {
		none.State = Good
		return none
	}
	if depth >= maxDepth {
		return none
	}
	var best *answer
	var errs []error
	consider := func(a *answer, err error) {
		if err == nil && !a.final() {
			err = a.fits(at)
		}
		if err == nil && a.responder != nil {
			err = ofResponder(d.status(a.responder, issuer, a.producedAt, depth+1).Err())
		}
		if err != nil {
			errs = append(errs, err)
			return
		}
		if best == nil || a.thisUpdate.After(best.thisUpdate) {
			best = a
		}
	}
	for _, der := range d.OCSPs {
		consider(readOCSP(der, cert, issuer))
	}
	for _, der := range d.CRLs {
		consider(readCRL(der, cert, issuer))
	}
	if best == nil {
		none.cause = errors.Join(errs...)
		return none
	}
	return best.status(cert, at)
}

// ofResponder keeps a responder's trouble from being taken for the certificate's: it wraps nothing.
func ofResponder(err error) error {
	if err == nil {
		return nil
	}
	return errors.New("OCSP responder: " + err.Error())
}

// answer is what one verified OCSP response or CRL says of one certificate.
type answer struct {
	state                  State
	revokedAt              time.Time
	reason                 Reason
	producedAt             time.Time
	thisUpdate, nextUpdate time.Time
	// responder signed in the issuer's name; nil when the issuer did.
	responder *x509.Certificate
	der       []byte
}

// status puts an answer into a time: a revocation that came later leaves the certificate good.
func (a *answer) status(cert *x509.Certificate, at time.Time) Status {
	s := Status{
		State: a.state, RevokedAt: a.revokedAt, Reason: a.reason,
		ThisUpdate: a.thisUpdate, NextUpdate: a.nextUpdate, serial: serial(cert),
	}
	if a.state == Revoked && a.revokedAt.After(at) {
		s.State = Good
	}
	return s
}

// undated is how long an OCSP response without nextUpdate holds: its authority has newer ones at any time.
const undated = 24 * time.Hour

// until is the end of an answer.
func (a *answer) until() time.Time {
	if a.nextUpdate.IsZero() {
		return a.thisUpdate.Add(undated)
	}
	return a.nextUpdate
}

// final tells whether an answer holds for ever: only a certificate on hold becomes good
// again (RFC 5280, 5.3.1).
func (a *answer) final() bool { return a.state == Revoked && a.reason != certificateHold }

func (a *answer) fits(at time.Time) error {
	if at.After(a.until()) {
		return fmt.Errorf("answer had run out on %s", a.until().UTC().Format(time.RFC3339))
	}
	return nil
}

var (
	// id-pkix-ocsp-nocheck, RFC 6960, 4.2.2.2.1.
	oidNoCheck = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}
	// ext-etsi-valassured-ST-certs, ETSI EN 319 412-1, 5.2.
	oidValidityAssured = asn1.ObjectIdentifier{0, 4, 0, 194121, 2, 1}
	// id-ce-noRevAvail, RFC 9608.
	oidNoRevAvail = asn1.ObjectIdentifier{2, 5, 29, 56}
)

// Exempt says whether a certificate needs no answer, because its authority says that it
// will never be revoked: short-term certificates whose validity is assured (ETSI EN 319
// 412-1, 5.2), those without revocation information (RFC 9608), and OCSP responders with
// id-pkix-ocsp-nocheck (RFC 6960, 4.2.2.2.1).
func Exempt(cert *x509.Certificate) bool {
	for _, extension := range cert.Extensions {
		switch {
		case extension.Id.Equal(oidValidityAssured), extension.Id.Equal(oidNoRevAvail) && !cert.IsCA:
			return true
		case extension.Id.Equal(oidNoCheck) && slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning):
			return true
		}
	}
	return false
}

func serial(cert *x509.Certificate) string { return fmt.Sprintf("%X", cert.SerialNumber) }

// weak are signature algorithms with which answers could be forged today.
func weak(algorithm x509.SignatureAlgorithm) bool {
	switch algorithm {
	case x509.UnknownSignatureAlgorithm, x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1, x509.DSAWithSHA256:
		return true
	}
	return false
}
