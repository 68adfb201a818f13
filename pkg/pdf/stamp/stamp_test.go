package stamp_test

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/rangetable"

	"signbus.dev/pkg/pdf/stamp"
)

// copied returns the text of a file as poppler copies it, without the marks of direction.
func copied(t testing.TB, data []byte) string {
	t.Helper()
	text := run(t, "pdftotext", "-layout", file(t, "in.pdf", data), "-")
	text = strings.Map(func(r rune) rune {
		if r >= 0x202A && r <= 0x202E {
			return -1
		}
		return r
	}, text)
	var lines []string
	for line := range strings.Lines(strings.Trim(text, "\f")) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

func TestTextCanBeCopied(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"Rossi Anna", "Árpád Żółć Øystein Çelik", "office flow efficient", "Ελένη Παπαδοπούλου", "Иван Жуков", "e\u0301te\u0301",
		"山田太郎 かなカナ", "김철수", "张伟 簽名", "ลงนามโดย สมชาย", "ხელმოწერილია გიორგი", "Ստորագրված Արամ", "ፈራሚ አበበ",
		"हस्ताक्षरकर्ता: आनन्द क्षत्रिय", "স্বাক্ষর: রবীন্দ্রনাথ ঠাকুর", "கையொப்பம்: ஆனந்த்", "ಸಹಿ ಮಾಡಿದವರು", "ഒപ്പിട്ടത്", "సంతకం",
		"હસ્તાક્ષર", "ਦਸਤਖਤ", "අත්සන", "ຊື່", "ហត្ថលេខា", "နာမည်", "མཚན་རྟགས།",
		"נחתם על ידי דוד כהן", "وقع عليه محمد بن عبد الله",
		"no glyph: \U0001F600", "Anna ✓",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, line, copied(t, document(t, layout(t, stamp.Appearance{Lines: []string{line}}, 300, 40))))
		})
	}
}

func TestEveryFontIsEmbedded(t *testing.T) {
	t.Parallel()
	for name, s := range gallery(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := file(t, "in.pdf", document(t, layout(t, s.look, s.width, s.height)))
			lines := strings.Split(strings.TrimSpace(run(t, "pdffonts", path)), "\n")[2:]
			require.NotEmpty(t, lines)
			for _, line := range lines {
				require.Regexp(t, `^[A-Z]{6}\+\S+ +CID TrueType +Identity-H +yes yes yes `, line)
			}
			run(t, "qpdf", "--check", path)
		})
	}
}

func TestCodesAreRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text          string
		lines         []string
		width, height float64
	}{
		"alone":       {"https://sign.example.org/v/1", nil, 60, 60},
		"beside text": {"https://sign.example.org/verify/01JD4W9KQ0", []string{"Anna", "10/09/2010"}, 180, 50},
		"above text":  {"https://sign.example.org/verify/01JD4W9KQ0", []string{"Anna"}, 60, 120},
		"digits":      {"0123456789012345", nil, 50, 50},
		"long":        {"https://sign.example.org/verify?" + strings.Repeat("0123456789abcdef", 10), []string{"Anna"}, 180, 80},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := layout(t, stamp.Appearance{Lines: c.lines, QR: c.text}, c.width, c.height)
			preview, err := d.Image(300)
			require.NoError(t, err)
			for renderer, shown := range map[string]image.Image{"preview": preview, "poppler": poppler(t, document(t, d), 300)} {
				out := run(t, "zbarimg", "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", file(t, "in.png", encodePNG(t, shown)))
				require.Equal(t, c.text, strings.TrimSpace(out), renderer)
			}
		})
	}
}

