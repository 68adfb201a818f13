package cms_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/sign/cms"
	"signbus.dev/pkg/sign/signtest"
)

func begin(t testing.TB, public crypto.PublicKey, chain []*x509.Certificate, change ...func(*cms.Request)) *cms.Pending {
	t.Helper()
	request := cms.Request{Digest: hashed(cms.HashFor(public), content), Chain: chain, Now: signtest.Clock}
	for _, f := range change {
		f(&request)
	}
	pending, err := cms.Begin(request)
	require.NoError(t, err)
	return pending
}

// restart keeps a pending signature and reads it in what could be another process.
func restart(t testing.TB, pending *cms.Pending) *cms.Pending {
	t.Helper()
	kept, err := pending.MarshalBinary()
	require.NoError(t, err)
	again, err := cms.UnmarshalPending(kept)
	require.NoError(t, err)
	again.Now = signtest.Clock
	return again
}

func withPSS(r *cms.Request) { r.PSS = true }

func TestTwoPhasesGiveWhatOpenSSLAccepts(t *testing.T) {
	t.Parallel()
	root := signtest.NewAuthority()
	for _, test := range []struct {
		kind   string
		change []func(*cms.Request)
	}{
		{"RSA-2048", nil},
		{"RSA-3072", []func(*cms.Request){withPSS}},
		{"P-256", nil},
		{"P-384", []func(*cms.Request){withHash(crypto.SHA384)}},
		{"P-521", []func(*cms.Request){withHash(crypto.SHA512), func(r *cms.Request) { r.SigningTime = now }}},
		{"Ed25519", nil},
	} {
		t.Run(test.kind, func(t *testing.T) {
			t.Parallel()
			key := signtest.Key(test.kind)
			chain := root.Issue(key.Public())
			pending := restart(t, begin(t, key.Public(), chain, test.change...))
			message, options := pending.ToSign()
			value, err := key.Sign(rand.Reader, message, options)
			require.NoError(t, err)
			der, err := pending.Complete(t.Context(), value, stamper(t, root, now).Timestamp)
			require.NoError(t, err)
			info, err := cms.Verify(der, digestOf(content), root.Roots, now)
			require.NoError(t, err)
			require.NotNil(t, info.Timestamp)
			kept, err := cms.SignatureValue(der)
			require.NoError(t, err)
			require.Equal(t, value, kept)
			if test.kind == "Ed25519" { // OpenSSL 3.0 does not verify it in CMS.
				return
			}
			require.Contains(t, opensslVerify(t, root, der, content), "CAdES Verification successful")
		})
	}
}

func opensslVerify(t testing.TB, root *signtest.Authority, der, content []byte) string {
	t.Helper()
	return signtest.OpenSSL(t, "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", signtest.Write(t, "signature.p7s", der),
		"-content", signtest.Write(t, "content", content), "-CAfile", signtest.WriteCertificates(t, root.Certificate), "-out", "/dev/null")
}

func TestCompleteTakesEllipticValuesSideBySide(t *testing.T) {
	t.Parallel()
	root := signtest.NewAuthority()
	for _, kind := range []string{"P-256", "P-384", "P-521"} {
		key := signtest.Key(kind).(*ecdsa.PrivateKey)
		pending := begin(t, key.Public(), root.Issue(key.Public()))
		message, options := pending.ToSign()
		value, err := key.Sign(rand.Reader, message, options)
		require.NoError(t, err)
		var parts struct{ R, S *big.Int }
		_, err = asn1.Unmarshal(value, &parts)
		require.NoError(t, err)
		half := (key.Curve.Params().BitSize + 7) / 8
		raw := make([]byte, 2*half)
		parts.R.FillBytes(raw[:half])
		parts.S.FillBytes(raw[half:])
		der, err := pending.Complete(t.Context(), raw, nil)
		require.NoError(t, err)
		require.Contains(t, opensslVerify(t, root, der, content), "CAdES Verification successful")
		raw[half]++
		_, err = pending.Complete(t.Context(), raw, nil)
		require.ErrorIs(t, err, cms.ErrSignature)
	}
}

func TestCompleteRefuses(t *testing.T) {
	t.Parallel()
	root := signtest.NewAuthority()
	for _, kind := range []string{"P-256", "RSA-2048", "Ed25519"} {
		key := signtest.Key(kind)
		chain := root.Issue(key.Public())
		pending := begin(t, key.Public(), chain)
		message, options := pending.ToSign()
		value, err := key.Sign(rand.Reader, message, options)
		require.NoError(t, err)

		wrong := append([]byte{}, value...)
		wrong[len(wrong)-1] ^= 1
		for name, other := range map[string][]byte{"changed": wrong, "cut": value[:len(value)-1], "nothing": nil, "noise": make([]byte, 64)} {
			der, err := pending.Complete(t.Context(), other, nil)
			require.ErrorIs(t, err, cms.ErrSignature, "%s %s", kind, name)
			require.Nil(t, der)
		}
		_, err = pending.Complete(t.Context(), value, func(context.Context, []byte) ([]byte, error) { return []byte("noise"), nil })
		require.ErrorIs(t, err, cms.ErrTimestamp)

		late := restart(t, pending)
		late.Now = func() time.Time { return now.Add(25 * time.Hour) }
		_, err = late.Complete(t.Context(), value, nil)
		require.ErrorIs(t, err, cms.ErrExpired)
		_, err = pending.Complete(t.Context(), value, nil)
		require.NoError(t, err)
	}
	// A value of RSASSA-PSS is none of PKCS #1 v1.5.
	key := signtest.Key("RSA-2048")
	pending := begin(t, key.Public(), root.Issue(key.Public()))
	message, _ := pending.ToSign()
	value, err := key.Sign(rand.Reader, message, &rsa.PSSOptions{SaltLength: 32, Hash: crypto.SHA256})
	require.NoError(t, err)
	_, err = pending.Complete(t.Context(), value, nil)
	require.ErrorIs(t, err, cms.ErrSignature)
}

