package cli_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf/pdftest"
	"signbus.dev/pkg/sign/signtest"
	"signbus.dev/pkg/sign/tsp"
)

// circle is an authority with all that a long-term signature asks for over HTTP: a list of revoked
// certificates, a time-stamp authority, and others that are of no use.
type circle struct {
	url     string
	revoked []x509.RevocationListEntry
	tsa     *tsp.Authority
	late    *tsp.Authority // its clock is an hour ahead
}

func newCircle(t *testing.T) *circle {
	t.Helper()
	c := &circle{}
	server := httptest.NewServer(http.HandlerFunc(c.serve))
	t.Cleanup(server.Close)
	c.url = server.URL
	key := signtest.Key("P-256")
	chain := c.certify("Test TSA", key.Public(), signtest.ForTimestamps(true))
	identity := func(context.Context) (crypto.Signer, []*x509.Certificate, error) { return key, chain, nil }
	c.tsa = must(tsp.NewAuthority(tsp.AuthorityOptions{Identity: identity}))
	c.late = must(tsp.NewAuthority(tsp.AuthorityOptions{Identity: identity, Now: func() time.Time { return time.Now().Add(time.Hour) }}))
	return c
}

func (c *circle) serve(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/crl":
		_, _ = w.Write(authority().CRL(time.Now().Add(-time.Minute), time.Now().Add(time.Hour), c.revoked...))
	case "/tsa":
		c.tsa.ServeHTTP(w, r)
	case "/late":
		c.late.ServeHTTP(w, r)
	case "/nonsense":
		w.Header().Set("Content-Type", "application/timestamp-reply")
		_, _ = w.Write([]byte("what time is it?"))
	case "/refusal":
		w.Header().Set("Content-Type", "application/timestamp-reply")
		_, _ = w.Write(must(asn1.Marshal(struct{ Status struct{ Status int } }{struct{ Status int }{2}})))
	default:
		http.NotFound(w, r)
	}
}

// certify makes the chain of a key, whose certificate says where the list is.
func (c *circle) certify(name string, public crypto.PublicKey, change ...func(*x509.Certificate)) []*x509.Certificate {
	listed := func(certificate *x509.Certificate) { certificate.CRLDistributionPoints = []string{c.url + "/crl"} }
	return certify(name, public, append(change, listed)...)
}

// newDesk is a desk whose key bruno.pem is of the circle.
func (c *circle) newDesk(t *testing.T) *desk {
	t.Helper()
	d := newDesk(t)
	d.write(t, "bruno.pem", append(signtest.KeyPEM(signtest.Key("RSA-2048")), signtest.CertificatePEM(c.certify("Bruno Example", signtest.Key("RSA-2048").Public())[0])...))
	d.write(t, "in.pdf", pdftest.Sample(1, "A contract"))
	d.write(t, "order.xml", []byte(data))
	return d
}

// levelOf is the level that verify finds of the only signature.
func (d *desk) levelOf(t *testing.T, name string) string {
	t.Helper()
	got := d.run(t, "verify", "@"+name, "--ca", "@ca.pem", "--json")
	require.Zero(t, got.code, got.errs)
	var report struct {
		Signatures []struct {
			Level        string
			DocTimestamp bool
		}
	}
	require.NoError(t, json.Unmarshal([]byte(got.out), &report))
	return report.Signatures[0].Level
}

