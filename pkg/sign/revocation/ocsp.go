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
)

var (
	oidNonce         = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}
	oidArchiveCutoff = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 6}
)

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

// readOCSP verifies a response about a certificate (RFC 6960, 3.2): it is about this
// certificate of this issuer, and the issuer signed it or gave the signer the right to.
// The time is the caller's to judge.
func readOCSP(der []byte, cert, issuer *x509.Certificate) (*answer, error) {
	response, err := ocsp.ParseResponseForCert(der, cert, nil)
	if err != nil {
		return nil, fmt.Errorf("OCSP response: %w", err)
	}
	if weak(response.SignatureAlgorithm) {
		return nil, fmt.Errorf("OCSP response: signature algorithm %s is not accepted", response.SignatureAlgorithm)
	}
	data, err := readResponseData(response.TBSResponseData)
	if err != nil {
		return nil, err
	}
	if err := data.about(cert, issuer, response.IssuerHash); err != nil {
		return nil, err
	}
	a := &answer{
		der: der, producedAt: response.ProducedAt, thisUpdate: response.ThisUpdate, nextUpdate: response.NextUpdate,
	}
	signer := issuer
	if embedded := response.Certificate; embedded != nil && !bytes.Equal(embedded.RawSubjectPublicKeyInfo, issuer.RawSubjectPublicKeyInfo) {
		if err := delegated(embedded, issuer, response.ProducedAt); err != nil {
			return nil, err
		}
		signer, a.responder = embedded, embedded
	}
	if err := response.CheckSignatureFrom(signer); err != nil {
		return nil, fmt.Errorf("OCSP response: signature: %w", err)
	}
	if !names(response, signer) {
		return nil, errors.New("OCSP response: names another responder than the one who signed")
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

func readResponseData(der []byte) (*responseData, error) {
	var data responseData
	if _, err := asn1.Unmarshal(der, &data); err != nil {
		return nil, fmt.Errorf("OCSP response: %w", err)
	}
	for _, extension := range data.Extensions {
		if extension.Critical && !extension.Id.Equal(oidNonce) {
			return nil, fmt.Errorf("OCSP response: critical extension %s is not understood", extension.Id)
		}
	}
	return &data, nil
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
	if responder.KeyUsage != 0 && responder.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0 {
		return errors.New("OCSP responder: its certificate is not for signatures")
	}
	if len(responder.UnhandledCriticalExtensions) > 0 {
		return errors.New("OCSP responder: its certificate has a critical extension that is not understood")
	}
	if producedAt.Before(responder.NotBefore) || producedAt.After(responder.NotAfter) {
		return errors.New("OCSP responder: its certificate was not valid when the response was made")
	}
	return nil
}

// names says whether the responder id of a response is that of a certificate.
func names(response *ocsp.Response, signer *x509.Certificate) bool {
	if response.RawResponderName != nil {
		return bytes.Equal(response.RawResponderName, signer.RawSubject)
	}
	key, err := keyBits(signer)
	return err == nil && bytes.Equal(response.ResponderKeyHash, sum(crypto.SHA1, key))
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

// nonceOf returns the nonce of a response, nil when there is none.
func nonceOf(der []byte) []byte {
	response, err := ocsp.ParseResponseForCert(der, nil, nil)
	if err != nil {
		return nil
	}
	data, err := readResponseData(response.TBSResponseData)
	if err != nil {
		return nil
	}
	for _, extension := range data.Extensions {
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