func TestBeginRefuses(t *testing.T) {
	t.Parallel()
	root, key := signtest.NewAuthority(), signtest.Key("P-256")
	chain := root.Issue(key.Public())
	for name, test := range map[string]struct {
		change func(*cms.Request)
		want   error
	}{
		"no certificate":    {func(r *cms.Request) { r.Chain = nil }, cms.ErrKeyMismatch},
		"expired":           {func(r *cms.Request) { r.Now = func() time.Time { return now.Add(25 * time.Hour) } }, cms.ErrExpired},
		"not yet valid":     {func(r *cms.Request) { r.Now = func() time.Time { return now.Add(-25 * time.Hour) } }, cms.ErrNotYetValid},
		"digest of SHA-512": {func(r *cms.Request) { r.Digest = hashed(crypto.SHA512, content) }, cms.ErrUnsupported},
		"PSS without RSA":   {withPSS, cms.ErrUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			request := cms.Request{Digest: hashed(crypto.SHA256, content), Chain: chain, Now: signtest.Clock}
			test.change(&request)
			pending, err := cms.Begin(request)
			require.ErrorIs(t, err, test.want)
			require.Nil(t, pending)
		})
	}
}

// A kept signature that was cut or changed is refused, or asks the key for the same or for nothing that verifies.
func TestUnmarshalPendingRefuses(t *testing.T) {
	t.Parallel()
	root, key := signtest.NewAuthority(), signtest.Key("P-256")
	chain := root.Issue(key.Public())
	kept, err := begin(t, key.Public(), chain).MarshalBinary()
	require.NoError(t, err)
	for i := range kept {
		_, err := cms.UnmarshalPending(kept[:i])
		require.ErrorIs(t, err, cms.ErrMalformed, "cut at %d", i)
	}
	_, err = cms.UnmarshalPending(append(kept, 0))
	require.ErrorIs(t, err, cms.ErrMalformed)

	// Another certificate of the same key is not what the attributes name.
	swapped := swapCertificate(t, root, key, chain[0], kept)
	_, err = cms.UnmarshalPending(swapped)
	require.ErrorIs(t, err, cms.ErrSigningCertificate)
}

func TestOpenSSLAcceptsPSS(t *testing.T) {
	t.Parallel()
	root := signtest.NewAuthority()
	for _, test := range []struct {
		kind string
		hash crypto.Hash
	}{{"RSA-2048", crypto.SHA256}, {"RSA-3072", crypto.SHA384}, {"RSA-4096", crypto.SHA512}} {
		t.Run(fmt.Sprintf("%s %s", test.kind, test.hash), func(t *testing.T) {
			t.Parallel()
			key := signtest.Key(test.kind)
			der := sign(t, key, root.Issue(key.Public()), withHash(test.hash), withPSS)
			require.Contains(t, opensslVerify(t, root, der, content), "CAdES Verification successful")
			printed := signtest.OpenSSL(t, "cms", "-cmsout", "-print", "-inform", "DER", "-in", signtest.Write(t, "signature.p7s", der))
			require.Regexp(t, `signatureAlgorithm:\s+algorithm: rsassaPss`, printed)
			_, err := cms.Verify(der, digestOf(content), root.Roots, now)
			require.NoError(t, err)
		})
	}
}

func TestCertificatesAreThoseOfTheTokenToo(t *testing.T) {
	t.Parallel()
	root, key := signtest.NewAuthority(), signtest.Key("P-256")
	chain := root.Issue(key.Public())
	plain, err := cms.Certificates(sign(t, key, chain))
	require.NoError(t, err)
	require.ElementsMatch(t, chain, plain)

	authorityOf := stamper(t, root, now)
	all, err := cms.Certificates(sign(t, key, chain, stamped(authorityOf)))
	require.NoError(t, err)
	require.Len(t, all, 3)
	token, err := authorityOf.Timestamp(t.Context(), content)
	require.NoError(t, err)
	authority, err := cms.Certificates(token)
	require.NoError(t, err)
	require.Subset(t, all, authority)

	_, err = cms.Certificates(content)
	require.ErrorIs(t, err, cms.ErrMalformed)
	_, err = cms.SignatureValue(content)
	require.ErrorIs(t, err, cms.ErrMalformed)
}
