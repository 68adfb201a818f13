package stamp

import "image"

// Drawing is an appearance laid out for a box: one list of operations, from the back to
// the front. It does not change, and may be shown many times and at the same time.
type Drawing struct {
	width, height float64
	ops           []operation
}

// Width is that of the box, in points.
func (d *Drawing) Width() float64 { return d.width }

// Height is that of the box, in points.
func (d *Drawing) Height() float64 { return d.height }

// operation is one of fill, stroke, text and picture. Coordinates are points, from the
// lower left corner of the box.
type operation interface{ operation() }

// colour is red, green and blue from 0 to 255, as a screen shows them (sRGB).
type colour [3]uint8

var (
	black  = colour{0, 0, 0}
	white  = colour{255, 255, 255}
	ink    = colour{20, 41, 115} // of autographs
	border = colour{89, 107, 133}
)

// area is a rectangle.
type area struct{ x, y, w, h float64 }

// fill paints rectangles.
type fill struct {
	colour colour
	rects  []area
}

// stroke draws lines with round ends and joints. A line of one point is a dot.
type stroke struct {
	colour colour
	width  float64
	lines  [][]Point
}

// text shows a line of text at a size; x and y are the start of its base line.
type text struct {
	colour     colour
	line       line
	size, x, y float64
}

// picture shows an image in an area.
type picture struct {
	area
	image *pixels
}

// pixels is an image that is flat, opaque where mask has 255, and not there where it has 0.
type pixels struct {
	rgb   *image.RGBA
	mask  *image.Alpha // nil when all of it is there
	photo bool         // came as JPEG

	encode func() (encoded, error) // for a PDF file; done once
}

func (fill) operation()    {}
func (stroke) operation()  {}
func (text) operation()    {}
func (picture) operation() {}
