package pdf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"sync"
	"unicode/utf16"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goitalic"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// trueType is a parsed font file.
type trueType struct {
	name   string
	tables map[string][]byte
	sfnt   *sfnt.Font
	units  int
	long   bool // offsets in loca have four bytes
	glyphs int
}

var (
	regularType = sync.OnceValues(func() (*trueType, error) { return parseTrueType("GoRegular", goregular.TTF) })
	italicType  = sync.OnceValues(func() (*trueType, error) { return parseTrueType("GoItalic", goitalic.TTF) })
)

func parseTrueType(name string, data []byte) (*trueType, error) {
	parsed, err := sfnt.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("parse font %s: %w", name, err)
	}
	t := &trueType{name: name, tables: map[string][]byte{}, sfnt: parsed, units: int(parsed.UnitsPerEm()), glyphs: parsed.NumGlyphs()}
	for i := range int(binary.BigEndian.Uint16(data[4:])) {
		row := data[12+16*i:]
		off, n := binary.BigEndian.Uint32(row[8:]), binary.BigEndian.Uint32(row[12:])
		t.tables[string(row[:4])] = data[off : off+n]
	}
	t.long = binary.BigEndian.Uint16(t.tables["head"][50:]) == 1
	return t, nil
}

// outline returns the description of a glyph.
func (t *trueType) outline(gid int) []byte {
	loca, glyf := t.tables["loca"], t.tables["glyf"]
	if t.long {
		return glyf[binary.BigEndian.Uint32(loca[4*gid:]):binary.BigEndian.Uint32(loca[4*gid+4:])]
	}
	return glyf[2*int(binary.BigEndian.Uint16(loca[2*gid:])) : 2*int(binary.BigEndian.Uint16(loca[2*gid+2:]))]
}

// subset is the part of a font that one appearance uses. Glyphs keep their numbers.
type subset struct {
	font *trueType
	used map[rune]int
	buf  sfnt.Buffer
}

func newSubset(s style) (*subset, error) {
	load := regularType
	if s == italic {
		load = italicType
	}
	t, err := load()
	if err != nil {
		return nil, err
	}
	return &subset{font: t, used: map[rune]int{}}, nil
}

// glyph returns the number of the glyph for a character, 0 (an empty box) when there is none.
func (s *subset) glyph(r rune) int {
	if gid, ok := s.used[r]; ok {
		return gid
	}
	gid, err := s.font.sfnt.GlyphIndex(&s.buf, r)
	if err != nil {
		gid = 0
	}
	s.used[r] = int(gid)
	return int(gid)
}

// width returns the width of a character in thousandths of the size.
func (s *subset) width(r rune) int { return s.advance(s.glyph(r)) }

func (s *subset) advance(gid int) int {
	a, err := s.font.sfnt.GlyphAdvance(&s.buf, sfnt.GlyphIndex(gid), fixed.I(s.font.units), font.HintingNone)
	if err != nil {
		return 0
	}
	return a.Round() * 1000 / s.font.units
}

// closure returns the used glyphs, with the parts of composed ones, in order.
func (s *subset) closure() []int {
	seen := map[int]bool{0: true}
	var visit func(gid int)
	visit = func(gid int) {
		seen[gid] = true
		for _, part := range components(s.font.outline(gid)) {
			if !seen[part] {
				visit(part)
			}
		}
	}
	for _, gid := range s.used {
		visit(gid)
	}
	return slices.Sorted(maps.Keys(seen))
}

// components lists the glyphs that a composed glyph is made of.
func components(outline []byte) []int {
	if len(outline) < 10 || int16(binary.BigEndian.Uint16(outline)) >= 0 {
		return nil
	}
	const words, scale, more, xyScale, matrix = 1, 8, 0x20, 0x40, 0x80
	var out []int
	for p := 10; p+4 <= len(outline); {
		flags := binary.BigEndian.Uint16(outline[p:])
		out = append(out, int(binary.BigEndian.Uint16(outline[p+2:])))
		p += 6
		if flags&words != 0 {
			p += 2
		}
		switch {
		case flags&scale != 0:
			p += 2
		case flags&xyScale != 0:
			p += 4
		case flags&matrix != 0:
			p += 8
		}
		if flags&more == 0 {
			break
		}
	}
	return out
}

