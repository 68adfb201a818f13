package cms

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"
)

// Certificates are all those that a signature carries, beside itself and in its time-stamp tokens, each once.
// A time-stamp token is such a signature too.
func Certificates(der []byte) ([]*x509.Certificate, error) {
	m, s, err := parse(der)
	if err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	certificates := slices.Clone(m.parsed)
	for _, a := range s.unsigned {
		if !a.oid.Equal(oidSignatureTimestamp) {
			continue
		}
		token, _, err := parse(a.values)
		if err != nil {
			return nil, fmt.Errorf("certificates: time-stamp: %w", err)
		}
		certificates = append(certificates, token.parsed...)
	}
	return distinct(certificates), nil
}

// TimestampChain is the path of the authority that made the signature's time-stamp, leaf first, as
// far as the token carries it; nil without a time-stamp.
func (s *SignerInfo) TimestampChain() ([]*x509.Certificate, error) {
	if s.token == nil {
		return nil, nil
	}
	m, token, err := parse(s.token)
	if err != nil {
		return nil, fmt.Errorf("time-stamp: %w", err)
	}
	leaf, err := token.certificate(m.parsed)
	if err != nil {
		return nil, fmt.Errorf("time-stamp: %w", err)
	}
	return Path(leaf, m.parsed), nil
}

// Path goes from a certificate to the one that signed it, as long as there is one: it ends at a
// self-issued certificate, or where the issuer is not among those given. It says nothing about trust.
func Path(leaf *x509.Certificate, among []*x509.Certificate) []*x509.Certificate {
	chain := []*x509.Certificate{leaf}
	for last := leaf; !bytes.Equal(last.RawIssuer, last.RawSubject); {
		next := slices.IndexFunc(among, func(c *x509.Certificate) bool {
			return bytes.Equal(c.RawSubject, last.RawIssuer) && !slices.ContainsFunc(chain, c.Equal) && last.CheckSignatureFrom(c) == nil
		})
		if next < 0 {
			break
		}
		last = among[next]
		chain = append(chain, last)
	}
	return chain
}

// HasArchiveTimestamp tells whether a signer has a time-stamp of a kind that covers the message as a
// whole (the archive-time-stamps before version 3 of ETSI EN 319 122-1, 5.5.3), so that nothing can be added any more.
func (m *Message) HasArchiveTimestamp() bool {
	for i := range m.signers {
		s, err := m.signer(i)
		if err != nil {
			continue
		}
		for _, a := range s.unsigned {
			if a.oid.Equal(oidArchiveTimestamp) || a.oid.Equal(oidArchiveTimestampV2) || a.oid.Equal(oidLongTermValidation) {
				return true
			}
		}
	}
	return false
}

// SignatureValue is the value that the key gave; a signature-time-stamp is over it.
func SignatureValue(der []byte) ([]byte, error) {
	_, s, err := parse(der)
	if err != nil {
		return nil, fmt.Errorf("signature value: %w", err)
	}
	return s.value, nil
}

func distinct(certificates []*x509.Certificate) []*x509.Certificate {
	var once []*x509.Certificate
	for _, certificate := range certificates {
		if !slices.ContainsFunc(once, certificate.Equal) {
			once = append(once, certificate)
		}
	}
	return once
}
