package cms

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Bounds on what is read from a file. A signature with a chain, revocation data
// and a token has some tens of kilobytes; large revocation lists explain the rest.
const (
	// MaxSize is the longest message that is parsed at all, padding included.
	MaxSize         = 4 << 20
	maxCertificates = 64
	maxAttributes   = 64
)

// signedData is one parsed message with one signer.
type signedData struct {
	der          []byte // The message without padding.
	contentType  asn1.ObjectIdentifier
	content      []byte
	hasContent   bool
	certificates []*x509.Certificate

	issuer, keyID []byte
	serial        *big.Int
	hash          crypto.Hash
	signedSet     []byte // DER of the SET OF signed attributes.
	signed        []attribute
	unsigned      []attribute
	algorithm     algorithm
	value         []byte
}

type attribute struct {
	oid    asn1.ObjectIdentifier
	values cryptobyte.String
}

func malformed(what string) error { return fmt.Errorf("%s: %w", what, ErrMalformed) }

// parse reads ContentInfo with SignedData. Zero bytes after it are the padding of a PDF's /Contents.
func parse(input []byte) (*signedData, error) {
	if len(input) > MaxSize {
		return nil, malformed(fmt.Sprintf("more than %d bytes", MaxSize))
	}
	rest := cryptobyte.String(input)
	var element cryptobyte.String
	var tag cbasn1.Tag
	var reason error
	if rest.ReadAnyASN1Element(&element, &tag) {
		data, err := parseDER(element, rest)
		if !errors.Is(err, ErrMalformed) {
			return data, err
		}
		reason = err
	}
	der, tail, ok := fromBER(input)
	switch {
	case ok && !bytes.Equal(der, element):
		return parseDER(der, tail)
	case reason != nil:
		return nil, reason
	default:
		return nil, malformed("not ASN.1")
	}
}

func parseDER(der, rest []byte) (*signedData, error) {
	if len(bytes.TrimLeft(rest, "\x00")) > 0 {
		return nil, malformed("bytes after the message")
	}
	data := &signedData{der: der}
	message := cryptobyte.String(der)
	var info, explicit, body cryptobyte.String
	var kind asn1.ObjectIdentifier
	if !message.ReadASN1(&info, cbasn1.SEQUENCE) || !info.ReadASN1ObjectIdentifier(&kind) || !kind.Equal(oidSignedData) ||
		!info.ReadASN1(&explicit, context0) || !info.Empty() || !explicit.ReadASN1(&body, cbasn1.SEQUENCE) || !explicit.Empty() {
		return nil, malformed("not a signed message")
	}
	if err := data.readBody(body); err != nil {
		return nil, err
	}
	return data, nil
}

func (d *signedData) readBody(body cryptobyte.String) error {
	var version int
	var algorithms, encapsulated, certificates, signers, signer cryptobyte.String
	var present bool
	if !body.ReadASN1Integer(&version) || version < 1 || version > 5 || !body.ReadASN1(&algorithms, cbasn1.SET) ||
		!body.ReadASN1(&encapsulated, cbasn1.SEQUENCE) {
		return malformed("signed message")
	}
	if !encapsulated.ReadASN1ObjectIdentifier(&d.contentType) {
		return malformed("content type")
	}
	if !encapsulated.Empty() {
		var explicit, content cryptobyte.String
		if !encapsulated.ReadASN1(&explicit, context0) || !encapsulated.Empty() ||
			!explicit.ReadASN1(&content, cbasn1.OCTET_STRING) || !explicit.Empty() {
			return malformed("content")
		}
		d.content, d.hasContent = content, true
	}
	if !body.ReadOptionalASN1(&certificates, &present, context0) {
		return malformed("certificates")
	}
	if err := d.readCertificates(certificates); err != nil {
		return err
	}
	if !body.SkipOptionalASN1(context1) || !body.ReadASN1(&signers, cbasn1.SET) || !body.Empty() {
		return malformed("signers")
	}
	if !signers.ReadASN1(&signer, cbasn1.SEQUENCE) || !signers.Empty() {
		return malformed("not exactly one signer")
	}
	return d.readSigner(signer)
}

// readCertificates keeps the X.509 certificates and passes over what it cannot
// read: a broken extra certificate must not invalidate the signature beside it.
func (d *signedData) readCertificates(set cryptobyte.String) error {
	for count := 0; !set.Empty(); count++ {
		var element cryptobyte.String
		var tag cbasn1.Tag
		if !set.ReadAnyASN1Element(&element, &tag) || count >= maxCertificates {
			return malformed("certificates")
		}
		if tag != cbasn1.SEQUENCE {
			continue
		}
		if certificate, err := x509.ParseCertificate(element); err == nil {
			d.certificates = append(d.certificates, certificate)
		}
	}
	return nil
}

