// Package cms makes and checks the CMS SignedData (RFC 5652) inside CAdES and
// PAdES signatures (ETSI EN 319 122-1), and checks RFC 3161 time-stamp tokens,
// which are the same structure.
//
// It promises that what Sign returns is DER with exactly one signer, that the
// key belongs to a certificate valid at the time of signing, and that Verify
// works in bounded time and memory on hostile bytes. It does not read PDF files,
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
	// ErrKeyMismatch means that the key to sign with does not belong to the certificate.
	ErrKeyMismatch = errors.New("key does not match the certificate")
	// ErrExpired means that the certificate's validity has ended.
	ErrExpired = errors.New("certificate has expired")
	// ErrNotYetValid means that the certificate's validity has not begun.
	ErrNotYetValid = errors.New("certificate is not yet valid")
)

// Request is what Sign needs for one signature.
type Request struct {
	// Digest is the digest of the signed bytes by the hash that Hash or HashFor names,
	// which is SHA-256 for every key but Ed25519.
	Digest []byte
	// Hash overrides the key's default hash; Ed25519 allows only SHA-512 (RFC 8419).
	Hash crypto.Hash
	// Signer holds the private key of the first certificate of Chain.
	Signer crypto.Signer
	// Chain is put into the signature, leaf first.
	Chain []*x509.Certificate
	// SigningTime becomes a signed attribute; PAdES wants it zero, which leaves it out.
	SigningTime time.Time
	// Timestamp gets an RFC 3161 token over the signature value; nil makes a signature without one (B-B).
	Timestamp func(ctx context.Context, signatureValue []byte) (token []byte, err error)
	// Now tells at which time the certificate must be valid; nil is time.Now.
	Now func() time.Time
	// Rand is the source of randomness of the key operation; nil is crypto/rand.
	Rand io.Reader
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
	return sign(ctx, req, Content{Type: oidData})
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
	if content.Bytes == nil {
		content.Bytes = []byte{}
	}
	return sign(ctx, req, content)
}

func sign(ctx context.Context, req Request, content Content) ([]byte, error) {
	if req.Now == nil {
		req.Now = time.Now
	}
	if req.Rand == nil {
		req.Rand = rand.Reader
	}
	scheme, err := req.check()
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	leaf := req.Chain[0]
	attributes, err := signedAttributes(content.Type, req.Digest, leaf, req.SigningTime)
	if err != nil {
		return nil, fmt.Errorf("sign: encode attributes: %w", err)
	}
	value, err := scheme.sign(req.Rand, req.Signer, attributes)
	if err != nil {
		return nil, fmt.Errorf("sign: key operation: %w", err)
	}
	var token []byte
	if req.Timestamp != nil {
		if token, err = req.timestamp(ctx, value); err != nil {
			return nil, fmt.Errorf("sign: %w", err)
		}
	}
	message := message{
		content: content, chain: req.Chain, scheme: scheme,
		attributes: attributes, value: value, token: token,
	}
	der, err := message.encode()
	if err != nil {
		return nil, fmt.Errorf("sign: encode: %w", err)
	}
	return der, nil
}

// check refuses what would give a signature that nobody accepts.
func (r *Request) check() (scheme, error) {
	if len(r.Chain) == 0 || r.Signer == nil {
		return scheme{}, fmt.Errorf("no certificate or no key: %w", ErrKeyMismatch)
	}
	leaf := r.Chain[0]
	public, ok := r.Signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(leaf.PublicKey) {
		return scheme{}, ErrKeyMismatch
	}
	now := r.Now()
	if now.Before(leaf.NotBefore) {
		return scheme{}, fmt.Errorf("valid from %s: %w", leaf.NotBefore.UTC().Format(time.RFC3339), ErrNotYetValid)
	}
	if now.After(leaf.NotAfter) {
		return scheme{}, fmt.Errorf("valid until %s: %w", leaf.NotAfter.UTC().Format(time.RFC3339), ErrExpired)
	}
	const signing = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
	if leaf.KeyUsage != 0 && leaf.KeyUsage&signing == 0 {
		return scheme{}, fmt.Errorf("key usage of the certificate does not allow signing: %w", ErrUnsupported)
	}
	s, err := schemeFor(leaf.PublicKey, r.Hash)
	if err != nil {
		return scheme{}, err
	}
	if len(r.Digest) != s.hash.Size() {
		return scheme{}, fmt.Errorf("digest has %d bytes, %s has %d: %w", len(r.Digest), s.hash, s.hash.Size(), ErrUnsupported)
	}
	return s, nil
}

// timestamp never lets a token into the signature that is about something else.
func (r *Request) timestamp(ctx context.Context, value []byte) ([]byte, error) {
	token, err := r.Timestamp(ctx, value)
	if err != nil {
		return nil, fmt.Errorf("time-stamp: %w", err)
	}
	data, err := parse(token)
	if err != nil {
		return nil, fmt.Errorf("time-stamp: %w: %w", ErrTimestamp, err)
	}
	info, err := parseTSTInfo(data)
	if err != nil {
		return nil, fmt.Errorf("time-stamp: %w: %w", ErrTimestamp, err)
	}
	if !info.covers(value) {
		return nil, fmt.Errorf("time-stamp is over other bytes: %w", ErrTimestamp)
	}
	return data.der, nil
}
