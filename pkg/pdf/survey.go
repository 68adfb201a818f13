package pdf

import (
	"bytes"
	"cmp"
	"slices"
)

// survey reads every object once without keeping it, so that what the second
// reader is going to build is known to be bounded: each object is where the file says
// and ends, all values together and all object streams together are within limits, and no
// bytes are claimed by several streams.
func (f *file) survey() error {
	var inUse []xref
	streams := map[int64]bool{}
	for _, x := range f.xrefs {
		switch x.kind {
		case xrefInUse:
			inUse = append(inUse, x)
		case xrefCompressed:
			stream, _ := x.compressed()
			streams[stream] = true
		case xrefFree:
		}
	}
	slices.SortFunc(inUse, func(a, b xref) int { return cmp.Compare(a.at, b.at) })
	s := surveyor{file: f}
	for _, x := range inUse {
		if err := s.object(x); err != nil {
			return err
		}
	}
	for num := range streams {
		if err := s.objectStream(num); err != nil {
			return err
		}
	}
	return nil
}

type surveyor struct {
	file *file
	buf  []byte // the last window, shared by neighbours
	from int64
	end  int64 // end of the last stream
}

// object checks the object of an entry.
func (s *surveyor) object(x xref) error {
	f := s.file
	num, offset := int64(x.num), x.at+f.base
	obj, err := s.read(offset)
	if err != nil {
		return err
	}
	if obj.ref.num != num || obj.ref.gen != x.gen {
		return broken("object %d is not where the file says", num)
	}
	if obj.stream < 0 {
		if !bytes.HasSuffix(f.scan.buf[:f.scan.pos], []byte("endobj")) {
			return unended(num)
		}
		return nil
	}
	n, err := f.streamLength(obj)
	if err != nil {
		return err
	}
	if offset < s.end {
		return broken("object %d lies inside of another", num)
	}
	s.end = obj.stream + n
	after, err := f.window(s.end, int(min(64, f.size-s.end)))
	if err != nil {
		return err
	}
	_, end, ok := bytes.Cut(after, []byte("endstream"))
	if !ok {
		return broken("the stream of object %d has a wrong length", num)
	}
	p := parser{buf: end}
	if p.skip(); !bytes.HasPrefix(end[p.pos:], []byte("endobj")) {
		return unended(num)
	}
	if typ := obj.dict.get("Type").name(); typ == "ObjStm" || typ == "XRef" {
		return nil // counted when it is read
	}
	return f.measure(obj, n)
}

// unended is about an object without the keyword at its end: readers guess differently
// where it ends.
func unended(num int64) error { return broken("object %d has no end", num) }

// read parses the object at the offset, out of the last window where it can.
func (s *surveyor) read(offset int64) (object, error) {
	const ahead = 64 << 10
	f := s.file
	if offset < s.from || offset >= s.from+int64(len(s.buf)) {
		buf, err := f.window(offset, ahead)
		if err != nil {
			return object{}, err
		}
		s.buf, s.from = buf, offset
	}
	budget := f.budget
	part := s.buf[offset-s.from:]
	obj, err := f.parser(part, offset+int64(len(part)) == f.size).indirect()
	if err != nil {
		f.budget = budget
		return f.objectAt(offset)
	}
	obj.offset = offset
	if obj.stream >= 0 {
		obj.stream += offset
	}
	return obj, nil
}

// objectStream checks the values of an object stream.
func (s *surveyor) objectStream(num int64) error {
	f := s.file
	stream, err := f.objects(num)
	if err != nil {
		return err
	}
	for i, m := range stream.members {
		if i%1024 == 0 && f.ctx.Err() != nil {
			return f.ctx.Err()
		}
		if _, err := f.parser(stream.data[m.offset:], true).value(0); err != nil {
			return f.parseError("an object in an object stream", err)
		}
	}
	return nil
}
