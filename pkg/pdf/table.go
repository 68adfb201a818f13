package pdf

import (
	"cmp"
	"slices"
)

type xrefKind uint8

const (
	xrefFree xrefKind = iota
	xrefInUse
	xrefCompressed
)

// xref says where an object is: at an offset, or as the index-th object of a stream.
// It takes 16 bytes, so that large files need little memory.
type xref struct {
	num  uint32
	gen  uint16
	kind xrefKind
	at   int64 // the offset, or the number of the object stream with the index below
}

// indexBits are the bits of the index in an object stream.
const indexBits = 24

// compressed returns number of the object stream and index of a compressed object.
func (x xref) compressed() (stream int64, index int) {
	return x.at >> indexBits, int(x.at & (1<<indexBits - 1))
}

// table lists objects by number.
type table []xref

// find returns the entry of an object.
func (t table) find(num int64) (xref, bool) {
	if num >= 0 && num < int64(len(t)) && int64(t[num].num) == num { // most files list all numbers
		return t[num], true
	}
	i, ok := slices.BinarySearchFunc(t, num, func(x xref, num int64) int { return cmp.Compare(int64(x.num), num) })
	if !ok {
		return xref{}, false
	}
	return t[i], true
}

// order sorts the entries of one section; the first of several about one object counts.
func (t table) order() table {
	for i := 1; i < len(t); i++ {
		if t[i-1].num >= t[i].num {
			slices.SortStableFunc(t, func(a, b xref) int { return cmp.Compare(a.num, b.num) })
			return slices.CompactFunc(t, func(a, b xref) bool { return a.num == b.num })
		}
	}
	return t
}

// merge puts sections together, the newest first: the newest entry of an object counts.
func merge(sections []table) table {
	if len(sections) == 0 {
		return nil
	}
	for len(sections) > 1 {
		n := 0
		for i := 0; i < len(sections); i += 2 {
			if i+1 < len(sections) {
				sections[n] = merge2(sections[i], sections[i+1])
			} else {
				sections[n] = sections[i]
			}
			n++
		}
		sections = sections[:n]
	}
	return sections[0]
}

func merge2(newer, older table) table {
	out := make(table, 0, len(newer)+len(older))
	for len(newer) > 0 && len(older) > 0 {
		switch a, b := newer[0].num, older[0].num; {
		case a <= b:
			out = append(out, newer[0])
			newer = newer[1:]
			if a == b {
				older = older[1:]
			}
		default:
			out = append(out, older[0])
			older = older[1:]
		}
	}
	return append(append(out, newer...), older...)
}
