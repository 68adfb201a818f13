package pki_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pki"
)

var (
	passphrase = []byte("correct horse battery staple")
	anna       = pki.User{Customer: "demo", ExternalID: "annaU", Name: "Anna Example"}
	start      = time.Now().UTC().Truncate(time.Second)
)

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

func openAt(t testing.TB, path string, now func() time.Time, change ...func(*pki.Options)) *pki.Authority {
	t.Helper()
	keeper, err := pki.NewDirectory(path)
	require.NoError(t, err)
	options := pki.Options{Passphrase: passphrase, Now: now}
	for _, f := range change {
		f(&options)
	}
	a, err := pki.Open(t.Context(), keeper, options)
	require.NoError(t, err)
	return a
}

func openssl(t testing.TB, arguments ...string) string {
	t.Helper()
	output, err := runOpenSSL(t, arguments...)
	require.NoError(t, err, "openssl %v: %s", arguments, output)
	return output
}

func runOpenSSL(t testing.TB, arguments ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath("openssl")
	require.NoError(t, err, "openssl is missing: install the Debian package openssl")
	output, err := exec.CommandContext(t.Context(), path, arguments...).CombinedOutput()
	return string(output), err
}

func writePEM(t testing.TB, certificate *x509.Certificate) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "certificate.pem")
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}), 0o600))
	return path
}

func TestOpenSSLAcceptsTheCertificates(t *testing.T) {
	t.Parallel()
	a := openAt(t, t.TempDir(), nil)
	root := writePEM(t, a.Certificate())
	text := openssl(t, "x509", "-in", root, "-noout", "-text")
	require.Contains(t, text, "CA:TRUE, pathlen:0")
	require.Regexp(t, `X509v3 Key Usage: critical\s+Certificate Sign, CRL Sign`, text)
	require.Equal(t, 10, a.Certificate().NotAfter.Year()-start.Year())

	user, err := a.User(t.Context(), anna)
	require.NoError(t, err)
	seal, err := a.Seal(t.Context(), pki.Organisation{Customer: "demo", Name: "Demo Company"})
	require.NoError(t, err)
	tsa, err := a.TSA(t.Context())
	require.NoError(t, err)
	for name, test := range map[string]struct {
		identity *pki.Identity
		purpose  string
		subject  string
		days     int
	}{
		"user": {user, "smimesign", `O = demo, CN = Anna Example, serialNumber = [0-9a-f]{32}`, 30},
		"seal": {seal, "smimesign", `O = Demo Company, OU = Seal, CN = Demo Company, serialNumber = [0-9a-f]{32}`, 365},
		"tsa":  {tsa, "timestampsign", `O = Signbus, CN = Signbus Development Time-Stamp Authority`, 3 * 365},
	} {
		t.Run(name, func(t *testing.T) {
			path := writePEM(t, test.identity.Chain[0])
			openssl(t, "verify", "-x509_strict", "-CAfile", root, "-purpose", test.purpose, path)
			text := openssl(t, "x509", "-in", path, "-noout", "-text")
			require.Regexp(t, `Subject: `+test.subject+`\n`, text)
			require.Regexp(t, `X509v3 Key Usage: critical\s+Digital Signature, Non Repudiation\n`, text)
			require.Regexp(t, `X509v3 Basic Constraints: critical\s+CA:FALSE\n`, text)
			require.Contains(t, text, "X509v3 Subject Key Identifier")
			require.Contains(t, text, "X509v3 Authority Key Identifier")
			require.Contains(t, text, "ASN1 OID: prime256v1")
			require.Regexp(t, `Serial Number:\s+([0-9a-f]{2}:){18}[0-9a-f]{2}\n`, text)
			require.NotContains(t, text, "annaU")
			require.NotContains(t, text, "CRL Distribution") // There is no public URL.
			require.NotContains(t, text, "Authority Information Access")
			if name == "tsa" {
				require.Regexp(t, `X509v3 Extended Key Usage: critical\s+Time Stamping\n`, text)
			} else {
				require.NotContains(t, text, "Extended Key Usage")
			}
			leaf := test.identity.Chain[0]
			require.WithinDuration(t, start.AddDate(0, 0, test.days), leaf.NotAfter, time.Hour)
			require.True(t, leaf.NotBefore.Before(start))
			digest := sha256.Sum256([]byte("contract"))
			value, err := test.identity.Signer.Sign(rand.Reader, digest[:], crypto.SHA256)
			require.NoError(t, err)
			require.True(t, ecdsa.VerifyASN1(leaf.PublicKey.(*ecdsa.PublicKey), digest[:], value))
		})
	}
}

