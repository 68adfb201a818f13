package signaturebook

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/chacha20poly1305"

	"signbus.dev/services/signature-book/pages"
)

// minSecret is the least length of the secret: no shorter than the keys made of it.
const minSecret = 32

var errSealed = errors.New("encrypted record cannot be opened")

// secrets holds the keys derived from the service's secret, one for each purpose.
//
// The token of a link is derived from the assignment, not drawn and stored: the link can
// be told again, and a copy of the database opens no session. A new secret gives new
// tokens. Links already sent stay valid, because their hash is stored, until the link of
// the same session is asked for again (see [Service.signingURL]).
type secrets struct {
	links []byte
	codes []byte
	forms []byte
	mails vault
	// recordings is for what a hand did, until it is sealed for the escrow key.
	recordings vault
}

func newSecrets(secret []byte) (*secrets, error) {
	if len(secret) < minSecret {
		return nil, fmt.Errorf("the secret has %d bytes, it needs %d", len(secret), minSecret)
	}
	s := &secrets{}
	var mails, recordings []byte
	for purpose, key := range map[string]*[]byte{"links": &s.links, "codes": &s.codes, "forms": &s.forms, "mails": &mails, "recordings": &recordings} {
		derived, err := hkdf.Key(sha256.New, secret, nil, "signbus signature book "+purpose, sha256.Size)
		if err != nil {
			return nil, err
		}
		*key = derived
	}
	var err error
	if s.mails.AEAD, err = chacha20poly1305.NewX(mails); err != nil {
		return nil, err
	}
	s.recordings.AEAD, err = chacha20poly1305.NewX(recordings)
	return s, err
}

// vault encrypts records of one purpose.
type vault struct{ cipher.AEAD }

// token returns the secret of an assignment's link, 256 bits.
func (s *secrets) token(assignment string) string {
	mac := hmac.New(sha256.New, s.links)
	mac.Write([]byte(assignment))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// hashToken is what is stored of a token.
func hashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// newCode draws a one-time code.
func newCode() (string, error) {
	limit := big.NewInt(1)
	for range pages.CodeDigits {
		limit.Mul(limit, big.NewInt(10))
	}
	n, err := rand.Int(rand.Reader, limit)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%0*d", pages.CodeDigits, n), nil
}

// hashCode is what is stored of a code. It is keyed: a six-digit code could be found from
// a plain hash by trying.
func (s *secrets) hashCode(salt []byte, assignment, code string) []byte {
	mac := hmac.New(sha256.New, s.codes)
	mac.Write(salt)
	mac.Write([]byte(assignment))
	mac.Write([]byte{0})
	mac.Write([]byte(code))
	return mac.Sum(nil)
}

// seal encrypts a record; about binds it to its row.
func (v vault) seal(plain []byte, about string) []byte {
	nonce := make([]byte, v.NonceSize(), v.NonceSize()+len(plain)+v.Overhead())
	_, _ = rand.Read(nonce) // never fails
	return v.Seal(nonce, nonce, plain, []byte(about))
}

// open is the inverse of seal.
func (v vault) open(sealed []byte, about string) ([]byte, error) {
	n := v.NonceSize()
	if len(sealed) < n {
		return nil, errSealed
	}
	plain, err := v.Open(nil, sealed[:n], sealed[n:], []byte(about))
	if err != nil {
		return nil, errSealed
	}
	return plain, nil
}
