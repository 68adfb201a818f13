package stamp

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strconv"
)

// subset is the part of a font that a form uses: a TrueType font whose glyphs are numbered
// anew, from 0 without gaps. A glyph that stands for two texts is there twice, so that
// each number says what it stands for. Hints are left out: viewers do not need them.
type subset struct {
	font     *fontData
	resource int // number of its name among the resources
	ids      map[use]uint16
	glyphs   []use // by new number
	widths   []int // in thousandths of the size
	parts    map[uint16]uint16
}

// use is a glyph of the font with the text that it stands for.
type use struct {
	glyph uint16
	text  string
}

func newSubset(d *fontData, resource int) *subset {
	s := &subset{font: d, resource: resource, ids: make(map[use]uint16, 64), glyphs: make([]use, 0, 64), widths: make([]int, 0, 64)}
	s.append(use{}) // .notdef
	return s
}

func (s *subset) append(u use) uint16 {
	advance, _ := s.font.metrics(u.glyph)
	s.glyphs = append(s.glyphs, u)
	s.widths = append(s.widths, int(math.Round(float64(advance)*em/s.font.units)))
	return uint16(len(s.glyphs) - 1)
}

// nothing is what a glyph stands for whose text belongs to the one before: a blank of no
// width, because PDF/A wants a text for each.
const nothing = "\u200B"

// blank is the number, in no font, of a glyph without width and outline.
const blank = 0xFFFF

// add returns number and width of a glyph in the subset. A missing glyph gets a number of
// its own too, because PDF/A forbids to show number 0.
func (s *subset) add(gid uint16, text string) (uint16, int) {
	if text == "" {
		text = nothing
	}
	u := use{gid, text}
	id, ok := s.ids[u]
	if !ok {
		id = s.append(u)
		s.ids[u] = id
	}
	return id, s.widths[id]
}

// part returns the number of a glyph that another one is composed of.
func (s *subset) part(gid uint16) uint16 {
	if id, ok := s.parts[gid]; ok {
		return id
	}
	if s.parts == nil {
		s.parts = map[uint16]uint16{}
	}
	id := s.append(use{glyph: gid})
	s.parts[gid] = id
	return id
}

// write writes the font, its descriptor, its file and its table of texts.
func (s *subset) write(to Objects) (int64, error) {
	file := s.file() // first: it adds the parts of composed glyphs
	name := s.tag() + "+" + s.font.name
	fontFile, descriptor, cidSet, descendant, unicode, self := to.Allocate(), to.Allocate(), to.Allocate(), to.Allocate(), to.Allocate(), to.Allocate()
	if err := stream(to, fontFile, "/Length1 "+strconv.Itoa(len(file)), file); err != nil {
		return 0, err
	}
	scaled := func(v int16) int { return int(math.Round(float64(v) * em / s.font.units)) }
	number := func(table []byte, at int) int {
		return scaled(int16(binary.BigEndian.Uint16(table[at:])))
	}
	head, hhea := s.font.head, s.font.hhea
	to.Object(descriptor, fmt.Appendf(nil, "<</Type/FontDescriptor/FontName/%s/Flags 4/FontBBox[%d %d %d %d]/ItalicAngle 0/Ascent %d/Descent %d/CapHeight 714/StemV 80/CIDSet %d 0 R/FontFile2 %d 0 R>>",
		name, number(head, 36), number(head, 38), number(head, 40), number(head, 42), number(hhea, 4), number(hhea, 6), cidSet, fontFile))
	to.Stream(cidSet, "", s.cidSet())
	widths := []byte("[0[")
	for _, w := range s.widths {
		widths = append(strconv.AppendInt(widths, int64(w), 10), ' ')
	}
	widths = append(widths, "]]"...)
	to.Object(descendant, fmt.Appendf(nil, "<</Type/Font/Subtype/CIDFontType2/BaseFont/%s/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>/FontDescriptor %d 0 R/CIDToGIDMap/Identity/W%s>>",
		name, descriptor, widths))
	if err := stream(to, unicode, "", s.toUnicode()); err != nil {
		return 0, err
	}
	to.Object(self, fmt.Appendf(nil, "<</Type/Font/Subtype/Type0/BaseFont/%s/Encoding/Identity-H/DescendantFonts[%d 0 R]/ToUnicode %d 0 R>>",
		name, descendant, unicode))
	return self, nil
}

// tag is the prefix that tells this subset from others of the font (ISO 32000-2, 9.9.2).
func (s *subset) tag() string {
	h := fnv.New64a()
	for _, u := range s.glyphs {
		h.Write([]byte{byte(u.glyph >> 8), byte(u.glyph)})
	}
	sum := h.Sum64()
	var out [6]byte
	for i := range out {
		out[i] = 'A' + byte(sum%26)
		sum /= 26
	}
	return string(out[:])
}

// cidSet says that all numbers are there (ISO 19005-1, 6.3.5).
func (s *subset) cidSet() []byte {
	n := len(s.glyphs)
	out := slices.Repeat([]byte{0xFF}, (n+7)/8)
	if rest := n % 8; rest != 0 {
		out[len(out)-1] = 0xFF << (8 - rest)
	}
	return out
}