func TestEveryLevel(t *testing.T) {
	t.Parallel()
	c := newCircle(t)
	d := c.newDesk(t)
	for _, level := range []string{"B-B", "B-T", "B-LT", "B-LTA"} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			out := level + ".pdf"
			args := []string{"--key", "@bruno.pem", "--pss", "--level", level, "--tsa", c.url + "/tsa", "--trust", "@ca.pem"}
			got := d.must(t, append([]string{"sign", "@in.pdf", "-o", "@" + out}, args...)...)
			require.Equal(t, level, got.Level)
			require.Equal(t, level, d.levelOf(t, out))
			require.Contains(t, signtest.Run(t, "pdfsig", d.path(out)), "Signature is Valid.")
			signtest.Run(t, "qpdf", "--check", d.path(out))
			if level == "B-LTA" {
				return
			}
			d.must(t, append([]string{"sign", "@order.xml", "-o", "@" + level + ".p7m"}, args...)...)
			require.Equal(t, level, d.levelOf(t, level+".p7m"))
			d.requireOpenSSL(t, level+".p7m", "")
		})
	}
	// Without a level, an authority makes it B-T.
	got := d.must(t, "sign", "@in.pdf", "-o", "@default.pdf", "--key", "@bruno.pem", "--tsa", c.url+"/tsa", "--trust", "@ca.pem")
	require.Equal(t, "B-T", got.Level)
}

func TestTimestampCommand(t *testing.T) {
	t.Parallel()
	c := newCircle(t)
	d := c.newDesk(t)
	tsa := []string{"--tsa", c.url + "/tsa", "--trust", "@ca.pem"}
	d.must(t, append([]string{"sign", "@in.pdf", "-o", "@1.pdf", "--key", "@bruno.pem"}, tsa...)...)
	require.Equal(t, "B-T", d.levelOf(t, "1.pdf"))
	got := d.must(t, append([]string{"timestamp", "@1.pdf", "-o", "@2.pdf"}, tsa...)...)
	require.Equal(t, 1, got.Signatures)
	require.Empty(t, got.Level)
	require.Equal(t, "B-LTA", d.levelOf(t, "2.pdf"))
	d.must(t, append([]string{"timestamp", "@2.pdf", "-o", "@3.pdf"}, tsa...)...)
	require.Equal(t, "B-LTA", d.levelOf(t, "3.pdf"))
	require.True(t, bytes.HasPrefix(d.read(t, "3.pdf"), d.read(t, "2.pdf")))
	signtest.Run(t, "qpdf", "--check", d.path("3.pdf"))

	before := d.left(t)
	for _, r := range []struct {
		args []string
		exit int
		says string
	}{
		{[]string{"@1.pdf", "-o", "@x.pdf"}, 2, "--tsa"},
		{[]string{"@1.pdf", "--tsa", c.url + "/tsa"}, 2, "-o"},
		{[]string{"@1.pdf", "-o", "@1.pdf", "--force", "--tsa", c.url + "/tsa", "--trust", "@ca.pem"}, 1, "OUTPUT_IS_INPUT"},
		{[]string{"@1.pdf", "-o", "@x.pdf", "--tsa", c.url + "/nonsense", "--trust", "@ca.pem"}, 1, "TSA_REPLY"},
		{[]string{"@order.xml", "-o", "@x.pdf", "--tsa", c.url + "/tsa", "--trust", "@ca.pem"}, 1, "PDF_FORMAT"},
	} {
		got := d.run(t, append([]string{"timestamp"}, r.args...)...)
		require.Equal(t, r.exit, got.code, r.args)
		require.Contains(t, got.errs, r.says)
		require.Equal(t, before, d.left(t))
	}
}

// TestFallBack: of several authorities the next is asked when one fails.
func TestFallBack(t *testing.T) {
	t.Parallel()
	c := newCircle(t)
	d := c.newDesk(t)
	got := d.must(t, "sign", "@in.pdf", "-o", "@out.pdf", "--key", "@bruno.pem", "--level", "B-LTA", "--trust", "@ca.pem",
		"--tsa", "http://127.0.0.1:1/", "--tsa", c.url+"/nonsense", "--tsa", c.url+"/tsa")
	require.Equal(t, "B-LTA", got.Level)
	require.Equal(t, "B-LTA", d.levelOf(t, "out.pdf"))
	none := d.run(t, "sign", "@in.pdf", "-o", "@none.pdf", "--key", "@bruno.pem", "--trust", "@ca.pem", "--tsa", "http://127.0.0.1:1/", "--tsa", c.url+"/nonsense")
	require.Equal(t, 1, none.code)
	require.Contains(t, none.errs, "TSA_UNAVAILABLE")
	require.Contains(t, none.errs, "127.0.0.1:1")
	require.NoFileExists(t, d.path("none.pdf"))
}