func TestWhatCanNotBeDrawnIsRefused(t *testing.T) {
	t.Parallel()
	photo := func(w, h int) []byte {
		var out bytes.Buffer
		require.NoError(t, jpeg.Encode(&out, image.NewGray(image.Rect(0, 0, w, h)), nil))
		return out.Bytes()
	}
	ring := logo(t, 100, 100)
	for name, c := range map[string]struct {
		look          stamp.Appearance
		width, height float64
		want          error
	}{
		"no width":              {stamp.Appearance{}, 0, 10, stamp.ErrSize},
		"not a number":          {stamp.Appearance{}, math.NaN(), 10, stamp.ErrSize},
		"endless":               {stamp.Appearance{}, math.Inf(1), 10, stamp.ErrSize},
		"no image":              {stamp.Appearance{Image: []byte("GIF89a")}, 100, 50, stamp.ErrImage},
		"half an image":         {stamp.Appearance{Image: ring[:len(ring)/2]}, 100, 50, stamp.ErrImage},
		"large image":           {stamp.Appearance{Image: photo(4096, 3073)}, 100, 50, stamp.ErrImage},
		"large file":            {stamp.Appearance{Image: append(ring, make([]byte, stamp.MaxImageBytes)...)}, 100, 50, stamp.ErrImage},
		"small box":             {stamp.Appearance{QR: "https://sign.example.org"}, 100, 20, stamp.ErrQR},
		"no room beside":        {stamp.Appearance{QR: "https://sign.example.org", Lines: []string{"Anna"}}, 37, 36, stamp.ErrQR},
		"endless code":          {stamp.Appearance{QR: strings.Repeat("x", 1001)}, 1000, 1000, stamp.ErrQR},
		"code of other letters": {stamp.Appearance{QR: "https://sign.example.org/?n=Ζωή"}, 1000, 1000, stamp.ErrQR},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := c.look.Layout(c.width, c.height)
			require.ErrorIs(t, err, c.want)
		})
	}
	_, err := layout(t, stamp.Appearance{Lines: []string{"Anna"}}, 1000, 1000).Image(600)
	require.ErrorIs(t, err, stamp.ErrSize)
}

func TestLinesFollowTheRulesOfTags(t *testing.T) {
	t.Parallel()
	at := time.Date(2010, 9, 10, 11, 9, 23, 0, time.FixedZone("CET", 3600))
	for name, c := range map[string]struct {
		look stamp.Appearance
		want string
	}{
		"empty lines are left out":      {stamp.Appearance{Lines: []string{"", "Anna", " \t", "Engineer", ""}}, "Anna\nEngineer"},
		"the date is last":              {stamp.Appearance{Lines: []string{"Anna"}, Date: at}, "Anna\n10/09/2010 11:09:23 CET"},
		"blanks are one":                {stamp.Appearance{Lines: []string{" Anna \n\t B "}}, "Anna B"},
		"nothing turns the direction":   {stamp.Appearance{Lines: []string{"\u202EannA\u202C \u2067x\u2069"}}, "annA x"},
		"control characters are gone":   {stamp.Appearance{Lines: []string{"An\x00na\x7F"}}, "Anna"},
		"broken UTF-8 is a replacement": {stamp.Appearance{Lines: []string{"A\xFFB"}}, "A\uFFFDB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, copied(t, document(t, layout(t, c.look, 200, 50))))
		})
	}
	require.True(t, stamp.Appearance{Lines: []string{" "}, Autograph: &stamp.Autograph{Typed: "\t"}}.Empty())
}

func TestTextStandsAtTheBottom(t *testing.T) {
	t.Parallel()
	img, err := layout(t, stamp.Appearance{Lines: []string{"Anna"}}, 100, 100).Image(72)
	require.NoError(t, err)
	require.Empty(t, inkIn(img, image.Rect(3, 3, 97, 75)))
	require.NotEmpty(t, inkIn(img, image.Rect(3, 75, 97, 97)))
}

// inkIn returns the pixels of a part of a picture that are not white.
func inkIn(img image.Image, in image.Rectangle) []image.Point {
	var out []image.Point
	for y := in.Min.Y; y < in.Max.Y; y++ {
		for x := in.Min.X; x < in.Max.X; x++ {
			if g, _ := color.GrayModel.Convert(img.At(x, y)).(color.Gray); g.Y < 250 {
				out = append(out, image.Pt(x, y))
			}
		}
	}
	return out
}

