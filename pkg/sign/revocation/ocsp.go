package revocation

import (
	"bytes"
	"crypto"
	"crypto/sha1" //nolint:gosec // RFC 6960 names keys by SHA-1; it is not a security function there.
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/ocsp"

	"signbus.dev/pkg/sign/cms"
)

var (
	oidNonce         = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}
	oidArchiveCutoff = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 6}
)

// response is an OCSP response that is read and not verified.
type response struct {
	*ocsp.Response

	data         responseData
	algorithm    []byte // DER of the AlgorithmIdentifier of the signature
	certificates []*x509.Certificate
}

// responseData are the parts of RFC 6960's ResponseData that package ocsp does not hand on.
type responseData struct {
	Version     int `asn1:"optional,explicit,default:0,tag:0"`
	ResponderID asn1.RawValue
	ProducedAt  time.Time `asn1:"generalized"`
	Responses   []struct{ ID certID }
	Extensions  []pkix.Extension `asn1:"optional,explicit,tag:1"`
}

type certID struct {
	Hash   pkix.AlgorithmIdentifier
	Name   []byte
	Key    []byte
	Serial *big.Int
}

// envelope and basic are OCSPResponse and BasicOCSPResponse (RFC 6960, 4.2.1).
type envelope struct {
	Status asn1.Enumerated
	Bytes  struct {
		Type  asn1.ObjectIdentifier
		Basic []byte
	} `asn1:"explicit,tag:0,optional"`
}

type basic struct {
	Data, Algorithm asn1.RawValue
	Signature       asn1.BitString
	Certificates    []asn1.RawValue `asn1:"explicit,tag:0,optional,omitempty"`
}

// maxCarried bounds the certificates of a response, which has one as a rule.
const maxCarried = 16

// parseOCSP reads what a response says about a certificate. Package ocsp reads it without its
// certificates: with them it would verify with the first one, and by the algorithms that it
// knows, which are neither RSA-PSS nor Ed25519.
func parseOCSP(der []byte, cert *x509.Certificate) (*response, error) {
	var whole envelope
	var inner basic
	err := unmarshal(der, &whole)
	if err == nil && whole.Bytes.Basic != nil {
		err = unmarshal(whole.Bytes.Basic, &inner)
	}
	if err != nil {
		return nil, fmt.Errorf("OCSP response: %w", err)
	}
	r := &response{algorithm: inner.Algorithm.FullBytes}
	if len(inner.Certificates) > maxCarried {
		return nil, fmt.Errorf("OCSP response: carries %d certificates", len(inner.Certificates))
	}
	for _, raw := range inner.Certificates {
		if c, err := x509.ParseCertificate(raw.FullBytes); err == nil { // another may be the signer's
			r.certificates = append(r.certificates, c)
		}
	}
	if inner.Certificates != nil {
		inner.Certificates = nil
		if whole.Bytes.Basic, err = asn1.Marshal(inner); err == nil {
			der, err = asn1.Marshal(whole)
		}
		if err != nil {
			return nil, fmt.Errorf("OCSP response: %w", err)
		}
	}
	if r.Response, err = ocsp.ParseResponseForCert(der, cert, nil); err != nil {
		return nil, fmt.Errorf("OCSP response: %w", err)
	}
	if r.data, err = readResponseData(r.TBSResponseData); err != nil {
		return nil, err
	}
	return r, nil
}

// readOCSP verifies a response about a certificate (RFC 6960, 3.2): it is about this
// certificate of this issuer, and the issuer signed it or gave the signer the right to.
// The time is the caller's to judge.
func readOCSP(der []byte, cert, issuer *x509.Certificate) (*answer, error) {
	response, err := parseOCSP(der, cert)
	if err != nil {
		return nil, err
	}
	if err := response.data.about(cert, issuer, response.IssuerHash); err != nil {
		return nil, err
	}
	a := &answer{
		der: der, producedAt: response.ProducedAt, thisUpdate: response.ThisUpdate, nextUpdate: response.NextUpdate,
	}
	signer, err := response.signer(issuer)
	if err != nil {
		return nil, err
	}
	if signer != issuer {
		if err := delegated(signer, issuer, response.ProducedAt); err != nil {
			return nil, err
		}
		a.responder = signer
	}
	if !a.nextUpdate.IsZero() && a.nextUpdate.Before(a.thisUpdate) {
		return nil, errors.New("OCSP response: nextUpdate is before thisUpdate")
	}
	switch response.Status {
	case ocsp.Good:
		if a.thisUpdate.After(cert.NotAfter) && !remembers(response.Extensions, oidArchiveCutoff, cert.NotAfter) {
			return nil, errors.New("OCSP response: is younger than the certificate's end")
		}
		a.state = Good
	case ocsp.Revoked:
		a.state, a.revokedAt, a.reason = Revoked, response.RevokedAt, Reason(response.RevocationReason)
	default:
		return nil, fmt.Errorf("OCSP response: %w", errNotKnown)
	}
	return a, nil
}

// errNotKnown is an authority's own word that it does not know the certificate.
var errNotKnown = fmt.Errorf("responder does not know the certificate: %w", ErrUnknown)

// unmarshal reads one value and nothing behind it.
func unmarshal(der []byte, value any) error {
	rest, err := asn1.Unmarshal(der, value)
	if err == nil && len(rest) > 0 {
		err = errors.New("there are bytes behind it")
	}
	return err
}

