package intake

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/contract"
)

// keepDigest is a keepFunc that names what it reads.
func keepDigest(r io.Reader) (string, error) {
	sum := sha256.New()
	if _, err := io.Copy(sum, r); err != nil {
		return "", fmt.Errorf("put blob: %w", err)
	}
	return uriOf(sum.Sum(nil)), nil
}

func uriOf(sum []byte) string { return "kept:" + hex.EncodeToString(sum) }

func uriOfText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return uriOf(sum[:])
}

func TestTakeDocuments(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"nothing to take":         {`{"a": [1, "bytes", {"b": null}]}`, `{"a": [1, "bytes", {"b": null}]}`},
		"bytes":                   {`{"bytes": "aGk="}`, `{"uri": "` + uriOfText("hi") + `"}`},
		"with an empty uri":       {`{"uri":null,"bytes":"aGk="}`, `{"bytes":null,"uri":"` + uriOfText("hi") + `"}`},
		"escaped slashes":         {`{"bytes":"Pz8\/Pz8\u002f"}`, `{"uri":"` + uriOfText("??????") + `"}`},
		"escaped line ends":       {`{"bytes":"aG\r\nk=\n"}`, `{"uri":"` + uriOfText("hi") + `"}`},
		"escaped name":            {`{"byte\u0073":"aGk="}`, `{"uri":"` + uriOfText("hi") + `"}`},
		"null bytes":              {`{"bytes":null,"uri":"x"}`, `{"bytes":null,"uri":"x"}`},
		"bytes of another kind":   {`{"bytes":[{"x":1}]}`, `{"bytes":[{"x":1}]}`},
		"a text that looks alike": {`["\"bytes\":\"aGk=\"","bytes","aGk="]`, `["\"bytes\":\"aGk=\"","bytes","aGk="]`},
		"no JSON at all":          {`bytes: "aGk="`, `bytes: "aGk="`},
		"the end is missing":      {`{"a":{"b":`, `{"a":{"b":`},
	} {
		for _, in := range []io.Reader{strings.NewReader(c.in), iotest.OneByteReader(strings.NewReader(c.in))} {
			got, err := takeDocuments(in, keepDigest)
			require.NoError(t, err, name)
			require.Equal(t, c.want, string(got), name)
		}
	}
}

func TestTakeDocumentsRefuses(t *testing.T) {
	t.Parallel()
	long := base64.StdEncoding.EncodeToString(make([]byte, 3*1024-1)) // padded at a boundary of the decoder
	for name, c := range map[string]struct{ in, path string }{
		"other alphabet":      {`{"documents":[{},{"bytes":"a-_k"}]}`, "envelope.documents[1].bytes"},
		"no padding":          {`{"documents":[{"protocols":[1,2],"bytes":"aGk"}]}`, "envelope.documents[0].bytes"},
		"outside of a list":   {`{"bytes":"!"}`, "envelope.documents.bytes"},
		"text after padding":  {`{"bytes":"` + long + `AAAA"}`, "envelope.documents.bytes"},
		"padding, then more":  {`{"bytes":"aGk=\/aaa"}`, "envelope.documents.bytes"},
		"escaped backspace":   {`{"bytes":"\bGk="}`, "envelope.documents.bytes"},
		"escaped elsewhere":   {`{"bytes":"\u20acaGk"}`, "envelope.documents.bytes"},
		"signed escape":       {`{"bytes":"\u+041Gk="}`, "envelope.documents.bytes"},
		"raw line end":        {"{\"bytes\":\"aG\nk=\"}", "envelope.documents.bytes"},
		"bits that are not 0": {`{"bytes":"aGl="}`, "envelope.documents.bytes"},
	} {
		_, err := takeDocuments(strings.NewReader(c.in), keepDigest)
		var problem *contract.Error
		require.ErrorAs(t, err, &problem, name)
		require.Equal(t, contract.CodeIllegalArgument, problem.Code, name)
		require.Equal(t, c.path, problem.Path, name)
		require.Contains(t, problem.Message, "base64", name)
	}
}

