package pki_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"

	"signbus.dev/pkg/pki"
)

// served is an authority with its pages on a server that its certificates name.
type served struct {
	*pki.Authority

	url, root string
}

func serve(t testing.TB, now func() time.Time) *served {
	t.Helper()
	var authority *pki.Authority
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		authority.Handler(slog.New(slog.DiscardHandler)).ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	authority = openAt(t, t.TempDir(), now, func(o *pki.Options) { o.PublicURL = server.URL + "/" })
	return &served{Authority: authority, url: server.URL, root: writePEM(t, authority.Certificate())}
}

// fetch returns status, content type and body.
func fetch(t testing.TB, method, address, kind string, body []byte) (int, string, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, bytes.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", kind)
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode, response.Header.Get("Content-Type"), answer
}

func (s *served) user(t testing.TB, name string) *x509.Certificate {
	t.Helper()
	identity, err := s.User(t.Context(), pki.User{Customer: "demo", ExternalID: name, Name: name})
	require.NoError(t, err)
	return identity.Chain[0]
}

func TestCertificatesNameWhereTheirStatusIs(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	leaf := s.user(t, "anna")
	require.Equal(t, []string{s.url + "/pki/ocsp"}, leaf.OCSPServer)
	require.Equal(t, []string{s.url + "/pki/ca.crl"}, leaf.CRLDistributionPoints)
	require.Equal(t, []string{s.url + "/pki/ca.cer"}, leaf.IssuingCertificateURL)
	for _, address := range append(leaf.IssuingCertificateURL, leaf.CRLDistributionPoints...) {
		status, _, _ := fetch(t, http.MethodGet, address, "", nil)
		require.Equal(t, http.StatusOK, status, address)
	}
	seal, err := s.Seal(t.Context(), pki.Organisation{Customer: "demo"})
	require.NoError(t, err)
	tsa, err := s.TSA(t.Context())
	require.NoError(t, err)
	for _, c := range []*x509.Certificate{seal.Chain[0], tsa.Chain[0]} {
		require.Equal(t, leaf.OCSPServer, c.OCSPServer)
		require.Equal(t, leaf.CRLDistributionPoints, c.CRLDistributionPoints)
	}
}

// Who moves to another address gets certificates that name it.
func TestCertificatesFollowThePublicURL(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	first, err := openAt(t, path, nil).User(t.Context(), anna)
	require.NoError(t, err)
	moved := openAt(t, path, nil, func(o *pki.Options) { o.PublicURL = "https://sign.example.com" })
	second, err := moved.User(t.Context(), anna)
	require.NoError(t, err)
	require.False(t, second.Chain[0].Equal(first.Chain[0]))
	require.Equal(t, []string{"https://sign.example.com/pki/ocsp"}, second.Chain[0].OCSPServer)
	again, err := moved.User(t.Context(), anna)
	require.NoError(t, err)
	require.True(t, again.Chain[0].Equal(second.Chain[0]))
}

func (s *served) crlFile(t testing.TB) string {
	t.Helper()
	status, kind, der := fetch(t, http.MethodGet, s.url+"/pki/ca.crl", "", nil)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "application/pkix-crl", kind)
	path := filepath.Join(t.TempDir(), "ca.crl.pem")
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), 0o600))
	return path
}

func TestOpenSSLReadsTheCRL(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	good, bad := s.user(t, "anna"), s.user(t, "bruno")
	empty := s.crlFile(t)
	openssl(t, "verify", "-x509_strict", "-crl_check", "-CRLfile", empty, "-CAfile", s.root, writePEM(t, bad))

	at := time.Now().UTC().Truncate(time.Second)
	_, err := s.Revoke(t.Context(), bad.SerialNumber, pki.KeyCompromise, at)
	require.NoError(t, err)
	list := s.crlFile(t)
	require.Contains(t, openssl(t, "crl", "-in", list, "-noout", "-verify", "-CAfile", s.root), "verify OK")
	text := openssl(t, "crl", "-in", list, "-noout", "-text")
	require.Contains(t, text, "Serial Number: "+strings.ToUpper(fmt.Sprintf("%x", bad.SerialNumber)))
	require.Contains(t, text, "Revocation Date: "+at.Format("Jan _2 15:04:05 2006 GMT"))
	require.Contains(t, text, "Key Compromise")
	require.Regexp(t, `X509v3 CRL Number:\s+\d+`, text)
	require.Equal(t, 1, strings.Count(text, "Serial Number:"))

	openssl(t, "verify", "-crl_check", "-CRLfile", list, "-CAfile", s.root, writePEM(t, good))
	require.Contains(t, opensslFails(t, "verify", "-crl_check", "-CRLfile", list, "-CAfile", s.root, writePEM(t, bad)), "certificate revoked")
}

