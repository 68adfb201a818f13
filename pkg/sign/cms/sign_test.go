package cms_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/sign/cms"
	"signbus.dev/pkg/sign/signtest"
)

var content = []byte("the signed bytes of a contract\r\nwith two lines\n")

// sign makes a signature over content with the key's default hash.
func sign(t testing.TB, key crypto.Signer, chain []*x509.Certificate, change ...func(*cms.Request)) []byte {
	t.Helper()
	request := cms.Request{Digest: hashed(cms.HashFor(key.Public()), content), Signer: key, Chain: chain, Now: signtest.Clock}
	for _, f := range change {
		f(&request)
	}
	der, err := cms.Sign(t.Context(), request)
	require.NoError(t, err)
	return der
}

func withHash(h crypto.Hash) func(*cms.Request) {
	return func(r *cms.Request) { r.Hash, r.Digest = h, hashed(h, content) }
}

func TestOpenSSLAcceptsEveryKeyType(t *testing.T) {
	t.Parallel()
	root := signtest.NewAuthority()
	for _, test := range []struct {
		kind string
		hash crypto.Hash
	}{
		{"RSA-2048", crypto.SHA256}, {"RSA-3072", crypto.SHA512}, {"RSA-4096", crypto.SHA256},
		{"P-256", crypto.SHA256}, {"P-256", crypto.SHA512}, {"P-384", crypto.SHA256}, {"P-384", crypto.SHA384}, {"P-521", crypto.SHA512},
	} {
		t.Run(fmt.Sprintf("%s %s", test.kind, test.hash), func(t *testing.T) {
			t.Parallel()
			key := signtest.Key(test.kind)
			chain := root.Issue(key.Public())
			der := sign(t, key, chain, withHash(test.hash))
			output := signtest.OpenSSL(t, "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", signtest.Write(t, "signature.p7s", der),
				"-content", signtest.Write(t, "content", content), "-CAfile", signtest.WriteCertificates(t, root.Certificate), "-out", "/dev/null")
			require.Contains(t, output, "CAdES Verification successful")

			info, err := cms.Verify(der, digestOf(content), root.Roots, now)
			require.NoError(t, err)
			require.True(t, info.Certificate.Equal(chain[0]))
			require.Len(t, info.Chain, 2)
			require.True(t, info.HasSigningCertificateV2)
			require.Equal(t, test.hash, info.DigestAlgorithm)
			require.True(t, info.SigningTime.IsZero())
			require.Nil(t, info.Timestamp)
		})
	}
}

func TestOpenSSLRefusesOtherContent(t *testing.T) {
	t.Parallel()
	root, key := signtest.NewAuthority(), signtest.Key("P-256")
	der := sign(t, key, root.Issue(key.Public()))
	arguments := []string{
		"cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", signtest.Write(t, "signature.p7s", der),
		"-content", signtest.Write(t, "content", append([]byte{'x'}, content...)), "-CAfile", signtest.WriteCertificates(t, root.Certificate), "-out", "/dev/null",
	}
	require.Contains(t, opensslFails(t, arguments...), "CAdES Verification failure")
}

// OpenSSL 3.0 does not verify Ed25519 in CMS, so that it judges the signature
// value over the signed attributes, and the structure by printing it.
func TestEd25519FollowsRFC8419(t *testing.T) {
	t.Parallel()
	root, key := signtest.NewAuthority(), signtest.Key("Ed25519")
	chain := root.Issue(key.Public())
	spy := &spySigner{Signer: key}
	der := sign(t, spy, chain)
	info, err := cms.Verify(der, digestOf(content), root.Roots, now)
	require.NoError(t, err)
	require.Equal(t, crypto.SHA512, info.DigestAlgorithm)

	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	require.Contains(t, signtest.OpenSSL(t, "pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER", "-inkey", signtest.Write(t, "key.der", spki),
		"-in", signtest.Write(t, "attributes", spy.message), "-sigfile", signtest.Write(t, "value", spy.value)), "Verified Successfully")
	printed := signtest.OpenSSL(t, "cms", "-cmsout", "-print", "-inform", "DER", "-in", signtest.Write(t, "signature.p7s", der))
	require.Regexp(t, `signatureAlgorithm:\s+algorithm: ED25519 \(1\.3\.101\.112\)\s+parameter: <ABSENT>`, printed)
	require.Regexp(t, `digestAlgorithm:\s+algorithm: sha512`, printed)

	_, err = cms.Sign(t.Context(), cms.Request{Digest: hashed(crypto.SHA256, content), Hash: crypto.SHA256, Signer: key, Chain: chain, Now: signtest.Clock})
	require.ErrorIs(t, err, cms.ErrUnsupported)
}

