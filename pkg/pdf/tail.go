package pdf

import (
	"bytes"
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
	out     bytes.Buffer
	next    int64
	offsets map[ref]int64 // in the file, as cross-references count them
	when    time.Time

	byteRange int // offset in out of the numbers of the byte range
	contents  int // offset in out of the "<" of the signature, 0 without one
}

// blankRange is the space kept for the numbers of a byte range.
const blankRange = "                                                "

func newTail(f *file, when time.Time) (*tail, error) {
	t := &tail{file: f, next: f.maxNumber() + 1, offsets: map[ref]int64{}, when: when}
	last, err := f.window(f.size-1, 1)
	if err != nil {
		return nil, err
	}
	if last[0] != '\n' {
		t.out.WriteByte('\n')
	}
	return t, nil
}

// allocate returns a new object number.
func (t *tail) allocate() ref {
	r := ref{num: t.next}
	t.next++
	return r
}

// start begins an object; its offset is where the next byte goes.
func (t *tail) start(r ref) {
	t.offsets[r] = t.file.size + int64(t.out.Len()) - t.file.base
	fmt.Fprintf(&t.out, "%d %d obj\n", r.num, r.gen)
}

// object writes a whole object.
func (t *tail) object(r ref, body []byte) {
	t.start(r)
	t.out.Write(body)
	t.out.WriteString("\nendobj\n")
}

// stream writes a stream object; entries stand in its dictionary.
func (t *tail) stream(r ref, entries string, data []byte) {
	t.start(r)
	fmt.Fprintf(&t.out, "<<%s/Length %d>>\nstream\n", entries, len(data))
	t.out.Write(data)
	t.out.WriteString("\nendstream\nendobj\n")
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
	if req.DocTimestamp {
		t.out.WriteString("<</Type/DocTimeStamp/Filter/Adobe.PPKLite/SubFilter/ETSI.RFC3161/ByteRange[")
	} else {
		t.out.WriteString("<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached/ByteRange[")
	}
	t.byteRange = t.out.Len()
	t.out.WriteString(blankRange)
	t.out.WriteString("]/Contents")
	t.contents = t.out.Len()
	t.out.WriteByte('<')
	t.out.Grow(2*req.Reserve + 1)
	fillZeros(t.out.AvailableBuffer()[:2*req.Reserve])
	t.out.Write(t.out.AvailableBuffer()[:2*req.Reserve])
	t.out.WriteByte('>')
	if !req.DocTimestamp {
		t.claims(req)
		t.out.Write(references)
	}
	t.out.WriteString(">>\nendobj\n")
}

// claims writes what a signature says about its signer.
func (t *tail) claims(req Request) {
	if !req.Time.IsZero() {
		t.out.WriteString("/M(" + pdfTime(req.Time) + ")")
	}
	for _, e := range []struct{ key, text string }{
		{"Name", req.Name}, {"Reason", req.Reason}, {"Location", req.Location}, {"ContactInfo", req.Contact},
	} {
		if e.text != "" {
			t.out.WriteString("/" + e.key)
			t.out.Write(textString(e.text))
		}
	}
	for _, e := range req.Extra {
		t.out.WriteString("/" + e.Key)
		t.out.Write(hexString(e.Value))
	}
}

func (t *tail) writeByteRange(r [4]int64) {
	numbers := fmt.Appendf(nil, "%d %d %d %d", r[0], r[1], r[2], r[3])
	copy(t.out.Bytes()[t.byteRange:t.byteRange+len(blankRange)], numbers)
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
	if t.file.size+int64(t.out.Len()) > 9_999_999_999 {
		return fmt.Errorf("%w: offsets above 10 GB can not be written", ErrTooLarge)
	}
	var section ref
	if t.file.streamed {
		section = t.allocate()
	}
	at := t.file.size + int64(t.out.Len()) - t.file.base
	if t.file.streamed {
		t.xrefStream(section, trailer)
	} else {
		t.xrefTable(trailer)
	}
	fmt.Fprintf(&t.out, "startxref\n%d\n%%%%EOF\n", at)
	return nil
}

// trailer returns the entries both sorts of sections share, but for Size.
func (t *tail) trailer() ([]byte, error) {
	old := t.file.trailer
	var out bytes.Buffer
	out.WriteString("/Root ")
	out.Write(old.get("Root").raw)
	if info := old.get("Info"); info.kind == kindRef {
		out.WriteString("/Info ")
		out.Write(info.raw)
	}
	ids, err := t.file.resolve(old.get("ID"))
	if err != nil {
		return nil, err
	}
	id := t.identity()
	first := id
	if ids.kind == kindArray && len(ids.list) == 2 {
		v, err := t.file.resolve(ids.list[0])
		if err != nil {
			return nil, err
		}
		if v.kind == kindString || v.kind == kindHexString {
			first = v.raw
		}
	}
	fmt.Fprintf(&out, "/ID[%s%s]/Prev %d", first, id, t.file.startXRef)
	return out.Bytes(), nil
}

// identity makes the changing half of the file identifier out of what changes.
func (t *tail) identity() []byte {
	h := sha256.New()
	h.Write(t.out.Bytes())
	var n [16]byte
	binary.BigEndian.PutUint64(n[:], uint64(t.file.size))
	binary.BigEndian.PutUint64(n[8:], uint64(t.when.UnixNano()))
	h.Write(n[:])
	return []byte("<" + hex.EncodeToString(h.Sum(nil)[:16]) + ">")
}

// sorted returns the objects of the update by number.
func (t *tail) sorted() []ref {
	refs := make([]ref, 0, len(t.offsets))
	for r := range t.offsets {
		refs = append(refs, r)
	}
	slices.SortFunc(refs, func(a, b ref) int { return int(a.num - b.num) })
	return refs
}

// runs splits sorted objects into runs of successive numbers.
func runs(refs []ref) [][]ref {
	var out [][]ref
	for i, r := range refs {
		if i == 0 || r.num != refs[i-1].num+1 {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], r)
	}
	return out
}

func (t *tail) xrefTable(trailer []byte) {
	t.out.WriteString("xref\n")
	for _, run := range runs(t.sorted()) {
		fmt.Fprintf(&t.out, "%d %d\n", run[0].num, len(run))
		for _, r := range run {
			fmt.Fprintf(&t.out, "%010d %05d n\r\n", t.offsets[r], r.gen)
		}
	}
	fmt.Fprintf(&t.out, "trailer\n<</Size %d%s>>\n", t.next, trailer)
}

func (t *tail) xrefStream(self ref, trailer []byte) {
	t.offsets[self] = t.file.size + int64(t.out.Len()) - t.file.base
	var index, data bytes.Buffer
	for _, run := range runs(t.sorted()) {
		fmt.Fprintf(&index, "%d %d ", run[0].num, len(run))
		for _, r := range run {
			var row [8]byte
			binary.BigEndian.PutUint64(row[:], uint64(t.offsets[r]))
			data.WriteByte(1)
			data.Write(row[3:])
			data.Write([]byte{byte(r.gen >> 8), byte(r.gen)})
		}
	}
	entries := fmt.Sprintf("/Type/XRef/Size %d/W[1 5 2]/Index[%s]%s", t.next, bytes.TrimSpace(index.Bytes()), trailer)
	t.stream(self, entries, data.Bytes())
}

// num formats a coordinate.
func num(f float64) string {
	return strconv.FormatFloat(round(f), 'f', -1, 64)
}