func TestOpenSSLAsksTheResponder(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	good, bad := s.user(t, "anna"), s.user(t, "bruno")
	_, err := s.Revoke(t.Context(), bad.SerialNumber, pki.AffiliationChanged, time.Time{})
	require.NoError(t, err)
	for _, hash := range []string{"-sha1", "-sha256", "-sha384", "-sha512"} {
		text := openssl(t, "ocsp", "-issuer", s.root, "-CAfile", s.root, "-url", s.url+"/pki/ocsp", hash,
			"-cert", writePEM(t, good), hash, "-cert", writePEM(t, bad), hash, "-serial", "0x1234")
		require.Contains(t, text, "Response verify OK")
		require.NotContains(t, text, "nonce") // OpenSSL warns when the nonce does not come back.
		require.Contains(t, text, "certificate.pem: good")
		require.Contains(t, text, "certificate.pem: revoked")
		require.Contains(t, text, "Reason: affiliationChanged")
		require.Contains(t, text, "0x1234: unknown")
	}
	text := openssl(t, "ocsp", "-issuer", s.root, "-CAfile", s.root, "-url", s.url+"/pki/ocsp", "-no_nonce", "-resp_text", "-cert", writePEM(t, good))
	require.Contains(t, text, "Response verify OK")
	require.Contains(t, text, "OCSP Signing")
	require.Contains(t, text, "OCSP No Check")
	require.Contains(t, text, "CN = Signbus Development OCSP Responder")
	require.Contains(t, text, "OCSP Archive Cutoff")
}

// opensslFails runs OpenSSL, which must refuse, and returns what it says.
func opensslFails(t testing.TB, arguments ...string) string {
	t.Helper()
	output, err := runOpenSSL(t, arguments...)
	require.Error(t, err, "openssl %v: %s", arguments, output)
	return output
}

// Only a number that the authority gave is good; near misses and numbers of others are not.
func TestOnlyIssuedCertificatesAreGood(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	leaf := s.user(t, "anna")
	other := serve(t, nil)
	changed := func(bit uint) *big.Int {
		return new(big.Int).Xor(leaf.SerialNumber, new(big.Int).Lsh(big.NewInt(1), bit))
	}
	for name, c := range map[string]struct {
		serial *big.Int
		want   int
	}{
		"issued": {leaf.SerialNumber, ocsp.Good}, "last bit": {changed(0), ocsp.Unknown}, "first bit": {changed(150), ocsp.Unknown},
		"zero": {big.NewInt(0), ocsp.Unknown}, "negative": {new(big.Int).Neg(leaf.SerialNumber), ocsp.Unknown},
		"long": {new(big.Int).Lsh(leaf.SerialNumber, 64), ocsp.Unknown}, "of another authority": {other.user(t, "anna").SerialNumber, ocsp.Unknown},
	} {
		response := ask(t, s.Authority, s.Certificate(), c.serial)
		require.Equal(t, c.want, response.Status, name)
		require.Equal(t, c.want == ocsp.Good, s.Issued(c.serial), name)
	}
	require.Equal(t, ocsp.Unknown, ask(t, s.Authority, other.Certificate(), leaf.SerialNumber).Status, "under the name of another issuer")
	require.False(t, s.Issued(nil))
}

// ask asks in process, as a client that knows the issuer would.
func ask(t testing.TB, a *pki.Authority, issuer *x509.Certificate, serial *big.Int) *ocsp.Response {
	t.Helper()
	query, err := ocsp.CreateRequest(&x509.Certificate{SerialNumber: serial}, issuer, nil)
	require.NoError(t, err)
	der, err := a.RespondOCSP(t.Context(), query)
	require.NoError(t, err)
	response, err := ocsp.ParseResponse(der, a.Certificate())
	require.NoError(t, err)
	return response
}

