package pdf

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"sync"

	"github.com/pdfcpu/pdfcpu/pkg/api"
	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu"
	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu/model"
)

// withoutConfig keeps pdfcpu from writing its configuration to the home folder.
var withoutConfig = sync.OnceFunc(api.DisableConfigDir)

// secondOpinion lets pdfcpu read the whole file and compares its objects and pages with ours:
// a file that two readers understand differently could show a signer something else than others see.
func (f *file) secondOpinion(pages []page) error {
	withoutConfig()
	// Behind junk, pdfcpu would find the newest section only; where offsets count from the
	// header it gets the file as it begins there.
	ctx, limits, size := f.ctx, f.limits, f.size-f.base
	conf := model.NewDefaultConfiguration()
	conf.Offline = true
	conf.Cmd = model.LISTINFO
	conf.Limits.MaxStreamBytes = size
	conf.Limits.MaxDecodeBytes = limits.Decoded
	conf.Limits.MaxObjectCount = maxObjectNumber
	conf.Limits.MaxXRefEntries = 4 * limits.Objects
	conf.Limits.MaxObjectStreamCount = limits.Objects
	conf.Limits.MaxRecursionDepth = 2 * limits.Depth
	doc, err := pdfcpu.ReadWithContext(ctx, io.NewSectionReader(f.r, f.base, size), conf)
	if err != nil {
		return opinionError(ctx, err)
	}
	if err := f.samePlaces(doc.Table); err != nil {
		return err
	}
	if err := doc.EnsurePageCount(); err != nil {
		return opinionError(ctx, err)
	}
	bounds, err := doc.PageBoundaries(nil)
	if err != nil {
		return opinionError(ctx, err)
	}
	if doc.PageCount != len(pages) || len(bounds) != len(pages) {
		return broken("its pages can be counted in two ways")
	}
	for i, b := range bounds {
		if math.Mod(float64(b.Rot-pages[i].info.Rotate), 360) != 0 {
			return broken("page %d can be read in two ways", i+1)
		}
	}
	return nil
}

// samePlaces tells whether pdfcpu found the objects where the file says that they are. Where
// it could not it has searched the file for objects, as some readers do and others do not; behind
// an update that search finds something else.
func (f *file) samePlaces(theirs map[int]*model.XRefTableEntry) error {
	// What it has found by searching does not come from a section, the head of the free list first of all.
	if _, listed := f.xrefs.find(0); listed && theirs[0] != nil && theirs[0].Incr == 0 {
		return broken("a second reader can read its cross-references by repairing them only")
	}
	for num, entry := range theirs {
		x, ok := f.xrefs.find(int64(num))
		if entry.Free || entry.Offset == nil || *entry.Offset == 0 {
			continue
		}
		if !ok || x.kind != xrefInUse || !f.blank(x.at+f.base, *entry.Offset+f.base) {
			return broken("object %d can be found in two places", num)
		}
	}
	for _, x := range f.xrefs {
		if entry := theirs[int(x.num)]; x.kind == xrefInUse && (entry == nil || entry.Free) {
			return broken("object %d can be found in one way only", x.num)
		}
	}
	return nil
}

// blank tells whether there is nothing but white space between two offsets.
func (f *file) blank(a, b int64) bool {
	const most = 32
	gap := max(a, b) - min(a, b)
	if gap == 0 {
		return true
	}
	between, err := f.window(min(a, b), int(min(gap, most)))
	return err == nil && gap <= most && len(bytes.TrimLeft(between, whiteSpace)) == 0
}

// opinionError turns an error of pdfcpu into one of ours; its text may quote the
// document and is left out.
func opinionError(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, pdfcpu.ErrWrongPassword), errors.Is(err, pdfcpu.ErrEncrypted):
		return encrypted("a second reader asks for a password")
	case errors.Is(err, model.ErrMaxRecursionDepthExceeded):
		return tooComplex("it nests too deeply")
	default:
		return broken("a second reader can not read it")
	}
}
