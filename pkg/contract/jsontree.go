package contract

import (
	"bytes"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// The JSON reader below exists because a refusal must say line, column and path, must
// refuse duplicate keys, must allow spellings to be put right before binding, and must
// not copy document bytes: a string node is a slice of the input. The standard decoder
// gives none of the four.

const (
	// maxDepth is far above what the model needs (11) and far below what hurts.
	maxDepth = 64
	// maxNodes bounds what a body of many small values can make of memory.
	maxNodes = 200_000
)

type jsonKind int

const (
	kindNull jsonKind = iota
	kindBool
	kindNumber
	kindString
	kindArray
	kindObject
)

// node is one JSON value. raw is the literal of a number or boolean, or the inside of
// a string with its escapes.
type node struct {
	kind    jsonKind
	raw     []byte
	escaped bool
	items   []*node
	members []member
}

type member struct {
	key   string
	value *node
}

func (n *node) isNull() bool { return n == nil || n.kind == kindNull }

// get returns the value of a key, nil when absent.
func (n *node) get(key string) *node {
	for i := range n.members {
		if n.members[i].key == key {
			return n.members[i].value
		}
	}
	return nil
}

// set replaces or adds a member.
func (n *node) set(key string, value *node) {
	for i := range n.members {
		if n.members[i].key == key {
			n.members[i].value = value
			return
		}
	}
	n.members = append(n.members, member{key: key, value: value})
}

// remove takes a member out and returns its value, nil when absent.
func (n *node) remove(key string) *node {
	for i := range n.members {
		if n.members[i].key == key {
			value := n.members[i].value
			n.members = append(n.members[:i:i], n.members[i+1:]...)
			return value
		}
	}
	return nil
}

// text returns the string with its escapes resolved; the reader has checked them.
func (n *node) text() string {
	if !n.escaped {
		return string(n.raw)
	}
	return string(unescape(n.raw))
}

func textNode(s string) *node { return &node{kind: kindString, raw: []byte(s), escaped: false} }

type jsonReader struct {
	data  []byte
	pos   int
	nodes int
}

// parseJSON reads one JSON value and refuses anything after it.
func parseJSON(data []byte) (*node, error) {
	r := &jsonReader{data: data}
	if bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) { // a byte order mark says nothing in UTF-8
		r.pos = 3
	}
	n, err := r.value(0)
	if err != nil {
		return nil, err
	}
	r.space()
	if r.pos < len(r.data) {
		return nil, r.fail("expected the end after the JSON value")
	}
	return n, nil
}

// fail makes the error for the current position. It never shows the input.
func (r *jsonReader) fail(expected string) *Error {
	before := r.data[:min(r.pos, len(r.data))]
	line := 1 + bytes.Count(before, []byte{'\n'})
	column := 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	where := fmt.Sprintf("malformed JSON at line %d, column %d (byte %d): ", line, column, r.pos)
	if r.pos >= len(r.data) {
		return illegal("", where+"the text ends too early, "+expected)
	}
	return illegal("", where+expected)
}

func (r *jsonReader) space() {
	for r.pos < len(r.data) {
		switch r.data[r.pos] {
		case ' ', '\t', '\r', '\n':
			r.pos++
		default:
			return
		}
	}
}

func (r *jsonReader) peek() byte {
	if r.pos < len(r.data) {
		return r.data[r.pos]
	}
	return 0
}

func (r *jsonReader) value(depth int) (*node, error) {
	if depth > maxDepth {
		return nil, r.fail("values are nested too deeply")
	}
	if r.nodes++; r.nodes > maxNodes {
		return nil, &Error{Code: CodeTooLarge, Message: "the request has more than 200000 values"}
	}
	r.space()
	switch c := r.peek(); {
	case c == '{':
		return r.object(depth)
	case c == '[':
		return r.array(depth)
	case c == '"':
		raw, escaped, err := r.str()
		return &node{kind: kindString, raw: raw, escaped: escaped}, err
	case c == '-' || (c >= '0' && c <= '9'):
		end := r.pos + numberLength(r.data[r.pos:])
		if end == r.pos {
			return nil, r.fail("expected a number")
		}
		n := &node{kind: kindNumber, raw: r.data[r.pos:end]}
		r.pos = end
		return n, nil
	}
	for _, word := range []struct {
		text string
		kind jsonKind
	}{{"true", kindBool}, {"false", kindBool}, {"null", kindNull}} {
		if bytes.HasPrefix(r.data[r.pos:], []byte(word.text)) {
			n := &node{kind: word.kind, raw: r.data[r.pos : r.pos+len(word.text)]}
			r.pos += len(word.text)
			return n, nil
		}
	}
	return nil, r.fail("expected a value")
}

