package pdf

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
)

// Request describes the signature to prepare.
type Request struct {
	// Field is the name of an existing blank signature field; empty adds a new field.
	Field string
	// FieldName is the beginning of a new field's name, "Signature" when empty; a
	// number that makes it unique follows.
	FieldName string
	// Boxes are where the signature shows; none, or empty ones, make it invisible. The first is the
	// new field's, the others repeat its appearance as stamps. With Field the first box is
	// that of the existing field, whose own place counts, and only the others are stamped.
	Boxes []Box
	// Appearance is what shows. With Field, an empty one leaves the field as it looks.
	Appearance Appearance
	// Name, Reason, Location and Contact go into the signature dictionary.
	Name, Reason, Location, Contact string
	// Time is the claimed time of signing; zero leaves it out.
	Time time.Time
	// Reserve is the number of bytes kept free for the signature.
	Reserve int
}

// Update is what one signature adds to a file.
type Update struct {
	// Tail is to be written behind the original.
	Tail []byte
	// ByteRange says which bytes of the original with the tail are signed: offset and
	// length of the part before the signature, offset and length of the part behind it.
	ByteRange [4]int64
	// ContentsOffset is the offset of the first byte left out, the "<" of the signature.
	ContentsOffset int64
	// FieldName is the full name of the signed field.
	FieldName string
	// Signatures is the number of signatures with this one.
	Signatures int

	size int64 // of the original
}

// Before returns the signed bytes of the tail in front of the signature.
func (u *Update) Before() []byte { return u.Tail[:u.ContentsOffset-u.size] }

// After returns the signed bytes of the tail behind the signature.
func (u *Update) After() []byte { return u.Tail[u.ByteRange[2]-u.size:] }

// Fill puts the signature into the reserved space; with [ErrContentsTooSmall] the
// tail is unchanged.
func (u *Update) Fill(signature []byte) error {
	space := u.Tail[u.ContentsOffset-u.size+1 : u.ByteRange[2]-u.size-1]
	if need := hex.EncodedLen(len(signature)); need > len(space) {
		return fmt.Errorf("%w: %d bytes for %d", ErrContentsTooSmall, len(space)/2, len(signature))
	}
	for i := hex.Encode(space, signature); i < len(space); i++ {
		space[i] = '0'
	}
	return nil
}

// Prepare makes the update that adds one signature field, or fills a blank one. It
// only reads the original; the result is what is to be appended.
func Prepare(ctx context.Context, r io.ReaderAt, size int64, limits Limits, req Request) (*Update, error) {
	limits = limits.withDefaults()
	update, err := prepare(ctx, r, size, limits, req)
	if err != nil {
		return nil, fmt.Errorf("prepare signature: %w", err)
	}
	return update, nil
}

func prepare(ctx context.Context, r io.ReaderAt, size int64, limits Limits, req Request) (u *Update, err error) {
	defer func() {
		if recover() != nil {
			u, err = nil, broken("reading it fails")
		}
	}()
	req.Boxes = slices.DeleteFunc(slices.Clone(req.Boxes), Box.Empty)
	f, err := open(ctx, r, size, limits)
	if err != nil {
		return nil, err
	}
	pages, err := f.pages()
	if err != nil {
		return nil, err
	}
	fm, err := f.form()
	if err != nil {
		return nil, err
	}
	t, err := newTail(f, req.Time)
	if err != nil {
		return nil, err
	}
	e := &edit{file: f, form: fm, pages: pages, tail: t, req: req, forms: map[formKey]ref{}, annots: map[int][]ref{}}
	return e.run()
}

// edit collects the changes of one update.
type edit struct {
	file   *file
	form   *form
	pages  []page
	tail   *tail
	req    Request
	forms  map[formKey]ref // appearance streams made so far
	annots map[int][]ref   // new annotations by page index
}

// formKey tells which boxes can share an appearance stream.
type formKey struct {
	width, height float64
	rotate        int
}

func (e *edit) run() (*Update, error) {
	signature := e.tail.allocate()
	var name string
	var own *field
	var err error
	if e.req.Field != "" {
		own, err = e.fill(signature)
		name = e.req.Field
	} else {
		name, err = e.add(signature)
	}
	if err != nil {
		return nil, err
	}
	if err := e.writeAnnots(); err != nil {
		return nil, err
	}
	reference, err := e.lockReference(own)
	if err != nil {
		return nil, err
	}
	contents := e.tail.signature(signature, e.req, reference)
	if err := e.tail.finish(); err != nil {
		return nil, err
	}
	u := &Update{Tail: e.tail.out.Bytes(), FieldName: name, size: e.file.size, Signatures: 1}
	for _, fl := range e.form.fields {
		if _, ok, err := e.file.signed(fl); err != nil {
			return nil, err
		} else if ok {
			u.Signatures++
		}
	}
	u.ContentsOffset = e.file.size + int64(contents)
	second := u.ContentsOffset + int64(2*e.req.Reserve) + 2
	u.ByteRange = [4]int64{0, u.ContentsOffset, second, e.file.size + int64(len(u.Tail)) - second}
	e.tail.writeByteRange(u.ByteRange)
	return u, nil
}

