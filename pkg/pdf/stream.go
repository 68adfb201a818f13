package pdf

import (
	"bytes"
	"compress/zlib"
	"errors"
	"io"
)

// objectStream is a decompressed object stream.
type objectStream struct {
	data    []byte
	members []member
}

// member is an object of an object stream; offset is that of its value in the data.
type member struct{ num, offset uint32 }

// streamLength returns the length of the stream of obj as the file says.
func (f *file) streamLength(obj object) (int64, error) {
	length, err := f.resolve(obj.dict.get("Length"))
	if err != nil {
		return 0, err
	}
	n, ok := length.integer()
	if !ok || n < 0 || n > f.size-obj.stream {
		return 0, broken("the stream of object %d has a wrong length", obj.ref.num)
	}
	return n, nil
}

// filter is one step of decoding a stream.
type filter struct {
	name  string
	parms *dict
}

// flate tells whether the step is the common decompression.
func (s filter) flate() bool { return s.name == "FlateDecode" || s.name == "Fl" }

// expands tells whether the output can be many times the input.
func (s filter) expands() bool {
	return s.flate() || s.name == "LZWDecode" || s.name == "LZW" || s.name == "RunLengthDecode" || s.name == "RL"
}

// maxFilters bounds the steps of one stream.
const maxFilters = 8

// filters returns the steps that decode the stream of obj.
func (f *file) filters(obj object) ([]filter, error) {
	names, err := f.resolve(obj.dict.get("Filter"))
	if err != nil {
		return nil, err
	}
	parms, err := f.resolve(obj.dict.get("DecodeParms"))
	if err != nil {
		return nil, err
	}
	switch {
	case names.kind == kindName:
		return []filter{{names.name(), parms.dict}}, nil
	case len(names.list()) > maxFilters:
		return nil, tooComplex("object %d is compressed more than %d times over", obj.ref.num, maxFilters)
	}
	var out []filter
	for i, v := range names.list() {
		name, err := f.resolve(v)
		if err != nil {
			return nil, err
		}
		step := filter{name: name.name()}
		if i < len(parms.list()) {
			p, err := f.resolve(parms.list()[i])
			if err != nil {
				return nil, err
			}
			step.parms = p.dict
		}
		out = append(out, step)
	}
	return out, nil
}

// inflate returns a reader of the decompressed stream; all steps must be flate.
func (f *file) inflate(obj object, n int64, steps []filter) (contextReader, error) {
	var out io.Reader = io.NewSectionReader(f.r, obj.stream, n)
	if f.crypt != nil {
		out = f.crypt.reader(f.streamMethod(obj, steps), obj.ref, out)
	}
	for _, step := range steps {
		if step.name == "Crypt" {
			continue
		}
		if !step.flate() {
			return contextReader{}, broken("object %d is compressed in an unusual way", obj.ref.num)
		}
		z, err := f.mem.inflater(out)
		if err != nil {
			return contextReader{}, broken("the stream of object %d can not be decompressed", obj.ref.num)
		}
		out = z
	}
	return contextReader{f.ctx, out}, nil
}

// streamMethod tells how the stream of obj is encrypted.
func (f *file) streamMethod(obj object, steps []filter) method {
	for _, step := range steps {
		if step.name == "Crypt" {
			return f.crypt.filters[step.parms.get("Name").name()]
		}
	}
	switch typ := obj.dict.get("Type").name(); {
	case typ == "XRef", typ == "Metadata" && !f.crypt.metadata:
		return methodNone
	}
	return f.crypt.streams
}

// inflater returns a reader that decompresses r; the one kept is used again.
func (m *memory) inflater(r io.Reader) (io.Reader, error) {
	z := m.kept
	m.kept = nil
	if reset, ok := z.(zlib.Resetter); ok {
		return z, reset.Reset(r, nil)
	}
	return zlib.NewReader(r)
}

// keep keeps a reader that inflater made, when it is one, for the next stream.
func (m *memory) keep(r contextReader) {
	if _, ok := r.r.(zlib.Resetter); ok {
		m.kept = r.r
	}
}

