package pdf

import (
	"bytes"
	"strconv"
)

// account goes through the bytes that updates have added to a revision. Where readers differ in
// what they make of bytes that are not quite as the standard wants them, content can be hidden
// from one and shown by another, so every byte has to have its place: objects that the
// update's own cross-reference section lists, that section, its end mark, white space.
type account struct {
	*surveyor

	at       int64 // of the next byte
	previous int64 // the section before, as startxref names it
	highest  int64 // object number so far
	objects  int   // in all updates
	tables   int
	ends     []int64 // of the updates
}

// accounted returns where the updates behind an earlier revision end, the last one with the
// file; ok is false when something in them has no place there.
func (f *file) accounted(before *file) (ends []int64, ok bool, err error) {
	a := &account{surveyor: &surveyor{file: f}, at: before.size, previous: before.startXRef, highest: before.maxNumber()}
	for a.at < f.size {
		if ok, err := a.update(); !ok || err != nil {
			return nil, false, err
		}
		a.ends = append(a.ends, a.at)
		if err := a.space(); err != nil {
			return nil, false, err
		}
	}
	if len(a.ends) == 0 || a.previous != f.startXRef {
		return nil, false, nil
	}
	a.ends[len(a.ends)-1] = f.size
	ok, err = a.unambiguous(before.size)
	return a.ends, ok, err
}

// update goes through one update, up to the end mark.
func (a *account) update() (bool, error) {
	found := map[int64]object{} // by their offsets
	for {
		if ok, err := a.gap(); !ok || err != nil {
			return false, err
		}
		head, err := a.file.window(a.at, 4)
		if err != nil {
			return false, nil //nolint:nilerr // the file ends in the middle of the update
		}
		start := a.at - a.file.base
		var section table
		var trailer *dict
		if string(head) == "xref" {
			a.tables++
			section, trailer, err = a.table()
		} else {
			var obj object
			if obj, err = a.object(); err != nil {
				return false, a.file.ctx.Err()
			}
			if a.objects++; a.objects > a.file.limits.Objects {
				return false, nil
			}
			found[start] = obj
			if obj.stream < 0 || obj.dict.get("Type").name() != "XRef" {
				continue
			}
			trailer = obj.dict
			var data []byte
			if data, err = a.file.decode(obj); err == nil {
				section, err = a.file.readXRefData(obj.dict, data)
			}
		}
		if err != nil || trailer == nil {
			return false, a.file.ctx.Err()
		}
		if ok, err := a.section(section.order(), trailer, start, found); !ok || err != nil {
			return false, err
		}
		return a.mark()
	}
}

// object goes over an indirect object.
func (a *account) object() (object, error) {
	f, offset := a.file, a.at
	obj, err := a.read(offset)
	if err != nil {
		return obj, err
	}
	end := offset + int64(f.scan.pos)
	if obj.stream < 0 {
		if !bytes.HasSuffix(f.scan.buf[:f.scan.pos], []byte("endobj")) {
			return obj, unended(obj.ref.num)
		}
		a.at = end
		return obj, nil
	}
	n, err := f.streamLength(obj)
	if err != nil {
		return obj, err
	}
	a.at = obj.stream + n
	for _, word := range []string{"endstream", "endobj"} {
		if err := a.space(); err != nil {
			return obj, err
		}
		if got, err := f.window(a.at, len(word)); err != nil || string(got) != word {
			return obj, unended(obj.ref.num)
		}
		a.at += int64(len(word))
	}
	return obj, nil
}

// table reads a cross-reference table whose lines have the bytes of ISO 32000-2, 7.5.4, and no others.
func (a *account) table() (table, *dict, error) {
	f := a.file
	wrong := broken("its cross-reference table is not as it has to be")
	a.at += int64(len("xref"))
	var section table
	for {
		if err := a.space(); err != nil {
			return nil, nil, err
		}
		head, err := f.window(a.at, 32)
		if err != nil {
			return nil, nil, err
		}
		if bytes.HasPrefix(head, []byte("trailer")) {
			break
		}
		end := bytes.IndexAny(head, "\r\n")
		first, count, ok := bytes.Cut(head[:max(end, 0)], []byte(" "))
		from, ok1 := digits(first)
		n, ok2 := digits(bytes.TrimRight(count, " "))
		if !ok || !ok1 || !ok2 {
			return nil, nil, wrong
		}
		if section, err = f.grow(section, from, n); err != nil {
			return nil, nil, err
		}
		if a.at += int64(end) + 1; bytes.HasPrefix(head[end:], []byte("\r\n")) {
			a.at++
		}
		for i := range n {
			row, err := f.window(a.at, 20)
			if err != nil {
				return nil, nil, err
			}
			off, gen, kind, ok := standardEntry(row)
			if !ok || gen > 65535 {
				return nil, nil, wrong
			}
			x := xref{num: uint32(from + i)}
			if kind == 'n' {
				x.kind, x.at, x.gen = xrefInUse, off, uint16(gen)
			}
			section = append(section, x)
			a.at += 20
		}
	}
	a.at += int64(len("trailer"))
	trailer, err := f.trailerAt(a.at)
	a.at += int64(f.scan.pos)
	return section, trailer, err
}

