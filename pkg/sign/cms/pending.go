package cms

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Pending is a signature whose key is elsewhere and has not answered yet. It can be
// kept for hours and over restarts with MarshalBinary.
type Pending struct {
	// Now tells at which time the certificate must be valid; nil is time.Now. It is not kept.
	Now func() time.Time

	scheme     scheme
	pss        bool
	attributes []byte // DER of the SET OF signed attributes.
	chain      []*x509.Certificate
}

// Begin prepares a detached signature over content of the type id-data. It needs no
// Signer and ignores Timestamp and Rand.
func Begin(req Request) (*Pending, error) {
	p, err := begin(req, oidData)
	if err != nil {
		return nil, fmt.Errorf("begin signature: %w", err)
	}
	return p, nil
}

// begin refuses what would give a signature that nobody accepts.
func begin(req Request, contentType asn1.ObjectIdentifier) (*Pending, error) {
	if len(req.Chain) == 0 {
		return nil, fmt.Errorf("no certificate: %w", ErrKeyMismatch)
	}
	leaf := req.Chain[0]
	p := &Pending{Now: req.Now, pss: req.PSS, chain: req.Chain}
	if err := checkValidity(leaf, p.now()); err != nil {
		return nil, err
	}
	usage := CheckUsage
	if !contentType.Equal(oidData) {
		usage = CheckKeyUsage // a time-stamp authority signs what is no document
	}
	if err := usage(leaf); err != nil {
		return nil, err
	}
	var err error
	if p.scheme, err = schemeFor(leaf.PublicKey, req.Hash, req.PSS); err != nil {
		return nil, err
	}
	if size := p.scheme.hash.Size(); len(req.Digest) != size {
		return nil, fmt.Errorf("digest has %d bytes, %s has %d: %w", len(req.Digest), p.scheme.hash, size, ErrUnsupported)
	}
	kind := derData
	if !contentType.Equal(oidData) {
		if kind = encodeOID(contentType); kind == nil {
			return nil, fmt.Errorf("content type %s: %w", contentType, ErrUnsupported)
		}
	}
	if p.attributes, err = signedAttributes(kind, req.Digest, leaf, req.SigningTime, req.Attributes); err != nil {
		return nil, fmt.Errorf("encode attributes: %w", err)
	}
	return p, nil
}

// CheckUsage refuses a certificate whose key usage (RFC 5280, 4.2.1.3) is not for signing
// documents, and one whose extended key usages (4.2.1.12) are all for something else.
func CheckUsage(leaf *x509.Certificate) error {
	if err := CheckKeyUsage(leaf); err != nil {
		return err
	}
	// Those for documents have many names: authorities have their own, and some write
	// emailProtection or clientAuth, which are for people.
	if len(leaf.ExtKeyUsage) == 0 || len(leaf.UnknownExtKeyUsage) > 0 {
		return nil
	}
	for _, usage := range leaf.ExtKeyUsage {
		switch usage {
		case x509.ExtKeyUsageAny, x509.ExtKeyUsageEmailProtection, x509.ExtKeyUsageClientAuth:
			return nil
		}
	}
	return fmt.Errorf("extended key usage of the certificate does not allow signing documents: %w", ErrUnsupported)
}

// CheckKeyUsage is the first half of CheckUsage, for those who sign what is no document.
func CheckKeyUsage(leaf *x509.Certificate) error {
	const signing = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
	if leaf.KeyUsage != 0 && leaf.KeyUsage&signing == 0 {
		return fmt.Errorf("key usage of the certificate does not allow signing: %w", ErrUnsupported)
	}
	return nil
}

func (p *Pending) now() time.Time {
	if p.Now == nil {
		return time.Now()
	}
	return p.Now()
}

// ToSign returns what crypto.Signer takes: a digest and its hash, *rsa.PSSOptions
// for RSASSA-PSS, or for Ed25519 the signed attributes themselves and crypto.Hash(0).
func (p *Pending) ToSign() (message []byte, options crypto.SignerOpts) {
	return p.scheme.toSign(p.attributes), p.scheme.options
}

// Chain is the signer's certificate with those above it, as Begin was given them.
func (p *Pending) Chain() []*x509.Certificate { return p.chain }

// Hash is the hash of the signed bytes.
func (p *Pending) Hash() crypto.Hash { return p.scheme.hash }

// CheckContent tells whether the digest is the one that will be signed; ErrDigestMismatch when it is another.
func (p *Pending) CheckContent(digest []byte) error {
	signed, err := readAttributes(p.attributes, cbasn1.SET)
	if err != nil {
		return err
	}
	return (&signer{signed: signed}).checkDigest(digest)
}

