package cms

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// signer is one parsed SignerInfo (RFC 5652, 5.3).
type signer struct {
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

// parse reads a message in memory that must have exactly one signer.
func parse(input []byte) (*Message, *signer, error) {
	if len(input) > MaxSize {
		return nil, nil, malformed(fmt.Sprintf("more than %d bytes", MaxSize))
	}
	m := &Message{}
	w := walker{in: bytes.NewReader(input), size: int64(len(input))}
	if err := m.read(&w); err != nil {
		return nil, nil, err
	}
	if len(m.signers) != 1 {
		return nil, nil, malformed("not exactly one signer")
	}
	s, err := m.signer(0)
	return m, s, err
}

// bytes is the content of a message in memory.
func (m *Message) bytes() ([]byte, error) {
	out := make([]byte, m.size)
	_, err := io.ReadFull(m.Content(), out)
	return out, err
}

func (m *Message) signer(index int) (*signer, error) {
	der, _, ok := fromBER(m.signers[index])
	input := cryptobyte.String(der)
	var body cryptobyte.String
	if !ok || !input.ReadASN1(&body, cbasn1.SEQUENCE) {
		return nil, malformed("signer")
	}
	s := &signer{}
	if err := s.read(body); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *signer) read(body cryptobyte.String) error {
	var version int
	if !body.ReadASN1Integer(&version) {
		return malformed("signer")
	}
	if err := s.readIdentifier(&body); err != nil {
		return err
	}
	var digest algorithm
	if !readAlgorithm(&body, &digest) {
		return malformed("digest algorithm")
	}
	var ok bool
	if s.hash, ok = hashByOID(digest.oid); !ok {
		return fmt.Errorf("digest algorithm %s: %w", digest.oid, ErrUnsupported)
	}
	// A signature without signed attributes names neither content nor certificate;
	// CAdES forbids it, and accepting it would let attributes pass for content.
	var set cryptobyte.String
	if !body.ReadASN1Element(&set, context0) {
		return malformed("no signed attributes")
	}
	s.signedSet = bytes.Clone(set)
	s.signedSet[0] = byte(cbasn1.SET)
	var err error
	if s.signed, err = readAttributes(set, context0); err != nil {
		return err
	}
	var value, unsigned cryptobyte.String
	if !readAlgorithm(&body, &s.algorithm) || !body.ReadASN1(&value, cbasn1.OCTET_STRING) {
		return malformed("signature value")
	}
	s.value = value
	if body.Empty() {
		return nil
	}
	if !body.ReadASN1Element(&unsigned, context1) || !body.Empty() {
		return malformed("unsigned attributes")
	}
	s.unsigned, err = readAttributes(unsigned, context1)
	return err
}

func (s *signer) readIdentifier(body *cryptobyte.String) error {
	if body.PeekASN1Tag(cbasn1.Tag(0).ContextSpecific()) {
		var keyID cryptobyte.String
		if !body.ReadASN1(&keyID, cbasn1.Tag(0).ContextSpecific()) {
			return malformed("signer identifier")
		}
		s.keyID = keyID
		return nil
	}
	var identifier, issuer cryptobyte.String
	s.serial = new(big.Int)
	if !body.ReadASN1(&identifier, cbasn1.SEQUENCE) || !identifier.ReadASN1Element(&issuer, cbasn1.SEQUENCE) ||
		!identifier.ReadASN1Integer(s.serial) || !identifier.Empty() {
		return malformed("signer identifier")
	}
	s.issuer = issuer
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
func (s *signer) signedAttribute(oid asn1.ObjectIdentifier) (cryptobyte.String, error) {
	var value cryptobyte.String
	for _, a := range s.signed {
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

// certificate finds the certificate that the signer identifier names.
func (s *signer) certificate(certificates []*x509.Certificate) (*x509.Certificate, error) {
	for _, certificate := range certificates {
		if s.keyID != nil && bytes.Equal(certificate.SubjectKeyId, s.keyID) {
			return certificate, nil
		}
		if s.serial != nil && certificate.SerialNumber.Cmp(s.serial) == 0 && bytes.Equal(certificate.RawIssuer, s.issuer) {
			return certificate, nil
		}
	}
	return nil, ErrNoCertificate
}