func (r *jsonReader) object(depth int) (*node, error) {
	n := &node{kind: kindObject}
	r.pos++
	r.space()
	if r.peek() == '}' {
		r.pos++
		return n, nil
	}
	seen := map[string]bool{}
	for {
		r.space()
		if r.peek() != '"' {
			return nil, r.fail("expected a key in double quotes")
		}
		start := r.pos
		raw, escaped, err := r.str()
		if err != nil {
			return nil, err
		}
		key := (&node{raw: raw, escaped: escaped}).text()
		if seen[key] {
			r.pos = start
			return nil, r.fail("this key is there twice")
		}
		seen[key] = true
		r.space()
		if r.peek() != ':' {
			return nil, r.fail("expected :")
		}
		r.pos++
		value, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		n.members = append(n.members, member{key: key, value: value})
		r.space()
		switch r.peek() {
		case ',':
			r.pos++
		case '}':
			r.pos++
			return n, nil
		default:
			return nil, r.fail("expected , or }")
		}
	}
}

func (r *jsonReader) array(depth int) (*node, error) {
	n := &node{kind: kindArray}
	r.pos++
	r.space()
	if r.peek() == ']' {
		r.pos++
		return n, nil
	}
	for {
		value, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		n.items = append(n.items, value)
		r.space()
		switch r.peek() {
		case ',':
			r.pos++
		case ']':
			r.pos++
			return n, nil
		default:
			return nil, r.fail("expected , or ]")
		}
	}
}

// str reads a string that begins at pos and checks its escapes and its UTF-8.
func (r *jsonReader) str() (raw []byte, escaped bool, err error) {
	r.pos++
	start := r.pos
	for r.pos < len(r.data) {
		switch c := r.data[r.pos]; {
		case c == '"':
			raw = r.data[start:r.pos]
			if !utf8.Valid(raw) {
				r.pos = start
				return nil, false, r.fail("a text here is not UTF-8")
			}
			r.pos++
			return raw, escaped, nil
		case c == '\\':
			escaped = true
			n := escapeLength(r.data[r.pos:])
			if n == 0 {
				return nil, false, r.fail("expected a valid escape after \\")
			}
			r.pos += n
		case c < 0x20:
			return nil, false, r.fail("a control character in a text must be escaped")
		default:
			r.pos++
		}
	}
	return nil, false, r.fail("expected the closing double quote")
}

// escapeLength returns the length of the escape that s begins with, both halves of a
// surrogate pair included; 0 when it is not valid.
func escapeLength(s []byte) int {
	if len(s) < 2 {
		return 0
	}
	switch s[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		r := hex4(s[2:])
		if r < 0 {
			return 0
		}
		if !utf16.IsSurrogate(r) {
			return 6
		}
		if len(s) >= 12 && s[6] == '\\' && s[7] == 'u' && utf16.DecodeRune(r, hex4(s[8:])) != utf8.RuneError {
			return 12
		}
	}
	return 0
}

// hex4 reads four hexadecimal digits; -1 when they are not there.
func hex4(s []byte) rune {
	if len(s) < 4 {
		return -1
	}
	var r rune
	for _, c := range s[:4] {
		r <<= 4
		switch {
		case c >= '0' && c <= '9':
			r += rune(c - '0')
		case c >= 'a' && c <= 'f':
			r += rune(c-'a') + 10
		case c >= 'A' && c <= 'F':
			r += rune(c-'A') + 10
		default:
			return -1
		}
	}
	return r
}

var shortEscapes = map[byte]byte{
	'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t',
}

// unescape resolves escapes that str has checked.
func unescape(raw []byte) []byte {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			next := bytes.IndexByte(raw[i:], '\\')
			if next < 0 {
				next = len(raw) - i
			}
			out = append(out, raw[i:i+next]...)
			i += next
			continue
		}
		switch n := escapeLength(raw[i:]); n {
		case 6:
			out = utf8.AppendRune(out, hex4(raw[i+2:]))
			i += n
		case 12:
			out = utf8.AppendRune(out, utf16.DecodeRune(hex4(raw[i+2:]), hex4(raw[i+8:])))
			i += n
		default:
			out = append(out, shortEscapes[raw[i+1]])
			i += 2
		}
	}
	return out
}

// numberLength returns the length of the JSON number that s begins with; 0 when there is none.
func numberLength(s []byte) int {
	i := 0
	digits := func() int {
		start := i
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		return i - start
	}
	if i < len(s) && s[i] == '-' {
		i++
	}
	leading := i
	if n := digits(); n == 0 || (n > 1 && s[leading] == '0') {
		return 0
	}
	if i < len(s) && s[i] == '.' {
		i++
		if digits() == 0 {
			return 0
		}
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		if digits() == 0 {
			return 0
		}
	}
	return i
}