// decode decompresses a cross-reference or object stream, within the budget of the file.
func (f *file) decode(obj object) ([]byte, error) {
	n, err := f.streamLength(obj)
	if err != nil {
		return nil, err
	}
	if err := f.work(n); err != nil {
		return nil, err
	}
	steps, err := f.filters(obj)
	if err != nil {
		return nil, err
	}
	r, err := f.inflate(obj, n, steps)
	if err != nil {
		return nil, err
	}
	buf := bytes.NewBuffer(make([]byte, 0, min(4*n+bytes.MinRead, 64<<10)))
	_, err = buf.ReadFrom(io.LimitReader(r, f.decoded+1))
	data := buf.Bytes()
	f.mem.keep(r)
	if err := f.keep(len(data)); err != nil {
		return nil, err
	}
	switch {
	case f.ctx.Err() != nil:
		return nil, f.ctx.Err()
	// A missing check sum at the end is common and harmless.
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, zlib.ErrChecksum):
		return nil, broken("the stream of object %d can not be decompressed", obj.ref.num)
	}
	for i, step := range steps {
		if i < len(steps)-1 && step.parms.get("Predictor").kind != kindNull {
			return nil, broken("object %d is compressed in an unusual way", obj.ref.num)
		}
	}
	if len(steps) == 0 {
		return data, nil
	}
	return unpredict(data, steps[len(steps)-1].parms, obj.ref.num)
}

// maxNested bounds the object streams that have to be read to read one.
const maxNested = 4

// harmless is the size of a compressed stream that can not expand beyond 16 MB.
const harmless = 16 << 10

// measure counts what a stream expands to, without keeping it. Streams that other
// programs decompress for showing the document are counted here, so that a file that is
// small to store and endless to show is refused; pictures compressed once are left out, they
// take what their width and height say.
func (f *file) measure(obj object, n int64) error {
	steps, err := f.filters(obj)
	if err != nil {
		return err
	}
	expanding := 0
	for _, s := range steps {
		if s.expands() {
			expanding++
		}
	}
	if expanding == 0 || expanding == 1 && (n <= harmless || obj.dict.get("Subtype").name() == "Image") {
		return nil
	}
	leading := 0
	for leading < len(steps) && steps[leading].flate() {
		leading++
	}
	if leading < expanding {
		if expanding == 1 {
			return nil // LZW text of old files
		}
		return tooComplex("object %d is compressed several times over", obj.ref.num)
	}
	r, failure := f.inflate(obj, n, steps[:leading])
	if failure != nil {
		return nil //nolint:nilerr // what can't be decompressed can't expand
	}
	got, err := io.Copy(io.Discard, io.LimitReader(r, f.content+1))
	f.mem.keep(r)
	if got > f.content {
		return tooComplex("it expands to more than it may")
	}
	f.content -= got
	if err != nil && f.ctx.Err() != nil {
		return f.ctx.Err()
	}
	return nil
}

// unpredict undoes the PNG predictors.
func unpredict(data []byte, parms *dict, num int64) ([]byte, error) {
	intOr := func(key string, fallback int64) int64 {
		if n, ok := parms.get(key).integer(); ok {
			return n
		}
		return fallback
	}
	predictor := intOr("Predictor", 1)
	if predictor == 1 {
		return data, nil
	}
	columns, colors, bits := intOr("Columns", 1), intOr("Colors", 1), intOr("BitsPerComponent", 8)
	if predictor < 10 || columns < 1 || columns > 1<<16 || colors < 1 || colors > 32 || bits < 1 || bits > 16 {
		return nil, broken("object %d is compressed in an unusual way", num)
	}
	bpp := int(max(1, colors*bits/8))
	width := int((columns*colors*bits + 7) / 8)
	out := make([]byte, 0, len(data))
	prev := make([]byte, width)
	for len(data) > width {
		tag, row := data[0], data[1:width+1]
		data = data[width+1:]
		out = append(out, row...)
		row = out[len(out)-width:]
		if !unfilter(tag, row, prev, bpp) {
			return nil, broken("the stream of object %d can not be decompressed", num)
		}
		prev = row
	}
	return out, nil
}

