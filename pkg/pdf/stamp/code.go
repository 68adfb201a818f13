package stamp

import (
	"fmt"
	"slices"

	"github.com/boombuler/barcode"
	"github.com/boombuler/barcode/qr"
)

const (
	// quiet is the blank margin of a code, in modules (ISO/IEC 18004, 6.3.8).
	quiet = 4
	// smallestModule and largestModule are the side of a module in points. Cameras read
	// 0.33 mm on paper; 1 point is 0.35 mm.
	smallestModule = 1.0
	largestModule  = 3.0
	// maxQR bounds the text; an address is shorter.
	maxQR = 1_000
	// codeShare is the part of a box that a code takes at most when there is more to show,
	// unless its smallest modules need more.
	codeShare = 0.4
)

// code draws a QR code and returns the area that is left for the rest. The quiet margin
// may lie over that of the box, inside of the frame.
func (l *layout) code(content string, inner area, a Appearance) (area, error) {
	if len(content) > maxQR {
		return area{}, fmt.Errorf("%w: %d bytes of text; use at most %d", ErrQR, len(content), maxQR)
	}
	for i := range len(content) {
		if content[i] < ' ' || content[i] > '~' {
			return area{}, fmt.Errorf("%w: only ASCII is read alike everywhere; encode other letters of an address with %%", ErrQR)
		}
	}
	const frame = 0.5
	w, h := l.drawing.width-2*frame, l.drawing.height-2*frame
	side := min(w, h)
	modules, err := encode(content, side)
	if err != nil {
		return area{}, err
	}
	a.QR = ""
	count := float64(modules.Bounds().Dx() + 2*quiet)
	if !a.Empty() {
		side = min(side, max(count*smallestModule, max(w, h)*codeShare))
		side = min(side, count*largestModule)
	}
	at := area{frame + (w-side)/2, frame + (h-side)/2, side, side}
	left := inner
	switch {
	case a.Empty():
	case w >= h:
		at.x = frame + w - side
		left.w = max(at.x-inner.x, 0)
	default:
		at.y = frame + h - side
		left.h = max(at.y-inner.y, 0)
	}
	if !a.Empty() && min(left.w, left.h) < 2*smallestText {
		return area{}, fmt.Errorf("%w: it leaves no room in a box of %g by %g points; use a larger one or a shorter text", ErrQR, l.drawing.width, l.drawing.height)
	}
	l.add(fill{white, []area{at}})
	l.add(fill{black, modules.rects(at)})
	return left, nil
}

// matrix is a QR code without its margin.
type matrix struct{ barcode.Barcode }

// capacities are the bytes that codes of 21, 25, 29... modules hold at level M (ISO/IEC 18004, table 7).
var capacities = []int{
	14, 26, 42, 62, 84, 106, 122, 152, 180, 213, 251, 287, 331, 362, 412, 450, 504, 560, 624, 666, 711, 779, 857, 911, 997, 1059,
}

// encode makes a code whose modules are large enough in a square of that side: with a
// seventh of the code to spare for damage (level M) if that fits, else a fourteenth (L).
func encode(content string, side float64) (matrix, error) {
	level := qr.M
	version := slices.IndexFunc(capacities, func(n int) bool { return n >= len(content) })
	if float64(21+4*version+2*quiet)*smallestModule > side {
		level = qr.L
	}
	code, err := qr.Encode(content, level, qr.Auto)
	if err != nil {
		return matrix{}, fmt.Errorf("%w: the text can not be encoded", ErrQR)
	}
	if need := float64(code.Bounds().Dx()+2*quiet) * smallestModule; need > side {
		return matrix{}, fmt.Errorf("%w: it needs a box of %g by %g points; use a larger one or a shorter text", ErrQR, need+1, need+1)
	}
	return matrix{code}, nil
}

// rects returns the dark modules of a code drawn in an area, those side by side in one.
func (m matrix) rects(in area) []area {
	n := m.Bounds().Dx()
	unit := in.w / float64(n+2*quiet)
	var out []area
	for row := range n {
		start := -1
		for col := range n + 1 {
			dark := col < n && m.dark(col, row)
			if dark && start < 0 {
				start = col
			}
			if !dark && start >= 0 {
				out = append(out, area{
					in.x + float64(start+quiet)*unit, in.y + in.h - float64(row+quiet+1)*unit, float64(col-start) * unit, unit,
				})
				start = -1
			}
		}
	}
	return out
}

func (m matrix) dark(x, y int) bool {
	r, _, _, _ := m.At(x, y).RGBA()
	return r == 0
}