// TestAuthoritiesThatFail: the level asked for is reached or nothing is written.
func TestAuthoritiesThatFail(t *testing.T) {
	t.Parallel()
	c := newCircle(t)
	d := c.newDesk(t)
	unlisted := signtest.CertificatePEM(certify("Carla", p256().Public())[0])
	d.write(t, "carla.pem", append(signtest.KeyPEM(p256()), unlisted...))
	gone := c.certify("Dora", p256().Public())[0]
	d.write(t, "dora.pem", append(signtest.KeyPEM(p256()), signtest.CertificatePEM(gone)...))
	c.revoked = []x509.RevocationListEntry{{SerialNumber: gone.SerialNumber, RevocationTime: time.Now().Add(-time.Minute)}}
	before := d.left(t)
	for _, r := range []struct{ key, level, path, code, says string }{
		{"bruno", "B-T", "/nonsense", "TSA_REPLY", "not a time-stamp reply"},
		{"bruno", "B-T", "/refusal", "TSA_REFUSED", "status 2"},
		{"bruno", "B-T", "/late", "TSA_REPLY", "clock"},
		{"bruno", "B-T", "/nowhere", "TSA_UNAVAILABLE", "404"},
		{"carla", "B-LT", "/tsa", "REVOCATION_UN", "revocation"},
		{"dora", "B-LT", "/tsa", "CERTIFICATE_REVOKED", "revoked"},
	} {
		for _, file := range []string{"@in.pdf", "@order.xml"} {
			got := d.run(t, "sign", file, "-o", "@out", "--key", "@"+r.key+".pem", "--level", r.level, "--tsa", c.url+r.path, "--trust", "@ca.pem")
			require.Equal(t, 1, got.code, r)
			require.Contains(t, got.errs, r.code, r)
			require.Contains(t, got.errs, r.says, r)
			require.Equal(t, before, d.left(t), r)
		}
	}
	// A time-stamp of somebody whom nobody trusts does not count either.
	d.write(t, "stranger.pem", unlisted)
	got := d.run(t, "sign", "@in.pdf", "-o", "@out.pdf", "--key", "@bruno.pem", "--tsa", c.url+"/tsa", "--trust", "@stranger.pem")
	require.Equal(t, 1, got.code)
	require.Contains(t, got.errs, "TSA_REPLY")
}

// Somebody writes to the file while it is signed.
func TestInputThatChanges(t *testing.T) {
	t.Parallel()
	c := newCircle(t)
	d := c.newDesk(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.write(t, "in.pdf", append(pdftest.Sample(1, "A contract"), " "...))
		c.tsa.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	before := d.left(t)
	got := d.run(t, "sign", "@in.pdf", "-o", "@out.pdf", "--key", "@bruno.pem", "--level", "B-T", "--tsa", server.URL, "--trust", "@ca.pem")
	require.Equal(t, 1, got.code)
	require.Contains(t, got.errs, "INPUT_CHANGED")
	require.Equal(t, before, d.left(t))
	got = d.run(t, "sign", "@nothing.pdf", "-o", "@out.pdf", "--key", "@bruno.pem")
	require.Equal(t, 1, got.code)
	require.Contains(t, got.errs, "FILE_ACCESS")
	got = d.run(t, "sign", "@in.pdf", "-o", "@none/out.pdf", "--key", "@bruno.pem")
	require.Contains(t, got.errs, "FILE_ACCESS")
	require.NotContains(t, got.errs, ".signbus-")
}
