package cli_test

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/sign/signtest"
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

// authority certifies the keys of the tests.
var authority = sync.OnceValue(func() *signtest.Authority { return signtest.NewAuthority() })

// certify makes the chain of a key of a company's, for a year.
func certify(name string, public crypto.PublicKey, change ...func(*x509.Certificate)) []*x509.Certificate {
	year := signtest.Valid(time.Now().Add(-time.Hour), time.Now().AddDate(1, 0, 0))
	company := func(c *x509.Certificate) { c.Subject.Organization = []string{"Example Ltd"} }
	return authority().Issue(public, append([]func(*x509.Certificate){signtest.Named(name), year, company}, change...)...)
}

// p256 is made once.
var p256 = sync.OnceValue(func() crypto.Signer { return signtest.Key("P-256") })

// desk is a folder with what a user has: a key with its certificate, the trusted root.
type desk struct {
	dir     string
	environ []string
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{dir: t.TempDir(), environ: []string{"SIGNBUS_KEY_PASSPHRASE=" + passphrase}}
	d.environ = append(d.environ, "HOME="+d.dir)
	d.write(t, "ca.pem", signtest.CertificatePEM(authority().Certificate))
	d.key(t, "anna", p256(), time.Now().Add(-time.Hour), time.Now().AddDate(1, 0, 0))
	return d
}

// key writes NAME.pem, plain, with the certificate and the root.
func (d *desk) key(t *testing.T, name string, key crypto.Signer, from, until time.Time) {
	t.Helper()
	d.write(t, name+".pem", append(signtest.KeyPEM(key), signtest.CertificatePEM(certify(name, key.Public(), signtest.Valid(from, until))...)...))
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
