package cms_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// now is the time of all tests; certificates are valid one day around it.
var now = time.Now().UTC().Truncate(time.Second)

func clock() time.Time { return now }

// RSA keys take long to make, so that the tests share them.
var rsaKeys = map[int]func() *rsa.PrivateKey{1024: rsaKey(1024), 2048: rsaKey(2048), 3072: rsaKey(3072), 4096: rsaKey(4096)}

func rsaKey(bits int) func() *rsa.PrivateKey {
	return sync.OnceValue(func() *rsa.PrivateKey {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			panic(err)
		}
		return key
	})
}

func newKey(t testing.TB, kind string) crypto.Signer {
	t.Helper()
	curves := map[string]elliptic.Curve{"P-224": elliptic.P224(), "P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}
	lengths := map[string]int{"RSA-1024": 1024, "RSA-2048": 2048, "RSA-3072": 3072, "RSA-4096": 4096}
	if curve, ok := curves[kind]; ok {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		require.NoError(t, err)
		return key
	}
	if bits, ok := lengths[kind]; ok {
		return rsaKeys[bits]()
	}
	require.Equal(t, "Ed25519", kind)
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return key
}

// authority is a root for tests that can issue what pkg/pki would refuse.
type authority struct {
	key         crypto.Signer
	certificate *x509.Certificate
	roots       *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key := newKey(t, "P-256")
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test Root"},
		NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(9, 0, 0),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	a := &authority{key: key, roots: x509.NewCertPool()}
	a.certificate = a.create(t, template, template, key.Public())
	a.roots.AddCert(a.certificate)
	return a
}

func (a *authority) create(t testing.TB, template, parent *x509.Certificate, public crypto.PublicKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, a.key)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return certificate
}

// issue makes a chain for a key; change may alter what the certificate says.
func (a *authority) issue(t testing.TB, public crypto.PublicKey, change ...func(*x509.Certificate)) []*x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "Anna"},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment, BasicConstraintsValid: true,
	}
	for _, f := range change {
		f(template)
	}
	return []*x509.Certificate{a.create(t, template, a.certificate, public), a.certificate}
}

func forTimestamps(critical bool) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		value, _ := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
		c.Subject.CommonName = "Test Time-Stamp Authority"
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: critical, Value: value}}
	}
}

func digestOf(content []byte) func(crypto.Hash) ([]byte, error) {
	return func(h crypto.Hash) ([]byte, error) { return hashed(h, content), nil }
}

func hashed(h crypto.Hash, content []byte) []byte {
	state := h.New()
	state.Write(content)
	return state.Sum(nil)
}

func openssl(t testing.TB, arguments ...string) string {
	t.Helper()
	path, err := exec.LookPath("openssl")
	require.NoError(t, err, "openssl is missing: install the Debian package openssl")
	output, err := exec.CommandContext(t.Context(), path, arguments...).CombinedOutput()
	require.NoError(t, err, "openssl %v: %s", arguments, output)
	return string(output)
}

// opensslFails returns what OpenSSL says when it refuses.
func opensslFails(t testing.TB, arguments ...string) string {
	t.Helper()
	path, err := exec.LookPath("openssl")
	require.NoError(t, err, "openssl is missing: install the Debian package openssl")
	output, err := exec.CommandContext(t.Context(), path, arguments...).CombinedOutput()
	require.Error(t, err, "openssl %v: %s", arguments, output)
	return string(output)
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return content
}

func write(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

func writeCertificates(t testing.TB, name string, certificates ...*x509.Certificate) string {
	t.Helper()
	var text []byte
	for _, c := range certificates {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return write(t, name, text)
}

func writeKey(t testing.TB, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return write(t, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}
