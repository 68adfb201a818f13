package pdf

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
)

// OnlyValidation tells whether what stands in a file behind an offset, the end of one of
// its revisions, adds nothing but validation data (the document security store) and
// document time-stamps that do not show. Every reader still shows the document as it was: no
// object that the revision knows or names has changed but in the places that list
// those two. Whatever is not understood is a change. The file may be hostile; an error means
// that the revision or the file can not be read.
func OnlyValidation(ctx context.Context, r io.ReaderAt, from, size int64, limits Limits) (bool, error) {
	limits = limits.withDefaults()
	ctx, cancel := context.WithTimeoutCause(ctx, limits.Time, tooComplex("reading it takes more than %s", limits.Time))
	defer cancel()
	out, err := guarded(ctx, func(ctx context.Context) (bool, error) {
		in := gate{ctx: ctx, r: r}
		before, err := open(ctx, io.NewSectionReader(in, 0, from), from, limits)
		if err != nil {
			return false, err
		}
		after, err := open(ctx, in, size, limits)
		if err != nil {
			return false, err
		}
		if after.startXRef == before.startXRef || !endsClean(after.end) {
			return false, nil // bytes that are no update
		}
		c := &comparison{before: before, after: after, changed: map[int64]bool{}, added: map[int64]bool{}, stores: map[int64]bool{}}
		return c.run()
	})
	if err != nil {
		return false, fmt.Errorf("compare revisions: %w", err)
	}
	return out, nil
}

// comparison is of a revision with a later one.
type comparison struct {
	before, after *file
	names         map[string]bool // of the fields before
	changed       map[int64]bool  // objects of before that are others now, until they are found harmless
	added         map[int64]bool  // objects that before does not have
	stores        map[int64]bool  // changed objects that are allowed to change as parts of the security store only
}

// endsClean tells whether nothing stands behind the last end mark.
func endsClean(end []byte) bool {
	return bytes.HasSuffix(bytes.TrimRight(end, "\x00\t\n\f\r "), []byte("%%EOF"))
}

func (c *comparison) run() (bool, error) {
	if !c.trailers() || !c.tables() {
		return false, nil
	}
	fm, err := c.before.form()
	if err != nil {
		return false, err
	}
	c.names = map[string]bool{}
	for _, name := range fm.names {
		c.names[name] = true
	}
	ok, err := c.catalogs(fm.catalog)
	if !ok || err != nil {
		return false, err
	}
	for num := range c.changed {
		if ok, err := c.lists(num); !ok || err != nil {
			return false, err
		}
	}
	return c.references(fm.catalog.ref)
}

// trailers compares what the trailers name.
func (c *comparison) trailers() bool {
	for _, key := range []string{"Root", "Info", "Encrypt"} {
		if !bytes.Equal(c.before.trailer.get(key).raw, c.after.trailer.get(key).raw) {
			return false
		}
	}
	return c.before.base == c.after.base && !c.after.trailer.repeats()
}

// tables finds the objects that differ. None may have gone, and none that was there may
// have stood in bytes that came later.
func (c *comparison) tables() bool {
	for _, old := range c.before.xrefs {
		if old.kind == xrefInUse && old.at+c.before.base >= c.before.size {
			return false
		}
		x, ok := c.after.xrefs.find(int64(old.num))
		switch {
		case old.kind == xrefFree:
			if ok && x.kind != xrefFree {
				c.added[int64(old.num)] = true
			}
		case !ok || x.kind == xrefFree:
			return false
		case x != old:
			c.changed[int64(old.num)] = true
		}
	}
	for _, x := range c.after.xrefs {
		if _, ok := c.before.xrefs.find(int64(x.num)); !ok && x.kind != xrefFree {
			c.added[int64(x.num)] = true
		}
	}
	return true
}

