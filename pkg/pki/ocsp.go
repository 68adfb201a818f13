package pki

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha1" //nolint:gosec // RFC 6960 names issuers by SHA-1 too; it is not a security function there.
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"math/big"
	"time"
)

const (
	// maxQuery bounds an OCSP request, which has some hundred bytes, and maxQuestions the certificates in it.
	maxQuery     = 8 << 10
	maxQuestions = 16
	// maxNonce is RFC 9654, 2.1.
	maxNonce = 128
)

// The OCSPResponseStatus values for requests that get no other answer (RFC 6960, 4.2.1).
const (
	ocspSuccessful       = 0
	ocspMalformedRequest = 1
	ocspTryLater         = 3
)

var (
	oidOCSPBasic       = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}
	oidOCSPNonce       = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}
	oidOCSPNoCheck     = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}
	oidArchiveCutoff   = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 6}
	oidECDSAWithSHA256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	oidSHA1            = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}

	// certificateHashes are those by which a request may name the issuer.
	certificateHashes = []struct {
		oid asn1.ObjectIdentifier
		sum func([]byte) []byte
	}{
		{oidSHA1, func(b []byte) []byte { s := sha1.Sum(b); return s[:] }}, //nolint:gosec // As above.
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, func(b []byte) []byte { s := sha256.Sum256(b); return s[:] }},
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, func(b []byte) []byte { s := sha512.Sum384(b); return s[:] }},
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, func(b []byte) []byte { s := sha512.Sum512(b); return s[:] }},
	}
)

// The structures of RFC 6960, 4.1.1 and 4.2.1. Package golang.org/x/crypto/ocsp writes no
// nonce, answers for one certificate, and takes a clock and randomness of its own.
type (
	ocspID struct {
		Raw    asn1.RawContent
		Hash   pkix.AlgorithmIdentifier
		Name   []byte
		Key    []byte
		Serial *big.Int
	}
	ocspQuestion struct {
		ID         ocspID
		Extensions []pkix.Extension `asn1:"explicit,tag:0,optional"`
	}
	ocspQuery struct {
		TBS struct {
			Version    int           `asn1:"explicit,tag:0,default:0,optional"`
			Requestor  asn1.RawValue `asn1:"explicit,tag:1,optional"`
			Questions  []ocspQuestion
			Extensions []pkix.Extension `asn1:"explicit,tag:2,optional"`
		}
		Signature asn1.RawValue `asn1:"explicit,tag:0,optional"`
	}
	ocspRevoked struct {
		At     time.Time       `asn1:"generalized"`
		Reason asn1.Enumerated `asn1:"explicit,tag:0,optional"`
	}
	ocspSingle struct {
		ID         ocspID
		Good       asn1.Flag        `asn1:"tag:0,optional"`
		Revoked    ocspRevoked      `asn1:"tag:1,optional"`
		Unknown    asn1.Flag        `asn1:"tag:2,optional"`
		ThisUpdate time.Time        `asn1:"generalized"`
		NextUpdate time.Time        `asn1:"generalized,explicit,tag:0"`
		Extensions []pkix.Extension `asn1:"explicit,tag:1,optional"`
	}
	ocspData struct {
		Responder  asn1.RawValue
		ProducedAt time.Time `asn1:"generalized"`
		Responses  []ocspSingle
		Extensions []pkix.Extension `asn1:"explicit,tag:1,optional"`
	}
	ocspBasic struct {
		Data         asn1.RawValue
		Algorithm    pkix.AlgorithmIdentifier
		Signature    asn1.BitString
		Certificates []asn1.RawValue `asn1:"explicit,tag:0"`
	}
	ocspBytes struct {
		Type     asn1.ObjectIdentifier
		Response []byte
	}
	ocspReply struct {
		Status   asn1.Enumerated
		Response ocspBytes `asn1:"explicit,tag:0"`
	}
)

// RespondOCSP answers an OCSP request (RFC 6960), both in DER. A certificate that was not
// revoked is good only if this authority issued it, else unknown. A request that cannot be
// read is answered with malformedRequest. The error, given beside an answer that says to try
// later, is the authority's own trouble.
func (a *Authority) RespondOCSP(ctx context.Context, query []byte) ([]byte, error) {
	questions, nonce, ok := parseQuery(query)
	if !ok {
		return ocspStatus(ocspMalformedRequest), nil
	}
	reply, _, err := a.respond(ctx, questions, nonce)
	if err != nil {
		return ocspStatus(ocspTryLater), fmt.Errorf("answer OCSP request: %w", err)
	}
	return reply, nil
}

// ocspStatus is an OCSPResponse without content.
func ocspStatus(status byte) []byte { return []byte{0x30, 0x03, 0x0a, 0x01, status} }

