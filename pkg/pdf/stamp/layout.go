package stamp

import (
	"errors"
	"fmt"
	"math"
)

const (
	// smallest and largest size of text, in points; in large boxes it may grow further.
	// 5 points can be read on paper and, enlarged, on a screen; 7 on a screen at 100 %;
	// above 8.5 a larger picture counts more than larger text.
	smallestText    = 5.0
	readableText    = 7.0
	comfortableText = 8.5
	largestText     = 11.0
	hugeText        = 24.0

	// margin and gap are the usual distances from the frame and between parts.
	margin = 4.0
	gap    = 4.0

	// maxBox is the largest side of a page (ISO 32000-1, annex C), in points.
	maxBox = 14_400.0
)

// errShaper means that setting text broke down; no text is known that does it.
var errShaper = errors.New("the text can not be set")

// Layout fits the appearance to a box of the given size in points.
//
//   - A QR code stands at the right of a wide box, at the top of a tall one, as large as
//     the height allows up to a share of the box. Its modules measure at least one point,
//     else the box is refused with [ErrQR].
//   - An image with an autograph stands at the left (or on top), the autograph over the text.
//   - One of both stands beside or above the text, whichever leaves the text larger.
//   - Text takes what is left, at its bottom, in the largest size that fits without breaking
//     lines, or, when that is below 7 points, with breaking them. It goes down to 5 points;
//     what then does not fit ends in dots. Only boxes too low for one such line get a smaller one.
//
// Errors are [ErrSize], [ErrImage] and [ErrQR].
func (a Appearance) Layout(width, height float64) (*Drawing, error) {
	if !(width > 0 && height > 0 && width <= maxBox && height <= maxBox) { // NaN too
		return nil, fmt.Errorf("%w: a box of %g by %g points; use sides between 0 and %d", ErrSize, width, height, int(maxBox))
	}
	t, _ := typesetters.Get().(*typesetter)
	d, err := a.layout(t, width, height)
	if err == nil {
		typesetters.Put(t)
	}
	return d, err
}

func (a Appearance) layout(t *typesetter, width, height float64) (d *Drawing, err error) {
	defer func() {
		if recover() != nil { // names come from anybody, and the shaper is not ours
			d, err = nil, errShaper
		}
	}()
	l := &layout{typesetter: t, drawing: &Drawing{width: width, height: height}}
	if err := l.draw(a); err != nil {
		return nil, err
	}
	l.frame()
	return l.drawing, nil
}

// layout places the parts of one appearance.
type layout struct {
	*typesetter
	drawing *Drawing
	limit   float64 // largest size of text in this box
}

func (l *layout) add(op operation) { l.drawing.ops = append(l.drawing.ops, op) }

func (l *layout) draw(a Appearance) error {
	w, h := l.drawing.width, l.drawing.height
	l.limit = min(max(largestText, min(w, h)*0.13), hugeText)
	pad := min(margin, w/10, h/10)
	inner := area{pad, pad, w - 2*pad, h - 2*pad}
	if a.QR != "" {
		left, err := l.code(a.QR, inner, a)
		if err != nil {
			return err
		}
		inner = left
	}
	var paragraphs []paragraph
	for _, s := range a.text() {
		p, err := l.shape(s)
		if err != nil {
			return err
		}
		paragraphs = append(paragraphs, p)
	}
	var drawn []part
	if len(a.Image) > 0 {
		i, err := open(a.Image)
		if err != nil {
			return err
		}
		drawn = append(drawn, i)
	}
	if !a.Autograph.empty() {
		hand, err := l.autograph(a.Autograph)
		if err != nil {
			return err
		}
		drawn = append(drawn, hand)
	}
	return l.arrange(drawn, paragraphs, inner)
}

// part is an autograph or an image.
type part interface {
	aspect() float64 // width by height
	place(l *layout, in area) error
}

// arrange shares an area between pictures and text.
func (l *layout) arrange(drawn []part, text []paragraph, in area) error {
	if len(drawn) == 0 {
		return l.paragraphs(text, in)
	}
	if len(text) == 0 && len(drawn) == 1 {
		return drawn[0].place(l, in)
	}
	if len(drawn) > 1 {
		var first, others area
		if in.w >= in.h {
			first, others = in.left(min(in.h*drawn[0].aspect(), in.w*0.35))
		} else {
			first, others = in.top(min(in.w/drawn[0].aspect(), in.h*0.35))
		}
		if err := drawn[0].place(l, first); err != nil {
			return err
		}
		return l.arrange(drawn[1:], text, others)
	}
	beside, err := l.beside(drawn[0], text, in)
	if err != nil {
		return err
	}
	above, err := l.above(drawn[0], text, in)
	if err != nil {
		return err
	}
	best := beside
	if above.better(beside) {
		best = above
	}
	l.set(best.text, best.written)
	return drawn[0].place(l, best.drawn)
}

// arrangement is a way to share an area between one picture and text.
type arrangement struct {
	drawn, written area
	text           block
	scale          float64 // height of the picture
}

// better compares first what can be read, then the size of the picture.
func (a arrangement) better(b arrangement) bool {
	if x, y := min(a.text.size, comfortableText), min(b.text.size, comfortableText); x != y {
		return x > y
	}
	if a.text.cut != b.text.cut {
		return b.text.cut
	}
	return a.scale > b.scale
}