func (d *signedData) readSigner(signer cryptobyte.String) error {
	var version int
	if !signer.ReadASN1Integer(&version) {
		return malformed("signer")
	}
	if err := d.readIdentifier(&signer); err != nil {
		return err
	}
	var digest algorithm
	if !readAlgorithm(&signer, &digest) {
		return malformed("digest algorithm")
	}
	var ok bool
	if d.hash, ok = hashByOID(digest.oid); !ok {
		return fmt.Errorf("digest algorithm %s: %w", digest.oid, ErrUnsupported)
	}
	// A signature without signed attributes names neither content nor certificate;
	// CAdES forbids it, and accepting it would let attributes pass for content.
	var set cryptobyte.String
	if !signer.ReadASN1Element(&set, context0) {
		return malformed("no signed attributes")
	}
	d.signedSet = bytes.Clone(set)
	d.signedSet[0] = byte(cbasn1.SET)
	var err error
	if d.signed, err = readAttributes(set, context0); err != nil {
		return err
	}
	var value, unsigned cryptobyte.String
	if !readAlgorithm(&signer, &d.algorithm) || !signer.ReadASN1(&value, cbasn1.OCTET_STRING) {
		return malformed("signature value")
	}
	d.value = value
	if signer.Empty() {
		return nil
	}
	if !signer.ReadASN1Element(&unsigned, context1) || !signer.Empty() {
		return malformed("unsigned attributes")
	}
	d.unsigned, err = readAttributes(unsigned, context1)
	return err
}

func (d *signedData) readIdentifier(signer *cryptobyte.String) error {
	if signer.PeekASN1Tag(cbasn1.Tag(0).ContextSpecific()) {
		var keyID cryptobyte.String
		if !signer.ReadASN1(&keyID, cbasn1.Tag(0).ContextSpecific()) {
			return malformed("signer identifier")
		}
		d.keyID = keyID
		return nil
	}
	var identifier, issuer cryptobyte.String
	d.serial = new(big.Int)
	if !signer.ReadASN1(&identifier, cbasn1.SEQUENCE) || !identifier.ReadASN1Element(&issuer, cbasn1.SEQUENCE) ||
		!identifier.ReadASN1Integer(d.serial) || !identifier.Empty() {
		return malformed("signer identifier")
	}
	d.issuer = issuer
	return nil
}

func readAttributes(element cryptobyte.String, tag cbasn1.Tag) ([]attribute, error) {
	var set cryptobyte.String
	if !element.ReadASN1(&set, tag) {
		return nil, malformed("attributes")
	}
	var attributes []attribute
	for !set.Empty() {
		var body cryptobyte.String
		var a attribute
		if !set.ReadASN1(&body, cbasn1.SEQUENCE) || !body.ReadASN1ObjectIdentifier(&a.oid) ||
			!body.ReadASN1(&a.values, cbasn1.SET) || !body.Empty() || len(attributes) >= maxAttributes {
			return nil, malformed("attributes")
		}
		attributes = append(attributes, a)
	}
	return attributes, nil
}

// signedAttribute returns the single value of a signed attribute, nil when it is absent.
func (d *signedData) signedAttribute(oid asn1.ObjectIdentifier) (cryptobyte.String, error) {
	var value cryptobyte.String
	for _, a := range d.signed {
		if !a.oid.Equal(oid) {
			continue
		}
		values, tag := a.values, cbasn1.Tag(0)
		if value != nil || !values.ReadAnyASN1Element(&value, &tag) || !values.Empty() {
			return nil, malformed("attribute " + oid.String())
		}
	}
	return value, nil
}

// signerCertificate finds the certificate that the signer identifier names.
func (d *signedData) signerCertificate() (*x509.Certificate, error) {
	for _, certificate := range d.certificates {
		if d.keyID != nil && bytes.Equal(certificate.SubjectKeyId, d.keyID) {
			return certificate, nil
		}
		if d.serial != nil && certificate.SerialNumber.Cmp(d.serial) == 0 && bytes.Equal(certificate.RawIssuer, d.issuer) {
			return certificate, nil
		}
	}
	return nil, malformed("certificate of the signer is not in the message")
}
