package pdf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Info is what an inspection finds.
type Info struct {
	// Version is that of the header or, when newer, of the catalog.
	Version string
	// Pages has the geometry of each page.
	Pages []PageInfo
	// Fields are the signature fields, signed and blank.
	Fields []Field
	// Signatures is the number of signed fields.
	Signatures int
	// Certification is the DocMDP level: 0 none, 1 no change allowed, 2 forms and
	// signatures, 3 annotations too.
	Certification int
	// XRefStream tells whether the newest cross-reference section is a stream.
	XRefStream bool
	// StartXRef is the offset of that section as the file states it.
	StartXRef int64
	// Encrypted tells whether the file is encrypted for its owner: it opens without a
	// password, and its permissions restrict what may be done with it.
	Encrypted bool
	// Objects is the number of objects listed.
	Objects int

	names []string // of all fields, not of signatures only
	rules rules
}

// Taken tells whether a field, or a group of fields, has the name already.
func (i *Info) Taken(name string) bool { return slices.Contains(i.names, name) }

// Permit returns [ErrNotPermitted] with the reason when a signature of the document, or the
// permissions of an encrypted one, forbid to sign the field of that name, which need not
// exist yet, or to add stamps.
func (i *Info) Permit(field string, stamps bool) error {
	if err := i.rules.permitted(!i.Taken(field), stamps); err != nil {
		return err
	}
	return i.rules.sign(field, false, stamps)
}

// Inspect reads a file that may be hostile. It answers within the limits and the
// context even when a parser is stuck; r must stay readable until then only, later
// reads are turned away. Every error is one of the sentinels, that of the context, or one of r.
func Inspect(ctx context.Context, r io.ReaderAt, size int64, limits Limits) (*Info, error) {
	limits = limits.withDefaults()
	ctx, cancel := context.WithTimeoutCause(ctx, limits.Time, tooComplex("reading it takes more than %s", limits.Time))
	defer cancel()
	info, err := guarded(ctx, func(ctx context.Context) (*Info, error) {
		return inspect(ctx, gate{ctx: ctx, r: r}, size, limits)
	})
	if err != nil {
		return nil, fmt.Errorf("inspect pdf: %w", err)
	}
	return info, nil
}

// guarded runs read so that neither a panic nor an endless loop in it reaches the
// caller. A stuck reader is left behind; its next read fails.
func guarded[T any](ctx context.Context, read func(ctx context.Context) (T, error)) (T, error) {
	type result struct {
		val T
		err error
	}
	done := make(chan result, 1)
	go func() {
		var out result
		defer func() {
			if recover() != nil {
				out.err = broken("reading it fails")
			}
			done <- out
		}()
		out.val, out.err = read(ctx)
	}()
	var zero T
	select {
	case out := <-done:
		if out.err != nil && ctx.Err() != nil && errors.Is(out.err, ctx.Err()) {
			return zero, context.Cause(ctx)
		}
		return out.val, out.err
	case <-ctx.Done():
		return zero, context.Cause(ctx)
	}
}

// gate turns readers away after the context has ended.
type gate struct {
	ctx context.Context
	r   io.ReaderAt
}

func (g gate) ReadAt(p []byte, off int64) (int, error) {
	if err := g.ctx.Err(); err != nil {
		return 0, err
	}
	return g.r.ReadAt(p, off)
}

func inspect(ctx context.Context, r io.ReaderAt, size int64, limits Limits) (*Info, error) {
	f, err := open(ctx, r, size, limits)
	if err != nil {
		return nil, err
	}
	if err := f.clean(); err != nil {
		return nil, err
	}
	pages, err := f.countedPages()
	if err != nil {
		return nil, err
	}
	if err := f.survey(); err != nil {
		return nil, err
	}
	if err := f.secondOpinion(pages); err != nil {
		return nil, err
	}
	f.budget, f.decoded = limits.Values, limits.Decoded
	return f.info(pages)
}

func (f *file) info(pages []page) (*Info, error) {
	fm, err := f.form()
	if err != nil {
		return nil, err
	}
	info := &Info{Version: f.pdfVersion(fm.catalog), XRefStream: f.streamed, StartXRef: f.startXRef, Encrypted: f.crypt != nil, Objects: len(f.xrefs)}
	if info.Certification, _, err = f.certification(fm.catalog); err != nil {
		return nil, err
	}
	if info.rules, err = f.rules(fm); err != nil {
		return nil, err
	}
	info.names = fm.names
	if err := f.findPages(fm.fields, pages); err != nil {
		return nil, err
	}
	byRef := make(map[ref]PageInfo, len(pages))
	for _, p := range pages {
		info.Pages = append(info.Pages, p.info)
		byRef[p.ref] = p.info
	}
	for _, fl := range fm.fields {
		out := Field{Name: fl.name}
		if _, out.Signed, err = f.signed(fl); err != nil {
			return nil, err
		}
		if out.Signed {
			info.Signatures++
		}
		lock, err := f.resolve(fl.obj.dict.get("Lock"))
		if err != nil {
			return nil, err
		}
		if out.Lock, err = f.lock(lock.dict); err != nil {
			return nil, err
		}
		if p, _ := lock.dict.get("P").integer(); out.Lock != nil && p >= 1 && p <= 3 {
			out.Lock.P = int(p)
		}
		for _, w := range fl.widgets {
			if p, ok := byRef[w.page]; ok && w.rect.Width() > 0 && w.rect.Height() > 0 {
				out.Box = p.FromUser(w.rect)
				break
			}
		}
		info.Fields = append(info.Fields, out)
	}
	return info, nil
}
