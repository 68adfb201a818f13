package cades_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/sign/cades"
	"signbus.dev/pkg/sign/cms"
	"signbus.dev/pkg/sign/signtest"
)

// Every key type, level, shape and number of signers meets every other at least once. OpenSSL 3.0
// does not verify Ed25519 in CMS, so that such a key signs alone here; Bouncy Castle judges it in e2e/sign.
func TestEveryCombinationIsAcceptedByOpenSSL(t *testing.T) {
	t.Parallel()
	c := newCircle(t)
	kinds := []string{"RSA-2048", "RSA-2048 PSS", "RSA-3072", "RSA-4096", "P-256", "P-384", "P-521"}
	levels := []cades.Level{cades.LevelBB, cades.LevelBT, cades.LevelBLT}
	for k, kind := range append(kinds, "Ed25519") {
		for l, level := range levels {
			for d, detached := range []bool{false, true} {
				signers := (k+l+d)%3 + 1
				if kind == "Ed25519" {
					signers = 1
				}
				t.Run(fmt.Sprintf("%s %s detached %t %d signers", kind, level, detached, signers), func(t *testing.T) {
					t.Parallel()
					m := cades.New(source(content), detached)
					for i := range signers {
						own := kind
						if i > 0 {
							own = kinds[(k+i)%len(kinds)]
						}
						key, chain := c.person(fmt.Sprintf("Signer %d", i+1), strings.Fields(own)[0])
						p := c.params(t, level, key, chain)
						p.PSS = strings.HasSuffix(own, "PSS")
						require.NoError(t, m.Sign(t.Context(), p))
						// Each signer comes to the file that the one before has left.
						m = open(t, bytesOf(t, m), detached)
					}
					signed := bytesOf(t, m)
					reports, err := m.Verify(t.Context(), c.root.Roots, now)
					require.NoError(t, err)
					require.Len(t, reports, signers)
					for _, r := range reports {
						require.True(t, r.Valid(), r.Problem)
						require.Empty(t, r.Problem)
						require.Equal(t, level, r.Level)
						require.Equal(t, now, r.Time)
						require.Equal(t, level != cades.LevelBB, r.TimestampTime.Equal(now))
					}
					signtest.OpenSSL(t, "asn1parse", "-inform", "DER", "-in", signtest.Write(t, "signed", signed))
					if kind != "Ed25519" {
						c.requireOpenSSL(t, signed, detached)
					}
				})
			}
		}
	}
}

func TestOpenSSLAcceptsTheToken(t *testing.T) {
	t.Parallel()
	c := newCircle(t)
	key, chain := c.person("Anna", "P-256")
	var value, token []byte
	p := c.params(t, cades.LevelBT, key, chain)
	p.Timestamp = func(ctx context.Context, signatureValue []byte) ([]byte, error) {
		var err error
		value = signatureValue
		token, err = c.tsa.Timestamp(ctx, signatureValue)
		return token, err
	}
	m := cades.New(source(content), false)
	require.NoError(t, m.Sign(t.Context(), p))
	require.Contains(t, string(bytesOf(t, m)), string(token))
	require.Contains(t, signtest.OpenSSL(t, "ts", "-verify", "-token_in", "-in", signtest.Write(t, "token", token), "-data", signtest.Write(t, "value", value),
		"-CAfile", signtest.WriteCertificates(t, c.root.Certificate)), "Verification: OK")
}

func TestLongTermSignaturesCarryTheirProofs(t *testing.T) {
	t.Parallel()
	c := newCircle(t)
	key, chain := c.person("Anna", "P-256")
	m := cades.New(source(content), false)
	require.NoError(t, m.Sign(t.Context(), c.params(t, cades.LevelBLT, key, chain)))
	printed := signtest.OpenSSL(t, "cms", "-cmsout", "-print", "-inform", "DER", "-in", signtest.Write(t, "signed", bytesOf(t, m)))
	require.Regexp(t, `d\.signedData:\s+version: 5`, printed)
	require.Contains(t, printed, "1.3.6.1.5.5.7.16.2") // id-ri-ocsp-response
	require.Equal(t, 2, strings.Count(printed, "d.crl:")+strings.Count(printed, "1.3.6.1.5.5.7.16.2"))
	for _, name := range []string{"Anna", "Issuing", "Root", "Time-Stamps"} {
		require.Regexp(t, `subject: CN\s?=\s?`+name, printed)
	}
	require.Contains(t, printed, "signingTime")

	// The same message without the proofs is no more than B-T.
	plain := cades.New(source(content), false)
	require.NoError(t, plain.Sign(t.Context(), c.params(t, cades.LevelBT, key, chain)))
	reports, err := plain.Verify(t.Context(), c.root.Roots, now)
	require.NoError(t, err)
	require.Equal(t, cades.LevelBT, reports[0].Level)
}

