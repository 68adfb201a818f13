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
	return in.or(inherited{media: d.get("MediaBox"), crop: d.get("CropBox"), rotate: d.get("Rotate")})
}

// or takes what stands nearer to the page first.
func (in inherited) or(nearer inherited) inherited {
	pick := func(near, far value) value {
		if near.kind != kindNull {
			return near
		}
		return far
	}
	return inherited{media: pick(nearer.media, in.media), crop: pick(nearer.crop, in.crop), rotate: pick(nearer.rotate, in.rotate)}
}

// pages walks the page tree.
func (f *file) pages() ([]page, error) {
	pages, _, err := f.walkPages()
	return pages, err
}

// countedPages walks the page tree and refuses one whose nodes state other numbers of
// pages than they have: programs that go by these numbers would show other pages.
func (f *file) countedPages() ([]page, error) {
	pages, odd, err := f.walkPages()
	if err == nil && odd {
		return nil, broken("its pages can be counted in two ways")
	}
	return pages, err
}

func (f *file) walkPages() (pages []page, odd bool, err error) {
	root, err := f.pageRoot()
	if err != nil {
		return nil, false, err
	}
	w := pageWalk{file: f, seen: map[int64]bool{}}
	if _, err := w.node(root, inherited{}, 0); err != nil {
		return nil, false, err
	}
	if len(w.pages) == 0 {
		return nil, false, fmt.Errorf("%w: send a document with at least one page", ErrNoPages)
	}
	return w.pages, w.odd, nil
}

func (f *file) pageRoot() (ref, error) {
	catalog, err := f.catalog()
	if err != nil {
		return ref{}, err
	}
	root, ok := catalog.dict.get("Pages").ref()
	if !ok {
		return ref{}, fmt.Errorf("%w: the catalog names none; send a document with at least one page", ErrNoPages)
	}
	return root, nil
}

type pageWalk struct {
	file  *file
	seen  map[int64]bool
	pages []page
	odd   bool // a node states another number of pages than it has
}

// node walks what is below r and tells whether that is a node, not a page.
func (w *pageWalk) node(r ref, above inherited, depth int) (bool, error) {
	f := w.file
	if depth > f.limits.Depth {
		return false, tooComplex("its page tree is more than %d levels deep", f.limits.Depth)
	}
	if w.seen[r.num] {
		return false, broken("its page tree goes in a circle")
	}
	w.seen[r.num] = true
	obj, err := f.load(r)
	if err != nil {
		return false, err
	}
	if obj.kind != kindDict {
		return false, broken("a page is missing")
	}
	below := above.below(obj.dict)
	kids, err := f.resolve(obj.dict.get("Kids"))
	if err != nil {
		return false, err
	}
	if kids.kind != kindArray {
		if obj.dict.get("Type").name() == "Pages" {
			return true, nil
		}
		if len(w.pages) >= f.limits.Pages {
			return false, fmt.Errorf("%w: it has more than %d pages; split it", ErrTooLarge, f.limits.Pages)
		}
		p, err := f.leaf(obj, below, len(w.pages)+1)
		w.pages = append(w.pages, p)
		return false, err
	}
	before, flat := len(w.pages), true
	for _, kid := range kids.list() {
		next, ok := kid.ref()
		if !ok {
			return false, broken("its page tree holds something else than pages")
		}
		inner, err := w.node(next, below, depth+1)
		if err != nil {
			return false, err
		}
		flat = flat && !inner
	}
	count, err := f.resolve(obj.dict.get("Count"))
	n, ok := count.integer()
	if !ok || n != int64(len(w.pages)-before) || n == int64(len(kids.list())) && !flat {
		w.odd = true
	}
	return true, err
}

// leaf reads a page.
func (f *file) leaf(obj object, in inherited, number int) (page, error) {
	info := PageInfo{Number: number, UserUnit: 1}
	media, ok, err := f.rect(in.media)
	if err != nil {
		return page{}, err
	}
	if !ok {
		media = Rect{URX: 612, URY: 792} // what every reader assumes
	}
	crop, ok, err := f.rect(in.crop)
	if err != nil {
		return page{}, err
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
		return page{}, err
	}
	if n, ok := rotate.number(); ok && math.Abs(n) < 1e6 && math.Mod(n, 90) == 0 {
		info.Rotate = (int(n)%360 + 360) % 360
	}
	unit, err := f.resolve(obj.dict.get("UserUnit"))
	if err != nil {
		return page{}, err
	}
	if n, ok := unit.number(); ok && n > 0 && n <= 75_000 {
		info.UserUnit = n
	}
	info.Width, info.Height = info.CropBox.Width()*info.UserUnit, info.CropBox.Height()*info.UserUnit
	if info.Rotate%180 != 0 {
		info.Width, info.Height = info.Height, info.Width
	}
	return page{info: info, ref: obj.ref}, nil
}