func TestReopenedAuthorityIsTheSame(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	a := openAt(t, path, nil)
	user, err := a.User(t.Context(), anna)
	require.NoError(t, err)
	tsa, err := a.TSA(t.Context())
	require.NoError(t, err)

	b := openAt(t, path, nil)
	require.True(t, b.Certificate().Equal(a.Certificate()))
	again, err := b.User(t.Context(), anna)
	require.NoError(t, err)
	require.True(t, again.Chain[0].Equal(user.Chain[0]))
	require.Equal(t, user.Signer.Public(), again.Signer.Public())
	tsaAgain, err := b.TSA(t.Context())
	require.NoError(t, err)
	require.True(t, tsaAgain.Chain[0].Equal(tsa.Chain[0]))
	_, err = again.Chain[0].Verify(x509.VerifyOptions{Roots: a.Roots(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	require.NoError(t, err)
}

func TestEveryoneHasTheirOwn(t *testing.T) {
	t.Parallel()
	a := openAt(t, t.TempDir(), nil)
	numbers := map[string]bool{}
	persons := map[string]string{}
	for _, u := range []pki.User{
		anna, {Customer: "demo", ExternalID: "annaU2", Name: anna.Name}, {Customer: "other", ExternalID: "annaU", Name: anna.Name},
		{Customer: "demo", ExternalID: "annaU", Name: "Anna Married"}, {Customer: "dem", ExternalID: "oannaU", Name: anna.Name},
	} {
		identity, err := a.User(t.Context(), u)
		require.NoError(t, err)
		numbers[identity.Chain[0].SerialNumber.String()] = true
		persons[u.Customer+"/"+u.ExternalID] = identity.Chain[0].Subject.SerialNumber
	}
	require.Len(t, numbers, 5)
	married, err := a.User(t.Context(), pki.User{Customer: "demo", ExternalID: "annaU", Name: "Anna Married"})
	require.NoError(t, err)
	require.Equal(t, persons["demo/annaU"], married.Chain[0].Subject.SerialNumber) // The same person under a new name.
	distinct := map[string]bool{}
	for _, person := range persons {
		distinct[person] = true
	}
	require.Len(t, distinct, 4)
}

func TestCertificateIsReissuedBeforeItEnds(t *testing.T) {
	t.Parallel()
	path, c := t.TempDir(), &clock{now: start}
	a := openAt(t, path, c.Now)
	first, err := a.User(t.Context(), anna)
	require.NoError(t, err)
	end := first.Chain[0].NotAfter

	c.Set(end.Add(-11 * 24 * time.Hour))
	same, err := a.User(t.Context(), anna)
	require.NoError(t, err)
	require.True(t, same.Chain[0].Equal(first.Chain[0]))

	c.Set(end.Add(-9 * 24 * time.Hour))
	second, err := a.User(t.Context(), anna)
	require.NoError(t, err)
	require.False(t, second.Chain[0].Equal(first.Chain[0]))
	require.NotEqual(t, first.Signer.Public(), second.Signer.Public())
	require.True(t, second.Chain[0].NotAfter.After(end.AddDate(0, 0, 20)))

	// Another process, and this one after it forgot, find the second.
	other, err := openAt(t, path, c.Now).User(t.Context(), anna)
	require.NoError(t, err)
	require.True(t, other.Chain[0].Equal(second.Chain[0]))

	// So do they after years of renewals, in few look-ups.
	for range 40 {
		c.Set(other.Chain[0].NotAfter.Add(-time.Hour))
		other, err = a.User(t.Context(), anna)
		require.NoError(t, err)
	}
	last, err := openAt(t, path, c.Now).User(t.Context(), anna)
	require.NoError(t, err)
	require.True(t, last.Chain[0].Equal(other.Chain[0]))
	files, err := filepath.Glob(filepath.Join(path, "user-*"))
	require.NoError(t, err)
	require.Len(t, files, 42)
}

func TestCertificatesEndWithTheAuthority(t *testing.T) {
	t.Parallel()
	c := &clock{now: start}
	a := openAt(t, t.TempDir(), c.Now)
	end := a.Certificate().NotAfter
	c.Set(end.Add(-10 * 24 * time.Hour))
	last, err := a.User(t.Context(), anna)
	require.NoError(t, err)
	require.Equal(t, end, last.Chain[0].NotAfter)
	again, err := a.User(t.Context(), anna)
	require.NoError(t, err)
	require.True(t, again.Chain[0].Equal(last.Chain[0]))
	c.Set(end.Add(time.Hour))
	_, err = a.User(t.Context(), anna)
	require.ErrorIs(t, err, pki.ErrExpired)
}

// Goroutines of one process and of processes that share a directory, all on first use.
func TestConcurrentIssuingAgrees(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	openAt(t, path, nil)
	processes := []*pki.Authority{openAt(t, path, nil), openAt(t, path, nil)}
	const each = 8
	got := make([]*pki.Identity, each*len(processes))
	errs := make([]error, len(got))
	var group sync.WaitGroup
	for i := range got {
		group.Go(func() { got[i], errs[i] = processes[i%len(processes)].User(t.Context(), anna) })
	}
	group.Wait()
	for i := range got {
		require.NoError(t, errs[i])
		require.True(t, got[i].Chain[0].Equal(got[0].Chain[0]))
		require.Equal(t, got[0].Signer.Public(), got[i].Signer.Public())
	}
}

func TestConcurrentFirstOpenAgrees(t *testing.T) {
	t.Parallel()
	keeper, err := pki.NewDirectory(t.TempDir())
	require.NoError(t, err)
	opened := make([]*pki.Authority, 4)
	errs := make([]error, len(opened))
	var group sync.WaitGroup
	for i := range opened {
		group.Go(func() { opened[i], errs[i] = pki.Open(t.Context(), keeper, pki.Options{Passphrase: passphrase}) })
	}
	group.Wait()
	for i := range opened {
		require.NoError(t, errs[i])
		require.True(t, opened[i].Certificate().Equal(opened[0].Certificate()))
	}
}

func TestPassphraseIsNeeded(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	keeper, err := pki.NewDirectory(path)
	require.NoError(t, err)
	_, err = pki.Open(t.Context(), keeper, pki.Options{})
	require.ErrorIs(t, err, pki.ErrPassphrase)
	openAt(t, path, nil)
	_, err = pki.Open(t.Context(), keeper, pki.Options{Passphrase: []byte("guess")})
	require.ErrorIs(t, err, pki.ErrPassphrase)
	require.NotContains(t, err.Error(), "guess")
}

func TestFilesAreEncryptedAndPrivate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys")
	a := openAt(t, path, nil)
	user, err := a.User(t.Context(), anna)
	require.NoError(t, err)
	scalar, err := user.Signer.(*ecdsa.PrivateKey).Bytes()
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o700), info.Mode().Perm())
	entries, err := os.ReadDir(path)
	require.NoError(t, err)
	require.Len(t, entries, 3)
	for _, entry := range entries {
		info, err := entry.Info()
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), entry.Name())
		require.NotContains(t, strings.ToLower(entry.Name()), "anna")
		content, err := os.ReadFile(filepath.Join(path, entry.Name()))
		require.NoError(t, err)
		for _, encoded := range encodings(scalar) {
			require.NotContains(t, string(content), encoded)
		}
	}
}

