package cms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha256" // SHA-256 by crypto.Hash.
	_ "crypto/sha512" // SHA-384 and SHA-512 by crypto.Hash.
	"encoding/asn1"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// RSA keys outside these bounds are refused: shorter ones are weak, and a
// longer modulus in a hostile file would buy minutes of our time.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

var (
	oidRSA     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidPSS     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
	oidMGF1    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}
	oidECKey   = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	oidEd25519 = asn1.ObjectIdentifier{1, 3, 101, 112}
)

var (
	derRSA     = element(tagSequence, encodeOID(oidRSA), derNull)
	derEd25519 = element(tagSequence, encodeOID(oidEd25519))
)

// hashes lists what is accepted; SHA-1 and MD5 are left out on purpose.
var hashes = []struct {
	hash            crypto.Hash
	oid, rsa, ecdsa asn1.ObjectIdentifier
}{
	{
		crypto.SHA256, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1},
		asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2},
	},
	{
		crypto.SHA384, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2},
		asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3},
	},
	{
		crypto.SHA512, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3},
		asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4},
	},
}

// HashOID is the object identifier of SHA-256, SHA-384 or SHA-512; ok is false for any other hash.
func HashOID(h crypto.Hash) (oid asn1.ObjectIdentifier, ok bool) { return hashOID(h) }

// HashByOID is the reverse of HashOID.
func HashByOID(oid asn1.ObjectIdentifier) (h crypto.Hash, ok bool) { return hashByOID(oid) }

func hashOID(h crypto.Hash) (asn1.ObjectIdentifier, bool) {
	for _, known := range hashes {
		if known.hash == h {
			return known.oid, true
		}
	}
	return nil, false
}

func hashByOID(oid asn1.ObjectIdentifier) (crypto.Hash, bool) {
	for _, known := range hashes {
		if known.oid.Equal(oid) {
			return known.hash, true
		}
	}
	return 0, false
}

func sum(h crypto.Hash, data []byte) []byte {
	state := h.New()
	state.Write(data)
	return state.Sum(nil)
}

// HashFor is the hash that Sign expects in Request.Digest for a key: SHA-512 for Ed25519 (RFC 8419), else SHA-256.
func HashFor(public crypto.PublicKey) crypto.Hash {
	if _, ok := public.(ed25519.PublicKey); ok {
		return crypto.SHA512
	}
	return crypto.SHA256
}

// scheme is how one key signs: the hash of the content and of the attributes, and what the key is asked.
type scheme struct {
	hash      crypto.Hash
	digest    []byte // DER of the AlgorithmIdentifier of the hash.
	algorithm []byte // DER of the AlgorithmIdentifier of the signature.
	options   crypto.SignerOpts
}

func schemeFor(public crypto.PublicKey, hash crypto.Hash, pss bool) (scheme, error) {
	if err := checkKey(public); err != nil {
		return scheme{}, err
	}
	if hash == 0 {
		hash = HashFor(public)
	}
	known, ok := names[hash]
	if !ok {
		return scheme{}, fmt.Errorf("hash %d: %w", hash, ErrUnsupported)
	}
	s := scheme{hash: hash, digest: known.digest, options: hash}
	switch public.(type) {
	case *rsa.PublicKey:
		if s.algorithm = derRSA; pss {
			s.algorithm = known.pss
			s.options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
		}
		return s, nil
	case *ecdsa.PublicKey:
		if s.algorithm = known.ecdsa; !pss {
			return s, nil
		}
	case ed25519.PublicKey:
		if hash == crypto.SHA512 && !pss {
			// Ed25519 signs the attributes themselves and not their digest.
			s.algorithm, s.options = derEd25519, crypto.Hash(0)
			return s, nil
		}
	}
	if pss {
		return scheme{}, fmt.Errorf("RSA-PSS with %T: %w", public, ErrUnsupported)
	}
	return scheme{}, fmt.Errorf("%s with %T: %w", hash, public, ErrUnsupported)
}

// names are the AlgorithmIdentifiers that signatures by a hash are made with, encoded once.
var names = func() map[crypto.Hash]struct{ digest, ecdsa, pss []byte } {
	all := map[crypto.Hash]struct{ digest, ecdsa, pss []byte }{}
	for _, known := range hashes {
		all[known.hash] = struct{ digest, ecdsa, pss []byte }{
			element(tagSequence, encodeOID(known.oid)), element(tagSequence, encodeOID(known.ecdsa)), pssAlgorithm(known.hash, known.oid),
		}
	}
	return all
}()

