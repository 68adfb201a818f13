// Package tsp speaks the Time-Stamp Protocol (RFC 3161): Client asks an
// authority over HTTP and believes nothing that it did not check; Authority
// answers such requests and can be asked in process.
//
// It promises that a token is about the bytes asked for, by an authority that
// the roots trust, or that there is an error. The time of this machine never
// stands in for a time-stamp. Tokens are read and checked by package cms.
package tsp

import (
	"crypto"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"signbus.dev/pkg/sign/cms"
)

const (
	queryType = "application/timestamp-query"
	replyType = "application/timestamp-reply"

	// maxRequest bounds a query, which has some eighty bytes, and maxReply an
	// answer, which has some kilobytes; both leave room for extensions.
	maxRequest = 16 << 10
	maxReply   = 256 << 10
	maxNonce   = 64
)

var extensionsTag = cbasn1.Tag(0).Constructed().ContextSpecific()

// request is a TimeStampReq.
type request struct {
	imprint      []byte // DER of the MessageImprint, which the token repeats to the letter.
	hash         crypto.Hash
	digest       []byte
	policy       asn1.ObjectIdentifier
	nonce        *big.Int
	certificates bool
	extensions   bool
}

// imprintOf encodes a MessageImprint; NULL parameters are what the widest range of authorities reads.
func imprintOf(hash crypto.Hash, digest []byte) ([]byte, error) {
	oid, ok := cms.HashOID(hash)
	if !ok || len(digest) != hash.Size() {
		return nil, fmt.Errorf("hash %d with %d bytes: %w", hash, len(digest), cms.ErrUnsupported)
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oid)
			b.AddASN1NULL()
		})
		b.AddASN1OctetString(digest)
	})
	return b.Bytes()
}

func (r *request) encode() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddBytes(r.imprint)
		if r.policy != nil {
			b.AddASN1ObjectIdentifier(r.policy)
		}
		if r.nonce != nil {
			b.AddASN1BigInt(r.nonce)
		}
		if r.certificates {
			b.AddASN1Boolean(true)
		}
	})
	return b.Bytes()
}

// Reasons why an authority does not answer a request, each with its failure code (RFC 3161, 2.4.2).
var (
	errAlgorithm  = errors.New("hash algorithm is not supported, use SHA-256, SHA-384 or SHA-512")
	errVersion    = errors.New("request is not of version 1")
	errFormat     = errors.New("request cannot be read")
	errPolicy     = errors.New("policy is not that of this authority")
	errExtensions = errors.New("extensions are not supported")
	errSystem     = errors.New("authority cannot make a token now")
)

var failures = map[error]int{
	errAlgorithm: 0, errVersion: 2, errFormat: 5, errPolicy: 15, errExtensions: 16, errSystem: 25,
}

func parseRequest(der []byte) (*request, error) {
	input := cryptobyte.String(der)
	var body, imprint, digest, hash cryptobyte.String
	var version int
	var oid asn1.ObjectIdentifier
	if !input.ReadASN1(&body, cbasn1.SEQUENCE) || !input.Empty() || !body.ReadASN1Integer(&version) {
		return nil, errFormat
	}
	if version != 1 {
		return nil, errVersion
	}
	r := &request{}
	if !body.ReadASN1Element(&imprint, cbasn1.SEQUENCE) {
		return nil, errFormat
	}
	r.imprint = imprint
	if !imprint.ReadASN1(&imprint, cbasn1.SEQUENCE) || !imprint.ReadASN1(&hash, cbasn1.SEQUENCE) ||
		!hash.ReadASN1ObjectIdentifier(&oid) || !imprint.ReadASN1(&digest, cbasn1.OCTET_STRING) || !imprint.Empty() {
		return nil, errFormat
	}
	var ok bool
	if r.hash, ok = cms.HashByOID(oid); !ok {
		return nil, errAlgorithm
	}
	if r.digest = digest; len(digest) != r.hash.Size() {
		return nil, errFormat
	}
	return r, r.parseOptional(body)
}

func (r *request) parseOptional(body cryptobyte.String) error {
	if body.PeekASN1Tag(cbasn1.OBJECT_IDENTIFIER) && !body.ReadASN1ObjectIdentifier(&r.policy) {
		return errFormat
	}
	if body.PeekASN1Tag(cbasn1.INTEGER) {
		r.nonce = new(big.Int)
		if !body.ReadASN1Integer(r.nonce) || r.nonce.BitLen() > maxNonce*8 {
			return errFormat
		}
	}
	if body.PeekASN1Tag(cbasn1.BOOLEAN) && !body.ReadASN1Boolean(&r.certificates) {
		return errFormat
	}
	if !body.ReadOptionalASN1(new(cryptobyte.String), &r.extensions, extensionsTag) || !body.Empty() {
		return errFormat
	}
	return nil
}