// add makes a new field with its widget, which are one object.
func (e *edit) add(signature ref) (string, error) {
	name := e.newName()
	if err := e.file.permit(e.form, name, len(e.req.Boxes) > 1); err != nil {
		return "", err
	}
	widget := e.tail.allocate()
	var d bytes.Buffer
	d.WriteString("<</Type/Annot/Subtype/Widget/FT/Sig/T ")
	d.Write(textString(name))
	d.WriteString("/V ")
	d.Write(signature.bytes())
	d.WriteString("/F 132")
	index := 0
	if len(e.req.Boxes) > 0 {
		look, i, err := e.look(e.req.Boxes[0])
		if err != nil {
			return "", err
		}
		index = i
		d.Write(look)
	} else {
		d.WriteString("/Rect[0 0 0 0]")
	}
	d.WriteString("/P ")
	d.Write(e.pages[index].ref.bytes())
	d.WriteString(">>")
	e.tail.object(widget, d.Bytes())
	e.annots[index] = append(e.annots[index], widget)
	if len(e.req.Boxes) > 1 {
		if err := e.stamps(e.req.Boxes[1:]); err != nil {
			return "", err
		}
	}
	return name, e.register(&widget)
}

// newName finds a name that no field has.
func (e *edit) newName() string {
	prefix := e.req.FieldName
	if prefix == "" {
		prefix = "Signature"
	}
	for n := 1; ; n++ {
		if name := prefix + strconv.Itoa(n); !e.form.names[name] {
			return name
		}
	}
}

// look returns the entries that place a box and show the appearance, and the page index.
func (e *edit) look(b Box) ([]byte, int, error) {
	if b.Page < 1 || b.Page > len(e.pages) {
		return nil, 0, fmt.Errorf("%w: page %d of %d", ErrPageRange, b.Page, len(e.pages))
	}
	info := e.pages[b.Page-1].info
	b, err := info.Place(b)
	if err != nil {
		return nil, 0, err
	}
	form, err := e.appearance(b.URX-b.LLX, b.URY-b.LLY, info.Rotate)
	if err != nil {
		return nil, 0, err
	}
	r := info.ToUser(b)
	var out bytes.Buffer
	fmt.Fprintf(&out, "/Rect[%s %s %s %s]/AP<</N %s>>", num(r.LLX), num(r.LLY), num(r.URX), num(r.URY), form.bytes())
	if info.Rotate != 0 {
		fmt.Fprintf(&out, "/MK<</R %d>>", info.Rotate)
	}
	return out.Bytes(), b.Page - 1, nil
}

// appearance returns the appearance stream for a box of that size, writing it when it is the first.
func (e *edit) appearance(width, height float64, rotate int) (ref, error) {
	key := formKey{round(width), round(height), rotate}
	if r, ok := e.forms[key]; ok {
		return r, nil
	}
	a := e.req.Appearance
	if a.empty() && e.req.Name != "" {
		a.Lines = []string{e.req.Name}
	}
	r, err := a.write(e.tail, key)
	if err != nil {
		return ref{}, err
	}
	e.forms[key] = r
	return r, nil
}

// stamps repeats the appearance as annotations that are no fields.
func (e *edit) stamps(boxes []Box) error {
	for _, b := range boxes {
		look, index, err := e.look(b)
		if err != nil {
			return err
		}
		r := e.tail.allocate()
		d := append([]byte("<</Type/Annot/Subtype/Stamp/F 196"), look...)
		d = append(d, "/P "...)
		d = append(d, e.pages[index].ref.bytes()...)
		e.tail.object(r, append(d, ">>"...))
		e.annots[index] = append(e.annots[index], r)
	}
	return nil
}

// register lists a new field in the form, making the form where there is none, and
// says that the document has signatures.
func (e *edit) register(added *ref) error {
	fm := e.form
	if !fm.exists {
		r := e.tail.allocate()
		e.tail.object(r, []byte("<</Fields["+string(added.bytes())+"]/SigFlags 3>>"))
		e.tail.object(fm.catalog.ref, fm.catalog.dict.with(set{"AcroForm", r.bytes()}))
		return nil
	}
	var sets []set
	flags, _ := fm.obj.dict.get("SigFlags").integer()
	if flags&3 != 3 {
		sets = append(sets, set{"SigFlags", strconv.AppendInt(nil, flags|3, 10)})
	}
	if added != nil {
		change, err := e.extend(fm.obj.dict.get("Fields"), []ref{*added})
		if err != nil {
			return err
		}
		if change != nil {
			sets = append(sets, set{"Fields", change})
		}
	}
	if len(sets) == 0 {
		return nil
	}
	changed := fm.obj.dict.with(sets...)
	if fm.obj.ref.num != 0 {
		e.tail.object(fm.obj.ref, changed)
		return nil
	}
	e.tail.object(fm.catalog.ref, fm.catalog.dict.with(set{"AcroForm", changed}))
	return nil
}

