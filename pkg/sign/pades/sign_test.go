package pades_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/pdf/pdftest"
	"signbus.dev/pkg/pdf/stamp"
	"signbus.dev/pkg/sign/cms"
	"signbus.dev/pkg/sign/pades"
	"signbus.dev/pkg/sign/signtest"
)

func compass(t testing.TB, data []byte, page, position int) pdf.Box {
	t.Helper()
	box, err := pdf.Compass(inspect(t, data).Pages[page-1], position)
	require.NoError(t, err)
	return box
}

func lines(text ...string) stamp.Appearance { return stamp.Appearance{Lines: text} }

func TestFourSignaturesStayValid(t *testing.T) {
	t.Parallel()
	data := pdftest.Sample(2, "Contract between Anna and Bruno")
	signers := []signer{newSigner("Anna", "P-256"), newSigner("Bruno", "RSA-2048"), newSigner("Carla", "P-256"), newSigner("Signbus Seal", "RSA-2048")}
	for i, s := range signers {
		var result *pades.Addition
		data, result = sign(t, data, s, pades.Params{
			Boxes: []pdf.Box{compass(t, data, 1, 7+i%3)}, Appearance: lines(s.chain[0].Subject.CommonName, "agreed"),
			Reason: "agreed", Location: "Zürich",
		})
		require.Equal(t, i+1, result.Signatures)
		reports := requireValid(t, data, i+1)
		require.Equal(t, s.chain[0].Subject.CommonName, reports[i].Name)
		require.Equal(t, "Zürich", reports[i].Location)
		require.Equal(t, pades.LevelBB, reports[i].Level)
		require.Equal(t, now, reports[i].Time)
	}
	requireJudges(t, data, 4)
	require.Equal(t, 4, inspect(t, data).Signatures)
}

// inputs are files of every layout; each is signed visibly on its last page, on all
// pages, and invisibly.
func inputs(t *testing.T) map[string][]byte {
	pages := []pdftest.Page{{}, {Rotate: 90}, {Width: 500, Height: 400, Rotate: 180, Crop: []float64{30, 30, 470, 350}}, {Rotate: 270, UserUnit: 2}}
	out := map[string][]byte{
		"classic 1.3":  pdftest.Document{Version: "1.3", Pages: pages, Text: "Text"}.Bytes(),
		"2.0 streams":  pdftest.Document{Version: "2.0", Pages: pages, Text: "Text", Streams: true}.Bytes(),
		"hybrid":       pdftest.Document{Version: "1.5", Pages: pages, Text: "Text", Hybrid: true}.Bytes(),
		"form":         pdftest.Document{Pages: pages, Text: "Text", Fields: []string{"a.b", "Signature1"}}.Bytes(),
		"indirect":     pdftest.Document{Pages: pages, Text: "Text", Fields: []string{"a.b"}, IndirectArrays: true}.Bytes(),
		"direct form":  pdftest.Document{Pages: pages, Text: "Text", CatalogEntries: "/AcroForm<</Fields[]/DA(/Helv 0 Tf)>>"}.Bytes(),
		"no last line": bytes.TrimRight(pdftest.Document{Pages: pages, Text: "Text"}.Bytes(), "\n"),
	}
	source := signtest.Write(t, "source.pdf", out["form"])
	for name, command := range map[string][]string{
		"qpdf streams":    {"qpdf", "--object-streams=generate", source, "OUT"},
		"qpdf linearised": {"qpdf", "--linearize", "--object-streams=generate", source, "OUT"},
		"linearised":      {"qpdf", "--linearize", source, "OUT"},
		"qdf":             {"qpdf", "--qdf", source, "OUT"},
		"mutool":          {"mutool", "clean", "-gggg", source, "OUT"},
		"ghostscript":     {"gs", "-q", "-dNOPAUSE", "-dBATCH", "-sDEVICE=pdfwrite", "-o", "OUT", source},
		"cairo":           {"pdftocairo", "-pdf", source, "OUT"},
	} {
		target := filepath.Join(t.TempDir(), "out.pdf")
		for i := range command {
			if command[i] == "OUT" {
				command[i] = target
			}
		}
		signtest.Run(t, command[0], command[1:]...)
		data, err := os.ReadFile(target)
		require.NoError(t, err)
		out[name] = data
	}
	return out
}