// toUnicode lets viewers copy and search the text.
func (s *subset) toUnicode() []byte {
	out := append(make([]byte, 0, 400+16*len(s.glyphs)), "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n/CIDSystemInfo<</Registry(Adobe)/Ordering(UCS)/Supplement 0>>def\n"+
		"/CMapName/Adobe-Identity-UCS def\n/CMapType 2 def\n1 begincodespacerange\n<0000><FFFF>\nendcodespacerange\n"...)
	shown := make([]uint16, 0, len(s.glyphs))
	for id, u := range s.glyphs {
		if u.text != "" {
			shown = append(shown, uint16(id))
		}
	}
	for chunk := range slices.Chunk(shown, 100) {
		out = fmt.Appendf(out, "%d beginbfchar\n", len(chunk))
		for _, id := range chunk {
			out = append(appendHex(append(out, '<'), id), '>')
			out = append(appendUTF16(out, "", s.glyphs[id].text), '\n')
		}
		out = append(out, "endbfchar\n"...)
	}
	return append(out, "endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n"...)
}

// file returns the font file (ISO 32000-2, 9.9.1: glyf, head, hhea, hmtx, loca, maxp).
func (s *subset) file() []byte {
	n := len(s.glyphs)
	glyf, loca, hmtx := make([]byte, 0, 128*n), make([]byte, 0, 4*n+4), make([]byte, 0, 4*n)
	for id := 0; id < len(s.glyphs); id++ { //nolint:intrange // it grows on the way
		loca = binary.BigEndian.AppendUint32(loca, uint32(len(glyf)))
		glyf = s.outline(glyf, s.glyphs[id].glyph)
		for len(glyf)%4 != 0 {
			glyf = append(glyf, 0)
		}
		advance, bearing := s.font.metrics(s.glyphs[id].glyph)
		hmtx = binary.BigEndian.AppendUint16(hmtx, advance)
		hmtx = binary.BigEndian.AppendUint16(hmtx, uint16(bearing))
	}
	loca = binary.BigEndian.AppendUint32(loca, uint32(len(glyf)))
	count := uint16(len(s.glyphs))
	head, hhea, maxp := slices.Clone(s.font.head), slices.Clone(s.font.hhea), slices.Clone(s.font.maxp)
	binary.BigEndian.PutUint32(head[8:], 0)  // the sum of the file is set below
	binary.BigEndian.PutUint16(head[50:], 1) // long offsets
	binary.BigEndian.PutUint16(hhea[34:], count)
	binary.BigEndian.PutUint16(maxp[4:], count)
	return assemble([]table{{"glyf", glyf}, {"head", head}, {"hhea", hhea}, {"hmtx", hmtx}, {"loca", loca}, {"maxp", maxp}})
}

// The flags of a composed glyph (OpenType, glyf).
const (
	wordArguments   = 0x0001
	oneScale        = 0x0008
	moreParts       = 0x0020
	twoScales       = 0x0040
	fourScales      = 0x0080
	hasInstructions = 0x0100
)

// outline appends the description of a glyph without hints; parts get their new numbers.
func (s *subset) outline(out []byte, gid uint16) []byte {
	in := s.font.outline(gid)
	if len(in) < 10 {
		return out
	}
	contours := int(int16(binary.BigEndian.Uint16(in)))
	if contours >= 0 {
		ends := 10 + 2*contours
		if len(in) < ends+2 {
			return out
		}
		hints := int(binary.BigEndian.Uint16(in[ends:]))
		out = append(out, in[:ends]...)
		out = append(out, 0, 0)
		return append(out, in[min(ends+2+hints, len(in)):]...)
	}
	out = append(out, in[:10]...)
	for at := 10; at+4 <= len(in); {
		flags := binary.BigEndian.Uint16(in[at:])
		n := 6
		if flags&wordArguments != 0 {
			n += 2
		}
		switch {
		case flags&oneScale != 0:
			n += 2
		case flags&twoScales != 0:
			n += 4
		case flags&fourScales != 0:
			n += 8
		}
		if at+n > len(in) {
			break
		}
		out = binary.BigEndian.AppendUint16(out, flags&^hasInstructions)
		out = binary.BigEndian.AppendUint16(out, s.part(binary.BigEndian.Uint16(in[at+2:])))
		out = append(out, in[at+4:at+n]...)
		if at += n; flags&moreParts == 0 {
			break
		}
	}
	return out
}

// table is a table of a font file.
type table struct {
	tag  string
	data []byte
}

// assemble writes tables, which are in the order of their tags, as a font file.
func assemble(tables []table) []byte {
	log, size := 0, 12+16*len(tables)
	for 2<<log <= len(tables) {
		log++
	}
	for _, t := range tables {
		size += (len(t.data) + 3) &^ 3
	}
	out := make([]byte, 0, size)
	out = binary.BigEndian.AppendUint32(out, 0x00010000)
	for _, v := range []int{len(tables), 16 << log, log, 16*len(tables) - 16<<log} {
		out = binary.BigEndian.AppendUint16(out, uint16(v))
	}
	head, offset := 0, 12+16*len(tables)
	for _, t := range tables {
		if t.tag == "head" {
			head = offset
		}
		out = append(out, t.tag...)
		for _, v := range []int{int(checksum(t.data)), offset, len(t.data)} {
			out = binary.BigEndian.AppendUint32(out, uint32(v))
		}
		offset += (len(t.data) + 3) &^ 3
	}
	for _, t := range tables {
		out = append(out, t.data...)
		for len(out)%4 != 0 {
			out = append(out, 0)
		}
	}
	binary.BigEndian.PutUint32(out[head+8:], 0xB1B0AFBA-checksum(out))
	return out
}

// checksum adds up a table as words; its end counts as if padded with zeros.
func checksum(data []byte) uint32 {
	var sum uint32
	for ; len(data) >= 4; data = data[4:] {
		sum += binary.BigEndian.Uint32(data)
	}
	for i, b := range data {
		sum += uint32(b) << (24 - 8*i)
	}
	return sum
}
