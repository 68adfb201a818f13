package cms_test

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/sign/cms"
	"signbus.dev/pkg/sign/signtest"
)

func TestVerifyAcceptsOpenSSL(t *testing.T) {
	t.Parallel()
	root := signtest.NewAuthority()
	for name, test := range map[string]struct {
		kind      string
		arguments []string
		v2        bool
	}{
		"EC":                   {"P-256", []string{"-cades", "-md", "sha256"}, true},
		"EC P-521":             {"P-521", []string{"-cades", "-md", "sha512"}, true},
		"RSA":                  {"RSA-2048", []string{"-cades", "-md", "sha384"}, true},
		"RSA-PSS":              {"RSA-2048", []string{"-cades", "-md", "sha256", "-keyopt", "rsa_padding_mode:pss"}, true},
		"RSA-PSS short salt":   {"RSA-2048", []string{"-cades", "-md", "sha256", "-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:20"}, true},
		"key identifier":       {"P-256", []string{"-cades", "-md", "sha256", "-keyid"}, true},
		"no signing attribute": {"P-256", []string{"-md", "sha256"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := signtest.Key(test.kind)
			chain := root.Issue(key.Public(), func(c *x509.Certificate) { c.SubjectKeyId = []byte{1, 2, 3} })
			out := signtest.Write(t, "signature.p7s", nil)
			signtest.OpenSSL(t, append([]string{
				"cms", "-sign", "-binary", "-outform", "DER", "-in", signtest.Write(t, "content", content), "-out", out,
				"-signer", signtest.WriteCertificates(t, chain[0]), "-inkey", signtest.WriteKey(t, key),
			}, test.arguments...)...)
			info, err := cms.Verify(read(t, out), digestOf(content), root.Roots, now)
			require.NoError(t, err)
			require.Equal(t, test.v2, info.HasSigningCertificateV2)
			require.WithinDuration(t, time.Now(), info.SigningTime, time.Hour)
			_, err = cms.Verify(read(t, out), digestOf([]byte("other")), root.Roots, now)
			require.ErrorIs(t, err, cms.ErrDigestMismatch)
		})
	}
}

// Older software writes BER with open lengths; OpenSSL makes such a file when it streams a
// message with its content, and the content is then checked to come through whole.
func TestVerifyReadsOpenLengths(t *testing.T) {
	t.Parallel()
	root, key := signtest.NewAuthority(), signtest.Key("P-256")
	der := sign(t, key, root.Issue(key.Public()))
	// The outermost three levels in open lengths: ContentInfo, [0], SignedData.
	body := der
	var heads [][]byte
	for range 3 {
		head := 4 // Tag, 0x82, two bytes of length.
		require.Equal(t, byte(0x82), body[1])
		heads = append(heads, body[:1])
		body = body[head:]
		if len(heads) == 1 {
			oid := body[:11] // The content type comes before [0].
			heads[0] = append(append([]byte{body[0]}[:0], 0x30, 0x80), oid...)
			body = body[11:]
		}
	}
	ber := append([]byte{}, heads[0]...)
	ber = append(append(ber, heads[1][0], 0x80), append([]byte{heads[2][0], 0x80}, body...)...)
	ber = append(ber, make([]byte, 6)...)
	signtest.OpenSSL(t, "cms", "-cmsout", "-inform", "DER", "-in", signtest.Write(t, "open.p7s", ber), "-out", "/dev/null")
	for _, padding := range []int{0, 1, 100} {
		_, err := cms.Verify(append(bytes.Clone(ber), make([]byte, padding)...), digestOf(content), root.Roots, now)
		require.NoError(t, err)
	}
	// The same with a length that is given and open lengths inside.
	inner := append([]byte{0xa0, 0x80, 0x30, 0x80}, body...)
	inner = append(append(append([]byte{}, ber[2:13]...), inner...), 0, 0, 0, 0)
	mixed := append([]byte{0x30, 0x82, byte(len(inner) >> 8), byte(len(inner))}, inner...)
	_, err := cms.Verify(mixed, digestOf(content), root.Roots, now)
	require.NoError(t, err)
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	root, key := signtest.NewAuthority(), signtest.Key("P-256")
	chain := root.Issue(key.Public())
	der := sign(t, key, chain)
	digest := hashed(crypto.SHA256, content)
	fingerprint := sha256.Sum256(chain[0].Raw)
	flip := func(at int) []byte {
		out := bytes.Clone(der)
		out[at] ^= 1
		return out
	}
	other := []byte("another contract")
	replaced := bytes.Replace(der, digest, hashed(crypto.SHA256, other), 1)
	attached, err := cms.SignContent(t.Context(), cms.Request{Signer: key, Chain: chain, Now: signtest.Clock}, cms.Content{Type: []int{1, 2, 840, 113549, 1, 7, 1}, Bytes: content})
	require.NoError(t, err)
	for name, test := range map[string]struct {
		der     []byte
		content []byte
		want    error
	}{
		"other content":                   {der, other, cms.ErrDigestMismatch},
		"no content":                      {der, nil, cms.ErrDigestMismatch},
		"other content and its digest":    {replaced, other, cms.ErrSignature},
		"other certificate in attributes": {flip(bytes.Index(der, fingerprint[:]) + 3), content, cms.ErrSignature},
		"changed signature value":         {flip(len(der) - 1), content, cms.ErrSignature},
		"certificate with the same name":  {swapCertificate(t, root, key, chain[0], der), content, cms.ErrSigningCertificate},
		"no signer's certificate":         {flip(bytes.Index(der, chain[0].Raw) + bytes.Index(chain[0].Raw, chain[0].SerialNumber.Bytes())), content, cms.ErrNoCertificate},
		"attached":                        {attached, content, cms.ErrMalformed},
		"bytes after it":                  {append(bytes.Clone(der), 0, 0, 1), content, cms.ErrMalformed},
		"nothing":                         {nil, content, cms.ErrMalformed},
		"zero bytes":                      {make([]byte, 100), content, cms.ErrMalformed},
		"too long":                        {append(bytes.Clone(der), make([]byte, cms.MaxSize)...), content, cms.ErrMalformed},
		"nested without end":              {bytes.Repeat([]byte{0x30, 0x80}, 1<<20), content, cms.ErrMalformed},
		"a certificate":                   {chain[0].Raw, content, cms.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			info, err := cms.Verify(test.der, digestOf(test.content), root.Roots, now)
			require.ErrorIs(t, err, test.want)
			require.Nil(t, info)
		})
	}
	unreadable := errors.New("disk is gone")
	_, err = cms.Verify(der, func(crypto.Hash) ([]byte, error) { return nil, unreadable }, root.Roots, now)
	require.ErrorIs(t, err, unreadable)
}

