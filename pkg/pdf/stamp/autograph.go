package stamp

// written is a typed autograph, set in a handwriting.
type written struct{ line line }

// drawn is an autograph of strokes.
type drawn struct {
	strokes [][]Point
	ratio   float64
}

// largestWriting is the size of typed autographs in large boxes, in points.
const largestWriting = 72.0

func (l *layout) autograph(a *Autograph) (part, error) {
	if len(a.Strokes) > 0 {
		ratio := a.Aspect
		if !(ratio > 0.05 && ratio < 50) {
			ratio = 3
		}
		return drawn{a.Strokes, ratio}, nil
	}
	l.byHand = true
	defer func() { l.byHand = false }()
	p, err := l.shape(shorten(clean(a.Typed), maxTyped))
	if err != nil {
		return nil, err
	}
	return written{l.unbroken(p)}, nil
}

func (w written) height() float64 { return w.line.ascent + w.line.descent }

func (w written) aspect() float64 { return max(w.line.width, 1) / w.height() }

func (w written) place(l *layout, in area) error {
	size := min(in.h*em/w.height(), in.w*em/max(w.line.width, 1), largestWriting)
	x := in.x + (in.w-w.line.width*size/em)/2
	y := in.y + in.h/2 + (w.line.descent-w.line.ascent)/2*size/em
	l.add(text{ink, w.line, size, x, y})
	return nil
}

func (d drawn) aspect() float64 { return d.ratio }

func (d drawn) place(l *layout, in area) error {
	in = in.centre(d.ratio)
	pen := min(max(in.h/30, 0.6), 1.8)
	// Half a pen stays free, so that no stroke leaves the area.
	in = area{in.x + pen/2, in.y + pen/2, max(in.w-pen, 0), max(in.h-pen, 0)}
	s := stroke{colour: ink, width: pen}
	left := maxPoints
	for _, points := range d.strokes {
		points = points[:min(len(points), left)]
		left -= len(points)
		if len(points) == 0 {
			continue
		}
		placed := make([]Point, len(points))
		for i, p := range points {
			placed[i] = Point{in.x + in.w*clamp(p.X), in.y + in.h*(1-clamp(p.Y))}
		}
		s.lines = append(s.lines, placed)
	}
	l.add(s)
	return nil
}

func clamp(f float64) float64 {
	if !(f > 0) { // NaN too
		return 0
	}
	return min(f, 1)
}
