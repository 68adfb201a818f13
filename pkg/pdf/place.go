package pdf

import (
	"fmt"
	"math"
)

// Special page numbers of a placement.
const (
	// LastPage is the last page.
	LastPage = -1
	// AllPages is every page.
	AllPages = -2
	// FirstAndLastPage is the first and the last page.
	FirstAndLastPage = -3
)

// Invisible is the compass position of a signature that does not show.
const Invisible = -1

const (
	tagWidth  = 180
	tagHeight = 50
	tagMargin = 24
	tagGap    = 6
	// slack forgives rounding in coordinates, in points.
	slack = 1
)

// Rect is a rectangle in PDF user space.
type Rect struct {
	LLX, LLY, URX, URY float64
}

// Width returns the horizontal size.
func (r Rect) Width() float64 { return r.URX - r.LLX }

// Height returns the vertical size.
func (r Rect) Height() float64 { return r.URY - r.LLY }

func (r Rect) normal() Rect {
	return Rect{LLX: min(r.LLX, r.URX), LLY: min(r.LLY, r.URY), URX: max(r.LLX, r.URX), URY: max(r.LLY, r.URY)}
}

// Box is a rectangle on a page as it is shown: cropped, rotated and scaled, in
// points of 1/72 inch, origin at the lower left corner.
type Box struct {
	// Page starts at 1.
	Page int
	LLX  float64
	LLY  float64
	URX  float64
	URY  float64
}

// Empty tells whether the box has no area, as that of an invisible signature.
func (b Box) Empty() bool { return b.LLX == b.URX || b.LLY == b.URY }

// PageInfo is the geometry of a page.
type PageInfo struct {
	// Number starts at 1.
	Number int
	// MediaBox and CropBox are in user space; CropBox lies within MediaBox.
	MediaBox, CropBox Rect
	// Rotate is the clockwise rotation for display: 0, 90, 180 or 270.
	Rotate int
	// UserUnit is the size of a user space unit in points.
	UserUnit float64
	// Width and Height are the size of the page as it is shown, in points.
	Width, Height float64
}

// Resolve turns a page number or one of the special numbers into page numbers.
func Resolve(pages, spec int) ([]int, error) {
	switch {
	case pages < 1:
		return nil, ErrNoPages
	case spec == LastPage:
		return []int{pages}, nil
	case spec == AllPages:
		all := make([]int, pages)
		for i := range all {
			all[i] = i + 1
		}
		return all, nil
	case spec == FirstAndLastPage && pages == 1:
		return []int{1}, nil
	case spec == FirstAndLastPage:
		return []int{1, pages}, nil
	case spec < 1 || spec > pages:
		return nil, fmt.Errorf("%w: page %d was asked for; use 1 to %d, -1 (last), -2 (all) or -3 (first and last)", ErrPageRange, spec, pages)
	}
	return []int{spec}, nil
}

// Compass returns the box at one of the nine places of a page, numbered by rows
// from 1 (top left) over 5 (centre) to 9 (bottom right); for [Invisible] it returns an
// empty box. The box has at most 180 by 50 points and keeps 24 points from the edge, less on small pages.
func Compass(page PageInfo, position int) (Box, error) {
	if position == Invisible {
		return Box{Page: page.Number}, nil
	}
	if position < 1 || position > 9 {
		return Box{}, fmt.Errorf("%w: %d; use 1 (top left) to 9 (bottom right), or -1 for none", ErrPosition, position)
	}
	margin := min(tagMargin, page.Width/12, page.Height/12)
	// Three boxes fit beside and above one another, so that nine signers can share a page.
	w := min(tagWidth, (page.Width-2*margin)/3-min(tagGap, margin/4))
	h := min(tagHeight, (page.Height-2*margin)/3-min(tagGap, margin/4))
	column, row := float64((position-1)%3)/2, float64((position-1)/3)/2
	x := margin + column*(page.Width-2*margin-w)
	y := page.Height - margin - h - row*(page.Height-2*margin-h)
	return Box{Page: page.Number, LLX: round(x), LLY: round(y), URX: round(x + w), URY: round(y + h)}, nil
}

func round(f float64) float64 { return math.Round(f*100) / 100 }

// Place checks a box given by two opposite corners, in any order, against the
// page and returns it with its corners in order.
func (p PageInfo) Place(b Box) (Box, error) {
	for _, c := range []float64{b.LLX, b.LLY, b.URX, b.URY} {
		if math.IsNaN(c) || math.IsInf(c, 0) {
			return Box{}, fmt.Errorf("%w: a coordinate is no number", ErrOutsidePage)
		}
	}
	r := Rect{b.LLX, b.LLY, b.URX, b.URY}.normal()
	if r.Width() < slack || r.Height() < slack {
		return Box{}, fmt.Errorf("%w: the box has no area; give two opposite corners", ErrOutsidePage)
	}
	if r.LLX < -slack || r.LLY < -slack || r.URX > p.Width+slack || r.URY > p.Height+slack {
		return Box{}, fmt.Errorf("%w: page %d is %.0f by %.0f points as shown, the box goes from (%.0f, %.0f) to (%.0f, %.0f)",
			ErrOutsidePage, p.Number, p.Width, p.Height, r.LLX, r.LLY, r.URX, r.URY)
	}
	return Box{Page: p.Number, LLX: max(0, r.LLX), LLY: max(0, r.LLY), URX: min(p.Width, r.URX), URY: min(p.Height, r.URY)}, nil
}

// ToUser turns a box on the shown page into a rectangle in the page's user space.
func (p PageInfo) ToUser(b Box) Rect {
	point := func(x, y float64) (float64, float64) {
		x, y = x/p.UserUnit, y/p.UserUnit
		w, h := p.CropBox.Width(), p.CropBox.Height()
		switch p.Rotate {
		case 90:
			x, y = w-y, x
		case 180:
			x, y = w-x, h-y
		case 270:
			x, y = y, h-x
		}
		return p.CropBox.LLX + x, p.CropBox.LLY + y
	}
	var r Rect
	r.LLX, r.LLY = point(b.LLX, b.LLY)
	r.URX, r.URY = point(b.URX, b.URY)
	return r.normal()
}

// FromUser turns a rectangle in the page's user space into a box on the shown page.
func (p PageInfo) FromUser(r Rect) Box {
	point := func(x, y float64) (float64, float64) {
		x, y = x-p.CropBox.LLX, y-p.CropBox.LLY
		w, h := p.CropBox.Width(), p.CropBox.Height()
		switch p.Rotate {
		case 90:
			x, y = y, w-x
		case 180:
			x, y = w-x, h-y
		case 270:
			x, y = h-y, x
		}
		return x * p.UserUnit, y * p.UserUnit
	}
	var shown Rect
	shown.LLX, shown.LLY = point(r.LLX, r.LLY)
	shown.URX, shown.URY = point(r.URX, r.URY)
	shown = shown.normal()
	return Box{Page: p.Number, LLX: shown.LLX, LLY: shown.LLY, URX: shown.URX, URY: shown.URY}
}
