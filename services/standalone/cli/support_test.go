package cli_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
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

	"signbus.dev/services/standalone/cli"
)

// passphrase is that of every key of the tests.
const passphrase = "correct horse"

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// issuer certifies the keys of the tests.
type issuer struct {
	key  *ecdsa.PrivateKey
	root *x509.Certificate
}

var authority = sync.OnceValue(func() issuer {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Signbus Test Root"},
		NotBefore: time.Now().AddDate(-5, 0, 0), NotAfter: time.Now().AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	return issuer{key, must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))))}
})

func (i issuer) certify(name string, public crypto.PublicKey, from, until time.Time) *x509.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name, Organization: []string{"Example Ltd"}},
		NotBefore: from, NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment, BasicConstraintsValid: true,
	}
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, i.root, public, i.key))))
}

// p256 and rsa2048 are made once.
var (
	p256    = sync.OnceValue(func() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	rsa2048 = sync.OnceValue(func() crypto.Signer { return must(rsa.GenerateKey(rand.Reader, 2048)) })
)

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func certificatePEM(certificates ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certificates {
		out = append(out, pemOf("CERTIFICATE", c.Raw)...)
	}
	return out
}

func keyPEM(key crypto.Signer) []byte {
	return pemOf("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(key)))
}

// desk is a folder with what a user has: a key with its certificate, the trusted root.
type desk struct {
	dir     string
	environ []string
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{dir: t.TempDir(), environ: []string{"SIGNBUS_KEY_PASSPHRASE=" + passphrase}}
	d.environ = append(d.environ, "HOME="+d.dir)
	d.write(t, "ca.pem", certificatePEM(authority().root))
	d.key(t, "anna", p256(), time.Now().Add(-time.Hour), time.Now().AddDate(1, 0, 0))
	return d
}

// key writes NAME.pem, plain, with the certificate and the root.
func (d *desk) key(t *testing.T, name string, key crypto.Signer, from, until time.Time) {
	t.Helper()
	leaf := authority().certify(name, key.Public(), from, until)
	d.write(t, name+".pem", append(keyPEM(key), certificatePEM(leaf, authority().root)...))
}

func (d *desk) path(name string) string { return filepath.Join(d.dir, name) }

func (d *desk) write(t *testing.T, name string, data []byte) string {
	t.Helper()
	require.NoError(t, os.WriteFile(d.path(name), data, 0o600))
	return d.path(name)
}

func (d *desk) read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(d.path(name))
	require.NoError(t, err)
	return data
}

// outcome is how a command ended.
type outcome struct {
	code      int
	out, errs string
}

// run runs the command; arguments that begin with @ are files of the desk.
func (d *desk) run(t *testing.T, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	for i, arg := range args {
		if name, ok := strings.CutPrefix(arg, "@"); ok {
			args[i] = d.path(name)
		}
	}
	code := cli.Main(t.Context(), args, d.environ, &out, &errs)
	return outcome{code, out.String(), errs.String()}
}

// signed is the JSON of a result.
type signed struct {
	File, Level, Field, SHA256 string
	Signatures                 int
}

// must runs a command that succeeds and returns its JSON.
func (d *desk) must(t *testing.T, args ...string) signed {
	t.Helper()
	got := d.run(t, append(args, "--json")...)
	require.Zero(t, got.code, got.errs)
	require.Empty(t, got.errs)
	var s signed
	require.NoError(t, json.Unmarshal([]byte(got.out), &s))
	if s.SHA256 != "" {
		data, err := os.ReadFile(s.File)
		require.NoError(t, err)
		sum := sha256.Sum256(data)
		require.Equal(t, hex.EncodeToString(sum[:]), s.SHA256)
	}
	return s
}

// left lists the files of the desk.
func (d *desk) left(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(d.dir)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// The Debian packages of the judges.
var packages = map[string]string{
	"openssl": "openssl", "pdfsig": "poppler-utils", "pdftotext": "poppler-utils", "qpdf": "qpdf", "mutool": "mupdf-tools",
	"softhsm2-util": "softhsm2", "pkcs11-tool": "opensc",
}

func judge(t *testing.T, tool string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	require.NoError(t, err, "%s is missing: install the Debian package %s", tool, packages[tool])
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	require.NoError(t, err, "%s %v: %s", tool, args, out)
	return string(out)
}
