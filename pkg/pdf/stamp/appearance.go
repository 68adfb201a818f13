package stamp

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Appearance is what a visible signature shows, in a thin frame.
type Appearance struct {
	// Lines of text. Empty ones are left out, long ones are broken. Text stands at the
	// bottom of its place (GoSign/LegalBus, chapter 4, confString).
	Lines []string
	// Date is shown as the last line, to the second and in its own time zone; zero for none.
	Date time.Time
	// Autograph is a drawn or typed signature; nil for none.
	Autograph *Autograph
	// Image is a PNG or JPEG file: a logo, a seal or a scanned signature; empty for none.
	// At most [MaxImageBytes] and [MaxImagePixels].
	Image []byte
	// QR is the text of a QR code (ISO/IEC 18004), usually an address, in ASCII; empty for none.
	// At most 1,000 bytes.
	QR string
}

// Autograph is a signature by hand: strokes, or else a name to be set in a handwriting.
type Autograph struct {
	// Strokes are the lines drawn. Coordinates go from 0 to 1, from the upper left
	// corner of the drawing area, as on a screen.
	Strokes [][]Point
	// Aspect is width divided by height of the drawing area, 3 when zero.
	Aspect float64
	// Typed is the name, used when there are no strokes.
	Typed string
}

// Point is a point of a stroke.
type Point struct{ X, Y float64 }

// Empty tells whether there is nothing to show.
func (a Appearance) Empty() bool {
	return a.Autograph.empty() && len(a.text()) == 0 && len(a.Image) == 0 && a.QR == ""
}

func (a *Autograph) empty() bool {
	return a == nil || len(a.Strokes) == 0 && clean(a.Typed) == ""
}

// dateFormat is that of the published examples of signature tags (chapter 4).
const dateFormat = "02/01/2006 15:04:05 MST"

// The bounds of what is drawn; a signature needs a small part of each.
const (
	maxLines  = 40
	maxText   = 600    // characters of all lines
	maxTyped  = 150    // characters of a typed autograph
	maxPoints = 20_000 // of all strokes; a hand makes a few hundred
)

// text returns the lines that hold something.
func (a Appearance) text() []string {
	lines := a.Lines
	if !a.Date.IsZero() {
		lines = append(slices.Clip(lines), a.Date.Format(dateFormat))
	}
	var out []string
	left := maxText
	for _, line := range lines {
		if len(out) == maxLines || left == 0 {
			break
		}
		if line = shorten(clean(line), left); line != "" {
			out = append(out, line)
			left -= utf8.RuneCountInString(line)
		}
	}
	return out
}

// clean makes one line of a text: runs of white space become one space, control
// characters and those that turn the direction of what follows are dropped, because a
// name must not show as another one.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069, r == 0xFEFF:
			return -1
		}
		return r
	}, text)
	return strings.Join(strings.Fields(text), " ")
}

// shorten cuts a text to n characters.
func shorten(text string, n int) string {
	count := 0
	for i := range text {
		if count == n {
			return text[:i]
		}
		count++
	}
	return text
}
