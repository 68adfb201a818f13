package cms

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"math/big"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	// OIDTSTInfo is the content type of a time-stamp token.
	OIDTSTInfo = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}

	oidExtKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 37}
)

// Token is a checked RFC 3161 time-stamp token.
type Token struct {
	// Time is when the authority made the token, in UTC.
	Time time.Time
	// Accuracy is how far Time may be off; zero when the token does not say.
	Accuracy time.Duration
	// Policy names the rules that the authority follows.
	Policy asn1.ObjectIdentifier
	// Serial is the authority's number of the token.
	Serial *big.Int
	// Hash and Imprint are what was stamped.
	Hash    crypto.Hash
	Imprint []byte
	// Nonce repeats that of the request, nil when there was none.
	Nonce *big.Int
	// Authority is the certificate that signed the token.
	Authority *x509.Certificate
	// Chain is the verified path of the authority, leaf first; of an untrusted token, the certificates it carries.
	Chain []*x509.Certificate
}

// VerifyToken checks that an authority which the roots trust at the given time
// stamped the digest that the function returns. A zero time is now, nil roots
// trust nobody. Every error is ErrTimestamp; the token is given beside an error
// only when that is ErrUntrusted too.
func VerifyToken(der []byte, digest func(crypto.Hash) ([]byte, error), roots *x509.CertPool, at time.Time) (*Token, error) {
	token, err := verifyToken(der, digest, roots, at)
	if err != nil {
		return token, fmt.Errorf("verify token: %w: %w", ErrTimestamp, err)
	}
	return token, nil
}

func checkTimestamp(token, value []byte, roots *x509.CertPool, at time.Time) (*Token, error) {
	return VerifyToken(token, func(h crypto.Hash) ([]byte, error) { return sum(h, value), nil }, roots, at)
}

func verifyToken(der []byte, digest func(crypto.Hash) ([]byte, error), roots *x509.CertPool, at time.Time) (*Token, error) {
	m, s, err := parse(der)
	if err != nil {
		return nil, err
	}
	content, token, err := parseTSTInfo(m)
	if err != nil {
		return nil, err
	}
	want, err := digest(token.Hash)
	if err != nil {
		return nil, fmt.Errorf("digest of the stamped bytes: %w", err)
	}
	if !bytes.Equal(want, token.Imprint) {
		return nil, ErrDigestMismatch
	}
	info, err := m.checkAuthority(s, content)
	if err != nil {
		return nil, err
	}
	token.Authority, token.Chain = info.Certificate, info.Chain
	chain, err := trustedPath(info.Certificate, m.parsed, roots, at, x509.ExtKeyUsageTimeStamping)
	if err != nil {
		return token, err
	}
	token.Chain = chain
	return token, nil
}

// checkAuthority proves that a certificate for time-stamping, which the token names and carries, signed it.
func (m *Message) checkAuthority(s *signer, content []byte) (*Info, error) {
	info, err := m.check(s, sum(s.hash, content))
	if err != nil {
		return nil, err
	}
	named := info.HasSigningCertificateV2
	if !named {
		first, err := s.signedAttribute(oidSigningCertificate)
		if err != nil {
			return nil, err
		}
		named = first != nil
	}
	if !named {
		return nil, fmt.Errorf("token does not name its certificate: %w", ErrSigningCertificate)
	}
	if !isTimestampAuthority(info.Certificate) {
		return nil, fmt.Errorf("certificate is not for time-stamping alone: %w", ErrUnsupported)
	}
	return info, nil
}

// isTimestampAuthority asks for the one critical key purpose of RFC 3161, 2.3.
func isTimestampAuthority(c *x509.Certificate) bool {
	if len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != x509.ExtKeyUsageTimeStamping || len(c.UnknownExtKeyUsage) > 0 {
		return false
	}
	for _, extension := range c.Extensions {
		if extension.Id.Equal(oidExtKeyUsage) {
			return extension.Critical
		}
	}
	return false
}

func (t *Token) covers(value []byte) bool { return bytes.Equal(t.Imprint, sum(t.Hash, value)) }

