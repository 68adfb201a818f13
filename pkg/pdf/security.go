package pdf

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Security is the validation data of a document: its document security store
// (ISO 32000-2, 12.8.4.3; ETSI EN 319 142-1, 5.4.2).
type Security struct {
	// Certificates, OCSPs and CRLs are in DER: Certificate, OCSPResponse, CertificateList.
	Certificates, OCSPs, CRLs [][]byte
	// VRI is what belongs to single signatures, by the [Signature.Key] of the signature.
	VRI map[string]VRI
}

// VRI is the validation data of one signature.
type VRI struct {
	// Certificates, OCSPs and CRLs are in DER.
	Certificates, OCSPs, CRLs [][]byte
	// Time is when the data was collected (TU); zero when that is not known.
	Time time.Time
}

// newest returns the newest time at which data was collected.
func (s Security) newest() time.Time {
	var out time.Time
	for _, v := range s.VRI {
		if v.Time.After(out) {
			out = v.Time
		}
	}
	return out
}

// maxSecurity bounds the streams of a document security store.
const maxSecurity = 20_000

// check refuses data that can not be stored.
func (s Security) check() error {
	lists := [][][]byte{s.Certificates, s.OCSPs, s.CRLs}
	for key, v := range s.VRI {
		if len(key) != 40 || strings.Trim(key, "0123456789ABCDEF") != "" {
			return fmt.Errorf("%w: validation data for a signature whose key is no SHA-1 in upper-case hexadecimal; use its Key", ErrRequest)
		}
		lists = append(lists, v.Certificates, v.OCSPs, v.CRLs)
	}
	for _, item := range slices.Concat(lists...) {
		if len(item) == 0 {
			return fmt.Errorf("%w: validation data without content; leave it out", ErrRequest)
		}
	}
	return nil
}

// ReadSecurity reads the document security store; it is empty in a document without
// one. The file may be hostile: what it says of its signatures is not proven. Streams that
// can not be read are left out.
func ReadSecurity(ctx context.Context, r io.ReaderAt, size int64, limits Limits) (Security, error) {
	limits = limits.withDefaults()
	ctx, cancel := context.WithTimeoutCause(ctx, limits.Time, tooComplex("reading it takes more than %s", limits.Time))
	defer cancel()
	out, err := guarded(ctx, func(ctx context.Context) (Security, error) {
		f, err := open(ctx, gate{ctx: ctx, r: r}, size, limits)
		if err != nil {
			return Security{}, err
		}
		return f.security()
	})
	if err != nil {
		return Security{}, fmt.Errorf("read validation data: %w", err)
	}
	return out, nil
}

func (f *file) security() (Security, error) {
	catalog, err := f.catalog()
	if err != nil {
		return Security{}, err
	}
	dss, err := f.resolve(catalog.dict.get("DSS"))
	if err != nil || dss.kind != kindDict {
		return Security{}, err
	}
	s := &securityReader{file: f, read: map[ref][]byte{}}
	var out Security
	if err := errors.Join(
		s.list(dss.dict, "Certs", &out.Certificates), s.list(dss.dict, "OCSPs", &out.OCSPs), s.list(dss.dict, "CRLs", &out.CRLs),
	); err != nil {
		return Security{}, err
	}
	vri, err := f.resolve(dss.dict.get("VRI"))
	if err != nil || vri.kind != kindDict {
		return out, err
	}
	out.VRI = make(map[string]VRI, len(vri.dict.entries))
	for _, entry := range vri.dict.entries {
		obj, err := f.resolve(entry.val)
		if err != nil {
			return Security{}, err
		}
		if obj.kind != kindDict {
			continue
		}
		var v VRI
		if err := errors.Join(
			s.list(obj.dict, "Cert", &v.Certificates), s.list(obj.dict, "OCSP", &v.OCSPs), s.list(obj.dict, "CRL", &v.CRLs),
		); err != nil {
			return Security{}, err
		}
		when, err := f.resolve(obj.dict.get("TU"))
		if err != nil {
			return Security{}, err
		}
		text, err := f.text(when.value)
		if err != nil {
			return Security{}, err
		}
		v.Time = parseTime(text)
		out.VRI[strings.ToUpper(entry.name())] = v
	}
	return out, nil
}

