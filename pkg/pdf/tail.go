package pdf

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// tail writes the objects and the cross-reference section of one update.
type tail struct {
	file    *file
	out     []byte
	next    int64
	objects []written
	when    time.Time

	byteRange int // offset in out of the numbers of the byte range
	contents  int // offset in out of the "<" of the signature, 0 without one
	reserve   int // number of bytes kept free there
	err       error
}

// written is an object of the update; its offset counts as cross-references do.
type written struct {
	ref    ref
	offset int64
}

// blankRange is the space kept for the numbers of a byte range.
const blankRange = "                                                "

// newTail begins an update. It will be about size bytes long.
func newTail(f *file, when time.Time, size int) *tail {
	t := &tail{file: f, next: f.maxNumber() + 1, when: when, out: make([]byte, 0, size), objects: make([]written, 0, 8)}
	if f.end[len(f.end)-1] != '\n' {
		t.out = append(t.out, '\n')
	}
	return t
}

// allocate returns a new object number.
func (t *tail) allocate() ref {
	r := ref{num: t.next}
	t.next++
	return r
}

// at is where the next byte goes, as cross-references count it.
func (t *tail) at() int64 { return t.file.size + int64(len(t.out)) - t.file.base }

// start begins an object.
func (t *tail) start(r ref) {
	t.objects = append(t.objects, written{r, t.at()})
	t.out = append(strconv.AppendInt(t.out, r.num, 10), ' ')
	t.out = append(strconv.AppendInt(t.out, int64(r.gen), 10), " obj\n"...)
}

// object writes a whole object.
func (t *tail) object(r ref, body []byte) {
	t.start(r)
	t.out = append(append(t.out, t.body(r, body)...), "\nendobj\n"...)
}

// stream writes a stream object; entries stand in its dictionary and hold no strings.
func (t *tail) stream(r ref, entries string, data []byte) {
	if c := t.file.crypt; c != nil {
		data = c.encrypt(c.streams, r, data)
	}
	t.plainStream(r, entries, data)
}

// plainStream writes a stream that is never encrypted.
func (t *tail) plainStream(r ref, entries string, data []byte) {
	t.start(r)
	t.out = append(append(append(t.out, "<<"...), entries...), "/Length "...)
	t.out = append(strconv.AppendInt(t.out, int64(len(data)), 10), ">>\nstream\n"...)
	t.out = append(append(t.out, data...), "\nendstream\nendobj\n"...)
}

// objects takes the objects of an appearance into the tail.
type objects struct{ tail *tail }

func (o objects) Allocate() int64                  { return o.tail.allocate().num }
func (o objects) Object(number int64, body []byte) { o.tail.object(ref{num: number}, body) }
func (o objects) Stream(number int64, entries string, data []byte) {
	o.tail.stream(ref{num: number}, entries, data)
}

// signature writes the signature dictionary with room for the signature.
func (t *tail) signature(r ref, req Request, references []byte) {
	t.start(r)
	kind := "<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached/ByteRange["
	if req.DocTimestamp {
		kind = "<</Type/DocTimeStamp/Filter/Adobe.PPKLite/SubFilter/ETSI.RFC3161/ByteRange["
	}
	t.out = append(t.out, kind...)
	t.byteRange = len(t.out)
	t.out = append(append(t.out, blankRange...), "]/Contents"...)
	t.contents, t.reserve = len(t.out), req.Reserve
	t.out = slices.Grow(append(t.out, '<'), 2*req.Reserve)
	zeros := t.out[len(t.out) : len(t.out)+2*req.Reserve]
	fillZeros(zeros)
	t.out = append(t.out[:len(t.out)+len(zeros)], '>')
	if !req.DocTimestamp {
		rest := t.body(r, append(append(append([]byte("<<"), claims(req)...), references...), ">>"...))
		t.out = append(t.out, rest[2:len(rest)-2]...)
	}
	t.out = append(t.out, ">>\nendobj\n"...)
}

// claims returns what a signature says about its signer.
func claims(req Request) []byte {
	var out []byte
	if !req.Time.IsZero() {
		out = append(append(append(out, "/M("...), pdfTime(req.Time)...), ')')
	}
	for _, e := range [...]struct{ key, text string }{
		{"/Name", req.Name}, {"/Reason", req.Reason}, {"/Location", req.Location}, {"/ContactInfo", req.Contact},
	} {
		if e.text != "" {
			out = append(append(out, e.key...), textString(e.text)...)
		}
	}
	for _, e := range req.Extra {
		out = append(append(append(out, '/'), e.Key...), hexString(e.Value)...)
	}
	return out
}

func (t *tail) writeByteRange(r [4]int64) {
	out := t.out[t.byteRange:t.byteRange]
	for i, n := range r {
		if i > 0 {
			out = append(out, ' ')
		}
		out = strconv.AppendInt(out, n, 10)
	}
}

func pdfTime(at time.Time) string {
	return at.UTC().Format("D:20060102150405Z")
}

