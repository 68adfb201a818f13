package stamp_test

import (
	"bytes"
	"image"
	"image/jpeg"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf/stamp"
)

// FuzzLayout draws hostile texts and images: whatever is not refused can be written,
// copied by nobody's fault, and shown.
func FuzzLayout(f *testing.F) {
	var photo bytes.Buffer
	require.NoError(f, jpeg.Encode(&photo, image.NewGray(image.Rect(0, 0, 9, 7)), nil))
	f.Add("Anna\nEngineer", "Anna", "https://sign.example.org", logo(f, 20, 10), 180.0, 50.0)
	f.Add("وقع عليه (محمد) 12\u0301\u200D", "דוד", "", photo.Bytes(), 60.0, 200.0)
	f.Add("हस्ताक्षरकर्ता 山田 \U0001F600\uFE0F\xFF", "Ж\u0300", "1234", []byte(nil), 0.1, 14400.0)
	f.Add(strings.Repeat("a\u034F\u0E33ﷺ", 300), strings.Repeat("W", 2000), "", []byte(nil), 5.0, 5.0)
	f.Fuzz(func(t *testing.T, text, typed, code string, picture []byte, width, height float64) {
		look := stamp.Appearance{Lines: strings.Split(text, "\n"), Autograph: &stamp.Autograph{Typed: typed}, Image: picture, QR: code}
		d, err := look.Layout(width, height)
		if err != nil {
			for _, known := range []error{stamp.ErrImage, stamp.ErrQR, stamp.ErrSize} {
				if strings.Contains(err.Error(), known.Error()) {
					require.ErrorIs(t, err, known)
					return
				}
			}
			require.NoError(t, err, "an error without a name")
		}
		_, err = d.Form(&counter{}, 90)
		require.NoError(t, err)
		if width*height < 1e5 {
			if _, err = d.Image(72); err != nil {
				require.ErrorIs(t, err, stamp.ErrSize)
			}
		}
	})
}

// FuzzAutograph draws hostile strokes.
func FuzzAutograph(f *testing.F) {
	f.Add([]byte{0, 255, 3, 9, 200, 7}, 3.0, 100.0, 40.0)
	f.Fuzz(func(t *testing.T, raw []byte, aspect, width, height float64) {
		hand := &stamp.Autograph{Aspect: aspect}
		for points := range slices.Chunk(raw, 8) {
			var s []stamp.Point
			for pair := range slices.Chunk(points, 2) {
				s = append(s, stamp.Point{X: float64(pair[0]) / 99 * aspect, Y: 1 / (float64(pair[len(pair)-1]) - 9)})
			}
			hand.Strokes = append(hand.Strokes, s)
		}
		d, err := stamp.Appearance{Autograph: hand}.Layout(width, height)
		if err != nil {
			require.ErrorIs(t, err, stamp.ErrSize)
			return
		}
		_, err = d.Form(&counter{}, 0)
		require.NoError(t, err)
		if width*height < 1e5 {
			if _, err = d.Image(72); err != nil {
				require.ErrorIs(t, err, stamp.ErrSize)
			}
		}
	})
}