func TestEveryLayoutIsSigned(t *testing.T) {
	t.Parallel()
	anna, bruno := newSigner("Anna", "P-256"), newSigner("Bruno", "RSA-2048")
	for name, data := range inputs(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := inspect(t, data)
			n := len(before.Pages)
			everywhere := make([]pdf.Box, n)
			for i := range everywhere {
				everywhere[i] = compass(t, data, i+1, 5)
			}
			data, _ := sign(t, data, anna, pades.Params{Boxes: []pdf.Box{compass(t, data, n, 9)}, Appearance: lines("Anna", "last page")})
			data, _ = sign(t, data, bruno, pades.Params{Boxes: everywhere, Appearance: lines("Bruno", "all pages")})
			data, _ = sign(t, data, anna, pades.Params{})
			requireValid(t, data, 3)
			requireJudges(t, data, 3)

			after := inspect(t, data)
			require.Equal(t, before.Pages, after.Pages)
			require.Equal(t, before.XRefStream, after.XRefStream)
			require.Len(t, after.Fields, len(before.Fields)+3)
			text := signtest.Run(t, "pdftotext", signtest.Write(t, "signed.pdf", data), "-")
			require.Equal(t, n, strings.Count(text, "all pages"), text)
			require.Equal(t, 1, strings.Count(text, "last page"), text)
		})
	}
}

func TestBlankFieldsAreFilled(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]pdftest.Document{
		"classic": {}, "streams": {Streams: true}, "indirect": {IndirectArrays: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d.Pages, d.Text, d.Fields = []pdftest.Page{{Rotate: 90}}, "Text", []string{"client.manager", "client.witness", "bank"}
			data := d.Bytes()
			before := inspect(t, data)
			for i, field := range []string{"client.witness", "bank", "client.manager"} {
				var result *pades.Addition
				data, result = sign(t, data, newSigner("Anna", "P-256"), pades.Params{Field: field, Appearance: lines("Anna for " + field)})
				require.Equal(t, field, result.FieldName)
				require.Equal(t, i+1, result.Signatures)
			}
			requireValid(t, data, 3)
			requireJudges(t, data, 3)
			after := inspect(t, data)
			require.Len(t, after.Fields, 3)
			for i, f := range after.Fields {
				require.Equal(t, before.Fields[i].Box, f.Box)
				require.True(t, f.Signed)
			}
			require.Equal(t, 3, strings.Count(signtest.Run(t, "pdftotext", signtest.Write(t, "signed.pdf", data), "-"), "Anna for"))

			_, err := attemptSign(t, data, pades.Params{Field: "bank"})
			require.ErrorIs(t, err, pdf.ErrFieldSigned)
			_, err = attemptSign(t, data, pades.Params{Field: "nobody"})
			require.ErrorIs(t, err, pdf.ErrFieldNotFound)
			_, err = attemptSign(t, data, pades.Params{Field: "client"})
			require.ErrorIs(t, err, pdf.ErrFieldNotFound)
		})
	}
}

func attemptSign(t testing.TB, data []byte, p pades.Params) ([]byte, error) {
	t.Helper()
	if p.Signer == nil {
		s := newSigner("Anna", "P-256")
		p.Signer, p.Chain = s.key, s.chain
	}
	made, err := pades.Sign(t.Context(), source(data), p)
	if err != nil {
		require.Nil(t, made)
		return nil, err
	}
	return append(bytes.Clone(data), made.Tail...), nil
}

func TestNewFieldNamesAreUnique(t *testing.T) {
	t.Parallel()
	data := pdftest.Document{Pages: make([]pdftest.Page, 1), Fields: []string{"Signature1", "Signature3.x"}}.Bytes()
	for _, want := range []string{"Signature2", "Signature4"} {
		var result *pades.Addition
		data, result = sign(t, data, newSigner("Anna", "P-256"), pades.Params{Boxes: []pdf.Box{{Page: 1}}}) // an empty box does not show
		require.Equal(t, want, result.FieldName)
	}
	data, result := sign(t, data, newSigner("Anna", "P-256"), pades.Params{FieldName: "Łódź (x) "})
	require.Equal(t, "Łódź (x) 1", result.FieldName)
	require.Equal(t, "Łódź (x) 1", requireValid(t, data, 3)[2].Field)
	requireJudges(t, data, 3)
}