func TestRevokedSignerIsRefused(t *testing.T) {
	t.Parallel()
	c := newCircle(t)
	key, chain := c.person("Anna", "P-256")
	c.revoked.Store(chain[0].SerialNumber.Int64(), true)
	m := cades.New(source(content), false)
	require.ErrorContains(t, m.Sign(t.Context(), c.params(t, cades.LevelBLT, key, chain)), "was revoked")
	require.Zero(t, m.Signers())
	require.Error(t, m.WriteTo(t.Context(), &bytes.Buffer{}))
}

func TestMIMETypeIsSigned(t *testing.T) {
	t.Parallel()
	c := newCircle(t)
	key, chain := c.person("Anna", "P-256")
	p := c.params(t, cades.LevelBB, key, chain)
	p.MIMEType = "application/xml"
	m := cades.New(source(content), true)
	require.NoError(t, m.Sign(t.Context(), p))
	signed := bytesOf(t, m)
	c.requireOpenSSL(t, signed, true)
	require.Regexp(t, `0\.4\.0\.1733\.2\.1\)?\s+set:\s+UTF8STRING:application/xml`,
		signtest.OpenSSL(t, "cms", "-cmsout", "-print", "-inform", "DER", "-in", signtest.Write(t, "signed", signed)))
}

func TestKnownDigestSparesThePass(t *testing.T) {
	t.Parallel()
	c := newCircle(t)
	key, chain := c.person("Anna", "P-256")
	counted := &counter{Reader: bytes.NewReader(content)}
	known := digest.Source{ReaderAt: counted, Size: int64(len(content)), Digest: digest.Empty().With(content)}
	m := cades.New(known, true)
	require.NoError(t, m.Sign(t.Context(), c.params(t, cades.LevelBB, key, chain)))
	c.requireOpenSSL(t, bytesOf(t, m), true)
	require.Zero(t, counted.reads)

	known.Size--
	require.ErrorIs(t, cades.New(known, true).Sign(t.Context(), c.params(t, cades.LevelBB, key, chain)), cades.ErrContent)
}

type counter struct {
	*bytes.Reader

	reads int
}

func (c *counter) ReadAt(p []byte, off int64) (int, error) {
	c.reads++
	return c.Reader.ReadAt(p, off)
}

func TestTwoPhases(t *testing.T) {
	t.Parallel()
	c := newCircle(t)
	first, firstChain := c.person("Anna", "P-256")
	m := cades.New(source(content), false)
	require.NoError(t, m.Sign(t.Context(), c.params(t, cades.LevelBB, first, firstChain)))
	signed := bytesOf(t, m)
	for _, kind := range []string{"RSA-2048", "P-384"} {
		key, chain := c.person("Bruno", kind)
		p := c.params(t, cades.LevelBLT, nil, chain)
		pending, err := open(t, signed, false).Begin(t.Context(), p)
		require.NoError(t, err)
		kept, err := pending.MarshalBinary()
		require.NoError(t, err)

		pending, err = cms.UnmarshalPending(kept)
		require.NoError(t, err)
		message, options := pending.ToSign()
		value, err := key.Sign(rand.Reader, message, options)
		require.NoError(t, err)
		p.Chain = nil // whoever finishes need not have it
		again := open(t, signed, false)
		require.ErrorIs(t, again.Finish(t.Context(), pending, value[1:], p), cms.ErrSignature)
		require.NoError(t, again.Finish(t.Context(), pending, value, p))
		reports, err := open(t, bytesOf(t, again), false).Verify(t.Context(), c.root.Roots, now)
		require.NoError(t, err)
		require.Equal(t, cades.LevelBLT, reports[1].Level)
		c.requireOpenSSL(t, bytesOf(t, again), false)

		other := cades.New(source([]byte("another file")), false)
		require.ErrorIs(t, other.Finish(t.Context(), pending, value, p), cms.ErrDigestMismatch)
	}
}

