package cms

import (
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// maxDepth is well above what a signature with a token needs (about 20) and keeps hostile nesting off the stack.
const maxDepth = 64

// fromBER rewrites the first element of the input. CAdES wants DER; older software
// sends BER with open lengths and strings in pieces, which becomes DER here so that
// everything after reads DER alone. What needs no rewriting is not copied.
func fromBER(input []byte) (der, rest []byte, ok bool) {
	r := berReader{rest: input}
	if r.skipDER(maxDepth) {
		return input[:len(input)-len(r.rest)], r.rest, true
	}
	r = berReader{rest: input}
	der, ok = r.element(nil, maxDepth)
	return der, r.rest, ok
}

// berReader walks BER and appends the same values in definite lengths.
type berReader struct{ rest []byte }

func (r *berReader) element(out []byte, depth int) ([]byte, bool) {
	tag, length, open, ok := r.header()
	if !ok || depth == 0 {
		return nil, false
	}
	if tag&constructed == 0 {
		body := r.rest[:length]
		r.rest = r.rest[length:]
		return appendElement(out, tag, body), true
	}
	inner := berReader{rest: r.rest}
	if !open {
		inner.rest = r.rest[:length]
	}
	// A string in pieces becomes one primitive string.
	pieces := tag == tagOctetString|constructed
	body, ok := inner.children(open, pieces, depth-1)
	if !ok {
		return nil, false
	}
	if open {
		r.rest = inner.rest
	} else {
		r.rest = r.rest[length:]
	}
	if pieces {
		tag &^= constructed
	}
	return appendElement(out, tag, body), true
}

func (r *berReader) children(open, pieces bool, depth int) ([]byte, bool) {
	body := []byte{}
	for {
		if !open && len(r.rest) == 0 {
			return body, true
		}
		if open && r.end() {
			return body, true
		}
		if !pieces {
			var ok bool
			if body, ok = r.element(body, depth); !ok {
				return nil, false
			}
			continue
		}
		piece, ok := r.element(nil, depth)
		s := cryptobyte.String(piece)
		var value cryptobyte.String
		if !ok || !s.ReadASN1(&value, cbasn1.OCTET_STRING) {
			return nil, false
		}
		body = append(body, value...)
	}
}

// header reads a tag of one byte and a length that fits into what is there.
func (r *berReader) header() (tag byte, length int, open, ok bool) {
	const lowTag = 0x1f
	if len(r.rest) < 2 || r.rest[0]&lowTag == lowTag {
		return 0, 0, false, false
	}
	tag = r.rest[0]
	r.rest = r.rest[1:]
	length, open, ok = r.length()
	return tag, length, open, ok && (!open || tag&constructed != 0)
}

// skip passes over one element.
func (r *berReader) skip(depth int) bool {
	_, length, open, ok := r.header()
	if !ok || depth == 0 {
		return false
	}
	if !open {
		r.rest = r.rest[length:]
		return true
	}
	for !r.end() {
		if !r.skip(depth - 1) {
			return false
		}
	}
	return true
}

// skipDER passes over one element, as long as all of its lengths are as DER has them and its strings are whole.
func (r *berReader) skipDER(depth int) bool {
	before := len(r.rest)
	tag, length, open, ok := r.header()
	head := before - len(r.rest)
	if !ok || open || depth == 0 || tag == tagOctetString|constructed || int64(head) != headerSize(int64(length)) {
		return false
	}
	if tag&constructed != 0 {
		inside := berReader{rest: r.rest[:length]}
		for len(inside.rest) > 0 {
			if !inside.skipDER(depth - 1) {
				return false
			}
		}
	}
	r.rest = r.rest[length:]
	return true
}

// end passes over end-of-contents octets, if they come next.
func (r *berReader) end() bool {
	if len(r.rest) < 2 || r.rest[0] != 0 || r.rest[1] != 0 {
		return false
	}
	r.rest = r.rest[2:]
	return true
}

// elements cuts the elements inside a constructed element apart, each as it is written.
// What comes after the element is returned too.
func elements(input []byte, most int) (inside [][]byte, rest []byte, ok bool) {
	r := berReader{rest: input}
	tag, length, open, ok := r.header()
	if !ok || tag&constructed == 0 {
		return nil, nil, false
	}
	if !open {
		r.rest, rest = r.rest[:length], r.rest[length:]
	}
	for {
		if open && r.end() {
			return inside, r.rest, true
		}
		if !open && len(r.rest) == 0 {
			return inside, rest, true
		}
		begin := r.rest
		if len(inside) == most || !r.skip(maxDepth) {
			return nil, nil, false
		}
		inside = append(inside, begin[:len(begin)-len(r.rest)])
	}
}

func (r *berReader) length() (length int, open, ok bool) {
	if len(r.rest) == 0 {
		return 0, false, false
	}
	first := r.rest[0]
	r.rest = r.rest[1:]
	switch {
	case first < 0x80:
		length = int(first)
	case first == 0x80:
		return 0, true, true
	case first > 0x84 || len(r.rest) < int(first&0x7f):
		return 0, false, false
	default:
		for _, digit := range r.rest[:first&0x7f] {
			length = length<<8 | int(digit)
		}
		r.rest = r.rest[first&0x7f:]
	}
	return length, false, length <= len(r.rest)
}

func appendElement(out []byte, tag byte, body []byte) []byte {
	return append(appendHeader(out, tag, int64(len(body))), body...)
}
