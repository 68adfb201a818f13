package cms_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"signbus.dev/pkg/sign/cms"
	"signbus.dev/pkg/sign/signtest"
	"signbus.dev/pkg/sign/tsp"
)

// stamper is a time-stamp authority of a root at one time.
func stamper(t testing.TB, root *signtest.Authority, at time.Time, change ...func(*x509.Certificate)) *tsp.Authority {
	t.Helper()
	key := signtest.Key("P-256")
	change = append([]func(*x509.Certificate){signtest.ForTimestamps(true), signtest.Valid(now.AddDate(0, -6, 0), now.AddDate(8, 0, 0))}, change...)
	chain := root.Issue(key.Public(), change...)
	a, err := tsp.NewAuthority(tsp.AuthorityOptions{
		Now:      func() time.Time { return at },
		Identity: func(context.Context) (crypto.Signer, []*x509.Certificate, error) { return key, chain, nil },
	})
	require.NoError(t, err)
	return a
}

func stamped(a *tsp.Authority) func(*cms.Request) {
	return func(r *cms.Request) { r.Timestamp = a.Timestamp }
}

func TestTimestampIsRead(t *testing.T) {
	t.Parallel()
	root, key := signtest.NewAuthority(), signtest.Key("P-256")
	chain := root.Issue(key.Public())
	der := sign(t, key, chain, stamped(stamper(t, root, now)))
	require.LessOrEqual(t, len(der), cms.Size(chain, true))

	info, err := cms.Verify(append(der, make([]byte, 4000)...), digestOf(content), root.Roots, now)
	require.NoError(t, err)
	require.Equal(t, now, info.Timestamp.Time)
	require.Equal(t, "Time-Stamps", info.Timestamp.Authority.Subject.CommonName)

	// OpenSSL accepts the signature and shows the attribute.
	path := signtest.Write(t, "signature.p7s", der)
	signtest.OpenSSL(t, "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", path,
		"-content", signtest.Write(t, "content", content), "-CAfile", signtest.WriteCertificates(t, root.Certificate), "-out", "/dev/null")
	require.Contains(t, signtest.OpenSSL(t, "cms", "-cmsout", "-print", "-inform", "DER", "-in", path), "id-smime-aa-timeStampToken (1.2.840.113549.1.9.16.2.14)")
}

func TestTimestampKeepsASignatureValidAfterItsCertificate(t *testing.T) {
	t.Parallel()
	root, key := signtest.NewAuthority(), signtest.Key("P-256")
	der := sign(t, key, root.Issue(key.Public()), stamped(stamper(t, root, now)))
	later := now.AddDate(1, 0, 0)
	_, err := cms.Verify(der, digestOf(content), root.Roots, later)
	require.NoError(t, err)
	_, err = cms.Verify(sign(t, key, root.Issue(key.Public())), digestOf(content), root.Roots, later)
	require.ErrorIs(t, err, cms.ErrUntrusted)

	// A stamp made after the certificate ended saves nothing.
	late := sign(t, key, root.Issue(key.Public()), stamped(stamper(t, root, now.AddDate(0, 1, 0))))
	info, err := cms.Verify(late, digestOf(content), root.Roots, later)
	require.ErrorIs(t, err, cms.ErrUntrusted)
	require.NotErrorIs(t, err, cms.ErrTimestamp)
	require.NotNil(t, info.Timestamp)

	// The authority's own certificate must be valid when the signature is checked.
	_, err = cms.Verify(der, digestOf(content), root.Roots, now.AddDate(8, 6, 0))
	require.ErrorIs(t, err, cms.ErrTimestamp)
}

func TestTimestampIsRefused(t *testing.T) {
	t.Parallel()
	root, stranger, key := signtest.NewAuthority(), signtest.NewAuthority(), signtest.Key("P-256")
	chain := root.Issue(key.Public())
	genuine := stamper(t, root, now)
	for name, test := range map[string]struct {
		timestamp func(context.Context, []byte) ([]byte, error)
		untrusted bool
	}{
		"authority of another root": {stamper(t, stranger, now).Timestamp, true},
		"purpose is not critical":   {stamper(t, root, now, signtest.ForTimestamps(false)).Timestamp, false},
		"purpose is not there":      {stamper(t, root, now, func(c *x509.Certificate) { c.ExtraExtensions = nil }).Timestamp, false},
		"changed token": {func(ctx context.Context, value []byte) ([]byte, error) {
			token, err := genuine.Timestamp(ctx, value)
			return bytes.Replace(token, now.AppendFormat(nil, "20060102150405Z"), now.Add(-time.Hour).AppendFormat(nil, "20060102150405Z"), 1), err
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			plain := sign(t, key, chain)
			value, err := cms.SignatureValue(plain)
			require.NoError(t, err)
			token, err := test.timestamp(t.Context(), value)
			require.NoError(t, err)
			info, err := cms.Verify(withToken(t, plain, token), digestOf(content), root.Roots, now)
			require.ErrorIs(t, err, cms.ErrTimestamp)
			require.Equal(t, test.untrusted, info.Timestamp != nil)
			if test.untrusted {
				require.ErrorIs(t, err, cms.ErrUntrusted)
			} else {
				require.NotErrorIs(t, err, cms.ErrUntrusted)
			}
			require.True(t, info.Certificate.Equal(chain[0]))
		})
	}
}