func readResponseData(der []byte) (data responseData, err error) {
	if _, err := asn1.Unmarshal(der, &data); err != nil {
		return data, fmt.Errorf("OCSP response: %w", err)
	}
	for _, extension := range data.Extensions {
		if extension.Critical && !extension.Id.Equal(oidNonce) {
			return data, fmt.Errorf("OCSP response: critical extension %s is not understood", extension.Id)
		}
	}
	return data, nil
}

// signer is the certificate whose key signed the response: the issuer's, or one that the
// response carries. It is the issuer's own when the response carries it once more.
func (r *response) signer(issuer *x509.Certificate) (*x509.Certificate, error) {
	problem := errors.New("names another responder than the one who signed")
	for _, c := range append([]*x509.Certificate{issuer}, r.certificates...) {
		if !r.names(c) {
			continue
		}
		if problem = cms.VerifySignature(c.PublicKey, r.algorithm, r.TBSResponseData, r.Signature); problem == nil {
			return c, nil
		}
	}
	return nil, fmt.Errorf("OCSP response: %w", problem)
}

// about compares issuer and number; package ocsp compares the number alone, and picks the
// first response that has it.
func (d *responseData) about(cert, issuer *x509.Certificate, hash crypto.Hash) error {
	for _, single := range d.Responses {
		if single.ID.Serial.Cmp(cert.SerialNumber) != 0 {
			continue
		}
		key, err := keyBits(issuer)
		if err != nil {
			return err
		}
		if bytes.Equal(single.ID.Name, sum(hash, issuer.RawSubject)) && bytes.Equal(single.ID.Key, sum(hash, key)) {
			return nil
		}
		break
	}
	return errors.New("OCSP response: is about a certificate of another issuer")
}

// delegated checks an authorized responder (RFC 6960, 4.2.2.2): a certificate of the same
// issuer, for this purpose, valid when the response was made.
func delegated(responder, issuer *x509.Certificate, producedAt time.Time) error {
	if !bytes.Equal(responder.RawIssuer, issuer.RawSubject) {
		return errors.New("OCSP responder: its certificate is of another issuer")
	}
	if err := responder.CheckSignatureFrom(issuer); err != nil {
		return fmt.Errorf("OCSP responder: %w", err)
	}
	if !slices.Contains(responder.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) {
		return errors.New("OCSP responder: its certificate is not for signing OCSP responses")
	}
	if err := cms.CheckKeyUsage(responder); err != nil {
		return fmt.Errorf("OCSP responder: %w", err)
	}
	if len(responder.UnhandledCriticalExtensions) > 0 {
		return errors.New("OCSP responder: its certificate has a critical extension that is not understood")
	}
	if producedAt.Before(responder.NotBefore) || producedAt.After(responder.NotAfter) {
		return errors.New("OCSP responder: its certificate was not valid when the response was made")
	}
	return nil
}

// names says whether the responder id of the response is that of a certificate.
func (r *response) names(signer *x509.Certificate) bool {
	if r.RawResponderName != nil {
		return bytes.Equal(r.RawResponderName, signer.RawSubject)
	}
	key, err := keyBits(signer)
	return err == nil && bytes.Equal(r.ResponderKeyHash, sum(crypto.SHA1, key))
}

// remembers says whether an extension holds a date not after the one given: archive cutoff
// of OCSP (RFC 6960, 4.4.4) and expiredCertsOnCRL (X.509, 9.5.2.8) promise that a
// certificate that ended since is still answered for.
func remembers(extensions []pkix.Extension, id asn1.ObjectIdentifier, end time.Time) bool {
	for _, extension := range extensions {
		var since time.Time
		if extension.Id.Equal(id) {
			rest, err := asn1.UnmarshalWithParams(extension.Value, &since, "generalized")
			return err == nil && len(rest) == 0 && !since.After(end)
		}
	}
	return false
}

// nonceOf returns the nonce of a response about a certificate, nil when there is none.
func nonceOf(der []byte, cert *x509.Certificate) []byte {
	response, err := parseOCSP(der, cert)
	if err != nil {
		return nil
	}
	for _, extension := range response.data.Extensions {
		if extension.Id.Equal(oidNonce) {
			return extension.Value
		}
	}
	return nil
}

// question encodes an OCSPRequest for one certificate; the nonce, DER of an OCTET STRING, is
// left out when empty. Its hash is SHA-1, the one that every responder reads (RFC 5019, 2.1.1).
func question(cert, issuer *x509.Certificate, nonce []byte) ([]byte, error) {
	der, err := ocsp.CreateRequest(cert, issuer, nil)
	if err != nil || len(nonce) == 0 {
		return der, err
	}
	input := cryptobyte.String(der)
	var request, tbs cryptobyte.String
	if !input.ReadASN1(&request, cbasn1.SEQUENCE) || !request.ReadASN1(&tbs, cbasn1.SEQUENCE) {
		return nil, errors.New("OCSP request cannot be read back")
	}
	extensions, err := asn1.Marshal([]pkix.Extension{{Id: oidNonce, Value: nonce}})
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(tbs)
			b.AddASN1(cbasn1.Tag(2).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(extensions) })
		})
	})
	return b.Bytes()
}

// keyBits are the bits of the public key, without algorithm and length.
func keyBits(cert *x509.Certificate) ([]byte, error) {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(cert.RawSubjectPublicKeyInfo, &info); err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	return info.Key.RightAlign(), nil
}

func sum(hash crypto.Hash, data []byte) []byte {
	if hash == crypto.SHA1 {
		digest := sha1.Sum(data) //nolint:gosec // As above.
		return digest[:]
	}
	state := hash.New()
	state.Write(data)
	return state.Sum(nil)
}
