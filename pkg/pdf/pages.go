package pdf

import (
	"fmt"
	"math"
)

// page is a page of the document with its object.
type page struct {
	info PageInfo
	ref  ref
}

// inherited holds what pages take from the nodes above them.
type inherited struct {
	media, crop, rotate value
}

func (in inherited) below(d *dict) inherited {
	pick := func(key string, old value) value {
		if v := d.get(key); v.kind != kindNull {
			return v
		}
		return old
	}
	return inherited{media: pick("MediaBox", in.media), crop: pick("CropBox", in.crop), rotate: pick("Rotate", in.rotate)}
}

// pages walks the page tree.
func (f *file) pages() ([]page, error) {
	catalog, err := f.catalog()
	if err != nil {
		return nil, err
	}
	w := pageWalk{file: f, seen: map[int64]bool{}}
	root, ok := catalog.dict.get("Pages").ref()
	if !ok {
		return nil, fmt.Errorf("%w: the catalog names none; send a document with at least one page", ErrNoPages)
	}
	if err := w.node(root, inherited{}, 0); err != nil {
		return nil, err
	}
	if len(w.pages) == 0 {
		return nil, fmt.Errorf("%w: send a document with at least one page", ErrNoPages)
	}
	return w.pages, nil
}

type pageWalk struct {
	file  *file
	seen  map[int64]bool
	pages []page
}

func (w *pageWalk) node(r ref, above inherited, depth int) error {
	f := w.file
	if depth > f.limits.Depth {
		return tooComplex("its page tree is more than %d levels deep", f.limits.Depth)
	}
	if w.seen[r.num] {
		return broken("its page tree goes in a circle")
	}
	w.seen[r.num] = true
	obj, err := f.load(r)
	if err != nil {
		return err
	}
	if obj.kind != kindDict {
		return broken("a page is missing")
	}
	below := above.below(obj.dict)
	kids, err := f.resolve(obj.dict.get("Kids"))
	if err != nil {
		return err
	}
	if kids.kind != kindArray {
		if typ := obj.dict.get("Type").name(); typ == "Pages" {
			return nil
		}
		return w.leaf(obj, below)
	}
	for _, kid := range kids.list {
		next, ok := kid.ref()
		if !ok {
			return broken("its page tree holds something else than pages")
		}
		if err := w.node(next, below, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (w *pageWalk) leaf(obj object, in inherited) error {
	f := w.file
	if len(w.pages) >= f.limits.Pages {
		return fmt.Errorf("%w: it has more than %d pages; split it", ErrTooLarge, f.limits.Pages)
	}
	info := PageInfo{Number: len(w.pages) + 1, UserUnit: 1}
	media, ok, err := f.rect(in.media)
	if err != nil {
		return err
	}
	if !ok {
		media = Rect{URX: 612, URY: 792} // what every reader assumes
	}
	crop, ok, err := f.rect(in.crop)
	if err != nil {
		return err
	}
	info.MediaBox, info.CropBox = media, media
	if ok {
		cut := Rect{max(media.LLX, crop.LLX), max(media.LLY, crop.LLY), min(media.URX, crop.URX), min(media.URY, crop.URY)}
		if cut.Width() >= 1 && cut.Height() >= 1 {
			info.CropBox = cut
		}
	}
	rotate, err := f.resolve(in.rotate)
	if err != nil {
		return err
	}
	if n, ok := rotate.number(); ok && math.Abs(n) < 1e6 && math.Mod(n, 90) == 0 {
		info.Rotate = (int(n)%360 + 360) % 360
	}
	unit, err := f.resolve(obj.dict.get("UserUnit"))
	if err != nil {
		return err
	}
	if n, ok := unit.number(); ok && n > 0 && n <= 75_000 {
		info.UserUnit = n
	}
	info.Width, info.Height = info.CropBox.Width()*info.UserUnit, info.CropBox.Height()*info.UserUnit
	if info.Rotate%180 != 0 {
		info.Width, info.Height = info.Height, info.Width
	}
	w.pages = append(w.pages, page{info: info, ref: obj.ref})
	return nil
}

// rect reads a rectangle; it reports false for one that is missing or without area.
func (f *file) rect(v value) (Rect, bool, error) {
	obj, err := f.resolve(v)
	if err != nil || obj.kind != kindArray || len(obj.list) != 4 {
		return Rect{}, false, err
	}
	var c [4]float64
	for i, item := range obj.list {
		n, err := f.resolve(item)
		if err != nil {
			return Rect{}, false, err
		}
		x, ok := n.number()
		if !ok || math.IsNaN(x) || math.Abs(x) > 1e7 {
			return Rect{}, false, nil
		}
		c[i] = x
	}
	r := Rect{c[0], c[1], c[2], c[3]}.normal()
	return r, r.Width() > 0 && r.Height() > 0, nil
}

// page returns the page with that number.
func (e *edit) page(n int) (page, error) {
	pages, err := e.allPages()
	if err != nil {
		return page{}, err
	}
	if n < 1 || n > len(pages) {
		return page{}, fmt.Errorf("%w: page %d of %d", ErrPageRange, n, len(pages))
	}
	return pages[n-1], nil
}

// pageOf returns the page with that address.
func (e *edit) pageOf(r ref) (page, error) {
	pages, err := e.allPages()
	if err != nil {
		return page{}, err
	}
	for _, p := range pages {
		if p.ref == r {
			return p, nil
		}
	}
	return page{info: PageInfo{UserUnit: 1}}, nil
}

func (e *edit) allPages() ([]page, error) {
	var err error
	if e.pages == nil {
		e.pages, err = e.file.pages()
	}
	return e.pages, err
}

// locate finds the pages of the widgets of a field.
func (e *edit) locate(fl *field) error {
	pages, err := e.allPages()
	if err != nil {
		return err
	}
	fields := []field{*fl}
	return e.file.findPages(fields, pages)
}
