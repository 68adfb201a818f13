package pades_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/sign/pades"
	"signbus.dev/pkg/sign/signtest"
	"signbus.dev/pkg/sign/tsp"
)

var now = signtest.Now

// signer is a key with its certificates.
type signer struct {
	key   crypto.Signer
	chain []*x509.Certificate
}

var root = sync.OnceValue(func() *signtest.Authority { return signtest.NewAuthority() })

// newSigner makes a person with a key of a kind, certified for a year.
func newSigner(name, kind string, change ...func(*x509.Certificate)) signer {
	change = append([]func(*x509.Certificate){signtest.Named(name), signtest.Valid(now.Add(-time.Hour), now.AddDate(1, 0, 0))}, change...)
	key := signtest.Key(kind)
	return signer{key, root().Issue(key.Public(), change...)}
}

func source(data []byte) digest.Source {
	return digest.Source{ReaderAt: bytes.NewReader(data), Size: int64(len(data))}
}

// sign signs and checks what holds for every signature: the original is a prefix, the
// digest is that of the output, every check says valid.
func sign(t testing.TB, original []byte, s signer, p pades.Params) ([]byte, *pades.Addition) {
	t.Helper()
	p.Signer, p.Chain = s.key, s.chain
	if p.Time.IsZero() {
		p.Time = now
	}
	if p.Name == "" {
		p.Name = s.chain[0].Subject.CommonName
	}
	made, err := pades.Sign(t.Context(), source(original), p)
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, made.WriteTo(t.Context(), &out, source(original)))
	require.True(t, bytes.HasPrefix(out.Bytes(), original), "the original must be a prefix")
	require.Equal(t, int64(out.Len()), made.Digest().Bytes())
	require.Equal(t, sha256.Sum256(out.Bytes()), made.Digest().Sum())
	return out.Bytes(), made
}

func verify(t testing.TB, data []byte) []pades.Report {
	t.Helper()
	reports, err := pades.Verify(t.Context(), bytes.NewReader(data), int64(len(data)), root().Roots, now)
	require.NoError(t, err)
	return reports
}

func requireValid(t testing.TB, data []byte, count int) []pades.Report {
	t.Helper()
	reports := verify(t, data)
	require.Len(t, reports, count)
	for i, r := range reports {
		require.True(t, r.Valid(), "signature %d: %+v", i+1, r)
		require.Empty(t, r.Problem)
		require.Equal(t, i == count-1, r.WholeFile)
	}
	return reports
}

func inspect(t testing.TB, data []byte) *pdf.Info {
	t.Helper()
	info, err := pdf.Inspect(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{})
	require.NoError(t, err)
	return info
}

// timestamps returns a time-stamp function whose certificate has the given extra size.
func timestamps(t testing.TB, extra int) func(ctx context.Context, value []byte) ([]byte, error) {
	t.Helper()
	return stampingAuthority(t, extra, 365).Timestamp
}

// digestTimestamps returns a time-stamp function for digests, of an authority whose
// certificate is valid for some days.
func digestTimestamps(t testing.TB, days int) func(ctx context.Context, digest []byte) ([]byte, error) {
	t.Helper()
	return stampingAuthority(t, 0, days).TimestampDigest
}

func stampingAuthority(t testing.TB, extra, days int) *tsp.Authority {
	t.Helper()
	identity := newSigner("Time-Stamps", "P-256", signtest.ForTimestamps(true), func(c *x509.Certificate) {
		c.NotAfter = now.AddDate(0, 0, days)
		if extra > 0 {
			c.OCSPServer = []string{"http://" + strings.Repeat("x", extra)}
		}
	})
	authority, err := tsp.NewAuthority(tsp.AuthorityOptions{
		Identity: func(context.Context) (crypto.Signer, []*x509.Certificate, error) {
			return identity.key, identity.chain, nil
		},
	})
	require.NoError(t, err)
	return authority
}

// writePKCS12 writes the key and the chain in a file with the password "secret".
func writePKCS12(t testing.TB, s signer) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "key.p12")
	signtest.OpenSSL(t, "pkcs12", "-export", "-inkey", signtest.WriteKey(t, s.key), "-in", signtest.WriteCertificates(t, s.chain...),
		"-name", "theirs", "-passout", "pass:secret", "-out", out)
	return out
}

// nssDatabase makes a key database as poppler uses it, with the key under the name "theirs".
func nssDatabase(t testing.TB, s signer) string {
	t.Helper()
	dir := "sql:" + t.TempDir()
	signtest.Run(t, "certutil", "-N", "-d", dir, "--empty-password")
	signtest.Run(t, "certutil", "-A", "-d", dir, "-n", "root", "-t", "C,C,C", "-i", signtest.WriteCertificates(t, root().Certificate))
	signtest.Run(t, "pk12util", "-i", writePKCS12(t, s), "-d", dir, "-W", "secret")
	return dir
}