// Every changed byte and every shortened message is refused, or leaves what was signed as it was.
func TestVerifyNoticesEveryChangedByte(t *testing.T) {
	t.Parallel()
	root, key := signtest.NewAuthority(), signtest.Key("P-256")
	chain := root.Issue(key.Public())
	der := sign(t, key, chain)
	accepted := 0
	for i := range der {
		changed := bytes.Clone(der)
		changed[i] ^= 0x41
		if info, err := cms.Verify(changed, digestOf(content), root.Roots, now); err == nil {
			accepted++
			require.True(t, info.Certificate.Equal(chain[0]), "byte %d", i)
		}
		_, err := cms.Verify(der[:i], digestOf(content), root.Roots, now)
		require.Error(t, err, "cut at %d", i)
	}
	// What no signature covers: the root's copy, versions and the first list of digest algorithms.
	require.Less(t, accepted, len(root.Certificate.Raw)+40)
}

func TestVerifyTrust(t *testing.T) {
	t.Parallel()
	root, stranger, key := signtest.NewAuthority(), signtest.NewAuthority(), signtest.Key("P-256")
	chain := root.Issue(key.Public())
	der := sign(t, key, chain)
	for name, test := range map[string]struct {
		roots *x509.CertPool
		at    time.Time
	}{
		"another root":           {stranger.Roots, now},
		"no roots":               {nil, now},
		"after the certificate":  {root.Roots, now.Add(48 * time.Hour)},
		"before the certificate": {root.Roots, now.Add(-48 * time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			info, err := cms.Verify(der, digestOf(content), test.roots, test.at)
			require.ErrorIs(t, err, cms.ErrUntrusted)
			require.NotErrorIs(t, err, cms.ErrTimestamp)
			require.True(t, info.Certificate.Equal(chain[0]))
			require.Len(t, info.Chain, 2)
		})
	}
	_, err := cms.Verify(der, digestOf(content), root.Roots, time.Time{})
	require.NoError(t, err)
}

