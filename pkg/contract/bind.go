package contract

import (
	"encoding/base64"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode"
)

// binder puts a JSON tree into Go values by their json tags, after the tolerances of
// each type were applied. It goes on after a problem, so that a caller sees several at once.
type binder struct {
	problems problemList
	// lenient lets unknown fields pass: for reading answers, which may grow.
	lenient bool
	// documentBytes counts the base64 text of documents, to tell it from the rest.
	documentBytes int
}

var (
	typeConfString = reflect.TypeFor[ConfString]()
	typeBytes      = reflect.TypeFor[[]byte]()
)

func (b *binder) bind(n *node, v reflect.Value, path string) {
	if n.isNull() {
		return
	}
	switch v.Type() {
	case typeConfString:
		v.Set(reflect.ValueOf(bindConfString(n, path, &b.problems)))
		return
	case typeBytes:
		b.bytes(n, v, path)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		b.structure(n, v, path)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		b.bind(n, v.Elem(), path)
	case reflect.Slice:
		b.list(n, v, path)
	case reflect.String:
		b.str(n, v, path)
	case reflect.Int, reflect.Int64:
		b.integer(n, v, path)
	case reflect.Float64:
		b.float(n, v, path)
	case reflect.Bool:
		b.boolean(n, v, path)
	default:
		b.problems.add(&Error{Code: CodeError, Path: path, Message: "cannot be read"})
	}
}

func (b *binder) structure(n *node, v reflect.Value, path string) {
	if n.kind != kindObject {
		b.problems.add(illegal(path, "must be an object"))
		return
	}
	applyTolerances(v.Type(), n, path, &b.problems)
	t := v.Type()
	fields := make(map[string]int, t.NumField())
	for i := range t.NumField() {
		name := jsonName(t.Field(i))
		fields[name] = i
		if t.Field(i).Tag.Get("present") == "must" && n.get(name).isNull() {
			b.problems.add(illegal(join(path, name), "is missing"))
		}
	}
	for _, m := range n.members {
		i, known := fields[m.key]
		switch {
		case known:
			b.bind(m.value, v.Field(i), join(path, m.key))
		case !b.lenient:
			b.problems.add(illegal(join(path, m.key), unknownField(m.key, fields)))
		}
	}
}

func unknownField(key string, fields map[string]int) string {
	for name := range fields {
		if strings.EqualFold(name, key) {
			return "unknown field; names are case-sensitive, did you mean " + name + "?"
		}
	}
	return "unknown field"
}

func (b *binder) list(n *node, v reflect.Value, path string) {
	if n.kind != kindArray {
		b.problems.add(illegal(path, "must be a list"))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.items), len(n.items)))
	for i, item := range n.items {
		at := index(path, i)
		if item.isNull() {
			b.problems.add(illegal(at, "must not be null"))
			continue
		}
		b.bind(item, v.Index(i), at)
	}
}

func (b *binder) str(n *node, v reflect.Value, path string) {
	if n.kind != kindString {
		b.problems.add(illegal(path, "must be a text"))
		return
	}
	s := n.text()
	if strings.IndexByte(s, 0) >= 0 { // databases cannot keep it
		b.problems.add(illegal(path, "must not contain the character U+0000"))
		return
	}
	v.SetString(s)
}

// numberText returns the literal of a number, or of a text that holds one: the samples
// write both.
func numberText(n *node) (string, bool) {
	switch n.kind {
	case kindNumber:
		return string(n.raw), true
	case kindString:
		if len(n.raw) > 0 && numberLength(n.raw) == len(n.raw) {
			return string(n.raw), true
		}
	}
	return "", false
}

// maxExactInteger is the largest integer that every JSON reader keeps exactly.
const maxExactInteger = 1 << 53

func (b *binder) integer(n *node, v reflect.Value, path string) {
	s, ok := numberText(n)
	if !ok {
		b.problems.add(illegal(path, "must be a whole number"))
		return
	}
	i, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		f, ferr := strconv.ParseFloat(s, 64)
		if ferr != nil || f != math.Trunc(f) {
			b.problems.add(illegal(path, "must be a whole number"))
			return
		}
		if math.Abs(f) > maxExactInteger {
			b.problems.add(illegal(path, "is too large a number"))
			return
		}
		i = int64(f)
	}
	if i > maxExactInteger || i < -maxExactInteger {
		b.problems.add(illegal(path, "is too large a number"))
		return
	}
	v.SetInt(i)
}

func (b *binder) float(n *node, v reflect.Value, path string) {
	s, ok := numberText(n)
	if !ok {
		b.problems.add(illegal(path, "must be a number"))
		return
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		b.problems.add(illegal(path, "is too large a number"))
		return
	}
	v.SetFloat(f)
}

func (b *binder) boolean(n *node, v reflect.Value, path string) {
	if n.kind == kindBool || n.kind == kindString {
		if on, ok := parseBool(string(n.raw)); ok {
			v.SetBool(on)
			return
		}
	}
	b.problems.add(illegal(path, "must be true or false"))
}

// bytes decodes base64 straight out of the input: no second copy of the text is made
// unless it has escapes. Line breaks inside are accepted, as MIME encoders write them.
func (b *binder) bytes(n *node, v reflect.Value, path string) {
	if n.kind != kindString {
		b.problems.add(illegal(path, "must be a text in base64"))
		return
	}
	b.documentBytes += len(n.raw)
	text := n.raw
	if n.escaped {
		text = unescape(text)
	}
	out := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	size, err := base64.StdEncoding.Strict().Decode(out, text)
	if err != nil {
		b.problems.add(illegal(path, "must be base64: the standard alphabet, padded with ="))
		return
	}
	v.SetBytes(out[:size:size])
}

// bindConfString reads a confString in either form. Values are scalars.
func bindConfString(n *node, path string, problems *problemList) ConfString {
	if n.kind == kindString {
		text := strings.TrimSpace(n.text())
		if text == "" { // the table in chapter 4.1 itself shows ""
			return nil
		}
		inner, err := parseJSON([]byte(text))
		if err != nil {
			problems.add(illegal(path, "must be a text that holds a JSON object"))
			return nil
		}
		n = inner
	}
	if n.kind != kindObject {
		problems.add(illegal(path, "must be a JSON object, or a text that holds one"))
		return nil
	}
	conf := make(ConfString, len(n.members))
	for _, m := range n.members {
		key, at := m.key, join(path, m.key)
		if key == "requireIdentification" { // chapter 9.7.4 spells it in two ways
			key = keyRequiredIdentity
		}
		switch m.value.kind {
		case kindNull:
		case kindString:
			conf[key] = m.value.text()
			if strings.IndexByte(conf[key], 0) >= 0 {
				problems.add(illegal(at, "must not contain the character U+0000"))
			}
		case kindBool, kindNumber:
			conf[key] = string(m.value.raw)
		default:
			problems.add(illegal(at, "must be a text, a number or a boolean"))
		}
	}
	return conf
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// maxPathKey bounds how much of a key that a caller made up gets into a path.
const maxPathKey = 64

// join adds a key to a path. A key that no model has may be anything: it is cut and
// cleaned, so that a path stays one readable line.
func join(path, key string) string {
	if len(key) > maxPathKey {
		key = key[:maxPathKey] + "..."
	}
	key = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) || strings.ContainsRune(" \"'<>.[]", r) {
			return '?'
		}
		return r
	}, key)
	if path == "" {
		return key
	}
	return path + "." + key
}

func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }
