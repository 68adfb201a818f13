package cms

import (
	"bytes"
	"crypto"
	_ "crypto/sha1" //nolint:gosec // Only to match the certificate named by a first-version signing-certificate attribute.
	"crypto/subtle"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Info is what a signature says about itself, after it was checked.
type Info struct {
	// Certificate is the signer's.
	Certificate *x509.Certificate
	// Chain is the verified path, leaf first; of an untrusted signature, the certificates it carries.
	Chain []*x509.Certificate
	// SigningTime is the signer's own claim, zero when there is none.
	SigningTime time.Time
	// Timestamp is nil when the signature has none or a wrong one; an untrusted one is given beside ErrTimestamp.
	Timestamp *TimestampInfo
	// HasSigningCertificateV2 tells whether the signature names its certificate as CAdES wants it.
	HasSigningCertificateV2 bool
	// DigestAlgorithm is the hash of the signed bytes.
	DigestAlgorithm crypto.Hash
}

// TimestampInfo is a checked time-stamp.
type TimestampInfo struct {
	// Time is when the authority saw the signature.
	Time time.Time
	// Authority is the certificate of the time-stamping authority.
	Authority *x509.Certificate
	// Chain is the verified path of the authority, leaf first; of an untrusted time-stamp, the certificates it carries.
	Chain []*x509.Certificate
}

// Verify checks a detached signature. The digest function is asked once, for the
// digest of the signed bytes by the hash that the signature uses. Zero bytes
// after the message are allowed.
//
// The signer's certificate must be valid at the trusted time-stamp, or at the
// given time when there is none or the given time is earlier; the authority's at
// the given time. A zero time is now, nil roots trust nobody.
//
// Info is nil when the signature itself is wrong. It is given beside errors that
// are ErrUntrusted or ErrTimestamp: then the signature holds, but nobody trusted
// vouches for its certificate or its time.
func Verify(der []byte, digest func(crypto.Hash) ([]byte, error), roots *x509.CertPool, at time.Time) (*Info, error) {
	m, s, err := parse(der)
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	if !m.Detached() {
		return nil, fmt.Errorf("verify: %w", malformed("signature is not detached"))
	}
	return m.verify(s, digest, roots, at)
}

// Verify checks one of the signatures, the first of which is 0, as the function Verify does; the message may have its content inside.
func (m *Message) Verify(signer int, digest func(crypto.Hash) ([]byte, error), roots *x509.CertPool, at time.Time) (*Info, error) {
	s, err := m.signer(signer)
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	return m.verify(s, digest, roots, at)
}

func (m *Message) verify(s *signer, digest func(crypto.Hash) ([]byte, error), roots *x509.CertPool, at time.Time) (*Info, error) {
	content, err := digest(s.hash)
	if err != nil {
		return nil, fmt.Errorf("verify: digest of the signed bytes: %w", err)
	}
	info, err := m.check(s, content)
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	if at.IsZero() {
		at = time.Now()
	}
	var problems []error
	signedAt := at
	if token := s.unsignedToken(); token != nil {
		stamp, err := checkTimestamp(token, s.value, roots, at)
		if stamp != nil {
			info.Timestamp = &TimestampInfo{Time: stamp.Time, Authority: stamp.Authority, Chain: stamp.Chain}
		}
		if err != nil {
			problems = append(problems, err)
		} else if stamp.Time.Before(signedAt) {
			signedAt = stamp.Time
		}
	}
	chain, err := trustedPath(info.Certificate, m.parsed, roots, signedAt, x509.ExtKeyUsageAny)
	if usage := CheckUsage(info.Certificate); usage != nil {
		err = fmt.Errorf("%w: %w", ErrUntrusted, usage)
	}
	if err != nil {
		problems = append(problems, err)
	} else {
		info.Chain = chain
	}
	if err := errors.Join(problems...); err != nil {
		return info, fmt.Errorf("verify: %w", err)
	}
	return info, nil
}

// CheckContent tells whether the digest is the one that a signer signed; ErrDigestMismatch when it is another.
// It says nothing about the signature itself.
func (m *Message) CheckContent(signer int, digest []byte) error {
	s, err := m.signer(signer)
	if err != nil {
		return err
	}
	return s.checkDigest(digest)
}

func (s *signer) checkDigest(content []byte) error {
	attribute, err := s.signedAttribute(oidMessageDigest)
	if err != nil {
		return err
	}
	var named cryptobyte.String
	if !attribute.ReadASN1(&named, cbasn1.OCTET_STRING) || !attribute.Empty() {
		return malformed("message digest attribute")
	}
	if subtle.ConstantTimeCompare(named, content) != 1 {
		return ErrDigestMismatch
	}
	return nil
}

// check proves that the signer's certificate signed this digest; it says nothing about trust.
func (m *Message) check(s *signer, content []byte) (*Info, error) {
	kind, err := s.signedAttribute(oidContentType)
	if err != nil {
		return nil, err
	}
	var oid asn1.ObjectIdentifier
	if !kind.ReadASN1ObjectIdentifier(&oid) || !kind.Empty() || !oid.Equal(m.contentType) {
		return nil, malformed("content type attribute")
	}
	if err := s.checkDigest(content); err != nil {
		return nil, err
	}
	leaf, err := s.certificate(m.parsed)
	if err != nil {
		return nil, err
	}
	if err := verifyValue(leaf.PublicKey, s.algorithm, s.hash, s.signedSet, s.value); err != nil {
		return nil, err
	}
	hasV2, err := s.checkSigningCertificate(leaf)
	if err != nil {
		return nil, err
	}
	info := &Info{Certificate: leaf, HasSigningCertificateV2: hasV2, DigestAlgorithm: s.hash}
	info.Chain = append(info.Chain, leaf)
	for _, certificate := range m.parsed {
		if !certificate.Equal(leaf) {
			info.Chain = append(info.Chain, certificate)
		}
	}
	info.SigningTime, err = s.signingTime()
	return info, err
}

func (s *signer) signingTime() (time.Time, error) {
	value, err := s.signedAttribute(oidSigningTime)
	if err != nil || value == nil {
		return time.Time{}, err
	}
	var at time.Time
	read := value.ReadASN1UTCTime
	if value.PeekASN1Tag(cbasn1.GeneralizedTime) {
		read = value.ReadASN1GeneralizedTime
	}
	if !read(&at) || !value.Empty() {
		return time.Time{}, malformed("signing time attribute")
	}
	return at.UTC(), nil
}

// checkSigningCertificate reads both versions of the attribute (RFC 5035): the
// first entry is the signer's certificate. Without it a certificate of the same
// key could be put in its place.
func (s *signer) checkSigningCertificate(leaf *x509.Certificate) (hasV2 bool, err error) {
	for _, version := range []int{1, 2} {
		oid := oidSigningCertificate
		if version == 2 {
			oid = oidSigningCertificateV2
		}
		value, err := s.signedAttribute(oid)
		if err != nil {
			return false, err
		}
		if value == nil {
			continue
		}
		if err := matchCertificate(value, version, leaf); err != nil {
			return false, err
		}
		hasV2 = version == 2
	}
	return hasV2, nil
}

func matchCertificate(value cryptobyte.String, version int, leaf *x509.Certificate) error {
	var attribute, list, first, fingerprint cryptobyte.String
	if !value.ReadASN1(&attribute, cbasn1.SEQUENCE) || !value.Empty() || !attribute.ReadASN1(&list, cbasn1.SEQUENCE) ||
		!list.ReadASN1(&first, cbasn1.SEQUENCE) {
		return fmt.Errorf("unreadable: %w", ErrSigningCertificate)
	}
	hash := crypto.SHA1
	if version == 2 {
		hash = crypto.SHA256
		if first.PeekASN1Tag(cbasn1.SEQUENCE) {
			var named algorithm
			if !readAlgorithm(&first, &named) {
				return fmt.Errorf("unreadable: %w", ErrSigningCertificate)
			}
			var ok bool
			if hash, ok = hashByOID(named.oid); !ok {
				return fmt.Errorf("hash %s: %w", named.oid, ErrSigningCertificate)
			}
		}
	}
	if !first.ReadASN1(&fingerprint, cbasn1.OCTET_STRING) || !bytes.Equal(fingerprint, sum(hash, leaf.Raw)) {
		return ErrSigningCertificate
	}
	return nil
}

// unsignedToken is the first signature-time-stamp token, nil when there is none.
// The attribute's presence alone counts: one without a value is a wrong token.
func (s *signer) unsignedToken() []byte {
	for _, a := range s.unsigned {
		if !a.oid.Equal(oidSignatureTimestamp) {
			continue
		}
		var token cryptobyte.String
		var tag cbasn1.Tag
		values := a.values
		if !values.ReadAnyASN1Element(&token, &tag) {
			return []byte{}
		}
		return token
	}
	return nil
}

// trustedPath finds a way to a root; the standard library bounds the work per call.
func trustedPath(leaf *x509.Certificate, others []*x509.Certificate, roots *x509.CertPool, at time.Time, usage x509.ExtKeyUsage) ([]*x509.Certificate, error) {
	if roots == nil {
		// With nil roots the standard library would ask the operating system.
		roots = x509.NewCertPool()
	}
	intermediates := x509.NewCertPool()
	for _, certificate := range others {
		intermediates.AddCert(certificate)
	}
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{usage},
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	return chains[0], nil
}