// section compares a section with the objects of its update: each lists the other.
func (a *account) section(section table, trailer *dict, start int64, found map[int64]object) (bool, error) {
	size, ok := trailer.get("Size").integer()
	prev, ok2 := trailer.get("Prev").integer()
	if !ok || !ok2 || prev != a.previous || trailer.repeats() || trailer.get("XRefStm").kind != kindNull {
		return false, nil
	}
	listed, members := 0, map[int64]xref{}
	for _, x := range section {
		a.highest = max(a.highest, int64(x.num))
		switch x.kind {
		case xrefInUse:
			obj, ok := found[x.at]
			if !ok || obj.ref != (ref{num: int64(x.num), gen: x.gen}) {
				return false, nil
			}
			listed++
		case xrefCompressed:
			members[int64(x.num)] = x
		case xrefFree:
		}
	}
	for at, obj := range found {
		if x, ok := section.find(obj.ref.num); at == start && (!ok || x.kind == xrefFree) {
			listed++ // a cross-reference stream need not list itself
			a.highest = max(a.highest, obj.ref.num)
		}
		if obj.stream < 0 || obj.dict.get("Type").name() != "ObjStm" {
			continue
		}
		data, err := a.file.decode(obj)
		if err != nil {
			return false, a.file.ctx.Err()
		}
		stream, err := a.file.objectStream(obj, data)
		if err != nil {
			return false, a.file.ctx.Err()
		}
		for i, m := range stream.members {
			x, ok := members[int64(m.num)]
			if holder, index := x.compressed(); !ok || holder != obj.ref.num || index != i {
				return false, nil
			}
			delete(members, int64(m.num))
		}
	}
	a.previous = start
	return listed == len(found) && len(members) == 0 && size > a.highest, nil
}

// mark goes over the end of an update: "startxref", the offset of its section, the end mark.
func (a *account) mark() (bool, error) {
	if ok, err := a.gap(); !ok || err != nil {
		return false, err
	}
	for _, word := range []string{"startxref", strconv.FormatInt(a.previous, 10), "%%EOF"} {
		got, err := a.file.window(a.at, len(word))
		if err != nil || string(got) != word {
			return false, a.file.ctx.Err()
		}
		a.at += int64(len(word))
		if word == "%%EOF" {
			break
		}
		before := a.at
		if err := a.space(); err != nil || a.at == before {
			return false, err
		}
	}
	return true, nil
}

// space goes over white space.
func (a *account) space() error {
	for a.at < a.file.size {
		buf, err := a.file.window(a.at, int(min(64, a.file.size-a.at)))
		if err != nil {
			return err
		}
		left := len(bytes.TrimLeft(buf, whiteSpace))
		a.at += int64(len(buf) - left)
		if left > 0 {
			break
		}
	}
	return nil
}

// gap goes over what may stand before an object or an end mark: white space and comments, in which programs
// leave their names.
func (a *account) gap() (bool, error) {
	const longest = 256
	for {
		if err := a.space(); err != nil || a.at >= a.file.size {
			return false, err
		}
		line, err := a.file.window(a.at, int(min(longest, a.file.size-a.at)))
		if err != nil || line[0] != '%' {
			return true, err
		}
		end := bytes.IndexAny(line, "\r\n")
		if end < 0 {
			return false, nil
		}
		for _, word := range []string{"obj", "xref", "trailer", "stream", "%%EOF"} {
			if bytes.Contains(line[:end], []byte(word)) {
				return false, nil
			}
		}
		a.at += int64(end)
	}
}

// unambiguous tells whether the words by which readers find their way in a file that they think
// is damaged stand only where they have to. Streams and strings could hold them else.
func (a *account) unambiguous(from int64) (bool, error) {
	const step, overlap = 64 << 10, 64
	var objects, marks, trailers int
	for off := from; off < a.file.size; off += step {
		back := min(overlap, off-from)
		buf, err := a.file.longWindow(off-back, int(min(step+back, a.file.size-off+back)))
		if err != nil {
			return false, err
		}
		// What began in the last part is counted in this one when it ends here.
		objects += countWords(buf, int(back), "obj", numbered)
		marks += countWords(buf, int(back), "startxref", anywhere)
		trailers += countWords(buf, int(back), "trailer", anywhere)
	}
	return objects == a.objects && marks == len(a.ends) && trailers == a.tables, nil
}

// countWords counts a word that ends behind an offset and stands in the right place.
func countWords(buf []byte, behind int, word string, placed func(before []byte) bool) int {
	n := 0
	for at := 0; ; {
		i := bytes.Index(buf[at:], []byte(word))
		if i < 0 {
			return n
		}
		begin := at + i
		if at = begin + len(word); at > behind && placed(buf[:begin]) {
			n++
		}
	}
}

func anywhere([]byte) bool { return true }

// numbered tells whether two numbers stand before a word. In compressed data that is rare
// beyond measure; the word alone, or with one number, is not. Where what is before is not all
// in view, which takes an odd amount of white space or digits, they count as there.
func numbered(before []byte) bool {
	generation := bytes.TrimRight(before, whiteSpace)
	gap := bytes.TrimRight(generation, "0123456789")
	number := bytes.TrimRight(gap, whiteSpace)
	switch {
	case len(generation) == 0 || len(gap) == 0:
		return true
	case len(gap) == len(generation) || len(number) == len(gap):
		return false
	}
	return len(number) == 0 || number[len(number)-1] >= '0' && number[len(number)-1] <= '9'
}
