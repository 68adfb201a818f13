package pdf

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
)

// sign writes the signature dictionary and the field that holds it, and returns the
// name of the field.
func (e *edit) sign() (string, error) {
	signature := e.tail.allocate()
	name, own, err := e.hold(signature)
	if err != nil {
		return "", err
	}
	if len(e.req.Boxes) > 1 {
		if err := e.stamps(e.req.Boxes[1:]); err != nil {
			return "", err
		}
	}
	references, err := e.references(signature, own)
	if err != nil {
		return "", err
	}
	e.tail.signature(signature, e.req, references)
	if e.req.DocTimestamp {
		return name, e.extension()
	}
	return name, nil
}

// hold makes or fills the field for the signature; own is the field when it exists already.
func (e *edit) hold(signature ref) (name string, own *field, err error) {
	if e.req.Field != "" && !e.placed(e.req.Field) {
		if own, err = e.blank(e.req.Field); err != nil {
			return "", nil, err
		}
	}
	name = e.req.Field
	if name == "" {
		name = e.newName()
	}
	if !e.req.DocTimestamp {
		if err := e.rules.sign(name, e.req.Certify > 0, len(e.req.Boxes) > 1); err != nil {
			return "", nil, err
		}
	}
	if err := e.rules.permitted(own == nil && !e.req.DocTimestamp, len(e.req.Boxes) > 1); err != nil {
		return "", nil, err
	}
	if err := e.place(e.req.Fields, name); err != nil {
		return "", nil, err
	}
	if own != nil {
		return name, own, e.fill(own, signature)
	}
	return name, nil, e.add(name, signature)
}

// placed tells whether the request places a field of that name itself.
func (e *edit) placed(name string) bool {
	return e.find(name) == nil && slices.ContainsFunc(e.req.Fields, func(n NewField) bool { return n.Name == name })
}

// add makes the field of the signature.
func (e *edit) add(name string, signature ref) error {
	var box Box
	if len(e.req.Boxes) > 0 {
		box = e.req.Boxes[0]
	}
	for _, n := range e.req.Fields {
		if n.Name == name && e.req.Field == name {
			box = n.Box
		}
	}
	entries := append([]byte("/V "), signature.bytes()...)
	if e.req.Lock != nil {
		lock := e.tail.allocate()
		e.tail.object(lock, append([]byte("<</Type/SigFieldLock"), append(e.req.Lock.entries(true), ">>"...)...))
		entries = append(append(entries, "/Lock "...), lock.bytes()...)
	}
	return e.addField(name, box, entries, e.appearance)
}

// fill puts the signature into a blank field.
func (e *edit) fill(fl *field, signature ref) error {
	sets := []set{{"V", signature.bytes()}}
	if l := e.req.Lock; l != nil {
		if fl.obj.dict.get("Lock").kind != kindNull {
			return fmt.Errorf("%w: the field %q brings a lock of its own; sign without another one", ErrNotPermitted, fl.name)
		}
		lock := e.tail.allocate()
		e.tail.object(lock, append([]byte("<</Type/SigFieldLock"), append(l.entries(true), ">>"...)...))
		sets = append(sets, set{"Lock", lock.bytes()})
	}
	if !e.req.Appearance.Empty() {
		if err := e.locate(fl); err != nil {
			return err
		}
		for _, w := range fl.widgets {
			look, err := e.widgetLook(w)
			if err != nil {
				return err
			}
			if len(look) > 0 {
				e.set(w.obj, look...)
			}
		}
	}
	e.set(fl.obj, sets...)
	// A widget that is an object of its own takes the value from its field, but poppler and
	// MuPDF look for it there.
	for _, w := range fl.widgets {
		if w.obj.ref != fl.obj.ref {
			e.set(w.obj, sets[0])
		}
	}
	return nil
}

// find returns the signature field of that name, nil when there is none.
func (e *edit) find(name string) *field {
	i := slices.IndexFunc(e.form.fields, func(fl field) bool { return fl.name == name })
	if i < 0 {
		return nil
	}
	return &e.form.fields[i]
}

