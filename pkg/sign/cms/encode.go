package cms

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	oidData                 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedData           = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidContentType          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningTime          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}
	oidSigningCertificate   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 12}
	oidSigningCertificateV2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
	oidSignatureTimestamp   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 14}
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
func signedAttributes(contentType asn1.ObjectIdentifier, digest []byte, leaf *x509.Certificate, at time.Time) ([]byte, error) {
	fingerprint := sha256.Sum256(leaf.Raw)
	attributes := []struct {
		oid   asn1.ObjectIdentifier
		value cryptobyte.BuilderContinuation
	}{
		{oidContentType, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(contentType) }},
		{oidMessageDigest, func(b *cryptobyte.Builder) { b.AddASN1OctetString(digest) }},
		// SHA-256 is the attribute's default hash, and the signer identifier already
		// names issuer and serial number, so that DER and RFC 5035 leave both out.
		{oidSigningCertificateV2, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1OctetString(fingerprint[:]) })
				})
			})
		}},
	}
	encoded := make([][]byte, 0, len(attributes)+1)
	for _, attribute := range attributes {
		der, err := encodeAttribute(attribute.oid, attribute.value)
		if err != nil {
			return nil, err
		}
		encoded = append(encoded, der)
	}
	if !at.IsZero() {
		der, err := encodeAttribute(oidSigningTime, func(b *cryptobyte.Builder) { addTime(b, at) })
		if err != nil {
			return nil, err
		}
		encoded = append(encoded, der)
	}
	return encodeSet(cbasn1.SET, encoded)
}

func addTime(b *cryptobyte.Builder, at time.Time) {
	at = at.UTC().Truncate(time.Second)
	if at.Year() < 1950 || at.Year() >= 2050 {
		b.AddASN1GeneralizedTime(at)
		return
	}
	b.AddASN1UTCTime(at)
}

func encodeAttribute(oid asn1.ObjectIdentifier, value cryptobyte.BuilderContinuation) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		b.AddASN1(cbasn1.SET, value)
	})
	return b.Bytes()
}

// encodeSet sorts the elements, as DER wants them in a SET OF.
func encodeSet(tag cbasn1.Tag, elements [][]byte) ([]byte, error) {
	slices.SortFunc(elements, bytes.Compare)
	var b cryptobyte.Builder
	b.AddASN1(tag, func(b *cryptobyte.Builder) {
		for _, element := range elements {
			b.AddBytes(element)
		}
	})
	return b.Bytes()
}

// message is everything that goes into one SignedData.
type message struct {
	content    Content
	chain      []*x509.Certificate
	scheme     scheme
	attributes []byte
	value      []byte
	token      []byte
}

func (m *message) encode() ([]byte, error) {
	var certificates []byte
	if !m.content.OmitCertificates {
		raw := make([][]byte, len(m.chain))
		for i, certificate := range m.chain {
			raw[i] = certificate.Raw
		}
		var err error
		if certificates, err = encodeSet(context0, raw); err != nil {
			return nil, err
		}
	}
	version := int64(1)
	if !m.content.Type.Equal(oidData) {
		version = 3
	}
	b := cryptobyte.NewBuilder(make([]byte, 0, Size(m.chain, false)+len(m.content.Bytes)+len(m.token)))
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidSignedData)
		b.AddASN1(context0, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(version)
				b.AddASN1(cbasn1.SET, m.addDigestAlgorithm)
				b.AddASN1(cbasn1.SEQUENCE, m.addContent)
				b.AddBytes(certificates)
				b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddASN1(cbasn1.SEQUENCE, m.addSigner) })
			})
		})
	})
	return b.Bytes()
}

func (m *message) addDigestAlgorithm(b *cryptobyte.Builder) {
	oid, _ := hashOID(m.scheme.hash)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oid) })
}

func (m *message) addContent(b *cryptobyte.Builder) {
	b.AddASN1ObjectIdentifier(m.content.Type)
	if m.content.Bytes != nil {
		b.AddASN1(context0, func(b *cryptobyte.Builder) { b.AddASN1OctetString(m.content.Bytes) })
	}
}

func (m *message) addSigner(b *cryptobyte.Builder) {
	leaf := m.chain[0]
	b.AddASN1Int64(1)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(leaf.RawIssuer)
		b.AddASN1BigInt(leaf.SerialNumber)
	})
	m.addDigestAlgorithm(b)
	// The attributes are signed as a SET OF and sent under the implicit tag [0] (RFC 5652, 5.4).
	b.AddUint8(uint8(context0))
	b.AddBytes(m.attributes[1:])
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(m.scheme.algorithm)
		if m.scheme.null {
			b.AddASN1NULL()
		}
	})
	b.AddASN1OctetString(m.value)
	if m.token != nil {
		b.AddASN1(context1, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidSignatureTimestamp)
				b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(m.token) })
			})
		})
	}
}