func TestDamagedRecordsAreRefused(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	a := openAt(t, path, nil)
	bruno := pki.User{Customer: "demo", ExternalID: "brunoU", Name: "Bruno Example"}
	for _, u := range []pki.User{anna, bruno} {
		_, err := a.User(t.Context(), u)
		require.NoError(t, err)
	}
	files, err := filepath.Glob(filepath.Join(path, "user-*"))
	require.NoError(t, err)
	require.Len(t, files, 2)
	one, err := os.ReadFile(files[0])
	require.NoError(t, err)
	// Another user's record under this name is a key for the wrong person.
	require.NoError(t, os.WriteFile(files[1], one, 0o600))
	require.NoError(t, os.WriteFile(files[0], one[:len(one)/2], 0o600))
	b := openAt(t, path, nil)
	for _, u := range []pki.User{anna, bruno} {
		_, err = b.User(t.Context(), u)
		require.ErrorIs(t, err, pki.ErrCorrupt)
	}
	// A lock that would take all memory is refused before it is tried.
	require.NoError(t, os.WriteFile(filepath.Join(path, "lock"),
		[]byte(`{"version":1,"argon2Time":1,"argon2KiB":4294967295,"argon2Threads":1,"salt":"AAAAAAAAAAAAAAAAAAAAAA==","check":""}`), 0o600))
	keeper, err := pki.NewDirectory(path)
	require.NoError(t, err)
	_, err = pki.Open(t.Context(), keeper, pki.Options{Passphrase: passphrase})
	require.ErrorIs(t, err, pki.ErrCorrupt)
}

