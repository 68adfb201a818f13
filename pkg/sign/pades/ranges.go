package pades

import (
	"cmp"
	"context"
	"crypto"
	"fmt"
	"hash"
	"io"
	"slices"

	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/sign/cms"
)

// rangeDigests computes the digests of what all signatures cover in one pass for each
// hash: every range begins with the file and goes on, behind the signature itself, to the end of its revision.
type rangeDigests struct {
	ctx    context.Context
	in     io.ReaderAt
	budget int64 // bytes behind signatures that may still be read
	ranges []signedRange
	sums   map[crypto.Hash]map[int][]byte
}

type signedRange struct {
	signature int
	bytes     [4]int64
}

func newRangeDigests(ctx context.Context, in io.ReaderAt, size int64) *rangeDigests {
	// In a file that grew by updates the parts behind the signatures do not overlap.
	return &rangeDigests{ctx: ctx, in: in, budget: 2*size + 1<<20, sums: map[crypto.Hash]map[int][]byte{}}
}

// add takes the range of a signature in; false when all of them together are too much.
func (d *rangeDigests) add(signature int, b [4]int64) bool {
	if d.budget -= b[3]; d.budget < 0 {
		return false
	}
	d.ranges = append(d.ranges, signedRange{signature, b})
	return true
}

// sum is the digest of what a signature covers.
func (d *rangeDigests) sum(signature int, h crypto.Hash) ([]byte, error) {
	sums, ok := d.sums[h]
	if !ok {
		var err error
		if sums, err = d.pass(h); err != nil {
			return nil, err
		}
		d.sums[h] = sums
	}
	return sums[signature], nil
}

func (d *rangeDigests) pass(h crypto.Hash) (map[int][]byte, error) {
	ranges := slices.SortedFunc(slices.Values(d.ranges), func(a, b signedRange) int { return cmp.Compare(a.bytes[1], b.bytes[1]) })
	sums := make(map[int][]byte, len(ranges))
	running := h.New()
	var at int64
	for _, r := range ranges {
		if err := d.feed(running, at, r.bytes[1]); err != nil {
			return nil, err
		}
		at = r.bytes[1]
		cloner, ok := running.(hash.Cloner)
		if !ok {
			return nil, fmt.Errorf("%s can not be continued: %w", h, cms.ErrUnsupported)
		}
		own, err := cloner.Clone()
		if err != nil {
			return nil, err
		}
		if err := d.feed(own, r.bytes[2], r.bytes[2]+r.bytes[3]); err != nil {
			return nil, err
		}
		sums[r.signature] = own.Sum(nil)
	}
	return sums, nil
}

// feed hashes the bytes from one offset to another.
func (d *rangeDigests) feed(h hash.Hash, from, to int64) error {
	return digest.Copy(d.ctx, h, io.NewSectionReader(d.in, from, to-from), to-from)
}