func TestResponderOverHTTP(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	leaf := s.user(t, "anna")
	query, err := ocsp.CreateRequest(leaf, s.Certificate(), nil)
	require.NoError(t, err)
	text := base64.StdEncoding.EncodeToString(query)
	var first []byte
	for _, address := range []string{s.url + "/pki/ocsp/" + url.QueryEscape(text), s.url + "/pki/ocsp/" + url.PathEscape(text)} {
		status, kind, der := fetch(t, http.MethodGet, address, "", nil)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "application/ocsp-response", kind)
		response, err := ocsp.ParseResponseForCert(der, leaf, s.Certificate())
		require.NoError(t, err)
		require.Equal(t, ocsp.Good, response.Status)
		require.WithinDuration(t, time.Now().Add(24*time.Hour), response.NextUpdate, time.Minute)
		if first != nil {
			require.Equal(t, first, der, "signed once for a minute")
		}
		first = der
	}
	const kind = "application/ocsp-request"
	status, _, der := fetch(t, http.MethodPost, s.url+"/pki/ocsp", kind, query)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, first, der)

	malformed := []byte{0x30, 3, 10, 1, 1}
	for name, c := range map[string]struct {
		method, path, kind string
		body               []byte
		status             int
		answer             []byte
	}{
		"noise":        {http.MethodPost, "", kind, []byte("noise"), http.StatusOK, malformed},
		"nothing":      {http.MethodPost, "", kind, nil, http.StatusOK, malformed},
		"too long":     {http.MethodPost, "", kind, make([]byte, 10<<10), http.StatusRequestEntityTooLarge, nil},
		"other type":   {http.MethodPost, "", "text/plain", query, http.StatusUnsupportedMediaType, nil},
		"not base64":   {http.MethodGet, "/%00", "", nil, http.StatusBadRequest, nil},
		"other method": {http.MethodDelete, "", "", nil, http.StatusMethodNotAllowed, nil},
	} {
		status, _, body := fetch(t, c.method, s.url+"/pki/ocsp"+c.path, c.kind, c.body)
		require.Equal(t, c.status, status, name)
		if c.answer != nil {
			require.Equal(t, c.answer, body, name)
		}
	}
}

func TestRevokeRefuses(t *testing.T) {
	t.Parallel()
	a := openAt(t, t.TempDir(), nil)
	user, err := a.User(t.Context(), anna)
	require.NoError(t, err)
	number := user.Chain[0].SerialNumber
	for name, c := range map[string]struct {
		serial *big.Int
		reason pki.Reason
		at     time.Time
		want   error
	}{
		"unknown number": {big.NewInt(7), pki.Unspecified, time.Time{}, pki.ErrNotIssued},
		"no number":      {nil, pki.Unspecified, time.Time{}, pki.ErrNotIssued},
		"the authority":  {a.Certificate().SerialNumber, pki.Unspecified, time.Time{}, pki.ErrNotIssued},
		"hold":           {number, 6, time.Time{}, pki.ErrReason},
		"future":         {number, pki.Unspecified, time.Now().Add(time.Hour), pki.ErrTime},
		"long ago":       {number, pki.Unspecified, time.Now().AddDate(-1, 0, 0), pki.ErrTime},
	} {
		_, err := a.Revoke(t.Context(), c.serial, c.reason, c.at)
		require.ErrorIs(t, err, c.want, name)
	}
	for _, reason := range []string{"unspecified", "keyCompromise", "cACompromise", "affiliationChanged", "superseded", "cessationOfOperation", "privilegeWithdrawn"} {
		parsed, err := pki.ParseReason(reason)
		require.NoError(t, err)
		require.Equal(t, reason, parsed.String())
	}
	_, err = pki.ParseReason("certificateHold")
	require.ErrorIs(t, err, pki.ErrReason)
	list, err := a.Revoked(t.Context())
	require.NoError(t, err)
	require.Empty(t, list)
}

