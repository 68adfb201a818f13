package intake

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"signbus.dev/pkg/contract"
)

// errRestTooLarge says that a body is large even without its documents.
var errRestTooLarge = errors.New("the request without its documents is too large")

// maxRest bounds what stays of a body when its documents are taken out: it must fit a
// NATS message with its headers.
const maxRest = 7 << 20

// keepFunc stores the bytes of one document and returns the uri to put in their place.
type keepFunc func(io.Reader) (uri string, err error)

// takeDocuments copies a JSON text from r to the result, except that each base64 text
// under a key "bytes" is decoded into keep and replaced by a member "uri". The text may
// be of any size: only what is not document content is held in memory. It does not judge
// the text; what is malformed is copied and refused by the strict decoder afterwards.
func takeDocuments(r io.Reader, keep keepFunc) ([]byte, error) {
	x := &extractor{in: bufio.NewReaderSize(r, 64<<10), keep: keep}
	for {
		err := x.token()
		if errors.Is(err, io.EOF) {
			return x.out.Bytes(), nil
		}
		if err != nil {
			return nil, err
		}
		if x.out.Len() > maxRest {
			return nil, errRestTooLarge
		}
	}
}

type extractor struct {
	in   *bufio.Reader
	out  bytes.Buffer
	keep keepFunc
	// nest holds the open brackets; key says that the next text is a member's name.
	nest []byte
	key  bool
}

// maxNest is deeper than any request; deeper text is left to the decoder to refuse.
const maxNest = 64

func (x *extractor) token() error {
	c, err := x.in.ReadByte()
	if err != nil {
		return err
	}
	switch c {
	case '{', '[':
		if len(x.nest) < maxNest {
			x.nest = append(x.nest, c)
		}
		x.key = c == '{'
	case '}', ']':
		if len(x.nest) > 0 {
			x.nest = x.nest[:len(x.nest)-1]
		}
		x.key = false
	case ',':
		x.key = len(x.nest) > 0 && x.nest[len(x.nest)-1] == '{'
	case '"':
		if x.key {
			x.key = false
			return x.member()
		}
		x.out.WriteByte(c)
		return x.copyText()
	}
	x.out.WriteByte(c)
	return nil
}

// copyText copies the rest of a text, its closing quote included.
func (x *extractor) copyText() error {
	for escaped := false; ; {
		c, err := x.in.ReadByte()
		if err != nil {
			return err
		}
		x.out.WriteByte(c)
		if x.out.Len() > maxRest {
			return errRestTooLarge
		}
		switch {
		case escaped:
			escaped = false
		case c == '\\':
			escaped = true
		case c == '"':
			return nil
		}
	}
}

// member handles a member whose name begins: `"bytes": "..."` becomes `"uri": "blob:..."`,
// and a `"uri": null` beside it becomes `"bytes": null`, so that no name is doubled.
func (x *extractor) member() error {
	start := x.out.Len()
	x.out.WriteByte('"')
	if err := x.copyText(); err != nil {
		return err
	}
	name := string(x.out.Bytes()[start+1 : x.out.Len()-1])
	if name != "bytes" && name != "uri" {
		return nil
	}
	next, err := x.copyToValue()
	if err != nil {
		return err
	}
	between := bytes.Clone(x.out.Bytes()[start+len(name)+2:])
	rename := func(to string) {
		x.out.Truncate(start)
		fmt.Fprintf(&x.out, "%q%s", to, between)
	}
	switch {
	case name == "uri" && next == 'n':
		rename("bytes")
	case name == "bytes" && next == '"':
		_, _ = x.in.ReadByte()
		uri, err := x.document()
		if err != nil {
			return err
		}
		rename("uri")
		fmt.Fprintf(&x.out, "%q", uri)
	}
	return nil
}

// copyToValue copies the colon and white space and returns the first byte of the value,
// which stays unread.
func (x *extractor) copyToValue() (byte, error) {
	for {
		c, err := x.in.ReadByte()
		if err != nil {
			return 0, err
		}
		switch c {
		case ' ', '\t', '\r', '\n', ':':
			x.out.WriteByte(c)
		default:
			return c, x.in.UnreadByte()
		}
	}
}

func (x *extractor) document() (string, error) {
	text := &textReader{in: x.in}
	uri, err := x.keep(base64.NewDecoder(base64.StdEncoding.Strict(), text))
	var corrupt base64.CorruptInputError
	switch {
	case errors.As(err, &corrupt), err == nil && !text.done, errors.Is(err, io.ErrUnexpectedEOF):
		return "", &contract.Error{
			Code: contract.CodeIllegalArgument, Path: "envelope.documents.bytes",
			Message: "must be base64: the standard alphabet, padded with =",
		}
	}
	return uri, err
}

// textReader reads the inside of a JSON text up to its closing quote. Base64 has no
// characters that need escaping, but some writers escape the slash and line ends.
type textReader struct {
	in   *bufio.Reader
	done bool
}

func (t *textReader) Read(p []byte) (int, error) {
	if t.done || len(p) == 0 {
		return 0, io.EOF
	}
	if _, err := t.in.Peek(1); err != nil {
		return 0, io.ErrUnexpectedEOF
	}
	window, _ := t.in.Peek(min(len(p), t.in.Buffered()))
	if end := bytes.IndexAny(window, `"\`); end == 0 {
		return t.special(p)
	} else if end > 0 {
		window = window[:end]
	}
	n := copy(p, window)
	_, err := t.in.Discard(n)
	return n, err
}

// special reads the closing quote or an escape.
func (t *textReader) special(p []byte) (int, error) {
	c, _ := t.in.ReadByte()
	if c == '"' {
		t.done = true
		return 0, io.EOF
	}
	escape, err := t.in.ReadByte()
	if err != nil {
		return 0, io.ErrUnexpectedEOF
	}
	switch escape {
	case 'n', 'r':
		p[0] = '\n' // skipped by the base64 decoder
	case 'u':
		var hex [4]byte
		if _, err := io.ReadFull(t.in, hex[:]); err != nil {
			return 0, io.ErrUnexpectedEOF
		}
		var r rune
		if _, err := fmt.Sscanf(string(hex[:]), "%04x", &r); err != nil || r > 0x7f {
			r = '?' // no base64: refused by the decoder
		}
		p[0] = byte(r)
	default:
		p[0] = escape
	}
	return 1, nil
}
