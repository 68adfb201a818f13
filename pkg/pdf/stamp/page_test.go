package stamp_test

import (
	"bytes"
	"image"
	"image/draw"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/pdf/pdftest"
	"signbus.dev/pkg/pdf/stamp"
)

// part copies a rectangle, given in points from the lower left corner, out of a picture.
func part(img image.Image, dpi int, b pdf.Box) image.Image {
	pixels := func(v float64) int { return int(v * float64(dpi) / 72) }
	height := img.Bounds().Dy()
	out := image.NewRGBA(image.Rect(0, 0, pixels(b.URX-b.LLX), pixels(b.URY-b.LLY)))
	draw.Draw(out, out.Rect, img, image.Pt(pixels(b.LLX), height-pixels(b.URY)), draw.Src)
	return out
}

func TestSignaturesAreUprightOnEveryPage(t *testing.T) {
	t.Parallel()
	look := stamp.Appearance{
		Lines: []string{"Signed by Rossi Anna", "Engineer"}, Autograph: &stamp.Autograph{Strokes: wave()},
		Image: logo(t, 200, 200), QR: "https://sign.example.org/v/1",
	}
	for name, page := range map[string]pdftest.Page{
		"plain":           {Width: 500, Height: 400},
		"rotated 90":      {Width: 500, Height: 400, Rotate: 90},
		"rotated 180":     {Width: 500, Height: 400, Rotate: 180},
		"rotated 270":     {Width: 500, Height: 400, Rotate: 270},
		"cropped":         {Width: 500, Height: 400, Crop: []float64{20, 30, 480, 390}},
		"cropped and 90":  {Width: 500, Height: 400, Crop: []float64{20, 30, 480, 390}, Rotate: 90},
		"cropped and 270": {Width: 500, Height: 400, Crop: []float64{20, 30, 480, 390}, Rotate: 270},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const dpi = 288
			data := pdftest.Document{Pages: []pdftest.Page{page}}.Bytes()
			box := pdf.Box{Page: 1, LLX: 130, LLY: 156, URX: 350, URY: 220}
			update, err := pdf.Prepare(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{}, pdf.Request{
				Boxes: []pdf.Box{box}, Appearance: look, Reserve: 100,
			})
			require.NoError(t, err)
			signed := slices.Concat(data, update.Tail)
			preview, err := layout(t, look, 220, 64).Image(dpi)
			require.NoError(t, err)
			for renderer, shown := range map[string]image.Image{"poppler": poppler(t, signed, dpi), "mupdf": mupdf(t, signed, dpi)} {
				largest, mean := difference(t, preview, part(shown, dpi, box))
				require.Less(t, largest, 0.5, renderer)
				require.Less(t, mean, 0.025, renderer)
			}
		})
	}
}

// preflight are the parts of the PDF/A-1b judge.
var preflight = []string{"preflight", "pdfbox2", "fontbox2", "xmpbox", "commons-logging", "commons-io", "javax.activation", "jaxb-api"}

func TestFilesStayPDFA(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	samples := gallery(t)
	for name, s := range samples {
		data := document(t, layout(t, s.look, s.width, s.height))
		require.NoError(t, os.WriteFile(filepath.Join(folder, name+".pdf"), data, 0o600))
	}
	var classes []string
	for _, p := range preflight {
		jar := "/usr/share/java/" + p + ".jar"
		require.FileExists(t, jar)
		classes = append(classes, jar)
	}
	verdict := run(t, "java", "-cp", strings.Join(classes, ":"), "org.apache.pdfbox.preflight.Validator_A1b", "batch", folder)
	for name := range samples {
		require.Contains(t, verdict, "The file "+name+".pdf is a valid PDF/A-1b file")
	}
}