// beside puts the picture at the left.
func (l *layout) beside(p part, text []paragraph, in area) (arrangement, error) {
	widest := 0.0
	for _, t := range text {
		widest = max(widest, t.width())
	}
	w := min(max(in.w-widest*comfortableText/em-gap, in.w*0.3), in.w*0.5, in.h*p.aspect())
	var a arrangement
	a.drawn, a.written = in.left(w)
	a.scale = min(a.drawn.h, a.drawn.w/p.aspect())
	var err error
	a.text, err = l.fit(text, a.written)
	return a, err
}

// above puts the picture over the text.
func (l *layout) above(p part, text []paragraph, in area) (arrangement, error) {
	_, room := in.top(in.h * 0.4)
	var a arrangement
	var err error
	if a.text, err = l.fit(text, room); err != nil {
		return a, err
	}
	a.drawn, a.written = in.top(in.h - a.text.height() - min(gap, in.h/10))
	a.scale = min(a.drawn.h, a.drawn.w/p.aspect())
	return a, nil
}

// left splits off a part at the left; between both stays a gap.
func (a area) left(w float64) (area, area) {
	g := min(gap, a.w/10)
	return area{a.x, a.y, w, a.h}, area{a.x + w + g, a.y, max(a.w-w-g, 0), a.h}
}

// top splits off a part at the top; between both stays a gap.
func (a area) top(h float64) (area, area) {
	g := min(gap, a.h/10)
	return area{a.x, a.y + a.h - h, a.w, h}, area{a.x, a.y, a.w, max(a.h-h-g, 0)}
}

// centre returns the largest area of an aspect in the middle.
func (a area) centre(aspect float64) area {
	w, h := a.w, a.w/aspect
	if h > a.h {
		w, h = a.h*aspect, a.h
	}
	return area{a.x + (a.w-w)/2, a.y + (a.h-h)/2, w, h}
}

// frame draws a thin line around the box, unless it is tiny.
func (l *layout) frame() {
	w, h := l.drawing.width, l.drawing.height
	if w < 6 || h < 6 {
		return
	}
	const line = 0.5
	l.add(fill{border, []area{{0, 0, w, line}, {0, h - line, w, line}, {0, line, line, h - 2*line}, {w - line, line, line, h - 2*line}}})
}

// block is text set for an area.
type block struct {
	lines []line
	size  float64
	cut   bool // something is left out
}

func (b block) height() float64 { return height(b.lines, b.size) }

func height(lines []line, size float64) float64 {
	var h float64
	for _, l := range lines {
		h += l.ascent + l.descent
	}
	return h * size / em
}

// fit sets paragraphs in the largest size at which all of them fit into the area.
func (l *layout) fit(text []paragraph, in area) (block, error) {
	whole := l.whole(text, in)
	if whole.size >= readableText {
		return whole, nil
	}
	for size := readableText; size >= smallestText; size -= 0.5 {
		if size <= whole.size {
			return whole, nil
		}
		lines, err := l.wrap(text, in.w*em/size, manyLines)
		if err != nil {
			return block{}, err
		}
		if height(lines, size) <= in.h {
			return block{lines: lines, size: size}, nil
		}
	}
	return l.cutOff(text, in)
}

// whole sets every paragraph on a line of its own, in quarters of a point.
func (l *layout) whole(text []paragraph, in area) block {
	lines := make([]line, 0, len(text))
	for _, p := range text {
		lines = append(lines, l.unbroken(p))
	}
	size := min(l.limit, in.h/height(lines, 1))
	for _, line := range lines {
		if line.width > 0 {
			size = min(size, in.w*em/line.width)
		}
	}
	return block{lines: lines, size: math.Floor(size*4) / 4}
}

// cutOff sets what fits in the smallest size, at least one line. Where not even that fits,
// it becomes smaller.
func (l *layout) cutOff(text []paragraph, in area) (block, error) {
	size, most := smallestText, manyLines
	for try := 1; ; try++ {
		lines, err := l.wrap(text, in.w*em/size, most)
		if err != nil {
			return block{}, err
		}
		fitting, h, w := 0, 0.0, 0.0
		for _, line := range lines {
			h += (line.ascent + line.descent) * size / em
			w = max(w, line.width*size/em)
			if h <= in.h {
				fitting++
			}
		}
		switch {
		case fitting == len(lines) && w <= in.w || try == 8: // one or two are enough, but for letters without a size
			return block{lines, size, true}, nil
		case fitting > 0 && fitting < len(lines):
			most = fitting
		default: // a single line that is too high, or a letter that is too wide
			most = 1
			size *= min(in.h/h, in.w/w, 1) * 0.99
		}
	}
}

func (l *layout) paragraphs(text []paragraph, in area) error {
	if len(text) == 0 {
		return nil
	}
	b, err := l.fit(text, in)
	if err != nil {
		return err
	}
	l.set(b, in)
	return nil
}

// set draws a block at the bottom of an area, at the side where its first line starts.
func (l *layout) set(b block, in area) {
	right := len(b.lines) > 0 && b.lines[0].rtl
	y := in.y + b.height()
	for _, line := range b.lines {
		y -= line.ascent * b.size / em
		x := in.x
		if right {
			x += in.w - line.width*b.size/em
		}
		l.add(text{black, line, b.size, x, y})
		y -= line.descent * b.size / em
	}
}
