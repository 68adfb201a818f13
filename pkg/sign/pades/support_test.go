package pades_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/sign/pades"
	"signbus.dev/pkg/sign/tsp"
)

// now is the time of the tests; certificates are valid around it.
var now = time.Now().UTC().Truncate(time.Second)

// signer is a key with its certificates.
type signer struct {
	key   crypto.Signer
	chain []*x509.Certificate
}

// authority issues certificates for the tests.
type authority struct {
	key   *ecdsa.PrivateKey
	root  *x509.Certificate
	roots *x509.CertPool
}

var testAuthority = sync.OnceValue(func() *authority {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Signbus Test Root"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	root := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))))
	roots := x509.NewCertPool()
	roots.AddCert(root)
	return &authority{key: key, root: root, roots: roots}
})

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (a *authority) issue(name string, key crypto.Signer, extend func(*x509.Certificate)) signer {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
	}
	if extend != nil {
		extend(template)
	}
	leaf := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, a.root, key.Public(), a.key))))
	return signer{key: key, chain: []*x509.Certificate{leaf, a.root}}
}

func ecdsaSigner(name string) signer {
	return testAuthority().issue(name, must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), nil)
}

func rsaSigner(name string) signer {
	return testAuthority().issue(name, must(rsa.GenerateKey(rand.Reader, 2048)), nil)
}

func ed25519Signer(name string) signer {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return testAuthority().issue(name, key, nil)
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
	reports, err := pades.Verify(t.Context(), bytes.NewReader(data), int64(len(data)), testAuthority().roots, now)
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

func write(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

func writeRoot(t testing.TB) string {
	t.Helper()
	return write(t, "root.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: testAuthority().root.Raw}))
}

var packages = map[string]string{
	"qpdf": "qpdf", "mutool": "mupdf-tools", "gs": "ghostscript", "pdftocairo": "poppler-utils", "pdftoppm": "poppler-utils",
	"pdfsig": "poppler-utils", "pdftotext": "poppler-utils", "openssl": "openssl", "certutil": "libnss3-tools", "pk12util": "libnss3-tools",
}

// attempt runs a tool and returns what it says and whether it was content.
func attempt(t testing.TB, tool string, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath(tool)
	require.NoError(t, err, "%s is missing: install the Debian package %s", tool, packages[tool])
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	return string(out), err
}

func run(t testing.TB, tool string, args ...string) string {
	t.Helper()
	out, err := attempt(t, tool, args...)
	require.NoError(t, err, "%s %v: %s", tool, args, out)
	return out
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
	identity := testAuthority().issue("Signbus Test TSA", must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), func(c *x509.Certificate) {
		c.NotAfter = now.AddDate(0, 0, days)
		c.KeyUsage = x509.KeyUsageDigitalSignature
		c.ExtKeyUsage = nil
		c.ExtraExtensions = []pkix.Extension{{
			Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true,
			Value: must(asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})),
		}}
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

// selfSigned is a key that nobody vouches for.
func selfSigned(t testing.TB) signer {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Nobody"}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	return signer{key, []*x509.Certificate{must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))))}}
}

func writeCertificate(t testing.TB, der []byte) string {
	t.Helper()
	return write(t, "certificate.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// writePKCS12 writes the key and the chain in a file with the password "secret".
func writePKCS12(t testing.TB, s signer) string {
	t.Helper()
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(s.key))})
	var chain []byte
	for _, c := range s.chain {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	out := filepath.Join(t.TempDir(), "key.p12")
	run(t, "openssl", "pkcs12", "-export", "-inkey", write(t, "key.pem", key), "-in", write(t, "chain.pem", chain),
		"-name", "theirs", "-passout", "pass:secret", "-out", out)
	return out
}

// nssDatabase makes a key database as poppler uses it, with the key under the name "theirs".
func nssDatabase(t testing.TB, s signer) string {
	t.Helper()
	dir := "sql:" + t.TempDir()
	run(t, "certutil", "-N", "-d", dir, "--empty-password")
	run(t, "certutil", "-A", "-d", dir, "-n", "root", "-t", "C,C,C", "-i", writeRoot(t))
	run(t, "pk12util", "-i", writePKCS12(t, s), "-d", dir, "-W", "secret")
	return dir
}
