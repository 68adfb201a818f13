package pdf

import (
	"bytes"
	"slices"
)

const (
	// maxSections bounds the chain of updates of one file.
	maxSections = 2_000
	// maxObjectNumber is the highest object number that readers must support.
	maxObjectNumber = 8_388_607
	// spareNumbers is how many of them must be left: a signature with its data takes some dozens.
	spareNumbers = 100_000
)

// readXRefs follows the sections from the newest to the oldest.
func (f *file) readXRefs() error {
	var visited []int64
	for off, newest := f.startXRef, true; ; newest = false {
		if slices.Contains(visited, off) {
			return broken("its cross-reference sections go in a circle")
		}
		if len(visited) >= maxSections {
			return tooComplex("it has more than %d cross-reference sections", maxSections)
		}
		visited = append(visited, off)
		trailer, streamed, err := f.readSection(off, newest)
		if err != nil {
			return err
		}
		if newest {
			f.trailer, f.streamed = trailer, streamed
		}
		prev, ok := trailer.get("Prev").integer()
		if !ok {
			break
		}
		off = prev
	}
	f.xrefs = merge(f.sections)
	f.sections = nil
	switch {
	case len(f.xrefs) == 0:
		return broken("it has no objects")
	case len(f.xrefs) > f.limits.Objects:
		return tooComplex("it has more than %d objects", f.limits.Objects)
	case f.maxNumber() > maxObjectNumber-spareNumbers:
		return tooComplex("it leaves less than %d object numbers for updates", spareNumbers)
	}
	return nil
}

// readSection reads the section at off, a table or a stream. Junk before the
// header shifts some producers' offsets and not others': the newest section tells.
func (f *file) readSection(off int64, newest bool) (*dict, bool, error) {
	if newest && f.base > 0 && !f.exactlyAt(off+f.base) && f.sectionAt(off) {
		f.base = 0
	}
	at := off + f.base
	head, err := f.window(at, 32)
	if err != nil {
		return nil, false, err
	}
	p := f.parser(head, true)
	p.skip()
	if bytes.HasPrefix(head[p.pos:], []byte("xref")) {
		trailer, err := f.readTable(at + int64(p.pos) + 4)
		return trailer, false, err
	}
	trailer, err := f.readXRefStream(at)
	return trailer, true, err
}

// exactlyAt tells whether a section begins at the absolute offset off and no byte later.
func (f *file) exactlyAt(off int64) bool {
	two, err := f.window(off-1, 2)
	return err == nil && len(two) == 2 && isSpace(two[0]) && !isSpace(two[1]) && f.sectionAt(off)
}

// sectionAt tells whether a section begins at the absolute offset off, or after white space there.
func (f *file) sectionAt(off int64) bool {
	head, err := f.window(off, 32)
	if err != nil {
		return false
	}
	head = bytes.TrimLeft(head, whiteSpace)
	if bytes.HasPrefix(head, []byte("xref")) {
		return true
	}
	obj, err := f.objectAt(off)
	return err == nil && obj.stream >= 0 && obj.dict.get("Type").name() == "XRef"
}

// grow makes room for the entries first to first+n-1 of a section.
func (f *file) grow(section table, first, n int64) (table, error) {
	if f.entries += n; f.entries > int64(4*f.limits.Objects) {
		return nil, tooComplex("its cross-reference sections list more than %d objects", 4*f.limits.Objects)
	}
	if first < 0 || first+n-1 > maxObjectNumber {
		return nil, tooComplex("it uses object numbers above %d", maxObjectNumber)
	}
	return slices.Grow(section, int(n)), nil
}

// readTable reads the subsections of a classic table and its trailer.
func (f *file) readTable(at int64) (*dict, error) {
	w := words{f: f, off: at}
	var section table
	for {
		word, err := w.next()
		if err != nil {
			return nil, w.failure(err, truncated("its cross-reference table has no trailer"))
		}
		if string(word) == "trailer" {
			break
		}
		first, ok := digits(word)
		ok = ok && w.gap&gapNull == 0
		n, ok2 := w.integer(0)
		if !ok || !ok2 || n > maxObjectNumber {
			return nil, w.failure(w.err, broken("its cross-reference table can not be read"))
		}
		if section, err = f.grow(section, first, n); err != nil {
			return nil, err
		}
		if section, err = w.subsection(section, first, n); err != nil {
			return nil, err
		}
	}
	trailer, err := f.trailerAt(w.off)
	if err != nil {
		return nil, err
	}
	off, ok := trailer.get("XRefStm").integer()
	if !ok {
		f.sections = append(f.sections, section.order())
		return trailer, nil
	}
	// In a hybrid file the table calls free what its stream places.
	var inUse, free table
	for _, x := range section {
		if x.kind == xrefFree {
			free = append(free, x)
		} else {
			inUse = append(inUse, x)
		}
	}
	f.sections = append(f.sections, inUse.order())
	if _, err := f.readXRefStream(off + f.base); err != nil {
		return nil, err
	}
	f.sections = append(f.sections, free.order())
	return trailer, nil
}