// pssAlgorithm names RSASSA-PSS with a salt as long as the hash (RFC 4056; the parameters of RFC 4055, 3.1).
func pssAlgorithm(hash crypto.Hash, oid asn1.ObjectIdentifier) []byte {
	digest := element(tagSequence, encodeOID(oid), derNull)
	mask := element(tagSequence, encodeOID(oidMGF1), digest)
	const salt = tagContext0 + 2
	return element(tagSequence, encodeOID(oidPSS), element(tagSequence,
		element(tagContext0, digest), element(tagContext1, mask), element(salt, element(tagInteger, []byte{byte(hash.Size())})),
	))
}

// toSign is what the key is given: the digest of the attributes, or the attributes.
func (s *scheme) toSign(attributes []byte) []byte {
	if s.options.HashFunc() == 0 {
		return attributes
	}
	return sum(s.hash, attributes)
}

// verify checks a value that came from elsewhere. An elliptic value may be r and s
// side by side, as many tokens give it, and is returned as DER.
func (s *scheme) verify(public crypto.PublicKey, attributes, value []byte) ([]byte, error) {
	var named algorithm
	der := cryptobyte.String(s.algorithm)
	if !readAlgorithm(&der, &named) {
		return nil, malformed("signature algorithm")
	}
	err := verifyValue(public, named, s.hash, attributes, value)
	key, ok := public.(*ecdsa.PublicKey)
	if err == nil || !ok {
		return value, err
	}
	// Only a value that is wrong as DER is read the other way, and it must verify too.
	half := (key.Curve.Params().BitSize + 7) / 8
	if len(value) != 2*half {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(new(big.Int).SetBytes(value[:half]))
		b.AddASN1BigInt(new(big.Int).SetBytes(value[half:]))
	})
	encoded, encodeErr := b.Bytes()
	if encodeErr != nil {
		return nil, err
	}
	return encoded, verifyValue(public, named, s.hash, attributes, encoded)
}

func checkKey(public crypto.PublicKey) error {
	switch key := public.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return fmt.Errorf("RSA key of %d bits: %w", bits, ErrUnsupported)
		}
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() && key.Curve != elliptic.P384() && key.Curve != elliptic.P521() {
			return fmt.Errorf("elliptic curve %s: %w", key.Curve.Params().Name, ErrUnsupported)
		}
	case ed25519.PublicKey:
	default:
		return fmt.Errorf("key %T: %w", public, ErrUnsupported)
	}
	return nil
}

// verifyValue checks a signature value over the DER of the signed attributes.
func verifyValue(public crypto.PublicKey, algorithm algorithm, hash crypto.Hash, attributes, value []byte) error {
	if err := checkKey(public); err != nil {
		return err
	}
	digest := sum(hash, attributes)
	valid := false
	switch key := public.(type) {
	case *rsa.PublicKey:
		if algorithm.oid.Equal(oidPSS) {
			options, err := pssOptions(algorithm.parameters, hash)
			if err != nil {
				return err
			}
			valid = rsa.VerifyPSS(key, hash, digest, value, options) == nil
			break
		}
		if !algorithm.isRSA(hash) {
			return algorithm.unsupported()
		}
		valid = rsa.VerifyPKCS1v15(key, hash, digest, value) == nil
	case *ecdsa.PublicKey:
		if !algorithm.isECDSA(hash) {
			return algorithm.unsupported()
		}
		valid = ecdsa.VerifyASN1(key, digest, value)
	case ed25519.PublicKey:
		if !algorithm.oid.Equal(oidEd25519) || hash != crypto.SHA512 {
			return algorithm.unsupported()
		}
		valid = ed25519.Verify(key, attributes, value)
	}
	if !valid {
		return ErrSignature
	}
	return nil
}

// VerifySignature checks a signature over data that stands beside its AlgorithmIdentifier, as
// in certificates, revocation lists and OCSP responses (RFC 5280, 4.1.1.2; RFC 6960, 4.2.1):
// RSA with PKCS #1 v1.5 or PSS (RFC 4055) and ECDSA (RFC 5758), with SHA-256, SHA-384 or SHA-512, and
// Ed25519 (RFC 8410). Errors are [ErrMalformed], [ErrUnsupported] and [ErrSignature].
func VerifySignature(public crypto.PublicKey, identifier, data, value []byte) error {
	var named algorithm
	der := cryptobyte.String(identifier)
	if !readAlgorithm(&der, &named) || !der.Empty() {
		return malformed("signature algorithm")
	}
	hash, ok := named.hash()
	if !ok {
		return named.unsupported()
	}
	return verifyValue(public, named, hash, data, value)
}