type spySigner struct {
	crypto.Signer

	message, value []byte
}

func (s *spySigner) Sign(random io.Reader, message []byte, options crypto.SignerOpts) ([]byte, error) {
	value, err := s.Signer.Sign(random, message, options)
	s.message, s.value = message, value
	return value, err
}

func TestSignedAttributesAreThoseOfPAdES(t *testing.T) {
	t.Parallel()
	root, key := signtest.NewAuthority(), signtest.Key("P-256")
	chain := root.Issue(key.Public())
	names := func(der []byte) string {
		return signtest.OpenSSL(t, "cms", "-cmsout", "-print", "-inform", "DER", "-in", signtest.Write(t, "signature.p7s", der))
	}
	printed := names(sign(t, key, chain))
	require.Regexp(t, `(?s)signedAttrs:.*contentType.*id-smime-aa-signingCertificateV2.*messageDigest.*|(?s)signedAttrs:.*contentType.*messageDigest.*id-smime-aa-signingCertificateV2`, printed)
	require.NotContains(t, printed, "signingTime")
	require.Regexp(t, `unsignedAttrs:\s+<ABSENT>`, printed)

	der := sign(t, key, chain, func(r *cms.Request) { r.SigningTime = now })
	require.Contains(t, names(der), "signingTime")
	info, err := cms.Verify(der, digestOf(content), root.Roots, now)
	require.NoError(t, err)
	require.Equal(t, now, info.SigningTime)

	late := time.Date(2051, 2, 3, 4, 5, 6, 0, time.UTC)
	info, err = cms.Verify(sign(t, key, chain, func(r *cms.Request) { r.SigningTime = late }), digestOf(content), root.Roots, now)
	require.NoError(t, err)
	require.Equal(t, late, info.SigningTime)
}

