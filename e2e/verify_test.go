package e2e

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// check sends a file to the page where anybody can check one, and returns what it says.
func (b *bus) check(t *testing.T, address, name string, file []byte) string {
	t.Helper()
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("file", name)
	require.NoError(t, err)
	_, err = part.Write(file)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, &form)
	require.NoError(t, err)
	req.Header.Set("Content-Type", w.FormDataContentType())
	resp, err := httpClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(said)
}

// testVerifyPage: the code in a signature leads to the page, which tells a good document
// from one that was changed.
func testVerifyPage(t *testing.T, b *bus) {
	extID := newID("qr")
	task := automatic(1, "annaU", action("S", compass(1, 9)))
	task["confString"] = object{"qr": true}
	b.insert(t, request(extID, contractPDF, task))
	b.ended(t, extID)
	signed := b.get(t, extID).Documents[0].Bytes
	folder := t.TempDir()
	file, picture := filepath.Join(folder, "signed.pdf"), filepath.Join(folder, "page.png")
	require.NoError(t, os.WriteFile(file, signed, 0o600))
	ask(t, "mutool", "mupdf-tools", "draw", "-q", "-r", "300", "-o", picture, file, "1")
	address := ask(t, "zbarimg", "zbar-tools", "-q", "--raw", "-Sdisable", "-Sqrcode.enable", picture)
	require.Contains(t, address, b.book+"/sign/verify")

	page := b.book + "/sign/verify"
	said := b.check(t, page, "signed.pdf", signed)
	require.Contains(t, said, `class="valid"`)
	require.Contains(t, said, "Anna Alpha")
	require.Contains(t, said, "B-LT")
	changed := bytes.Clone(signed)
	changed[len(contractPDF)/2] ^= 1
	require.NotContains(t, b.check(t, page, "changed.pdf", changed), `class="valid"`)
	require.Contains(t, b.check(t, page, "hello.txt", []byte("hello")), "cannot be checked")
}
