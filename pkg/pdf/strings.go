package pdf

// text returns a text string as UTF-8, empty for other values.
func (f *file) text(v value) (string, error) {
	b, err := f.bytes(v)
	return decodeText(b), err
}

// bytes returns the bytes of a string, within the budget of the file.
func (f *file) bytes(v value) ([]byte, error) {
	if v.kind != kindString && v.kind != kindHexString {
		return nil, nil
	}
	if err := f.keep(len(v.raw) + 32); err != nil { // it takes more than its bytes
		return nil, err
	}
	return f.plain(v), nil
}

// plain returns the decoded and decrypted bytes of a string.
func (f *file) plain(v value) []byte {
	b := v.bytes()
	if f.crypt == nil || v.num == 0 {
		return b
	}
	return f.crypt.decrypt(f.crypt.strings, ref{num: v.num, gen: v.gen}, b)
}

// raw returns a value as it is written into an update: as it stands in the file, its
// strings decrypted.
func (f *file) raw(v value) []byte {
	if f.crypt == nil {
		return v.raw
	}
	return rewrite(nil, v, func(v value) []byte { return f.plain(v) })
}

// rewrite writes a value with the strings that convert returns.
func rewrite(out []byte, v value, convert func(value) []byte) []byte {
	switch v.kind {
	case kindString, kindHexString:
		return append(out, hexString(convert(v))...)
	case kindArray:
		out = append(out, '[')
		for _, item := range v.list() {
			out = append(rewrite(out, item, convert), ' ')
		}
		return append(out, ']')
	case kindDict:
		out = append(out, "<<"...)
		for _, e := range v.dict.entries {
			out = append(append(out, e.key...), ' ')
			out = append(rewrite(out, e.val, convert), '\n')
		}
		return append(out, ">>"...)
	default:
		return append(out, v.raw...)
	}
}

// body returns the body of an object of an update with its strings encrypted.
func (t *tail) body(r ref, plain []byte) []byte {
	c := t.file.crypt
	if c == nil {
		return plain
	}
	budget := t.file.limits.Values
	p := parser{buf: plain, final: true, budget: &budget, depth: 2 * t.file.limits.Depth, shelves: &shelves{}}
	v, err := p.value(0)
	if err != nil {
		t.err = t.file.parseError("an object of the update", err)
		return plain
	}
	return rewrite(nil, v, func(v value) []byte { return c.encrypt(c.strings, r, v.bytes()) })
}
