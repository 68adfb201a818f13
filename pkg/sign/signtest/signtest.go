// Package signtest makes keys and certificates for the tests of signatures, such as
// pkg/pki would not issue among them, and runs the tools that judge what is signed.
package signtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"
)

// Now is the time of the tests, in whole seconds as certificates have it.
var Now = time.Now().UTC().Truncate(time.Second)

// Clock returns [Now].
func Clock() time.Time { return Now }

// rsaKeys are made once for each size, because that takes long.
var rsaKeys = map[string]func() *rsa.PrivateKey{
	"RSA-1024": rsaKey(1024), "RSA-2048": rsaKey(2048), "RSA-3072": rsaKey(3072), "RSA-4096": rsaKey(4096),
}

func rsaKey(bits int) func() *rsa.PrivateKey {
	return sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, bits)) })
}

// Key makes a key: P-224, P-256, P-384, P-521 or Ed25519. The RSA keys, from RSA-1024 to
// RSA-4096, are the same for all who ask.
func Key(kind string) crypto.Signer {
	curves := map[string]elliptic.Curve{"P-224": elliptic.P224(), "P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}
	if curve, ok := curves[kind]; ok {
		return must(ecdsa.GenerateKey(curve, rand.Reader))
	}
	if key, ok := rsaKeys[kind]; ok {
		return key()
	}
	if kind == "Ed25519" {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return must(key, err)
	}
	panic(fmt.Sprintf("no key of kind %q", kind))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Authority issues certificates.
type Authority struct {
	Key         crypto.Signer
	Certificate *x509.Certificate
	// Roots trusts the root above it and nobody else.
	Roots *x509.CertPool

	chain []*x509.Certificate // from its own up to the root
}

// NewAuthority makes a root, valid from five years before [Now] to ten years after it.
func NewAuthority(change ...func(*x509.Certificate)) *Authority {
	a := &Authority{Key: Key("P-256"), Roots: x509.NewCertPool()}
	a.Certificate = create(authority("Root", change), nil, a.Key.Public(), a.Key)
	a.chain = []*x509.Certificate{a.Certificate}
	a.Roots.AddCert(a.Certificate)
	return a
}

// Below makes an authority that this one certifies.
func (a *Authority) Below(change ...func(*x509.Certificate)) *Authority {
	below := &Authority{Key: Key("P-256"), Roots: a.Roots}
	below.Certificate = create(authority("Issuing", change), a.Certificate, below.Key.Public(), a.Key)
	below.chain = append([]*x509.Certificate{below.Certificate}, a.chain...)
	return below
}

// Issue certifies a key of Anna for signatures, from a day before [Now] to a day after it.
// It returns the chain from the new certificate up to the root.
func (a *Authority) Issue(public crypto.PublicKey, change ...func(*x509.Certificate)) []*x509.Certificate {
	return append([]*x509.Certificate{create(person(change), a.Certificate, public, a.Key)}, a.chain...)
}

// SelfSigned is such a certificate, which nobody vouches for.
func SelfSigned(key crypto.Signer, change ...func(*x509.Certificate)) *x509.Certificate {
	return create(person(change), nil, key.Public(), key)
}

// CRL is the list of what the authority has revoked.
func (a *Authority) CRL(from, until time.Time, revoked ...x509.RevocationListEntry) []byte {
	list := &x509.RevocationList{Number: big.NewInt(from.Unix()), ThisUpdate: from, NextUpdate: until, RevokedCertificateEntries: revoked}
	return must(x509.CreateRevocationList(rand.Reader, list, a.Certificate, a.Key))
}

// OCSP is the authority's answer for a certificate.
func (a *Authority) OCSP(answer ocsp.Response) []byte {
	return must(ocsp.CreateResponse(a.Certificate, a.Certificate, answer, a.Key))
}

func authority(name string, change []func(*x509.Certificate)) *x509.Certificate {
	t := template(name)
	t.NotBefore, t.NotAfter = Now.AddDate(-5, 0, 0), Now.AddDate(10, 0, 0)
	t.KeyUsage, t.IsCA = x509.KeyUsageCertSign|x509.KeyUsageCRLSign|x509.KeyUsageDigitalSignature, true
	for _, f := range change {
		f(t)
	}
	return t
}

func person(change []func(*x509.Certificate)) *x509.Certificate {
	t := template("Anna")
	t.NotBefore, t.NotAfter = Now.AddDate(0, 0, -1), Now.AddDate(0, 0, 1)
	t.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
	for _, f := range change {
		f(t)
	}
	return t
}

var serials atomic.Int64

func template(name string) *x509.Certificate {
	number := big.NewInt(0x1000 + serials.Add(1))
	return &x509.Certificate{SerialNumber: number, Subject: pkix.Name{CommonName: name}, SubjectKeyId: number.Bytes(), BasicConstraintsValid: true}
}

func create(t, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	if parent == nil {
		parent = t
	}
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, t, parent, public, key))))
}

// Named gives the subject of a certificate another common name.
func Named(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.Subject.CommonName = name }
}

// Valid sets when a certificate is valid.
func Valid(from, until time.Time) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = from, until }
}

// ForTimestamps makes a certificate one of a time-stamp authority, whose extended key usage
// has to be critical (RFC 3161, 2.3).
func ForTimestamps(critical bool) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.Subject.CommonName, c.KeyUsage = "Time-Stamps", x509.KeyUsageDigitalSignature
		c.ExtraExtensions = []pkix.Extension{{
			Id: []int{2, 5, 29, 37}, Critical: critical, Value: []byte{0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 8},
		}}
	}
}

// CertificatePEM writes certificates as text, one after the other.
func CertificatePEM(certificates ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certificates {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

// KeyPEM writes a key as text, in PKCS #8.
func KeyPEM(key crypto.Signer) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))})
}

// Write makes a file in a folder of its own and returns its path.
func Write(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

// WriteCertificates makes a file of certificates and returns its path.
func WriteCertificates(t testing.TB, certificates ...*x509.Certificate) string {
	t.Helper()
	return Write(t, "certificates.pem", CertificatePEM(certificates...))
}

// WriteKey makes a file of a key and returns its path.
func WriteKey(t testing.TB, key crypto.Signer) string {
	t.Helper()
	return Write(t, "key.pem", KeyPEM(key))
}

// packages are the Debian packages of the tools, where the name is not the tool's own.
var packages = map[string]string{
	"mutool": "mupdf-tools", "gs": "ghostscript", "pdftocairo": "poppler-utils", "pdftoppm": "poppler-utils",
	"pdfsig": "poppler-utils", "pdftotext": "poppler-utils", "certutil": "libnss3-tools", "pk12util": "libnss3-tools",
	"softhsm2-util": "softhsm2", "pkcs11-tool": "opensc",
}

// Try runs a tool and returns what it says and whether it was content.
func Try(t testing.TB, tool string, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath(tool)
	name := tool
	if other, ok := packages[tool]; ok {
		name = other
	}
	require.NoError(t, err, "%s is missing: install the Debian package %s", tool, name)
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	return string(out), err
}

// Run runs a tool, which has to be content, and returns what it says.
func Run(t testing.TB, tool string, args ...string) string {
	t.Helper()
	out, err := Try(t, tool, args...)
	require.NoError(t, err, "%s %v: %s", tool, args, out)
	return out
}

// OpenSSL runs OpenSSL, which has to be content, and returns what it says.
func OpenSSL(t testing.TB, args ...string) string {
	t.Helper()
	return Run(t, "openssl", args...)
}
