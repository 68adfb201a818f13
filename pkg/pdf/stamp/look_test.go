package stamp_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf/stamp"
)

func wave() [][]stamp.Point {
	var s []stamp.Point
	for i := range 120 {
		x := float64(i) / 119
		s = append(s, stamp.Point{X: 0.02 + x*0.96, Y: 0.5 + 0.45*math.Sin(x*17)*math.Cos(x*3)*(1-x*0.5)})
	}
	return [][]stamp.Point{s, {{X: 0.8, Y: 0.2}}}
}

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
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, img))
	return b.Bytes()
}

func TestLook(t *testing.T) {
	out := os.Getenv("STAMP_LOOK")
	if out == "" {
		t.Skip()
	}
	auto := &stamp.Autograph{Typed: "Anna Árpád Żółć"}
	for name, c := range map[string]struct {
		a    stamp.Appearance
		w, h float64
	}{
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
	} {
		d := layout(t, c.a, c.w, c.h)
		var b bytes.Buffer
		require.NoError(t, d.PNG(&b, 192))
		require.NoError(t, os.WriteFile(filepath.Join(out, name+".png"), b.Bytes(), 0o600))
		data := document(t, d)
		require.NoError(t, os.WriteFile(filepath.Join(out, name+".pdf"), data, 0o600))
		f, err := os.Create(filepath.Join(out, name+"-poppler.png"))
		require.NoError(t, err)
		require.NoError(t, png.Encode(f, poppler(t, data, 192)))
	}
}
