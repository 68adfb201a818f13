package stamp

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"image"
	"image/jpeg"
	"math"
	"strconv"
	"unicode/utf16"
)

// Objects takes the objects of a form: that is what an update of a PDF file does. A body
// and the entries of a stream are complete PDF syntax; the only strings in them are those
// of CIDSystemInfo.
type Objects interface {
	// Allocate returns the number of a new object, of generation 0.
	Allocate() int64
	// Object writes an object.
	Object(number int64, body []byte)
	// Stream writes a stream; entries are those of its dictionary, without Length.
	Stream(number int64, entries string, data []byte)
}

// colourSpace is that of all colours and images: red, green and blue with the primaries,
// the white and about the gamma of sRGB. It depends on no device, so that it fits every
// output intent of PDF/A, and none.
const colourSpace = "[/CalRGB<</WhitePoint[0.9505 1 1.089]/Gamma[2.2 2.2 2.2]/Matrix[0.4124 0.2126 0.0193 0.3576 0.7152 0.1192 0.1805 0.0722 0.9505]>>]"

// Form writes the drawing as a form XObject and returns the number of that object. The
// matrix turns it against the rotation of its page (0, 90, 180 or 270 degrees), so that it
// is upright when a viewer has fitted it into the rectangle of an annotation
// (ISO 32000-2, 12.5.5).
func (d *Drawing) Form(to Objects, rotate int) (int64, error) {
	f := &form{to: to, fonts: map[*fontData]*subset{}, out: make([]byte, 0, 2<<10)}
	for _, op := range d.ops {
		if err := f.write(op); err != nil {
			return 0, err
		}
	}
	resources, err := f.resources()
	if err != nil {
		return 0, err
	}
	matrix := map[int]string{90: "/Matrix[0 1 -1 0 0 0]", 180: "/Matrix[-1 0 0 -1 0 0]", 270: "/Matrix[0 -1 1 0 0 0]"}[rotate]
	number := to.Allocate()
	return number, stream(to, number, "/Type/XObject/Subtype/Form/BBox[0 0 "+num(d.width)+" "+num(d.height)+"]"+matrix+"/Resources<<"+resources+">>", f.out)
}

// form is a content stream in the making.
type form struct {
	to     Objects
	out    []byte
	fonts  map[*fontData]*subset
	order  []*subset
	images []int64
	colour colour // of what is filled
	set    bool   // whether it is set already
}

func (f *form) write(op operation) error {
	switch op := op.(type) {
	case fill:
		f.fill(op)
	case stroke:
		f.stroke(op)
	case text:
		f.text(op)
	case picture:
		return f.picture(op)
	}
	return nil
}

// num formats a length in thousandths of a point.
func num(v float64) string { return string(appendNum(nil, v)) }

func appendNum(out []byte, v float64) []byte {
	n := int64(math.Round(v * 1000))
	if n < 0 {
		out, n = append(out, '-'), -n
	}
	out = strconv.AppendInt(out, n/1000, 10)
	if n %= 1000; n > 0 {
		out = append(out, '.', byte('0'+n/100), byte('0'+n/10%10), byte('0'+n%10))
		for out[len(out)-1] == '0' {
			out = out[:len(out)-1]
		}
	}
	return out
}

// op appends operands and an operator.
func (f *form) op(operator string, operands ...float64) {
	for _, v := range operands {
		f.out = append(appendNum(f.out, v), ' ')
	}
	f.out = append(append(f.out, operator...), '\n')
}

func (c colour) operands() []float64 {
	return []float64{float64(c[0]) / 255, float64(c[1]) / 255, float64(c[2]) / 255}
}

// fillColour chooses the colour of what is filled and written.
func (f *form) fillColour(c colour) {
	if f.set && f.colour == c {
		return
	}
	if !f.set {
		f.out = append(f.out, "/C cs "...)
	}
	f.colour, f.set = c, true
	f.op("sc", c.operands()...)
}

