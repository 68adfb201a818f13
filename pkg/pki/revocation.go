package pki

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
)

const (
	// listLife is how long a CRL and an OCSP response hold; listAge how old they get before
	// they are made anew, which is how soon a revocation by another process is seen.
	crlLife  = 7 * 24 * time.Hour
	ocspLife = 24 * time.Hour
	listAge  = time.Minute

	revokedKind = "revoked"
)

// oidExpiredCertsOnCRL is X.509, 9.5.2.8: since when certificates stay on the CRL after their end.
var oidExpiredCertsOnCRL = asn1.ObjectIdentifier{2, 5, 29, 60}

// ErrReason means that a reason is none for which this authority revokes.
var ErrReason = errors.New("reason of a revocation is not known; use one of unspecified, keyCompromise, cACompromise, " +
	"affiliationChanged, superseded, cessationOfOperation, privilegeWithdrawn")

// ErrTime means that a revocation would begin at an impossible time.
var ErrTime = errors.New("time of a revocation is in the future or before the authority began")

// Reason is why a certificate is revoked (RFC 5280, 5.3.1). Holds are missing: a revocation is for ever.
type Reason int

// The reasons for which this authority revokes.
const (
	Unspecified          Reason = 0
	KeyCompromise        Reason = 1
	CACompromise         Reason = 2
	AffiliationChanged   Reason = 3
	Superseded           Reason = 4
	CessationOfOperation Reason = 5
	PrivilegeWithdrawn   Reason = 9
)

var reasonNames = map[Reason]string{
	Unspecified: "unspecified", KeyCompromise: "keyCompromise", CACompromise: "cACompromise", AffiliationChanged: "affiliationChanged",
	Superseded: "superseded", CessationOfOperation: "cessationOfOperation", PrivilegeWithdrawn: "privilegeWithdrawn",
}

// String is the name in RFC 5280.
func (r Reason) String() string { return cmp.Or(reasonNames[r], fmt.Sprintf("reason %d", int(r))) }

// ParseReason reads a reason's name.
func ParseReason(name string) (Reason, error) {
	for reason, known := range reasonNames {
		if known == name {
			return reason, nil
		}
	}
	return 0, ErrReason
}

// Revocation says that a certificate was revoked.
type Revocation struct {
	Serial *big.Int
	At     time.Time
	Reason Reason
}

// revocationRecord is how one is kept; the name of the record repeats the number.
type revocationRecord struct {
	Version int       `json:"version"`
	At      time.Time `json:"at"`
	Reason  Reason    `json:"reason"`
}

// Revoke revokes a certificate from a time on, now when it is zero. It is for ever, durable
// when Revoke returns, and known to other processes within a minute. The first revocation of
// a certificate stays, and is what is returned. Whose certificate it was gets a new one, with
// a new key, when one is asked for again.
func (a *Authority) Revoke(ctx context.Context, serial *big.Int, reason Reason, at time.Time) (Revocation, error) {
	now := a.now().UTC().Truncate(time.Second)
	if at.IsZero() {
		at = now
	}
	at = at.UTC().Truncate(time.Second)
	root := a.Certificate()
	switch {
	case reasonNames[reason] == "":
		return Revocation{}, fmt.Errorf("revoke certificate: %w", ErrReason)
	case !a.Issued(serial) || serial.Cmp(root.SerialNumber) == 0:
		return Revocation{}, fmt.Errorf("revoke certificate: %w", ErrNotIssued)
	case at.After(now) || at.Before(root.NotBefore):
		return Revocation{}, fmt.Errorf("revoke certificate: %w", ErrTime)
	}
	value, err := json.Marshal(revocationRecord{Version: 1, At: at, Reason: reason})
	if err != nil {
		return Revocation{}, fmt.Errorf("revoke certificate: %w", err)
	}
	name := fmt.Sprintf("%s-%x", revokedKind, serial)
	stored, err := a.keeper.PutIfAbsent(ctx, name, value)
	if err != nil {
		return Revocation{}, fmt.Errorf("revoke certificate: %w", err)
	}
	a.revocations.forget()
	return decodeRevocation(name, stored)
}

func decodeRevocation(name string, value []byte) (Revocation, error) {
	var record revocationRecord
	serial, ok := new(big.Int).SetString(name[len(revokedKind)+1:], 16)
	if err := json.Unmarshal(value, &record); err != nil || record.Version != 1 || !ok || record.At.IsZero() {
		return Revocation{}, fmt.Errorf("record %s: %w", name, ErrCorrupt)
	}
	return Revocation{Serial: serial, At: record.At.UTC(), Reason: record.Reason}, nil
}

