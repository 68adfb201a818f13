package cades

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/sign/cms"
)

// stride is how many decoded bytes lie between two remembered places of a text; a file of
// 1 GB has some 14,000 of them.
const stride = 96 << 10

// textReader gives random access to what base64 encodes.
type textReader struct {
	in     io.ReaderAt
	end    int64   // of the base64 in the text
	places []int64 // where in the text each stride begins
	size   int64   // decoded

	block  []byte // the stride decoded last
	number int64

	buf, letters []byte // for load
}

func notSigned(why string) error { return fmt.Errorf("%s: %w", why, cms.ErrMalformed) }

// binary returns the DER or BER of a message that may be written as PEM (RFC 7468) or as base64 alone.
func binary(in digest.Source) (io.ReaderAt, int64, error) {
	head := make([]byte, min(512, in.Size))
	if n, err := in.ReadAt(head, 0); n < len(head) {
		return nil, 0, fmt.Errorf("read: %w", err)
	}
	const sequence = 0x30
	text := bytes.TrimLeft(head, " \t\r\n")
	begin := int64(len(head) - len(text))
	switch {
	case len(head) == 0:
		return nil, 0, notSigned("the file is empty")
	case bytes.HasPrefix(text, []byte("-----BEGIN ")):
		line, _, found := bytes.Cut(text, []byte("\n"))
		label := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(string(line)), "-----BEGIN "), "-----")
		if !found || (!strings.HasPrefix(label, "PKCS7") && !strings.HasPrefix(label, "PKCS #7") && label != "CMS") {
			return nil, 0, notSigned("the PEM file holds no signed message")
		}
		begin += int64(len(line)) + 1
	case head[0] == sequence:
		return in, in.Size, nil
	case len(text) == 0 || text[0] != 'M': // What a message begins with in base64.
		return nil, 0, notSigned("neither DER nor PEM nor base64 of a signed message")
	}
	t := &textReader{in: in, number: -1}
	if err := t.index(begin, in.Size, text[0] == '-'); err != nil {
		return nil, 0, err
	}
	return t, t.size, nil
}

// What a byte of the text is.
const (
	other = iota
	space
	letter
	padding
	dash
)

var kinds = func() (kinds [256]byte) {
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" {
		kinds[c] = letter
	}
	kinds['='], kinds['-'] = padding, dash
	kinds[' '], kinds['\t'], kinds['\r'], kinds['\n'] = space, space, space, space
	return kinds
}()

// index goes through the text once and remembers where each stride begins.
func (t *textReader) index(begin, size int64, pem bool) error {
	letters, next, padded := int64(0), int64(0), int64(0)
	buf := make([]byte, 128<<10)
	t.end = size
	for off := begin; off < t.end; {
		n, err := t.in.ReadAt(buf[:min(int64(len(buf)), t.end-off)], off)
		if n == 0 {
			return fmt.Errorf("read: %w", err)
		}
		for i, c := range buf[:n] {
			switch kind := kinds[c]; {
			case kind == letter && padded == 0:
				if letters == next {
					t.places = append(t.places, off+int64(i))
					next += stride / 3 * 4
				}
				letters++
			case kind == space:
			case kind == padding && padded < 2:
				padded++
			case kind == dash && pem:
				t.end = off + int64(i) // The last line.
			default:
				return notSigned("not base64")
			}
			if t.end < size {
				break
			}
		}
		off += int64(n)
	}
	if letters%4 == 1 || (padded > 0 && (letters+padded)%4 != 0) {
		return notSigned("base64 ends too early")
	}
	t.size = letters * 3 / 4
	return nil
}

// ReadAt implements [io.ReaderAt] for one caller at a time.
func (t *textReader) ReadAt(out []byte, off int64) (int, error) {
	total := 0
	for total < len(out) && off < t.size {
		if err := t.load(off / stride); err != nil {
			return total, err
		}
		n := copy(out[total:], t.block[off%stride:])
		total += n
		off += int64(n)
	}
	if total < len(out) {
		return total, io.EOF
	}
	return total, nil
}

// load decodes one stride.
func (t *textReader) load(number int64) error {
	if number == t.number {
		return nil
	}
	off, end := t.places[number], t.end
	if number+1 < int64(len(t.places)) {
		end = t.places[number+1]
	}
	if t.buf == nil {
		t.buf, t.letters = make([]byte, 32<<10), make([]byte, 0, stride/3*4)
	}
	t.letters = t.letters[:0]
	for off < end {
		n, err := t.in.ReadAt(t.buf[:min(int64(len(t.buf)), end-off)], off)
		if n == 0 {
			return fmt.Errorf("read: %w", err)
		}
		for _, c := range t.buf[:n] {
			if kinds[c] == letter {
				t.letters = append(t.letters, c)
			}
		}
		off += int64(n)
	}
	block, err := base64.RawStdEncoding.AppendDecode(t.block[:0], t.letters)
	if err != nil {
		return notSigned("not base64")
	}
	if int64(len(block)) != min(stride, t.size-number*stride) {
		return errors.New("read: the file changed")
	}
	t.block, t.number = block, number
	return nil
}
