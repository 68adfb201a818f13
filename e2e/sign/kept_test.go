package sign

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// requireKept requires that form values, attachments, tags, metadata and pages are as before.
func requireKept(t *testing.T, before, after string) {
	t.Helper()
	was, is := contentOf(t, before), contentOf(t, after)
	for name, filled := range was.SignatureFields {
		now, there := is.SignatureFields[name]
		require.Truef(t, there && (now || !filled), "signature field %s", name)
	}
	was.SignatureFields, is.SignatureFields = nil, nil
	require.Equal(t, was, is)

	type form struct {
		Acroform struct {
			Fields []map[string]any
		}
		Attachments map[string]any
	}
	read := func(file string) (f form) {
		s := hear(t, "qpdf", "--warning-exit-0", "--json=2", "--json-key=acroform", "--json-key=attachments", file)
		require.Zero(t, s.code, s.errs)
		require.NoError(t, json.Unmarshal([]byte(s.out), &f))
		return f
	}
	old, now := read(before), read(after)
	require.Equal(t, old.Attachments, now.Attachments, "attachments, as qpdf sees them")
	for _, field := range old.Acroform.Fields {
		if field["fieldtype"] != "/Sig" {
			require.Contains(t, now.Acroform.Fields, field, "a form field, as qpdf sees it")
		}
	}

	text := func(file string) []string {
		var answer struct{ Pages []string }
		pdfjs(t).ask(t, &answer, file)
		return answer.Pages
	}
	require.Equal(t, text(before), text(after), "the text of the pages, as pdf.js sees it")
}

// pdfjs reads pages with PDF.js.
var pdfjs = once(func() (*bench, error) { return serve(exec.Command("node", script("read.mjs"))) })

// resolution is of the pictures that are compared, in dots per inch.
const resolution = 100

// painter is a program that makes pictures of pages.
type painter struct {
	name string
	// units: it takes a page's UserUnit into account.
	units bool
	args  func(file, folder string) []string
}

var painters = []painter{
	{"pdftoppm", false, func(file, folder string) []string {
		return []string{"-r", fmt.Sprint(resolution), "-cropbox", file, filepath.Join(folder, "page")}
	}},
	{"mutool", true, func(file, folder string) []string {
		return []string{"draw", "-q", "-r", fmt.Sprint(resolution), "-F", "ppm", "-o", filepath.Join(folder, "page-%d.ppm"), file}
	}},
}

// picture is a page in red, green and blue.
type picture struct {
	width, height int
	pixels        []byte
}

// originals are the pictures of the inputs, which many cases share.
var originals sync.Map

// paint makes pictures of all pages of a file.
func (p painter) paint(t testing.TB, file string) []picture {
	t.Helper()
	folder := t.TempDir()
	s := hear(t, p.name, p.args(file, folder)...)
	require.Zero(t, s.code, s.errs)
	names, err := filepath.Glob(filepath.Join(folder, "page-*.ppm"))
	require.NoError(t, err)
	require.NotEmpty(t, names)
	var pages []picture
	for _, name := range names {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		var page picture
		var highest int
		_, err = fmt.Sscanf(string(data[:min(len(data), 64)]), "P6\n%d %d\n%d\n", &page.width, &page.height, &highest)
		require.NoError(t, err)
		page.pixels = data[len(data)-3*page.width*page.height:]
		pages = append(pages, page)
	}
	return pages
}

// requireSamePages requires that pictures of the pages differ in the stamps, and nowhere else.
func requireSamePages(t *testing.T, before, after string, stamps []box) {
	t.Helper()
	unit := contentOf(t, after).Pages[0].Unit
	for _, p := range painters {
		var was []picture
		if kept, ok := originals.Load(p.name + before); ok {
			was = kept.([]picture)
		} else {
			was = p.paint(t, before)
			originals.Store(p.name+before, was)
		}
		is := p.paint(t, after)
		require.Len(t, is, len(was), "pages")
		for n := range was {
			require.Equal(t, [2]int{was[n].width, was[n].height}, [2]int{is[n].width, is[n].height}, "the size of page %d", n+1)
			if bytes.Equal(was[n].pixels, is[n].pixels) {
				require.Truef(t, n > 0 || len(stamps) == 0, "%s shows no stamp", p.name)
				continue
			}
			require.Zerof(t, n, "%s: page %d looks different", p.name, n+1)
			scale := resolution / 72.0
			if !p.units {
				scale /= unit
			}
			requireInside(t, p.name, was[n], is[n], stamps, scale)
		}
	}
}

// requireInside requires that each stamp shows, and that nothing beside them is different.
func requireInside(t *testing.T, name string, was, is picture, stamps []box, scale float64) {
	t.Helper()
	shows := make([]bool, len(stamps))
	for y := range was.height {
		for x := range was.width {
			at := 3 * (y*was.width + x)
			if bytes.Equal(was.pixels[at:at+3], is.pixels[at:at+3]) {
				continue
			}
			inside := false
			for i, s := range stamps {
				// A pixel that a stamp touches belongs to it.
				if float64(x) >= math.Floor(s.left*scale) && float64(x) <= math.Ceil(s.right*scale) &&
					float64(was.height-1-y) >= math.Floor(s.bottom*scale)-1 && float64(was.height-1-y) <= math.Ceil(s.top*scale) {
					inside, shows[i] = true, true
				}
			}
			require.Truef(t, inside, "%s: the pixel %d, %d of %d × %d outside of the stamps is different", name, x, y, was.width, was.height)
		}
	}
	for i, show := range shows {
		require.Truef(t, show, "%s does not show stamp %d", name, i+1)
	}
}
