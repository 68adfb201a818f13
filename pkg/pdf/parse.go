package pdf

import (
	"bytes"
	"errors"
	"strconv"
)

var (
	// errShort means that the value goes on behind the end of the buffer.
	errShort = errors.New("value continues")
	// errSyntax means that the bytes are no PDF value.
	errSyntax = errors.New("syntax error")
	// errDepth means that values are nested too deeply.
	errDepth = errors.New("values nested too deeply")
	// errValues means that there are more values than allowed.
	errValues = errors.New("too many values")
)

// maxValues bounds the values of one object, which are in memory together.
const maxValues = 1_000_000

// parser reads values from a buffer.
type parser struct {
	buf    []byte
	pos    int
	final  bool // the buffer holds everything: its end is no reason to ask for more
	budget *int // values that may still be read
	count  int  // values read so far
	depth  int  // deepest nesting
	owner  ref  // the object whose key encrypts the strings; zero when they are plain

	encrypted bool // the strings of indirect objects are
	shelves   *shelves

	// Values and entries of what is not finished yet, so that each array and each
	// dictionary is allocated once, in its size.
	values  []value
	entries []entry
}

// whiteSpace is what isSpace accepts, as a set (ISO 32000-2, table 1).
const whiteSpace = "\x00\t\n\f\r "

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f' || c == 0
}

func isDelimiter(c byte) bool {
	switch c {
	case '(', ')', '<', '>', '[', ']', '{', '}', '/', '%':
		return true
	}
	return false
}

// skip passes white space and comments.
func (p *parser) skip() {
	for p.pos < len(p.buf) {
		c := p.buf[p.pos]
		switch {
		case isSpace(c):
			p.pos++
		case c == '%':
			for p.pos < len(p.buf) && p.buf[p.pos] != '\n' && p.buf[p.pos] != '\r' {
				p.pos++
			}
		default:
			return
		}
	}
}

// end is the error for a value that meets the end of the buffer.
func (p *parser) end() error {
	if p.final {
		return errSyntax
	}
	return errShort
}

// value reads the next value. Keywords such as endobj are values of kindKeyword.
func (p *parser) value(depth int) (value, error) {
	if depth > p.depth {
		return value{}, errDepth
	}
	*p.budget--
	if p.count++; *p.budget < 0 || p.count > maxValues {
		return value{}, errValues
	}
	p.skip()
	if p.pos >= len(p.buf) {
		return value{}, p.end()
	}
	start := p.pos
	v, err := p.sort(depth)
	if err != nil {
		return value{}, err
	}
	v.at = int32(start)
	v.raw = p.buf[start:p.pos:p.pos]
	return v, nil
}

func (p *parser) sort(depth int) (value, error) {
	switch c := p.buf[p.pos]; {
	case c == '/':
		p.pos++
		if err := p.regular(); err != nil {
			return value{}, err
		}
		return value{kind: kindName}, nil
	case c == '(':
		return p.text(kindString), p.literal()
	case c == '[':
		return p.array(depth)
	case c == '<':
		if p.pos+1 >= len(p.buf) {
			return value{}, p.end()
		}
		if p.buf[p.pos+1] == '<' {
			return p.dictionary(depth)
		}
		return p.text(kindHexString), p.hexString()
	case c == '+' || c == '-' || c == '.' || c >= '0' && c <= '9':
		return p.numeric()
	case isDelimiter(c):
		return value{}, errSyntax
	default:
		start := p.pos
		if err := p.regular(); err != nil {
			return value{}, err
		}
		switch string(p.buf[start:p.pos]) {
		case "null":
			return value{kind: kindNull}, nil
		case "true":
			return value{kind: kindBool, num: 1}, nil
		case "false":
			return value{kind: kindBool}, nil
		}
		return value{kind: kindKeyword}, nil
	}
}

// regular passes regular characters up to the next delimiter.
func (p *parser) regular() error {
	for p.pos < len(p.buf) {
		if c := p.buf[p.pos]; isSpace(c) || isDelimiter(c) {
			return nil
		}
		p.pos++
	}
	if p.final {
		return nil
	}
	return errShort
}

func (p *parser) literal() error {
	level := 0
	for ; p.pos < len(p.buf); p.pos++ {
		switch p.buf[p.pos] {
		case '\\':
			p.pos++
		case '(':
			level++
		case ')':
			if level--; level == 0 {
				p.pos++
				return nil
			}
		}
	}
	return p.end()
}

