package pdf_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/pdf/pdftest"
	"signbus.dev/pkg/pdf/stamp"
)

var anna = stamp.Appearance{Lines: []string{"Anna"}}

// odd has pages of every kind of geometry and a hierarchy of fields.
var odd = pdftest.Document{
	Text: "Contract", Fields: []string{"client.manager", "bank"},
	Pages: []pdftest.Page{
		{}, {Rotate: 90}, {Width: 400, Height: 500, Crop: []float64{50, 40, 350, 440}, Rotate: 180},
		{Width: 400, Height: 500, Crop: []float64{50, 40, 350, 440}, Rotate: 270}, {UserUnit: 2, Rotate: 90},
	},
}

func TestSignaturesInFilesOfOtherPrograms(t *testing.T) {
	t.Parallel()
	source := write(t, odd.Bytes())
	commands := maps.Clone(rewriters)
	for _, version := range []string{"1.3", "1.4", "1.6", "2.0"} {
		commands["version "+version] = []string{"qpdf", "--force-version=" + version, "--object-streams=preserve", "IN", "OUT"}
	}
	for name, command := range commands {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := rewrite(t, command, source, filepath.Join(t.TempDir(), "out.pdf"))
			original := data
			data = place(t, data, pdf.NewField{Name: "anna", Box: pdf.Box{Page: 2, LLX: 60, LLY: 60, URX: 240, URY: 110}})
			data = signTruly(t, data, pdf.Request{Field: "anna", Appearance: anna})
			data = signTruly(t, data, pdf.Request{Boxes: []pdf.Box{{Page: 3, LLX: 10, LLY: 10, URX: 110, URY: 50}, boxOne}, Appearance: anna})
			require.True(t, bytes.HasPrefix(data, original))
			requireJudges(t, data, 2)
			if names := fieldNames(t, data); len(names) == 4 { // some programs drop what they do not draw
				requireJudges(t, signTruly(t, data, pdf.Request{Field: "client.manager", Appearance: anna}), 3)
			}
		})
	}
}

func TestSignaturesOfOtherProgramsStayValid(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, os.WriteFile(file("key"), identity()[0], 0o600))
	require.NoError(t, os.WriteFile(file("cert"), identity()[1], 0o600))
	run(t, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Bruno", "-days", "30", "-keyout", file("key"), "-out", file("cert"))
	run(t, "openssl", "pkcs12", "-export", "-inkey", file("key"), "-in", file("cert"), "-out", file("p12"), "-passout", "pass:secret", "-name", "bruno")
	run(t, "certutil", "-N", "-d", "sql:"+dir, "--empty-password")
	run(t, "pk12util", "-i", file("p12"), "-d", "sql:"+dir, "-W", "secret", "-K", "")
	for name, streams := range map[string]bool{"table": false, "streams": true} {
		d := odd
		d.Streams = streams
		require.NoError(t, os.WriteFile(file("in.pdf"), d.Bytes(), 0o600))
		for tool, command := range map[string][]string{
			"mutool": {"mutool", "sign", "-s", file("p12"), "-P", "secret", "-o", "OUT", "IN", objectOf(t, file("in.pdf"), "bank")},
			"pdfsig": {"pdfsig", "-nssdir", "sql:" + dir, "-add-signature", "-nick", "bruno", "IN", "OUT"},
		} {
			theirs := rewrite(t, command, file("in.pdf"), file("out.pdf"))
			require.NoError(t, os.Remove(file("out.pdf")))
			require.Len(t, signatures(t, theirs), 1, "%s %s", tool, name)
			data := signTruly(t, theirs, pdf.Request{Field: "client.manager", Appearance: anna})
			data = signTruly(t, data, pdf.Request{Boxes: []pdf.Box{boxOne}, Appearance: anna})
			require.True(t, bytes.HasPrefix(data, theirs))
			requireJudges(t, data, 3)
		}
	}
}

// objectOf returns the number of the object of a field, as mutool shows it.
func objectOf(t testing.TB, path, field string) string {
	t.Helper()
	out := run(t, "mutool", "show", path, "grep")
	m := regexp.MustCompile(`(?m)^.*?(\d+) 0 obj .*/T\(` + field + `\)`).FindStringSubmatch(out)
	require.Len(t, m, 2, out)
	return m[1]
}

func TestBoxesAreWhereTheyWereAsked(t *testing.T) {
	t.Parallel()
	data := odd.Bytes()
	var fields []pdf.NewField
	for page := range odd.Pages {
		fields = append(fields, pdf.NewField{Name: fmt.Sprintf("page%d", page+1), Box: pdf.Box{Page: page + 1, LLX: 20, LLY: 30, URX: 140, URY: 70}})
	}
	info, err := inspect(t, place(t, data, fields...))
	require.NoError(t, err)
	found := 0
	for _, f := range info.Fields {
		for _, n := range fields {
			if f.Name == n.Name {
				found++
				require.Equal(t, n.Box.Page, f.Box.Page)
				require.InDeltaSlice(t, []float64{20, 30, 140, 70}, []float64{f.Box.LLX, f.Box.LLY, f.Box.URX, f.Box.URY}, 0.02, n.Name)
			}
		}
	}
	require.Equal(t, len(fields), found)
	outside := pdf.NewField{Name: "x", Box: pdf.Box{Page: 3, LLX: 20, LLY: 30, URX: 340, URY: 70}}
	_, err = pdf.PrepareFields(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{}, []pdf.NewField{outside})
	require.ErrorIs(t, err, pdf.ErrOutsidePage, "the page is 300 points wide as it is shown")
}

