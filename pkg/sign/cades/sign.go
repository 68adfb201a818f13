package cades

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"io"
	"mime"
	"time"

	"signbus.dev/pkg/sign/cms"
	"signbus.dev/pkg/sign/revocation"
)

// Level is the baseline level that a signature reaches (ETSI EN 319 122-1, 6).
type Level string

// The levels that this package makes and tells apart.
const (
	// LevelNone is for a signature that holds but is no CAdES baseline signature.
	LevelNone Level = ""
	// LevelBB is a baseline signature.
	LevelBB Level = "B-B"
	// LevelBT is a baseline signature with a time-stamp.
	LevelBT Level = "B-T"
	// LevelBLT is one with a time-stamp and all that proves later that no certificate was revoked.
	LevelBLT Level = "B-LT"
)

// id-aa-ets-mimeType, ETSI EN 319 122-1, 5.2.5.
var oidMIMEType = asn1.ObjectIdentifier{0, 4, 0, 1733, 2, 1}

// Params says how to sign.
type Params struct {
	// Level is the level to reach: it is reached or the signature fails. Empty is the highest
	// that Timestamp and Revocation allow.
	Level Level
	// MIMEType becomes the signed attribute mime-type; empty leaves it out.
	MIMEType string
	// Signer holds the private key, Chain its certificates, leaf first. Begin needs no Signer.
	Signer crypto.Signer
	Chain  []*x509.Certificate
	// Hash overrides the key's default hash, see [cms.HashFor].
	Hash crypto.Hash
	// PSS makes an RSA key sign by RSASSA-PSS.
	PSS bool
	// Timestamp gets an RFC 3161 token over a signature value; B-B needs none. Its error is the signature's.
	Timestamp func(ctx context.Context, signatureValue []byte) (token []byte, err error)
	// Revocation gives what B-LT adds, for the signer's path and for that of the time-stamp authority.
	Revocation revocation.Source
	// Now is the claimed time of signing, at which the certificate must be valid; nil is time.Now.
	Now func() time.Time
	// Rand is the source of randomness of the key operation; nil is crypto/rand.
	Rand io.Reader
}

// Sign adds a signature beside those that are there. It reads the content once, or not at
// all when its digest is known, and checks in the same pass that it is what the others signed:
// else the error is cms.ErrDigestMismatch. After an error the message is as it was.
func (m *Message) Sign(ctx context.Context, p Params) error {
	if err := m.sign(ctx, p); err != nil {
		return fmt.Errorf("sign file: %w", err)
	}
	return nil
}

func (m *Message) sign(ctx context.Context, p Params) error {
	if p.Signer == nil {
		return fmt.Errorf("no key: %w", cms.ErrKeyMismatch)
	}
	request, err := m.request(ctx, &p)
	if err != nil {
		return err
	}
	request.Signer, request.Rand, request.Timestamp = p.Signer, p.Rand, p.Timestamp
	info, err := cms.NewSignerInfo(ctx, request)
	if err != nil {
		return err
	}
	return m.add(ctx, info, &p)
}

// Begin prepares a signature by a key that is elsewhere. The pending signature outlives this
// message: Finish takes it in one that was opened or made anew over the same content.
func (m *Message) Begin(ctx context.Context, p Params) (*cms.Pending, error) {
	request, err := m.request(ctx, &p)
	if err != nil {
		return nil, fmt.Errorf("begin signature of file: %w", err)
	}
	return cms.Begin(request)
}

// Finish adds the pending signature with the value that the key gave, see [cms.Pending.Complete]. Of the
// parameters it reads Level, Timestamp, Revocation and Now. It is Sign in everything else.
func (m *Message) Finish(ctx context.Context, pending *cms.Pending, value []byte, p Params) error {
	if err := m.finish(ctx, pending, value, p); err != nil {
		return fmt.Errorf("finish signature of file: %w", err)
	}
	return nil
}

func (m *Message) finish(ctx context.Context, pending *cms.Pending, value []byte, p Params) error {
	if err := p.settle(); err != nil {
		return err
	}
	if err := m.check(ctx, pending.Hash()); err != nil {
		return err
	}
	if err := pending.CheckContent(m.digests[pending.Hash()]); err != nil {
		return err
	}
	pending.Now = p.Now
	p.Chain = pending.Chain()
	info, err := pending.SignerInfo(ctx, value, p.Timestamp)
	if err != nil {
		return err
	}
	return m.add(ctx, info, &p)
}