// unfilter undoes one row of a PNG filter in place.
func unfilter(tag byte, row, prev []byte, bpp int) bool {
	for i := range row {
		var left, corner byte
		if i >= bpp {
			left, corner = row[i-bpp], prev[i-bpp]
		}
		switch tag {
		case 0:
		case 1:
			row[i] += left
		case 2:
			row[i] += prev[i]
		case 3:
			row[i] += byte((int(left) + int(prev[i])) / 2)
		case 4:
			row[i] += paeth(int(left), int(prev[i]), int(corner))
		default:
			return false
		}
	}
	return true
}

func paeth(a, b, c int) byte {
	abs := func(n int) int { return max(n, -n) }
	pa, pb, pc := abs(b-c), abs(a-c), abs(a+b-2*c)
	switch {
	case pa <= pb && pa <= pc:
		return byte(a)
	case pb <= pc:
		return byte(b)
	}
	return byte(c)
}

// objects returns the object stream with the given number.
func (f *file) objects(num int64) (*objectStream, error) {
	if s, ok := f.cache[num]; ok {
		return s, nil
	}
	x, ok := f.xrefs.find(num)
	if !ok || x.kind != xrefInUse {
		return nil, broken("object stream %d is missing", num)
	}
	// What describes an object stream may stand in another one, but not in itself.
	if f.nested++; f.nested > maxNested {
		return nil, broken("its object streams go in a circle")
	}
	defer func() { f.nested-- }()
	obj, err := f.load(ref{num: num, gen: x.gen})
	if err != nil {
		return nil, err
	}
	if obj.stream < 0 || obj.dict.get("Type").name() != "ObjStm" {
		return nil, broken("object %d is no object stream", num)
	}
	data, err := f.decode(obj)
	if err != nil {
		return nil, err
	}
	s, err := f.objectStream(obj, data)
	if err != nil {
		return nil, err
	}
	if f.cacheSize += len(data); f.cacheSize > maxDecodedCache || f.cache == nil {
		f.cache = map[int64]*objectStream{}
		f.cacheSize = len(data)
	}
	f.cache[num] = s
	return s, nil
}

func (f *file) objectStream(obj object, data []byte) (*objectStream, error) {
	n, ok1 := obj.dict.get("N").integer()
	first, ok2 := obj.dict.get("First").integer()
	if !ok1 || !ok2 || n < 0 || first < 0 || first > int64(len(data)) || n > first {
		return nil, broken("object stream %d can not be read", obj.ref.num)
	}
	if n > int64(f.limits.Objects) {
		return nil, tooComplex("it has more than %d objects", f.limits.Objects)
	}
	s := &objectStream{data: data, members: make([]member, 0, n)}
	head := data[:first]
	number := func() (int64, bool) {
		for len(head) > 0 && isSpace(head[0]) {
			head = head[1:]
		}
		end := 0
		for end < len(head) && !isSpace(head[end]) {
			end++
		}
		n, ok := digits(head[:end])
		head = head[end:]
		return n, ok
	}
	for range n {
		num, ok1 := number()
		off, ok2 := number()
		if !ok1 || !ok2 || num > maxObjectNumber || off > int64(len(data))-first {
			return nil, broken("object stream %d can not be read", obj.ref.num)
		}
		s.members = append(s.members, member{num: uint32(num), offset: uint32(first + off)})
	}
	return s, nil
}

// compressed reads an object out of its object stream.
func (f *file) compressed(r ref, x xref) (object, error) {
	stream, index := x.compressed()
	s, err := f.objects(stream)
	if err != nil {
		return object{}, err
	}
	if index >= len(s.members) || int64(s.members[index].num) != r.num {
		return object{}, broken("object %d is not where the file says", r.num)
	}
	v, err := f.parser(s.data[s.members[index].offset:], true).value(0)
	if err != nil {
		return object{}, f.parseError("an object in an object stream", err)
	}
	return object{value: v, ref: r, offset: -1, at: -1, stream: -1}, nil
}