func (f *form) fill(op fill) {
	f.fillColour(op.colour)
	for _, r := range op.rects {
		f.op("re", r.x, r.y, r.w, r.h)
	}
	f.op("f")
}

func (f *form) stroke(op stroke) {
	f.out = append(f.out, "q 1 J 1 j /C CS "...)
	f.op("SC", op.colour.operands()...)
	f.op("w", op.width)
	for _, points := range op.lines {
		f.op("m", points[0].X, points[0].Y)
		if len(points) == 1 { // a dot
			f.op("l", points[0].X, points[0].Y)
		}
		for _, p := range points[1:] {
			f.op("l", p.X, p.Y)
		}
	}
	f.op("S")
	f.op("Q")
}

func (f *form) text(op text) {
	f.fillColour(op.colour)
	f.op("BT")
	for _, r := range op.line.runs {
		s := f.subset(r.font)
		f.out = fmt.Appendf(f.out, "/F%d ", s.resource)
		f.op("Tf", op.size)
		f.op("Tm", 1, 0, 0, 1, op.x+r.x*op.size/em, op.y)
		w := &writing{form: f, font: s, size: op.size}
		w.glyphs(r.glyphs)
	}
	f.op("ET")
}

// writing shows the glyphs of one run.
type writing struct {
	*form
	font *subset
	size float64
	pen  float64 // where the viewer is, in thousandths of the size
	rise float64 // how high
	open bool    // inside of TJ, and of a string in it
}

func (w *writing) glyphs(all []glyph) {
	actual := 0 // glyphs left of a marked cluster
	for _, g := range all {
		if g.cluster > 1 {
			w.close()
			w.out = append(w.out, "/Span<</ActualText"...)
			w.out = append(appendUTF16(w.out, "FEFF", g.text), ">>BDC\n"...)
			actual = g.cluster
		}
		w.show(g)
		if actual > 0 {
			if actual--; actual == 0 {
				if math.Abs(w.pen-g.end) > 0.5 { // or a blank would be copied behind the cluster
					w.show(glyph{id: blank, x: g.end, y: g.y})
				}
				w.close()
				w.op("EMC")
			}
		}
	}
	w.close()
	if actual > 0 {
		w.op("EMC")
	}
	if w.rise != 0 {
		w.op("Ts", 0)
	}
}

// show appends a glyph, moving the pen to its place when that is not where the one before ended.
func (w *writing) show(g glyph) {
	if math.Abs(g.y-w.rise) > 0.5 {
		w.close()
		w.op("Ts", g.y*w.size/em)
		w.rise = g.y
	}
	if !w.open {
		w.out = append(w.out, "[<"...)
		w.open = true
	}
	if move := g.x - w.pen; math.Abs(move) > 0.5 {
		w.out = append(w.out, '>')
		w.out = append(strconv.AppendInt(w.out, int64(math.Round(-move)), 10), '<')
		w.pen += math.Round(move)
	}
	id, width := w.font.add(g.id, g.text)
	w.out = appendHex(w.out, id)
	w.pen += float64(width)
}

func (w *writing) close() {
	if w.open {
		w.out = append(w.out, ">]TJ\n"...)
		w.open = false
	}
}

const hexDigits = "0123456789ABCDEF"

func appendHex(out []byte, v uint16) []byte {
	return append(out, hexDigits[v>>12], hexDigits[v>>8&15], hexDigits[v>>4&15], hexDigits[v&15])
}

// appendUTF16 appends a text as a hexadecimal string.
func appendUTF16(out []byte, mark, text string) []byte {
	out = append(append(out, '<'), mark...)
	for _, r := range text {
		if high, low := utf16.EncodeRune(r); high != 0xFFFD {
			out = appendHex(appendHex(out, uint16(high)), uint16(low))
			continue
		}
		out = appendHex(out, uint16(r))
	}
	return append(out, '>')
}

