package stamp

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"slices"
	"sync"

	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/font/opentype"
	"golang.org/x/image/draw"
	"golang.org/x/image/vector"
)

// maxPreview bounds the pixels of a picture.
const maxPreview = 16 << 20

// encoder is quick, because a preview is looked at once.
var encoder = png.Encoder{CompressionLevel: png.BestSpeed, BufferPool: &buffers{}}

// buffers keeps the memory of the encoder.
type buffers struct{ pool sync.Pool }

// Get is part of [png.EncoderBufferPool].
func (b *buffers) Get() *png.EncoderBuffer { e, _ := b.pool.Get().(*png.EncoderBuffer); return e }

// Put is part of [png.EncoderBufferPool].
func (b *buffers) Put(e *png.EncoderBuffer) { b.pool.Put(e) }

// PNG writes the drawing as a picture on white, at a resolution in pixels per inch: 96 shows
// it as large as a page at 100 % on most screens.
func (d *Drawing) PNG(w io.Writer, dpi float64) error {
	img, err := d.Image(dpi)
	if err != nil {
		return err
	}
	if err := encoder.Encode(w, img); err != nil {
		return fmt.Errorf("write picture: %w", err)
	}
	return nil
}

// Image draws it on white, at a resolution in pixels per inch. A picture without a pixel,
// or with more than 16 million, is refused with [ErrSize].
func (d *Drawing) Image(dpi float64) (*image.RGBA, error) {
	w, h := math.Ceil(d.width*dpi/72), math.Ceil(d.height*dpi/72)
	if !(w >= 1 && h >= 1 && w*h <= maxPreview) { // NaN too
		return nil, fmt.Errorf("%w: %g by %g points at %g dpi; use a resolution that gives at most %d pixels", ErrSize, d.width, d.height, dpi, maxPreview)
	}
	r := &raster{
		out: image.NewRGBA(image.Rect(0, 0, int(w), int(h))), scale: dpi / 72, height: d.height,
		faces: map[*fontData]*font.Face{},
	}
	draw.Draw(r.out, r.out.Rect, image.White, image.Point{}, draw.Src)
	for _, op := range d.ops {
		r.draw(op)
	}
	return r.out, nil
}

// raster draws operations into a picture.
type raster struct {
	out    *image.RGBA
	scale  float64 // pixels per point
	height float64
	faces  map[*fontData]*font.Face
	path   []opentype.Segment // collected, in pixels
	paint  vector.Rasterizer
}

func (r *raster) draw(op operation) {
	switch op := op.(type) {
	case fill:
		for _, a := range op.rects {
			r.polygon(Point{a.x, a.y}, Point{a.x + a.w, a.y}, Point{a.x + a.w, a.y + a.h}, Point{a.x, a.y + a.h})
		}
		r.fill(op.colour)
	case stroke:
		for _, points := range op.lines {
			r.stroke(points, op.width/2)
		}
		r.fill(op.colour)
	case text:
		for _, run := range op.line.runs {
			r.run(op, run)
		}
		r.fill(op.colour)
	case picture:
		r.picture(op)
	}
}

// at turns a point of the box into one of the picture.
func (r *raster) at(x, y float64) opentype.SegmentPoint {
	return opentype.SegmentPoint{X: float32(x * r.scale), Y: float32((r.height - y) * r.scale)}
}

func (r *raster) add(op opentype.SegmentOp, points ...opentype.SegmentPoint) {
	s := opentype.Segment{Op: op}
	copy(s.Args[:], points)
	r.path = append(r.path, s)
}

func (r *raster) polygon(points ...Point) {
	for i, p := range points {
		op := opentype.SegmentOpLineTo
		if i == 0 {
			op = opentype.SegmentOpMoveTo
		}
		r.add(op, r.at(p.X, p.Y))
	}
}

