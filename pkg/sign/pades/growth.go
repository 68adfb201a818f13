package pades

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"time"

	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/sign/cms"
	"signbus.dev/pkg/sign/revocation"
)

// growth is a file with what was added to it so far, as if it were one. Each further
// update is prepared over both; nothing is written before all of them are there.
type growth struct {
	src    digest.Source
	limits pdf.Limits
	tail   []byte
	base   digest.State // after src; zero until it is needed
}

func (g *growth) size() int64 { return g.src.Size + int64(len(g.tail)) }

// ReadAt implements [io.ReaderAt].
func (g *growth) ReadAt(p []byte, off int64) (int, error) {
	if off >= g.size() {
		return 0, io.EOF
	}
	var n int
	if off < g.src.Size {
		part := p[:min(int64(len(p)), g.src.Size-off)]
		got, err := g.src.ReadAt(part, off)
		if got < len(part) {
			return got, err
		}
		n = got
	}
	n += copy(p[n:], g.tail[max(off-g.src.Size, 0):])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// bounds are the limits; a file is streamed, so its size is none of them unless the caller says so.
func (g *growth) bounds() pdf.Limits {
	l := g.limits
	if l.Bytes == 0 {
		l.Bytes = max(g.size(), 1)
	}
	return l
}

// add takes an update in, which belongs to it then.
func (g *growth) add(tail []byte) {
	if g.tail == nil {
		g.tail = tail
	} else {
		g.tail = append(g.tail, tail...)
	}
}

// maxEvidence bounds what one signature may bring along, in bytes: lists of revoked
// certificates of large authorities have several megabytes.
const maxEvidence = 32 << 20

// secure adds validation data, by the keys of the signatures that it is for.
func (g *growth) secure(ctx context.Context, found map[string]revocation.Data, at time.Time) error {
	security := pdf.Security{VRI: make(map[string]pdf.VRI, len(found))}
	size := 0
	for key, data := range found {
		v := pdf.VRI{OCSPs: data.OCSPs, CRLs: data.CRLs, Time: at}
		for _, c := range data.Certificates {
			v.Certificates = append(v.Certificates, c.Raw)
		}
		for _, list := range [][][]byte{v.Certificates, v.OCSPs, v.CRLs} {
			for _, item := range list {
				size += len(item)
			}
		}
		security.VRI[key] = v
	}
	if size > maxEvidence {
		return fmt.Errorf("%w: it has %d bytes, %d are allowed; use an authority that answers single questions (OCSP)", ErrRevocation, size, maxEvidence)
	}
	tail, err := pdf.PrepareSecurity(ctx, g, g.size(), g.bounds(), security)
	if err != nil {
		return err
	}
	g.add(tail)
	return nil
}

// timestampReserve is the room for a document time-stamp: a token with three certificates
// takes less.
const timestampReserve = 8 << 10

// stamp adds a document time-stamp over everything that is there, and returns the name of its field.
func (g *growth) stamp(ctx context.Context, p *Params) (string, error) {
	for reserve := timestampReserve; ; {
		update, err := pdf.Prepare(ctx, g, g.size(), g.bounds(), pdf.Request{DocTimestamp: true, Reserve: reserve})
		if err != nil {
			return "", err
		}
		token, err := p.tokenOver(ctx, g.base.With(g.tail, update.Before(), update.After()))
		if err != nil {
			return "", err
		}
		err = update.Fill(token)
		if err == nil {
			g.add(update.Tail)
			return update.FieldName, nil
		}
		if !errors.Is(err, pdf.ErrContentsTooSmall) || reserve != timestampReserve {
			return "", err
		}
		reserve = roomFor(token)
	}
}

// roomFor is the room for a signature that was larger than foreseen and is made anew.
func roomFor(signature []byte) int { return 2*len(signature) + 1024 }

// tokenOver gets a token over a digest. Whether its authority is trusted is the business
// of who asked it; here it must be about the right bytes.
func (p *Params) tokenOver(ctx context.Context, state digest.State) ([]byte, error) {
	sum := state.Sum()
	token, err := p.TimestampDigest(ctx, sum[:])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTimestamp, err)
	}
	made, err := cms.VerifyToken(token, func(h crypto.Hash) ([]byte, error) {
		if h != crypto.SHA256 {
			return nil, fmt.Errorf("it is over %s and not SHA-256: %w", h, cms.ErrUnsupported)
		}
		return sum[:], nil
	}, x509.NewCertPool(), p.now())
	if made == nil {
		return nil, fmt.Errorf("%w: document time-stamp: %w", ErrTimestamp, err)
	}
	return token, nil
}
