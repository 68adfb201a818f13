package stamp

import (
	"math"
	"slices"
	"sync"

	"github.com/go-text/typesetting/di"
	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/language"
	"github.com/go-text/typesetting/shaping"
	"golang.org/x/image/math/fixed"
	"golang.org/x/text/unicode/bidi"
)

// em is the size in which text is shaped, so that lengths come in thousandths of it.
const em = 1000

// widest is a line that holds every text, and manyLines a number of lines that no text reaches.
const widest, manyLines = fixed.Int26_6(math.MaxInt32), 1 << 20

// ellipsis ends what is cut off.
const ellipsis = "…"

// Ascent and descent of a line, in thousandths of the size, unless its letters need more.
const usualAscent, usualDescent = 950, 250

// glyph is a glyph of a line that is set.
type glyph struct {
	id uint16
	// x and y are its origin, counted from the start of the run, in thousandths of the size.
	x, y float64
	// end is where the text goes on, counted alike.
	end float64
	// text is what it stands for. In a cluster of several glyphs, the first one has it.
	text string
	// cluster is the number of glyphs that stand for the text together; 0 behind the first.
	cluster int
}

// run is a part of a line in one font.
type run struct {
	font   *fontData
	glyphs []glyph
	x      float64 // from the start of the line, in thousandths of the size
}

// line is a line of text, from left to right as it is seen. Lengths are in thousandths
// of the size; ascent and descent are distances from the base line.
type line struct {
	runs                   []run
	width, ascent, descent float64
	rtl                    bool
}

// paragraph is a text that is shaped but not broken.
type paragraph struct {
	text   []rune
	source string
	starts []int // of each character in source
	runs   []shaping.Output
	rtl    bool
}

// characters returns a part of the text.
func (p paragraph) characters(from, count int) string {
	end := len(p.source)
	if from+count < len(p.starts) {
		end = p.starts[from+count]
	}
	return p.source[p.starts[from]:end]
}

// typesetter shapes and breaks text. It keeps buffers and caches of glyphs.
type typesetter struct {
	segmenter shaping.Segmenter
	shaper    shaping.HarfbuzzShaper
	wrapper   shaping.LineWrapper
	faces     map[*typeface]*font.Face
	data      map[*font.Face]*fontData
	script    language.Script // of the run for which faces are chosen
	byHand    bool            // prefer the handwriting
	err       error           // of reading a font

	// shaped keeps paragraphs: name, title and organisation come with every signature of
	// their owner. It is emptied when it is full.
	shaped map[shapedKey]paragraph
}

// shapedKey names a shaped text.
type shapedKey struct {
	text   string
	byHand bool
}

// keptParagraphs and keptText bound the texts that are kept, in number and in bytes of each.
const keptParagraphs, keptText = 128, 200

var typesetters = sync.Pool{New: func() any {
	return &typesetter{faces: map[*typeface]*font.Face{}, data: map[*font.Face]*fontData{}, shaped: map[shapedKey]paragraph{}}
}}

// face returns the face of a font; nil when it can not be read.
func (t *typesetter) face(f *typeface) *font.Face {
	if face, ok := t.faces[f]; ok {
		return face
	}
	d, err := f.load()
	if err != nil {
		t.err = err
		return nil
	}
	face := font.NewFace(d.font)
	t.faces[f], t.data[face] = face, d
	return face
}

// SetScript is told the script of the characters that follow.
func (t *typesetter) SetScript(s language.Script) { t.script = s }

// ResolveFace chooses the face for a character: that of the run for characters of no
// script of their own, so that accents and points stay with their letters.
func (t *typesetter) ResolveFace(r rune) *font.Face {
	own := language.LookupScript(r)
	if !own.Strong() {
		own = t.script
	}
	if t.byHand {
		for _, f := range handwriting {
			if face := t.has(f, r); face != nil {
				return face
			}
		}
	}
	special := scripts[own]
	if special != nil && special != eastAsian {
		if face := t.has(special, r); face != nil {
			return face
		}
	}
	if face := t.has(base, r); face != nil {
		return face
	}
	if special == eastAsian {
		if face := t.has(eastAsian, r); face != nil {
			return face
		}
	}
	for _, f := range rest {
		if face := t.has(f, r); face != nil {
			return face
		}
	}
	return t.face(base)
}

// has returns the face of a font that has the character, else nil.
func (t *typesetter) has(f *typeface, r rune) *font.Face {
	face := t.face(f)
	if face == nil {
		return nil
	}
	if _, ok := face.NominalGlyph(r); !ok {
		return nil
	}
	return face
}