func TestCertifyUserBelievesOnlyTheKey(t *testing.T) {
	t.Parallel()
	a := openAt(t, t.TempDir(), nil)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	request := func(key crypto.Signer) []byte {
		template := &x509.CertificateRequest{DNSNames: []string{"example.org"}}
		template.Subject.CommonName = "Carla Example"
		der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
		require.NoError(t, err)
		return der
	}
	root := writePEM(t, a.Certificate())
	for _, key := range []crypto.Signer{edwards, p384} {
		chain, err := a.CertifyUser(request(key), anna)
		require.NoError(t, err)
		require.Equal(t, "Anna Example", chain[0].Subject.CommonName)
		require.Empty(t, chain[0].DNSNames)
		require.Equal(t, key.Public(), chain[0].PublicKey)
		openssl(t, "verify", "-x509_strict", "-CAfile", root, writePEM(t, chain[0]))
	}
	_, err = a.CertifyUser(request(p224), anna)
	require.ErrorIs(t, err, pki.ErrRequest)
	forged := request(p384)
	_, err = a.CertifyUser(bytes.Replace(forged, []byte("Carla"), []byte("Bruno"), 1), anna)
	require.ErrorIs(t, err, pki.ErrRequest)
	_, err = a.CertifyUser([]byte("noise"), anna)
	require.ErrorIs(t, err, pki.ErrRequest)
}

func TestNamesAreChecked(t *testing.T) {
	t.Parallel()
	a := openAt(t, t.TempDir(), nil)
	for _, u := range []pki.User{
		{}, {Customer: "demo", ExternalID: "x"}, {Customer: "demo", Name: "Anna"}, {ExternalID: "x", Name: "Anna"},
		{Customer: "demo", ExternalID: "x", Name: "An\x00na"}, {Customer: "demo", ExternalID: "x", Name: "\xff"},
		{Customer: "demo", ExternalID: "x", Name: "Anna\u202eExample"},
	} {
		_, err := a.User(t.Context(), u)
		require.ErrorIs(t, err, pki.ErrSubject)
	}
	_, err := a.Seal(t.Context(), pki.Organisation{})
	require.ErrorIs(t, err, pki.ErrSubject)
	for given, want := range map[string]string{
		"  Anna \t Example ":     "Anna Example",
		"Àñna Ελένη 安娜":          "Àñna Ελένη 安娜",
		strings.Repeat("Ä", 200): strings.Repeat("Ä", 64),
	} {
		identity, err := a.User(t.Context(), pki.User{Customer: "demo", ExternalID: "x", Name: given})
		require.NoError(t, err)
		require.Equal(t, want, identity.Chain[0].Subject.CommonName)
	}
}

func TestHandlerServesCertificates(t *testing.T) {
	t.Parallel()
	a := openAt(t, t.TempDir(), nil)
	server := httptest.NewServer(a.Handler(slog.New(slog.DiscardHandler)))
	t.Cleanup(server.Close)
	tsa, err := a.TSA(t.Context())
	require.NoError(t, err)
	for path, want := range map[string]*x509.Certificate{"/pki/ca.pem": a.Certificate(), "/pki/tsa.pem": tsa.Chain[0], "/pki/ca.cer": a.Certificate()} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		require.NoError(t, err)
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		var body bytes.Buffer
		_, err = body.ReadFrom(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusOK, response.StatusCode)
		if path == "/pki/ca.cer" {
			require.Equal(t, "application/pkix-cert", response.Header.Get("Content-Type"))
			require.Equal(t, want.Raw, body.Bytes())
			continue
		}
		block, rest := pem.Decode(body.Bytes())
		require.NotNil(t, block)
		require.Empty(t, rest)
		require.Equal(t, want.Raw, block.Bytes)
	}
}

func TestKeeperStopsWithItsContext(t *testing.T) {
	t.Parallel()
	keeper, err := pki.NewDirectory(t.TempDir())
	require.NoError(t, err)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = pki.Open(cancelled, keeper, pki.Options{Passphrase: passphrase})
	require.ErrorIs(t, err, context.Canceled)
}
