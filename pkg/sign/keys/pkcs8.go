package keys

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // three keys; files of the past are read, none is written
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // the default PRF of RFC 8018, as HMAC
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"hash"
)

// maxIterations bounds what a file may make us compute, to about a second.
const maxIterations = 2_000_000

// The algorithms of PBES2 (RFC 8018, appendix A and B).
var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}

	pseudoRandom = []struct {
		oid  asn1.ObjectIdentifier
		hash func() hash.Hash
	}{
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 7}, sha1.New},
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}, sha256.New},
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 10}, sha512.New384},
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 11}, sha512.New},
	}

	ciphers = []struct {
		oid   asn1.ObjectIdentifier
		key   int
		block func(key []byte) (cipher.Block, error)
	}{
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}, 16, aes.NewCipher},
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 22}, 24, aes.NewCipher},
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}, 32, aes.NewCipher},
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7}, 24, des.NewTripleDESCipher},
	}
)

// encryptedKey is EncryptedPrivateKeyInfo (RFC 5958, chapter 3).
type encryptedKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

type pbes2Parameters struct {
	Derivation, Encryption pkix.AlgorithmIdentifier
}

type pbkdf2Parameters struct {
	Salt       []byte
	Iterations int
	Length     int                      `asn1:"optional"`
	Function   pkix.AlgorithmIdentifier `asn1:"optional"`
}

// decryptPKCS8 opens an encrypted private key: PBES2 with PBKDF2 and a cipher in CBC mode,
// which is what OpenSSL and Java write.
func decryptPKCS8(der, passphrase []byte) (crypto.Signer, error) {
	var sealed encryptedKey
	if rest, err := asn1.Unmarshal(der, &sealed); err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("encrypted key cannot be read: %w", ErrUnsupported)
	}
	block, iv, err := blockCipher(sealed.Algorithm, passphrase)
	if err != nil {
		return nil, err
	}
	size := block.BlockSize()
	if len(sealed.Data) == 0 || len(sealed.Data)%size != 0 {
		return nil, fmt.Errorf("encrypted key is cut off: %w", ErrUnsupported)
	}
	plain := make([]byte, len(sealed.Data))
	defer clear(plain)
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, sealed.Data)
	// There is no check value: what does not end as padding and does not begin as a key was opened wrongly.
	padding := int(plain[len(plain)-1])
	if padding == 0 || padding > size {
		return nil, ErrPassphrase
	}
	key, err := x509.ParsePKCS8PrivateKey(plain[:len(plain)-padding])
	if err != nil {
		return nil, ErrPassphrase
	}
	return signerOf(key)
}

func blockCipher(algorithm pkix.AlgorithmIdentifier, passphrase []byte) (cipher.Block, []byte, error) {
	var (
		scheme     pbes2Parameters
		derivation pbkdf2Parameters
		iv         []byte
	)
	if !algorithm.Algorithm.Equal(oidPBES2) {
		return nil, nil, fmt.Errorf("encryption %s of the key, convert it with `openssl pkcs8 -topk8`: %w", algorithm.Algorithm, ErrUnsupported)
	}
	if _, err := asn1.Unmarshal(algorithm.Parameters.FullBytes, &scheme); err != nil {
		return nil, nil, fmt.Errorf("parameters of the key's encryption: %w", ErrUnsupported)
	}
	if !scheme.Derivation.Algorithm.Equal(oidPBKDF2) {
		return nil, nil, fmt.Errorf("key derivation %s, convert the key with `openssl pkcs8 -topk8`: %w", scheme.Derivation.Algorithm, ErrUnsupported)
	}
	if _, err := asn1.Unmarshal(scheme.Derivation.Parameters.FullBytes, &derivation); err != nil || derivation.Iterations < 1 || derivation.Iterations > maxIterations {
		return nil, nil, fmt.Errorf("parameters of the key derivation: %w", ErrUnsupported)
	}
	if _, err := asn1.Unmarshal(scheme.Encryption.Parameters.FullBytes, &iv); err != nil {
		return nil, nil, fmt.Errorf("parameters of the key's encryption: %w", ErrUnsupported)
	}
	for _, c := range ciphers {
		if !c.oid.Equal(scheme.Encryption.Algorithm) {
			continue
		}
		function, err := functionFor(derivation.Function.Algorithm)
		if err != nil {
			return nil, nil, err
		}
		key, err := pbkdf2.Key(function, string(passphrase), derivation.Salt, derivation.Iterations, c.key)
		if err != nil {
			return nil, nil, fmt.Errorf("derive key: %w", ErrUnsupported)
		}
		defer clear(key)
		block, err := c.block(key)
		if err != nil || len(iv) != block.BlockSize() {
			return nil, nil, fmt.Errorf("parameters of the key's encryption: %w", ErrUnsupported)
		}
		return block, iv, nil
	}
	return nil, nil, fmt.Errorf("cipher %s of the key: %w", scheme.Encryption.Algorithm, ErrUnsupported)
}

func functionFor(oid asn1.ObjectIdentifier) (func() hash.Hash, error) {
	if len(oid) == 0 {
		return sha1.New, nil // the default of RFC 8018
	}
	for _, f := range pseudoRandom {
		if f.oid.Equal(oid) {
			return f.hash, nil
		}
	}
	return nil, fmt.Errorf("function %s of the key derivation: %w", oid, ErrUnsupported)
}
