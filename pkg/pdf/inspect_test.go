package pdf_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/pdf/pdftest"
)

func inspect(t testing.TB, data []byte) (*pdf.Info, error) {
	t.Helper()
	return pdf.Inspect(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{})
}

func TestInspectFindsPagesAndFields(t *testing.T) {
	t.Parallel()
	data := pdftest.Document{
		Version: "1.6", Text: "Contract",
		Pages: []pdftest.Page{
			{}, {Rotate: 90}, {Width: 400, Height: 300, Crop: []float64{50, 40, 350, 240}, Rotate: 270}, {UserUnit: 2},
		},
		Fields: []string{"client.manager", "client.witness", "bank"},
	}.Bytes()
	info, err := inspect(t, data)
	require.NoError(t, err)
	require.Equal(t, "1.6", info.Version)
	require.Len(t, info.Pages, 4)
	size := func(p pdf.PageInfo) []float64 { return []float64{p.Width, p.Height} }
	require.Equal(t, []float64{595, 842}, size(info.Pages[0]))
	require.Equal(t, []float64{842, 595}, size(info.Pages[1]))
	require.Equal(t, []float64{200, 300}, size(info.Pages[2]))
	require.Equal(t, []float64{1190, 1684}, size(info.Pages[3]))
	require.Equal(t, pdf.Rect{LLX: 50, LLY: 40, URX: 350, URY: 240}, info.Pages[2].CropBox)
	names := []string{}
	for _, f := range info.Fields {
		require.False(t, f.Signed)
		require.Equal(t, 1, f.Box.Page)
		names = append(names, f.Name)
	}
	require.ElementsMatch(t, []string{"client.manager", "client.witness", "bank"}, names)
	require.Equal(t, 0, info.Signatures)
	require.Equal(t, 0, info.Certification)
	require.False(t, info.XRefStream)
}

func TestInspectReadsEveryLayout(t *testing.T) {
	t.Parallel()
	pages := make([]pdftest.Page, 40)
	for name, d := range map[string]pdftest.Document{
		"classic 1.3":     {Version: "1.3"},
		"streams":         {Version: "1.5", Streams: true},
		"hybrid":          {Version: "1.5", Hybrid: true},
		"2.0":             {Version: "2.0", Streams: true},
		"indirect arrays": {IndirectArrays: true, Fields: []string{"a.b"}},
		"padded":          {Padding: 1 << 20},
		"certified":       {CatalogEntries: "/Perms<</DocMDP<</Type/Sig/Reference[<</TransformMethod/DocMDP/TransformParams<</P 1>>>>]>>>>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d.Pages, d.Text = pages, "Text"
			info, err := inspect(t, d.Bytes())
			require.NoError(t, err)
			require.Len(t, info.Pages, 40)
			require.Equal(t, d.Streams, info.XRefStream)
			require.Equal(t, name == "certified", info.Certification == 1)
			run(t, "qpdf", "--check", write(t, d.Bytes()))
		})
	}
}

func TestInspectReadsFilesOfOtherPrograms(t *testing.T) {
	t.Parallel()
	source := write(t, pdftest.Document{Pages: []pdftest.Page{{}, {Rotate: 90}, {}}, Text: "Text", Fields: []string{"a.b"}}.Bytes())
	for name, command := range rewriters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "out.pdf")
			data := rewrite(t, command, source, out)
			info, err := inspect(t, data)
			require.NoError(t, err)
			require.Len(t, info.Pages, 3)
		})
	}
}

// rewriters make other layouts of a file; IN and OUT stand for the names.
var rewriters = map[string][]string{
	"qpdf object streams": {"qpdf", "--object-streams=generate", "IN", "OUT"},
	"qpdf no streams":     {"qpdf", "--object-streams=disable", "IN", "OUT"},
	"qpdf linearised":     {"qpdf", "--linearize", "IN", "OUT"},
	"qpdf linearised streams": {
		"qpdf", "--linearize", "--object-streams=generate", "IN", "OUT",
	},
	"qpdf qdf":    {"qpdf", "--qdf", "IN", "OUT"},
	"mutool":      {"mutool", "clean", "-gggg", "IN", "OUT"},
	"mutool tidy": {"mutool", "clean", "-z", "-s", "IN", "OUT"},
	"ghostscript": {"gs", "-q", "-dNOPAUSE", "-dBATCH", "-sDEVICE=pdfwrite", "-o", "OUT", "IN"},
	"gs 1.3":      {"gs", "-q", "-dNOPAUSE", "-dBATCH", "-sDEVICE=pdfwrite", "-dCompatibilityLevel=1.3", "-o", "OUT", "IN"},
	"cairo":       {"pdftocairo", "-pdf", "IN", "OUT"},
}

