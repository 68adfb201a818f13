package pdf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
)

const (
	// maxObject bounds one object without its stream: signatures with large
	// revocation data stay below.
	maxObject = 16 << 20
	// maxChain bounds references to references.
	maxChain = 16
	// maxDecodedCache bounds the decompressed object streams that are kept.
	maxDecodedCache = 8 << 20
)

// file is the lazy reader: it keeps the cross-reference table and reads objects
// when they are asked for.
type file struct {
	ctx     context.Context
	r       io.ReaderAt
	size    int64
	limits  Limits
	budget  int   // values that may still be read
	decoded int64 // bytes that may still be decoded and kept
	effort  int64 // bytes that may still be read in long windows and streams
	content int64 // bytes that may still be decompressed and thrown away

	version   string
	base      int64 // offset of the header: offsets in the file count from there
	junk      int64 // bytes before the header, also where offsets count them
	startXRef int64 // as written in the file, without base
	sections  []table
	xrefs     table
	streamed  bool // the newest section is a cross-reference stream
	trailer   *dict
	crypt     *crypt // nil when the file is not encrypted
	entries   int64  // cross-reference entries read so far, over all sections

	mem    *memory
	made   shelves
	end    []byte // the last bytes of the file
	chunk  []byte // of which windows are cut
	words  []byte // for long cross-reference tables
	long   []byte // for long windows
	nested int    // object streams that are being read
	scan   parser
	recent [8]object // the last objects read
	next   int       // place in recent

	cache     map[int64]*objectStream
	cacheSize int
}

// object is an indirect object. at is the offset in the file of the first byte of
// its value, -1 inside of an object stream; stream is the offset of the stream data, -1 without one.
type object struct {
	value
	ref    ref
	offset int64
	at     int64
	stream int64
}

// open reads header, end and cross-reference sections.
func open(ctx context.Context, r io.ReaderAt, size int64, limits Limits) (*file, error) {
	limits = limits.withDefaults()
	if size > limits.Bytes {
		return nil, fmt.Errorf("%w: it has %d bytes, %d are allowed; make it smaller or split it", ErrTooLarge, size, limits.Bytes)
	}
	mem, ok := memories.Get().(*memory)
	if !ok {
		mem = new(memory)
	}
	f := &mem.file
	*f = file{
		ctx: ctx, r: r, size: size, limits: limits, budget: limits.Values,
		// A small file that decompresses to much is made to exhaust; honest object
		// streams shrink to a fifth, hardly ever to a fiftieth.
		decoded: min(limits.Decoded, 4<<20+50*size),
		effort:  64<<20 + 16*size,
		content: limits.Content,
		mem:     mem,
	}
	f.chunk, f.scan.values, f.scan.entries = mem.chunk[:], mem.values[:0], mem.entries[:0]
	f.made = shelves{shelf[dict]{mem.heldDicts[:]}, shelf[entry]{mem.heldEntries[:]}, shelf[value]{mem.heldValues[:]}}
	if err := f.readHeader(); err != nil {
		return nil, err
	}
	if err := f.readEnd(); err != nil {
		return nil, err
	}
	if err := f.readXRefs(); err != nil {
		return nil, err
	}
	return f, f.unlock()
}

const (
	// endSize is how much of the end of a file is read at once: mostly the newest update's
	// cross-references and objects stand there.
	endSize = 4 << 10
	// chunkSize is what small windows are cut of.
	chunkSize = 12 << 10
)

// memory is what reading a file needs at least; it is used again for the next file.
type memory struct {
	chunk   [chunkSize]byte
	words   [2 << 10]byte
	values  [32]value
	entries [32]entry
	kept    io.Reader // decompresses

	heldDicts   [64]dict
	heldEntries [192]entry
	heldValues  [64]value

	file file
}

// shelf hands out parts of an array, so that the first small things need no memory of their own.
type shelf[T any] struct{ rest []T }