// picture is a page as another program draws it, in gray.
func picture(t testing.TB, data []byte, page int) (width, height int, gray []byte) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "page")
	run(t, "pdftoppm", "-r", "72", "-gray", "-cropbox", "-f", fmt.Sprint(page), "-l", fmt.Sprint(page), "-singlefile", write(t, data), out)
	pgm, err := os.ReadFile(out + ".pgm")
	require.NoError(t, err)
	var most int
	_, err = fmt.Sscanf(string(pgm[:32]), "P5\n%d %d\n%d\n", &width, &height, &most)
	require.NoError(t, err)
	return width, height, pgm[len(pgm)-width*height:]
}

func TestPagesChangeInsideOfTheBoxesOnly(t *testing.T) {
	t.Parallel()
	data := odd.Bytes()
	for page := 1; page <= 4; page++ { // pdftoppm knows no user units
		box := pdf.Box{Page: page, LLX: 20, LLY: 30, URX: 140, URY: 70}
		signed := sign(t, data, pdf.Request{Boxes: []pdf.Box{box}, Appearance: stamp.Appearance{Lines: []string{"Anna has signed", "this page"}}})
		width, height, before := picture(t, data, page)
		_, _, after := picture(t, signed, page)
		require.Len(t, after, len(before))
		inside := 0
		for i := range before {
			if before[i] == after[i] {
				continue
			}
			x, y := float64(i%width), float64(height-1-i/width)
			require.True(t, x > box.LLX-2 && x < box.URX+1 && y > box.LLY-2 && y < box.URY+1, "page %d, pixel at %g, %g", page, x, y)
			inside++
		}
		require.Greater(t, inside, 100, "page %d shows the signature", page)
	}
}

func TestFieldNamesOfAnyScript(t *testing.T) {
	t.Parallel()
	data := objects("", "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[4 0 R 5 0 R 6 0 R]>>>>", onePage, leafPage,
		"<</FT/Sig/T(\\222 \\351\\240\\030)>>", "<</T<FEFF041F043E0434043F04380441044C>/FT/Sig/Kids[7 0 R]>>", "<</FT/Sig/T<EFBBBFE7BDB2E5908D>>>",
		"<</Parent 5 0 R/T<FFFE3D D80DDE>>>")
	names := []string{"™ é€˘", "Подпись.😍", "署名"} //nolint:gosmopolitan // names as people give them
	require.Equal(t, names, fieldNames(t, data))
	for i, name := range names {
		data = sign(t, data, pdf.Request{Field: name})
		require.Len(t, signatures(t, data), i+1)
	}
	for _, name := range names {
		fresh := sign(t, pdftest.Sample(1, "Text"), pdf.Request{Fields: []pdf.NewField{{Name: strings.ReplaceAll(name, ".", "-")}}, Field: strings.ReplaceAll(name, ".", "-")})
		require.Equal(t, []string{strings.ReplaceAll(name, ".", "-")}, fieldNames(t, fresh))
	}
}

func TestTagsAndEverythingElseOfAPageStay(t *testing.T) {
	t.Parallel()
	data := objects("/Info 7 0 R", "<</Type/Catalog/Pages 2 0 R/MarkInfo<</Marked true>>/StructTreeRoot 5 0 R/Lang(en)/Odd#20Key[1 %comment\n2]>>", onePage,
		"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/StructParents 0/Tabs/S/Annots[4 0 R]>>", "<</Type/Annot/Subtype/Text/Rect[0 0 9 9]/StructParent 1/Contents(note)>>",
		"<</Type/StructTreeRoot/K 6 0 R/ParentTree<</Nums[0[6 0 R]1 6 0 R]>>>>", "<</Type/StructElem/S/Document/P 5 0 R>>", "<</Title(Tags)>>")
	data = sign(t, data, pdf.Request{Boxes: []pdf.Box{boxOne}, Appearance: anna, Certify: 3})
	_, update, _ := strings.Cut(string(data), "%%EOF")
	for _, kept := range []string{"/StructParents 0", "/Tabs /S", "/StructTreeRoot 5 0 R", "/Lang (en)", "/MarkInfo <</Marked true>>", "/Odd#20Key [1 %comment\n2]", "[4 0 R "} {
		require.Contains(t, update, kept)
	}
	require.Equal(t, 1, bytes.Count(data, []byte("/StructParent 1")), "the note is not touched")
	require.Equal(t, 2, bytes.Count(data, []byte("/Info 7 0 R")))
}

func TestGenerationsAreKept(t *testing.T) {
	t.Parallel()
	data := objects("", "<</Type/Catalog/Pages 2 0 R>>", onePage, leafPage)
	data = bytes.Replace(data, []byte("3 0 obj"), []byte("3 7 obj"), 1)
	data = bytes.Replace(data, []byte("[3 0 R]"), []byte("[3 7 R]"), 1)
	last := bytes.LastIndex(data, []byte("00000 n"))
	copy(data[last:], "00007 n")
	data = sign(t, data, pdf.Request{Boxes: []pdf.Box{boxOne}})
	require.Contains(t, string(data), "\n3 7 obj\n")
}