func rewrite(t testing.TB, command []string, in, out string) []byte {
	t.Helper()
	args := make([]string, len(command))
	for i, a := range command {
		args[i] = a
		switch a {
		case "IN":
			args[i] = in
		case "OUT":
			args[i] = out
		}
	}
	run(t, args[0], args[1:]...)
	data, err := os.ReadFile(out)
	require.NoError(t, err)
	return data
}

func write(t testing.TB, data []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "in.pdf")
	require.NoError(t, os.WriteFile(name, data, 0o600))
	return name
}

var packages = map[string]string{
	"qpdf": "qpdf", "mutool": "mupdf-tools", "gs": "ghostscript", "pdftocairo": "poppler-utils",
	"pdftoppm": "poppler-utils", "pdfsig": "poppler-utils", "pdftotext": "poppler-utils", "openssl": "openssl",
}

func run(t testing.TB, tool string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	require.NoError(t, err, "%s is missing: install the Debian package %s", tool, packages[tool])
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	require.NoError(t, err, "%s %v: %s", tool, args, out)
	return string(out)
}

func TestInspectRefuses(t *testing.T) {
	t.Parallel()
	sample := pdftest.Sample(1, "Text")
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"empty":             {nil, pdf.ErrNotPDF},
		"text":              {[]byte("Dear Anna,"), pdf.ErrNotPDF},
		"picture":           {[]byte("\x89PNG\r\n\x1a\n" + string(make([]byte, 3000))), pdf.ErrNotPDF},
		"truncated":         {pdftest.Truncated(), pdf.ErrTruncated},
		"header only":       {[]byte("%PDF-1.7\n"), pdf.ErrTruncated},
		"last byte missing": {bytes.TrimRight(sample, "\nF"), pdf.ErrTruncated},
		"encrypted":         {pdftest.Encrypted(), pdf.ErrEncrypted},
		"no pages":          {pdftest.ZeroPages(), pdf.ErrNoPages},
		"bomb":              {pdftest.Bomb(), pdf.ErrTooComplex},
		"bomb in a page":    {pdftest.BombPage(), pdf.ErrTooComplex},
		"deep pages":        {pdftest.DeepPages(20_000), pdf.ErrTooComplex},
		"circular pages":    {pdftest.CircularPages(), pdf.ErrBroken},
		"a million objects": {pdftest.ManyObjects(1_000_000), pdf.ErrTooComplex},
		"deep array":        {pdftest.Nested(1_000_000), pdf.ErrTooComplex},
		"long array":        {pdftest.Values(5_000_000), pdf.ErrTooComplex},
		"moved object":      {bytes.Replace(sample, []byte("\n3 0 obj"), []byte("\n9 0 obj"), 1), pdf.ErrBroken},
		"wrong length":      {bytes.Replace(sample, []byte("/Length "), []byte("/Length 1"), 1), pdf.ErrBroken},
		"wrong startxref":   {bytes.Replace(sample, []byte("startxref\n"), []byte("startxref\n1"), 1), pdf.ErrTruncated},
		"zero startxref":    {bytes.Replace(sample, []byte("startxref\n"), []byte("startxref\n0 "), 1), pdf.ErrBroken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			info, err := pdf.Inspect(ctx, bytes.NewReader(c.data), int64(len(c.data)), pdf.Limits{})
			require.ErrorIs(t, err, c.want)
			require.NotErrorIs(t, err, context.DeadlineExceeded)
			require.Nil(t, info)
			require.Regexp(t, "send|print|split", err.Error(), "the message must say what to change")
		})
	}
}

func TestInspectHoldsItsLimits(t *testing.T) {
	t.Parallel()
	data := pdftest.Sample(5, "Text")
	for name, c := range map[string]struct {
		limits pdf.Limits
		want   error
	}{
		"bytes":   {pdf.Limits{Bytes: int64(len(data)) - 1}, pdf.ErrTooLarge},
		"pages":   {pdf.Limits{Pages: 4}, pdf.ErrTooLarge},
		"objects": {pdf.Limits{Objects: 5}, pdf.ErrTooComplex},
		"values":  {pdf.Limits{Values: 50}, pdf.ErrTooComplex},
		"depth":   {pdf.Limits{Depth: 2}, pdf.ErrTooComplex},
		"time":    {pdf.Limits{Time: 1}, pdf.ErrTooComplex},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := pdf.Inspect(t.Context(), bytes.NewReader(data), int64(len(data)), c.limits)
			require.ErrorIs(t, err, c.want)
		})
	}
}

