package pdf

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strconv"
	"time"
)

// edit collects the changes of one update.
type edit struct {
	file  *file
	form  *form
	rules rules
	tail  *tail
	req   Request

	changes []change        // of objects that exist
	forms   map[formKey]ref // appearance streams made so far
	annots  map[ref][]ref   // new annotations by page
	added   []ref           // new fields
	pages   []page
}

// change is an object that exists, with the entries to be set in its dictionary.
type change struct {
	obj  object
	sets []set
}

// begin reads what every update needs to know.
func begin(ctx context.Context, r io.ReaderAt, fileSize int64, limits Limits, when time.Time, size int) (*edit, error) {
	f, err := open(ctx, r, fileSize, limits)
	if err != nil {
		return nil, err
	}
	if err := f.clean(); err != nil {
		return nil, err
	}
	fm, err := f.form()
	if err != nil {
		return nil, err
	}
	rules, err := f.rules(fm)
	if err != nil {
		return nil, err
	}
	return &edit{file: f, form: fm, rules: rules, tail: newTail(f, when, size)}, nil
}

// finish writes the changes and the cross-reference section and returns the update;
// without changes there is none.
func (e *edit) finish() ([]byte, error) {
	if err := e.writeAnnots(); err != nil {
		return nil, err
	}
	if err := e.register(); err != nil {
		return nil, err
	}
	for _, c := range e.changes {
		e.tail.object(c.obj.ref, e.file.with(c.obj.dict, c.sets...))
	}
	if len(e.tail.objects) == 0 {
		return nil, nil
	}
	if err := e.tail.finish(); err != nil {
		return nil, err
	}
	return e.tail.out, nil
}

// set changes entries of an object that exists. Each object is written once, with all
// its changes, by finish.
func (e *edit) set(obj object, sets ...set) {
	i := slices.IndexFunc(e.changes, func(c change) bool { return c.obj.ref == obj.ref })
	if i < 0 {
		e.changes = append(e.changes, change{obj: obj})
		i = len(e.changes) - 1
	}
	for _, s := range sets {
		e.changes[i].sets = append(slices.DeleteFunc(e.changes[i].sets, func(old set) bool { return old.key == s.key }), s)
	}
}

// setIn changes entries of the dictionary that stands below key in an object, making
// it where there is none. It can be used once for each direct dictionary of an update.
func (e *edit) setIn(obj object, key string, sets ...set) error {
	child, err := e.file.resolve(obj.dict.get(key))
	switch {
	case err != nil:
		return err
	case child.kind == kindDict && child.ref.num != 0:
		e.set(child, sets...)
	case child.kind == kindDict:
		e.set(obj, set{key, e.file.with(child.dict, sets...)})
	default:
		e.set(obj, set{key, e.file.with(nil, sets...)})
	}
	return nil
}

// register lists the new fields in the form, making the form where there is none, and
// says that the document has signatures.
func (e *edit) register() error {
	fm := e.form
	var sets []set
	flags, _ := fm.obj.dict.get("SigFlags").integer()
	const signaturesExist, appendOnly = 1, 2
	want := flags
	if len(e.added) > 0 {
		want |= signaturesExist
	}
	if e.tail.contents > 0 {
		want |= signaturesExist | appendOnly
	}
	if want != flags {
		sets = append(sets, set{"SigFlags", strconv.AppendInt(nil, want, 10)})
	}
	if len(e.added) > 0 {
		change, err := e.extend(fm.obj.dict.get("Fields"), e.added)
		if err != nil {
			return err
		}
		if change != nil {
			sets = append(sets, set{"Fields", change})
		}
	}
	switch {
	case len(sets) == 0:
		return nil
	case fm.exists:
		return e.setIn(fm.catalog, "AcroForm", sets...)
	}
	r := e.tail.allocate()
	e.tail.object(r, e.file.with(nil, sets...))
	e.set(fm.catalog, set{"AcroForm", r.bytes()})
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
		raw := e.file.raw(obj.value)
		out = append(out, raw[1:len(raw)-1]...)
		if bytes.IndexByte(raw, '%') >= 0 {
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
	pages := make([]ref, 0, len(e.annots))
	for r := range e.annots {
		pages = append(pages, r)
	}
	slices.SortFunc(pages, func(a, b ref) int { return int(a.num - b.num) })
	for _, r := range pages {
		obj, err := e.file.load(r)
		if err != nil {
			return err
		}
		change, err := e.extend(obj.dict.get("Annots"), e.annots[r])
		if err != nil {
			return err
		}
		if change != nil {
			e.set(obj, set{"Annots", change})
		}
	}
	return nil
}