// Complete makes the detached signature from the value that the key gave for ToSign. An elliptic value is
// the DER of RFC 3279, 2.2.3, or r and s side by side, each as long as the curve's order. A value that the certificate's
// key does not verify is ErrSignature; a certificate that has expired since Begin is ErrExpired. A nil timestamp leaves the time-stamp out.
func (p *Pending) Complete(ctx context.Context, value []byte, timestamp func(ctx context.Context, signatureValue []byte) ([]byte, error)) ([]byte, error) {
	s, err := p.SignerInfo(ctx, value, timestamp)
	if err != nil {
		return nil, err
	}
	m := NewMessage()
	m.Add(s)
	return m.whole(nil), nil
}

// SignerInfo is Complete for a signature that goes into a [Message].
func (p *Pending) SignerInfo(ctx context.Context, value []byte, timestamp func(ctx context.Context, signatureValue []byte) ([]byte, error)) (*SignerInfo, error) {
	leaf := p.chain[0]
	if err := checkValidity(leaf, p.now()); err != nil {
		return nil, fmt.Errorf("complete signature: %w", err)
	}
	value, err := p.scheme.verify(leaf.PublicKey, p.attributes, value)
	if err != nil {
		return nil, fmt.Errorf("complete signature: %w", err)
	}
	s, err := p.finish(ctx, value, timestamp)
	if err != nil {
		return nil, fmt.Errorf("complete signature: %w", err)
	}
	return s, nil
}

func (p *Pending) finish(ctx context.Context, value []byte, timestamp func(context.Context, []byte) ([]byte, error)) (*SignerInfo, error) {
	s := &SignerInfo{digest: p.scheme.digest, chain: p.chain}
	if timestamp != nil {
		token, err := timestamp(ctx, value)
		if err != nil {
			return nil, fmt.Errorf("time-stamp: %w", err)
		}
		if s.token, err = checkToken(token, value); err != nil {
			return nil, err
		}
	}
	var err error
	if s.der, err = encodeSigner(p.chain[0], &p.scheme, p.attributes, value, s.token); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return s, nil
}

// pendingVersion is that of the kept form, DER of
// SEQUENCE { version INTEGER, hash OBJECT IDENTIFIER, pss BOOLEAN, attributes SET OF Attribute, chain SEQUENCE OF Certificate }.
const pendingVersion = 1

// MarshalBinary keeps the pending signature. It holds no secret.
func (p *Pending) MarshalBinary() ([]byte, error) {
	oid, ok := hashOID(p.scheme.hash)
	if !ok {
		return nil, fmt.Errorf("keep pending signature: %w", ErrUnsupported)
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(pendingVersion)
		b.AddASN1ObjectIdentifier(oid)
		b.AddASN1Boolean(p.pss)
		b.AddBytes(p.attributes)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, certificate := range p.chain {
				b.AddBytes(certificate.Raw)
			}
		})
	})
	kept, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("keep pending signature: %w", err)
	}
	return kept, nil
}

// UnmarshalPending reads what MarshalBinary wrote; ErrMalformed when it is anything else.
func UnmarshalPending(kept []byte) (*Pending, error) {
	p, err := readPending(kept)
	if err != nil {
		return nil, fmt.Errorf("read pending signature: %w", err)
	}
	return p, nil
}

func readPending(kept []byte) (*Pending, error) {
	input := cryptobyte.String(kept)
	var body, attributes, chain cryptobyte.String
	var version int
	var oid asn1.ObjectIdentifier
	p := &Pending{}
	if len(kept) > MaxSize || !input.ReadASN1(&body, cbasn1.SEQUENCE) || !input.Empty() || !body.ReadASN1Integer(&version) ||
		version != pendingVersion || !body.ReadASN1ObjectIdentifier(&oid) || !body.ReadASN1Boolean(&p.pss) ||
		!body.ReadASN1Element(&attributes, cbasn1.SET) || !body.ReadASN1(&chain, cbasn1.SEQUENCE) || !body.Empty() {
		return nil, malformed("not a kept signature of this version")
	}
	hash, ok := hashByOID(oid)
	if !ok {
		return nil, fmt.Errorf("hash %s: %w", oid, ErrUnsupported)
	}
	p.attributes = attributes
	for !chain.Empty() {
		var der cryptobyte.String
		if !chain.ReadASN1Element(&der, cbasn1.SEQUENCE) || len(p.chain) == maxCertificates {
			return nil, malformed("certificates")
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, malformed("certificates")
		}
		p.chain = append(p.chain, certificate)
	}
	if len(p.chain) == 0 {
		return nil, malformed("certificates")
	}
	if err := p.checkAttributes(); err != nil {
		return nil, err
	}
	var err error
	p.scheme, err = schemeFor(p.chain[0].PublicKey, hash, p.pss)
	return p, err
}

// checkAttributes asks that the signature would name the certificate that it comes with.
func (p *Pending) checkAttributes() error {
	signed, err := readAttributes(p.attributes, cbasn1.SET)
	if err != nil {
		return err
	}
	s := signer{signed: signed}
	hasV2, err := s.checkSigningCertificate(p.chain[0])
	if err == nil && !hasV2 {
		err = ErrSigningCertificate
	}
	return err
}