// extend adds references to an array. An array that is an object of its own is
// written anew; for a direct one the new bytes are returned.
func (e *edit) extend(v value, added []ref) ([]byte, error) {
	obj, err := e.file.resolve(v)
	if err != nil {
		return nil, err
	}
	out := []byte{'['}
	if obj.kind == kindArray {
		out = append(out, obj.raw[1:len(obj.raw)-1]...)
		if bytes.IndexByte(obj.raw, '%') >= 0 {
			out = append(out, '\n') // the array may end in a comment
		}
	}
	for _, r := range added {
		out = append(out, ' ')
		out = append(out, r.bytes()...)
	}
	out = append(out, ']')
	if obj.kind == kindArray && obj.ref.num != 0 {
		e.tail.object(obj.ref, out)
		return nil, nil
	}
	return out, nil
}

// writeAnnots adds the new annotations to their pages.
func (e *edit) writeAnnots() error {
	indexes := make([]int, 0, len(e.annots))
	for i := range e.annots {
		indexes = append(indexes, i)
	}
	slices.Sort(indexes)
	for _, i := range indexes {
		obj, err := e.file.load(e.pages[i].ref)
		if err != nil {
			return err
		}
		change, err := e.extend(obj.dict.get("Annots"), e.annots[i])
		if err != nil {
			return err
		}
		if change != nil {
			e.tail.object(obj.ref, obj.dict.with(set{"Annots", change}))
		}
	}
	return nil
}

// fill signs the blank field that the request names.
func (e *edit) fill(signature ref) (*field, error) {
	fl, err := e.blank(e.req.Field)
	if err != nil {
		return nil, err
	}
	if err := e.file.permit(e.form, fl.name, len(e.req.Boxes) > 1); err != nil {
		return nil, err
	}
	fields := []field{*fl}
	if err := e.file.findPages(fields, e.pages); err != nil {
		return nil, err
	}
	sets := []set{{"V", signature.bytes()}}
	for _, w := range fl.widgets {
		look, err := e.widgetLook(w)
		if err != nil {
			return nil, err
		}
		if w.obj.ref == fl.obj.ref {
			sets = append(sets, look...)
		} else if len(look) > 0 {
			e.tail.object(w.obj.ref, w.obj.dict.with(look...))
		}
	}
	e.tail.object(fl.obj.ref, fl.obj.dict.with(sets...))
	if len(e.req.Boxes) > 1 {
		if err := e.stamps(e.req.Boxes[1:]); err != nil {
			return nil, err
		}
	}
	return fl, e.register(nil)
}

// blank finds a signature field that is not signed.
func (e *edit) blank(name string) (*field, error) {
	i := slices.IndexFunc(e.form.fields, func(fl field) bool { return fl.name == name })
	if i < 0 {
		return nil, fmt.Errorf("%w: %q; use the full name of a signature field of the document", ErrFieldNotFound, name)
	}
	fl := &e.form.fields[i]
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
	if e.req.Appearance.empty() || w.rect.Width() <= 0 || w.rect.Height() <= 0 {
		return nil, nil
	}
	info := PageInfo{UserUnit: 1}
	for _, p := range e.pages {
		if p.ref == w.page {
			info = p.info
		}
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

// lockReference returns the FieldMDP reference that a filled field's lock asks for.
func (e *edit) lockReference(fl *field) ([]byte, error) {
	if fl == nil {
		return nil, nil
	}
	lock, err := e.file.resolve(fl.obj.dict.get("Lock"))
	if err != nil || lock.kind != kindDict {
		return nil, err
	}
	action, err := e.file.resolve(lock.dict.get("Action"))
	if err != nil || action.kind != kindName {
		return nil, errors.Join(err)
	}
	out := []byte("/Reference[<</Type/SigRef/TransformMethod/FieldMDP/TransformParams<</Type/TransformParams/V/1.2/Action")
	out = append(out, action.raw...)
	if fields := lock.dict.get("Fields"); fields.kind != kindNull {
		out = append(out, "/Fields "...)
		out = append(out, fields.raw...)
	}
	return append(out, ">>>>]"...), nil
}