func TestEveryKeyKind(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]signer{"P-256": newSigner("Anna", "P-256"), "RSA": newSigner("Anna", "RSA-2048"), "Ed25519": newSigner("Anna", "Ed25519")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, _ := sign(t, pdftest.Sample(1, "Text"), s, pades.Params{})
			requireValid(t, data, 1)
		})
	}
}

func TestEarlierSignaturesAreRespected(t *testing.T) {
	t.Parallel()
	certified := func(level string) []byte {
		return pdftest.Document{
			Pages: make([]pdftest.Page, 2), Text: "Text",
			CatalogEntries: "/Perms<</DocMDP<</Type/Sig/Reference[<</TransformMethod/DocMDP/TransformParams<</P " + level + ">>>>]>>>>",
		}.Bytes()
	}
	locked := func(lock string) []byte {
		data := pdftest.Document{Pages: make([]pdftest.Page, 1), Text: "Text", Fields: []string{"a", "b"}, FieldEntries: "/Lock<</Type/SigFieldLock" + lock + ">>"}.Bytes()
		data, _ = sign(t, data, newSigner("Anna", "P-256"), pades.Params{Field: "a"})
		return data
	}
	two := []pdf.Box{{Page: 1, LLX: 10, LLY: 10, URX: 100, URY: 50}, {Page: 2, LLX: 10, LLY: 10, URX: 100, URY: 50}}
	for name, c := range map[string]struct {
		data   []byte
		params pades.Params
		want   error
	}{
		"certified against all":      {certified("1"), pades.Params{}, pdf.ErrNotPermitted},
		"certified for forms":        {certified("2"), pades.Params{Boxes: two[:1]}, nil},
		"certified, with stamps":     {certified("2"), pades.Params{Boxes: two}, pdf.ErrNotPermitted},
		"certified for annotations":  {certified("3"), pades.Params{Boxes: two}, nil},
		"all fields locked":          {locked("/Action/All"), pades.Params{Field: "b"}, pdf.ErrNotPermitted},
		"this field locked":          {locked("/Action/Include/Fields[(b)]"), pades.Params{Field: "b"}, pdf.ErrNotPermitted},
		"another field locked":       {locked("/Action/Include/Fields[(c)]"), pades.Params{Field: "b"}, nil},
		"all but this field locked":  {locked("/Action/Exclude/Fields[(b)]"), pades.Params{Field: "b"}, nil},
		"all but one field locked":   {locked("/Action/Exclude/Fields[(c)]"), pades.Params{Field: "b"}, pdf.ErrNotPermitted},
		"new field, all are locked":  {locked("/Action/All"), pades.Params{}, pdf.ErrNotPermitted},
		"whole document locked":      {locked("/Action/Include/Fields[(c)]/P 1"), pades.Params{Field: "b"}, pdf.ErrNotPermitted},
		"new field, some are locked": {locked("/Action/Include/Fields[(a)]"), pades.Params{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := attemptSign(t, c.data, c.params)
			require.ErrorIs(t, err, c.want)
			if c.want != nil {
				return
			}
			count := inspect(t, out).Signatures
			requireValid(t, out, count)
			requireJudges(t, out, count)
		})
	}
}

func TestSignaturesOfOtherProgramsStayValid(t *testing.T) {
	t.Parallel()
	data := pdftest.Document{Pages: make([]pdftest.Page, 1), Text: "Text", Fields: []string{"ours"}}.Bytes()
	out := filepath.Join(t.TempDir(), "theirs.pdf")
	signtest.Run(t, "pdfsig", "-nssdir", nssDatabase(t, newSigner("Bruno", "RSA-2048")), "-add-signature", "-nick", "theirs",
		signtest.Write(t, "in.pdf", data), out)
	data, err := os.ReadFile(out)
	require.NoError(t, err)
	require.Equal(t, 1, inspect(t, data).Signatures)
	require.Len(t, verify(t, data), 1)

	data, _ = sign(t, data, newSigner("Anna", "P-256"), pades.Params{Boxes: []pdf.Box{compass(t, data, 1, 1)}, Appearance: lines("Anna")})
	reports := requireValid(t, data, 2)
	require.Equal(t, pades.LevelBB, reports[1].Level)
	data, _ = sign(t, data, newSigner("Carla", "P-256"), pades.Params{Field: "ours", Appearance: lines("Carla")})
	requireValid(t, data, 3)
	poppler := signtest.Run(t, "pdfsig", "-nocert", signtest.Write(t, "signed.pdf", data))
	require.Equal(t, 3, strings.Count(poppler, "Signature is Valid"), poppler)
}

