package pdf

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"
)

// Prepare makes the update that adds one signature field, or fills a blank one. It
// only reads the original; the result is what is to be appended.
func Prepare(ctx context.Context, r io.ReaderAt, size int64, limits Limits, req Request) (*Update, error) {
	var u *Update
	err := contained(func() (err error) {
		u, err = prepare(ctx, r, size, limits, req)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("prepare signature: %w", err)
	}
	return u, nil
}

// PrepareFields makes the update that places blank signature fields and returns the
// bytes to append: none when all of them exist already.
func PrepareFields(ctx context.Context, r io.ReaderAt, size int64, limits Limits, fields []NewField) ([]byte, error) {
	var tail []byte
	err := contained(func() error {
		e, err := begin(ctx, r, size, limits, time.Time{}, small)
		if err != nil {
			return err
		}
		defer e.file.release()
		if err := e.place(fields, ""); err != nil {
			return err
		}
		tail, err = e.finish()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("prepare fields: %w", err)
	}
	return tail, nil
}

// PrepareSecurity makes the update that adds validation data to the document security store
// (ISO 32000-2, 12.8.4.3; ETSI EN 319 142-1, 5.4.2) and returns the bytes to append: none when
// everything is there already. What the store holds stays, and no data is stored twice.
// Such an update is allowed whatever earlier signatures forbid.
func PrepareSecurity(ctx context.Context, r io.ReaderAt, size int64, limits Limits, s Security) ([]byte, error) {
	var tail []byte
	err := contained(func() error {
		e, err := begin(ctx, r, size, limits, s.newest(), small)
		if err != nil {
			return err
		}
		defer e.file.release()
		if err := e.secure(s); err != nil {
			return err
		}
		tail, err = e.finish()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("prepare validation data: %w", err)
	}
	return tail, nil
}

// small is about the size of an update without a signature.
const small = 3 << 10

// contained turns a panic of the reader into an error.
func contained(do func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = broken("reading it fails")
		}
	}()
	return do()
}

func prepare(ctx context.Context, r io.ReaderAt, size int64, limits Limits, req Request) (*Update, error) {
	req.Boxes = slices.DeleteFunc(slices.Clone(req.Boxes), Box.Empty)
	if err := req.check(); err != nil {
		return nil, err
	}
	e, err := begin(ctx, r, size, limits, req.Time, 2*req.Reserve+small)
	if err != nil {
		return nil, err
	}
	defer e.file.release()
	e.req = req
	name, err := e.sign()
	if err != nil {
		return nil, err
	}
	out, err := e.finish()
	if err != nil {
		return nil, err
	}
	contents := size + int64(e.tail.contents)
	second := contents + int64(2*req.Reserve) + 2
	u := &Update{
		Tail: out, FieldName: name, Signatures: e.rules.signed, ContentsOffset: contents,
		ByteRange: [4]int64{0, contents, second, size + int64(len(out)) - second},
	}
	if !req.DocTimestamp {
		u.Signatures++
	}
	e.tail.writeByteRange(u.ByteRange)
	return u, nil
}