// stuck never answers, as a parser in an endless loop would not.
type stuck struct{ release chan struct{} }

func (s stuck) ReadAt([]byte, int64) (int, error) {
	<-s.release
	return 0, errors.New("released")
}

func TestInspectAnswersWhenTheReaderIsStuck(t *testing.T) {
	t.Parallel()
	s := stuck{release: make(chan struct{})}
	defer close(s.release)
	_, err := pdf.Inspect(t.Context(), s, 1000, pdf.Limits{Time: 20 * time.Millisecond})
	require.ErrorIs(t, err, pdf.ErrTooComplex)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = pdf.Inspect(ctx, s, 1000, pdf.Limits{})
	require.ErrorIs(t, err, context.Canceled)
}

type panicking struct{}

func (panicking) ReadAt([]byte, int64) (int, error) { panic("torn") }

func TestInspectTurnsPanicsIntoErrors(t *testing.T) {
	t.Parallel()
	_, err := pdf.Inspect(t.Context(), panicking{}, 1000, pdf.Limits{})
	require.ErrorIs(t, err, pdf.ErrBroken)
}

func TestJunkBeforeTheHeaderIsRefused(t *testing.T) {
	t.Parallel()
	data := append([]byte("HTTP/1.1 200 OK\r\n\r\n"), pdftest.Sample(2, "Text")...)
	_, err := inspect(t, data)
	require.ErrorIs(t, err, pdf.ErrBroken)
	require.ErrorContains(t, err, "19 bytes stand before its header")
	_, err = pdf.Prepare(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{}, pdf.Request{Reserve: 100})
	require.ErrorIs(t, err, pdf.ErrBroken)
	signatures, err := pdf.Signatures(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{})
	require.NoError(t, err, "others may have signed such a file")
	require.Empty(t, signatures)
}

func FuzzInspect(f *testing.F) {
	for _, data := range [][]byte{
		pdftest.Sample(2, "Text"), pdftest.WithBlankField("a.b"), pdftest.Encrypted(), pdftest.Truncated(),
		pdftest.Bomb(), pdftest.BombPage(), pdftest.ZeroPages(), pdftest.CircularPages(), pdftest.Nested(100),
		pdftest.Document{Pages: make([]pdftest.Page, 2), Streams: true, Fields: []string{"x"}}.Bytes(),
		pdftest.Document{Pages: make([]pdftest.Page, 2), Hybrid: true}.Bytes(),
	} {
		f.Add(data)
	}
	sentinels := []error{
		pdf.ErrNotPDF, pdf.ErrTruncated, pdf.ErrEncrypted, pdf.ErrTooLarge, pdf.ErrTooComplex, pdf.ErrNoPages, pdf.ErrBroken,
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		info, err := inspect(t, data)
		if err == nil {
			require.NotEmpty(t, info.Pages)
			return
		}
		for _, s := range sentinels {
			if errors.Is(err, s) {
				return
			}
		}
		t.Fatalf("no sentinel: %v", err)
	})
}

// Readers take a cross-reference table apart by its lines, or by its words: what they would
// read in two ways is refused.
func TestCrossReferenceTablesAreLines(t *testing.T) {
	t.Parallel()
	data := string(pdftest.Sample(1, "Text"))
	at := strings.Index(data, "\nxref\n") + 1
	table := data[at:]
	size := strings.Fields(table)[2]
	for name, test := range map[string]struct {
		old, new string
		ok       bool
	}{
		"as they are":                  {"xref", "xref", true},
		"entries of 19 bytes":          {" n\r\n", " n\n", true},
		"a space and a line feed":      {" n\r\n", " n \n", true},
		"a space and both":             {" n\r\n", " n \r\n", true},
		"carriage returns":             {" n\r\n", " n \r", true},
		"begins on the first line":     {"xref\n0 ", "xref 0 ", true},
		"two spaces":                   {" 00000 n", "  00000 n", true},
		"the count on another line":    {"0 " + size, "0\n" + size, false},
		"null bytes after xref":        {"xref\n", "xref\x00\n", false},
		"null bytes before an entry":   {"\r\n00000", "\r\n\x00\x0000000", false},
		"an entry on two lines":        {" 00000 n", "\n00000 n", false},
		"two entries on a line":        {" n\r\n", " n  ", false},
		"null bytes for the line feed": {" n\r\n", " n \x00", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, table, test.old)
			_, err := inspect(t, []byte(data[:at]+strings.ReplaceAll(table, test.old, test.new)))
			if test.ok {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, pdf.ErrBroken)
			}
		})
	}
}