// finish writes the cross-reference section, of the same sort as the newest of the file.
func (t *tail) finish() error {
	trailer, err := t.trailer()
	if err != nil {
		return err
	}
	if t.err != nil {
		return t.err
	}
	if t.file.size+int64(len(t.out)) > 9_999_999_999 {
		return fmt.Errorf("%w: offsets above 10 GB can not be written", ErrTooLarge)
	}
	var section ref
	if t.file.streamed {
		section = t.allocate()
	}
	at := t.at()
	if t.file.streamed {
		t.xrefStream(section, trailer)
	} else {
		t.xrefTable(trailer)
	}
	t.out = append(strconv.AppendInt(append(t.out, "startxref\n"...), at, 10), "\n%%EOF\n"...)
	return nil
}

// trailer returns the entries both sorts of sections share, but for Size.
func (t *tail) trailer() ([]byte, error) {
	old := t.file.trailer
	out := append(make([]byte, 0, 256), "/Root "...)
	out = append(out, old.get("Root").raw...)
	if info := old.get("Info"); info.kind == kindRef {
		out = append(append(out, "/Info "...), info.raw...)
	}
	if encrypt := old.get("Encrypt"); encrypt.kind != kindNull {
		out = append(append(out, "/Encrypt "...), encrypt.raw...)
	}
	first, err := t.file.firstID()
	if err != nil {
		return nil, err
	}
	id := t.identity()
	switch {
	case first.kind != kindNull:
		id = append(bytes.Clone(first.raw), id...)
	case t.file.crypt != nil:
		id = nil // the key comes from the identifier, or from there being none
	default:
		id = append(id, id...)
	}
	if id != nil {
		out = append(append(append(out, "/ID["...), id...), ']')
	}
	return strconv.AppendInt(append(out, "/Prev "...), t.file.startXRef, 10), nil
}

// identity makes the changing half of the file identifier out of what changes.
func (t *tail) identity() []byte {
	h := sha256.New()
	h.Write(t.out[:t.contents])
	h.Write(t.out[t.contents+2*t.reserve:])
	var n [16]byte
	binary.BigEndian.PutUint64(n[:], uint64(t.file.size))
	binary.BigEndian.PutUint64(n[8:], uint64(t.when.UnixNano()))
	h.Write(n[:])
	var sum [sha256.Size]byte
	out := append(make([]byte, 0, 34), '<')
	return append(hex.AppendEncode(out, h.Sum(sum[:0])[:16]), '>')
}

// runs calls do for each run of objects with successive numbers.
func (t *tail) runs(do func(run []written)) {
	slices.SortFunc(t.objects, func(a, b written) int { return cmp.Compare(a.ref.num, b.ref.num) })
	first := 0
	for i := range t.objects {
		if i+1 == len(t.objects) || t.objects[i+1].ref.num != t.objects[i].ref.num+1 {
			do(t.objects[first : i+1])
			first = i + 1
		}
	}
}

func (t *tail) xrefTable(trailer []byte) {
	t.out = append(t.out, "xref\n"...)
	t.runs(func(run []written) {
		t.out = append(strconv.AppendInt(t.out, run[0].ref.num, 10), ' ')
		t.out = append(strconv.AppendInt(t.out, int64(len(run)), 10), '\n')
		for _, w := range run {
			t.out = append(appendPadded(t.out, w.offset, 10), ' ')
			t.out = append(appendPadded(t.out, int64(w.ref.gen), 5), " n\r\n"...)
		}
	})
	t.out = append(strconv.AppendInt(append(t.out, "trailer\n<</Size "...), t.next, 10), trailer...)
	t.out = append(t.out, ">>\n"...)
}

// appendPadded adds a number in that many digits.
func appendPadded(b []byte, n int64, digits int) []byte {
	b = append(b, "0000000000"[:digits]...)
	for i := len(b) - 1; n > 0; i, n = i-1, n/10 {
		b[i] = byte('0' + n%10)
	}
	return b
}

func (t *tail) xrefStream(self ref, trailer []byte) {
	t.objects = append(t.objects, written{self, t.at()})
	var index, data []byte
	t.runs(func(run []written) {
		index = append(strconv.AppendInt(index, run[0].ref.num, 10), ' ')
		index = append(strconv.AppendInt(index, int64(len(run)), 10), ' ')
		for _, w := range run {
			var row [8]byte
			binary.BigEndian.PutUint64(row[:], uint64(w.offset))
			data = append(append(data, 1), row[3:]...)
			data = binary.BigEndian.AppendUint16(data, w.ref.gen)
		}
	})
	entries := fmt.Sprintf("/Type/XRef/Size %d/W[1 5 2]/Index[%s]%s", t.next, index[:len(index)-1], trailer)
	t.objects = t.objects[:len(t.objects)-1]
	t.plainStream(self, entries, data)
}

// num formats a coordinate.
func num(f float64) string {
	return strconv.FormatFloat(round(f), 'f', -1, 64)
}
