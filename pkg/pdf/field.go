package pdf

import (
	"strings"
)

// maxFields bounds the nodes of the field tree.
const maxFields = 50_000

// Field is a signature field of a document.
type Field struct {
	// Name is the full name, its parts joined by points.
	Name string
	// Signed tells whether the field holds a signature.
	Signed bool
	// Box is where the field shows; it is empty and on page 0 when it does not show.
	Box Box
	// Lock is what signing the field will lock; nil when nothing.
	Lock *Lock
}

// widget is the place where a field shows. A field with one place is its own widget.
type widget struct {
	obj  object
	page ref
	rect Rect
}

// field is a signature field with its objects.
type field struct {
	name    string
	obj     object
	value   value // V, inherited where it is
	widgets []widget
}

// form is the interactive form of a document.
type form struct {
	catalog object
	obj     object   // the AcroForm dictionary; its ref is zero when it is direct
	exists  bool     // there is an AcroForm
	fields  []field  // signature fields only
	names   []string // full names of all fields and their groups
}

// node is a field or one of its widgets in the field tree.
type node struct {
	name  string // of the field
	kind  string
	value value // V, inherited where it is
}

// form reads the field tree.
func (f *file) form() (*form, error) { return f.formNodes(nil) }

// formNodes reads the field tree and notes its nodes by their object numbers, where a map is given.
func (f *file) formNodes(nodes map[int64]node) (*form, error) {
	catalog, err := f.catalog()
	if err != nil {
		return nil, err
	}
	out := &form{catalog: catalog}
	if out.obj, err = f.resolve(catalog.dict.get("AcroForm")); err != nil {
		return nil, err
	}
	if out.obj.kind != kindDict {
		return out, nil
	}
	out.exists = true
	fields, err := f.resolve(out.obj.dict.get("Fields"))
	if err != nil {
		return nil, err
	}
	w := fieldWalk{file: f, form: out, seen: map[int64]bool{}, nodes: nodes}
	for _, v := range fields.list() {
		if err := w.node(v, fieldContext{}, 0); err != nil {
			return nil, err
		}
	}
	return out, nil
}

type fieldWalk struct {
	file  *file
	form  *form
	seen  map[int64]bool
	nodes map[int64]node
}

// fieldContext is what a field takes from the fields above it.
type fieldContext struct {
	parts []string
	kind  string
	value value
}

func (w *fieldWalk) node(v value, above fieldContext, depth int) error {
	f := w.file
	r, ok := v.ref()
	if !ok {
		return nil // fields must be objects of their own; what is not can't be signed
	}
	switch {
	case w.seen[r.num]:
		return broken("its form fields go in a circle")
	case depth > f.limits.Depth:
		return tooComplex("its form fields are more than %d levels deep", f.limits.Depth)
	case len(w.seen) >= maxFields:
		return tooComplex("it has more than %d form fields", maxFields)
	}
	w.seen[r.num] = true
	obj, err := f.load(r)
	if err != nil || obj.kind != kindDict {
		return err
	}
	below, err := w.below(obj, above)
	if err != nil {
		return err
	}
	name := strings.Join(below.parts, ".")
	if err := f.keep(len(name)); err != nil {
		return err
	}
	w.form.names = append(w.form.names, name)
	kids, err := f.resolve(obj.dict.get("Kids"))
	if err != nil {
		return err
	}
	terminal, err := w.terminal(kids)
	if err != nil {
		return err
	}
	if w.nodes != nil {
		w.nodes[r.num] = node{name, below.kind, below.value}
		for _, kid := range kids.list() {
			if r, ok := kid.ref(); ok && terminal {
				w.nodes[r.num] = node{name, below.kind, below.value}
			}
		}
	}
	if !terminal {
		for _, kid := range kids.list() {
			if err := w.node(kid, below, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	if below.kind != "Sig" {
		return nil
	}
	out := field{name: name, obj: obj, value: below.value}
	if out.widgets, err = w.widgets(obj, kids); err != nil {
		return err
	}
	w.form.fields = append(w.form.fields, out)
	return nil
}

func (w *fieldWalk) below(obj object, above fieldContext) (fieldContext, error) {
	out := above
	name, err := w.file.resolve(obj.dict.get("T"))
	if err != nil {
		return out, err
	}
	if name.kind == kindString || name.kind == kindHexString {
		text, err := w.file.text(name.value)
		if err != nil {
			return out, err
		}
		out.parts = append(append([]string(nil), above.parts...), text)
	}
	kind, err := w.file.resolve(obj.dict.get("FT"))
	if err != nil {
		return out, err
	}
	if kind.kind == kindName {
		out.kind = kind.name()
	}
	if v := obj.dict.get("V"); v.kind != kindNull {
		out.value = v
	}
	return out, nil
}

// terminal tells whether the kids of a field are no fields themselves: those have a name.
func (w *fieldWalk) terminal(kids object) (bool, error) {
	for _, kid := range kids.list() {
		obj, err := w.file.resolve(kid)
		if err != nil {
			return false, err
		}
		if obj.kind == kindDict && (obj.dict.get("T").kind != kindNull || obj.dict.get("Kids").kind != kindNull) {
			return false, nil
		}
	}
	return true, nil
}

func (w *fieldWalk) widgets(obj object, kids object) ([]widget, error) {
	candidates := []object{obj}
	for _, kid := range kids.list() {
		r, ok := kid.ref()
		if !ok || w.seen[r.num] {
			continue
		}
		w.seen[r.num] = true
		o, err := w.file.load(r)
		if err != nil {
			return nil, err
		}
		candidates = append(candidates, o)
	}
	var out []widget
	for _, o := range candidates {
		if o.kind != kindDict || o.dict.get("Subtype").name() != "Widget" {
			continue
		}
		rect, _, err := w.file.rect(o.dict.get("Rect"))
		if err != nil {
			return nil, err
		}
		page, _ := o.dict.get("P").ref()
		out = append(out, widget{obj: o, page: page, rect: rect})
	}
	return out, nil
}

// locate finds the pages of the widgets of a field: they name them, mostly.
func (e *edit) locate(fl *field) error {
	for _, w := range fl.widgets {
		_, ok, err := e.file.pageOf(w.page)
		if err != nil {
			return err
		}
		if ok {
			continue
		}
		pages, err := e.allPages()
		if err != nil {
			return err
		}
		return e.file.findPages([]field{*fl}, pages)
	}
	return nil
}

// findPages fills in the pages of widgets that do not name theirs, by looking
// through the annotations of all pages.
func (f *file) findPages(fields []field, pages []page) error {
	known := make(map[ref]bool, len(pages))
	for _, p := range pages {
		known[p.ref] = true
	}
	lost := map[ref]*widget{}
	for _, fl := range fields {
		for j := range fl.widgets {
			if w := &fl.widgets[j]; !known[w.page] {
				w.page = ref{}
				lost[w.obj.ref] = w
			}
		}
	}
	for _, p := range pages {
		if len(lost) == 0 {
			return nil
		}
		obj, err := f.load(p.ref)
		if err != nil {
			return err
		}
		annots, err := f.resolve(obj.dict.get("Annots"))
		if err != nil {
			return err
		}
		for _, v := range annots.list() {
			if r, ok := v.ref(); ok && lost[r] != nil {
				lost[r].page = p.ref
				delete(lost, r)
			}
		}
	}
	return nil
}

// signed returns the signature dictionary of a field, if it has one.
func (f *file) signed(fl field) (object, bool, error) {
	obj, err := f.resolve(fl.value)
	return obj, err == nil && obj.kind == kindDict, err
}