// algorithm is a parsed AlgorithmIdentifier.
type algorithm struct {
	oid        asn1.ObjectIdentifier
	parameters cryptobyte.String
}

func (a algorithm) unsupported() error {
	return fmt.Errorf("signature algorithm %s: %w", a.oid, ErrUnsupported)
}

// hash is the one that the name of a signature algorithm holds.
func (a algorithm) hash() (crypto.Hash, bool) {
	for _, known := range hashes {
		if known.rsa.Equal(a.oid) || known.ecdsa.Equal(a.oid) {
			return known.hash, true
		}
	}
	if a.oid.Equal(oidPSS) {
		var digest algorithm
		var body, field cryptobyte.String
		parameters := a.parameters
		if parameters.ReadASN1(&body, cbasn1.SEQUENCE) && body.ReadASN1(&field, cbasn1.Tag(0).Constructed().ContextSpecific()) && readAlgorithm(&field, &digest) {
			return hashByOID(digest.oid)
		}
	}
	return crypto.SHA512, a.oid.Equal(oidEd25519) // which has it inside
}

// isRSA tells whether the name means PKCS #1 v1.5 with this hash; the bare key name leaves the hash to digestAlgorithm.
func (a algorithm) isRSA(hash crypto.Hash) bool {
	if a.oid.Equal(oidRSA) {
		return true
	}
	for _, known := range hashes {
		if known.rsa.Equal(a.oid) {
			return known.hash == hash
		}
	}
	return false
}

func (a algorithm) isECDSA(hash crypto.Hash) bool {
	if a.oid.Equal(oidECKey) {
		return true
	}
	for _, known := range hashes {
		if known.ecdsa.Equal(a.oid) {
			return known.hash == hash
		}
	}
	return false
}

func readAlgorithm(s *cryptobyte.String, out *algorithm) bool {
	var body cryptobyte.String
	if !s.ReadASN1(&body, cbasn1.SEQUENCE) || !body.ReadASN1ObjectIdentifier(&out.oid) {
		return false
	}
	out.parameters = body
	return true
}

// pssOptions reads RSASSA-PSS-params (RFC 4055) and asks that both hashes are the digest's.
func pssOptions(parameters cryptobyte.String, hash crypto.Hash) (*rsa.PSSOptions, error) {
	var body, field cryptobyte.String
	if !parameters.ReadASN1(&body, cbasn1.SEQUENCE) {
		return nil, fmt.Errorf("RSA-PSS without parameters: %w", ErrUnsupported)
	}
	var digest, mask algorithm
	if !body.ReadASN1(&field, cbasn1.Tag(0).Constructed().ContextSpecific()) || !readAlgorithm(&field, &digest) {
		return nil, fmt.Errorf("RSA-PSS with SHA-1: %w", ErrUnsupported)
	}
	if !body.ReadASN1(&field, cbasn1.Tag(1).Constructed().ContextSpecific()) || !readAlgorithm(&field, &mask) || !mask.oid.Equal(oidMGF1) {
		return nil, fmt.Errorf("RSA-PSS mask function: %w", ErrUnsupported)
	}
	var maskHash algorithm
	if !readAlgorithm(&mask.parameters, &maskHash) {
		return nil, fmt.Errorf("RSA-PSS mask function: %w", ErrUnsupported)
	}
	for _, a := range []algorithm{digest, maskHash} {
		if h, ok := hashByOID(a.oid); !ok || h != hash {
			return nil, fmt.Errorf("RSA-PSS with mixed hashes: %w", ErrUnsupported)
		}
	}
	salt := 20
	if body.ReadOptionalASN1(&field, new(bool), cbasn1.Tag(2).Constructed().ContextSpecific()) && len(field) > 0 {
		if !field.ReadASN1Integer(&salt) || salt < 0 || salt > maxRSABits/8 {
			return nil, fmt.Errorf("RSA-PSS salt: %w", ErrMalformed)
		}
	}
	if salt == 0 {
		// rsa.VerifyPSS reads zero as "any length", which would accept what the parameters forbid.
		return nil, fmt.Errorf("RSA-PSS without salt: %w", ErrUnsupported)
	}
	return &rsa.PSSOptions{SaltLength: salt, Hash: hash}, nil
}
