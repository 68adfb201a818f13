package stamp

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/font/opentype"
	"github.com/go-text/typesetting/language"
)

// fontFiles are unchanged fonts, some compressed; their licences lie beside them.
//
//go:embed fonts/*.gz fonts/*.woff
var fontFiles embed.FS

// typeface is one of the embedded fonts. It is read when it is first used, and kept.
type typeface struct {
	file string
	load func() (*fontData, error)
}

// fontData is a parsed font. It does not change, so that all goroutines share it.
type fontData struct {
	name   string
	font   *font.Font
	units  float64 // per em
	glyphs int
	head, hhea, maxp, hmtx,
	loca, glyf []byte
	longLoca bool
}

func newTypeface(file string) *typeface {
	t := &typeface{file: file}
	t.load = sync.OnceValues(func() (*fontData, error) {
		d, err := readFont(file)
		if err != nil {
			return nil, fmt.Errorf("read font %s: %w", file, err)
		}
		return d, nil
	})
	return t
}

// The fonts, in the order in which they are tried for a character: for text, base, that
// of the character's script, then the rest; for typed autographs, the handwriting first.
var (
	base        = newTypeface("NotoSans.ttf.gz") // Latin, Greek, Cyrillic
	eastAsian   = newTypeface("WenQuanYiMicroHei.ttc.gz")
	handwriting = []*typeface{
		newTypeface("Caveat-latin.woff"), newTypeface("Caveat-latin-ext.woff"),
		newTypeface("Caveat-cyrillic.woff"), newTypeface("Caveat-cyrillic-ext.woff"),
	}
	rest    = []*typeface{newTypeface("NotoSansSymbols2.ttf.gz"), newTypeface("NotoSansSymbols.ttf.gz"), eastAsian}
	scripts = map[language.Script]*typeface{
		language.Arabic:              newTypeface("NotoSansArabic.ttf.gz"),
		language.Armenian:            newTypeface("NotoSansArmenian.ttf.gz"),
		language.Bengali:             newTypeface("NotoSansBengali.ttf.gz"),
		language.Canadian_Aboriginal: newTypeface("NotoSansCanadianAboriginal.ttf.gz"),
		language.Cherokee:            newTypeface("NotoSansCherokee.ttf.gz"),
		language.Devanagari:          newTypeface("NotoSansDevanagari.ttf.gz"),
		language.Ethiopic:            newTypeface("NotoSansEthiopic.ttf.gz"),
		language.Georgian:            newTypeface("NotoSansGeorgian.ttf.gz"),
		language.Gujarati:            newTypeface("NotoSansGujarati.ttf.gz"),
		language.Gurmukhi:            newTypeface("NotoSansGurmukhi.ttf.gz"),
		language.Hebrew:              newTypeface("NotoSansHebrew.ttf.gz"),
		language.Kannada:             newTypeface("NotoSansKannada.ttf.gz"),
		language.Khmer:               newTypeface("NotoSansKhmer.ttf.gz"),
		language.Lao:                 newTypeface("NotoSansLao.ttf.gz"),
		language.Malayalam:           newTypeface("NotoSansMalayalam.ttf.gz"),
		language.Mongolian:           newTypeface("NotoSansMongolian.ttf.gz"),
		language.Myanmar:             newTypeface("NotoSansMyanmar.ttf.gz"),
		language.Nko:                 newTypeface("NotoSansNKo.ttf.gz"),
		language.Oriya:               newTypeface("NotoSansOriya.ttf.gz"),
		language.Sinhala:             newTypeface("NotoSansSinhala.ttf.gz"),
		language.Syriac:              newTypeface("NotoSansSyriac.ttf.gz"),
		language.Tamil:               newTypeface("NotoSansTamil.ttf.gz"),
		language.Telugu:              newTypeface("NotoSansTelugu.ttf.gz"),
		language.Thaana:              newTypeface("NotoSansThaana.ttf.gz"),
		language.Thai:                newTypeface("NotoSansThai.ttf.gz"),
		language.Tibetan:             newTypeface("NotoSerifTibetan.ttf.gz"),
		language.Tifinagh:            newTypeface("NotoSansTifinagh.ttf.gz"),

		language.Bopomofo: eastAsian,
		language.Han:      eastAsian,
		language.Hangul:   eastAsian,
		language.Hiragana: eastAsian,
		language.Katakana: eastAsian,
	}
)

// readFont reads a font file: TrueType, the first font of a collection, or WOFF.
func readFont(file string) (*fontData, error) {
	data, err := fontFiles.ReadFile("fonts/" + file)
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(file, ".gz") {
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		size := binary.LittleEndian.Uint32(data[len(data)-4:]) // gzip ends in it (RFC 1952, 2.3.1)
		data = make([]byte, size)
		if _, err = io.ReadFull(z, data); err != nil {
			return nil, err
		}
	}
	loaders, err := opentype.NewLoaders(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	parsed, err := font.NewFont(loaders[0])
	if err != nil {
		return nil, err
	}
	name, _, _ := strings.Cut(file, ".")
	d := &fontData{name: name, font: parsed, units: float64(parsed.Upem())}
	for tag, table := range map[string]*[]byte{
		"head": &d.head, "hhea": &d.hhea, "maxp": &d.maxp, "hmtx": &d.hmtx, "loca": &d.loca, "glyf": &d.glyf,
	} {
		if *table, err = loaders[0].RawTable(opentype.MustNewTag(tag)); err != nil {
			return nil, fmt.Errorf("table %s: %w", tag, err)
		}
	}
	d.glyphs = int(binary.BigEndian.Uint16(d.maxp[4:]))
	d.longLoca = binary.BigEndian.Uint16(d.head[50:]) == 1
	return d, nil
}

// outline returns the description of a glyph in the font file; empty for a blank.
func (d *fontData) outline(gid uint16) []byte {
	if int(gid) >= d.glyphs {
		return nil
	}
	if d.longLoca {
		return d.glyf[binary.BigEndian.Uint32(d.loca[4*int(gid):]):binary.BigEndian.Uint32(d.loca[4*int(gid)+4:])]
	}
	return d.glyf[2*int(binary.BigEndian.Uint16(d.loca[2*int(gid):])) : 2*int(binary.BigEndian.Uint16(d.loca[2*int(gid)+2:]))]
}

// metrics returns advance and left side bearing of a glyph in font units; nothing for a
// glyph that the font does not have.
func (d *fontData) metrics(gid uint16) (advance uint16, bearing int16) {
	if int(gid) >= d.glyphs {
		return 0, 0
	}
	long := int(binary.BigEndian.Uint16(d.hhea[34:]))
	if int(gid) < long {
		row := d.hmtx[4*int(gid):]
		return binary.BigEndian.Uint16(row), int16(binary.BigEndian.Uint16(row[2:]))
	}
	advance = binary.BigEndian.Uint16(d.hmtx[4*(long-1):])
	if at := 4*long + 2*(int(gid)-long); at+2 <= len(d.hmtx) {
		bearing = int16(binary.BigEndian.Uint16(d.hmtx[at:]))
	}
	return advance, bearing
}