// keep returns a copy of items that stays.
func (s *shelf[T]) keep(items ...T) []T {
	if len(items) > len(s.rest) {
		return append([]T(nil), items...)
	}
	n := copy(s.rest, items)
	kept := s.rest[:n:n]
	s.rest = s.rest[n:]
	return kept
}

// shelves are those for what a parser makes.
type shelves struct {
	dicts   shelf[dict]
	entries shelf[entry]
	values  shelf[value]
}

var memories sync.Pool

// release ends the use of the file and of every value read from it.
func (f *file) release() {
	clear(f.mem.values[:])
	clear(f.mem.entries[:])
	clear(f.mem.heldDicts[:len(f.mem.heldDicts)-len(f.made.dicts.rest)])
	clear(f.mem.heldEntries[:len(f.mem.heldEntries)-len(f.made.entries.rest)])
	clear(f.mem.heldValues[:len(f.mem.heldValues)-len(f.made.values.rest)])
	mem := f.mem
	*f = file{}
	memories.Put(mem)
}

// window reads up to n bytes at off.
func (f *file) window(off int64, n int) ([]byte, error) {
	if kept := f.kept(off); kept != nil {
		return kept[:min(n, len(kept)):min(n, len(kept))], f.ctx.Err()
	}
	return f.readInto(f.cut(int(max(0, min(int64(n), f.size-off)))), off)
}

// readInto fills the buffer from off on, or a part of it up to the end of the file.
func (f *file) readInto(buf []byte, off int64) ([]byte, error) {
	if err := f.ctx.Err(); err != nil {
		return nil, err
	}
	if off < 0 || off >= f.size {
		return nil, truncated("it points behind its end")
	}
	buf = buf[:min(int64(len(buf)), f.size-off)]
	got, err := f.r.ReadAt(buf, off)
	if got < len(buf) {
		if err == nil || errors.Is(err, io.EOF) {
			return nil, truncated("it is shorter than announced")
		}
		return nil, fmt.Errorf("read pdf at %d: %w", off, err)
	}
	return buf, nil
}

// kept returns what is kept of the file from off on, up to the end.
func (f *file) kept(off int64) []byte {
	if i := off - (f.size - int64(len(f.end))); i >= 0 && i < int64(len(f.end)) {
		return f.end[i:]
	}
	return nil
}

// cut returns a buffer of n bytes.
func (f *file) cut(n int) []byte {
	if n > chunkSize/2 {
		return make([]byte, n)
	}
	if n > len(f.chunk) {
		f.chunk = make([]byte, chunkSize)
	}
	out := f.chunk[:n:n]
	f.chunk = f.chunk[n:]
	return out
}

func (f *file) readHeader() error {
	if f.size == 0 {
		return fmt.Errorf("%w: it is empty; send a PDF file", ErrNotPDF)
	}
	const mark = "%PDF-"
	head, err := f.window(0, 16)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(head, []byte(mark)) {
		if head, err = f.window(0, 1024); err != nil {
			return err
		}
	}
	i := bytes.Index(head, []byte(mark))
	if i < 0 {
		return fmt.Errorf("%w: it does not begin with %%PDF-; send a PDF file", ErrNotPDF)
	}
	f.base, f.junk = int64(i), int64(i)
	version := head[i+len(mark):]
	n := 0
	for n < len(version) && n < 4 && (version[n] == '.' || version[n] >= '0' && version[n] <= '9') {
		n++
	}
	f.version = string(version[:n])
	return nil
}

// readEnd keeps the end and finds the last startxref.
func (f *file) readEnd() error {
	n := min(f.size, endSize)
	end, err := f.window(f.size-n, int(n))
	if err != nil {
		return err
	}
	f.end = end
	last := end[max(0, len(end)-2048):]
	i := bytes.LastIndex(last, []byte("startxref"))
	if i < 0 || !bytes.Contains(last[i:], []byte("%%EOF")) {
		return truncated("it has no end mark")
	}
	p := f.parser(last[i+len("startxref"):], true)
	v, err := p.value(0)
	if off, ok := v.integer(); err == nil && ok && off > 0 {
		f.startXRef = off
		return nil
	}
	return broken("its last startxref is no number")
}

