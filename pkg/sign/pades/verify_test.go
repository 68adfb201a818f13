package pades_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/pdf/pdftest"
	"signbus.dev/pkg/sign/cms"
	"signbus.dev/pkg/sign/pades"
	"signbus.dev/pkg/sign/signtest"
)

func twiceSigned(t testing.TB) []byte {
	t.Helper()
	data, _ := sign(t, pdftest.Sample(1, "Text"), newSigner("Anna", "P-256"), pades.Params{
		Boxes: []pdf.Box{{Page: 1, LLX: 10, LLY: 10, URX: 200, URY: 60}}, Appearance: lines("Anna"),
	})
	data, _ = sign(t, data, newSigner("Bruno", "P-256"), pades.Params{})
	return data
}

// allValid tells whether a file passes as signed twice.
func allValid(t testing.TB, data []byte) bool {
	t.Helper()
	reports, err := pades.Verify(t.Context(), bytes.NewReader(data), int64(len(data)), root().Roots, now)
	return err == nil && len(reports) == 2 && reports[0].Valid() && reports[1].Valid()
}

func TestVerifyFindsEveryChangedByte(t *testing.T) {
	t.Parallel()
	data := twiceSigned(t)
	require.True(t, allValid(t, data))
	signatures, err := pdf.Signatures(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{})
	require.NoError(t, err)
	// Nothing covers what the last message holds beside its signed attributes, such as
	// certificates that everybody has anyway; its padding is checked.
	last := signatures[1]
	free, padding := last.Start+1, last.Start+1+2*int64(4+int(last.Contents[2])<<8+int(last.Contents[3]))
	for i := 0; i < len(data); i += 5 {
		if int64(i) >= free && int64(i) < padding {
			continue
		}
		changed := bytes.Clone(data)
		changed[i] ^= 1
		require.False(t, allValid(t, changed), "byte %d of %d", i, len(data))
	}
}

func TestVerifySaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	data := twiceSigned(t)
	text := bytes.Replace(data, []byte("(Text)"), []byte("(Tex!)"), 1)
	reports := verify(t, text)
	require.Len(t, reports, 2)
	for _, r := range reports {
		require.False(t, r.Intact)
		require.Empty(t, r.Level)
		require.Contains(t, r.Problem, "changed after signing")
	}

	reports, err := pades.Verify(t.Context(), bytes.NewReader(data), int64(len(data)), x509.NewCertPool(), now)
	require.NoError(t, err)
	require.True(t, reports[1].Intact)
	require.False(t, reports[1].Trusted)
	require.Contains(t, reports[1].Problem, "trusted authority")

	reports, err = pades.Verify(t.Context(), bytes.NewReader(data), int64(len(data)), root().Roots, now.AddDate(20, 0, 0))
	require.NoError(t, err)
	require.False(t, reports[0].Trusted, "the certificate has expired and no timestamp tells when it was used")

	require.Empty(t, verify(t, pdftest.Sample(1, "Unsigned")))
}

func TestVerifyReportsLaterChanges(t *testing.T) {
	t.Parallel()
	data := twiceSigned(t)
	appended := append(bytes.Clone(data), "\n% something\n"...)
	update := incremental(t, data)
	for name, changed := range map[string][]byte{"bytes": appended, "an update": update} {
		reports := verify(t, changed)
		require.Len(t, reports, 2, name)
		for _, r := range reports {
			require.True(t, r.Intact, name)
			require.True(t, r.LaterChanges, name)
			require.False(t, r.Valid(), name)
			require.Contains(t, r.Problem, "after the last signature", name)
		}
	}
}

// incremental appends an update that replaces the page's font.
func incremental(t testing.TB, data []byte) []byte {
	t.Helper()
	info := inspect(t, data)
	out := bytes.Clone(data)
	at := len(out)
	out = append(out, "3 0 obj\n<</Type/Font/Subtype/Type1/BaseFont/Courier>>\nendobj\n"...)
	xref := len(out)
	out = fmt.Appendf(out, "xref\n3 1\n%010d 00000 n\r\ntrailer\n<</Size 100/Root 1 0 R/Prev %d>>\nstartxref\n%d\n%%%%EOF\n", at, info.StartXRef, xref)
	return out
}

