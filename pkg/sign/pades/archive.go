package pades

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/sign/cms"
	"signbus.dev/pkg/sign/revocation"
)

// Timestamp adds a document time-stamp to a file, signed by whomever, or renews the one
// that is there (ETSI EN 319 142-1, 5.4 and 5.5). First comes the validation data of every signature
// and time-stamp in the file, as far as the file does not hold it yet; then the time-stamp
// over all of it. It fails when data is missing and not to be had.
//
// Of the parameters TimestampDigest, Revocation, Now and Limits count. Without Revocation
// no data is added: then the time-stamp proves no more than that the file existed.
func Timestamp(ctx context.Context, src digest.Source, p Params) (*Addition, error) {
	out, err := timestamp(ctx, src, p)
	if err != nil {
		return nil, fmt.Errorf("time-stamp pdf: %w", err)
	}
	return out, nil
}

func timestamp(ctx context.Context, src digest.Source, p Params) (*Addition, error) {
	if p.TimestampDigest == nil {
		return nil, fmt.Errorf("%w: a document time-stamp needs an authority; name one", ErrTimestamp)
	}
	g := &growth{src: src, limits: p.Limits}
	signatures, err := pdf.Signatures(ctx, g, g.size(), g.bounds())
	if err != nil {
		return nil, err
	}
	found, err := p.missing(ctx, g, signatures)
	if err != nil {
		return nil, err
	}
	if g.base, err = stateOf(ctx, src); err != nil {
		return nil, err
	}
	if len(found) > 0 {
		if err := g.secure(ctx, found, p.now()); err != nil {
			return nil, err
		}
	}
	name, err := g.stamp(ctx, &p)
	if err != nil {
		return nil, err
	}
	signed := len(slices.DeleteFunc(signatures, func(s pdf.Signature) bool { return s.Type == docTimestamp }))
	return &Addition{Tail: g.tail, base: g.base, FieldName: name, Signatures: signed}, nil
}

// question is a certificate with its issuers, and when it must have been good.
type question struct {
	chain []*x509.Certificate
	at    time.Time
}

// missing collects the validation data that the file does not hold, by signature.
func (p *Params) missing(ctx context.Context, g *growth, signatures []pdf.Signature) (map[string]revocation.Data, error) {
	if p.Revocation == nil || len(signatures) == 0 {
		return nil, nil
	}
	security, err := pdf.ReadSecurity(ctx, g, g.size(), g.bounds())
	if err != nil {
		return nil, err
	}
	have := dataOf(security)
	found := map[string]revocation.Data{}
	now := p.now()
	proven := now // what is covered by a time-stamp existed by then
	for _, s := range slices.Backward(signatures) {
		claims, err := cms.Read(s.Contents)
		if err != nil {
			continue // no data makes a damaged or foreign kind of signature valid
		}
		for _, q := range questions(claims, have.Certificates, proven) {
			// What must be good today is asked anew; the past was settled when it was covered.
			if q.at.Before(now) && settled(have, q.chain, q.at) {
				continue
			}
			data, err := p.collect(ctx, q)
			if err != nil {
				return nil, fmt.Errorf("signature in field %q: %w", s.Field, err)
			}
			own := found[s.Key()]
			own.Merge(data)
			found[s.Key()] = own
		}
		if s.Type == docTimestamp && claims.Time.Before(proven) {
			proven = claims.Time
		}
	}
	return found, nil
}

// questions are those that a check of the signature will ask: whether the signer was good
// when he signed, and his time-stamp's authority as long as nothing else proves the time.
func questions(c *cms.Claims, others []*x509.Certificate, proven time.Time) []question {
	chain := func(c *cms.Claims) []*x509.Certificate {
		return cms.Path(c.Certificate, slices.Concat(c.Chain, others))
	}
	if c.Timestamp == nil {
		return []question{{chain(c), proven}}
	}
	signed := proven
	if c.Timestamp.Time.Before(signed) {
		signed = c.Timestamp.Time
	}
	return []question{{chain(c), signed}, {chain(c.Timestamp), proven}}
}

// collect asks the authorities.
func (p *Params) collect(ctx context.Context, q question) (revocation.Data, error) {
	data, err := p.Revocation.Collect(ctx, q.chain, q.at)
	if err != nil {
		return revocation.Data{}, fmt.Errorf("%w: %w", ErrRevocation, err)
	}
	return data, nil
}

// settled tells whether data prove that no certificate of a chain was revoked, up to one
// that nobody can revoke.
func settled(data revocation.Data, chain []*x509.Certificate, at time.Time) bool {
	last := chain[len(chain)-1]
	if last.CheckSignatureFrom(last) != nil {
		return false
	}
	for i, c := range chain[:len(chain)-1] {
		if data.Status(c, chain[i+1], at).State != revocation.Good {
			return false
		}
	}
	return true
}

// Bounds on what is used of a file's validation data, which may be hostile. Honest files
// have a few of each for every signature.
const (
	maxStored      = 500      // certificates
	maxAnswers     = 1_000    // OCSP responses and lists
	maxAnswerBytes = 64 << 20 // of all answers together
)

// dataOf reads the validation data of a document. What is no certificate is left out.
func dataOf(s pdf.Security) revocation.Data {
	var certificates, ocsps, crls [][]byte
	collect := func(c, o, l [][]byte) {
		certificates, ocsps, crls = append(certificates, c...), append(ocsps, o...), append(crls, l...)
	}
	collect(s.Certificates, s.OCSPs, s.CRLs)
	for _, v := range s.VRI {
		collect(v.Certificates, v.OCSPs, v.CRLs)
	}
	var d revocation.Data
	for _, der := range distinct(certificates) {
		if c, err := x509.ParseCertificate(der); err == nil && len(d.Certificates) < maxStored {
			d.Certificates = append(d.Certificates, c)
		}
	}
	size, count := 0, 0
	bounded := func(list [][]byte) (out [][]byte) {
		for _, der := range distinct(list) {
			if size+len(der) <= maxAnswerBytes && count < maxAnswers {
				size, count = size+len(der), count+1
				out = append(out, der)
			}
		}
		return out
	}
	d.OCSPs, d.CRLs = bounded(ocsps), bounded(crls)
	return d
}

// distinct leaves each item once, in order.
func distinct(list [][]byte) [][]byte {
	seen := make(map[string]bool, len(list))
	var out [][]byte
	for _, item := range list {
		if !seen[string(item)] {
			seen[string(item)] = true
			out = append(out, item)
		}
	}
	return out
}