// pageAt finds a page by the numbers of pages that the nodes state, without reading
// the pages before it. It reports false where these do not add up: then the whole tree is to
// be walked. (Inspect refuses files in which both ways lead to different pages.)
func (f *file) pageAt(number int) (page, bool, error) {
	r, err := f.pageRoot()
	if err != nil {
		return page{}, false, err
	}
	in, skip, leaf := inherited{}, int64(number-1), false
	for range f.limits.Depth {
		obj, err := f.load(r)
		if err != nil || obj.kind != kindDict {
			return page{}, false, err
		}
		in = in.below(obj.dict)
		kids, err := f.resolve(obj.dict.get("Kids"))
		if err != nil {
			return page{}, false, err
		}
		if kids.kind != kindArray {
			if skip != 0 || obj.dict.get("Type").name() == "Pages" {
				return page{}, false, nil
			}
			p, err := f.leaf(obj, in, number)
			return p, true, err
		}
		count, err := f.pageCount(obj)
		if err != nil || leaf || skip < 0 || skip >= count {
			return page{}, false, err
		}
		var next value
		if leaf = count == int64(len(kids.list())); leaf {
			next, skip = kids.list()[skip], 0
		} else if next, skip, err = f.kidWith(kids.list(), skip); err != nil {
			return page{}, false, err
		}
		var ok bool
		if r, ok = next.ref(); !ok {
			return page{}, false, nil
		}
	}
	return page{}, false, nil
}

// pageCount returns the number of pages that a node states, 1 for a page.
func (f *file) pageCount(obj object) (int64, error) {
	if obj.dict.get("Kids").kind == kindNull {
		return 1, nil
	}
	count, err := f.resolve(obj.dict.get("Count"))
	n, _ := count.integer()
	return n, err
}

// kidWith returns the kid that holds the page after skip others, and how many of its own
// are to be skipped.
func (f *file) kidWith(kids []value, skip int64) (value, int64, error) {
	for _, kid := range kids {
		obj, err := f.resolve(kid)
		if err != nil {
			return value{}, 0, err
		}
		n, err := f.pageCount(obj)
		if err != nil || skip < n {
			return kid, skip, err
		}
		skip -= max(n, 0)
	}
	return value{}, 0, nil
}

// rect reads a rectangle; it reports false for one that is missing or without area.
func (f *file) rect(v value) (Rect, bool, error) {
	obj, err := f.resolve(v)
	if err != nil || obj.kind != kindArray || len(obj.list()) != 4 {
		return Rect{}, false, err
	}
	var c [4]float64
	for i, item := range obj.list() {
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
func (e *edit) page(number int) (page, error) {
	if e.pages == nil {
		if p, ok, err := e.file.pageAt(number); ok || err != nil {
			return p, err
		}
	}
	pages, err := e.allPages()
	if err != nil {
		return page{}, err
	}
	if number < 1 || number > len(pages) {
		return page{}, fmt.Errorf("%w: page %d of %d", ErrPageRange, number, len(pages))
	}
	return pages[number-1], nil
}

func (e *edit) allPages() ([]page, error) {
	var err error
	if e.pages == nil {
		e.pages, err = e.file.pages()
	}
	return e.pages, err
}

// pageOf reads the page that a widget names, with what it takes from the nodes above it.
// It reports false when that is no page.
func (f *file) pageOf(r ref) (page, bool, error) {
	leaf, err := f.load(r)
	if err != nil || leaf.kind != kindDict || leaf.dict.get("Type").name() != "Page" {
		return page{}, false, err
	}
	in, obj := inherited{}, leaf
	for range f.limits.Depth {
		in = inherited{}.below(obj.dict).or(in)
		up, ok := obj.dict.get("Parent").ref()
		if !ok {
			break
		}
		if obj, err = f.load(up); err != nil || obj.kind != kindDict {
			return page{}, false, err
		}
	}
	p, err := f.leaf(leaf, in, 0)
	return p, err == nil, err
}