// corners is a picture of four colours, 20 by 10 pixels.
func corners() *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, 20, 10))
	for y := range 10 {
		for x := range 20 {
			img.Set(x, y, color.NRGBA{uint8(x / 10 * 255), uint8(y / 5 * 255), 128, 255})
		}
	}
	return img
}

func TestPhotosAreUpright(t *testing.T) {
	t.Parallel()
	var photo bytes.Buffer
	require.NoError(t, jpeg.Encode(&photo, corners(), &jpeg.Options{Quality: 100}))
	// Where the corner that was at the upper left is to be seen (Exif 2.3, 4.6.4).
	for orientation, want := range map[byte]struct{ right, bottom, turned bool }{
		1: {}, 2: {right: true}, 3: {right: true, bottom: true}, 4: {bottom: true},
		5: {turned: true}, 6: {right: true, turned: true}, 7: {right: true, bottom: true, turned: true}, 8: {bottom: true, turned: true},
	} {
		exif := append([]byte("\xFF\xE1\x00\x22Exif\x00\x00MM\x00\x2A\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00"), orientation, 0, 0, 0, 0, 0, 0)
		data := slices.Concat(photo.Bytes()[:2], exif, photo.Bytes()[2:])
		width, height := 100.0, 50.0
		if want.turned {
			width, height = height, width
		}
		img, err := layout(t, stamp.Appearance{Image: data}, width, height).Image(72)
		require.NoError(t, err)
		x, y := 10, 10
		if want.right {
			x = int(width) - 10
		}
		if want.bottom {
			y = int(height) - 10
		}
		c := img.RGBAAt(x, y)
		require.InDelta(t, 0, c.R, 30, "orientation %d", orientation)
		require.InDelta(t, 0, c.G, 30, "orientation %d", orientation)
		require.InDelta(t, 128, c.B, 30, "orientation %d", orientation)
	}
}

func TestNothingOfAnImageButItsPixelsIsKept(t *testing.T) {
	t.Parallel()
	var photo bytes.Buffer
	require.NoError(t, jpeg.Encode(&photo, corners(), nil))
	secret := "taken at home"
	data := slices.Concat(photo.Bytes()[:2], []byte{0xFF, 0xFE, 0, byte(2 + len(secret))}, []byte(secret), photo.Bytes()[2:])
	require.NotContains(t, string(document(t, layout(t, stamp.Appearance{Image: data}, 100, 50))), secret)
}

func TestThePageShowsThroughAnImage(t *testing.T) {
	t.Parallel()
	data := document(t, layout(t, stamp.Appearance{Image: logo(t, 60, 60)}, 60, 60))
	data = bytes.Replace(data, []byte("\n/S Do"), []byte("\n0 0 60 60 re f /S Do"), 1) // on a black page
	data = bytes.Replace(data, []byte("<</Length 5>>"), []byte("<</Length 20>>"), 1)
	shown := poppler(t, data, 72)
	grey := func(x, y int) uint8 {
		g, _ := color.GrayModel.Convert(shown.At(x, y)).(color.Gray)
		return g.Y
	}
	require.Zero(t, grey(30, 30), "the middle of the ring")
	require.NotZero(t, grey(30, 10), "the ring")
}

func TestDrawingsAreForAllGoroutines(t *testing.T) {
	t.Parallel()
	look := stamp.Appearance{Lines: []string{"Rossi Anna", "山田太郎"}, Image: logo(t, 40, 40), QR: "https://sign.example.org"}
	d := layout(t, look, 180, 50)
	want := document(t, d)
	for range 8 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			require.Equal(t, want, document(t, d))
			require.Equal(t, want, document(t, layout(t, look, 180, 50)))
			_, err := d.Image(96)
			require.NoError(t, err)
		})
	}
}

