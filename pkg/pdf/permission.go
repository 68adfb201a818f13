package pdf

import (
	"fmt"
	"slices"
	"strings"
)

// rules is what the signatures of a document leave open.
type rules struct {
	// level is what is allowed in the whole document: 0 everything, 1 no change, 2 forms and
	// signatures, 3 annotations too. Document time-stamps and validation data are always
	// allowed (ISO 32000-2, table 257).
	level   int
	by      string // who says so
	locks   []Lock // of fields
	signed  int    // number of signatures
	stamped bool   // there are document time-stamps
	crypt   *crypt // has the permissions of an encrypted file; nil for others
}

// restrict takes the stricter of two levels.
func (r *rules) restrict(level int64, by string) {
	if level >= 1 && level <= 3 && (r.level == 0 || int(level) < r.level) {
		r.level, r.by = int(level), by
	}
}

// rules reads what the certification and each signature of the document forbid.
func (f *file) rules(fm *form) (rules, error) {
	out := rules{crypt: f.crypt}
	level, _, err := f.certification(fm.catalog)
	if err != nil {
		return out, err
	}
	out.restrict(int64(level), "the document is certified")
	found := 0
	for _, fl := range fm.fields {
		sig, ok, err := f.signed(fl)
		if err != nil {
			return out, err
		}
		if !ok {
			continue
		}
		if found++; found > maxSignatures {
			return out, tooComplex("it has more than %d signatures", maxSignatures)
		}
		if sig.dict.get("Type").name() == "DocTimeStamp" {
			out.stamped = true
		} else {
			out.signed++
		}
		by := fmt.Sprintf("the signature of field %q locks the document", fl.name)
		if err := f.transforms(sig, func(method string, parms *dict) error {
			switch method {
			case "DocMDP":
				p, _ := parms.get("P").integer()
				out.restrict(p, by)
			case "FieldMDP":
				lock, err := f.lock(parms)
				if err != nil || lock == nil {
					return err
				}
				out.locks = append(out.locks, *lock)
			}
			return nil
		}); err != nil {
			return out, err
		}
		lock, err := f.resolve(fl.obj.dict.get("Lock"))
		if err != nil {
			return out, err
		}
		p, _ := lock.dict.get("P").integer()
		out.restrict(p, by)
	}
	return out, nil
}

// certification returns the DocMDP level of the document, 0 without certification, and
// the signature that certifies.
func (f *file) certification(catalog object) (int, ref, error) {
	perms, err := f.resolve(catalog.dict.get("Perms"))
	if err != nil || perms.kind != kindDict {
		return 0, ref{}, err
	}
	sig, err := f.resolve(perms.dict.get("DocMDP"))
	if err != nil || sig.kind != kindDict {
		return 0, ref{}, err
	}
	level := 2
	err = f.transforms(sig, func(method string, parms *dict) error {
		if method != "DocMDP" {
			return nil
		}
		p, err := f.resolve(parms.get("P"))
		if n, ok := p.integer(); ok && n >= 1 && n <= 3 {
			level = int(n)
		}
		return err
	})
	return level, sig.ref, err
}

// transforms calls do for each transform method of a signature.
func (f *file) transforms(sig object, do func(method string, parms *dict) error) error {
	refs, err := f.resolve(sig.dict.get("Reference"))
	if err != nil {
		return err
	}
	for _, v := range refs.list() {
		r, err := f.resolve(v)
		if err != nil {
			return err
		}
		if r.kind != kindDict {
			continue
		}
		parms, err := f.resolve(r.dict.get("TransformParams"))
		if err != nil {
			return err
		}
		if err := do(r.dict.get("TransformMethod").name(), parms.dict); err != nil {
			return err
		}
	}
	return nil
}

// lock reads a lock of fields; it is nil when the action is none of the standard.
func (f *file) lock(d *dict) (*Lock, error) {
	action, err := f.resolve(d.get("Action"))
	if err != nil {
		return nil, err
	}
	out := &Lock{Action: Action(action.name())}
	if out.Action != LockAll && out.Action != LockInclude && out.Action != LockExclude {
		return nil, nil
	}
	fields, err := f.resolve(d.get("Fields"))
	if err != nil || out.Action == LockAll {
		return out, err
	}
	for _, v := range fields.list() {
		name, err := f.resolve(v)
		if err != nil {
			return nil, err
		}
		text, err := f.text(name.value)
		if err != nil {
			return nil, err
		}
		out.Fields = append(out.Fields, text)
	}
	return out, nil
}

