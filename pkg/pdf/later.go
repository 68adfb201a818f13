package pdf

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
)

// Change is what later updates of a document changed, as far as it is understood. The zero
// Change, but for Permission, is none: they add validation data (the document security
// store), document time-stamps that do not show, or what nobody sees.
type Change struct {
	// Signatures tells that signature fields were added, or blank ones signed.
	Signatures bool
	// Form tells that values of other fields were changed.
	Form bool
	// Annotations tells that annotations were added to pages.
	Annotations bool
	// Other tells that something else was changed, that the certification or a lock of the
	// earlier revision forbids the change, or that it is not understood.
	Other bool
	// Permission is what the certification of the earlier revision allows, see [Request]; 0 without one.
	Permission int
}

// None tells whether nothing was changed.
func (c Change) None() bool { return c == Change{Permission: c.Permission} }

// Compare tells what changed in a document between two ends of revisions. Unless it is
// Other, every reader still shows the pages as they were, but for the fields and annotations
// that it tells: no object that the earlier revision knows or names has changed but in the
// places that list those. The file may be hostile; an error means that a revision can not be read.
func Compare(ctx context.Context, r io.ReaderAt, from, to int64, limits Limits) (Change, error) {
	limits = limits.withDefaults()
	ctx, cancel := context.WithTimeoutCause(ctx, limits.Time, tooComplex("reading it takes more than %s", limits.Time))
	defer cancel()
	out, err := guarded(ctx, func(ctx context.Context) (Change, error) {
		in := gate{ctx: ctx, r: r}
		before, err := open(ctx, io.NewSectionReader(in, 0, from), from, limits)
		if err != nil {
			return Change{}, err
		}
		after, err := open(ctx, io.NewSectionReader(in, 0, to), to, limits)
		if err != nil {
			return Change{}, err
		}
		if _, ok, err := after.accounted(before); !ok || err != nil {
			return Change{Other: true}, err
		}
		c := &comparison{before: before, after: after, changed: map[int64]bool{}, added: map[int64]bool{}, stores: map[int64]bool{}, widgets: map[int64]bool{}, fields: map[int64]node{}, now: map[int64]node{}}
		ok, err := c.run()
		if !ok {
			c.found.Other = true
		}
		return c.found, err
	})
	if err != nil {
		return Change{}, fmt.Errorf("compare revisions: %w", err)
	}
	return out, nil
}

// Revisions returns the ends of the updates in a file behind an offset, the end of one of its
// revisions, up to another; the last of them is that one. When what stands between them is
// not quite what updates have to be, which [Compare] calls a change, that is the only one.
func Revisions(ctx context.Context, r io.ReaderAt, from, to int64, limits Limits) ([]int64, error) {
	limits = limits.withDefaults()
	ctx, cancel := context.WithTimeoutCause(ctx, limits.Time, tooComplex("reading it takes more than %s", limits.Time))
	defer cancel()
	out, err := guarded(ctx, func(ctx context.Context) ([]int64, error) {
		in := gate{ctx: ctx, r: r}
		before, err := open(ctx, io.NewSectionReader(in, 0, from), from, limits)
		if err != nil {
			return nil, err
		}
		after, err := open(ctx, io.NewSectionReader(in, 0, to), to, limits)
		if err != nil {
			return nil, err
		}
		ends, ok, err := after.accounted(before)
		if !ok {
			ends = []int64{to}
		}
		return ends, err
	})
	if err != nil {
		return nil, fmt.Errorf("find revisions: %w", err)
	}
	return out, nil
}

// comparison is of a revision with a later one.
type comparison struct {
	before, after *file

	found    Change
	rules    rules           // of the revision
	touched  []string        // fields that were changed
	names    map[string]bool // of the fields before
	fields   map[int64]node  // of the revision, with their widgets
	now      map[int64]node  // and of the later one
	widgets  map[int64]bool  // of added fields, where they are objects of their own
	changed  map[int64]bool  // objects of before that are others now, until they are found harmless
	added    map[int64]bool  // objects that before does not have
	stores   map[int64]bool  // changed objects that may change as parts of the security store, or as metadata, only
	metadata int64           // the stream that the catalog names so
}

