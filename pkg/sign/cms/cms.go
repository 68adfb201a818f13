// Package cms makes and checks the CMS SignedData (RFC 5652) inside CAdES and
// PAdES signatures (ETSI EN 319 122-1), and checks RFC 3161 time-stamp tokens,
// which are the same structure.
//
// It promises that what Sign returns is DER with exactly one signer, that the
// key belongs to a certificate valid at the time of signing, and that Verify
// works in bounded time and memory on hostile bytes. A [Message] has any number of
// signers and content of any size. [Begin] signs with keys that are elsewhere. It does not read PDF files,
// does not fetch anything, and does not ask whether a certificate was revoked.
package cms

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"time"
)

// Reasons why a signature is refused, to be tested with errors.Is.
var (
	// ErrMalformed means that the bytes are not one complete signed message as CAdES wants it.
	ErrMalformed = errors.New("malformed signature")
	// ErrUnsupported means that an algorithm or a key is weak, unknown or not for signing.
	ErrUnsupported = errors.New("unsupported algorithm or key")
	// ErrDigestMismatch means that the signed bytes are not those that were signed.
	ErrDigestMismatch = errors.New("signed content was changed")
	// ErrSignature means that the signature value does not belong to the attributes and the key.
	ErrSignature = errors.New("signature value is wrong")
	// ErrSigningCertificate means that the signature names another certificate than the one that verifies it.
	ErrSigningCertificate = errors.New("signing-certificate attribute does not match the signer's certificate")
	// ErrTimestamp means that the time-stamp does not belong to the signature or is not from a time-stamping authority.
	ErrTimestamp = errors.New("time-stamp is wrong")
	// ErrUntrusted means that no valid path leads from the signer's certificate to a trusted root.
	ErrUntrusted = errors.New("certificate is not trusted")
	// ErrNoCertificate means that the message does not carry the certificate of its signer, or that it cannot be read.
	ErrNoCertificate = errors.New("certificate of the signer is not in the message")
	// ErrKeyMismatch means that the key to sign with does not belong to the certificate.
	ErrKeyMismatch = errors.New("key does not match the certificate")
	// ErrExpired means that the certificate's validity has ended.
	ErrExpired = errors.New("certificate has expired")
	// ErrNotYetValid means that the certificate's validity has not begun.
	ErrNotYetValid = errors.New("certificate is not yet valid")
)

// Request is what Sign and Begin need for one signature.
type Request struct {
	// Digest is the digest of the signed bytes by the hash that Hash or HashFor names,
	// which is SHA-256 for every key but Ed25519.
	Digest []byte
	// Hash overrides the key's default hash; Ed25519 allows only SHA-512 (RFC 8419).
	Hash crypto.Hash
	// PSS makes an RSA key sign by RSASSA-PSS with a salt as long as the hash (RFC 4056), and not by PKCS #1 v1.5.
	PSS bool
	// Signer holds the private key of the first certificate of Chain; Begin does without it.
	Signer crypto.Signer
	// Chain is put into the signature, leaf first.
	Chain []*x509.Certificate
	// SigningTime becomes a signed attribute; PAdES wants it zero, which leaves it out.
	SigningTime time.Time
	// Attributes are further signed attributes.
	Attributes []Attribute
	// Timestamp gets an RFC 3161 token over the signature value; nil makes a signature without one (B-B).
	Timestamp func(ctx context.Context, signatureValue []byte) (token []byte, err error)
	// Now tells at which time the certificate must be valid; nil is time.Now.
	Now func() time.Time
	// Rand is the source of randomness of the key operation; nil is crypto/rand.
	Rand io.Reader
}

// Attribute is a signed attribute with one value (RFC 5652, 5.3).
type Attribute struct {
	Type asn1.ObjectIdentifier
	// Value is DER.
	Value []byte
}

// Content is the content of a signature that carries what it signs.
type Content struct {
	// Type names the kind of content.
	Type asn1.ObjectIdentifier
	// Bytes is the content itself.
	Bytes []byte
	// OmitCertificates leaves the chain out of the message, as a time-stamp request may ask.
	OmitCertificates bool
}