// settle finds the level, and refuses one that cannot be reached.
func (p *Params) settle() error {
	if p.Now == nil {
		p.Now = time.Now
	}
	if p.Level == LevelNone {
		switch {
		case p.Timestamp == nil:
			p.Level = LevelBB
		case p.Revocation == nil:
			p.Level = LevelBT
		default:
			p.Level = LevelBLT
		}
	}
	switch p.Level {
	case LevelBB:
		p.Timestamp, p.Revocation = nil, nil
		return nil
	case LevelBT:
		p.Revocation = nil
	case LevelBLT:
		if p.Revocation == nil {
			return fmt.Errorf("%w: %s needs a source of revocation data", ErrLevel, p.Level)
		}
	default:
		return fmt.Errorf("%w: %q is none of B-B, B-T and B-LT", ErrLevel, p.Level)
	}
	if p.Timestamp == nil {
		return fmt.Errorf("%w: %s needs a time-stamp authority", ErrLevel, p.Level)
	}
	return nil
}

// request says what is signed: the signed attributes of ETSI EN 319 122-1, 6.3.
func (m *Message) request(ctx context.Context, p *Params) (cms.Request, error) {
	if err := p.settle(); err != nil {
		return cms.Request{}, err
	}
	if len(p.Chain) == 0 {
		return cms.Request{}, fmt.Errorf("no certificate: %w", cms.ErrKeyMismatch)
	}
	h := p.Hash
	if h == 0 {
		h = cms.HashFor(p.Chain[0].PublicKey)
	}
	if _, ok := cms.HashOID(h); !ok {
		return cms.Request{}, fmt.Errorf("hash %d: %w", h, cms.ErrUnsupported)
	}
	now := p.Now()
	request := cms.Request{Hash: h, PSS: p.PSS, Chain: p.Chain, SigningTime: now, Now: func() time.Time { return now }}
	if p.MIMEType != "" {
		if _, _, err := mime.ParseMediaType(p.MIMEType); err != nil {
			return cms.Request{}, fmt.Errorf("MIME type: %w", err)
		}
		value, err := asn1.MarshalWithParams(p.MIMEType, "utf8")
		if err != nil {
			return cms.Request{}, fmt.Errorf("MIME type: %w", err)
		}
		request.Attributes = []cms.Attribute{{Type: oidMIMEType, Value: value}}
	}
	if err := m.check(ctx, h); err != nil {
		return cms.Request{}, err
	}
	request.Digest = m.digests[h]
	return request, nil
}

// check digests the content, and asks that the message can take a signature.
func (m *Message) check(ctx context.Context, h crypto.Hash) error {
	if m.Signers() >= cms.MaxSigners {
		return fmt.Errorf("the message has %d signatures, which is the most: %w", m.Signers(), cms.ErrUnsupported)
	}
	if m.message.HasArchiveTimestamp() {
		return fmt.Errorf("an archive time-stamp covers the whole message, so that adding a signature would break it: %w", cms.ErrUnsupported)
	}
	if err := m.digest(ctx, append(m.hashes(), h)...); err != nil {
		return err
	}
	for i := range m.Signers() {
		h, err := m.message.Hash(i)
		if err != nil {
			continue // By an algorithm that is unknown here or weak; it is kept and not judged.
		}
		if err := m.message.CheckContent(i, m.digests[h]); err != nil {
			return fmt.Errorf("signature %d of the message: %w", i+1, err)
		}
	}
	return nil
}

// add puts a finished signature into the message, with what its level wants beside it.
func (m *Message) add(ctx context.Context, info *cms.SignerInfo, p *Params) error {
	var data revocation.Data
	if p.Revocation != nil {
		authority, err := info.TimestampChain()
		if err != nil {
			return err
		}
		for _, chain := range [][]*x509.Certificate{p.Chain, authority} {
			more, err := p.Revocation.Collect(ctx, chain, p.Now())
			if err != nil {
				return err
			}
			if err := proven(more, chain[0], p.Now()); err != nil {
				return err
			}
			data.Merge(more)
		}
	}
	m.message.Add(info)
	// ETSI EN 319 122-1, 6.3: the whole path in SignedData.certificates, the proofs in SignedData.crls.
	for _, certificate := range data.Certificates {
		m.message.AddCertificate(certificate)
	}
	for _, der := range data.OCSPs {
		m.message.AddOCSP(der)
	}
	for _, der := range data.CRLs {
		m.message.AddCRL(der)
	}
	return nil
}

// proven asks that the data lead from a certificate to a root and speak for each on the way.
func proven(data revocation.Data, leaf *x509.Certificate, at time.Time) error {
	path := cms.Path(leaf, data.Certificates)
	root := path[len(path)-1]
	if !bytes.Equal(root.RawIssuer, root.RawSubject) {
		return fmt.Errorf("%w: %s needs the whole path, and the issuer of a certificate is missing; give the chain with its root", ErrLevel, LevelBLT)
	}
	for i, certificate := range path[:len(path)-1] {
		if err := data.Status(certificate, path[i+1], at).Err(); err != nil {
			return err
		}
	}
	return nil
}
