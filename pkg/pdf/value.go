package pdf

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strconv"
	"unicode/utf16"
)

// kind is the type of a PDF value.
type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindInteger
	kindReal
	kindString
	kindHexString
	kindName
	kindArray
	kindDict
	kindRef
	kindKeyword
)

// value is one PDF value. raw holds its bytes as they stand in the file, so that
// what is copied into an update is copied unchanged.
type value struct {
	raw  []byte
	dict *dict // of a dictionary, and of an array
	num  int64 // integer value or object number; of a string, the object whose key encrypts it
	at   int32 // offset of raw in the parsed buffer
	gen  uint16
	kind kind
}

// move makes the value one of another buffer that holds the same.
func (v *value) move(buf []byte) {
	v.raw = buf[v.at : int(v.at)+len(v.raw) : int(v.at)+len(v.raw)]
	if v.dict == nil {
		return
	}
	for i := range v.dict.items {
		v.dict.items[i].move(buf)
	}
	for i := range v.dict.entries {
		e := &v.dict.entries[i]
		e.key = buf[e.at : int(e.at)+len(e.key) : int(e.at)+len(e.key)]
		e.val.move(buf)
	}
}

// list returns the items of an array.
func (v value) list() []value {
	if v.kind != kindArray {
		return nil
	}
	return v.dict.items
}

// entry is one key of a dictionary with its value.
type entry struct {
	key []byte // as it stands in the file, with the slash
	at  int32  // offset of key in the parsed buffer
	val value
}

// name returns the decoded key.
func (e *entry) name() string { return decodeName(e.key) }

// is tells whether the decoded key is name.
func (e *entry) is(name string) bool {
	if len(e.key) == len(name)+1 {
		return string(e.key[1:]) == name
	}
	return len(e.key) > len(name) && bytes.IndexByte(e.key, '#') > 0 && e.name() == name
}

// dict is what a dictionary or an array holds, in file order.
type dict struct {
	entries []entry
	items   []value
}

// get returns the value of key, null when it is missing. The last of repeated keys wins.
func (d *dict) get(key string) value {
	if d == nil {
		return value{}
	}
	for i := len(d.entries) - 1; i >= 0; i-- {
		if e := &d.entries[i]; e.is(key) {
			return e.val
		}
	}
	return value{}
}

// repeats tells whether a key stands in the dictionary twice.
func (d *dict) repeats() bool {
	seen := make(map[string]bool, len(d.entries))
	for _, e := range d.entries {
		name := e.name()
		if seen[name] {
			return true
		}
		seen[name] = true
	}
	return false
}

// with returns the bytes of a dictionary with some keys set; a nil value removes the key.
// Everything else is copied as it stands.
func (f *file) with(d *dict, sets ...set) []byte {
	if d == nil {
		d = &dict{}
	}
	size := 4
	for _, e := range d.entries {
		size += len(e.key) + len(e.val.raw) + 2
	}
	for _, s := range sets {
		size += len(s.key) + len(s.value) + 3
	}
	out := append(make([]byte, 0, size), "<<"...)
	for i := range d.entries {
		e := &d.entries[i]
		if slices.ContainsFunc(sets, func(s set) bool { return e.is(s.key) }) {
			continue
		}
		out = append(append(append(append(out, e.key...), ' '), f.raw(e.val)...), '\n')
	}
	for _, s := range sets {
		if s.value != nil {
			out = append(append(append(append(append(out, '/'), s.key...), ' '), s.value...), '\n')
		}
	}
	return append(out, ">>"...)
}

// set is a change to a dictionary.
type set struct {
	key   string
	value []byte
}

// ref is the address of an indirect object.
type ref struct {
	num int64
	gen uint16
}

func (r ref) bytes() []byte { return r.append(nil) }

// append adds the reference to b.
func (r ref) append(b []byte) []byte {
	b = append(strconv.AppendInt(b, r.num, 10), ' ')
	return append(strconv.AppendInt(b, int64(r.gen), 10), " R"...)
}

func (v value) ref() (ref, bool) {
	return ref{num: v.num, gen: v.gen}, v.kind == kindRef
}

// name returns the decoded name, empty for other values.
func (v value) name() string {
	if v.kind != kindName {
		return ""
	}
	return decodeName(v.raw)
}

func decodeName(raw []byte) string {
	raw = raw[1:]
	if bytes.IndexByte(raw, '#') < 0 {
		return string(raw)
	}
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] == '#' && i+2 < len(raw) {
			if b, err := strconv.ParseUint(string(raw[i+1:i+3]), 16, 8); err == nil {
				out = append(out, byte(b))
				i += 2
				continue
			}
		}
		out = append(out, raw[i])
	}
	return string(out)
}

// integer returns the value of an integer.
func (v value) integer() (int64, bool) {
	return v.num, v.kind == kindInteger
}

// number returns the value of an integer or a real.
func (v value) number() (float64, bool) {
	switch v.kind {
	case kindInteger:
		return float64(v.num), true
	case kindReal:
		f, err := strconv.ParseFloat(string(v.raw), 64)
		return f, err == nil
	default:
		return 0, false
	}
}