// forge makes a file with a cryptographically right signature over a range of the
// forger's choice.
func forge(t testing.TB, change func(b [4]int64) [4]int64) []byte {
	t.Helper()
	original := pdftest.Sample(1, "Text")
	s := newSigner("Anna", "P-256")
	update, err := pdf.Prepare(t.Context(), bytes.NewReader(original), int64(len(original)), pdf.Limits{}, pdf.Request{Reserve: 4000})
	require.NoError(t, err)
	b := change(update.ByteRange)
	// The numbers stand in 48 bytes of their own.
	i := bytes.Index(update.Tail, []byte("/ByteRange[")) + len("/ByteRange[")
	copy(update.Tail[i:i+48], fmt.Appendf(nil, "%-48s", fmt.Sprintf("%d %d %d %d", b[0], b[1], b[2], b[3])))
	file := append(bytes.Clone(original), update.Tail...)
	h := sha256.New()
	for part := range slices.Chunk(b[:], 2) {
		from, n := part[0], part[1]
		if size := int64(len(file)); from >= 0 && n >= 0 && n <= size && from <= size-n {
			h.Write(file[from : from+n])
		}
	}
	signature, err := cms.Sign(t.Context(), cms.Request{Digest: h.Sum(nil), Signer: s.key, Chain: s.chain})
	require.NoError(t, err)
	require.NoError(t, update.Fill(signature))
	return append(bytes.Clone(original), update.Tail...)
}

func TestVerifySeesThroughByteRangeTricks(t *testing.T) {
	t.Parallel()
	honest := verify(t, forge(t, func(b [4]int64) [4]int64 { return b }))
	require.Len(t, honest, 1)
	require.True(t, honest[0].Valid(), "%+v", honest[0])
	for name, change := range map[string]func(b [4]int64) [4]int64{
		"gap begins earlier":  func(b [4]int64) [4]int64 { b[1] -= 200; return b },
		"gap ends later":      func(b [4]int64) [4]int64 { b[2] += 10; b[3] -= 10; return b },
		"gap is elsewhere":    func(b [4]int64) [4]int64 { return [4]int64{0, 100, 300, b[2] + b[3] - 300} },
		"without beginning":   func(b [4]int64) [4]int64 { b[0] += 9; b[1] -= 9; return b },
		"parts overlap":       func(b [4]int64) [4]int64 { b[3] += b[2] - 50; b[2] = 50; return b },
		"behind the end":      func(b [4]int64) [4]int64 { b[3] += 1000; return b },
		"far behind the end":  func(b [4]int64) [4]int64 { b[3] = 1<<63 - 1; b[2] = 5; return b },
		"negative":            func(b [4]int64) [4]int64 { b[3] = -1; return b },
		"only the first part": func(b [4]int64) [4]int64 { b[2], b[3] = b[1], 0; return b },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reports := verify(t, forge(t, change))
			require.Len(t, reports, 1)
			require.False(t, reports[0].Intact)
			require.NotEmpty(t, reports[0].Problem)
		})
	}
}

func TestVerifyRefusesASignatureDescribedTwice(t *testing.T) {
	t.Parallel()
	data, _ := sign(t, pdftest.Sample(1, "Text"), newSigner("Anna", "P-256"), pades.Params{Reason: "agreed"})
	changed := bytes.Replace(data, []byte("/Reason(agreed)"), []byte("/ByteRange[0 1]"), 1)
	require.Len(t, changed, len(data))
	reports := verify(t, changed)
	require.Len(t, reports, 1)
	require.False(t, reports[0].Intact)
	require.Contains(t, reports[0].Problem, "twice")
}

