package cms

import (
	"crypto/x509"
	"fmt"
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
	c.Chain = Path(c.Certificate, m.parsed)
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