// catalogs compares the catalogs, and what may differ in them.
func (c *comparison) catalogs(before object) (bool, error) {
	after, err := c.after.catalog()
	if err != nil || !sameBut(before.dict, after.dict, "DSS", "AcroForm", "Extensions") {
		return false, err
	}
	delete(c.changed, before.ref.num)
	for _, part := range []struct {
		key     string
		compare func(old, now value, depth int) (bool, error)
	}{{"Extensions", c.extensions}, {"DSS", c.store}, {"AcroForm", c.form}} {
		if ok, err := part.compare(before.dict.get(part.key), after.dict.get(part.key), 0); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// sameBut tells whether dictionaries are equal but for some keys.
func sameBut(old, now *dict, keys ...string) bool {
	rest := func(d *dict) (out []string) {
		if d == nil {
			return nil
		}
		for i := range d.entries {
			e := &d.entries[i]
			if name := e.name(); !slices.Contains(keys, name) {
				out = append(out, name+" "+string(e.val.raw))
			}
		}
		slices.Sort(out)
		return out
	}
	return (now == nil || !now.repeats()) && slices.Equal(rest(old), rest(now))
}

// pair resolves the old and the new value of the same place. An object of its own stays
// the same object, or is one that did not exist.
func (c *comparison) pair(old, now value) (before, after object, ok bool, err error) {
	if before, err = c.before.resolve(old); err != nil {
		return before, after, false, err
	}
	if after, err = c.after.resolve(now); err != nil {
		return before, after, false, err
	}
	kept := after.ref == before.ref || after.ref.num == 0 || c.added[after.ref.num]
	return before, after, kept, nil
}

// extensions may be anything that names nothing: they say which versions a file uses.
func (c *comparison) extensions(old, now value, _ int) (bool, error) {
	_, after, ok, err := c.pair(old, now)
	if err != nil || !ok {
		return false, err
	}
	c.settle(after)
	return len(after.refs(nil)) == 0, nil
}

// settle takes a changed object for a part of the security store or of the extensions,
// which nothing else may name.
func (c *comparison) settle(obj object) {
	if c.changed[obj.ref.num] {
		delete(c.changed, obj.ref.num)
		c.stores[obj.ref.num] = true
	}
}

// storeDepth is how deep a security store goes: the store, VRI, an entry of it, its lists, their streams.
const storeDepth = 5

// store compares a part of the security store: dictionaries and lists may change at will,
// streams that were there may not.
func (c *comparison) store(old, now value, depth int) (bool, error) {
	before, after, ok, err := c.pair(old, now)
	if err != nil || !ok || depth > storeDepth {
		return false, err
	}
	changed := c.changed[after.ref.num]
	if after.stream >= 0 {
		return !changed, nil
	}
	if changed && before.kind != after.kind {
		return false, nil
	}
	switch after.kind {
	case kindDict:
		if after.dict.repeats() {
			return false, nil
		}
		for i := range after.dict.entries {
			e := &after.dict.entries[i]
			if ok, err := c.store(before.dict.get(e.name()), e.val, depth+1); !ok || err != nil {
				return false, err
			}
		}
	case kindArray:
		// Items are compared with what their own objects were.
		for _, item := range after.list() {
			was := value{}
			if r, ok := item.ref(); ok && !c.added[r.num] {
				was = item
			}
			if ok, err := c.store(was, item, depth+1); !ok || err != nil {
				return false, err
			}
		}
	}
	c.settle(after)
	return true, nil
}

// form compares the interactive form: document time-stamps may have been added to it.
func (c *comparison) form(old, now value, _ int) (bool, error) {
	before, after, ok, err := c.pair(old, now)
	if err != nil || !ok || !sameBut(before.dict, after.dict, "Fields", "SigFlags") {
		return false, err
	}
	if after.kind != kindDict {
		return before.kind == after.kind && bytes.Equal(before.raw, after.raw), nil
	}
	was, _ := before.dict.get("SigFlags").integer()
	flags := after.dict.get("SigFlags")
	if is, ok := flags.integer(); flags.kind != kindNull && (!ok || is != was && is != was|3) {
		return false, nil
	}
	delete(c.changed, after.ref.num)
	return c.grown(before.dict.get("Fields"), after.dict.get("Fields"))
}

// lists takes a changed object for a page or a list to which time-stamps were added.
func (c *comparison) lists(num int64) (bool, error) {
	x, _ := c.after.xrefs.find(num)
	v := value{kind: kindRef, num: num, gen: x.gen}
	before, after, ok, err := c.pair(v, v)
	if err != nil || !ok || before.kind != after.kind || before.stream >= 0 || after.stream >= 0 {
		return false, err
	}
	switch {
	case after.kind == kindArray:
		return c.grown(v, v)
	case after.kind == kindDict && before.dict.get("Type").name() == "Page":
		if !sameBut(before.dict, after.dict, "Annots") {
			return false, nil
		}
		return c.grown(before.dict.get("Annots"), after.dict.get("Annots"))
	}
	return false, nil
}

// grown tells whether a list is what it was, with document time-stamps behind.
func (c *comparison) grown(old, now value) (bool, error) {
	before, after, ok, err := c.pair(old, now)
	if err != nil || !ok || len(after.list()) < len(before.list()) {
		return false, err
	}
	if after.kind != kindArray {
		return before.kind == after.kind && bytes.Equal(before.raw, after.raw), nil
	}
	if before.kind != kindArray && before.kind != kindNull {
		return false, nil
	}
	for i, item := range after.list() {
		if i < len(before.list()) {
			if !bytes.Equal(item.raw, before.list()[i].raw) {
				return false, nil
			}
			continue
		}
		if ok, err := c.timestamp(item); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// timestamp tells whether an added field is that of a document time-stamp and does not show.
func (c *comparison) timestamp(v value) (bool, error) {
	r, ok := v.ref()
	if !ok || !c.added[r.num] {
		return false, nil
	}
	field, err := c.after.load(r)
	if err != nil || field.kind != kindDict || field.stream >= 0 || field.dict.repeats() {
		return false, err
	}
	known := []string{"Type", "Subtype", "FT", "T", "V", "F", "Ff", "Rect", "P", "AP", "DR"}
	for i := range field.dict.entries {
		if !slices.Contains(known, field.dict.entries[i].name()) {
			return false, nil
		}
	}
	rect, _, err := c.after.rect(field.dict.get("Rect"))
	if err != nil || rect.Width() != 0 || rect.Height() != 0 {
		return false, err
	}
	name, err := c.after.resolve(field.dict.get("T"))
	if err != nil {
		return false, err
	}
	text, err := c.after.text(name.value)
	if err != nil || c.names[text] || field.dict.get("FT").name() != "Sig" {
		return false, err
	}
	signature, ok := field.dict.get("V").ref()
	if !ok || !c.added[signature.num] {
		return false, nil
	}
	obj, err := c.after.load(signature)
	return err == nil && obj.dict.get("Type").name() == "DocTimeStamp", err
}

// references makes sure that nothing in the old revision names an object that was added, which
// would come to life, and nothing but the security store what changed in the store. It reads
// every object, so it also sees that each ends within the revision.
func (c *comparison) references(catalog ref) (bool, error) {
	inStore := map[int64]bool{}
	root, err := c.before.load(catalog)
	if err != nil {
		return false, err
	}
	if err := c.before.storeObjects(root.dict.get("DSS"), inStore, 0); err != nil {
		return false, err
	}
	check := func(v value, store bool) bool {
		return !slices.ContainsFunc(v.refs(nil), func(num int64) bool { return c.added[num] || !store && c.stores[num] })
	}
	for _, x := range c.before.xrefs {
		if x.kind == xrefFree {
			continue
		}
		obj, err := c.before.load(ref{num: int64(x.num), gen: x.gen})
		if err != nil {
			return false, err
		}
		if obj.stream >= 0 {
			if _, err := c.before.streamLength(obj); err != nil {
				return false, err
			}
		}
		if obj.ref == catalog {
			for i := range obj.dict.entries {
				e := &obj.dict.entries[i]
				if !check(e.val, e.is("DSS") || e.is("Extensions")) {
					return false, nil
				}
			}
			continue
		}
		if !check(obj.value, inStore[obj.ref.num]) {
			return false, nil
		}
	}
	for i := range c.before.trailer.entries {
		if !check(c.before.trailer.entries[i].val, false) {
			return false, nil
		}
	}
	return true, nil
}

// storeObjects collects the dictionaries and lists that make up a security store.
func (f *file) storeObjects(v value, out map[int64]bool, depth int) error {
	obj, err := f.resolve(v)
	if err != nil || depth > storeDepth || obj.stream >= 0 || out[obj.ref.num] {
		return err
	}
	if obj.ref.num != 0 {
		out[obj.ref.num] = true
	}
	for _, item := range obj.list() {
		if err := f.storeObjects(item, out, depth+1); err != nil {
			return err
		}
	}
	if obj.dict != nil {
		for i := range obj.dict.entries {
			if err := f.storeObjects(obj.dict.entries[i].val, out, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// refs adds the numbers of all objects that a value names.
func (v value) refs(out []int64) []int64 {
	if r, ok := v.ref(); ok {
		return append(out, r.num)
	}
	for _, item := range v.list() {
		out = item.refs(out)
	}
	if v.dict != nil {
		for i := range v.dict.entries {
			out = v.dict.entries[i].val.refs(out)
		}
	}
	return out
}