func TestSignRefuses(t *testing.T) {
	t.Parallel()
	c := newCircle(t)
	key, chain := c.person("Anna", "P-256")
	down := errors.New("authority is down")
	expired := func(x *x509.Certificate) { x.NotAfter = now.Add(-time.Second) }
	future := func(x *x509.Certificate) { x.NotBefore = now.Add(time.Second) }
	replace := func(change ...func(*x509.Certificate)) func(*cades.Params) {
		return func(p *cades.Params) { p.Signer, p.Chain = c.person("Carla", "P-256", change...) }
	}
	for name, test := range map[string]struct {
		change func(*cades.Params)
		want   error
	}{
		"no key":             {func(p *cades.Params) { p.Signer = nil }, cms.ErrKeyMismatch},
		"no certificate":     {func(p *cades.Params) { p.Chain = nil }, cms.ErrKeyMismatch},
		"key of another":     {func(p *cades.Params) { p.Signer = signtest.Key("P-256") }, cms.ErrKeyMismatch},
		"expired":            {replace(expired), cms.ErrExpired},
		"not yet valid":      {replace(future), cms.ErrNotYetValid},
		"SHA-1":              {func(p *cades.Params) { p.Hash = crypto.SHA1 }, cms.ErrUnsupported},
		"level of PAdES":     {func(p *cades.Params) { p.Level = "B-LTA" }, cades.ErrLevel},
		"no authority":       {func(p *cades.Params) { p.Level, p.Timestamp = cades.LevelBT, nil }, cades.ErrLevel},
		"no revocation data": {func(p *cades.Params) { p.Level, p.Revocation = cades.LevelBLT, nil }, cades.ErrLevel},
		"authority is down": {func(p *cades.Params) {
			p.Timestamp = func(context.Context, []byte) ([]byte, error) { return nil, down }
		}, down},
		"authority is nobody": {func(p *cades.Params) {
			p.Timestamp = func(context.Context, []byte) ([]byte, error) { return content, nil }
		}, cms.ErrTimestamp},
		"root is missing": {func(p *cades.Params) { p.Chain = p.Chain[:2] }, cades.ErrLevel},
		"authority errs": {func(p *cades.Params) {
			p.Timestamp = func(ctx context.Context, _ []byte) ([]byte, error) { return c.tsa.Timestamp(ctx, content) }
		}, cms.ErrTimestamp},
		"no MIME type": {func(p *cades.Params) { p.MIMEType = "\xff" }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := c.params(t, cades.LevelBLT, key, chain)
			test.change(&p)
			m := cades.New(source(content), false)
			err := m.Sign(t.Context(), p)
			require.Error(t, err)
			if test.want != nil {
				require.ErrorIs(t, err, test.want)
			}
			require.Zero(t, m.Signers())
		})
	}
	m := cades.New(source(content), true)
	require.NoError(t, m.Sign(t.Context(), c.params(t, cades.LevelBB, key, chain)))
	other, err := cades.Open(source(bytesOf(t, m)), source([]byte("another file")))
	require.NoError(t, err)
	require.ErrorIs(t, other.Sign(t.Context(), c.params(t, cades.LevelBB, key, chain)), cms.ErrDigestMismatch)
	require.Equal(t, 1, other.Signers())

	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, cades.New(source(content), true).Sign(cancelled, c.params(t, cades.LevelBB, key, chain)), context.Canceled)
}

func TestEmptyLevelIsTheHighestThereIs(t *testing.T) {
	t.Parallel()
	c := newCircle(t)
	key, chain := c.person("Anna", "P-256")
	for want, change := range map[cades.Level]func(*cades.Params){
		cades.LevelBB:  func(p *cades.Params) { p.Timestamp = nil },
		cades.LevelBT:  func(p *cades.Params) { p.Revocation = nil },
		cades.LevelBLT: func(*cades.Params) {},
	} {
		p := c.params(t, cades.LevelNone, key, chain)
		change(&p)
		m := cades.New(source(content), false)
		require.NoError(t, m.Sign(t.Context(), p))
		reports, err := m.Verify(t.Context(), c.root.Roots, now)
		require.NoError(t, err)
		require.Equal(t, want, reports[0].Level)
	}
}

func BenchmarkSign(b *testing.B) {
	c := newCircle(b)
	key, chain := c.person("Anna", "P-256")
	for _, size := range []int64{50 << 10, 5 << 20} {
		b.Run(fmt.Sprintf("%d KB attached", size>>10), func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				m := cades.New(digest.Source{ReaderAt: zeros(size), Size: size}, false)
				if err := m.Sign(b.Context(), c.params(b, cades.LevelBB, key, chain)); err != nil {
					b.Fatal(err)
				}
				if err := m.WriteTo(b.Context(), io.Discard); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