// bytes returns the decoded bytes of a string.
func (v value) bytes() []byte {
	switch v.kind {
	case kindHexString:
		return decodeHex(v.raw)
	case kindString:
		return decodeLiteral(v.raw)
	default:
		return nil
	}
}

func decodeHex(raw []byte) []byte {
	digits := make([]byte, 0, len(raw))
	for _, c := range raw[1 : len(raw)-1] {
		if !isSpace(c) {
			digits = append(digits, c)
		}
	}
	if len(digits)%2 == 1 {
		digits = append(digits, '0')
	}
	n, err := hex.Decode(digits, digits)
	if err != nil {
		return digits[:n]
	}
	return digits[:n]
}

func decodeLiteral(raw []byte) []byte {
	raw = raw[1 : len(raw)-1]
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '\r' {
			if i+1 < len(raw) && raw[i+1] == '\n' {
				i++
			}
			out = append(out, '\n')
			continue
		}
		if c != '\\' || i+1 >= len(raw) {
			out = append(out, c)
			continue
		}
		i++
		var skip int
		out, skip = appendEscape(out, raw[i:])
		i += skip
	}
	return out
}

// appendEscape decodes the escape whose bytes after the backslash are rest, and
// says how many bytes beyond the first it took.
func appendEscape(out, rest []byte) ([]byte, int) {
	switch c := rest[0]; {
	case c == 'n':
		return append(out, '\n'), 0
	case c == 'r':
		return append(out, '\r'), 0
	case c == 't':
		return append(out, '\t'), 0
	case c == 'b':
		return append(out, '\b'), 0
	case c == 'f':
		return append(out, '\f'), 0
	case c == '\n':
		return out, 0
	case c == '\r':
		if len(rest) > 1 && rest[1] == '\n' {
			return out, 1
		}
		return out, 0
	case c >= '0' && c <= '7':
		n, code := 0, 0
		for n < 3 && n < len(rest) && rest[n] >= '0' && rest[n] <= '7' {
			code = code*8 + int(rest[n]-'0')
			n++
		}
		return append(out, byte(code)), n - 1
	default:
		return append(out, c), 0
	}
}

// decodeText decodes a text string (PDFDocEncoding, UTF-16 or UTF-8) into UTF-8.
func decodeText(b []byte) string {
	switch {
	case bytes.HasPrefix(b, []byte{0xFE, 0xFF}):
		return decodeUTF16(b[2:], true)
	case bytes.HasPrefix(b, []byte{0xFF, 0xFE}):
		return decodeUTF16(b[2:], false)
	case bytes.HasPrefix(b, []byte{0xEF, 0xBB, 0xBF}):
		return string(bytes.ToValidUTF8(b[3:], []byte("\uFFFD")))
	}
	out := make([]rune, len(b))
	for i, c := range b {
		out[i] = docEncoding(c)
	}
	return string(out)
}

// docEncoding decodes a byte of PDFDocEncoding (ISO 32000-2, annex D.3).
func docEncoding(c byte) rune {
	switch {
	case c >= 0x18 && c <= 0x1F:
		return []rune("\u02D8\u02C7\u02C6\u02D9\u02DD\u02DB\u02DA\u02DC")[c-0x18]
	case c >= 0x80 && c <= 0xA0:
		return []rune("\u2022\u2020\u2021\u2026\u2014\u2013\u0192\u2044\u2039\u203A\u2212\u2030\u201E\u201C\u201D\u2018" +
			"\u2019\u201A\u2122\uFB01\uFB02\u0141\u0152\u0160\u0178\u017D\u0131\u0142\u0153\u0161\u017E\uFFFD\u20AC")[c-0x80]
	case c == 0x7F || c == 0xAD:
		return '\uFFFD'
	}
	return rune(c)
}

func decodeUTF16(b []byte, big bool) string {
	units := make([]uint16, 0, len(b)/2)
	for i := 0; i+1 < len(b); i += 2 {
		if big {
			units = append(units, uint16(b[i])<<8|uint16(b[i+1]))
		} else {
			units = append(units, uint16(b[i+1])<<8|uint16(b[i]))
		}
	}
	return string(utf16.Decode(units))
}

// hexString encodes bytes as a hexadecimal string.
func hexString(b []byte) []byte {
	out := append(make([]byte, 0, 2*len(b)+2), '<')
	return append(hex.AppendEncode(out, b), '>')
}

// textString encodes s as a PDF text string.
func textString(s string) []byte {
	ascii := true
	for _, r := range s {
		if r > 126 || r < 32 {
			ascii = false
			break
		}
	}
	if !ascii {
		out := []byte("<FEFF")
		for _, u := range utf16.Encode([]rune(s)) {
			out = append(out, "0123456789ABCDEF"[u>>12], "0123456789ABCDEF"[u>>8&15], "0123456789ABCDEF"[u>>4&15], "0123456789ABCDEF"[u&15])
		}
		return append(out, '>')
	}
	out := []byte{'('}
	for i := range len(s) {
		if s[i] == '(' || s[i] == ')' || s[i] == '\\' {
			out = append(out, '\\')
		}
		out = append(out, s[i])
	}
	return append(out, ')')
}