// parser returns the parser of the file, which reads one thing at a time.
func (f *file) parser(buf []byte, final bool) *parser {
	f.scan = parser{
		buf: buf, final: final, budget: &f.budget, depth: f.limits.Depth,
		values: f.scan.values[:0], entries: f.scan.entries[:0], encrypted: f.crypt != nil, shelves: &f.made,
	}
	return &f.scan
}

// parseError turns an error of the parser into one of ours.
func (f *file) parseError(what string, err error) error {
	switch {
	case errors.Is(err, errDepth):
		return tooComplex("%s nests more than %d levels deep", what, f.limits.Depth)
	case errors.Is(err, errValues):
		return tooComplex("it holds more than %d values, or one object more than %d", f.limits.Values, maxValues)
	case errors.Is(err, errShort):
		return tooComplex("%s has more than %d bytes", what, maxObject)
	default:
		return broken("%s can not be read", what)
	}
}

// Most objects end in the first window, without their streams, and signatures in the second.
const (
	firstWindow  = 512
	secondWindow = 32 << 10
)

// objectAt reads the indirect object that begins at off.
func (f *file) objectAt(off int64) (object, error) {
	obj, err := f.parseAt(off, "", (*parser).indirect)
	if err != nil {
		return object{}, err
	}
	obj.offset = off
	obj.at = off + int64(obj.value.at)
	if obj.stream >= 0 {
		obj.stream += off
	}
	return obj, nil
}

// valueAt reads the value that begins at off.
func (f *file) valueAt(off int64, what string) (value, error) {
	obj, err := f.parseAt(off, what, (*parser).direct)
	return obj.value, err
}

// parseAt lets parse read at off, in windows that grow until they suffice.
func (f *file) parseAt(off int64, what string, parse func(*parser) (object, error)) (object, error) {
	budget := f.budget
	for n := firstWindow; ; n = min(max(2*n, secondWindow), maxObject) {
		buf, err := f.longWindow(off, n)
		if err != nil {
			return object{}, err
		}
		f.budget = budget
		obj, err := parse(f.parser(buf, off+int64(len(buf)) == f.size))
		switch {
		case err == nil:
		case errors.Is(err, errShort) && n < maxObject:
			continue
		case what == "":
			return object{}, f.parseError("the object at byte "+strconv.FormatInt(off, 10), err)
		default:
			return object{}, f.parseError(what, err)
		}
		// Its values keep what they were read from: that is not to be much longer than they are.
		switch {
		case n == secondWindow && f.kept(off) == nil:
			obj.move(append([]byte(nil), buf[:f.scan.pos]...))
		case n > secondWindow:
			f.long = nil
		}
		return obj, nil
	}
}

// longWindow reads up to n bytes at off. More than in a first window are valid until the
// next call only, unless f.long is given away.
func (f *file) longWindow(off int64, n int) ([]byte, error) {
	if n <= firstWindow || f.kept(off) != nil {
		return f.window(off, n)
	}
	if n > secondWindow {
		if err := f.work(int64(n)); err != nil {
			return nil, err
		}
	}
	if len(f.long) < n {
		f.long = make([]byte, n)
	}
	return f.readInto(f.long[:n], off)
}

// work bounds how much is read again and again.
func (f *file) work(n int64) error {
	if f.effort -= n; f.effort < 0 {
		return tooComplex("reading it takes more work than it may")
	}
	return nil
}

// keep bounds what is decoded and kept.
func (f *file) keep(n int) error {
	if f.decoded -= int64(n); f.decoded < 0 {
		return tooComplex("it expands to more than it may")
	}
	return nil
}

// direct reads a value that is no object of its own.
func (p *parser) direct() (object, error) {
	v, err := p.value(0)
	return object{value: v, stream: -1}, err
}