// shape turns a text into a paragraph.
func (t *typesetter) shape(text string) (paragraph, error) {
	key := shapedKey{text, t.byHand}
	if p, ok := t.shaped[key]; ok {
		return p, nil
	}
	p := paragraph{text: make([]rune, 0, len(text)), starts: make([]int, 0, len(text)), source: text}
	for i, r := range text {
		p.text, p.starts = append(p.text, r), append(p.starts, i)
	}
	p.rtl = rightToLeft(p.text)
	if t.face(base) == nil {
		return p, t.err
	}
	in := shaping.Input{Text: p.text, RunEnd: len(p.text), Direction: direction(p.rtl), Size: fixed.I(em)}
	for _, part := range t.segmenter.Split(in, t) {
		p.runs = append(p.runs, t.shaper.Shape(part))
	}
	if t.err == nil && len(text) <= keptText {
		if len(t.shaped) == keptParagraphs {
			clear(t.shaped)
		}
		t.shaped[key] = p
	}
	return p, t.err
}

// rightToLeft tells the direction of a text by its first letter that has one (UAX 9, P2).
func rightToLeft(text []rune) bool {
	for _, r := range text {
		p, _ := bidi.LookupRune(r)
		switch p.Class() {
		case bidi.L:
			return false
		case bidi.R, bidi.AL:
			return true
		}
	}
	return false
}

func direction(rtl bool) di.Direction {
	if rtl {
		return di.DirectionRTL
	}
	return di.DirectionLTR
}

// width returns the width of the paragraph on one line.
func (p paragraph) width() float64 {
	var w fixed.Int26_6
	for _, r := range p.runs {
		w += r.Advance
	}
	return units(w)
}

// units turns what the shaper measures into thousandths of the size.
func units(v fixed.Int26_6) float64 { return float64(v) / 64 }

// unbroken sets a paragraph on one line, however wide.
func (t *typesetter) unbroken(p paragraph) line {
	if len(p.runs) == 1 {
		return t.line(p, p.runs, nil)
	}
	lines, _ := t.wrapper.WrapParagraphF(shaping.WrapConfig{Direction: direction(p.rtl), DisableTrailingWhitespaceTrim: true}, widest, p.text, shaping.NewSliceIterator(p.runs))
	return t.line(p, lines[0], nil)
}

// wrap breaks paragraphs into lines no wider than width; a word that is wider itself is
// cut. It stops after the given number of lines, the last of which ends in dots when
// something is left out.
func (t *typesetter) wrap(paragraphs []paragraph, width float64, most int) ([]line, error) {
	dots, err := t.shape(ellipsis)
	if err != nil {
		return nil, err
	}
	var out []line
	for i, p := range paragraphs {
		left := most - len(out)
		if left <= 0 {
			break
		}
		config := shaping.WrapConfig{
			Direction: direction(p.rtl), TruncateAfterLines: left, TextContinues: i < len(paragraphs)-1,
			Truncator:                     dots.runs[0],
			DisableTrailingWhitespaceTrim: true, // it would change runs that are wrapped again
		}
		lines, _ := t.wrapper.WrapParagraphF(config, fixed.Int26_6(min(width*64, float64(widest))), p.text, shaping.NewSliceIterator(p.runs))
		for _, l := range lines {
			out = append(out, t.line(p, l, &dots.runs[0]))
		}
	}
	return out, nil
}

// line takes a line out of the buffers of the wrapper, in the order in which it is seen.
func (t *typesetter) line(p paragraph, wrapped shaping.Line, dots *shaping.Output) line {
	l := line{rtl: p.rtl, ascent: usualAscent, descent: usualDescent}
	parts := slices.Clone(wrapped)
	if n := len(parts); n > 0 {
		if end := parts[n-1].Runes.Offset + parts[n-1].Runes.Count; end > 0 && p.text[end-1] == ' ' {
			trimEnd(&parts[n-1])
		}
	}
	slices.SortFunc(parts, func(a, b shaping.Output) int { return int(a.VisualIndex - b.VisualIndex) })
	for _, part := range parts {
		if len(part.Glyphs) == 0 {
			continue
		}
		r := run{font: t.data[part.Face], x: l.width, glyphs: make([]glyph, 0, len(part.Glyphs))}
		isDots := dots != nil && &part.Glyphs[0] == &dots.Glyphs[0]
		x, last := fixed.Int26_6(0), -1
		for _, g := range part.Glyphs {
			set := glyph{id: uint16(g.GlyphID), x: units(x + g.XOffset), y: units(g.YOffset)}
			x += g.Advance
			set.end = units(x)
			switch from := g.TextIndex(); {
			case isDots:
				set.text, set.cluster = ellipsis, 1
			case from != last:
				last = from
				set.text, set.cluster = p.characters(from, g.RunesCount()), g.GlyphsCount()
			}
			if g.GlyphID != font.EmptyGlyph {
				r.glyphs = append(r.glyphs, set)
			}
		}
		l.runs = append(l.runs, r)
		l.width += units(x)
		l.ascent = max(l.ascent, units(part.GlyphBounds.Ascent))
		l.descent = max(l.descent, -units(part.GlyphBounds.Descent))
	}
	return l
}

// trimEnd takes the blank off that ends a line.
func trimEnd(part *shaping.Output) {
	n := len(part.Glyphs)
	switch {
	case n == 0:
	case part.Direction == di.DirectionRTL:
		part.Glyphs = part.Glyphs[1:]
	default:
		part.Glyphs = part.Glyphs[:n-1]
	}
}
