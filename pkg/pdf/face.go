package pdf

import (
	"fmt"
	"strings"

	"github.com/pdfcpu/pdfcpu/pkg/font"
)

// style is upright for text and italic for typed autographs.
type style int

const (
	upright style = iota
	italic
)

// face is a font in one appearance. Text in WinAnsi uses a standard font that every
// viewer has; other text embeds the used glyphs of a font with Latin, Greek and Cyrillic
// letters, in which what is still missing shows as an empty box.
type face struct {
	resource string
	core     string // name of the standard font, empty when glyphs are embedded
	embedded *subset
}

func newFace(s style, text, resource string) (*face, error) {
	f := &face{resource: resource}
	if winAnsi(text) {
		f.core = "Helvetica"
		if s == italic {
			f.core = "Times-Italic"
		}
		return f, nil
	}
	var err error
	f.embedded, err = newSubset(s)
	return f, err
}

// width returns the width of a text at a size.
func (f *face) width(text string, size float64) float64 {
	var units int
	for _, r := range text {
		if f.embedded != nil {
			units += f.embedded.width(r)
			continue
		}
		n, err := font.CharWidth(f.core, r)
		if err != nil || n == 0 {
			n = 556
		}
		units += n
	}
	return float64(units) * size / 1000
}

// encode returns the string to show, as a hexadecimal string.
func (f *face) encode(text string) string {
	var out strings.Builder
	out.WriteByte('<')
	for _, r := range text {
		if f.embedded != nil {
			fmt.Fprintf(&out, "%04X", f.embedded.glyph(r))
			continue
		}
		b, _ := winAnsiByte(r)
		fmt.Fprintf(&out, "%02X", b)
	}
	out.WriteByte('>')
	return out.String()
}

// write puts the font into the tail.
func (f *face) write(t *tail) (ref, error) {
	if f.embedded != nil {
		return f.embedded.write(t)
	}
	r := t.allocate()
	t.object(r, []byte("<</Type/Font/Subtype/Type1/BaseFont/"+f.core+"/Encoding/WinAnsiEncoding>>"))
	return r, nil
}

// wrap breaks lines into lines no wider than width; a word that is wider itself is cut.
func (f *face) wrap(lines []string, size, width float64) []string {
	var out []string
	for _, line := range lines {
		current := ""
		for word := range strings.FieldsSeq(line) {
			joined := strings.TrimSpace(current + " " + word)
			if f.width(joined, size) <= width {
				current = joined
				continue
			}
			if current != "" {
				out = append(out, current)
			}
			pieces := f.cut(word, size, width)
			out = append(out, pieces[:len(pieces)-1]...)
			current = pieces[len(pieces)-1]
		}
		out = append(out, current)
	}
	return out
}

// cut splits a word into pieces no wider than width, each of at least one letter.
func (f *face) cut(word string, size, width float64) []string {
	var out []string
	piece := ""
	for _, r := range word {
		if piece != "" && f.width(piece+string(r), size) > width {
			out = append(out, piece)
			piece = ""
		}
		piece += string(r)
	}
	return append(out, piece)
}

// shorten keeps the first n lines and ends the last one with dots when some are lost.
func (f *face) shorten(lines []string, n int, size, width float64) []string {
	if len(lines) <= n {
		return lines
	}
	lines = append([]string(nil), lines[:n]...)
	last := []rune(lines[n-1])
	for len(last) > 0 && f.width(string(last)+"...", size) > width {
		last = last[:len(last)-1]
	}
	lines[n-1] = string(last) + "..."
	return lines
}

// winAnsiHigh holds the characters of WinAnsiEncoding from 0x80 to 0x9F.
var winAnsiHigh = [32]rune{
	'€', 0, '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', 0, 'Ž', 0,
	0, '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', 0, 'ž', 'Ÿ',
}

// winAnsiByte returns the code of a character in WinAnsiEncoding.
func winAnsiByte(r rune) (byte, bool) {
	if r >= 32 && r < 127 || r >= 0xA0 && r <= 0xFF {
		return byte(r), true
	}
	for i, high := range winAnsiHigh {
		if high == r && r != 0 {
			return byte(0x80 + i), true
		}
	}
	return '?', false
}

func winAnsi(text string) bool {
	for _, r := range text {
		if _, ok := winAnsiByte(r); !ok {
			return false
		}
	}
	return true
}
