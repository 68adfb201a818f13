package cms

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// Claims are what a signature or a time-stamp token says of itself; nothing of it is proven.
type Claims struct {
	// Certificate is the signer's.
	Certificate *x509.Certificate
	// Chain goes from it to the one that signed it and so on, as far as the message carries them.
	Chain []*x509.Certificate
	// Time is that of a token; zero for another signature.
	Time time.Time
	// Timestamp is the first signature-time-stamp, nil when there is none that can be read.
	Timestamp *Claims
}

// Read reads a signature without checking it; it needs no signed bytes. It is for those
// who look for what a later check will need.
func Read(der []byte) (*Claims, error) {
	c, err := readClaims(der, true)
	if err != nil {
		return nil, fmt.Errorf("read signature: %w", err)
	}
	return c, nil
}

func readClaims(der []byte, stamped bool) (*Claims, error) {
	m, s, err := parse(der)
	if err != nil {
		return nil, err
	}
	c := &Claims{}
	if c.Certificate, err = s.certificate(m.parsed); err != nil {
		return nil, err
	}
	c.Chain = ChainFrom(c.Certificate, m.parsed)
	if m.contentType.Equal(OIDTSTInfo) {
		_, token, err := parseTSTInfo(m)
		if err != nil {
			return nil, err
		}
		c.Time = token.Time
		return c, nil
	}
	if token := s.unsignedToken(); token != nil && stamped {
		if t, err := readClaims(token, false); err == nil && !t.Time.IsZero() {
			c.Timestamp = t
		}
	}
	return c, nil
}

// ChainFrom goes from a certificate to the one among others that signed it, as long as
// there is one.
func ChainFrom(leaf *x509.Certificate, among []*x509.Certificate) []*x509.Certificate {
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
