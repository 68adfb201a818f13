package pdf_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf"
)

// identity is a key with a certificate, made once.
var identity = sync.OnceValue(func() [2][]byte {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	key, cert := filepath.Join(dir, "key"), filepath.Join(dir, "cert")
	out, err := exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
		"-subj", "/CN=Anna", "-days", "30", "-addext", "keyUsage=digitalSignature", "-keyout", key, "-out", cert).CombinedOutput()
	if err != nil {
		panic(string(out))
	}
	read := func(name string) []byte {
		data, err := os.ReadFile(name)
		if err != nil {
			panic(err)
		}
		return data
	}
	return [2][]byte{read(key), read(cert)}
})

// signTruly appends a signature that OpenSSL makes.
func signTruly(t testing.TB, data []byte, req pdf.Request) []byte {
	t.Helper()
	req.Reserve = 3000
	update, err := pdf.Prepare(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{}, req)
	require.NoError(t, err)
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, content, 0o600))
		return path
	}
	content := append(append(bytes.Clone(data), update.Before()...), update.After()...)
	out := filepath.Join(dir, "out")
	run(t, "openssl", "cms", "-sign", "-binary", "-cades", "-md", "sha256", "-outform", "DER",
		"-in", file("content", content), "-inkey", file("key", identity()[0]), "-signer", file("cert", identity()[1]), "-out", out)
	signature, err := os.ReadFile(out)
	require.NoError(t, err)
	require.NoError(t, update.Fill(signature))
	return append(bytes.Clone(data), update.Tail...)
}

// requireJudges asks other programs about every signature of a file.
func requireJudges(t testing.TB, data []byte, count int) {
	t.Helper()
	path := write(t, data)
	run(t, "qpdf", "--check", path)
	poppler := run(t, "pdfsig", "-nocert", path)
	require.Equal(t, count, strings.Count(poppler, "Signature is Valid"), poppler)
	mupdf, _ := exec.CommandContext(t.Context(), "mutool", "sign", "-v", path).CombinedOutput() // the certificate is not trusted
	require.NotContains(t, string(mupdf), "igest", "of a changed document")
	require.Equal(t, 1, strings.Count(string(mupdf), "The document is unchanged since signing"), "%s", mupdf)
	require.Equal(t, count-1, strings.Count(string(mupdf), "The signature is valid but there have been edits since signing"), "%s", mupdf)
}