func TestVerifyRefusesWeakAlgorithms(t *testing.T) {
	t.Parallel()
	root := signtest.NewAuthority()
	for name, test := range map[string]struct {
		kind      string
		arguments []string
		want      error
	}{
		"SHA-1":              {"RSA-2048", []string{"-md", "sha1"}, cms.ErrUnsupported},
		"MD5":                {"RSA-2048", []string{"-md", "md5"}, cms.ErrUnsupported},
		"RSA of 1024 bits":   {"RSA-1024", []string{"-md", "sha256"}, cms.ErrUnsupported},
		"P-224":              {"P-224", []string{"-md", "sha256"}, cms.ErrUnsupported},
		"no attributes":      {"RSA-2048", []string{"-md", "sha256", "-noattr"}, cms.ErrMalformed},
		"no certificate":     {"RSA-2048", []string{"-md", "sha256", "-nocerts"}, cms.ErrNoCertificate},
		"PSS without a salt": {"RSA-2048", []string{"-md", "sha256", "-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:0"}, cms.ErrUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := signtest.Key(test.kind)
			chain := root.Issue(key.Public())
			out := signtest.Write(t, "signature.p7s", nil)
			signtest.OpenSSL(t, append([]string{
				"cms", "-sign", "-binary", "-outform", "DER", "-in", signtest.Write(t, "content", content), "-out", out,
				"-signer", signtest.WriteCertificates(t, chain[0]), "-inkey", signtest.WriteKey(t, key),
			}, test.arguments...)...)
			_, err := cms.Verify(read(t, out), digestOf(content), root.Roots, now)
			require.ErrorIs(t, err, test.want)
		})
	}
	first, second := signtest.Key("P-256"), signtest.Key("P-256")
	one, two := root.Issue(first.Public()), root.Issue(second.Public())
	out := signtest.Write(t, "two.p7s", nil)
	signtest.OpenSSL(t, "cms", "-sign", "-binary", "-outform", "DER", "-in", signtest.Write(t, "content", content), "-out", out,
		"-signer", signtest.WriteCertificates(t, one[0]), "-inkey", signtest.WriteKey(t, first),
		"-signer", signtest.WriteCertificates(t, two[0]), "-inkey", signtest.WriteKey(t, second))
	_, err := cms.Verify(read(t, out), digestOf(content), root.Roots, now)
	require.ErrorIs(t, err, cms.ErrMalformed)
}

// swapCertificate puts another certificate of the same key, issuer and number into a signature.
func swapCertificate(t *testing.T, root *signtest.Authority, key crypto.Signer, original *x509.Certificate, der []byte) []byte {
	t.Helper()
	for range 1000 { // The length of an ECDSA signature varies.
		swapped := root.Issue(key.Public(), signtest.Named("Carl"), func(c *x509.Certificate) { c.SerialNumber = original.SerialNumber })[0]
		if len(swapped.Raw) == len(original.Raw) {
			return bytes.Replace(der, original.Raw, swapped.Raw, 1)
		}
	}
	require.Fail(t, "no certificate of the same length")
	return nil
}

// Other software names the hash in the RSA signature algorithm; it must be the digest's.
func TestVerifyReadsBothNamesOfRSA(t *testing.T) {
	t.Parallel()
	root, key := signtest.NewAuthority(), signtest.Key("RSA-2048")
	der := sign(t, key, root.Issue(key.Public()))
	name := []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1}
	last := bytes.LastIndex(der, name) + len(name) - 1
	for suffix, want := range map[byte]error{11: nil, 12: cms.ErrUnsupported, 5: cms.ErrUnsupported} {
		named := bytes.Clone(der)
		named[last] = suffix
		_, err := cms.Verify(named, digestOf(content), root.Roots, now)
		require.ErrorIs(t, err, want)
	}
}

// Certificates have signatures by every algorithm beside its identifier.
func TestVerifySignature(t *testing.T) {
	t.Parallel()
	for algorithm, kind := range map[x509.SignatureAlgorithm]string{
		x509.SHA256WithRSA: "RSA-2048", x509.SHA512WithRSA: "RSA-2048", x509.SHA256WithRSAPSS: "RSA-2048", x509.SHA384WithRSAPSS: "RSA-3072",
		x509.ECDSAWithSHA256: "P-256", x509.ECDSAWithSHA384: "P-384", x509.ECDSAWithSHA512: "P-521", x509.PureEd25519: "Ed25519",
	} {
		t.Run(algorithm.String(), func(t *testing.T) {
			t.Parallel()
			key := signtest.Key(kind)
			var signed struct {
				Data, Algorithm asn1.RawValue
				Value           asn1.BitString
			}
			_, err := asn1.Unmarshal(signtest.SelfSigned(key, func(c *x509.Certificate) { c.SignatureAlgorithm = algorithm }).Raw, &signed)
			require.NoError(t, err)
			verify := func(public crypto.PublicKey, identifier []byte) error {
				return cms.VerifySignature(public, identifier, signed.Data.FullBytes, signed.Value.Bytes)
			}
			require.NoError(t, verify(key.Public(), signed.Algorithm.FullBytes))
			signed.Data.FullBytes[len(signed.Data.FullBytes)-1] ^= 1
			require.ErrorIs(t, verify(key.Public(), signed.Algorithm.FullBytes), cms.ErrSignature)
			for _, other := range []string{"RSA-2048", "P-256", "Ed25519"} {
				require.Error(t, verify(signtest.Key(other).Public(), signed.Algorithm.FullBytes), other)
			}
			sha1 := []byte{0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5, 5, 0} // sha1WithRSAEncryption
			require.ErrorIs(t, verify(key.Public(), sha1), cms.ErrUnsupported)
			require.ErrorIs(t, verify(key.Public(), signed.Algorithm.FullBytes[1:]), cms.ErrMalformed)
			require.ErrorIs(t, verify(key.Public(), append(signed.Algorithm.FullBytes, 0)), cms.ErrMalformed)
		})
	}
}
