package pages_test

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/services/signature-book/pages"
)

// upload is the form of the verification page with a file.
func upload(t *testing.T, name string, content io.Reader) *http.Request {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", name)
	require.NoError(t, err)
	_, err = io.Copy(part, content)
	require.NoError(t, err)
	require.NoError(t, form.Close())
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, pages.VerifyPath, &body)
	r.Header.Set("Content-Type", form.FormDataContentType())
	return r
}

func TestVerify(t *testing.T) {
	t.Parallel()
	h := newHandler(t, &sessions{})
	page := get(t, h, pages.VerifyPath)
	require.Equal(t, http.StatusOK, page.Code)
	require.Contains(t, page.Body.String(), "Check a signed document")
	require.NotContains(t, page.Body.String(), "Your link is personal")
	check := func(r *http.Request) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	w := check(upload(t, "<b>.pdf", bytes.NewReader([]byte("anna!signed"))))
	require.Equal(t, http.StatusOK, w.Code)
	require.Contains(t, w.Body.String(), "anna!")
	require.Contains(t, w.Body.String(), "&lt;b&gt;.pdf")
	require.Contains(t, w.Body.String(), "proven by a time-stamp")
	require.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'")
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))

	require.Equal(t, http.StatusUnprocessableEntity, check(upload(t, "", bytes.NewReader(nil))).Code, "no file was chosen")
	require.Equal(t, http.StatusUnprocessableEntity, check(upload(t, "empty.pdf", bytes.NewReader(nil))).Code)
	require.Equal(t, http.StatusRequestEntityTooLarge, check(upload(t, "big.pdf", bytes.NewReader(make([]byte, 33<<20)))).Code)
	plain := httptest.NewRequestWithContext(t.Context(), http.MethodPost, pages.VerifyPath, bytes.NewReader([]byte("file=x")))
	require.Equal(t, http.StatusUnprocessableEntity, check(plain).Code)
	for range 15 {
		require.Equal(t, http.StatusOK, check(upload(t, "a.pdf", bytes.NewReader([]byte("bruno")))).Code)
	}
	w = check(upload(t, "a.pdf", bytes.NewReader([]byte("bruno"))))
	require.Equal(t, http.StatusTooManyRequests, w.Code, "one address asks too often")
	require.Equal(t, "60", w.Header().Get("Retry-After"))
}
