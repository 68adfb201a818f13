package pades_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf"
)

// requireJudges asks programs that nobody here wrote about every signature of a file.
func requireJudges(t testing.TB, data []byte, count int) {
	t.Helper()
	path := write(t, "signed.pdf", data)
	run(t, "qpdf", "--check", path)

	poppler := run(t, "pdfsig", "-nocert", path)
	require.Equal(t, count, strings.Count(poppler, "Signature is Valid"), poppler)
	require.Equal(t, count, strings.Count(poppler, "ETSI.CAdES.detached"), poppler)
	require.Equal(t, 1, strings.Count(poppler, "Total document signed"), poppler)

	mupdf, err := attempt(t, "mutool", "sign", "-v", path)
	require.NoError(t, err, mupdf)
	require.Equal(t, 1, strings.Count(mupdf, "The document is unchanged since signing"), mupdf)
	require.Equal(t, count-1, strings.Count(mupdf, "The signature is valid but there have been edits since signing"), mupdf)
	require.NotContains(t, mupdf, "Digest error")
	requireOpenSSL(t, data, count)
}

// requireOpenSSL checks each signature over the bytes it claims, with the attribute
// that names the certificate.
func requireOpenSSL(t testing.TB, data []byte, count int) {
	t.Helper()
	signatures, err := pdf.Signatures(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{})
	require.NoError(t, err)
	require.Len(t, signatures, count)
	root := writeRoot(t)
	for _, s := range signatures {
		b := s.ByteRange
		content := append(bytes.Clone(data[b[0]:b[0]+b[1]]), data[b[2]:b[2]+b[3]]...)
		der := bytes.TrimRight(s.Contents, "\x00")
		for len(der) < len(s.Contents) && !complete(der) {
			der = s.Contents[:len(der)+1]
		}
		out := run(t, "openssl", "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-purpose", "any",
			"-in", write(t, "signature.der", der), "-content", write(t, "content", content), "-CAfile", root, "-out", "/dev/null")
		require.Regexp(t, "(?i)verification successful", out)
	}
}

// complete tells whether the length of the outer element is there; zeros at its end
// may have been trimmed.
func complete(der []byte) bool {
	if len(der) < 4 || der[1] != 0x82 {
		return len(der) > 4
	}
	return len(der) >= 4+int(der[2])<<8+int(der[3])
}