// securityReader reads each stream once, however often it is listed.
type securityReader struct {
	file  *file
	read  map[ref][]byte
	items int
}

func (s *securityReader) list(d *dict, key string, out *[][]byte) error {
	list, err := s.file.resolve(d.get(key))
	if err != nil {
		return err
	}
	if s.items += len(list.list()); s.items > maxSecurity {
		return tooComplex("it lists more than %d items of validation data", maxSecurity)
	}
	for _, v := range list.list() {
		data, err := s.item(v)
		if err != nil {
			return err
		}
		if len(data) > 0 {
			*out = append(*out, data)
		}
	}
	return nil
}

// item returns the content of a stream, nothing for what is none or is damaged.
func (s *securityReader) item(v value) ([]byte, error) {
	r, ok := v.ref()
	if !ok {
		return nil, nil
	}
	if data, ok := s.read[r]; ok {
		return data, nil
	}
	obj, err := s.file.load(r)
	if err != nil {
		return nil, err
	}
	var data []byte
	if obj.stream >= 0 {
		if data, err = s.file.decode(obj); err != nil && !errors.Is(err, ErrBroken) {
			return nil, err
		}
	}
	s.read[r] = data
	return data, nil
}

// secure merges validation data into the store of the document.
func (e *edit) secure(s Security) error {
	if err := s.check(); err != nil {
		return err
	}
	if err := e.rules.permitted(false, false); err != nil {
		return err
	}
	dss, err := e.file.resolve(e.form.catalog.dict.get("DSS"))
	if err != nil {
		return err
	}
	w := &securityWriter{edit: e, reader: securityReader{file: e.file, read: map[ref][]byte{}}, known: map[[sha256.Size]byte]ref{}}
	keys := slices.Sorted(maps.Keys(s.VRI))
	for _, key := range keys { // the store lists what belongs to single signatures too
		v := s.VRI[key]
		s.Certificates = slices.Concat(s.Certificates, v.Certificates)
		s.OCSPs = slices.Concat(s.OCSPs, v.OCSPs)
		s.CRLs = slices.Concat(s.CRLs, v.CRLs)
	}
	var sets []set
	for _, part := range []struct {
		key  string
		data [][]byte
	}{{"Certs", s.Certificates}, {"OCSPs", s.OCSPs}, {"CRLs", s.CRLs}} {
		if err := w.list(dss.dict, part.key, part.data, &sets); err != nil {
			return err
		}
	}
	if err := w.vri(dss, keys, s.VRI, &sets); err != nil {
		return err
	}
	switch {
	case len(sets) == 0 && len(e.tail.objects) == 0 && len(e.changes) == 0:
		return nil
	case dss.kind == kindDict && dss.ref.num != 0:
		if len(sets) > 0 {
			e.set(dss, sets...)
		}
	default:
		r := e.tail.allocate()
		e.tail.object(r, e.file.with(dss.dict, sets...))
		e.set(e.form.catalog, set{"DSS", r.bytes()})
	}
	return e.extension()
}

// securityWriter writes each content once.
type securityWriter struct {
	*edit
	reader securityReader
	known  map[[sha256.Size]byte]ref
}

