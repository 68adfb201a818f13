package pdf

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// place adds blank fields, but those that exist already and the one to be signed.
func (e *edit) place(fields []NewField, signed string) error {
	for i, n := range fields {
		switch {
		case n.Name == "" || strings.Contains(n.Name, "."):
			return fmt.Errorf("%w: a new field needs a name without a point", ErrRequest)
		case n.Name == signed || e.find(n.Name) != nil,
			slices.ContainsFunc(fields[:i], func(o NewField) bool { return o.Name == n.Name }):
			continue
		case slices.Contains(e.form.names, n.Name):
			return fmt.Errorf("%w: the name %q belongs to a field that is none for signatures; choose another", ErrRequest, n.Name)
		}
		if err := e.rules.sign(n.Name, false, false); err != nil {
			return err
		}
		if e.rules.level == 2 { // ISO 32000-2, table 257: filling in and signing
			return fmt.Errorf("%w: %s against new blank fields; add them before or with it", ErrNotPermitted, e.rules.by)
		}
		if err := e.rules.permitted(true, false); err != nil {
			return err
		}
		if err := e.addField(n.Name, n.Box, nil, e.frame); err != nil {
			return err
		}
	}
	return nil
}

// addField makes a new field with its widget, which are one object.
func (e *edit) addField(name string, box Box, entries []byte, appearance func(width, height float64, rotate int) (ref, error)) error {
	var look []byte
	var page ref
	if box.Empty() {
		first, err := e.page(1)
		if err != nil {
			return err
		}
		// PDF/A wants an appearance even where nothing shows (ISO 19005-1, 6.9).
		nothing, err := e.frame(0, 0, 0)
		if err != nil {
			return err
		}
		look, page = fmt.Appendf(nil, "/Rect[0 0 0 0]/AP<</N %s>>", nothing.bytes()), first.ref
	} else {
		var err error
		if look, page, err = e.look(box, appearance); err != nil {
			return err
		}
	}
	widget := e.tail.allocate()
	var d bytes.Buffer
	d.WriteString("<</Type/Annot/Subtype/Widget/FT/Sig/T ")
	d.Write(textString(name))
	d.Write(entries)
	d.WriteString("/F 132")
	d.Write(look)
	d.WriteString("/P ")
	d.Write(page.bytes())
	d.WriteString(">>")
	e.tail.object(widget, d.Bytes())
	e.annotate(page, widget)
	e.added = append(e.added, widget)
	return nil
}

// annotate adds an annotation to a page.
func (e *edit) annotate(page, annotation ref) {
	if e.annots == nil {
		e.annots = map[ref][]ref{}
	}
	e.annots[page] = append(e.annots[page], annotation)
}

// frame returns the appearance of a blank field: a thin frame.
func (e *edit) frame(width, height float64, _ int) (ref, error) {
	r := e.tail.allocate()
	var drawing []byte
	if width > 2 && height > 2 {
		drawing = fmt.Appendf(nil, "0.5 w 0.6 G 0.25 0.25 %s %s re S", num(width-0.5), num(height-0.5))
	}
	e.tail.stream(r, fmt.Sprintf("/Type/XObject/Subtype/Form/BBox[0 0 %s %s]/Resources<<>>", num(width), num(height)), drawing)
	return r, nil
}

// newName finds a name that no field has: the prefix and the lowest free number.
func (e *edit) newName() string {
	prefix := e.req.FieldName
	switch {
	case prefix != "":
	case e.req.DocTimestamp:
		prefix = "Timestamp"
	default:
		prefix = "Signature"
	}
	taken := make([]bool, len(e.form.names)+len(e.req.Fields)+2)
	take := func(name string) {
		if digits, ok := strings.CutPrefix(name, prefix); ok {
			if n, err := strconv.Atoi(digits); err == nil && n > 0 && n < len(taken) {
				taken[n] = true
			}
		}
	}
	for _, name := range e.form.names {
		take(name)
	}
	for _, n := range e.req.Fields {
		take(n.Name)
	}
	n := 1
	for taken[n] {
		n++
	}
	return prefix + strconv.Itoa(n)
}