// Sign makes a detached signature: the message holds the digest and not the signed bytes.
func Sign(ctx context.Context, req Request) ([]byte, error) {
	s, err := NewSignerInfo(ctx, req)
	if err != nil {
		return nil, err
	}
	m := NewMessage()
	m.Add(s)
	return m.whole(nil), nil
}

// SignContent makes a signature with its content inside; it computes the digest and ignores Request.Digest.
func SignContent(ctx context.Context, req Request, content Content) ([]byte, error) {
	if len(req.Chain) == 0 {
		return nil, fmt.Errorf("sign: no certificate: %w", ErrKeyMismatch)
	}
	if req.Hash == 0 {
		req.Hash = HashFor(req.Chain[0].PublicKey)
	}
	if _, ok := hashOID(req.Hash); !ok {
		return nil, fmt.Errorf("sign: hash %d: %w", req.Hash, ErrUnsupported)
	}
	req.Digest = sum(req.Hash, content.Bytes)
	s, err := newSignerInfo(ctx, req, content.Type)
	if err != nil {
		return nil, err
	}
	if content.OmitCertificates {
		s.chain = nil
	}
	m := &Message{contentType: content.Type, kind: encodeOID(content.Type)}
	m.Add(s)
	return m.whole(append([]byte{}, content.Bytes...)), nil
}

// SignerInfo is one finished signature (RFC 5652, 5.3), to be put into a [Message].
type SignerInfo struct {
	der    []byte
	digest []byte // DER of the AlgorithmIdentifier of the hash.
	chain  []*x509.Certificate
	token  []byte
}

// NewSignerInfo makes a signature over content of the type id-data.
func NewSignerInfo(ctx context.Context, req Request) (*SignerInfo, error) {
	return newSignerInfo(ctx, req, oidData)
}

func newSignerInfo(ctx context.Context, req Request, contentType asn1.ObjectIdentifier) (*SignerInfo, error) {
	if err := req.checkKey(); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	p, err := begin(req, contentType)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	if req.Rand == nil {
		req.Rand = rand.Reader
	}
	message, options := p.ToSign()
	value, err := req.Signer.Sign(req.Rand, message, options)
	if err != nil {
		return nil, fmt.Errorf("sign: key operation: %w", err)
	}
	s, err := p.finish(ctx, value, req.Timestamp)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return s, nil
}

// checkKey compares the public halves; a trial signature would cost as much as the signature itself.
func (r *Request) checkKey() error {
	if len(r.Chain) == 0 || r.Signer == nil {
		return fmt.Errorf("no certificate or no key: %w", ErrKeyMismatch)
	}
	public, ok := r.Signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(r.Chain[0].PublicKey) {
		return ErrKeyMismatch
	}
	return nil
}

// checkValidity refuses a certificate outside of its time.
func checkValidity(leaf *x509.Certificate, now time.Time) error {
	if now.Before(leaf.NotBefore) {
		return fmt.Errorf("valid from %s: %w", leaf.NotBefore.UTC().Format(time.RFC3339), ErrNotYetValid)
	}
	if now.After(leaf.NotAfter) {
		return fmt.Errorf("valid until %s: %w", leaf.NotAfter.UTC().Format(time.RFC3339), ErrExpired)
	}
	return nil
}

// checkToken never lets a token into the signature that is about something else, or that no
// time-stamp authority signed; whether it is trusted is for the caller to know. It returns the token's DER.
func checkToken(token, value []byte) ([]byte, error) {
	m, s, err := parse(token)
	if err != nil {
		return nil, fmt.Errorf("time-stamp: %w: %w", ErrTimestamp, err)
	}
	content, stamp, err := parseTSTInfo(m)
	if err != nil {
		return nil, fmt.Errorf("time-stamp: %w: %w", ErrTimestamp, err)
	}
	if !stamp.covers(value) {
		return nil, fmt.Errorf("time-stamp is over other bytes: %w", ErrTimestamp)
	}
	if _, err := m.checkAuthority(s, content); err != nil {
		return nil, fmt.Errorf("time-stamp: %w: %w", ErrTimestamp, err)
	}
	der, _, ok := fromBER(token)
	if !ok {
		return nil, fmt.Errorf("time-stamp: %w", ErrTimestamp)
	}
	return der, nil
}