// list adds data to the array at key. The array is written by itself when it is an
// object of its own, else it is added to sets.
func (w *securityWriter) list(d *dict, key string, data [][]byte, sets *[]set) error {
	old, err := w.file.resolve(d.get(key))
	if err != nil {
		return err
	}
	listed := make(map[ref]bool, len(old.list()))
	for _, v := range old.list() {
		r, _ := v.ref()
		listed[r] = true
		content, err := w.reader.item(v)
		if err != nil {
			return err
		}
		if sum := sha256.Sum256(content); len(content) > 0 && w.known[sum] == (ref{}) {
			w.known[sum] = r
		}
	}
	var added []ref
	for _, item := range data {
		sum := sha256.Sum256(item)
		r, ok := w.known[sum]
		if !ok {
			r = w.tail.allocate()
			if err := w.tail.packed(r, item); err != nil {
				return err
			}
			w.known[sum] = r
		}
		if !listed[r] {
			listed[r] = true
			added = append(added, r)
		}
	}
	if len(added) == 0 {
		return nil
	}
	change, err := w.extend(d.get(key), added)
	if change != nil {
		*sets = append(*sets, set{key, change})
	}
	return err
}

// vri adds what belongs to single signatures. New entries are objects of their own.
func (w *securityWriter) vri(dss object, keys []string, entries map[string]VRI, sets *[]set) error {
	vri, err := w.file.resolve(dss.dict.get("VRI"))
	if err != nil {
		return err
	}
	var added []set
	for _, key := range keys {
		v := entries[key]
		old, err := w.file.resolve(vri.dict.get(key))
		if err != nil {
			return err
		}
		before := len(w.tail.objects)
		var own []set
		if err := errors.Join(
			w.list(old.dict, "Cert", v.Certificates, &own), w.list(old.dict, "OCSP", v.OCSPs, &own), w.list(old.dict, "CRL", v.CRLs, &own),
		); err != nil {
			return err
		}
		if old.kind == kindDict && len(own) == 0 && len(w.tail.objects) == before {
			continue
		}
		if !v.Time.IsZero() {
			own = append(own, set{"TU", []byte("(" + pdfTime(v.Time) + ")")})
		}
		r := old.ref
		if r.num == 0 {
			r = w.tail.allocate()
			added = append(added, set{key, r.bytes()})
		}
		w.tail.object(r, w.file.with(old.dict, own...))
	}
	switch {
	case len(added) == 0:
	case vri.kind == kindDict && vri.ref.num != 0:
		w.set(vri, added...)
	default:
		*sets = append(*sets, set{"VRI", w.file.with(vri.dict, added...)})
	}
	return nil
}

// extension declares, in documents before PDF 2.0, that the document uses what ETSI
// added to PDF 1.7 (ISO 32000-1, 7.12; ETSI TS 102 778-4, annex A).
func (e *edit) extension() error {
	const level = 5
	catalog := e.form.catalog
	if e.file.pdfVersion(catalog) >= "2.0" {
		return nil
	}
	extensions, err := e.file.resolve(catalog.dict.get("Extensions"))
	if err != nil {
		return err
	}
	esic, err := e.file.resolve(extensions.dict.get("ESIC"))
	if err != nil {
		return err
	}
	if n, _ := esic.dict.get("ExtensionLevel").integer(); n >= level || esic.kind == kindArray {
		return nil
	}
	return e.setIn(catalog, "Extensions", set{"ESIC", fmt.Appendf(nil, "<</BaseVersion/1.7/ExtensionLevel %d>>", level)})
}

// pdfVersion returns the version of the header or, when newer, of the catalog.
func (f *file) pdfVersion(catalog object) string {
	return max(f.version, catalog.dict.get("Version").name())
}

// packed writes a stream, compressed when that makes it smaller.
func (t *tail) packed(r ref, data []byte) error {
	small, err := deflate(data)
	if err != nil {
		return err
	}
	const filter = "/Filter/FlateDecode"
	if len(small)+len(filter) < len(data) {
		t.stream(r, filter, small)
	} else {
		t.stream(r, "", data)
	}
	return nil
}

// deflaters are writers to be used again: one takes most of a megabyte.
var deflaters sync.Pool

func deflate(data []byte) ([]byte, error) {
	var out bytes.Buffer
	z, ok := deflaters.Get().(*zlib.Writer)
	if ok {
		z.Reset(&out)
	} else {
		z = zlib.NewWriter(&out)
	}
	defer deflaters.Put(z)
	if _, err := z.Write(data); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return out.Bytes(), nil
}