func (c *comparison) run() (bool, error) {
	if !c.trailers() || !c.tables() {
		return false, nil
	}
	fm, err := c.before.formNodes(c.fields)
	if err != nil {
		return false, err
	}
	if _, err := c.after.formNodes(c.now); err != nil {
		return false, err
	}
	if c.rules, err = c.before.rules(fm); err != nil {
		return false, err
	}
	c.found.Permission = c.rules.level
	c.names = map[string]bool{}
	for _, name := range fm.names {
		c.names[name] = true
	}
	if r, ok := fm.catalog.dict.get("Metadata").ref(); ok {
		c.metadata = r.num
	}
	ok, err := c.catalogs(fm.catalog)
	if !ok || err != nil {
		return false, err
	}
	// Pages last: the fields tell which widgets may stand on them.
	var pages []int64
	for num := range c.changed {
		if page, err := c.isPage(num); err != nil {
			return false, err
		} else if page {
			pages = append(pages, num)
		} else if ok, err := c.object(num); !ok || err != nil {
			return false, err
		}
	}
	for _, num := range pages {
		if ok, err := c.object(num); !ok || err != nil {
			return false, err
		}
	}
	if !c.allowed() {
		return false, nil
	}
	return c.references(fm.catalog.ref)
}

// allowed tells whether the revision's certification and locks allow what was found.
func (c *comparison) allowed() bool {
	switch {
	case c.found.None():
		return true
	case c.rules.level == 1, c.rules.level == 2 && c.found.Annotations:
		return false
	}
	return !slices.ContainsFunc(c.touched, func(name string) bool {
		return slices.ContainsFunc(c.rules.locks, func(l Lock) bool { return l.Covers(name) })
	})
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
	if err != nil || !c.sameBut(before.dict, after.dict, "DSS", "AcroForm", "Extensions") {
		return false, err
	}
	delete(c.changed, before.ref.num)
	for _, part := range []struct {
		key     string
		compare func(old, now value) (bool, error)
	}{{"Extensions", c.extensions}, {"DSS", c.securityStore}, {"AcroForm", c.form}} {
		if ok, err := part.compare(before.dict.get(part.key), after.dict.get(part.key)); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// sameBut tells whether dictionaries say the same but for some keys.
func (c *comparison) sameBut(old, now *dict, keys ...string) bool {
	if now != nil && now.repeats() || old != nil && old.repeats() {
		return false
	}
	left := 0
	if old != nil {
		for i := range old.entries {
			e := &old.entries[i]
			if slices.ContainsFunc(keys, e.is) || e.val.kind == kindNull {
				continue
			}
			if left++; !c.same(e.val, now.get(e.name())) {
				return false
			}
		}
	}
	if now != nil {
		for i := range now.entries {
			if e := &now.entries[i]; !slices.ContainsFunc(keys, e.is) && e.val.kind != kindNull {
				left--
			}
		}
	}
	return left == 0
}

// same tells whether values say the same, however they are written.
func (c *comparison) same(old, now value) bool {
	switch {
	case old.kind == kindString || old.kind == kindHexString:
		return (now.kind == kindString || now.kind == kindHexString) && bytes.Equal(c.before.plain(old), c.after.plain(now))
	case old.kind == kindInteger || old.kind == kindReal:
		x, ok := old.number()
		y, ok2 := now.number()
		return ok && ok2 && x == y
	case old.kind != now.kind:
		return false
	case old.kind == kindName:
		return old.name() == now.name()
	case old.kind == kindArray:
		return slices.EqualFunc(old.list(), now.list(), c.same)
	case old.kind == kindDict:
		return c.sameBut(old.dict, now.dict)
	}
	return old.num == now.num && old.gen == now.gen
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
func (c *comparison) extensions(old, now value) (bool, error) {
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

// The parts of a security store (ISO 32000-2, 12.8.4.3 and 12.8.4.4): by name what each is.
type storePart uint8

const (
	storeRoot  storePart = iota // DSS
	storeVRI                    // its entries by the digests of signatures
	storeEntry                  // one of them
	storeList                   // of certificates, OCSP responses or CRLs
	storeData                   // one of those, or the time-stamp of an entry
	storeValue                  // what names nothing
	storeOther                  // what does not belong there
)

// part is what the value of a key is in a part.
func (p storePart) part(key string) storePart {
	switch {
	case key == "Type":
		return storeValue
	case p == storeVRI:
		return storeEntry
	case p == storeRoot && key == "VRI":
		return storeVRI
	case p == storeRoot && (key == "Certs" || key == "OCSPs" || key == "CRLs"), p == storeEntry && (key == "Cert" || key == "OCSP" || key == "CRL"):
		return storeList
	case p == storeEntry && key == "TU":
		return storeValue
	case p == storeEntry && key == "TS":
		return storeData
	}
	return storeOther
}

// holds tells whether a part may be such an object.
func (p storePart) holds(obj object) bool {
	switch p {
	case storeRoot, storeVRI, storeEntry:
		return obj.kind == kindDict && obj.stream < 0
	case storeList:
		return obj.kind == kindArray
	case storeData:
		return obj.stream >= 0
	case storeValue:
		return obj.kind != kindDict && obj.kind != kindArray
	case storeOther:
	}
	return false
}

// securityStore compares the security store: dictionaries and lists may change at will, streams
// that were there may not.
func (c *comparison) securityStore(old, now value) (bool, error) {
	return c.store(storeRoot, old, now)
}

func (c *comparison) store(part storePart, old, now value) (bool, error) {
	before, after, ok, err := c.pair(old, now)
	switch {
	case err != nil || !ok:
		return false, err
	case before.kind == kindNull && after.kind == kindNull:
		return true, nil
	case !part.holds(after) || before.kind != kindNull && !part.holds(before):
		return false, nil
	case after.stream >= 0:
		return !c.changed[after.ref.num], nil
	case after.kind == kindDict:
		if after.dict.repeats() {
			return false, nil
		}
		for i := range after.dict.entries {
			e := &after.dict.entries[i]
			if ok, err := c.store(part.part(e.name()), before.dict.get(e.name()), e.val); !ok || err != nil {
				return false, err
			}
		}
	case after.kind == kindArray:
		// Items are compared with what their own objects were.
		for _, item := range after.list() {
			was := value{}
			if r, ok := item.ref(); ok && !c.added[r.num] {
				was = item
			}
			if ok, err := c.store(storeData, was, item); !ok || err != nil {
				return false, err
			}
		}
	}
	c.settle(after)
	return true, nil
}

// form compares the interactive form: fields may have been added to it, and what the
// appearances of fields are made with where that was missing.
func (c *comparison) form(old, now value) (bool, error) {
	before, after, ok, err := c.pair(old, now)
	keys := []string{"Fields", "SigFlags"}
	for _, key := range []string{"DR", "DA"} {
		if before.dict.get(key).kind == kindNull {
			keys = append(keys, key)
		}
		// Fields whose appearances the viewer makes would show otherwise with them.
		redrawn := after.dict.get("NeedAppearances").kind != kindNull
		if before.dict.get(key).kind != after.dict.get(key).kind && (redrawn || c.fillable()) {
			if c.found.Form = true; redrawn {
				return false, err
			}
		}
	}
	if err != nil || !ok || !c.sameBut(before.dict, after.dict, keys...) {
		return false, err
	}
	if after.kind != kindDict {
		return before.kind == after.kind && c.same(before.value, after.value), nil
	}
	was, _ := before.dict.get("SigFlags").integer()
	flags := after.dict.get("SigFlags")
	if is, ok := flags.integer(); flags.kind != kindNull && (!ok || is != was && is != was|3) {
		return false, nil
	}
	delete(c.changed, after.ref.num)
	return c.grown(before.dict.get("Fields"), after.dict.get("Fields"))
}

// fillable tells whether the revision has fields other than those for signatures.
func (c *comparison) fillable() bool {
	for _, n := range c.fields {
		if n.kind != "Sig" && n.kind != "" { // groups have none
			return true
		}
	}
	return false
}

// isPage tells whether a changed object is a page, or a list, which may be that of its annotations.
func (c *comparison) isPage(num int64) (bool, error) {
	x, _ := c.before.xrefs.find(num)
	obj, err := c.before.load(ref{num: num, gen: x.gen})
	return obj.kind == kindArray || obj.dict.get("Type").name() == "Page", err
}

// object takes a changed object for one of those that may change: a page or a list that
// grew, a field, or what is said about the document and does not show.
func (c *comparison) object(num int64) (bool, error) {
	x, _ := c.after.xrefs.find(num)
	v := value{kind: kindRef, num: num, gen: x.gen}
	before, after, ok, err := c.pair(v, v)
	switch {
	case err != nil || !ok || before.kind != after.kind:
		return false, err
	case before.stream >= 0 || after.stream >= 0:
		// The packet of metadata is for programs that catalogue files, and nothing else may name it.
		if num != c.metadata || before.dict.get("Type").name() != "Metadata" || after.stream < 0 {
			return false, nil
		}
		c.stores[num] = true
		return c.sameBut(before.dict, after.dict, "Length", "Filter", "DecodeParms"), nil
	case after.kind == kindArray:
		return c.grown(v, v)
	case after.kind != kindDict:
		return false, nil
	case before.dict.get("Type").name() == "Page":
		if !c.sameBut(before.dict, after.dict, "Annots") {
			return false, nil
		}
		return c.grown(before.dict.get("Annots"), after.dict.get("Annots"))
	}
	if info, ok := c.before.trailer.get("Info").ref(); ok && info == before.ref {
		return c.sameBut(before.dict, after.dict, "ModDate", "Producer"), nil
	}
	return c.field(before, after)
}

// grown tells whether a list is what it was, with fields or annotations behind.
func (c *comparison) grown(old, now value) (bool, error) {
	before, after, ok, err := c.pair(old, now)
	if err != nil || !ok || len(after.list()) < len(before.list()) {
		return false, err
	}
	if after.kind != kindArray {
		return before.kind == after.kind && c.same(before.value, after.value), nil
	}
	if before.kind != kindArray && before.kind != kindNull {
		return false, nil
	}
	for i, item := range after.list() {
		if i < len(before.list()) {
			if !c.same(before.list()[i], item) {
				return false, nil
			}
			continue
		}
		if ok, err := c.item(item); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// item takes what was added to a list for a signature field or an annotation.
func (c *comparison) item(v value) (bool, error) {
	r, ok := v.ref()
	if !ok || !c.added[r.num] {
		return false, nil
	}
	obj, err := c.after.load(r)
	if err != nil || obj.kind != kindDict || obj.stream >= 0 || obj.dict.repeats() {
		return false, err
	}
	if obj.dict.get("FT").kind != kindNull || obj.dict.get("Subtype").name() == "Widget" {
		return c.newField(obj, false)
	}
	// What acts, plays or leads elsewhere is more than a note.
	notes := []string{"Text", "FreeText", "Line", "Square", "Circle", "Polygon", "PolyLine", "Highlight", "Underline", "Squiggly", "StrikeOut", "Stamp", "Caret", "Ink", "Popup"}
	for _, key := range []string{"A", "AA", "Dest", "FS", "Parent"} {
		if obj.dict.get(key).kind != kindNull && (key != "Parent" || obj.dict.get("Subtype").name() != "Popup") {
			return false, nil
		}
	}
	c.found.Annotations = true
	return slices.Contains(notes, obj.dict.get("Subtype").name()), nil
}

// What a field with its widget, or one of both, may hold when it is added, and what may
// change in it when it is signed or filled in.
var (
	newFieldKeys = []string{"Type", "Subtype", "FT", "T", "TU", "TM", "V", "F", "Ff", "Rect", "P", "AP", "DR", "DA", "MK", "M", "NM", "BS", "Border", "Lock", "Kids", "Parent"}
	signedKeys   = []string{"V", "AP", "F", "M", "MK"}
	filledKeys   = []string{"V", "AP", "AS", "M", "I", "RV"}
)

// newField tells whether an added field is one for signatures. A document time-stamp that
// does not show is no change.
func (c *comparison) newField(field object, kid bool) (bool, error) {
	for i := range field.dict.entries {
		if !slices.ContainsFunc(newFieldKeys, field.dict.entries[i].is) {
			return false, nil
		}
	}
	if field.dict.get("FT").name() != "Sig" && (!kid || field.dict.get("FT").kind != kindNull) {
		return !kid && c.widgets[field.ref.num], nil // a widget of a field that is an object of its own
	}
	if !kid {
		name, err := c.after.resolve(field.dict.get("T"))
		if err != nil {
			return false, err
		}
		text, err := c.after.text(name.value)
		if err != nil || text == "" || c.names[text] {
			return false, err
		}
		c.touched = append(c.touched, text)
	}
	rect, _, err := c.after.rect(field.dict.get("Rect"))
	if err != nil {
		return false, err
	}
	stamp := false
	if v := field.dict.get("V"); v.kind != kindNull {
		var ok bool
		if ok, stamp, err = c.signature(v); !ok || err != nil {
			return false, err
		}
	}
	kids, err := c.after.resolve(field.dict.get("Kids"))
	if err != nil {
		return false, err
	}
	for _, v := range kids.list() {
		obj, err := c.after.resolve(v)
		if err != nil || kid || obj.kind != kindDict || !c.added[obj.ref.num] || obj.dict.get("T").kind != kindNull {
			return false, err
		}
		if ok, err := c.newField(obj, true); !ok || err != nil {
			return false, err
		}
		c.widgets[obj.ref.num] = true
	}
	if !stamp || rect.Width() != 0 || rect.Height() != 0 || len(kids.list()) > 0 {
		c.found.Signatures = true
	}
	return true, nil
}

// signature tells whether a value is an added signature, and whether that is a document time-stamp.
func (c *comparison) signature(v value) (ok, stamp bool, err error) {
	r, isRef := v.ref()
	if !isRef || !c.added[r.num] {
		return false, false, nil
	}
	obj, err := c.after.load(r)
	typ := obj.dict.get("Type").name()
	return err == nil && (typ == "Sig" || typ == "" || typ == "DocTimeStamp"), typ == "DocTimeStamp", err
}

// field tells whether a changed field was signed or filled in, or got a new field below it.
func (c *comparison) field(before, after object) (bool, error) {
	was, ok := c.fields[before.ref.num]
	is := c.now[before.ref.num]
	if !ok || was.name != is.name || was.kind != is.kind || after.dict.repeats() {
		return false, nil
	}
	if c.sameBut(before.dict, after.dict, "Kids") {
		return c.grown(before.dict.get("Kids"), after.dict.get("Kids"))
	}
	c.touched = append(c.touched, was.name)
	switch was.kind {
	case "Sig":
		keys := signedKeys
		if before.dict.get("Lock").kind == kindNull {
			keys = append(slices.Clip(keys), "Lock") // which the signer may bring, and which only forbids
		}
		if was.value.kind != kindNull || !c.sameBut(before.dict, after.dict, keys...) {
			return false, nil // what is signed stays as it is, and looks as it did
		}
		c.found.Signatures = true
		ok, _, err := c.signature(is.value)
		return ok, err
	case "Tx", "Btn", "Ch":
		c.found.Form = true
		return c.sameBut(before.dict, after.dict, filledKeys...), nil
	}
	return false, nil
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
	if err := c.before.storeObjects(storeRoot, root.dict.get("DSS"), inStore); err != nil {
		return false, err
	}
	check := func(v value, store bool) bool {
		return !slices.ContainsFunc(v.refs(nil), func(num int64) bool {
			return c.added[num] || !store && (c.stores[num] || inStore[num] && len(c.stores) > 0)
		})
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
				if !check(e.val, e.is("DSS") || e.is("Extensions") || e.is("Metadata")) {
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
func (f *file) storeObjects(part storePart, v value, out map[int64]bool) error {
	obj, err := f.resolve(v)
	if err != nil || obj.stream >= 0 || !part.holds(obj) || out[obj.ref.num] {
		return err
	}
	if obj.ref.num != 0 {
		out[obj.ref.num] = true
	}
	if obj.dict != nil {
		for i := range obj.dict.entries {
			e := &obj.dict.entries[i]
			if err := f.storeObjects(part.part(e.name()), e.val, out); err != nil {
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
