package stamp_test

import (
	"image"
	"image/color"
	"image/draw"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf/stamp"
)

// wave is a drawn autograph.
func wave() [][]stamp.Point {
	var s []stamp.Point
	for i := range 120 {
		x := float64(i) / 119
		s = append(s, stamp.Point{X: 0.02 + x*0.96, Y: 0.5 + 0.45*math.Sin(x*17)*math.Cos(x*3)*(1-x*0.5)})
	}
	return [][]stamp.Point{s, {{X: 0.8, Y: 0.2}}}
}

// logo is a ring on nothing.
func logo(t testing.TB, w, h int) []byte {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			dx, dy := float64(x)/float64(w)*2-1, float64(y)/float64(h)*2-1
			if r := dx*dx + dy*dy; r < 0.95 && r > 0.4 {
				img.Set(x, y, color.NRGBA{uint8(200 * x / w), 40, uint8(200 * y / h), 255})
			}
		}
	}
	return encodePNG(t, img)
}

// sample is an appearance with the size of its box.
type sample struct {
	look          stamp.Appearance
	width, height float64
}

// gallery holds appearances of all sorts.
func gallery(t testing.TB) map[string]sample {
	t.Helper()
	auto := &stamp.Autograph{Typed: "Anna Árpád Żółć"}
	return map[string]sample{
		"text":    {stamp.Appearance{Lines: []string{"Signed by Rossi Anna", "Engineer", "10/09/2010 11:09:23 CET"}}, 180, 50},
		"typed":   {stamp.Appearance{Lines: []string{"Rossi Anna", "10/09/2010 11:09:23 CET"}, Autograph: auto}, 180, 50},
		"drawn":   {stamp.Appearance{Lines: []string{"Rossi Anna", "10/09/2010 11:09:23 CET"}, Autograph: &stamp.Autograph{Strokes: wave()}}, 180, 50},
		"all":     {stamp.Appearance{Lines: []string{"Rossi Anna", "10/09/2010 11:09:23 CET"}, Autograph: auto, Image: logo(t, 300, 300), QR: "https://sign.example.org/verify/01JD4W9KQ0"}, 260, 70},
		"qr":      {stamp.Appearance{Lines: []string{"Rossi Anna", "10/09/2010 11:09:23 CET"}, QR: "https://sign.example.org/verify/01JD4W9KQ0"}, 180, 50},
		"image":   {stamp.Appearance{Lines: []string{"Rossi Anna", "10/09/2010 11:09:23 CET"}, Image: logo(t, 300, 300)}, 180, 50},
		"tall":    {stamp.Appearance{Lines: []string{"Rossi Anna", "10/09/2010 11:09:23 CET"}, Autograph: auto, Image: logo(t, 300, 300), QR: "https://sign.example.org/verify/01JD4W9KQ0"}, 90, 200},
		"huge":    {stamp.Appearance{Lines: []string{"Rossi Anna", "10/09/2010 11:09:23 CET"}, Autograph: &stamp.Autograph{Strokes: wave()}}, 500, 300},
		"arabic":  {stamp.Appearance{Lines: []string{"وقع عليه محمد بن عبد الله", "مدير عام (Signbus) 123", "10/09/2010 11:09:23 CET"}}, 180, 50},
		"hebrew":  {stamp.Appearance{Lines: []string{"נחתם על ידי דוד כהן", "10/09/2010 11:09:23 CET"}}, 180, 50},
		"cjk":     {stamp.Appearance{Lines: []string{"署名者：山田太郎 かなカナ", "서명자: 김철수", "签名：张伟 签署"}}, 180, 50},
		"indic":   {stamp.Appearance{Lines: []string{"हस्ताक्षरकर्ता: आनन्द क्षत्रिय", "স্বাক্ষর: রবীন্দ্রনাথ ঠাকুর", "கையொப்பம்: ஆனந்த்"}}, 180, 60},
		"others":  {stamp.Appearance{Lines: []string{"ลงนามโดย สมชาย", "ხელმოწერილია გიორგი", "Ստորագրված Արամ", "ፈራሚ አበበ ✓ ★ →", "Ελένη Παπαδοπούλου Иван Жуков \U0001F600"}}, 180, 80},
		"long":    {stamp.Appearance{Lines: []string{"Signed by Wolfeschlegelsteinhausenbergerdorff-Schönborn-Buchheim Maximilian Alexander von und zu", "Deputy Assistant Undersecretary of the Department for Interministerial Coordination", "10/09/2010 11:09:23 CET"}}, 180, 50},
		"toolong": {stamp.Appearance{Lines: []string{"Signed by Wolfeschlegelsteinhausenbergerdorff-Schönborn-Buchheim Maximilian Alexander von und zu", "Deputy Assistant Undersecretary of the Department for Interministerial Coordination", "10/09/2010 11:09:23 CET"}}, 90, 30},
		"tiny":    {stamp.Appearance{Lines: []string{"Rossi Anna", "10/09/2010 11:09:23 CET"}}, 40, 8},
	}
}

// blocks returns the mean darkness, from 0 to 1, of each square of so many pixels.
func blocks(img image.Image, side int) []float64 {
	size := img.Bounds().Size()
	var out []float64
	for y := 0; y+side <= size.Y; y += side {
		for x := 0; x+side <= size.X; x += side {
			sum := 0.0
			for dy := range side {
				for dx := range side {
					g, _ := color.Gray16Model.Convert(img.At(img.Bounds().Min.X+x+dx, img.Bounds().Min.Y+y+dy)).(color.Gray16)
					sum += 1 - float64(g.Y)/0xFFFF
				}
			}
			out = append(out, sum/float64(side*side))
		}
	}
	return out
}

// difference returns the largest and the mean difference of squares of two pictures.
func difference(t testing.TB, a, b image.Image) (largest, mean float64) {
	t.Helper()
	require.InDelta(t, a.Bounds().Dx(), b.Bounds().Dx(), 1)
	require.InDelta(t, a.Bounds().Dy(), b.Bounds().Dy(), 1)
	both := image.Rect(0, 0, min(a.Bounds().Dx(), b.Bounds().Dx()), min(a.Bounds().Dy(), b.Bounds().Dy()))
	crop := func(img image.Image) image.Image {
		out := image.NewRGBA(both)
		draw.Draw(out, both, img, img.Bounds().Min, draw.Src)
		return out
	}
	x, y := blocks(crop(a), 4), blocks(crop(b), 4)
	for i := range x {
		d := math.Abs(x[i] - y[i])
		largest, mean = max(largest, d), mean+d/float64(len(x))
	}
	return largest, mean
}

func TestPreviewAndRenderersShowTheSame(t *testing.T) {
	t.Parallel()
	for name, s := range gallery(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const dpi = 288
			d := layout(t, s.look, s.width, s.height)
			preview, err := d.Image(dpi)
			require.NoError(t, err)
			data := document(t, d)
			for renderer, r := range map[string]struct {
				shown         image.Image
				largest, mean float64
			}{
				"mupdf":   {mupdf(t, data, dpi), 0.25, 0.01},
				"poppler": {poppler(t, data, dpi), 0.5, 0.025}, // it moves edges to whole pixels
			} {
				largest, mean := difference(t, preview, r.shown)
				require.Less(t, largest, r.largest, renderer)
				require.Less(t, mean, r.mean, renderer)
			}
		})
	}
}
