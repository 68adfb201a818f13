package cms

import (
	"errors"
	"fmt"
	"io"
)

// open is the end of an element whose length is not given: end-of-contents octets end it.
const open = -1

// walker goes through the outer elements of a message that may be larger than memory.
// Errors are ErrMalformed, or the reader's own.
type walker struct {
	in   io.ReaderAt
	off  int64
	size int64
	buf  [256]byte // what was read last, and where it begins
	at   int64
	n    int
}

// peek returns up to n bytes at the current place, at most as many as the buffer holds.
func (w *walker) peek(n int) ([]byte, error) {
	n = int(min(int64(n), w.size-w.off))
	if at := w.buffered(w.off); len(at) >= n {
		return at[:n], nil
	}
	want := int(min(int64(len(w.buf)), w.size-w.off))
	got, err := w.in.ReadAt(w.buf[:want], w.off)
	if got < want {
		return nil, readError(err)
	}
	w.at, w.n = w.off, got
	return w.buf[:n], nil
}

// buffered is what is at hand from an offset on; many small parts of a content are read at once.
func (w *walker) buffered(off int64) []byte {
	if off < w.at || off >= w.at+int64(w.n) {
		return nil
	}
	return w.buf[off-w.at : w.n]
}

func readError(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read: %w", err)
}

// header reads a tag and a length, and tells where the element ends.
func (w *walker) header(limit int64) (tag byte, end int64, err error) {
	head, err := w.peek(10)
	if err != nil {
		return 0, 0, err
	}
	const lowTag, openLength = 0x1f, 0x80
	if len(head) < 2 || head[0]&lowTag == lowTag {
		return 0, 0, malformed("not ASN.1")
	}
	tag = head[0]
	length, used := int64(head[1]), 2
	if head[1] == openLength {
		if tag&constructed == 0 {
			return 0, 0, malformed("length of an element")
		}
		w.off += 2
		return tag, open, nil
	}
	if digits := int(head[1] & 0x7f); head[1] > openLength {
		if digits > 7 || len(head) < 2+digits {
			return 0, 0, malformed("length of an element")
		}
		length = 0
		for _, digit := range head[2 : 2+digits] {
			length = length<<8 | int64(digit)
		}
		used += digits
	}
	w.off += int64(used)
	if limit == open {
		limit = w.size
	}
	if length > limit-w.off {
		return 0, 0, malformed("element ends outside of the message")
	}
	return tag, w.off + length, nil
}

// enter reads the header of an element that must have the tag.
func (w *walker) enter(want byte, limit int64, what string) (end int64, err error) {
	tag, end, err := w.header(limit)
	if err == nil && tag != want {
		err = malformed(what)
	}
	return end, err
}

// ended tells whether the element is at its end, and passes over end-of-contents octets.
func (w *walker) ended(end int64) (bool, error) {
	if end != open {
		if w.off > end {
			return false, malformed("element ends outside of the one around it")
		}
		return w.off == end, nil
	}
	next, err := w.peek(2)
	if err != nil || len(next) < 2 || next[0] != 0 || next[1] != 0 {
		return false, err
	}
	w.off += 2
	return true, nil
}

// small reads a whole element that has its place in memory, as DER.
func (w *walker) small(want byte, most int64, what string) ([]byte, error) {
	buf := make([]byte, min(most, w.size-w.off))
	if n, err := w.in.ReadAt(buf, w.off); n < len(buf) {
		return nil, readError(err)
	}
	der, rest, ok := fromBER(buf)
	if !ok || der[0] != want {
		return nil, malformed(what)
	}
	w.off += int64(len(buf) - len(rest))
	return der, nil
}

// piece is a primitive part of the content.
type piece struct{ begin, end int64 }

// pieces goes through an OCTET STRING that may be written in parts, and those in parts again (X.690, 8.7.3).
type pieces struct {
	walker

	first bool
	limit int64
	ends  []int64 // of the constructed strings that are open
}

// next returns the next part; ok is false after the last one.
func (p *pieces) next() (part piece, ok bool, err error) {
	for p.first || len(p.ends) > 0 {
		limit := p.limit
		if !p.first {
			limit = p.ends[len(p.ends)-1]
			ended, err := p.ended(limit)
			if err != nil {
				return piece{}, false, err
			}
			if ended {
				p.ends = p.ends[:len(p.ends)-1]
				continue
			}
		}
		p.first = false
		tag, end, err := p.header(limit)
		if err != nil {
			return piece{}, false, err
		}
		switch {
		case tag == tagOctetString:
			part = piece{begin: p.off, end: end}
			p.off = end
			return part, true, nil
		case tag == tagOctetString|constructed && len(p.ends) < maxDepth:
			p.ends = append(p.ends, end)
		default:
			return piece{}, false, malformed("content")
		}
	}
	return piece{}, false, nil
}

// contentReader reads the parts one after another.
type contentReader struct {
	pieces pieces
	part   piece
}

func (r *contentReader) Read(out []byte) (int, error) {
	for r.part.begin == r.part.end {
		part, ok, err := r.pieces.next()
		if err != nil {
			return 0, err
		}
		if !ok {
			return 0, io.EOF
		}
		r.part = part
	}
	out = out[:min(int64(len(out)), r.part.end-r.part.begin)]
	n := copy(out, r.pieces.buffered(r.part.begin))
	if n < len(out) {
		more, err := r.pieces.in.ReadAt(out[n:], r.part.begin+int64(n))
		if n += more; n == 0 {
			return 0, readError(err)
		}
	}
	r.part.begin += int64(n)
	return n, nil
}
