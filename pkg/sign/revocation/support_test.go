package revocation_test

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
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

	"signbus.dev/pkg/sign/revocation"
	"signbus.dev/pkg/sign/signtest"
)

var now = signtest.Now

// authority is a certificate authority whose OCSP responses and CRLs OpenSSL makes.
type authority struct {
	*signtest.Authority

	t      testing.TB
	folder string
	server *httptest.Server

	mu sync.Mutex
	// index is OpenSSL's database: one line for each certificate.
	index []string
	// responder signs OCSP responses; the authority itself when nil.
	responder    *x509.Certificate
	responderKey crypto.Signer
	// kind is that of the keys that are issued for; signing says how responses are signed.
	kind    string
	signing []string
	// answer replaces what the server says at a path.
	answer map[string]http.HandlerFunc
	hits   map[string]int
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{Authority: signtest.NewAuthority(), t: t, folder: t.TempDir(), kind: "P-256", signing: []string{"-rmd", "sha256"}, answer: map[string]http.HandlerFunc{}, hits: map[string]int{}}
	a.server = httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(a.server.Close)
	a.write("ca.pem", signtest.CertificatePEM(a.Certificate))
	a.write("ca.key", signtest.KeyPEM(a.Key))
	config := fmt.Sprintf("[ca]\ndefault_ca=d\n[d]\ndatabase=%[1]s/index.txt\ncertificate=%[1]s/ca.pem\nprivate_key=%[1]s/ca.key\n"+
		"default_md=sha256\ncrlnumber=%[1]s/number\n", a.folder)
	require.NoError(t, os.WriteFile(filepath.Join(a.folder, "ca.conf"), []byte(config), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(a.folder, "number"), []byte("01\n"), 0o600))
	return a
}

func (a *authority) write(name string, text []byte) string {
	path := filepath.Join(a.folder, name)
	require.NoError(a.t, os.WriteFile(path, text, 0o600))
	return path
}

// issue makes a leaf with OCSP, CRL and issuer addresses on the authority's server.
func (a *authority) issue(change ...func(*x509.Certificate)) (*x509.Certificate, crypto.Signer) {
	key := signtest.Key(a.kind)
	certificate := a.Issue(key.Public(), append([]func(*x509.Certificate){signtest.Valid(now.Add(-time.Hour), now.AddDate(1, 0, 0)), func(c *x509.Certificate) {
		c.OCSPServer, c.CRLDistributionPoints = []string{a.server.URL + "/ocsp"}, []string{a.server.URL + "/ca.crl"}
		c.IssuingCertificateURL = []string{a.server.URL + "/ca.cer"}
	}}, change...)...)[0]
	a.mu.Lock()
	defer a.mu.Unlock()
	a.index = append(a.index, fmt.Sprintf("V\t%[1]s\t\t%[2]X\tunknown\t/CN=%[2]X", certificate.NotAfter.Format("060102150405Z"), certificate.SerialNumber))
	return certificate, key
}

func (a *authority) revoke(certificate *x509.Certificate, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, line := range a.index {
		parts := strings.Split(line, "\t")
		if parts[3] == fmt.Sprintf("%X", certificate.SerialNumber) {
			parts[0], parts[2] = "R", at.UTC().Format("060102150405Z")+",keyCompromise"
			a.index[i] = strings.Join(parts, "\t")
		}
	}
}

// delegate lets a certificate of its own sign OCSP responses.
func (a *authority) delegate(change ...func(*x509.Certificate)) {
	change = append([]func(*x509.Certificate){func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: "Responder"}
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
		c.OCSPServer, c.CRLDistributionPoints, c.IssuingCertificateURL = nil, nil, nil
	}}, change...)
	a.responder, a.responderKey = a.issue(change...)
	a.write("responder.pem", signtest.CertificatePEM(a.responder))
	a.write("responder.key", signtest.KeyPEM(a.responderKey))
}

func noCheck(c *x509.Certificate) {
	c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: asn1.NullBytes})
}

func (a *authority) writeIndex() {
	require.NoError(a.t, os.WriteFile(filepath.Join(a.folder, "index.txt"), []byte(strings.Join(a.index, "\n")+"\n"), 0o600))
}

// respond has OpenSSL answer a request.
func (a *authority) respond(query []byte) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.writeIndex()
	in, out := filepath.Join(a.folder, "request.der"), filepath.Join(a.folder, "response.der")
	require.NoError(a.t, os.WriteFile(in, query, 0o600))
	signer := "ca"
	if a.responder != nil {
		signer = "responder"
	}
	signtest.OpenSSL(a.t, append([]string{
		"ocsp", "-index", filepath.Join(a.folder, "index.txt"), "-CA", filepath.Join(a.folder, "ca.pem"),
		"-rsigner", filepath.Join(a.folder, signer+".pem"), "-rkey", filepath.Join(a.folder, signer+".key"),
		"-reqin", in, "-respout", out, "-ndays", "2",
	}, a.signing...)...)
	der, err := os.ReadFile(out)
	require.NoError(a.t, err)
	return der
}

// list has OpenSSL make a CRL.
func (a *authority) list() []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.writeIndex()
	out := filepath.Join(a.folder, "crl.pem")
	signtest.OpenSSL(a.t, "ca", "-config", filepath.Join(a.folder, "ca.conf"), "-gencrl", "-crldays", "3", "-out", out)
	text, err := os.ReadFile(out)
	require.NoError(a.t, err)
	block, _ := pem.Decode(text)
	return block.Bytes
}

func (a *authority) serve(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if strings.HasPrefix(path, "/ocsp/") {
		path = "/ocsp"
	}
	a.mu.Lock()
	a.hits[r.Method+" "+path]++
	answer := a.answer[path]
	a.mu.Unlock()
	switch {
	case answer != nil:
		answer(w, r)
	case path == "/ocsp" && r.Method == http.MethodPost:
		query, _ := io.ReadAll(r.Body)
		_, _ = w.Write(a.respond(query))
	case path == "/ocsp":
		escaped, _ := url.PathUnescape(strings.TrimPrefix(r.URL.EscapedPath(), "/ocsp/"))
		query, err := base64.StdEncoding.DecodeString(escaped)
		if err != nil {
			http.Error(w, "", http.StatusBadRequest)
			return
		}
		_, _ = w.Write(a.respond(query))
	case path == "/ca.crl":
		_, _ = w.Write(a.list())
	case path == "/ca.cer":
		_, _ = w.Write(a.Certificate.Raw)
	default:
		http.NotFound(w, r)
	}
}

func (a *authority) set(path string, answer http.HandlerFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer[path] = answer
}

func (a *authority) hit(what string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.hits[what]
}

func (a *authority) chain(leaf *x509.Certificate) []*x509.Certificate {
	return []*x509.Certificate{leaf, a.Certificate}
}

// forge makes a response with the library, for times and signers that OpenSSL refuses.
func forge(t testing.TB, issuer, responder *x509.Certificate, key crypto.Signer, template ocsp.Response) []byte {
	t.Helper()
	if template.ThisUpdate.IsZero() {
		template.ThisUpdate, template.NextUpdate = now.Add(-time.Hour), now.Add(time.Hour)
	}
	der, err := ocsp.CreateResponse(issuer, responder, template, key)
	require.NoError(t, err)
	return der
}

func fixed(der []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(der) }
}

func collector(change ...func(*revocation.Options)) *revocation.Collector {
	options := revocation.Options{Now: func() time.Time { return now }}
	for _, f := range change {
		f(&options)
	}
	return revocation.NewCollector(options)
}
