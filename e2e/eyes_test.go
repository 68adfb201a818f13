package e2e

import (
	"bytes"
	"encoding/hex"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// eyes are programs that nobody here wrote, and what they trust.
type eyes struct {
	// ca is the file with the certificate authority of the bus.
	ca string
	// nss is poppler's database of trusted certificates.
	nss string
}

// eyes prepares the programs to trust what the bus publishes, and nothing else.
func (b *bus) eyes(t testing.TB) *eyes {
	t.Helper()
	a := call(t, http.MethodGet, b.book+"/pki/ca.pem", nil)
	require.Equal(t, http.StatusOK, a.status)
	folder := t.TempDir()
	e := &eyes{ca: filepath.Join(folder, "ca.pem"), nss: "sql:" + folder}
	require.NoError(t, os.WriteFile(e.ca, a.body, 0o600))
	ask(t, "certutil", "libnss3-tools", "-N", "-d", e.nss, "--empty-password")
	ask(t, "certutil", "libnss3-tools", "-A", "-d", e.nss, "-n", "signbus", "-t", "CT,C,C", "-i", e.ca)
	return e
}

// ask runs a program, which must be content, and returns what it says.
func ask(t testing.TB, name, from string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), tool(t, name, "the Debian package "+from), args...).CombinedOutput()
	require.NoErrorf(t, err, "%s %s:\n%s", name, strings.Join(args, " "), out)
	return string(out)
}

// accept requires that every program accepts every signature of a file.
func (e *eyes) accept(t testing.TB, document []byte, signatures int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "signed.pdf")
	require.NoError(t, os.WriteFile(path, document, 0o600))
	ask(t, "qpdf", "qpdf", "--check", path)

	poppler := ask(t, "pdfsig", "poppler-utils", "-nssdir", e.nss, path)
	require.Equal(t, signatures, strings.Count(poppler, "Signature is Valid."), poppler)
	require.Equal(t, signatures, strings.Count(poppler, "Certificate is Trusted."), poppler)
	require.Equal(t, signatures, strings.Count(poppler, "ETSI.CAdES.detached"), poppler)
	// Behind the last signature stands nothing, or the validation data of level B-LT.
	last := 1
	if bytes.Contains(document, []byte("/DSS")) {
		last = 0
	}
	require.Equal(t, last, strings.Count(poppler, "Total document signed"), poppler)

	mupdf := ask(t, "mutool", "mupdf-tools", "sign", "-v", path)
	require.Equal(t, last, strings.Count(mupdf, "The document is unchanged since signing"), mupdf)
	require.Equal(t, signatures-last, strings.Count(mupdf, "The signature is valid but there have been edits since signing"), mupdf)
	require.NotContains(t, mupdf, "Digest error")

	e.openssl(t, document, signatures)
}

var byteRange = regexp.MustCompile(`/ByteRange\s*\[\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s*\]`)

// openssl checks the CMS of each signature over the bytes that the signature claims.
func (e *eyes) openssl(t testing.TB, document []byte, signatures int) {
	t.Helper()
	found := byteRange.FindAllSubmatch(document, -1)
	require.Len(t, found, signatures)
	folder := t.TempDir()
	content, cms := filepath.Join(folder, "content"), filepath.Join(folder, "signature.der")
	for _, numbers := range found {
		var n [4]int
		for i := range n {
			var err error
			n[i], err = strconv.Atoi(string(numbers[i+1]))
			require.NoError(t, err)
		}
		require.Zero(t, n[0], "a signature covers the file from its beginning")
		gap := document[n[1]:n[2]]
		require.True(t, bytes.HasPrefix(gap, []byte("<")) && bytes.HasSuffix(gap, []byte(">")), "only the signature itself is left out")
		der, err := hex.DecodeString(string(gap[1 : len(gap)-1]))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(cms, der, 0o600)) // OpenSSL reads one value and leaves the padding
		require.NoError(t, os.WriteFile(content, append(bytes.Clone(document[:n[1]]), document[n[2]:n[2]+n[3]]...), 0o600))
		said := ask(t, "openssl", "openssl", "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-purpose", "any",
			"-in", cms, "-content", content, "-CAfile", e.ca, "-out", os.DevNull)
		require.Contains(t, strings.ToLower(said), "verification successful")
	}
}