// stroke adds the outline of a line with round ends and joints: a disk at each point and a
// bar from one to the next, all turning the same way, so that they add up.
func (r *raster) stroke(points []Point, half float64) {
	for i, p := range points {
		r.disk(p, half)
		if i == 0 {
			continue
		}
		q := points[i-1]
		dx, dy := p.X-q.X, p.Y-q.Y
		if n := math.Hypot(dx, dy); n > 0 {
			dx, dy = dx/n*half, dy/n*half
			r.polygon(Point{q.X + dy, q.Y - dx}, Point{p.X + dy, p.Y - dx}, Point{p.X - dy, p.Y + dx}, Point{q.X - dy, q.Y + dx})
		}
	}
}

func (r *raster) disk(centre Point, radius float64) {
	const corners = 16
	var ring [corners]Point
	for i := range ring {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / corners)
		ring[i] = Point{centre.X + radius*cos, centre.Y + radius*sin}
	}
	r.polygon(ring[:]...)
}

func (r *raster) run(op text, part run) {
	face := r.faces[part.font]
	if face == nil {
		face = font.NewFace(part.font.font)
		r.faces[part.font] = face
	}
	unit := op.size / part.font.units
	for _, g := range part.glyphs {
		outline, ok := face.GlyphDataOutline(font.GID(g.id))
		if !ok {
			continue
		}
		x, y := op.x+(part.x+g.x)*op.size/em, op.y+g.y*op.size/em
		for _, s := range outline.Segments {
			for i := range s.Args {
				s.Args[i] = r.at(x+float64(s.Args[i].X)*unit, y+float64(s.Args[i].Y)*unit)
			}
			r.path = append(r.path, s)
		}
	}
}

// fill paints what is collected, and forgets it.
func (r *raster) fill(c colour) {
	left, top, right, bottom := float32(math.Inf(1)), float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.Inf(-1))
	for _, s := range r.path {
		for _, p := range s.ArgsSlice() {
			left, right, top, bottom = min(left, p.X), max(right, p.X), min(top, p.Y), max(bottom, p.Y)
		}
	}
	if left > right {
		return
	}
	bounds := image.Rect(int(math.Floor(float64(left))), int(math.Floor(float64(top))), int(math.Ceil(float64(right))), int(math.Ceil(float64(bottom)))).Intersect(r.out.Rect)
	if !bounds.Empty() {
		r.paint.Reset(bounds.Dx(), bounds.Dy())
		dx, dy := float32(bounds.Min.X), float32(bounds.Min.Y)
		for _, s := range r.path {
			a := s.Args
			switch s.Op {
			case opentype.SegmentOpMoveTo:
				r.paint.ClosePath()
				r.paint.MoveTo(a[0].X-dx, a[0].Y-dy)
			case opentype.SegmentOpLineTo:
				r.paint.LineTo(a[0].X-dx, a[0].Y-dy)
			case opentype.SegmentOpQuadTo:
				r.paint.QuadTo(a[0].X-dx, a[0].Y-dy, a[1].X-dx, a[1].Y-dy)
			case opentype.SegmentOpCubeTo:
				r.paint.CubeTo(a[0].X-dx, a[0].Y-dy, a[1].X-dx, a[1].Y-dy, a[2].X-dx, a[2].Y-dy)
			}
		}
		r.paint.ClosePath()
		r.paint.Draw(r.out, bounds, image.NewUniform(color.RGBA{c[0], c[1], c[2], 255}), image.Point{})
	}
	r.path = r.path[:0]
}

func (r *raster) picture(op picture) {
	low, high := r.at(op.x, op.y), r.at(op.x+op.w, op.y+op.h)
	to := image.Rect(int(math.Round(float64(low.X))), int(math.Round(float64(high.Y))), int(math.Round(float64(high.X))), int(math.Round(float64(low.Y))))
	from := op.image.rgb
	if mask := op.image.mask; mask != nil {
		from = &image.RGBA{Pix: slices.Clone(from.Pix), Stride: from.Stride, Rect: from.Rect}
		for i, there := range mask.Pix {
			if there == 0 {
				clear(from.Pix[4*i : 4*i+4])
			}
		}
	}
	draw.CatmullRom.Scale(r.out, to, from, from.Rect, draw.Over, nil)
}
