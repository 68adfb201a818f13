package pdf

import (
	"fmt"
	"slices"
)

// certification returns the DocMDP level of the document: 0 without certification,
// 1 no change, 2 forms and signatures, 3 annotations too.
func (f *file) certification(catalog object) (int, error) {
	perms, err := f.resolve(catalog.dict.get("Perms"))
	if err != nil || perms.kind != kindDict {
		return 0, err
	}
	sig, err := f.resolve(perms.dict.get("DocMDP"))
	if err != nil || sig.kind != kindDict {
		return 0, err
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
	return level, err
}

// transforms calls do for each transform method of a signature.
func (f *file) transforms(sig object, do func(method string, parms *dict) error) error {
	refs, err := f.resolve(sig.dict.get("Reference"))
	if err != nil {
		return err
	}
	for _, v := range refs.list {
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

// permit refuses a change that an earlier signature forbids: signing the field
// of that name, and adding stamps.
func (f *file) permit(fm *form, name string, stamps bool) error {
	level, err := f.certification(fm.catalog)
	if err != nil {
		return err
	}
	switch {
	case level == 1:
		return fmt.Errorf("%w: the document is certified against every change; use an uncertified copy", ErrNotPermitted)
	case level == 2 && stamps:
		return fmt.Errorf("%w: the document is certified against annotations; place the signature on one page only", ErrNotPermitted)
	}
	for _, fl := range fm.fields {
		sig, ok, err := f.signed(fl)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if err := f.transforms(sig, func(method string, parms *dict) error {
			if method != "FieldMDP" {
				return nil
			}
			return f.permitLock(parms, name)
		}); err != nil {
			return err
		}
		lock, err := f.resolve(fl.obj.dict.get("Lock"))
		if err != nil {
			return err
		}
		if p, ok := lock.dict.get("P").integer(); ok && p == 1 {
			return fmt.Errorf("%w: the signature of field %q locks the document; use a copy without it", ErrNotPermitted, fl.name)
		}
	}
	return nil
}

func (f *file) permitLock(parms *dict, name string) error {
	fields, err := f.resolve(parms.get("Fields"))
	if err != nil {
		return err
	}
	listed := slices.ContainsFunc(fields.list, func(v value) bool { return v.text() == name })
	action := parms.get("Action").name()
	if action == "All" || action == "Include" && listed || action == "Exclude" && !listed {
		return fmt.Errorf("%w: an earlier signature locks the field %q; use another field", ErrNotPermitted, name)
	}
	return nil
}
