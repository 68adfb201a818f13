package cli_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/pdf/pdftest"
	"signbus.dev/pkg/sign/graphometric"
	"signbus.dev/pkg/sign/pades"
	"signbus.dev/pkg/sign/signtest"
)

// The escrow holder takes the recording out of a signed file, and OpenSSL opens it. A changed
// byte of the sealed recording breaks the signature, and it is not taken out then.
func TestVerifyExtractsGraphometricRecordings(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	holder := signtest.Key("RSA-2048")
	escrow := signtest.SelfSigned(holder, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })
	d.write(t, "escrow.pem", signtest.CertificatePEM(escrow))
	d.write(t, "escrow.key", signtest.KeyPEM(holder))

	original := pdftest.Sample(1, "A contract")
	version := sha256.Sum256(original)
	sealed, err := graphometric.Seal(graphometric.Recording{
		SignerName: "Anna Alpha", Ratio: 2,
		Strokes: []graphometric.Stroke{{Pointer: graphometric.Pen, Points: []graphometric.Point{{X: 0.1, Y: 0.2, Pressure: 0.75}, {X: 0.3, Y: 0.4, Pressure: 0.8, Time: 9}}}},
	}, version, []*x509.Certificate{escrow}, time.Now())
	require.NoError(t, err)
	state, err := digest.Of(bytes.NewReader(original))
	require.NoError(t, err)
	key := p256()
	made, err := pades.Sign(t.Context(), digest.Source{ReaderAt: bytes.NewReader(original), Size: int64(len(original)), Digest: state}, pades.Params{
		Extra: []pdf.Entry{{Key: graphometric.EntryKey, Value: sealed}}, Time: time.Now(), Signer: key,
		Chain: certify("anna", key.Public()),
	})
	require.NoError(t, err)
	signed := append(bytes.Clone(original), made.Tail...)
	d.write(t, "signed.pdf", signed)
	signtest.Run(t, "qpdf", "--check", d.path("signed.pdf"))
	require.Contains(t, signtest.Run(t, "pdfsig", d.path("signed.pdf")), "Signature is Valid.")

	require.NoError(t, os.Mkdir(d.path("expert"), 0o700))
	got := d.run(t, "verify", "@signed.pdf", "--ca", "@ca.pem", "--extract-graphometric", "@expert", "--json")
	require.Zero(t, got.code, got.errs)
	var report struct {
		Signatures []struct{ GraphometricBytes int }
	}
	require.NoError(t, json.Unmarshal([]byte(got.out), &report))
	require.Equal(t, len(sealed), report.Signatures[0].GraphometricBytes)
	require.NotContains(t, got.out, hex.EncodeToString(sealed[:16]))
	signtest.Run(t, "openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in", d.path("expert/signed.pdf.signature-1.p7m"),
		"-recip", d.path("escrow.pem"), "-inkey", d.path("escrow.key"), "-out", d.path("recording.json"))
	var recording struct {
		DocumentSha256 string
		Strokes        []struct{ Points [][4]float64 }
	}
	require.NoError(t, json.Unmarshal(d.read(t, "recording.json"), &recording))
	require.Equal(t, hex.EncodeToString(version[:]), recording.DocumentSha256)
	require.Equal(t, [][4]float64{{0.1, 0.2, 0.75, 0}, {0.3, 0.4, 0.8, 9}}, recording.Strokes[0].Points)

	// What is there stays.
	require.NotZero(t, d.run(t, "verify", "@signed.pdf", "--ca", "@ca.pem", "--extract-graphometric", "@expert").code)

	at := bytes.Index(bytes.ToLower(signed), []byte(hex.EncodeToString(sealed[:40])))
	require.Positive(t, at, "the recording is written as a hex string")
	signed[at+60] ^= 1
	d.write(t, "changed.pdf", signed)
	require.Equal(t, 1, d.run(t, "verify", "@changed.pdf", "--ca", "@ca.pem", "--extract-graphometric", "@expert").code)
	entries, err := os.ReadDir(d.path("expert"))
	require.NoError(t, err)
	require.Len(t, entries, 1)
}