// Revoked lists every revocation, oldest first, as it is kept now.
func (a *Authority) Revoked(ctx context.Context) ([]Revocation, error) {
	var list []Revocation
	err := a.keeper.Each(ctx, revokedKind, func(name string, value []byte) error {
		revocation, err := decodeRevocation(name, value)
		list = append(list, revocation)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list revocations: %w", err)
	}
	slices.SortFunc(list, func(a, b Revocation) int { return cmp.Or(a.At.Compare(b.At), a.Serial.Cmp(b.Serial)) })
	return list, nil
}

// snapshot is what was revoked at a time, with the answers that were signed about it.
type snapshot struct {
	at      time.Time
	list    []Revocation
	revoked map[string]Revocation
	crl     []byte
	ocsps   map[string][]byte
}

// maxAnswers bounds the OCSP responses of a snapshot, one kilobyte each.
const maxAnswers = 4096

// forget makes the next question read the Keeper again.
func (l *revocationList) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stale = true
}

// current returns what is revoked, read at most a minute ago. The caller holds the lock.
func (a *Authority) current(ctx context.Context) (*snapshot, error) {
	l := &a.revocations
	now := a.now().UTC()
	if s := l.snapshot; s != nil && !l.stale && now.Sub(s.at).Abs() < listAge {
		return s, nil
	}
	list, err := a.Revoked(ctx)
	if err != nil {
		return nil, err
	}
	s := &snapshot{at: now.Truncate(time.Second), list: list, revoked: map[string]Revocation{}, ocsps: map[string][]byte{}}
	for _, r := range list {
		s.revoked[r.Serial.String()] = r
	}
	l.snapshot, l.stale = s, false
	return s, nil
}

// isRevoked says whether a certificate of this authority is revoked.
func (a *Authority) isRevoked(ctx context.Context, certificate *x509.Certificate) (bool, error) {
	a.revocations.mu.Lock()
	defer a.revocations.mu.Unlock()
	s, err := a.current(ctx)
	if err != nil {
		return false, err
	}
	_, revoked := s.revoked[certificate.SerialNumber.String()]
	return revoked, nil
}

// CRL returns the signed list of all revoked certificates (RFC 5280), in DER: complete, also
// with those that have expired, valid for a week and at most a minute old.
func (a *Authority) CRL(ctx context.Context) ([]byte, error) {
	a.revocations.mu.Lock()
	defer a.revocations.mu.Unlock()
	s, err := a.current(ctx)
	if err != nil || s.crl != nil {
		return s.made(), err
	}
	if err := a.valid(); err != nil {
		return nil, fmt.Errorf("make CRL: %w", err)
	}
	since, err := asn1.MarshalWithParams(a.Certificate().NotBefore.UTC(), "generalized")
	if err != nil {
		return nil, fmt.Errorf("make CRL: %w", err)
	}
	template := &x509.RevocationList{
		// Microseconds grow over restarts and processes, as RFC 5280, 5.2.3 asks of the number.
		Number: big.NewInt(a.now().UnixMicro()), ThisUpdate: s.at, NextUpdate: s.at.Add(crlLife),
		ExtraExtensions: []pkix.Extension{{Id: oidExpiredCertsOnCRL, Value: since}},
	}
	for _, r := range s.list {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: r.Serial, RevocationTime: r.At, ReasonCode: int(r.Reason),
		})
	}
	if s.crl, err = x509.CreateRevocationList(a.rand, template, a.Certificate(), a.ca.Signer); err != nil {
		return nil, fmt.Errorf("make CRL: %w", err)
	}
	return s.crl, nil
}

// made is the snapshot's list, nil when there is none yet.
func (s *snapshot) made() []byte {
	if s == nil {
		return nil
	}
	return s.crl
}

// Revocation answers for a chain in process: OCSP responses for the certificates that this
// authority issued, and whose certificate signed them. There is no answer, and no error, for
// those of others. It fits revocation.Local.
func (a *Authority) Revocation(ctx context.Context, chain []*x509.Certificate) (certificates []*x509.Certificate, ocsps, crls [][]byte, err error) {
	for _, certificate := range chain {
		if !bytes.Equal(certificate.RawIssuer, a.Certificate().RawSubject) || certificate.Equal(a.Certificate()) ||
			certificate.CheckSignatureFrom(a.Certificate()) != nil {
			continue
		}
		id, err := a.certID(certificate.SerialNumber)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("revocation status: %w", err)
		}
		response, responder, err := a.respond(ctx, []ocspID{id}, nil)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("revocation status: %w", err)
		}
		certificates, ocsps = append(certificates, responder), append(ocsps, response)
	}
	return certificates, ocsps, nil, nil
}