// Not in parallel: what is counted is the allocations of the program.
func TestHostileTextEndsSoon(t *testing.T) {
	for _, line := range []string{
		strings.Repeat("ﷺ", 2000), strings.Repeat("a", 1<<20), strings.Repeat("a\u0301\u0323", 5000), strings.Repeat("\u200B", 5000),
		strings.Repeat("((", 5000), strings.Repeat("أA", 5000), strings.Repeat("\xFF", 5000), strings.Repeat("क्", 5000),
	} {
		for _, box := range []image.Point{{5, 5}, {1, 14400}, {14400, 1}, {180, 50}} {
			look := stamp.Appearance{Lines: slices.Repeat([]string{line}, 100), Autograph: &stamp.Autograph{Typed: line}}
			require.Less(t, testing.AllocsPerRun(1, func() {
				_, err := look.Layout(float64(box.X), float64(box.Y))
				require.NoError(t, err)
			}), 200_000.0)
		}
	}
}

func BenchmarkAppearance(b *testing.B) {
	for name, s := range gallery(b) {
		if s.look.Lines == nil || s.height < 20 {
			continue
		}
		b.Run("form/"+name, func(b *testing.B) {
			b.ReportAllocs()
			look := s.look
			for i := 0; b.Loop(); i++ {
				look.Date = time.Unix(int64(i), 0).UTC() // what changes from one signature to the next
				d, err := look.Layout(s.width, s.height)
				require.NoError(b, err)
				sink := &counter{}
				_, err = d.Form(sink, 0)
				require.NoError(b, err)
				b.ReportMetric(float64(sink.bytes), "bytes")
			}
		})
		b.Run("preview/"+name, func(b *testing.B) {
			b.ReportAllocs()
			d, err := s.look.Layout(s.width, s.height)
			require.NoError(b, err)
			var out bytes.Buffer
			for b.Loop() {
				out.Reset()
				require.NoError(b, d.PNG(&out, 144))
			}
		})
	}
}

// counter takes objects and counts their bytes.
type counter struct{ objects, bytes int64 }

func (c *counter) Allocate() int64                    { c.objects++; return c.objects }
func (c *counter) Object(_ int64, body []byte)        { c.bytes += int64(len(body)) }
func (c *counter) Stream(_ int64, e string, d []byte) { c.bytes += int64(len(e) + len(d)) }

// Scripts without a font here: those of large fonts in which nobody writes a name today, and
// those that are younger in Unicode than our fonts.
var withoutFont = []string{
	"Anatolian_Hieroglyphs", "Cuneiform", "Egyptian_Hieroglyphs", "SignWriting", "Tangut",
	"Chorasmian", "Cypro_Minoan", "Dives_Akuru", "Kawi", "Khitan_Small_Script", "Makasar", "Nag_Mundari", "Nandinagari",
	"Old_Uyghur", "Tangsa", "Toto", "Vithkuqi",
}

// A signature shows every script of Unicode in a font that has it, and its text is that which was given.
func TestEveryScriptShows(t *testing.T) {
	t.Parallel()
	for name, table := range unicode.Scripts {
		if name == "Common" || slices.Contains(withoutFont, name) {
			continue
		}
		first := map[string]rune{"Han": 0x4E00, "Hangul": 0xAC00}[name] // radicals and parts of syllables come before
		var sample []rune
		rangetable.Visit(table, func(r rune) {
			if r >= first && unicode.IsLetter(r) && len(sample) < 3 {
				sample = append(sample, r)
			}
		})
		if len(sample) == 0 {
			continue // signs, such as those of Braille
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := document(t, layout(t, stamp.Appearance{Lines: []string{string(sample)}}, 300, 40))
			// Poppler turns few of the scripts that run from right to left.
			require.ElementsMatch(t, sample, []rune(copied(t, data)))
			fonts := run(t, "pdffonts", file(t, "in.pdf", data))
			if slices.Contains([]string{"Latin", "Greek", "Cyrillic"}, name) {
				require.Regexp(t, `\+NotoSans `, fonts)
				return
			}
			require.NotRegexp(t, `\+NotoSans `, fonts, "the box for what is missing: %U", sample)
		})
	}
}