// The first revocation stays; every process knows it within a minute, and after a restart.
func TestRevocationIsDurableAndShared(t *testing.T) {
	t.Parallel()
	path, c := t.TempDir(), &clock{now: start}
	a, b := openAt(t, path, c.Now), openAt(t, path, c.Now)
	user, err := a.User(t.Context(), anna)
	require.NoError(t, err)
	leaf := user.Chain[0]
	require.Equal(t, ocsp.Good, ask(t, b, b.Certificate(), leaf.SerialNumber).Status)
	same, err := b.User(t.Context(), anna)
	require.NoError(t, err)
	require.True(t, same.Chain[0].Equal(leaf))

	revoked, err := a.Revoke(t.Context(), leaf.SerialNumber, pki.KeyCompromise, start)
	require.NoError(t, err)
	require.Equal(t, pki.KeyCompromise, revoked.Reason)
	again, err := b.Revoke(t.Context(), leaf.SerialNumber, pki.Superseded, start.Add(-time.Minute))
	require.NoError(t, err)
	require.Equal(t, revoked, again)
	require.Equal(t, ocsp.Revoked, ask(t, a, a.Certificate(), leaf.SerialNumber).Status, "at once where it was done")

	d := openAt(t, path, c.Now)
	require.Equal(t, ocsp.Revoked, ask(t, d, d.Certificate(), leaf.SerialNumber).Status)
	other, err := a.User(t.Context(), pki.User{Customer: "demo", ExternalID: "bruno", Name: "Bruno"})
	require.NoError(t, err)
	_, err = a.Revoke(t.Context(), other.Chain[0].SerialNumber, pki.Unspecified, time.Time{})
	require.NoError(t, err)
	require.Equal(t, ocsp.Good, ask(t, d, d.Certificate(), other.Chain[0].SerialNumber).Status)
	c.Set(start.Add(time.Minute))
	require.Equal(t, ocsp.Revoked, ask(t, d, d.Certificate(), other.Chain[0].SerialNumber).Status, "elsewhere after a minute")

	// A new certificate with a new key takes the revoked one's place.
	fresh, err := d.User(t.Context(), anna)
	require.NoError(t, err)
	require.False(t, fresh.Chain[0].Equal(leaf))
	require.NotEqual(t, user.Signer.Public(), fresh.Signer.Public())
	require.Equal(t, ocsp.Good, ask(t, d, d.Certificate(), fresh.Chain[0].SerialNumber).Status)

	// What has expired stays on the list.
	c.Set(start.AddDate(1, 0, 0))
	der, err := d.CRL(t.Context())
	require.NoError(t, err)
	list, err := x509.ParseRevocationList(der)
	require.NoError(t, err)
	require.NoError(t, list.CheckSignatureFrom(d.Certificate()))
	require.Len(t, list.RevokedCertificateEntries, 2)
	require.Equal(t, c.Now(), list.ThisUpdate)
	sameList, err := d.CRL(t.Context())
	require.NoError(t, err)
	require.Equal(t, der, sameList)
}

func TestResponderRenewsItself(t *testing.T) {
	t.Parallel()
	c := &clock{now: start}
	a := openAt(t, t.TempDir(), c.Now)
	user, err := a.User(t.Context(), anna)
	require.NoError(t, err)
	first := ask(t, a, a.Certificate(), user.Chain[0].SerialNumber)
	c.Set(start.AddDate(0, 0, 25))
	second := ask(t, a, a.Certificate(), user.Chain[0].SerialNumber)
	require.False(t, second.Certificate.Equal(first.Certificate))
	require.True(t, second.Certificate.NotAfter.After(c.Now().AddDate(0, 0, 29)))

	c.Set(a.Certificate().NotAfter.Add(time.Hour))
	query, err := ocsp.CreateRequest(user.Chain[0], a.Certificate(), nil)
	require.NoError(t, err)
	der, err := a.RespondOCSP(t.Context(), query)
	require.ErrorIs(t, err, pki.ErrExpired)
	require.Equal(t, ocsp.TryLaterErrorResponse, der)
	_, err = a.CRL(t.Context())
	require.ErrorIs(t, err, pki.ErrExpired)
}