// Trust is for whoever asked the authority to judge; what no authority can have said never gets into a signature.
func TestSignRefusesWrongTokens(t *testing.T) {
	t.Parallel()
	root, key := signtest.NewAuthority(), signtest.Key("P-256")
	chain := root.Issue(key.Public())
	genuine := stamper(t, root, now)
	change := func(change func([]byte) []byte) func(context.Context, []byte) ([]byte, error) {
		return func(ctx context.Context, value []byte) ([]byte, error) {
			token, err := genuine.Timestamp(ctx, value)
			return change(token), err
		}
	}
	for name, timestamp := range map[string]func(context.Context, []byte) ([]byte, error){
		"over something else":     func(ctx context.Context, _ []byte) ([]byte, error) { return genuine.Timestamp(ctx, []byte("other")) },
		"of another key":          change(func(token []byte) []byte { token[len(token)-1] ^= 1; return token }),
		"cut":                     change(func(token []byte) []byte { return token[:len(token)-1] }),
		"empty":                   change(func([]byte) []byte { return nil }),
		"purpose is not critical": stamper(t, root, now, signtest.ForTimestamps(false)).Timestamp,
		"purpose is not there":    stamper(t, root, now, func(c *x509.Certificate) { c.ExtraExtensions = nil }).Timestamp,
	} {
		t.Run(name, func(t *testing.T) {
			der, err := cms.Sign(t.Context(), cms.Request{Digest: hashed(crypto.SHA256, content), Signer: key, Chain: chain, Now: signtest.Clock, Timestamp: timestamp})
			require.ErrorIs(t, err, cms.ErrTimestamp)
			require.Nil(t, der)
		})
	}
}

// withToken puts any bytes into the place of a time-stamp of the one signer of a detached signature.
func withToken(t testing.TB, der, token []byte) []byte {
	t.Helper()
	const sequence, set, context0, context1 = cbasn1.SEQUENCE, cbasn1.SET, cbasn1.Tag(0xa0), cbasn1.Tag(0xa1)
	signer := openMessage(t, der).Raw(0)
	before, found := bytes.CutSuffix(der, signer)
	require.True(t, found)
	// The lengths of everything around the signer are written anew.
	input := cryptobyte.String(append(before, signer...))
	var info, kind, explicit, data, inside cryptobyte.String
	require.True(t, input.ReadASN1(&info, sequence) && info.ReadASN1Element(&kind, cbasn1.OBJECT_IDENTIFIER) &&
		info.ReadASN1(&explicit, context0) && explicit.ReadASN1(&data, sequence))
	raw := cryptobyte.String(signer)
	require.True(t, raw.ReadASN1(&inside, sequence))
	at := len(data) - len(signer) - 4 // The SET around the signer has two bytes of length.
	require.Equal(t, byte(set), data[at])
	head := data[:at]
	oid := []byte{6, 11, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 2, 14}
	var b cryptobyte.Builder
	b.AddASN1(sequence, func(b *cryptobyte.Builder) {
		b.AddBytes(kind)
		b.AddASN1(context0, func(b *cryptobyte.Builder) {
			b.AddASN1(sequence, func(b *cryptobyte.Builder) {
				b.AddBytes(head)
				b.AddASN1(set, func(b *cryptobyte.Builder) {
					b.AddASN1(sequence, func(b *cryptobyte.Builder) {
						b.AddBytes(inside)
						b.AddASN1(context1, func(b *cryptobyte.Builder) {
							b.AddASN1(sequence, func(b *cryptobyte.Builder) {
								b.AddBytes(oid)
								b.AddASN1(set, func(b *cryptobyte.Builder) { b.AddBytes(token) })
							})
						})
					})
				})
			})
		})
	})
	stamped, err := b.Bytes()
	require.NoError(t, err)
	return stamped
}

func TestVerifyTokenOfOpenSSL(t *testing.T) {
	t.Parallel()
	root, key := signtest.NewAuthority(), signtest.Key("RSA-2048")
	chain := root.Issue(key.Public(), signtest.ForTimestamps(true))
	config := `[tsa]
default_tsa = own
[own]
serial = ` + signtest.Write(t, "serial", []byte("01\n")) + `
default_policy = 1.2.3.4.1
digests = sha256, sha512
accuracy = secs:1, millisecs:500, microsecs:100
clock_precision_digits = 3
ordering = yes
tsa_name = yes
ess_cert_id_chain = no
signer_digest = sha256
`
	data := signtest.Write(t, "data", content)
	query, token := signtest.Write(t, "query.tsq", nil), signtest.Write(t, "token.der", nil)
	signtest.OpenSSL(t, "ts", "-query", "-data", data, "-sha512", "-cert", "-out", query)
	for _, hash := range []string{"sha1", "sha256"} { // The first and the second version of the signing-certificate attribute.
		signtest.OpenSSL(t, "ts", "-reply", "-config", signtest.Write(t, "tsa.cnf", []byte(config+"ess_cert_id_alg = "+hash+"\n")), "-queryfile", query,
			"-signer", signtest.WriteCertificates(t, chain[0]), "-inkey", signtest.WriteKey(t, key), "-token_out", "-out", token)
		got, err := cms.VerifyToken(read(t, token), digestOf(content), root.Roots, now)
		require.NoError(t, err)
		require.Equal(t, crypto.SHA512, got.Hash)
		require.Equal(t, 1500100*time.Microsecond, got.Accuracy)
		require.Equal(t, "1.2.3.4.1", got.Policy.String())
		require.NotNil(t, got.Nonce)
		require.WithinDuration(t, time.Now(), got.Time, time.Minute)
		require.True(t, got.Authority.Equal(chain[0]))
		_, err = cms.VerifyToken(read(t, token), digestOf([]byte("other")), root.Roots, now)
		require.ErrorIs(t, err, cms.ErrTimestamp)
		require.ErrorIs(t, err, cms.ErrDigestMismatch)
	}
}
