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
	meroitic = newTypeface("NotoSansMeroitic.ttf.gz")
	rest     = []*typeface{newTypeface("NotoSansSymbols2.ttf.gz"), newTypeface("NotoSansSymbols.ttf.gz"), eastAsian}
	scripts  = map[language.Script]*typeface{
		language.Adlam:                  newTypeface("NotoSansAdlam.ttf.gz"),
		language.Ahom:                   newTypeface("NotoSerifAhom.ttf.gz"),
		language.Arabic:                 newTypeface("NotoSansArabic.ttf.gz"),
		language.Armenian:               newTypeface("NotoSansArmenian.ttf.gz"),
		language.Avestan:                newTypeface("NotoSansAvestan.ttf.gz"),
		language.Balinese:               newTypeface("NotoSansBalinese.ttf.gz"),
		language.Bamum:                  newTypeface("NotoSansBamum.ttf.gz"),
		language.Bassa_Vah:              newTypeface("NotoSansBassaVah.ttf.gz"),
		language.Batak:                  newTypeface("NotoSansBatak.ttf.gz"),
		language.Bengali:                newTypeface("NotoSansBengali.ttf.gz"),
		language.Bhaiksuki:              newTypeface("NotoSansBhaiksuki.ttf.gz"),
		language.Brahmi:                 newTypeface("NotoSansBrahmi.ttf.gz"),
		language.Buginese:               newTypeface("NotoSansBuginese.ttf.gz"),
		language.Buhid:                  newTypeface("NotoSansBuhid.ttf.gz"),
		language.Canadian_Aboriginal:    newTypeface("NotoSansCanadianAboriginal.ttf.gz"),
		language.Carian:                 newTypeface("NotoSansCarian.ttf.gz"),
		language.Caucasian_Albanian:     newTypeface("NotoSansCaucasianAlbanian.ttf.gz"),
		language.Chakma:                 newTypeface("NotoSansChakma.ttf.gz"),
		language.Cham:                   newTypeface("NotoSansCham.ttf.gz"),
		language.Cherokee:               newTypeface("NotoSansCherokee.ttf.gz"),
		language.Coptic:                 newTypeface("NotoSansCoptic.ttf.gz"),
		language.Cypriot:                newTypeface("NotoSansCypriot.ttf.gz"),
		language.Deseret:                newTypeface("NotoSansDeseret.ttf.gz"),
		language.Devanagari:             newTypeface("NotoSansDevanagari.ttf.gz"),
		language.Dogra:                  newTypeface("NotoSerifDogra.ttf.gz"),
		language.Duployan:               newTypeface("NotoSansDuployan.ttf.gz"),
		language.Elbasan:                newTypeface("NotoSansElbasan.ttf.gz"),
		language.Elymaic:                newTypeface("NotoSansElymaic.ttf.gz"),
		language.Ethiopic:               newTypeface("NotoSansEthiopic.ttf.gz"),
		language.Georgian:               newTypeface("NotoSansGeorgian.ttf.gz"),
		language.Glagolitic:             newTypeface("NotoSansGlagolitic.ttf.gz"),
		language.Gothic:                 newTypeface("NotoSansGothic.ttf.gz"),
		language.Grantha:                newTypeface("NotoSansGrantha.ttf.gz"),
		language.Gujarati:               newTypeface("NotoSansGujarati.ttf.gz"),
		language.Gunjala_Gondi:          newTypeface("NotoSansGunjalaGondi.ttf.gz"),
		language.Gurmukhi:               newTypeface("NotoSansGurmukhi.ttf.gz"),
		language.Hanifi_Rohingya:        newTypeface("NotoSansHanifiRohingya.ttf.gz"),
		language.Hanunoo:                newTypeface("NotoSansHanunoo.ttf.gz"),
		language.Hatran:                 newTypeface("NotoSansHatran.ttf.gz"),
		language.Hebrew:                 newTypeface("NotoSansHebrew.ttf.gz"),
		language.Imperial_Aramaic:       newTypeface("NotoSansImperialAramaic.ttf.gz"),
		language.Inscriptional_Pahlavi:  newTypeface("NotoSansInscriptionalPahlavi.ttf.gz"),
		language.Inscriptional_Parthian: newTypeface("NotoSansInscriptionalParthian.ttf.gz"),
		language.Javanese:               newTypeface("NotoSansJavanese.ttf.gz"),
		language.Kaithi:                 newTypeface("NotoSansKaithi.ttf.gz"),
		language.Kannada:                newTypeface("NotoSansKannada.ttf.gz"),
		language.Kayah_Li:               newTypeface("NotoSansKayahLi.ttf.gz"),
		language.Kharoshthi:             newTypeface("NotoSansKharoshthi.ttf.gz"),
		language.Khmer:                  newTypeface("NotoSansKhmer.ttf.gz"),
		language.Khojki:                 newTypeface("NotoSansKhojki.ttf.gz"),
		language.Khudawadi:              newTypeface("NotoSansKhudawadi.ttf.gz"),
		language.Lao:                    newTypeface("NotoSansLao.ttf.gz"),
		language.Lepcha:                 newTypeface("NotoSansLepcha.ttf.gz"),
		language.Limbu:                  newTypeface("NotoSansLimbu.ttf.gz"),
		language.Linear_A:               newTypeface("NotoSansLinearA.ttf.gz"),
		language.Linear_B:               newTypeface("NotoSansLinearB.ttf.gz"),
		language.Lisu:                   newTypeface("NotoSansLisu.ttf.gz"),
		language.Lycian:                 newTypeface("NotoSansLycian.ttf.gz"),
		language.Lydian:                 newTypeface("NotoSansLydian.ttf.gz"),
		language.Mahajani:               newTypeface("NotoSansMahajani.ttf.gz"),
		language.Malayalam:              newTypeface("NotoSansMalayalam.ttf.gz"),
		language.Mandaic:                newTypeface("NotoSansMandaic.ttf.gz"),
		language.Manichaean:             newTypeface("NotoSansManichaean.ttf.gz"),
		language.Marchen:                newTypeface("NotoSansMarchen.ttf.gz"),
		language.Masaram_Gondi:          newTypeface("NotoSansMasaramGondi.ttf.gz"),
		language.Medefaidrin:            newTypeface("NotoSansMedefaidrin.ttf.gz"),
		language.Meetei_Mayek:           newTypeface("NotoSansMeeteiMayek.ttf.gz"),
		language.Mende_Kikakui:          newTypeface("NotoSansMendeKikakui.ttf.gz"),
		language.Miao:                   newTypeface("NotoSansMiao.ttf.gz"),
		language.Modi:                   newTypeface("NotoSansModi.ttf.gz"),
		language.Mongolian:              newTypeface("NotoSansMongolian.ttf.gz"),
		language.Mro:                    newTypeface("NotoSansMro.ttf.gz"),
		language.Multani:                newTypeface("NotoSansMultani.ttf.gz"),
		language.Myanmar:                newTypeface("NotoSansMyanmar.ttf.gz"),
		language.Nabataean:              newTypeface("NotoSansNabataean.ttf.gz"),
		language.New_Tai_Lue:            newTypeface("NotoSansNewTaiLue.ttf.gz"),
		language.Newa:                   newTypeface("NotoSansNewa.ttf.gz"),
		language.Nko:                    newTypeface("NotoSansNKo.ttf.gz"),
		language.Nushu:                  newTypeface("NotoSansNushu.ttf.gz"),
		language.Nyiakeng_Puachue_Hmong: newTypeface("NotoSerifNyiakengPuachueHmong.ttf.gz"),
		language.Ogham:                  newTypeface("NotoSansOgham.ttf.gz"),
		language.Ol_Chiki:               newTypeface("NotoSansOlChiki.ttf.gz"),
		language.Old_Hungarian:          newTypeface("NotoSansOldHungarian.ttf.gz"),
		language.Old_Italic:             newTypeface("NotoSansOldItalic.ttf.gz"),
		language.Old_North_Arabian:      newTypeface("NotoSansOldNorthArabian.ttf.gz"),
		language.Old_Permic:             newTypeface("NotoSansOldPermic.ttf.gz"),
		language.Old_Persian:            newTypeface("NotoSansOldPersian.ttf.gz"),
		language.Old_Sogdian:            newTypeface("NotoSansOldSogdian.ttf.gz"),
		language.Old_South_Arabian:      newTypeface("NotoSansOldSouthArabian.ttf.gz"),
		language.Old_Turkic:             newTypeface("NotoSansOldTurkic.ttf.gz"),
		language.Oriya:                  newTypeface("NotoSansOriya.ttf.gz"),
		language.Osage:                  newTypeface("NotoSansOsage.ttf.gz"),
		language.Osmanya:                newTypeface("NotoSansOsmanya.ttf.gz"),
		language.Pahawh_Hmong:           newTypeface("NotoSansPahawhHmong.ttf.gz"),
		language.Palmyrene:              newTypeface("NotoSansPalmyrene.ttf.gz"),
		language.Pau_Cin_Hau:            newTypeface("NotoSansPauCinHau.ttf.gz"),
		language.Phags_Pa:               newTypeface("NotoSansPhagsPa.ttf.gz"),
		language.Phoenician:             newTypeface("NotoSansPhoenician.ttf.gz"),
		language.Psalter_Pahlavi:        newTypeface("NotoSansPsalterPahlavi.ttf.gz"),
		language.Rejang:                 newTypeface("NotoSansRejang.ttf.gz"),
		language.Runic:                  newTypeface("NotoSansRunic.ttf.gz"),
		language.Samaritan:              newTypeface("NotoSansSamaritan.ttf.gz"),
		language.Saurashtra:             newTypeface("NotoSansSaurashtra.ttf.gz"),
		language.Sharada:                newTypeface("NotoSansSharada.ttf.gz"),
		language.Shavian:                newTypeface("NotoSansShavian.ttf.gz"),
		language.Siddham:                newTypeface("NotoSansSiddham.ttf.gz"),
		language.Sinhala:                newTypeface("NotoSansSinhala.ttf.gz"),
		language.Sogdian:                newTypeface("NotoSansSogdian.ttf.gz"),
		language.Sora_Sompeng:           newTypeface("NotoSansSoraSompeng.ttf.gz"),
		language.Soyombo:                newTypeface("NotoSansSoyombo.ttf.gz"),
		language.Sundanese:              newTypeface("NotoSansSundanese.ttf.gz"),
		language.Syloti_Nagri:           newTypeface("NotoSansSylotiNagri.ttf.gz"),
		language.Syriac:                 newTypeface("NotoSansSyriac.ttf.gz"),
		language.Tagalog:                newTypeface("NotoSansTagalog.ttf.gz"),
		language.Tagbanwa:               newTypeface("NotoSansTagbanwa.ttf.gz"),
		language.Tai_Le:                 newTypeface("NotoSansTaiLe.ttf.gz"),
		language.Tai_Tham:               newTypeface("NotoSansTaiTham.ttf.gz"),
		language.Tai_Viet:               newTypeface("NotoSansTaiViet.ttf.gz"),
		language.Takri:                  newTypeface("NotoSansTakri.ttf.gz"),
		language.Tamil:                  newTypeface("NotoSansTamil.ttf.gz"),
		language.Telugu:                 newTypeface("NotoSansTelugu.ttf.gz"),
		language.Thaana:                 newTypeface("NotoSansThaana.ttf.gz"),
		language.Thai:                   newTypeface("NotoSansThai.ttf.gz"),
		language.Tibetan:                newTypeface("NotoSerifTibetan.ttf.gz"),
		language.Tifinagh:               newTypeface("NotoSansTifinagh.ttf.gz"),
		language.Tirhuta:                newTypeface("NotoSansTirhuta.ttf.gz"),
		language.Ugaritic:               newTypeface("NotoSansUgaritic.ttf.gz"),
		language.Vai:                    newTypeface("NotoSansVai.ttf.gz"),
		language.Wancho:                 newTypeface("NotoSansWancho.ttf.gz"),
		language.Warang_Citi:            newTypeface("NotoSansWarangCiti.ttf.gz"),
		language.Yezidi:                 newTypeface("NotoSerifYezidi.ttf.gz"),
		language.Yi:                     newTypeface("NotoSansYi.ttf.gz"),
		language.Zanabazar_Square:       newTypeface("NotoSansZanabazarSquare.ttf.gz"),

		language.Meroitic_Cursive:     meroitic,
		language.Meroitic_Hieroglyphs: meroitic,

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
