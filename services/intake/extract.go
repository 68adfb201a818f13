package intake

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"signbus.dev/pkg/contract"
)

// errRestTooLarge says that a body is large even without its documents.
var errRestTooLarge = errors.New("the request without its documents is too large")

// maxRest bounds what stays of a body when its documents are taken out; the decoder
// refuses more as well.
const maxRest = contract.MaxModelBytes

// keepFunc stores the bytes of one document and returns the uri to put in their place.
type keepFunc func(io.Reader) (uri string, err error)

// errNoContent is returned by a keepFunc for a document without a byte.
var errNoContent = errors.New("the document is empty")

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
	nest []bracket
	key  bool
}

// bracket is an open object or list, and the place in the list.
type bracket struct {
	open  byte
	index int
}

func (x *extractor) token() error {
	c, err := x.in.ReadByte()
	if err != nil {
		return err
	}
	switch c {
	case '{', '[':
		x.nest = append(x.nest, bracket{open: c})
		x.key = c == '{'
	case '}', ']':
		if len(x.nest) > 0 {
			x.nest = x.nest[:len(x.nest)-1]
		}
		x.key = false
	case ',':
		x.key = false
		if n := len(x.nest); n > 0 {
			x.nest[n-1].index++
			x.key = x.nest[n-1].open == '{'
		}
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
	end := x.out.Len()
	name := memberName(x.out.Bytes()[start:end])
	if name != "bytes" && name != "uri" {
		return nil
	}
	next, err := x.copyToValue()
	if err != nil {
		return err
	}
	between := bytes.Clone(x.out.Bytes()[end:])
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

// memberName reads a name with its quotes; one that is not valid is left to the decoder.
func memberName(quoted []byte) (name string) {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1])
	}
	_ = json.Unmarshal(quoted, &name)
	return name
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

// document keeps the content of a document, of which the opening quote has been read.
func (x *extractor) document() (string, error) {
	text := &textReader{in: x.in}
	uri, err := x.keep(base64.NewDecoder(base64.StdEncoding.Strict(), text))
	var corrupt base64.CorruptInputError
	switch {
	case text.failed != nil: // the body's own fault, however the decoder took it
		return "", text.failed
	case errors.As(err, &corrupt), errors.Is(err, io.ErrUnexpectedEOF), err == nil && !text.done:
		return "", x.problem("must be base64: the standard alphabet, padded with =")
	case errors.Is(err, errNoContent):
		return "", x.problem("is missing; give the content in base64, or upload it and give its uri")
	}
	return uri, err
}

// problem is a fault of the document in hand.
func (x *extractor) problem(message string) *contract.Error {
	path := "envelope.documents.bytes"
	for _, b := range slices.Backward(x.nest) {
		if b.open == '[' {
			path = fmt.Sprintf("envelope.documents[%d].bytes", b.index)
			break
		}
	}
	return &contract.Error{Code: contract.CodeIllegalArgument, Path: path, Message: message}
}

// textReader reads the inside of a JSON text up to its closing quote. Base64 has no
// characters that need escaping, but some writers escape the slash and line ends.
type textReader struct {
	in *bufio.Reader
	// done says that the closing quote was read, padded that only padding may follow.
	done, padded bool
	// failed is why the body could not be read on.
	failed error
}

// special are the characters that end a run of plain ones.
const special = "\"\\=\r\n"

func (t *textReader) Read(p []byte) (int, error) {
	if t.done || len(p) == 0 {
		return 0, io.EOF
	}
	if _, err := t.in.Peek(1); err != nil {
		return 0, t.fail(err)
	}
	window, _ := t.in.Peek(min(len(p), t.in.Buffered()))
	switch end := bytes.IndexAny(window, special); {
	case end == 0:
		return t.special(p)
	case t.padded: // the decoder itself would begin anew after the padding
		return 0, base64.CorruptInputError(0)
	case end > 0:
		window = window[:end]
	}
	n := copy(p, window)
	_, err := t.in.Discard(n)
	return n, err
}

// special reads the closing quote, padding or an escape.
func (t *textReader) special(p []byte) (int, error) {
	c, _ := t.in.ReadByte()
	switch c {
	case '"':
		t.done = true
		return 0, io.EOF
	case '=':
		t.padded = true
		p[0] = c
		return 1, nil
	case '\r', '\n': // the decoder would skip them, but a JSON text cannot hold them
		return 0, base64.CorruptInputError(0)
	}
	c, err := t.escape()
	if err != nil {
		return 0, t.fail(err)
	}
	if t.padded = t.padded || c == '='; t.padded && c != '=' && c != '\n' && c != '\r' {
		return 0, base64.CorruptInputError(0)
	}
	p[0] = c
	return 1, nil
}

// noBase64 stands for what cannot be in a base64 text.
const noBase64 = '?'

// escape reads what follows a backslash.
func (t *textReader) escape() (byte, error) {
	c, err := t.in.ReadByte()
	if err != nil {
		return 0, err
	}
	switch c {
	case '/':
		return '/', nil
	case 'n', 'r':
		return '\n', nil // skipped by the base64 decoder
	case 'u':
		var digits [4]byte
		if _, err := io.ReadFull(t.in, digits[:]); err != nil {
			return 0, err
		}
		r, err := strconv.ParseUint(string(digits[:]), 16, 16)
		if err == nil && r < 0x80 {
			return byte(r), nil
		}
	}
	return noBase64, nil
}

func (t *textReader) fail(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	t.failed = err
	return err
}