func TestASmallReserveGrows(t *testing.T) {
	t.Parallel()
	calls := 0
	stamp := timestamps(t, 20_000)
	data, _ := sign(t, pdftest.Sample(1, "Text"), newSigner("Anna", "P-256"), pades.Params{
		Boxes: []pdf.Box{{Page: 1, LLX: 10, LLY: 10, URX: 200, URY: 60}}, Appearance: lines("Anna"),
		Timestamp: func(ctx context.Context, value []byte) ([]byte, error) {
			calls++
			return stamp(ctx, value)
		},
	})
	require.Equal(t, 2, calls, "the second tail must be signed anew")
	require.Equal(t, pades.LevelBT, requireValid(t, data, 1)[0].Level)
	requireJudges(t, data, 1)
}

func TestTimestamps(t *testing.T) {
	t.Parallel()
	data, _ := sign(t, pdftest.Sample(1, "Text"), newSigner("Anna", "P-256"), pades.Params{Timestamp: timestamps(t, 0)})
	data, _ = sign(t, data, newSigner("Bruno", "RSA-2048"), pades.Params{Timestamp: timestamps(t, 0)})
	for _, r := range requireValid(t, data, 2) {
		require.Equal(t, pades.LevelBT, r.Level)
		require.WithinDuration(t, now, r.TimestampTime, time.Hour)
		require.Contains(t, r.TimestampAuthority, "Time-Stamps")
	}
	requireJudges(t, data, 2)
}

func TestRefused(t *testing.T) {
	t.Parallel()
	sample := pdftest.Sample(1, "Text")
	for name, c := range map[string]struct {
		data   []byte
		params pades.Params
		want   error
	}{
		"encrypted":     {pdftest.Encrypted(), pades.Params{}, pdf.ErrEncrypted},
		"bomb":          {pdftest.Bomb(), pades.Params{}, pdf.ErrTooComplex},
		"not a pdf":     {[]byte("text"), pades.Params{}, pdf.ErrNotPDF},
		"wrong page":    {sample, pades.Params{Boxes: []pdf.Box{{Page: 2, URX: 50, URY: 50}}}, pdf.ErrPageRange},
		"off the page":  {sample, pades.Params{Boxes: []pdf.Box{{Page: 1, LLX: 590, LLY: 0, URX: 700, URY: 50}}}, pdf.ErrOutsidePage},
		"no such field": {sample, pades.Params{Field: "x"}, pdf.ErrFieldNotFound},
		"other key":     {sample, pades.Params{Signer: newSigner("Bruno", "P-256").key, Chain: newSigner("Anna", "P-256").chain}, cms.ErrKeyMismatch},
		"no timestamp":  {sample, pades.Params{Level: pades.LevelBT}, pades.ErrTimestamp},
		"unknown level": {sample, pades.Params{Level: "B-X"}, pades.ErrLevel},
		"expired":       {sample, pades.Params{Now: func() time.Time { return now.AddDate(2, 0, 0) }}, cms.ErrExpired},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := attemptSign(t, c.data, c.params)
			require.ErrorIs(t, err, c.want)
		})
	}
}

func TestSignStops(t *testing.T) {
	t.Parallel()
	data := pdftest.Sample(1, "Text")
	s := newSigner("Anna", "P-256")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := pades.Sign(ctx, source(data), pades.Params{Signer: s.key, Chain: s.chain})
	require.ErrorIs(t, err, context.Canceled)

	down := errors.New("down")
	_, err = attemptSign(t, data, pades.Params{Timestamp: func(context.Context, []byte) ([]byte, error) { return nil, down }})
	require.ErrorIs(t, err, down, "no timestamp must never become a signature without one")
	require.ErrorIs(t, err, pades.ErrTimestamp)
}

func TestTheLevelAskedForIsReached(t *testing.T) {
	t.Parallel()
	for _, level := range []pades.Level{pades.LevelBB, pades.LevelBT} {
		data, made := sign(t, pdftest.Sample(1, "Text"), newSigner("Anna", "P-256"), pades.Params{Level: level, Timestamp: timestamps(t, 0)})
		require.Equal(t, level, made.Level)
		require.Equal(t, level, requireValid(t, data, 1)[0].Level)
	}
}

// counted counts the bytes that are read.
type counted struct {
	io.ReaderAt
	bytes int64
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, off)
	c.bytes += int64(n)
	return n, err
}