// failing is a Keeper whose listing can fail.
type failing struct {
	pki.Keeper

	mu  sync.Mutex
	err error
}

func (k *failing) Each(ctx context.Context, kind string, f func(string, []byte) error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		return k.err
	}
	return k.Keeper.Each(ctx, kind, f)
}

// When nobody knows what is revoked, nothing is good and nothing is signed.
func TestNothingIsGoodWithoutTheList(t *testing.T) {
	t.Parallel()
	keeper, err := pki.NewDirectory(t.TempDir())
	require.NoError(t, err)
	k := &failing{Keeper: keeper}
	c := &clock{now: start}
	a, err := pki.Open(t.Context(), k, pki.Options{Passphrase: passphrase, Now: c.Now})
	require.NoError(t, err)
	user, err := a.User(t.Context(), anna)
	require.NoError(t, err)
	c.Set(start.Add(time.Hour))
	k.mu.Lock()
	k.err = errors.New("disk is gone")
	k.mu.Unlock()
	_, err = a.User(t.Context(), anna)
	require.ErrorContains(t, err, "disk is gone")
	_, err = a.CRL(t.Context())
	require.ErrorContains(t, err, "disk is gone")
	_, _, _, err = a.Revocation(t.Context(), user.Chain)
	require.ErrorContains(t, err, "disk is gone")
	server := httptest.NewServer(a.Handler(slog.New(slog.DiscardHandler)))
	t.Cleanup(server.Close)
	status, _, _ := fetch(t, http.MethodGet, server.URL+"/pki/ca.crl", "", nil)
	require.Equal(t, http.StatusServiceUnavailable, status)
	query, err := ocsp.CreateRequest(user.Chain[0], a.Certificate(), nil)
	require.NoError(t, err)
	status, _, der := fetch(t, http.MethodPost, server.URL+"/pki/ocsp", "application/ocsp-request", query)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, ocsp.TryLaterErrorResponse, der)
}

func TestDamagedRevocationIsNoticed(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	a := openAt(t, path, nil)
	user, err := a.User(t.Context(), anna)
	require.NoError(t, err)
	_, err = a.Revoke(t.Context(), user.Chain[0].SerialNumber, pki.Unspecified, time.Time{})
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(path, "revoked-*"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	require.NoError(t, os.WriteFile(files[0], []byte("{}"), 0o600))
	_, err = openAt(t, path, nil).Revoked(t.Context())
	require.ErrorIs(t, err, pki.ErrCorrupt)
}

func TestLifetimesAreOptions(t *testing.T) {
	t.Parallel()
	a := openAt(t, t.TempDir(), nil, func(o *pki.Options) { o.UserLife = 2 * time.Hour })
	user, err := a.User(t.Context(), anna)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(2*time.Hour), user.Chain[0].NotAfter, time.Minute)
	keeper, err := pki.NewDirectory(t.TempDir())
	require.NoError(t, err)
	_, err = pki.Open(t.Context(), keeper, pki.Options{Passphrase: passphrase, SealLife: time.Minute})
	require.ErrorContains(t, err, "1h0m0s at least")
}

// FuzzRespondOCSP: any request gets an answer, and none is good that does not name an issued certificate.
func FuzzRespondOCSP(f *testing.F) {
	keeper, err := pki.NewDirectory(f.TempDir())
	require.NoError(f, err)
	a, err := pki.Open(f.Context(), keeper, pki.Options{Passphrase: passphrase})
	require.NoError(f, err)
	user, err := a.User(f.Context(), anna)
	require.NoError(f, err)
	query, err := ocsp.CreateRequest(user.Chain[0], a.Certificate(), nil)
	require.NoError(f, err)
	f.Add(query)
	f.Add([]byte("noise"))
	f.Fuzz(func(t *testing.T, query []byte) {
		der, err := a.RespondOCSP(t.Context(), query)
		require.NoError(t, err)
		if response, err := ocsp.ParseResponse(der, a.Certificate()); err == nil && response.Status == ocsp.Good {
			require.True(t, a.Issued(response.SerialNumber))
		}
	})
}
