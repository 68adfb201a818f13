package cms

import (
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

// TokenCertificates are those that the time-stamp token of the signature carries.
func (s *SignerInfo) TokenCertificates() []*x509.Certificate {
	if s.token == nil {
		return nil
	}
	m, _, err := parse(s.token)
	if err != nil {
		return nil
	}
	return m.Certificates()
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