func (w *words) subsection(section table, first, n int64) (table, error) {
	for i := range n {
		off, gen, kind, ok := w.entry()
		if !ok {
			return nil, w.failure(w.err, broken("its cross-reference table can not be read"))
		}
		x := xref{num: uint32(first + i)}
		if kind == 'n' && off > 0 {
			if gen > 65535 {
				return nil, broken("its cross-reference table can not be read")
			}
			x.kind, x.at, x.gen = xrefInUse, off, uint16(gen)
		}
		section = append(section, x)
	}
	return section, nil
}

func (f *file) trailerAt(at int64) (*dict, error) {
	v, err := f.valueAt(at, "the trailer")
	if err != nil {
		return nil, err
	}
	if v.kind != kindDict {
		return nil, broken("it has no trailer")
	}
	return v.dict, nil
}

// readXRefStream reads the entries of the cross-reference stream at the offset.
func (f *file) readXRefStream(at int64) (*dict, error) {
	obj, err := f.objectAt(at)
	if err != nil {
		return nil, err
	}
	if obj.stream < 0 || obj.dict.get("Type").name() != "XRef" {
		return nil, broken("its cross-reference section is not where the file says")
	}
	if obj.dict.get("Length").kind != kindInteger {
		return nil, broken("its cross-reference stream has no length")
	}
	data, err := f.decode(obj)
	if err != nil {
		return nil, err
	}
	section, err := f.readXRefData(obj.dict, data)
	if err != nil {
		return nil, err
	}
	f.sections = append(f.sections, section.order())
	return obj.dict, nil
}

func (f *file) readXRefData(d *dict, data []byte) (table, error) {
	var widths [3]int
	w := d.get("W").list()
	if len(w) < 3 {
		return nil, broken("its cross-reference stream has no widths")
	}
	for i := range widths {
		n, ok := w[i].integer()
		if !ok || n < 0 || n > 8 {
			return nil, broken("its cross-reference stream has odd widths")
		}
		widths[i] = int(n)
	}
	width := widths[0] + widths[1] + widths[2]
	if width == 0 {
		return nil, broken("its cross-reference stream has odd widths")
	}
	index := d.get("Index").list()
	if len(index) == 0 {
		index = []value{{kind: kindInteger}, d.get("Size")}
	}
	var section table
	for i := 0; i+1 < len(index); i += 2 {
		first, ok1 := index[i].integer()
		n, ok2 := index[i+1].integer()
		if !ok1 || !ok2 || n < 0 || n > int64(len(data)/width) {
			return nil, broken("its cross-reference stream is incomplete")
		}
		var err error
		if section, err = f.grow(section, first, n); err != nil {
			return nil, err
		}
		for j := range n {
			x, err := streamed(first+j, data[:width], widths)
			if err != nil {
				return nil, err
			}
			section = append(section, x)
			data = data[width:]
		}
	}
	return section, nil
}

// streamed reads a row of a cross-reference stream.
func streamed(num int64, row []byte, widths [3]int) (xref, error) {
	field := func(n int) (v uint64) {
		for _, b := range row[:n] {
			v = v<<8 | uint64(b)
		}
		row = row[n:]
		return v
	}
	typ := uint64(1)
	if widths[0] > 0 {
		typ = field(widths[0])
	}
	second, third := field(widths[1]), field(widths[2])
	x := xref{num: uint32(num)}
	switch {
	case typ == 1 && second <= 1<<62 && third <= 65535:
		x.kind, x.at, x.gen = xrefInUse, int64(second), uint16(third)
	case typ == 2 && second <= maxObjectNumber && third <= maxObjectNumber:
		x.kind, x.at = xrefCompressed, int64(second)<<indexBits|int64(third)
	case typ == 1, typ == 2:
		return x, broken("its cross-reference stream points nowhere")
	}
	return x, nil
}
