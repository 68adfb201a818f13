package pdf

import (
	"errors"
	"io"
)

// words reads white-space separated words, such as those of a cross-reference table,
// and knows where it is.
type words struct {
	f     *file
	off   int64  // of the next byte
	rest  []byte // bytes from off on that are read already
	long  bool   // something was read before
	err   error  // why no more could be read
	word  [32]byte
	gap   gap // before the last word
	after gap // behind it, as far as it was passed
}

// gap tells what white space stands between two words. Other readers go by lines, and take a
// table apart in another way than words alone say.
type gap uint8

const (
	gapLine gap = 1 << iota // the end of a line
	gapNull                 // a null byte, which is white space in some readers only
)

func gapOf(c byte) gap {
	switch c {
	case '\n', '\r':
		return gapLine
	case 0:
		return gapNull
	}
	return 0
}

// errEnd means that the file ends.
var errEnd = errors.New("end of file")

// fill reads on, keeping what is left.
func (w *words) fill() bool {
	from := w.off + int64(len(w.rest))
	if w.err == nil && from >= w.f.size {
		w.err = errEnd
	}
	if w.err == nil {
		w.err = w.f.ctx.Err()
	}
	if w.err != nil {
		return false
	}
	if kept := w.f.kept(w.off); len(w.rest) == 0 && kept != nil {
		w.rest = kept
		return true
	}
	buf := w.f.mem.words[:]
	if w.long {
		if w.f.words == nil {
			w.f.words = make([]byte, 64<<10)
		}
		buf = w.f.words
	}
	w.long = true // most tables are short
	n := copy(buf, w.rest)
	got, err := w.f.r.ReadAt(buf[n:n+int(min(int64(len(buf)-n), w.f.size-from))], from)
	if got == 0 {
		if w.err = err; err == nil || errors.Is(err, io.EOF) {
			w.err = errEnd
		}
		return false
	}
	w.rest = buf[:n+got]
	return true
}

// failure tells an end of the file or of the context, or an error of the reader, from bytes that are wrong.
func (w *words) failure(err, wrong error) error {
	if err == nil || errors.Is(err, errEnd) {
		return wrong
	}
	return err
}

func (w *words) pass(n int) {
	w.rest = w.rest[n:]
	w.off += int64(n)
}

// next returns the next word, cut at 32 bytes; the slice is valid until the next call.
func (w *words) next() ([]byte, error) {
	n := 0
	w.gap, w.after = w.after, 0
	for {
		if len(w.rest) == 0 && !w.fill() {
			if n > 0 && errors.Is(w.err, errEnd) {
				return w.word[:n], nil
			}
			return nil, w.err
		}
		c := w.rest[0]
		w.pass(1)
		switch {
		case !isSpace(c) && n < len(w.word):
			w.word[n] = c
			n++
			if n == 7 && string(w.word[:7]) == "trailer" { // "trailer<<" is common
				return w.word[:n], nil
			}
		case n > 0:
			w.after = gapOf(c)
			return w.word[:n], nil
		default:
			w.gap |= gapOf(c)
		}
	}
}

// integer reads a number with that gap before it.
func (w *words) integer(before gap) (int64, bool) {
	word, err := w.next()
	if err != nil || w.gap != before {
		return 0, false
	}
	return digits(word)
}

// standardEntry reads the 20 bytes that an entry of a cross-reference table has to have (ISO
// 32000-2, 7.5.4).
func standardEntry(b []byte) (off, gen int64, kind byte, ok bool) {
	if len(b) < 20 || b[10] != ' ' || b[16] != ' ' {
		return 0, 0, 0, false
	}
	off, ok1 := digits(b[:10])
	gen, ok2 := digits(b[11:16])
	end := string(b[18:20])
	return off, gen, b[17], ok1 && ok2 && (b[17] == 'n' || b[17] == 'f') && (end == "\r\n" || end == " \n" || end == " \r")
}

// entry reads an entry of a cross-reference table, which is a line. Nearly all have the 20
// bytes of the standard.
func (w *words) entry() (off, gen int64, kind byte, ok bool) {
	for len(w.rest) > 0 && isSpace(w.rest[0]) {
		w.after |= gapOf(w.rest[0])
		w.pass(1)
	}
	if len(w.rest) < 20 {
		w.fill()
	}
	if w.after == gapLine {
		if off, gen, kind, ok := standardEntry(w.rest); ok {
			w.pass(20) // and w.after stays: the line has ended
			return off, gen, kind, true
		}
	}
	off, ok1 := w.integer(gapLine)
	gen, ok2 := w.integer(0)
	word, err := w.next()
	if !ok1 || !ok2 || err != nil || w.gap != 0 || len(word) != 1 {
		return 0, 0, 0, false
	}
	return off, gen, word[0], true
}