func TestSignRefuses(t *testing.T) {
	t.Parallel()
	root, key := signtest.NewAuthority(), signtest.Key("P-256")
	chain := root.Issue(key.Public())
	unavailable := errors.New("authority is down")
	weak := func(kind string) func(*cms.Request) {
		return func(r *cms.Request) { r.Signer = signtest.Key(kind); r.Chain = root.Issue(r.Signer.Public()) }
	}
	for name, test := range map[string]struct {
		change func(*cms.Request)
		want   error
	}{
		"no certificate":    {func(r *cms.Request) { r.Chain = nil }, cms.ErrKeyMismatch},
		"no key":            {func(r *cms.Request) { r.Signer = nil }, cms.ErrKeyMismatch},
		"key of another":    {func(r *cms.Request) { r.Signer = signtest.Key("P-256") }, cms.ErrKeyMismatch},
		"key of other kind": {func(r *cms.Request) { r.Signer = signtest.Key("RSA-2048") }, cms.ErrKeyMismatch},
		"expired":           {func(r *cms.Request) { r.Now = func() time.Time { return now.Add(25 * time.Hour) } }, cms.ErrExpired},
		"not yet valid":     {func(r *cms.Request) { r.Now = func() time.Time { return now.Add(-25 * time.Hour) } }, cms.ErrNotYetValid},
		"digest of SHA-512": {func(r *cms.Request) { r.Digest = hashed(crypto.SHA512, content) }, cms.ErrUnsupported},
		"no digest":         {func(r *cms.Request) { r.Digest = nil }, cms.ErrUnsupported},
		"SHA-1":             {func(r *cms.Request) { r.Hash = crypto.SHA1; r.Digest = make([]byte, 20) }, cms.ErrUnsupported},
		"RSA of 1024 bits":  {weak("RSA-1024"), cms.ErrUnsupported},
		"P-224":             {weak("P-224"), cms.ErrUnsupported},
		"certificate of a CA": {func(r *cms.Request) {
			authority := signtest.NewAuthority(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign })
			r.Signer, r.Chain = authority.Key, []*x509.Certificate{authority.Certificate}
		}, cms.ErrUnsupported},
		"certificate of a server": {func(r *cms.Request) {
			r.Chain = root.Issue(key.Public(), func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
		}, cms.ErrUnsupported},
		"certificate for time-stamps": {func(r *cms.Request) { r.Chain = root.Issue(key.Public(), signtest.ForTimestamps(true)) }, cms.ErrUnsupported},
		"no time-stamp": {func(r *cms.Request) {
			r.Timestamp = func(context.Context, []byte) ([]byte, error) { return nil, unavailable }
		}, unavailable},
		"time-stamp is noise": {func(r *cms.Request) {
			r.Timestamp = func(context.Context, []byte) ([]byte, error) { return []byte("noise"), nil }
		}, cms.ErrTimestamp},
		"time-stamp is a signature": {func(r *cms.Request) {
			other := sign(t, key, chain)
			r.Timestamp = func(context.Context, []byte) ([]byte, error) { return other, nil }
		}, cms.ErrTimestamp},
	} {
		t.Run(name, func(t *testing.T) {
			request := cms.Request{Digest: hashed(crypto.SHA256, content), Signer: key, Chain: chain, Now: signtest.Clock}
			test.change(&request)
			der, err := cms.Sign(t.Context(), request)
			require.ErrorIs(t, err, test.want)
			require.Nil(t, der)
		})
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := cms.Sign(cancelled, cms.Request{Digest: hashed(crypto.SHA256, content), Signer: key, Chain: chain, Now: signtest.Clock})
	require.ErrorIs(t, err, context.Canceled)
}

func TestSizeIsEnoughAndNotWasteful(t *testing.T) {
	t.Parallel()
	root := signtest.NewAuthority()
	for _, kind := range []string{"RSA-2048", "RSA-4096", "P-256", "P-384", "P-521", "Ed25519"} {
		key := signtest.Key(kind)
		chain := root.Issue(key.Public())
		der := sign(t, key, chain, func(r *cms.Request) { r.SigningTime = now })
		size := cms.Size(chain, false)
		require.LessOrEqual(t, len(der), size, kind)
		require.Less(t, size-len(der), 1024, kind)
	}
}

func BenchmarkSign(b *testing.B) {
	root := signtest.NewAuthority()
	for _, kind := range []string{"P-256", "RSA-2048"} {
		b.Run(kind, func(b *testing.B) {
			key := signtest.Key(kind)
			request := cms.Request{Digest: hashed(crypto.SHA256, content), Signer: key, Chain: root.Issue(key.Public()), Now: signtest.Clock}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := cms.Sign(b.Context(), request); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(kind+" key operation alone", func(b *testing.B) {
			key, digest := signtest.Key(kind), hashed(crypto.SHA256, content)
			random := rand.Reader
			b.ReportAllocs()
			for b.Loop() {
				if _, err := key.Sign(random, digest, crypto.SHA256); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Those who sign documents have certificates for many things, but not only for others.
func TestExtendedKeyUsage(t *testing.T) {
	t.Parallel()
	documents := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 36} // RFC 9336
	server, mail := x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageEmailProtection
	for name, c := range map[string]struct {
		known   []x509.ExtKeyUsage
		unknown []asn1.ObjectIdentifier
		allowed bool
	}{
		"none": {nil, nil, true}, "mail": {[]x509.ExtKeyUsage{mail}, nil, true}, "documents": {nil, []asn1.ObjectIdentifier{documents}, true},
		"a server and mail": {[]x509.ExtKeyUsage{server, mail}, nil, true}, "a server": {[]x509.ExtKeyUsage{server}, nil, false},
		"revocation": {[]x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}, nil, false},
	} {
		certificate := signtest.SelfSigned(signtest.Key("P-256"), func(t *x509.Certificate) { t.ExtKeyUsage, t.UnknownExtKeyUsage = c.known, c.unknown })
		require.Equal(t, c.allowed, cms.CheckUsage(certificate) == nil, name)
	}
}
