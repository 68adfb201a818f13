package cades_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
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

	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/sign/cades"
	"signbus.dev/pkg/sign/revocation"
	"signbus.dev/pkg/sign/tsp"
)

// now is the time of all tests; certificates are valid around it.
var now = time.Now().UTC().Truncate(time.Second)

func clock() time.Time { return now }

var content = []byte("the signed bytes of a contract\r\nwith two lines\n")

// RSA keys take long to make, so that the tests share them.
var rsaKeys = map[string]func() *rsa.PrivateKey{"RSA-2048": rsaKey(2048), "RSA-3072": rsaKey(3072), "RSA-4096": rsaKey(4096)}

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
	if key, ok := rsaKeys[kind]; ok {
		return key()
	}
	if curve, ok := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[kind]; ok {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		require.NoError(t, err)
		return key
	}
	require.Equal(t, "Ed25519", kind)
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return key
}

// circle is a root, an authority below it that issues to people, and a time-stamp authority.
type circle struct {
	root, issuing *x509.Certificate
	rootKey, key  crypto.Signer
	roots         *x509.CertPool
	tsa           *tsp.Authority
	stamper       []*x509.Certificate
	list          []byte // of the root
	serial        atomic.Int64
	revoked       sync.Map // serial number to true
}

func newCircle(t testing.TB) *circle {
	t.Helper()
	c := &circle{rootKey: newKey(t, "P-256"), key: newKey(t, "P-256"), roots: x509.NewCertPool()}
	c.serial.Store(100)
	template := func(name string, usage x509.KeyUsage) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(c.serial.Add(1)), Subject: pkix.Name{CommonName: name},
			NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(9, 0, 0), KeyUsage: usage, BasicConstraintsValid: true,
		}
	}
	const authority = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	root, issuing, stamper := template("Root", authority), template("Issuing", authority), template("Time-Stamps", x509.KeyUsageDigitalSignature)
	root.IsCA, issuing.IsCA = true, true
	root.SubjectKeyId, issuing.SubjectKeyId = []byte{1}, []byte{2}
	stamper.ExtraExtensions = []pkix.Extension{{Id: []int{2, 5, 29, 37}, Critical: true, Value: []byte{0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 8}}}
	c.root = create(t, root, root, c.rootKey.Public(), c.rootKey)
	c.issuing = create(t, issuing, c.root, c.key.Public(), c.rootKey)
	c.roots.AddCert(c.root)
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour)}
	var err error
	c.list, err = x509.CreateRevocationList(rand.Reader, list, c.root, c.rootKey)
	require.NoError(t, err)
	stampKey := newKey(t, "P-256")
	c.stamper = []*x509.Certificate{create(t, stamper, c.root, stampKey.Public(), c.rootKey), c.root}
	c.tsa, err = tsp.NewAuthority(tsp.AuthorityOptions{
		Now:      clock,
		Identity: func(context.Context) (crypto.Signer, []*x509.Certificate, error) { return stampKey, c.stamper, nil },
	})
	require.NoError(t, err)
	return c
}

func create(t testing.TB, template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return certificate
}

// person is a key with its chain up to the root.
func (c *circle) person(t testing.TB, name, kind string, change ...func(*x509.Certificate)) (crypto.Signer, []*x509.Certificate) {
	t.Helper()
	key := newKey(t, kind)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(c.serial.Add(1)), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment, BasicConstraintsValid: true,
	}
	template.SubjectKeyId = template.SerialNumber.Bytes()
	for _, f := range change {
		f(template)
	}
	return key, []*x509.Certificate{create(t, template, c.issuing, key.Public(), c.key), c.issuing, c.root}
}

// revocation answers for the issuing authority by OCSP and for the root by a list.
func (c *circle) revocation(t testing.TB) revocation.Source {
	return revocation.Local(func(_ context.Context, chain []*x509.Certificate) ([]*x509.Certificate, [][]byte, [][]byte, error) {
		var ocsps, crls [][]byte
		for _, certificate := range chain {
			switch {
			case bytes.Equal(certificate.RawIssuer, c.issuing.RawSubject):
				answer := ocsp.Response{Status: ocsp.Good, SerialNumber: certificate.SerialNumber, ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour)}
				if _, revoked := c.revoked.Load(certificate.SerialNumber.Int64()); revoked {
					answer.Status, answer.RevokedAt = ocsp.Revoked, now.Add(-time.Minute)
				}
				der, err := ocsp.CreateResponse(c.issuing, c.issuing, answer, c.key)
				require.NoError(t, err)
				ocsps = append(ocsps, der)
			case !certificate.Equal(c.root):
				crls = append(crls, c.list)
			}
		}
		return nil, ocsps, crls, nil
	})
}

// params are those that reach a level.
func (c *circle) params(t testing.TB, level cades.Level, key crypto.Signer, chain []*x509.Certificate) cades.Params {
	return cades.Params{Level: level, Signer: key, Chain: chain, Timestamp: c.tsa.Timestamp, Revocation: c.revocation(t), Now: clock}
}

func source(data []byte) digest.Source {
	return digest.Source{ReaderAt: bytes.NewReader(data), Size: int64(len(data))}
}

func bytesOf(t testing.TB, m *cades.Message) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, m.WriteTo(t.Context(), &out))
	require.Equal(t, m.Size(), int64(out.Len()))
	return out.Bytes()
}

func open(t testing.TB, signed []byte, detached bool) *cades.Message {
	t.Helper()
	beside := digest.Source{}
	if detached {
		beside = source(content)
	}
	m, err := cades.Open(source(signed), beside)
	require.NoError(t, err)
	return m
}

func run(t testing.TB, name string, arguments ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath(name)
	require.NoError(t, err, "%s is missing: make packages installs it", name)
	output, err := exec.CommandContext(t.Context(), path, arguments...).CombinedOutput()
	return string(output), err
}

func openssl(t testing.TB, arguments ...string) string {
	t.Helper()
	output, err := run(t, "openssl", arguments...)
	require.NoError(t, err, "openssl %v: %s", arguments, output)
	return output
}

func write(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return data
}

func writePEM(t testing.TB, kind string, ders ...[]byte) string {
	t.Helper()
	var text []byte
	for _, der := range ders {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
	}
	return write(t, "file.pem", text)
}

func writeKey(t testing.TB, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return writePEM(t, "PRIVATE KEY", der)
}

// requireOpenSSL lets OpenSSL check every signer, the attribute that names its certificate, and the content.
func (c *circle) requireOpenSSL(t testing.TB, signed []byte, detached bool) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	arguments := []string{
		"cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", write(t, "signed", signed),
		"-CAfile", writePEM(t, "CERTIFICATE", c.root.Raw), "-out", out,
	}
	if detached {
		arguments = append(arguments, "-content", write(t, "content", content))
	}
	require.Contains(t, openssl(t, arguments...), "CAdES Verification successful")
	require.Equal(t, content, read(t, out))
}
