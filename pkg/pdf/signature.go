package pdf

import (
	"cmp"
	"context"
	"crypto/sha1" //nolint:gosec // the standard names validation data by it
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Signature is a signature found in a document, as the document describes it:
// nothing of it is proven until its bytes are checked.
type Signature struct {
	// Field is the full name of the signed field.
	Field string
	// Type is Sig for a signature and DocTimeStamp for a document time-stamp.
	Type string
	// SubFilter names the format, such as ETSI.CAdES.detached.
	SubFilter string
	// Name, Reason and Location are claims of the signature dictionary.
	Name, Reason, Location string
	// Time is the claimed time of signing; zero when there is none.
	Time time.Time
	// ByteRange says which bytes are signed, as given by the file.
	ByteRange []int64
	// Contents is the signature with its padding.
	Contents []byte
	// Start and End are the offsets of the first byte of the written signature, its "<",
	// and of the first byte behind it; both -1 when it has no place of its own in the file.
	Start, End int64
	// Certify is the level at which the signature certifies the document (DocMDP): 1 to 3, 0 when it does not.
	Certify int
	// Extra are the strings in the signature dictionary that the standard does not define.
	Extra []Entry
	// Ambiguous tells whether the dictionary repeats a key, so that readers differ about it.
	Ambiguous bool
}

// Key is the name under which the validation data of the signature is stored: the SHA-1 of its
// Contents with the padding, in upper-case hexadecimal (ETSI EN 319 142-1, 5.4.2.3).
func (s Signature) Key() string {
	return fmt.Sprintf("%X", sha1.Sum(s.Contents)) //nolint:gosec // a name given by the standard, not a protection
}

// Signatures lists the signatures of a document in the order in which they were
// made, the smallest signed range first. The file may be hostile.
func Signatures(ctx context.Context, r io.ReaderAt, size int64, limits Limits) ([]Signature, error) {
	limits = limits.withDefaults()
	ctx, cancel := context.WithTimeoutCause(ctx, limits.Time, tooComplex("reading it takes more than %s", limits.Time))
	defer cancel()
	out, err := guarded(ctx, func(ctx context.Context) ([]Signature, error) {
		f, err := open(ctx, gate{ctx: ctx, r: r}, size, limits)
		if err != nil {
			return nil, err
		}
		return f.signatures()
	})
	if err != nil {
		return nil, fmt.Errorf("read signatures: %w", err)
	}
	return out, nil
}

// maxSignatures bounds the signatures of one document.
const maxSignatures = 1_000

func (f *file) signatures() ([]Signature, error) {
	fm, err := f.form()
	if err != nil {
		return nil, err
	}
	level, certifier, err := f.certification(fm.catalog)
	if err != nil {
		return nil, err
	}
	var out []Signature
	for _, fl := range fm.fields {
		obj, ok, err := f.signed(fl)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if len(out) >= maxSignatures {
			return nil, tooComplex("it has more than %d signatures", maxSignatures)
		}
		s, err := f.signature(fl.name, obj)
		if err != nil {
			return nil, err
		}
		if obj.ref.num != 0 && obj.ref == certifier {
			s.Certify = level
		}
		out = append(out, s)
	}
	sortSignatures(out)
	return out, nil
}

func (f *file) signature(name string, obj object) (Signature, error) {
	s := Signature{Field: name, Start: -1, End: -1, Ambiguous: obj.dict.repeats()}
	text := func(key string) (string, error) {
		v, err := f.resolve(obj.dict.get(key))
		if err != nil {
			return "", err
		}
		return f.text(v.value)
	}
	var err error
	if s.Name, err = text("Name"); err != nil {
		return s, err
	}
	if s.Reason, err = text("Reason"); err != nil {
		return s, err
	}
	if s.Location, err = text("Location"); err != nil {
		return s, err
	}
	when, err := text("M")
	if err != nil {
		return s, err
	}
	s.Time = parseTime(when)
	if s.Type = obj.dict.get("Type").name(); s.Type == "" {
		s.Type = "Sig" // the entry may be missing
	}
	if s.Extra, err = f.extra(obj); err != nil {
		return s, err
	}
	s.SubFilter = obj.dict.get("SubFilter").name()
	s.ByteRange, err = f.integers(obj.dict.get("ByteRange"))
	if err != nil {
		return s, err
	}
	contents := obj.dict.get("Contents")
	if contents.kind != kindHexString {
		return s, nil
	}
	if err := f.keep(len(contents.raw) / 2); err != nil {
		return s, err
	}
	s.Contents = contents.bytes()
	if obj.at >= 0 {
		s.Start = obj.offset + int64(contents.at)
		s.End = s.Start + int64(len(contents.raw))
	}
	return s, nil
}

// extra returns the strings of a signature dictionary that are not standard.
func (f *file) extra(obj object) ([]Entry, error) {
	var out []Entry
	for _, e := range obj.dict.entries {
		key := e.name()
		if standardKeys[key] {
			continue
		}
		v, err := f.resolve(e.val)
		if err != nil {
			return nil, err
		}
		if v.kind == kindString || v.kind == kindHexString {
			text, err := f.bytes(v.value)
			if err != nil {
				return nil, err
			}
			out = append(out, Entry{Key: key, Value: text})
		}
	}
	return out, nil
}

func (f *file) integers(v value) ([]int64, error) {
	obj, err := f.resolve(v)
	if err != nil || len(obj.list()) > 64 {
		return nil, err
	}
	var out []int64
	for _, item := range obj.list() {
		n, ok := item.integer()
		if !ok {
			return nil, nil
		}
		out = append(out, n)
	}
	return out, nil
}

// parseTime reads a PDF date; it returns zero for what is none.
func parseTime(s string) time.Time {
	s = strings.ReplaceAll(strings.TrimPrefix(s, "D:"), "'", "")
	for _, layout := range []string{"20060102150405Z0700", "20060102150405Z07", "20060102150405"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	if i := strings.IndexAny(s, "Z+-"); i == 14 {
		if t, err := time.Parse("20060102150405", s[:14]); err == nil && s[14] == 'Z' {
			return t.UTC()
		}
	}
	return time.Time{}
}

// sortSignatures puts signatures in the order of the ends of their ranges.
func sortSignatures(list []Signature) {
	end := func(s Signature) int64 {
		if len(s.ByteRange) != 4 {
			return 1 << 62
		}
		return s.ByteRange[2] + s.ByteRange[3]
	}
	slices.SortStableFunc(list, func(a, b Signature) int { return cmp.Compare(end(a), end(b)) })
}