func TestTakeDocumentsTellsWhyTheBodyEnds(t *testing.T) {
	t.Parallel()
	_, err := takeDocuments(strings.NewReader(`{"bytes":"aGkh`), keepDigest)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	broken := errors.New("broken line")
	for _, begin := range []string{`{"bytes":"aGkh`, `{"bytes":"aGkh\`, `{"bytes":"aG\u00`, `{"byt`, `{`, `{"uri": `} {
		_, err = takeDocuments(io.MultiReader(strings.NewReader(begin), iotest.ErrReader(broken)), keepDigest)
		require.ErrorIs(t, err, broken, begin)
	}
	full := errors.New("disk full")
	_, err = takeDocuments(strings.NewReader(`{"bytes":"aGkh"}`), func(io.Reader) (string, error) { return "", full })
	require.ErrorIs(t, err, full)
}

func TestTakeDocumentsBoundsTheRest(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"text": `{"a":"` + strings.Repeat("x", maxRest) + `"}`, "brackets": strings.Repeat("[", maxRest+1),
	} {
		_, err := takeDocuments(strings.NewReader(in), keepDigest)
		require.ErrorIs(t, err, errRestTooLarge, name)
	}
}

// TestTakeDocumentsHoldsNoDocument is not parallel: it counts what the process allocates.
func TestTakeDocumentsHoldsNoDocument(t *testing.T) {
	const size = 32 << 20
	body := io.MultiReader(
		strings.NewReader(`{"envelope":{"documents":[{"bytes":"`),
		io.LimitReader(repeated("QUJD"), size),
		strings.NewReader(`"}]}}`))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var n int64
	out, err := takeDocuments(body, func(r io.Reader) (_ string, err error) {
		n, err = io.Copy(io.Discard, r)
		return "kept", err
	})
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	require.JSONEq(t, `{"envelope":{"documents":[{"uri":"kept"}]}}`, string(out))
	require.EqualValues(t, size/4*3, n)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(2<<20))
}

// repeated reads a text over and over.
type repeated string

func (s repeated) Read(p []byte) (int, error) {
	n := 0
	for n+len(s) <= len(p) {
		n += copy(p[n:], s)
	}
	if n == 0 {
		n = copy(p, s) // shorter than the text; the callers read in larger steps
	}
	return n, nil
}

// FuzzTakeDocuments compares with a slow way that holds everything in memory.
func FuzzTakeDocuments(f *testing.F) {
	for _, seed := range []string{
		`{"envelope":{"documents":[{"uri":null,"bytes":"aGk="},{"bytes":null,"uri":"x"}]}}`,
		`[{"byte\u0073" : "a\/+\n="}, "bytes", {"bytes":"=="}, {"uri" :null , "uri":null}, 1.5e3, true]`,
		`{"a":"\\\"","bytes":"\u0041GkhQUJD"}`, `"bytes"`, `{"bytes":"aGk=","bytes":""}`, "\xff{}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := takeDocuments(bytes.NewReader(in), keepDigest)
		if !json.Valid(in) {
			return // the strict decoder refuses what comes out
		}
		want, ok := expected(parse(t, in))
		if !ok {
			var problem *contract.Error
			require.ErrorAs(t, err, &problem)
			return
		}
		require.NoError(t, err)
		require.Equal(t, want, parse(t, got))
	})
}

// object keeps the order of its members and doubled names.
type object []struct {
	name  string
	value any
}

func parse(t *testing.T, data []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var read func() any
	read = func() any {
		token, err := d.Token()
		require.NoError(t, err)
		switch token {
		case json.Delim('{'):
			o := object{}
			for d.More() {
				name, err := d.Token()
				require.NoError(t, err)
				o = append(o, struct {
					name  string
					value any
				}{name.(string), read()})
			}
			_, err = d.Token()
			require.NoError(t, err)
			return o
		case json.Delim('['):
			list := []any{}
			for d.More() {
				list = append(list, read())
			}
			_, err = d.Token()
			require.NoError(t, err)
			return list
		}
		return token
	}
	return read()
}

// expected is the value without its documents; false when one is not base64.
func expected(v any) (any, bool) {
	switch v := v.(type) {
	case object:
		for i, m := range v {
			text, isText := m.value.(string)
			switch {
			case m.name == "bytes" && isText:
				content, err := base64.StdEncoding.Strict().DecodeString(text)
				if err != nil {
					return nil, false
				}
				v[i].name, v[i].value = "uri", uriOfText(string(content))
				continue
			case m.name == "uri" && m.value == nil:
				v[i].name = "bytes"
			}
			value, ok := expected(m.value)
			if !ok {
				return nil, false
			}
			v[i].value = value
		}
	case []any:
		for i := range v {
			value, ok := expected(v[i])
			if !ok {
				return nil, false
			}
			v[i] = value
		}
	}
	return v, true
}
