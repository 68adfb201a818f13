package pdf

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
)

const (
	// maxSections bounds the chain of updates of one file.
	maxSections = 2_000
	// maxObjectNumber is the highest object number that readers must support.
	maxObjectNumber = 8_388_607
)

type xrefKind uint8

const (
	xrefFree xrefKind = iota
	xrefInUse
	xrefCompressed
)

// xref says where an object is: at an offset, or as the index-th object of a stream.
type xref struct {
	offset int64 // or the number of the object stream
	index  int
	gen    uint16
	kind   xrefKind
}

// readXRefs follows the sections from the newest to the oldest.
func (f *file) readXRefs() error {
	visited := map[int64]bool{}
	for off, newest := f.startXRef, true; ; newest = false {
		if visited[off] {
			return broken("its cross-reference sections go in a circle")
		}
		if len(visited) >= maxSections {
			return tooComplex("it has more than %d cross-reference sections", maxSections)
		}
		visited[off] = true
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
	if len(f.xrefs) == 0 {
		return broken("it has no objects")
	}
	return nil
}

// readSection reads the section at off, a table or a stream. Junk before the
// header shifts some producers' offsets and not others': the newest section tells.
func (f *file) readSection(off int64, newest bool) (*dict, bool, error) {
	if newest && f.base > 0 && f.sectionAt(off) {
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
	trailer, err := f.readXRefStream(at, nil)
	return trailer, true, err
}

// sectionAt tells whether a section begins at the absolute offset off.
func (f *file) sectionAt(off int64) bool {
	head, err := f.window(off, 32)
	if err != nil {
		return false
	}
	head = bytes.TrimLeft(head, "\x00\t\n\f\r ")
	if bytes.HasPrefix(head, []byte("xref")) {
		return true
	}
	obj, err := f.objectAt(off)
	return err == nil && obj.stream >= 0 && obj.dict.get("Type").name() == "XRef"
}

// count registers n more cross-reference entries.
func (f *file) count(n int) error {
	if f.entries += n; f.entries > 4*f.limits.Objects {
		return tooComplex("its cross-reference sections list more than %d objects", 4*f.limits.Objects)
	}
	return nil
}

// add records an entry unless a newer section has one.
func (f *file) add(num int64, x xref) error {
	if num < 0 || num > maxObjectNumber {
		return tooComplex("it uses object numbers above %d", maxObjectNumber)
	}
	if _, ok := f.xrefs[num]; ok {
		return nil
	}
	if len(f.xrefs) >= f.limits.Objects {
		return tooComplex("it has more than %d objects", f.limits.Objects)
	}
	f.xrefs[num] = x
	return nil
}

// words reads white-space separated words and knows where it is.
type words struct {
	r   *bufio.Reader
	off int64
	buf [32]byte
}

// next returns the next word, cut at 32 bytes; the slice is valid until the next call.
func (w *words) next() ([]byte, error) {
	n := 0
	for {
		c, err := w.r.ReadByte()
		if err != nil {
			if n > 0 && errors.Is(err, io.EOF) {
				return w.buf[:n], nil
			}
			return nil, err
		}
		w.off++
		switch {
		case !isSpace(c) && n < len(w.buf):
			w.buf[n] = c
			n++
			if n == 7 && string(w.buf[:7]) == "trailer" { // "trailer<<" is common
				return w.buf[:n], nil
			}
		case n > 0:
			return w.buf[:n], nil
		}
	}
}

func (w *words) integer() (int64, error) {
	word, err := w.next()
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(string(word), 10, 64)
}

// readTable reads the subsections of a classic table and its trailer.
func (f *file) readTable(at int64) (*dict, error) {
	w := &words{r: bufio.NewReader(io.NewSectionReader(f.r, at, f.size-at)), off: at}
	free := map[int64]xref{}
	for {
		word, err := w.next()
		if err != nil {
			return nil, truncated("its cross-reference table has no trailer")
		}
		if string(word) == "trailer" {
			break
		}
		first, err := strconv.ParseInt(string(word), 10, 64)
		if err != nil {
			return nil, broken("its cross-reference table can not be read")
		}
		n, err := w.integer()
		if err != nil || n < 0 || n > maxObjectNumber {
			return nil, broken("its cross-reference table can not be read")
		}
		if err := f.count(int(n)); err != nil {
			return nil, err
		}
		if err := f.readSubsection(w, first, n, free); err != nil {
			return nil, err
		}
	}
	obj, err := f.trailerAt(w.off)
	if err != nil {
		return nil, err
	}
	// In a hybrid file the table calls free what its stream places.
	if off, ok := obj.get("XRefStm").integer(); ok {
		if _, err := f.readXRefStream(off+f.base, obj); err != nil {
			return nil, err
		}
	}
	for num, x := range free {
		if err := f.add(num, x); err != nil {
			return nil, err
		}
	}
	return obj, nil
}

func (f *file) readSubsection(w *words, first, n int64, free map[int64]xref) error {
	for i := range n {
		if i%4096 == 0 && f.ctx.Err() != nil {
			return f.ctx.Err()
		}
		off, err1 := w.integer()
		gen, err2 := w.integer()
		word, err3 := w.next()
		if err := errors.Join(err1, err2, err3); err != nil || len(word) != 1 || gen < 0 {
			return broken("its cross-reference table can not be read")
		}
		// Some producers number the head of the free list 1.
		if i == 0 && first == 1 && off == 0 && gen == 65535 && word[0] == 'f' {
			first = 0
		}
		num := first + i
		if word[0] == 'n' && off > 0 {
			if gen > 65535 {
				return broken("its cross-reference table can not be read")
			}
			if err := f.add(num, xref{kind: xrefInUse, offset: off, gen: uint16(gen)}); err != nil {
				return err
			}
			continue
		}
		free[num] = xref{kind: xrefFree}
	}
	return nil
}

func (f *file) trailerAt(at int64) (*dict, error) {
	for n := 1024; ; n *= 8 {
		buf, err := f.window(at, n)
		if err != nil {
			return nil, err
		}
		v, err := f.parser(buf, at+int64(len(buf)) == f.size).value(0)
		if errors.Is(err, errShort) && n < maxObject {
			continue
		}
		if err != nil {
			return nil, f.parseError("the trailer", err)
		}
		if v.kind != kindDict {
			return nil, broken("it has no trailer")
		}
		return v.dict, nil
	}
}

// readXRefStream reads the entries of the cross-reference stream at the offset. With
// a hybrid file's trailer the stream only adds to it.
func (f *file) readXRefStream(at int64, hybrid *dict) (*dict, error) {
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
	if err := f.readXRefData(obj.dict, data); err != nil {
		return nil, err
	}
	if hybrid != nil {
		return hybrid, nil
	}
	return obj.dict, nil
}

func (f *file) readXRefData(d *dict, data []byte) error {
	var widths [3]int
	w := d.get("W").list
	if len(w) < 3 {
		return broken("its cross-reference stream has no widths")
	}
	for i := range widths {
		n, ok := w[i].integer()
		if !ok || n < 0 || n > 8 {
			return broken("its cross-reference stream has odd widths")
		}
		widths[i] = int(n)
	}
	width := widths[0] + widths[1] + widths[2]
	if width == 0 {
		return broken("its cross-reference stream has odd widths")
	}
	index := d.get("Index").list
	if len(index) == 0 {
		index = []value{{kind: kindInteger}, d.get("Size")}
	}
	for i := 0; i+1 < len(index); i += 2 {
		first, ok1 := index[i].integer()
		n, ok2 := index[i+1].integer()
		if !ok1 || !ok2 || n < 0 || n > int64(len(data)/width) {
			return broken("its cross-reference stream is incomplete")
		}
		if err := f.count(int(n)); err != nil {
			return err
		}
		for j := range n {
			if err := f.addStreamed(first+j, data[:width], widths); err != nil {
				return err
			}
			data = data[width:]
		}
	}
	return nil
}

func (f *file) addStreamed(num int64, row []byte, widths [3]int) error {
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
	if second > 1<<62 {
		return broken("its cross-reference stream points nowhere")
	}
	switch typ {
	case 1:
		if third > 65535 {
			return broken("its cross-reference stream points nowhere")
		}
		return f.add(num, xref{kind: xrefInUse, offset: int64(second), gen: uint16(third)})
	case 2:
		if third > maxObjectNumber {
			return broken("its cross-reference stream points nowhere")
		}
		return f.add(num, xref{kind: xrefCompressed, offset: int64(second), index: int(third)})
	default:
		return f.add(num, xref{kind: xrefFree})
	}
}