// indirect reads "n g obj", the value, and looks whether a stream follows.
func (p *parser) indirect() (object, error) {
	num, err := p.value(0)
	if err != nil {
		return object{}, err
	}
	gen, err := p.value(0)
	if err != nil {
		return object{}, err
	}
	word, err := p.value(0)
	if err != nil {
		return object{}, err
	}
	if num.kind != kindInteger || gen.kind != kindInteger || gen.num < 0 || gen.num > 65535 || word.kind != kindKeyword || string(word.raw) != "obj" {
		return object{}, errSyntax
	}
	obj := object{ref: ref{num: num.num, gen: uint16(gen.num)}, stream: -1}
	if p.encrypted {
		p.owner = obj.ref
	}
	if obj.value, err = p.value(0); err != nil {
		return object{}, err
	}
	if obj.kind == kindKeyword {
		if string(obj.raw) == "endobj" {
			obj.value = value{}
			return obj, nil
		}
		return object{}, errSyntax
	}
	after, err := p.value(0)
	if errors.Is(err, errShort) {
		return object{}, err
	}
	word = after // null after an error: a missing endobj does no harm
	if word.kind != kindKeyword || obj.kind != kindDict || string(word.raw) != "stream" {
		return obj, nil
	}
	if p.pos+2 > len(p.buf) {
		return object{}, p.end()
	}
	if p.buf[p.pos] == '\r' {
		p.pos++
	}
	if p.buf[p.pos] == '\n' {
		p.pos++
	}
	obj.stream = int64(p.pos)
	return obj, nil
}

// load reads the object that r names; a missing or free one is null.
func (f *file) load(r ref) (object, error) {
	for i := range f.recent {
		if f.recent[i].ref == r && r.num != 0 {
			return f.recent[i], nil
		}
	}
	obj, err := f.read(r)
	if err != nil {
		return object{}, err
	}
	f.recent[f.next] = obj
	f.next = (f.next + 1) % len(f.recent)
	return obj, nil
}

func (f *file) read(r ref) (object, error) {
	x, ok := f.xrefs.find(r.num)
	switch {
	case !ok, x.kind == xrefFree, x.gen != r.gen:
		return object{ref: r, at: -1, stream: -1}, nil
	case x.kind == xrefCompressed:
		return f.compressed(r, x)
	}
	obj, err := f.objectAt(x.at + f.base)
	if err != nil {
		return object{}, err
	}
	if obj.ref != r {
		return object{}, broken("object %d is not where the file says", r.num)
	}
	return obj, nil
}

// resolve follows references until it meets a value.
func (f *file) resolve(v value) (object, error) {
	obj := object{value: v, at: -1, stream: -1}
	for range maxChain {
		r, ok := obj.value.ref()
		if !ok {
			return obj, nil
		}
		var err error
		if obj, err = f.load(r); err != nil {
			return object{}, err
		}
	}
	return object{}, broken("references go in a circle")
}

// dictOf resolves v, which must be a dictionary.
func (f *file) dictOf(v value, what string) (object, error) {
	obj, err := f.resolve(v)
	if err != nil {
		return object{}, err
	}
	if obj.kind != kindDict {
		return object{}, broken("%s is missing", what)
	}
	return obj, nil
}

// catalog reads the root of the document.
func (f *file) catalog() (object, error) {
	obj, err := f.dictOf(f.trailer.get("Root"), "the catalog")
	if err != nil {
		return object{}, err
	}
	if obj.ref.num == 0 {
		return object{}, broken("the catalog is not an object of its own")
	}
	return obj, nil
}

// clean refuses what stands before the header: readers differ in whether the offsets of a
// signature count it (ISO 32000-2, 7.5.2), so that it would hold in some of them only.
func (f *file) clean() error {
	if f.junk > 0 {
		return broken("%d bytes stand before its header", f.junk)
	}
	return nil
}

// maxNumber is the highest object number in use.
func (f *file) maxNumber() int64 {
	highest := int64(f.xrefs[len(f.xrefs)-1].num)
	if size, ok := f.trailer.get("Size").integer(); ok {
		highest = max(highest, size-1)
	}
	return highest
}