// subset returns the part of a font that the form uses.
func (f *form) subset(d *fontData) *subset {
	s := f.fonts[d]
	if s == nil {
		s = newSubset(d, len(f.order)+1)
		f.fonts[d] = s
		f.order = append(f.order, s)
	}
	return s
}

// picture writes an image and shows it.
func (f *form) picture(op picture) error {
	e, err := op.image.encode()
	if err != nil {
		return err
	}
	size := op.image.rgb.Rect.Size()
	entries := fmt.Sprintf("/Type/XObject/Subtype/Image/Width %d/Height %d", size.X, size.Y)
	masked := ""
	if e.mask != nil {
		mask := f.to.Allocate()
		f.to.Stream(mask, entries+"/ImageMask true/BitsPerComponent 1/Filter/FlateDecode", e.mask)
		masked = fmt.Sprintf("/Mask %d 0 R", mask)
	}
	number := f.to.Allocate()
	f.to.Stream(number, entries+"/ColorSpace"+colourSpace+"/BitsPerComponent 8/Filter/"+e.filter+masked, e.data)
	f.images = append(f.images, number)
	f.op("q")
	f.op("cm", op.w, 0, 0, op.h, op.x, op.y)
	f.out = fmt.Appendf(f.out, "/I%d Do\n", len(f.images))
	f.op("Q")
	return nil
}

// encoded is an image as it stands in streams.
type encoded struct {
	data, mask []byte
	filter     string
}

func encodePixels(p *pixels) (encoded, error) {
	var e encoded
	var err error
	if p.mask != nil {
		if e.mask, err = deflate(bits(p.mask)); err != nil {
			return encoded{}, err
		}
	}
	if p.photo {
		e.filter = "DCTDecode"
		var out bytes.Buffer
		if err := jpeg.Encode(&out, p.rgb, &jpeg.Options{Quality: 90}); err != nil {
			return encoded{}, fmt.Errorf("write image: %w", err)
		}
		e.data = out.Bytes()
		return e, nil
	}
	e.filter = "FlateDecode"
	raw := make([]byte, 0, len(p.rgb.Pix)/4*3)
	for i := 0; i < len(p.rgb.Pix); i += 4 {
		raw = append(raw, p.rgb.Pix[i:i+3]...)
	}
	e.data, err = deflate(raw)
	return e, err
}

// bits packs a mask: 1 stands for what is left out, rows begin at a byte (ISO 32000-2, 8.9.6.3).
func bits(mask *image.Alpha) []byte {
	size := mask.Rect.Size()
	row := (size.X + 7) / 8
	out := make([]byte, row*size.Y)
	for i, a := range mask.Pix {
		if a == 0 {
			out[i/size.X*row+i%size.X/8] |= 0x80 >> (i % size.X % 8)
		}
	}
	return out
}

// resources writes the fonts and returns the entries of the resource dictionary.
func (f *form) resources() (string, error) {
	out := []byte("/ColorSpace<</C" + colourSpace + ">>")
	if len(f.order) > 0 {
		out = append(out, "/Font<<"...)
		for _, s := range f.order {
			number, err := s.write(f.to)
			if err != nil {
				return "", err
			}
			out = fmt.Appendf(out, "/F%d %d 0 R", s.resource, number)
		}
		out = append(out, ">>"...)
	}
	if len(f.images) > 0 {
		out = append(out, "/XObject<<"...)
		for i, number := range f.images {
			out = fmt.Appendf(out, "/I%d %d 0 R", i+1, number)
		}
		out = append(out, ">>"...)
	}
	return string(out), nil
}

// stream writes a stream. Packing a few thousand bytes costs more than it saves.
func stream(to Objects, number int64, entries string, data []byte) error {
	const large = 8 << 10
	if len(data) > large {
		packed, err := deflate(data)
		if err != nil {
			return err
		}
		data, entries = packed, entries+"/Filter/FlateDecode"
	}
	to.Stream(number, entries, data)
	return nil
}

func deflate(data []byte) ([]byte, error) {
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	if _, err := z.Write(data); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return out.Bytes(), nil
}