// blank finds a signature field that is not signed.
func (e *edit) blank(name string) (*field, error) {
	fl := e.find(name)
	if fl == nil {
		return nil, fmt.Errorf("%w: %q; use the full name of a signature field of the document", ErrFieldNotFound, name)
	}
	_, signed, err := e.file.signed(*fl)
	switch {
	case err != nil:
		return nil, err
	case signed:
		return nil, fmt.Errorf("%w: %q; use a blank field", ErrFieldSigned, name)
	}
	return fl, nil
}

// widgetLook returns the changes that show the appearance in an existing widget.
func (e *edit) widgetLook(w widget) ([]set, error) {
	if w.rect.Width() <= 0 || w.rect.Height() <= 0 {
		return nil, nil
	}
	info := PageInfo{UserUnit: 1}
	if p, ok, err := e.file.pageOf(w.page); err != nil {
		return nil, err
	} else if ok {
		info = p.info
	}
	shown := info.FromUser(w.rect)
	form, err := e.appearance(shown.URX-shown.LLX, shown.URY-shown.LLY, info.Rotate)
	if err != nil {
		return nil, err
	}
	flags, _ := w.obj.dict.get("F").integer()
	const invisible, hidden, printed, noView, locked = 1, 2, 4, 32, 128
	flags = flags&^(invisible|hidden|noView) | printed | locked
	return []set{{"AP", []byte("<</N " + string(form.bytes()) + ">>")}, {"F", strconv.AppendInt(nil, flags, 10)}}, nil
}

// formKey tells which boxes can share an appearance stream.
type formKey struct {
	width, height float64
	rotate        int
}

// appearance returns the appearance stream for a box of that size, writing it when it is the first.
func (e *edit) appearance(width, height float64, rotate int) (ref, error) {
	key := formKey{round(width), round(height), rotate}
	if r, ok := e.forms[key]; ok {
		return r, nil
	}
	a := e.req.Appearance
	if a.Empty() && e.req.Name != "" {
		a.Lines = []string{e.req.Name}
	}
	drawing, err := a.Layout(key.width, key.height)
	if err != nil {
		return ref{}, err
	}
	number, err := drawing.Form(objects{e.tail}, rotate)
	if err != nil {
		return ref{}, err
	}
	r := ref{num: number}
	if e.forms == nil {
		e.forms = map[formKey]ref{}
	}
	e.forms[key] = r
	return r, nil
}

// stamps repeats the appearance as annotations that are no fields.
func (e *edit) stamps(boxes []Box) error {
	for _, b := range boxes {
		look, page, err := e.look(b, e.appearance)
		if err != nil {
			return err
		}
		r := e.tail.allocate()
		d := append([]byte("<</Type/Annot/Subtype/Stamp/F 196"), look...)
		d = append(append(d, "/P "...), page.bytes()...)
		e.tail.object(r, append(d, ">>"...))
		e.annotate(page, r)
	}
	return nil
}

// look returns the entries that place a box and show its appearance, and the page.
func (e *edit) look(b Box, appearance func(width, height float64, rotate int) (ref, error)) ([]byte, ref, error) {
	p, err := e.page(b.Page)
	if err != nil {
		return nil, ref{}, err
	}
	if b, err = p.info.Place(b); err != nil {
		return nil, ref{}, err
	}
	form, err := appearance(b.URX-b.LLX, b.URY-b.LLY, p.info.Rotate)
	if err != nil {
		return nil, ref{}, err
	}
	r := p.info.ToUser(b)
	var out bytes.Buffer
	fmt.Fprintf(&out, "/Rect[%s %s %s %s]/AP<</N %s>>", num(r.LLX), num(r.LLY), num(r.URX), num(r.URY), form.bytes())
	if p.info.Rotate != 0 {
		fmt.Fprintf(&out, "/MK<</R %d>>", p.info.Rotate)
	}
	return out.Bytes(), p.ref, nil
}