func FuzzVerify(f *testing.F) {
	f.Add(twiceSigned(f))
	archived, _ := sign(f, pdftest.Sample(1, "Text"), newSigner("Anna", "P-256"), long(f, pades.LevelBLTA))
	f.Add(archived)
	f.Add(pdftest.Sample(1, "Text"))
	f.Add(pdftest.WithBlankField("a.b"))
	f.Add(pdftest.Bomb())
	f.Add(pdftest.CircularPages())
	f.Fuzz(func(t *testing.T, data []byte) {
		reports, err := pades.Verify(t.Context(), bytes.NewReader(data), int64(len(data)), root().Roots, now)
		if err != nil {
			require.Empty(t, reports)
			return
		}
		for _, r := range reports {
			if !r.Valid() {
				require.NotEmpty(t, r.Problem)
			}
		}
	})
}

// An edit does not become right because somebody signs the result.
func TestEditsBetweenSignatures(t *testing.T) {
	t.Parallel()
	first, _ := sign(t, pdftest.Sample(1, "Contract"), newSigner("Anna", "P-256"), pades.Params{Boxes: []pdf.Box{{Page: 1, LLX: 20, LLY: 90, URX: 90, URY: 130}}})
	honest, _ := sign(t, first, newSigner("Bruno", "P-256"), pades.Params{Boxes: []pdf.Box{
		{Page: 1, LLX: 20, LLY: 20, URX: 90, URY: 60}, {Page: 1, LLX: 120, LLY: 20, URX: 190, URY: 60}, // shows twice
	}})
	for _, r := range requireValid(t, honest, 2) {
		require.Empty(t, r.Problem)
	}

	last := func(pattern string) string {
		found := regexp.MustCompile(pattern).FindAllSubmatch(first, -1)
		require.NotEmpty(t, found, pattern)
		return string(found[len(found)-1][1])
	}
	page, root, previous := last(`(?s)\n3 0 obj\n(<<.*?>>)\nendobj`), last(`/Root (\d+ 0 R)`), last(`startxref\n(\d+)`)
	turned := fmt.Appendf(bytes.Clone(first), "3 0 obj\n%s/Rotate 180>>\nendobj\n", strings.TrimSuffix(page, ">>"))
	turned = fmt.Appendf(turned, "xref\n3 1\n%010d 00000 n\r\ntrailer\n<</Size 99/Root %s/Prev %s>>\nstartxref\n%d\n%%%%EOF\n", len(first), root, previous, len(turned))
	turned, _ = sign(t, turned, newSigner("Bruno", "P-256"), pades.Params{})
	reports := verify(t, turned)
	require.Len(t, reports, 2)
	require.True(t, reports[0].Intact)
	require.False(t, reports[0].Valid())
	require.Contains(t, reports[0].Problem, "before another one")
	require.True(t, reports[1].Valid(), "Bruno signed what he saw")
}

// OpenSSL signs with any certificate; this package does not.
func TestACertificateThatIsNotForSigningIsNotTrusted(t *testing.T) {
	t.Parallel()
	original := pdftest.Sample(1, "Contract")
	s := newSigner("Carla", "RSA-2048", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })
	_, err := pades.Sign(t.Context(), source(original), pades.Params{Signer: s.key, Chain: s.chain, Time: now})
	require.ErrorIs(t, err, cms.ErrUnsupported)

	update, err := pdf.Prepare(t.Context(), bytes.NewReader(original), int64(len(original)), pdf.Limits{}, pdf.Request{Reserve: 8000})
	require.NoError(t, err)
	out := filepath.Join(t.TempDir(), "signature.der")
	signtest.OpenSSL(t, "cms", "-sign", "-cades", "-binary", "-md", "sha256", "-outform", "DER", "-out", out, "-inkey", signtest.WriteKey(t, s.key),
		"-in", signtest.Write(t, "content", slices.Concat(original, update.Before(), update.After())), "-signer", signtest.WriteCertificates(t, s.chain[0]))
	message, err := os.ReadFile(out)
	require.NoError(t, err)
	require.NoError(t, update.Fill(message))
	reports := verify(t, slices.Concat(original, update.Tail))
	require.Len(t, reports, 1)
	require.True(t, reports[0].Intact)
	require.False(t, reports[0].Valid())
	require.NotEmpty(t, reports[0].Problem)
}
