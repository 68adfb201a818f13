package pdf

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"strings"
)

// Appearance is what a visible signature shows: a thin frame, the autograph if there
// is one, and lines of text, fitted to the box and upright on rotated pages.
type Appearance struct {
	// Lines are broken where they are too long.
	Lines []string
	// Autograph is a drawn or typed signature; nil for none.
	Autograph *Autograph
}

// Autograph is a signature by hand: strokes, or else a name to be set in italics.
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

func (a Appearance) empty() bool {
	return a.Autograph.empty() && len(a.text()) == 0
}

func (a *Autograph) empty() bool {
	return a == nil || len(a.Strokes) == 0 && strings.TrimSpace(a.Typed) == ""
}

// text returns the lines that hold something.
func (a Appearance) text() []string {
	var out []string
	for _, line := range a.Lines {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// area is a part of the box.
type area struct{ x, y, w, h float64 }

// write puts the appearance stream for a box into the tail.
func (a Appearance) write(t *tail, key formKey) (ref, error) {
	c := &canvas{tail: t, width: key.width, height: key.height}
	c.frame()
	pad := min(4, key.width/10, key.height/10)
	whole := area{pad, pad, key.width - 2*pad, key.height - 2*pad}
	text := a.text()
	drawn, written := whole, whole
	switch {
	case a.Autograph.empty() || len(text) == 0:
	case key.width >= 2*key.height: // side by side
		drawn.w = whole.w * 0.42
		written.x, written.w = whole.x+drawn.w+pad, whole.w-drawn.w-pad
	default: // one above the other
		drawn.h = whole.h * 0.5
		drawn.y = whole.y + whole.h - drawn.h
		written.h = whole.h - drawn.h - pad
	}
	if !a.Autograph.empty() {
		if err := c.autograph(a.Autograph, drawn); err != nil {
			return ref{}, err
		}
	}
	if len(text) > 0 {
		if err := c.paragraph(text, written); err != nil {
			return ref{}, err
		}
	}
	return c.finish(key.rotate)
}

// canvas collects the drawing of one appearance.
type canvas struct {
	tail          *tail
	width, height float64
	ops           bytes.Buffer
	fonts         []*face
}

func (c *canvas) frame() {
	if c.width < 6 || c.height < 6 {
		return
	}
	fmt.Fprintf(&c.ops, "q 0.5 w 0.35 0.42 0.52 RG 0.25 0.25 %s %s re S Q\n", num(c.width-0.5), num(c.height-0.5))
}

func (c *canvas) autograph(a *Autograph, in area) error {
	if len(a.Strokes) > 0 {
		c.strokes(a, in)
		return nil
	}
	f, err := c.face(italic, a.Typed)
	if err != nil {
		return err
	}
	size := 30.0
	if w := f.width(a.Typed, 1); w > 0 {
		size = min(size, in.w/w, in.h/1.2)
	}
	c.line(f, a.Typed, size, in.x+(in.w-f.width(a.Typed, size))/2, in.y+in.h/2-size*0.3, "0.08 0.16 0.45")
	return nil
}

// maxPoints bounds the drawing of one autograph; a hand makes a few hundred.
const maxPoints = 20_000

func (c *canvas) strokes(a *Autograph, in area) {
	aspect := a.Aspect
	if aspect <= 0.05 || aspect > 50 {
		aspect = 3
	}
	w, h := in.w, in.w/aspect
	if h > in.h {
		w, h = in.h*aspect, in.h
	}
	x0, y0 := in.x+(in.w-w)/2, in.y+(in.h-h)/2
	at := func(p Point) string {
		return num(x0+w*clamp(p.X)) + " " + num(y0+h*(1-clamp(p.Y)))
	}
	pen := min(max(h/40, 0.5), 1.6)
	fmt.Fprintf(&c.ops, "q %s w 1 J 1 j 0.08 0.16 0.45 RG\n", num(pen))
	left := maxPoints
	for _, s := range a.Strokes {
		s = s[:min(len(s), left)]
		left -= len(s)
		if len(s) == 0 {
			continue
		}
		fmt.Fprintf(&c.ops, "%s m\n", at(s[0]))
		if len(s) == 1 { // a dot
			fmt.Fprintf(&c.ops, "%s l\n", at(s[0]))
		}
		for _, p := range s[1:] {
			fmt.Fprintf(&c.ops, "%s l\n", at(p))
		}
		c.ops.WriteString("S\n")
	}
	c.ops.WriteString("Q\n")
}

func clamp(f float64) float64 {
	if !(f > 0) { // NaN too
		return 0
	}
	return min(f, 1)
}

const (
	largestText  = 11.0
	smallestText = 4.0
	leading      = 1.2
)

// paragraph sets lines in the largest size at which all of them fit.
func (c *canvas) paragraph(lines []string, in area) error {
	f, err := c.face(upright, strings.Join(lines, ""))
	if err != nil {
		return err
	}
	var set []string
	size := largestText
	for ; ; size -= 0.25 {
		set = f.wrap(lines, size, in.w)
		if float64(len(set))*size*leading <= in.h {
			break
		}
		if size <= smallestText {
			set = f.shorten(set, max(1, int(in.h/(size*leading))), size, in.w)
			break
		}
	}
	y := in.y + (in.h+float64(len(set))*size*leading)/2 - size*0.95
	for _, line := range set {
		c.line(f, line, size, in.x, y, "0 0 0")
		y -= size * leading
	}
	return nil
}

func (c *canvas) line(f *face, text string, size, x, y float64, colour string) {
	fmt.Fprintf(&c.ops, "BT %s rg /%s %s Tf %s %s Td %s Tj ET\n", colour, f.resource, num(size), num(x), num(y), f.encode(text))
}

// face returns the face for a text, one object for each face of the appearance.
func (c *canvas) face(style style, text string) (*face, error) {
	f, err := newFace(style, text, fmt.Sprintf("F%d", len(c.fonts)+1))
	if err != nil {
		return nil, err
	}
	c.fonts = append(c.fonts, f)
	return f, nil
}

// finish writes fonts and stream. The matrix turns the drawing against the page's
// rotation; viewers then fit it into the rectangle of the annotation.
func (c *canvas) finish(rotate int) (ref, error) {
	var fonts bytes.Buffer
	for _, f := range c.fonts {
		r, err := f.write(c.tail)
		if err != nil {
			return ref{}, err
		}
		fmt.Fprintf(&fonts, "/%s %s", f.resource, r.bytes())
	}
	matrix := ""
	switch rotate {
	case 90:
		matrix = "/Matrix[0 1 -1 0 0 0]"
	case 180:
		matrix = "/Matrix[-1 0 0 -1 0 0]"
	case 270:
		matrix = "/Matrix[0 -1 1 0 0 0]"
	}
	// Compressing a few lines of text costs more than it saves.
	data, filter := c.ops.Bytes(), ""
	if len(data) > 4<<10 {
		var err error
		if data, err = deflate(data); err != nil {
			return ref{}, err
		}
		filter = "/Filter/FlateDecode"
	}
	r := c.tail.allocate()
	c.tail.stream(r, fmt.Sprintf("/Type/XObject/Subtype/Form/BBox[0 0 %s %s]%s/Resources<</Font<<%s>>>>%s",
		num(c.width), num(c.height), matrix, fonts.Bytes(), filter), data)
	return r, nil
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