// file returns a font file with the given glyphs only.
func (s *subset) file(gids []int) []byte {
	t := s.font
	loca := make([]byte, 4*(t.glyphs+1))
	var glyf []byte
	next := 0
	for gid := range t.glyphs {
		binary.BigEndian.PutUint32(loca[4*gid:], uint32(len(glyf)))
		if next < len(gids) && gids[next] == gid {
			next++
			glyf = append(glyf, t.outline(gid)...)
			for len(glyf)%4 != 0 {
				glyf = append(glyf, 0)
			}
		}
	}
	binary.BigEndian.PutUint32(loca[4*t.glyphs:], uint32(len(glyf)))
	head := bytes.Clone(t.tables["head"])
	binary.BigEndian.PutUint16(head[50:], 1)
	tables := map[string][]byte{"head": head, "loca": loca, "glyf": glyf}
	for _, name := range []string{"cvt ", "fpgm", "hhea", "hmtx", "maxp", "prep"} {
		if data, ok := t.tables[name]; ok {
			tables[name] = data
		}
	}
	return assemble(tables)
}

// assemble writes tables as a font file.
func assemble(tables map[string][]byte) []byte {
	names := slices.Sorted(maps.Keys(tables))
	log := 0
	for 2<<log <= len(names) {
		log++
	}
	out := binary.BigEndian.AppendUint32(nil, 0x00010000)
	out = binary.BigEndian.AppendUint16(out, uint16(len(names)))
	out = binary.BigEndian.AppendUint16(out, uint16(16<<log))
	out = binary.BigEndian.AppendUint16(out, uint16(log))
	out = binary.BigEndian.AppendUint16(out, uint16(16*len(names)-16<<log))
	offset := 12 + 16*len(names)
	var body []byte
	for _, name := range names {
		data := tables[name]
		padded := append(bytes.Clone(data), make([]byte, -len(data)&3)...)
		var sum uint32
		for i := 0; i < len(padded); i += 4 {
			sum += binary.BigEndian.Uint32(padded[i:])
		}
		out = append(out, name...)
		out = binary.BigEndian.AppendUint32(out, sum)
		out = binary.BigEndian.AppendUint32(out, uint32(offset+len(body)))
		out = binary.BigEndian.AppendUint32(out, uint32(len(data)))
		body = append(body, padded...)
	}
	return append(out, body...)
}

// write puts the font, its descriptor, its file and its table of characters into the tail.
func (s *subset) write(t *tail) (ref, error) {
	gids := s.closure()
	data := s.file(gids)
	packed, err := deflate(data)
	if err != nil {
		return ref{}, err
	}
	unicode, err := deflate(s.toUnicode())
	if err != nil {
		return ref{}, err
	}
	name := "SBGNBS+" + s.font.name
	fontFile, descriptor, descendant, chars, self := t.allocate(), t.allocate(), t.allocate(), t.allocate(), t.allocate()
	t.stream(fontFile, fmt.Sprintf("/Filter/FlateDecode/Length1 %d", len(data)), packed)
	t.object(descriptor, fmt.Appendf(nil, "<</Type/FontDescriptor/FontName/%s/Flags 4/FontBBox[-440 -432 2160 1158]/ItalicAngle 0/Ascent 944/Descent -212/CapHeight 725/StemV 80/FontFile2 %s>>",
		name, fontFile.bytes()))
	var widths bytes.Buffer
	for _, gid := range gids {
		fmt.Fprintf(&widths, "%d[%d]", gid, s.advance(gid))
	}
	t.object(descendant, fmt.Appendf(nil, "<</Type/Font/Subtype/CIDFontType2/BaseFont/%s/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>/FontDescriptor %s/CIDToGIDMap/Identity/W[%s]>>",
		name, descriptor.bytes(), widths.Bytes()))
	t.stream(chars, "/Filter/FlateDecode", unicode)
	t.object(self, fmt.Appendf(nil, "<</Type/Font/Subtype/Type0/BaseFont/%s/Encoding/Identity-H/DescendantFonts[%s]/ToUnicode %s>>",
		name, descendant.bytes(), chars.bytes()))
	return self, nil
}

// toUnicode lets viewers copy and search the text.
func (s *subset) toUnicode() []byte {
	var out bytes.Buffer
	out.WriteString("/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n/CIDSystemInfo<</Registry(Adobe)/Ordering(UCS)/Supplement 0>>def\n" +
		"/CMapName/Adobe-Identity-UCS def\n/CMapType 2 def\n1 begincodespacerange\n<0000><FFFF>\nendcodespacerange\n")
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(s.used)), 100) {
		fmt.Fprintf(&out, "%d beginbfchar\n", len(chunk))
		for _, r := range chunk {
			fmt.Fprintf(&out, "<%04X><", s.used[r])
			for _, u := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&out, "%04X", u)
			}
			out.WriteString(">\n")
		}
		out.WriteString("endbfchar\n")
	}
	out.WriteString("endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n")
	return out.Bytes()
}