// parseTSTInfo reads what a token says (RFC 3161, 2.4.2), and returns its encoding too.
func parseTSTInfo(m *Message) (content []byte, token *Token, err error) {
	if !m.contentType.Equal(OIDTSTInfo) || m.Detached() {
		return nil, nil, malformed("not a time-stamp token")
	}
	if content, err = m.bytes(); err != nil {
		return nil, nil, err
	}
	token, err = readTSTInfo(content)
	return content, token, err
}

func readTSTInfo(content []byte) (*Token, error) {
	input := cryptobyte.String(content)
	var body, imprint, hashed cryptobyte.String
	var version int
	var hash algorithm
	token := &Token{Serial: new(big.Int)}
	if !input.ReadASN1(&body, cbasn1.SEQUENCE) || !input.Empty() || !body.ReadASN1Integer(&version) || version != 1 ||
		!body.ReadASN1ObjectIdentifier(&token.Policy) || !body.ReadASN1(&imprint, cbasn1.SEQUENCE) ||
		!readAlgorithm(&imprint, &hash) || !imprint.ReadASN1(&hashed, cbasn1.OCTET_STRING) || !imprint.Empty() ||
		!body.ReadASN1Integer(token.Serial) {
		return nil, malformed("time-stamp token")
	}
	var ok bool
	if token.Hash, ok = hashByOID(hash.oid); !ok {
		return nil, fmt.Errorf("time-stamp over %s: %w", hash.oid, ErrUnsupported)
	}
	token.Imprint = hashed
	if token.Time, ok = readGeneralizedTime(&body); !ok {
		return nil, malformed("time of the token")
	}
	if err := token.readOptional(body); err != nil {
		return nil, err
	}
	return token, nil
}

func (t *Token) readOptional(body cryptobyte.String) error {
	var accuracy cryptobyte.String
	var present bool
	if !body.ReadOptionalASN1(&accuracy, &present, cbasn1.SEQUENCE) {
		return malformed("accuracy of the token")
	}
	if present {
		var ok bool
		if t.Accuracy, ok = readAccuracy(accuracy); !ok {
			return malformed("accuracy of the token")
		}
	}
	if !body.SkipOptionalASN1(cbasn1.BOOLEAN) {
		return malformed("time-stamp token")
	}
	if body.PeekASN1Tag(cbasn1.INTEGER) {
		t.Nonce = new(big.Int)
		if !body.ReadASN1Integer(t.Nonce) {
			return malformed("nonce of the token")
		}
	}
	if !body.SkipOptionalASN1(context0) || !body.SkipOptionalASN1(context1) || !body.Empty() {
		return malformed("time-stamp token")
	}
	return nil
}

func readAccuracy(body cryptobyte.String) (time.Duration, bool) {
	var seconds, millis, micros int64
	if body.PeekASN1Tag(cbasn1.INTEGER) && !body.ReadASN1Integer(&seconds) {
		return 0, false
	}
	for i, out := range []*int64{&millis, &micros} {
		tag := cbasn1.Tag(i).ContextSpecific()
		if body.PeekASN1Tag(tag) && !body.ReadASN1Int64WithTag(out, tag) {
			return 0, false
		}
	}
	const longest = 1 << 31
	if !body.Empty() || seconds < 0 || seconds > longest || millis < 0 || millis > 999 || micros < 0 || micros > 999 {
		return 0, false
	}
	return time.Duration(seconds)*time.Second + time.Duration(millis)*time.Millisecond + time.Duration(micros)*time.Microsecond, true
}

// readGeneralizedTime reads YYYYMMDDhhmmss[.s...]Z; cryptobyte knows no fractions, which RFC 3161 allows.
func readGeneralizedTime(s *cryptobyte.String) (time.Time, bool) {
	var text cryptobyte.String
	if !s.ReadASN1(&text, cbasn1.GeneralizedTime) || len(text) > 32 {
		return time.Time{}, false
	}
	layout := "20060102150405Z"
	if whole, fraction, found := strings.Cut(string(text), "."); found {
		if len(whole) != 14 || len(fraction) < 2 || len(fraction) > 10 {
			return time.Time{}, false
		}
		layout = "20060102150405." + strings.Repeat("0", len(fraction)-1) + "Z"
	}
	at, err := time.Parse(layout, string(text))
	return at.UTC(), err == nil
}