// sign refuses to sign or to place the field of that name, to certify, and to add stamps
// where an earlier signature forbids it.
func (r rules) sign(name string, certify, stamps bool) error {
	switch {
	case r.level == 1:
		return fmt.Errorf("%w: %s against every change; use a copy without it", ErrNotPermitted, r.by)
	case r.level == 2 && stamps:
		return fmt.Errorf("%w: %s against annotations; place the signature on one page only", ErrNotPermitted, r.by)
	case certify && (r.signed > 0 || r.stamped):
		return fmt.Errorf("%w: only the first signature of a document can certify it; sign without certifying", ErrNotPermitted)
	}
	for _, l := range r.locks {
		if l.Covers(name) {
			return fmt.Errorf("%w: an earlier signature locks the field %q; use another field", ErrNotPermitted, name)
		}
	}
	return nil
}

// Covers tells whether the lock is about the field of that name or one above it.
func (l Lock) Covers(name string) bool {
	listed := slices.ContainsFunc(l.Fields, func(n string) bool { return n == name || strings.HasPrefix(name, n+".") })
	return l.Action == LockAll || listed == (l.Action == LockInclude)
}

// entries writes the entries that a lock and the parameters of FieldMDP share, and P when asked for.
func (l Lock) entries(p bool) []byte {
	out := append([]byte("/Action/"), l.Action...)
	if len(l.Fields) > 0 {
		out = append(out, "/Fields["...)
		for _, name := range l.Fields {
			out = append(out, textString(name)...)
		}
		out = append(out, ']')
	}
	if p && l.P > 0 {
		out = fmt.Appendf(out, "/P %d", l.P)
	}
	return out
}

// references returns the Reference entry of the signature dictionary: what the
// signature certifies and locks.
func (e *edit) references(signature ref, own *field) ([]byte, error) {
	var out []byte
	if e.req.Certify > 0 {
		if err := e.setIn(e.form.catalog, "Perms", set{"DocMDP", signature.bytes()}); err != nil {
			return nil, err
		}
		out = fmt.Appendf(out, "<</Type/SigRef/TransformMethod/DocMDP/TransformParams<</Type/TransformParams/V/1.2/P %d>>>>", e.req.Certify)
	}
	lock := e.req.Lock
	if lock == nil && own != nil {
		obj, err := e.file.resolve(own.obj.dict.get("Lock"))
		if err != nil {
			return nil, err
		}
		if lock, err = e.file.lock(obj.dict); err != nil {
			return nil, err
		}
	}
	if lock != nil {
		out = fmt.Appendf(out, "<</Type/SigRef/TransformMethod/FieldMDP/Data %s/TransformParams<</Type/TransformParams/V/1.2%s>>>>",
			e.form.catalog.ref.bytes(), lock.entries(false))
	}
	if out == nil {
		return nil, nil
	}
	return append(append([]byte("/Reference["), out...), ']'), nil
}

// The permissions of ISO 32000-2, table 22.
const (
	mayModify   = 1 << 3
	mayAnnotate = 1 << 5
	mayFill     = 1 << 8
)

// permitted refuses an update that the permissions of an encrypted file forbid. Who may
// annotate may also fill forms; new fields and stamps take more.
func (r rules) permitted(newFields, stamps bool) error {
	if r.crypt == nil {
		return nil
	}
	p := r.crypt.permissions
	if r.crypt.revision == 2 {
		p &^= mayFill // not known yet
	}
	switch {
	case p&(mayAnnotate|mayFill) == 0:
		return fmt.Errorf("%w: its permissions forbid to sign; have its owner allow to fill in forms", ErrNotPermitted)
	case newFields && (p&mayAnnotate == 0 || p&mayModify == 0):
		return fmt.Errorf("%w: its permissions forbid new form fields; use a blank signature field that it has, or have its owner allow changes", ErrNotPermitted)
	case stamps && p&mayAnnotate == 0:
		return fmt.Errorf("%w: its permissions forbid annotations; place the signature on one page only", ErrNotPermitted)
	}
	return nil
}
