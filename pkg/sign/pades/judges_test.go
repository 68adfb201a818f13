package pades_test

import (
	"bytes"
	"encoding/asn1"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/sign/signtest"
)

// requireJudges asks programs that nobody here wrote about every signature of a file.
func requireJudges(t testing.TB, data []byte, count int) {
	t.Helper()
	path := signtest.Write(t, "signed.pdf", data)
	signtest.Run(t, "qpdf", "--check", path)

	signatures, err := pdf.Signatures(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{})
	require.NoError(t, err)
	stamps, whole, closed := 0, 0, 0 // closed: signatures that cover the file; whole: time-stamps too
	for _, s := range signatures {
		last := s.ByteRange[2]+s.ByteRange[3] == int64(len(data))
		if s.Type == "DocTimeStamp" {
			stamps++
		} else if last {
			closed++
		}
		if last {
			whole++
		}
	}
	require.Len(t, signatures, count+stamps)

	// Neither of the two checks document time-stamps; OpenSSL does.
	poppler := signtest.Run(t, "pdfsig", "-nocert", path)
	require.Equal(t, count, strings.Count(poppler, "Signature is Valid"), poppler)
	require.Equal(t, count, strings.Count(poppler, "ETSI.CAdES.detached"), poppler)
	require.Equal(t, whole, strings.Count(poppler, "Total document signed"), poppler)

	mupdf, err := signtest.Try(t, "mutool", "sign", "-v", path)
	require.NoError(t, err, mupdf)
	require.Equal(t, closed, strings.Count(mupdf, "The document is unchanged since signing"), mupdf)
	require.Equal(t, count-closed, strings.Count(mupdf, "The signature is valid but there have been edits since signing"), mupdf)
	require.NotContains(t, mupdf, "Digest error")
	requireOpenSSL(t, data, count)
}

// requireOpenSSL checks each signature over the bytes it claims, with the attribute
// that names the certificate.
func requireOpenSSL(t testing.TB, data []byte, count int) {
	t.Helper()
	signatures, err := pdf.Signatures(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{})
	require.NoError(t, err)
	root := signtest.WriteCertificates(t, root().Certificate)
	for _, s := range signatures {
		b := s.ByteRange
		content := signtest.Write(t, "content", append(bytes.Clone(data[b[0]:b[0]+b[1]]), data[b[2]:b[2]+b[3]]...))
		message := signtest.Write(t, "message.der", messageOf(t, s.Contents))
		if s.Type == "DocTimeStamp" {
			out := signtest.OpenSSL(t, "ts", "-verify", "-token_in", "-in", message, "-data", content, "-CAfile", root)
			require.Contains(t, out, "Verification: OK")
			continue
		}
		out := signtest.OpenSSL(t, "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-purpose", "any",
			"-in", message, "-content", content, "-CAfile", root, "-out", "/dev/null")
		require.Regexp(t, "(?i)verification successful", out)
	}
}

// messageOf cuts the padding off.
func messageOf(t testing.TB, contents []byte) []byte {
	t.Helper()
	var message asn1.RawValue
	rest, err := asn1.Unmarshal(contents, &message)
	require.NoError(t, err)
	require.Empty(t, bytes.Trim(rest, "\x00"))
	return message.FullBytes
}
