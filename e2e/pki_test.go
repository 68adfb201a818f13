package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// testPKI asks the authorities of the bus as strangers do, and revokes as an operator does.
// What is revoked is the certificate of the OCSP responder, which nothing else here needs
// and which renews itself.
func testPKI(t *testing.T, b *bus) {
	e, folder := b.eyes(t), t.TempDir()
	path := func(name string) string { return filepath.Join(folder, name) }
	fetch := func(address string) string {
		a := call(t, http.MethodGet, b.book+"/pki/"+address, nil)
		require.Equal(t, http.StatusOK, a.status, address)
		require.NoError(t, os.WriteFile(path(address), a.body, 0o600))
		return path(address)
	}
	require.Contains(t, ask(t, "openssl", "openssl", "crl", "-inform", "DER", "-in", fetch("ca.crl"), "-noout", "-verify", "-CAfile", e.ca), "verify OK")
	require.NotEmpty(t, ask(t, "openssl", "openssl", "x509", "-inform", "DER", "-in", fetch("ca.cer"), "-noout", "-subject"))
	tsa := fetch("tsa.pem")
	status := func(name ...string) string {
		return ask(t, "openssl", "openssl", append([]string{"ocsp", "-issuer", e.ca, "-CAfile", e.ca, "-url", b.book + "/pki/ocsp"}, name...)...)
	}
	require.Contains(t, status("-cert", tsa), "tsa.pem: good")

	ask(t, "openssl", "openssl", "ts", "-query", "-data", e.ca, "-sha256", "-cert", "-out", path("query"))
	query, err := os.ReadFile(path("query"))
	require.NoError(t, err)
	a := call(t, http.MethodPost, b.book+"/pki/tsa", query, "Content-Type", "application/timestamp-query")
	require.Equal(t, http.StatusOK, a.status)
	require.NoError(t, os.WriteFile(path("reply"), a.body, 0o600))
	require.Contains(t, ask(t, "openssl", "openssl", "ts", "-verify", "-queryfile", path("query"), "-in", path("reply"), "-CAfile", e.ca), "Verification: OK")

	listed := lines(t, b.signbus(t, "pki", "list", "--name", "ocsp responder", "--json").out)
	require.NotEmpty(t, listed)
	serial := listed[0]["serial"].(string)
	require.Contains(t, status("-serial", "0x"+serial), ": good")
	b.signbus(t, "pki", "revoke", serial, "--reason", "superseded")
	require.Contains(t, status("-serial", "0x"+serial), ": revoked")
	after := b.signbus(t, "pki", "list", "--all", "--json").out
	require.Contains(t, after, `"reason":"superseded"`)
	require.Equal(t, 1, b.try(t, "pki", "revoke", strings.Repeat("1", 38)).code)
}