func TestAKnownDigestSavesThePass(t *testing.T) {
	t.Parallel()
	data := pdftest.Padded(5 << 20)
	size := int64(len(data))
	for name, s := range map[string]signer{"P-256": newSigner("Anna", "P-256"), "RSA": newSigner("Bruno", "RSA-2048"), "Ed25519": newSigner("Carla", "Ed25519")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, made := sign(t, data, s, pades.Params{})
			kept, err := made.Digest().MarshalBinary()
			require.NoError(t, err)
			state, err := digest.Restore(kept, sha256.Sum256(first), int64(len(first)))
			require.NoError(t, err)

			in := &counted{ReaderAt: bytes.NewReader(first)}
			made, err = pades.Sign(t.Context(), digest.Source{ReaderAt: in, Size: int64(len(first)), Digest: state}, pades.Params{Signer: s.key, Chain: s.chain})
			require.NoError(t, err)
			if name == "Ed25519" {
				require.Greater(t, in.bytes, size, "its digest has no state that is kept")
			} else {
				require.Less(t, in.bytes, size/10)
			}
			second := append(bytes.Clone(first), made.Tail...)
			require.Equal(t, sha256.Sum256(second), made.Digest().Sum())
			requireValid(t, second, 2)
		})
	}

	s := newSigner("Anna", "P-256")
	src := source(data)
	src.Digest = digest.Empty()
	_, err := pades.Sign(t.Context(), src, pades.Params{Signer: s.key, Chain: s.chain})
	require.ErrorIs(t, err, digest.ErrState)
}

func TestWriteToCopiesFiles(t *testing.T) {
	t.Parallel()
	data := pdftest.Padded(1 << 20)
	in, err := os.Open(signtest.Write(t, "in.pdf", data))
	require.NoError(t, err)
	defer in.Close()
	s := newSigner("Anna", "P-256")
	src := digest.Source{ReaderAt: in, Size: int64(len(data))}
	made, err := pades.Sign(t.Context(), src, pades.Params{Signer: s.key, Chain: s.chain})
	require.NoError(t, err)
	want := append(bytes.Clone(data), made.Tail...)
	for range 2 { // wherever the file was left
		path := filepath.Join(t.TempDir(), "out.pdf")
		out, err := os.Create(path)
		require.NoError(t, err)
		require.NoError(t, made.WriteTo(t.Context(), out, src))
		require.NoError(t, out.Close())
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	src.Size++ // cut off since
	require.Error(t, made.WriteTo(t.Context(), io.Discard, src))
	out, err := os.Create(filepath.Join(t.TempDir(), "out.pdf"))
	require.NoError(t, err)
	defer out.Close()
	require.ErrorIs(t, made.WriteTo(t.Context(), out, src), io.EOF)
}

// A field whose widget is an object of its own is signed for readers that look at the widget, too.
func TestFieldWithAWidgetOfItsOwn(t *testing.T) {
	t.Parallel()
	data := pdfOf(
		"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[4 0 R]/SigFlags 1>>>>", "<</Type/Pages/Kids[3 0 R]/Count 1>>",
		"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Resources<<>>/Annots[6 0 R]>>", "<</T(Contract)/Kids[5 0 R]>>",
		"<</T(Anna)/FT/Sig/Parent 4 0 R/Kids[6 0 R]>>", "<</Type/Annot/Subtype/Widget/Parent 5 0 R/F 4/Rect[50 50 250 110]/P 3 0 R>>",
	)
	data, _ = sign(t, data, newSigner("Anna", "P-256"), pades.Params{Field: "Contract.Anna", Appearance: lines("Anna")})
	data, _ = sign(t, data, newSigner("Bruno", "P-256"), pades.Params{})
	requireValid(t, data, 2)
	requireJudges(t, data, 2)
}

// pdfOf writes the objects 1 to n, of which the first is the catalog.
func pdfOf(objects ...string) []byte {
	out, table := []byte("%PDF-1.7\n"), fmt.Sprintf("xref\n0 %d\n0000000000 65535 f\r\n", len(objects)+1)
	for i, object := range objects {
		table += fmt.Sprintf("%010d 00000 n\r\n", len(out))
		out = fmt.Appendf(out, "%d 0 obj\n%s\nendobj\n", i+1, object)
	}
	return fmt.Appendf(out, "%strailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", table, len(objects)+1, len(out))
}