// text returns the beginning of a string: it remembers the object that it belongs to.
func (p *parser) text(k kind) value {
	return value{kind: k, num: p.owner.num, gen: p.owner.gen}
}

// hexString passes a hexadecimal string. What is long is a signature, mostly: its digits
// are looked at when it is decoded.
func (p *parser) hexString() error {
	const long = 1 << 10
	n := bytes.IndexByte(p.buf[p.pos:], '>')
	if n < 0 {
		return p.end()
	}
	if n <= long {
		for _, c := range p.buf[p.pos+1 : p.pos+n] {
			if !isHex(c) && !isSpace(c) {
				return errSyntax
			}
		}
	}
	p.pos += n + 1
	return nil
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// numeric reads a number, or a reference when two integers and R follow one another.
func (p *parser) numeric() (value, error) {
	start := p.pos
	if err := p.regular(); err != nil {
		return value{}, err
	}
	text := p.buf[start:p.pos]
	if n, ok := digits(text); ok {
		return p.reference(n)
	}
	n, failure := strconv.ParseInt(string(text), 10, 64)
	if failure != nil {
		return value{kind: kindReal}, nil //nolint:nilerr // what is no integer is a real, which is parsed when it is used
	}
	return value{kind: kindInteger, num: n}, nil
}

// digits reads a number without sign of at most 18 digits.
func digits(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

func (p *parser) reference(n int64) (value, error) {
	after := p.pos
	plain := value{kind: kindInteger, num: n}
	p.skip()
	start := p.pos
	for p.pos < len(p.buf) && p.buf[p.pos] >= '0' && p.buf[p.pos] <= '9' {
		p.pos++
	}
	if p.pos < len(p.buf) && (p.pos == start || p.pos-start > 5 || !isSpace(p.buf[p.pos])) {
		p.pos = after
		return plain, nil
	}
	gen, ok := digits(p.buf[start:p.pos])
	p.skip()
	switch {
	case p.pos+1 >= len(p.buf) && !p.final:
		return value{}, errShort
	case ok && gen <= 65535 && p.pos < len(p.buf) && p.buf[p.pos] == 'R' &&
		(p.pos+1 >= len(p.buf) || isSpace(p.buf[p.pos+1]) || isDelimiter(p.buf[p.pos+1])):
		p.pos++
		return value{kind: kindRef, num: n, gen: uint16(gen)}, nil
	}
	p.pos = after
	return plain, nil
}

// longArray is the number of items that are worth keeping where they are.
const longArray = 4096

func (p *parser) array(depth int) (value, error) {
	p.pos++
	first := len(p.values)
	for {
		p.skip()
		if p.pos >= len(p.buf) {
			return value{}, p.end()
		}
		if p.buf[p.pos] == ']' {
			p.pos++
			items := p.values[first:len(p.values):len(p.values)]
			if len(items) < longArray {
				items = p.shelves.values.keep(items...)
				p.values = p.values[:first]
			} else {
				p.values = p.values[:first:first]
			}
			return value{kind: kindArray, dict: &p.shelves.dicts.keep(dict{items: items})[0]}, nil
		}
		item, err := p.value(depth + 1)
		if err != nil {
			return value{}, err
		}
		if item.kind == kindKeyword {
			return value{}, errSyntax
		}
		p.values = append(p.values, item)
	}
}

func (p *parser) dictionary(depth int) (value, error) {
	p.pos += 2
	first := len(p.entries)
	for {
		p.skip()
		if p.pos+1 >= len(p.buf) {
			return value{}, p.end()
		}
		if p.buf[p.pos] == '>' {
			if p.buf[p.pos+1] != '>' {
				return value{}, errSyntax
			}
			p.pos += 2
			entries := p.shelves.entries.keep(p.entries[first:]...)
			p.entries = p.entries[:first]
			return value{kind: kindDict, dict: &p.shelves.dicts.keep(dict{entries: entries})[0]}, nil
		}
		key, err := p.value(depth + 1)
		if err != nil {
			return value{}, err
		}
		if key.kind != kindName {
			return value{}, errSyntax
		}
		val, err := p.value(depth + 1)
		if err != nil {
			return value{}, err
		}
		if val.kind == kindKeyword {
			return value{}, errSyntax
		}
		p.entries = append(p.entries, entry{key: key.raw, at: key.at, val: val})
	}
}