func parseQuery(der []byte) (ids []ocspID, nonce []byte, ok bool) {
	var query ocspQuery
	if rest, err := asn1.Unmarshal(der, &query); err != nil || len(rest) > 0 {
		return nil, nil, false
	}
	if n := len(query.TBS.Questions); n == 0 || n > maxQuestions || query.TBS.Version != 0 {
		return nil, nil, false
	}
	for _, extension := range query.TBS.Extensions {
		switch {
		case extension.Id.Equal(oidOCSPNonce):
			if nonce = extension.Value; len(nonce) == 0 || len(nonce) > maxNonce+3 {
				return nil, nil, false
			}
		case extension.Critical:
			return nil, nil, false
		}
	}
	for _, question := range query.TBS.Questions {
		for _, extension := range question.Extensions {
			if extension.Critical {
				return nil, nil, false
			}
		}
		ids = append(ids, question.ID)
	}
	return ids, nonce, true
}

// certID names a certificate of this authority as most clients do, by SHA-1.
func (a *Authority) certID(serial *big.Int) (ocspID, error) {
	key, err := keyBits(a.Certificate().RawSubjectPublicKeyInfo)
	if err != nil {
		return ocspID{}, err
	}
	sum := certificateHashes[0].sum
	id := ocspID{
		Hash: pkix.AlgorithmIdentifier{Algorithm: oidSHA1, Parameters: asn1.NullRawValue},
		Name: sum(a.Certificate().RawSubject), Key: sum(key), Serial: serial,
	}
	id.Raw, err = asn1.Marshal(id)
	return id, err
}

// ours says whether a request names a certificate that this authority issued.
func (a *Authority) ours(id ocspID) bool {
	key, err := keyBits(a.Certificate().RawSubjectPublicKeyInfo)
	if err != nil {
		return false
	}
	for _, hash := range certificateHashes {
		if hash.oid.Equal(id.Hash.Algorithm) {
			return bytes.Equal(id.Name, hash.sum(a.Certificate().RawSubject)) && bytes.Equal(id.Key, hash.sum(key)) && a.Issued(id.Serial)
		}
	}
	return false
}

// respond signs an answer, or takes the one that was signed before when there is no nonce.
func (a *Authority) respond(ctx context.Context, ids []ocspID, nonce []byte) ([]byte, *x509.Certificate, error) {
	responder, err := a.identity(ctx, ocspProfile())
	if err != nil {
		return nil, nil, err
	}
	certificate := responder.Chain[0]
	a.revocations.mu.Lock()
	defer a.revocations.mu.Unlock()
	s, err := a.current(ctx)
	if err != nil {
		return nil, nil, err
	}
	key := ""
	if len(ids) == 1 && nonce == nil {
		key = hex.EncodeToString(certificate.SerialNumber.Bytes()) + string(ids[0].Raw)
		if der, ok := s.ocsps[key]; ok {
			return der, certificate, nil
		}
	}
	der, err := a.signAnswer(responder, s, ids, nonce)
	if err != nil {
		return nil, nil, err
	}
	if key != "" && len(s.ocsps) < maxAnswers {
		s.ocsps[key] = der
	}
	return der, certificate, nil
}

func (a *Authority) signAnswer(responder *Identity, s *snapshot, ids []ocspID, nonce []byte) ([]byte, error) {
	cutoff, err := asn1.MarshalWithParams(a.Certificate().NotBefore.UTC(), "generalized")
	if err != nil {
		return nil, err
	}
	const byName = 1
	data := ocspData{
		Responder:  asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: byName, IsCompound: true, Bytes: responder.Chain[0].RawSubject},
		ProducedAt: a.now().UTC().Truncate(time.Second),
	}
	for _, id := range ids {
		single := ocspSingle{ID: id, ThisUpdate: s.at, NextUpdate: s.at.Add(ocspLife)}
		switch revoked, ok := s.revoked[id.Serial.String()]; {
		case !a.ours(id):
			single.Unknown = true
		case ok:
			single.Revoked = ocspRevoked{At: revoked.At, Reason: asn1.Enumerated(revoked.Reason)}
		default:
			single.Good = true
			single.Extensions = []pkix.Extension{{Id: oidArchiveCutoff, Value: cutoff}}
		}
		data.Responses = append(data.Responses, single)
	}
	if nonce != nil {
		data.Extensions = []pkix.Extension{{Id: oidOCSPNonce, Value: nonce}}
	}
	signed, err := asn1.Marshal(data)
	if err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	digest := sha256.Sum256(signed)
	value, err := responder.Signer.Sign(a.rand, digest[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("sign answer: %w", err)
	}
	basic, err := asn1.Marshal(ocspBasic{
		Data: asn1.RawValue{FullBytes: signed}, Algorithm: pkix.AlgorithmIdentifier{Algorithm: oidECDSAWithSHA256},
		Signature:    asn1.BitString{Bytes: value, BitLength: 8 * len(value)},
		Certificates: []asn1.RawValue{{FullBytes: responder.Chain[0].Raw}},
	})
	if err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return asn1.Marshal(ocspReply{Status: ocspSuccessful, Response: ocspBytes{Type: oidOCSPBasic, Response: basic}})
}
