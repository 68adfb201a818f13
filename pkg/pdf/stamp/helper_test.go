package stamp_test

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf/stamp"
)

// page is a PDF file in the making, whose one page shows a form: the smallest thing that
// takes the objects of a drawing.
type page struct {
	objects map[int64][]byte
	next    int64
}

func (p *page) Allocate() int64                    { p.next++; return p.next }
func (p *page) Object(number int64, body []byte)   { p.objects[number] = bytes.Clone(body) }
func (p *page) Stream(n int64, e string, d []byte) { p.objects[n] = streamObject(e, d) }

func streamObject(entries string, data []byte) []byte {
	return fmt.Appendf(nil, "<<%s/Length %d>>\nstream\n%s\nendstream", entries, len(data), data)
}

// metadata says that a file is PDF/A-1b.
const metadata = `<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/"><pdfaid:part>1</pdfaid:part><pdfaid:conformance>B</pdfaid:conformance></rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>`

// document returns a file whose only page is as large as the drawing and shows it. It is
// PDF/A-1b, without an output intent, unless the drawing breaks that.
func document(t testing.TB, d *stamp.Drawing) []byte {
	t.Helper()
	p := &page{objects: map[int64][]byte{}}
	catalog, pages, leaf, content, about := p.Allocate(), p.Allocate(), p.Allocate(), p.Allocate(), p.Allocate()
	form, err := d.Form(p, 0)
	require.NoError(t, err)
	p.Object(catalog, fmt.Appendf(nil, "<</Type/Catalog/Pages %d 0 R/Metadata %d 0 R>>", pages, about))
	p.Stream(about, "/Type/Metadata/Subtype/XML", []byte(metadata))
	p.Object(pages, fmt.Appendf(nil, "<</Type/Pages/Count 1/Kids[%d 0 R]>>", leaf))
	p.Object(leaf, fmt.Appendf(nil, "<</Type/Page/Parent %d 0 R/MediaBox[0 0 %g %g]/Contents %d 0 R/Resources<</XObject<</S %d 0 R>>>>>>",
		pages, d.Width(), d.Height(), content, form))
	p.Stream(content, "", []byte("/S Do"))

	var out bytes.Buffer
	out.WriteString("%PDF-1.4\n%\xE2\xE3\xCF\xD3\n")
	offsets := make([]int, p.next+1)
	for n := int64(1); n <= p.next; n++ {
		offsets[n] = out.Len()
		fmt.Fprintf(&out, "%d 0 obj\n%s\nendobj\n", n, p.objects[n])
	}
	at := out.Len()
	fmt.Fprintf(&out, "xref\n0 %d\n0000000000 65535 f \n", p.next+1)
	for n := int64(1); n <= p.next; n++ {
		fmt.Fprintf(&out, "%010d 00000 n \n", offsets[n])
	}
	fmt.Fprintf(&out, "trailer\n<</Size %d/Root 1 0 R/ID[<01><01>]>>\nstartxref\n%d\n%%%%EOF\n", p.next+1, at)
	return out.Bytes()
}

func layout(t testing.TB, a stamp.Appearance, width, height float64) *stamp.Drawing {
	t.Helper()
	d, err := a.Layout(width, height)
	require.NoError(t, err)
	return d
}

// file writes data to a temporary file.
func file(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

// run runs a foreign tool; one that is missing fails the test.
func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	var out, problems bytes.Buffer
	c := exec.CommandContext(t.Context(), name, args...)
	c.Stdout, c.Stderr = &out, &problems
	require.NoError(t, c.Run(), "%s %v: %s%s", name, args, &out, &problems)
	return out.String()
}

// poppler and mupdf render the first page of a file.
func poppler(t testing.TB, data []byte, dpi int) image.Image {
	t.Helper()
	in := file(t, "in.pdf", data)
	run(t, "pdftoppm", "-cropbox", "-r", strconv.Itoa(dpi), "-png", "-singlefile", in, in)
	return readPNG(t, in+".png")
}

func mupdf(t testing.TB, data []byte, dpi int) image.Image {
	t.Helper()
	in := file(t, "in.pdf", data)
	run(t, "mutool", "draw", "-q", "-r", strconv.Itoa(dpi), "-o", in+".png", in, "1")
	return readPNG(t, in+".png")
}

func readPNG(t testing.TB, path string) image.Image {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	img, err := png.Decode(bytes.NewReader(data))
	require.NoError(t, err)
	return img
}

func encodePNG(t testing.TB, img image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, png.Encode(&out, img))
	return out.Bytes()
}
