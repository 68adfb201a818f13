package cms

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	oidEnvelopedData        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 3}
	oidAuthEnvelopedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 23}
	oidData                 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedData           = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidContentType          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningTime          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}
	oidSigningCertificate   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 12}
	oidSigningCertificateV2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
	oidSignatureTimestamp   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 14}
	oidArchiveTimestamp     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 27}
	oidArchiveTimestampV2   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 48}
	oidLongTermValidation   = asn1.ObjectIdentifier{0, 4, 0, 1733, 2, 2}
	oidOCSPResponse         = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 16, 2}
)

// Those of every signature, encoded once.
var (
	derData                 = encodeOID(oidData)
	derSignedData           = encodeOID(oidSignedData)
	derContentType          = encodeOID(oidContentType)
	derMessageDigest        = encodeOID(oidMessageDigest)
	derSigningTime          = encodeOID(oidSigningTime)
	derSignatureTimestamp   = encodeOID(oidSignatureTimestamp)
	derSigningCertificateV2 = encodeOID(oidSigningCertificateV2)
)

var (
	context0 = cbasn1.Tag(0).Constructed().ContextSpecific()
	context1 = cbasn1.Tag(1).Constructed().ContextSpecific()
)

// Room that Size plans for what it cannot know: the names and fixed parts of
// the structure, and a token of an outside authority with three certificates.
const (
	fixedRoom     = 768
	timestampRoom = 8 << 10
)

// Size is an upper estimate of the length of a signature's DER, for the place that a PDF keeps free.
func Size(chain []*x509.Certificate, timestamped bool) int {
	size := fixedRoom
	for i, certificate := range chain {
		size += len(certificate.Raw)
		if i > 0 {
			continue
		}
		size += len(certificate.RawIssuer)
		switch key := certificate.PublicKey.(type) {
		case *rsa.PublicKey:
			size += key.Size()
		case *ecdsa.PublicKey:
			size += 2*((key.Curve.Params().BitSize+7)/8) + 9
		default:
			size += 64
		}
	}
	if timestamped {
		size += timestampRoom
	}
	return size
}

// signedAttributes returns the DER of the SET OF Attribute that the key signs.
func signedAttributes(contentType, digest []byte, leaf *x509.Certificate, at time.Time, more []Attribute) ([]byte, error) {
	fingerprint := sha256.Sum256(leaf.Raw)
	// SHA-256 is the attribute's default hash, and the signer identifier already
	// names issuer and serial number, so that DER and RFC 5035 leave both out.
	attributes := append(make([][]byte, 0, 8),
		encodeAttribute(derContentType, contentType),
		encodeAttribute(derMessageDigest, digest, tagOctetString),
		encodeAttribute(derSigningCertificateV2, fingerprint[:], tagSequence, tagSequence, tagSequence, tagOctetString),
	)
	if !at.IsZero() {
		var b cryptobyte.Builder
		addTime(&b, at)
		value, err := b.Bytes()
		if err != nil {
			return nil, fmt.Errorf("signing time: %w", err)
		}
		attributes = append(attributes, encodeAttribute(derSigningTime, value))
	}
	for _, a := range more {
		oid, err := asn1.Marshal(a.Type)
		if err != nil {
			return nil, fmt.Errorf("attribute %s: %w", a.Type, err)
		}
		attributes = append(attributes, encodeAttribute(oid, a.Value))
	}
	return setOf(tagSet, attributes...), nil
}

func addTime(b *cryptobyte.Builder, at time.Time) {
	at = at.UTC().Truncate(time.Second)
	if at.Year() < 1950 || at.Year() >= 2050 {
		b.AddASN1GeneralizedTime(at)
		return
	}
	b.AddASN1UTCTime(at)
}

// encodeSigner is the DER of a SignerInfo (RFC 5652, 5.3); a nil token leaves the unsigned attributes out.
func encodeSigner(leaf *x509.Certificate, s *scheme, attributes, value, token []byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1BigInt(leaf.SerialNumber)
	serial, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("serial number of the certificate: %w", err)
	}
	var unsigned []byte
	if token != nil {
		unsigned = element(tagContext1, encodeAttribute(derSignatureTimestamp, token))
	}
	return element(tagSequence,
		[]byte{tagInteger, 1, 1},
		element(tagSequence, leaf.RawIssuer, serial),
		s.digest,
		// The attributes are signed as a SET OF and sent under the implicit tag [0] (RFC 5652, 5.4).
		[]byte{tagContext0}, attributes[1:],
		s.algorithm,
		element(tagOctetString, value),
		unsigned,
	), nil
}
