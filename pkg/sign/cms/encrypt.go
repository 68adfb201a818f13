package cms

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
)

var (
	oidOAEP        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 7}
	oidECDHSHA256  = asn1.ObjectIdentifier{1, 3, 132, 1, 11, 1} // dhSinglePass-stdDH-sha256kdf-scheme
	oidAES256Wrap  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 45}
	oidAES256GCM   = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 46}
	oidNamedCurves = map[string]asn1.ObjectIdentifier{
		"P-256": {1, 2, 840, 10045, 3, 1, 7}, "P-384": {1, 3, 132, 0, 34}, "P-521": {1, 3, 132, 0, 35},
	}
)

// Encrypt makes a message that each of the recipients can read, and nobody else:
// AuthEnvelopedData (RFC 5083) with AES-256-GCM (RFC 5084) under a key of its own. RSA certificates get that key by
// RSAES-OAEP with SHA-256 (RFC 4055, RFC 8017), elliptic ones by ephemeral-static ECDH (RFC 5753) with
// SHA-256 and AES-256 key wrap. Other keys, weak ones and certificates that are not for encryption are
// ErrUnsupported. Whether the certificates are valid and trusted is for the caller to know.
func Encrypt(plaintext []byte, recipients []*x509.Certificate) ([]byte, error) {
	der, err := encrypt(plaintext, recipients)
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	return der, nil
}

func encrypt(plaintext []byte, recipients []*x509.Certificate) ([]byte, error) {
	if len(recipients) == 0 {
		return nil, errors.New("no recipient; name the certificate of who may read it")
	}
	// crypto/rand never fails.
	key, nonce := make([]byte, 32), make([]byte, 12)
	_, _ = rand.Read(key)
	_, _ = rand.Read(nonce)
	defer clear(key)
	infos := make([][]byte, 0, len(recipients))
	for i, recipient := range recipients {
		info, err := recipientInfo(recipient, key)
		if err != nil {
			return nil, fmt.Errorf("recipient %d: %w", i+1, err)
		}
		infos = append(infos, info)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	sealed := gcm.Seal(nil, nonce, plaintext, nil)
	mac := sealed[len(plaintext):]
	const encryptedContent = tagContext0 &^ constructed
	parameters := element(tagSequence, element(tagOctetString, nonce), element(tagInteger, []byte{byte(len(mac))}))
	return element(tagSequence, encodeOID(oidAuthEnvelopedData), element(tagContext0, element(tagSequence,
		[]byte{tagInteger, 1, 0},
		setOf(tagSet, infos...),
		element(tagSequence,
			derData,
			element(tagSequence, encodeOID(oidAES256GCM), parameters),
			element(encryptedContent, sealed[:len(plaintext)]),
		),
		element(tagOctetString, mac),
	))), nil
}

// recipientInfo gives the key to one recipient (RFC 5652, 6.2).
func recipientInfo(recipient *x509.Certificate, key []byte) ([]byte, error) {
	if err := checkKey(recipient.PublicKey); err != nil {
		return nil, err
	}
	serial, err := asn1.Marshal(recipient.SerialNumber)
	if err != nil {
		return nil, fmt.Errorf("serial number: %w", err)
	}
	identifier := element(tagSequence, recipient.RawIssuer, serial)
	usage := x509.KeyUsageKeyEncipherment
	if _, ok := recipient.PublicKey.(*ecdsa.PublicKey); ok {
		usage = x509.KeyUsageKeyAgreement
	}
	if recipient.KeyUsage != 0 && recipient.KeyUsage&usage == 0 {
		return nil, fmt.Errorf("key usage of the certificate does not allow encryption: %w", ErrUnsupported)
	}
	switch public := recipient.PublicKey.(type) {
	case *rsa.PublicKey:
		return keyTransport(public, identifier, key)
	case *ecdsa.PublicKey:
		return keyAgreement(public, identifier, key)
	default:
		return nil, fmt.Errorf("%T encrypts nothing: %w", public, ErrUnsupported)
	}
}

func keyTransport(public *rsa.PublicKey, identifier, key []byte) ([]byte, error) {
	encrypted, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public, key, nil)
	if err != nil {
		return nil, err
	}
	hash := element(tagSequence, encodeOID(hashes[0].oid), derNull)
	mask := element(tagSequence, encodeOID(oidMGF1), hash)
	return element(tagSequence,
		[]byte{tagInteger, 1, 0},
		identifier,
		element(tagSequence, encodeOID(oidOAEP), element(tagSequence, element(tagContext0, hash), element(tagContext1, mask))),
		element(tagOctetString, encrypted),
	), nil
}

func keyAgreement(public *ecdsa.PublicKey, identifier, key []byte) ([]byte, error) {
	static, err := public.ECDH()
	if err != nil {
		return nil, err
	}
	ephemeral, err := static.Curve().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	secret, err := ephemeral.ECDH(static)
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	wrap := element(tagSequence, encodeOID(oidAES256Wrap))
	wrapped, err := wrapKey(deriveKey(secret, wrap), key)
	if err != nil {
		return nil, err
	}
	curve := encodeOID(oidNamedCurves[public.Curve.Params().Name])
	return element(tagContext1,
		[]byte{tagInteger, 1, 3},
		element(tagContext0, element(tagContext1,
			element(tagSequence, encodeOID(oidECKey), curve),
			element(tagBitString, []byte{0}, ephemeral.PublicKey().Bytes()),
		)),
		element(tagSequence, encodeOID(oidECDHSHA256), wrap),
		element(tagSequence, element(tagSequence, identifier, element(tagOctetString, wrapped))),
	), nil
}

// deriveKey is the key derivation of ANSI X9.63 with SHA-256 for 256 bits: one block, over the
// ECC-CMS-SharedInfo of RFC 5753, 7.2.
func deriveKey(secret, wrap []byte) []byte {
	const suppPubInfo = tagContext0 + 2
	shared := element(tagSequence, wrap, element(suppPubInfo, element(tagOctetString, binary.BigEndian.AppendUint32(nil, 256))))
	state := sha256.New()
	state.Write(secret)
	state.Write([]byte{0, 0, 0, 1})
	state.Write(shared)
	return state.Sum(nil)
}

// wrapKey is AES key wrap (RFC 3394, 2.2.1).
func wrapKey(kek, key []byte) ([]byte, error) {
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil, err
	}
	const half = 8
	out := make([]byte, half+len(key))
	for i := range half {
		out[i] = 0xa6
	}
	copy(out[half:], key)
	var buf [2 * half]byte
	step := uint64(0)
	for range 6 {
		for i := half; i < len(out); i += half {
			step++
			copy(buf[:half], out[:half])
			copy(buf[half:], out[i:i+half])
			block.Encrypt(buf[:], buf[:])
			var counter [half]byte
			binary.BigEndian.PutUint64(counter[:], step)
			subtle.XORBytes(out[:half], buf[:half], counter[:])
			copy(out[i:], buf[half:])
		}
	}
	return out, nil
}
