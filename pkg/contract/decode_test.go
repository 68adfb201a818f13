package contract_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/contract"
)

func TestMalformedJSONSaysWhere(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                           `malformed JSON at line 1, column 1 (byte 0): the text ends too early, expected a value`,
		"{":                          `malformed JSON at line 1, column 2 (byte 1): the text ends too early, expected a key in double quotes`,
		"{\n  \"a\": 1,\n}":          `malformed JSON at line 3, column 1 (byte 12): expected a key in double quotes`,
		"{\"é\": tru}":               `malformed JSON at line 1, column 7 (byte 7): expected a value`,
		`{"a":1 "b":2}`:              `malformed JSON at line 1, column 8 (byte 7): expected , or }`,
		`{"a" 1}`:                    `malformed JSON at line 1, column 6 (byte 5): expected :`,
		`[1 2]`:                      `malformed JSON at line 1, column 4 (byte 3): expected , or ]`,
		`{"a":01}`:                   `malformed JSON at line 1, column 6 (byte 5): expected a number`,
		`{"a":1.}`:                   `malformed JSON at line 1, column 6 (byte 5): expected a number`,
		`{"a":"x`:                    `malformed JSON at line 1, column 8 (byte 7): the text ends too early, expected the closing double quote`,
		"{\"a\":\"x\ny\"}":           `malformed JSON at line 1, column 8 (byte 7): a control character in a text must be escaped`,
		`{"a":"\x"}`:                 `malformed JSON at line 1, column 7 (byte 6): expected a valid escape after \`,
		`{"a":"\ud800"}`:             `malformed JSON at line 1, column 7 (byte 6): expected a valid escape after \`,
		"{\"a\":\"\xff\"}":           `malformed JSON at line 1, column 7 (byte 6): a text here is not UTF-8`,
		`{"a":1,"a":2}`:              `malformed JSON at line 1, column 8 (byte 7): this key is there twice`,
		`{"\u0061":1,"a":2}`:         `malformed JSON at line 1, column 13 (byte 12): this key is there twice`,
		`{} {}`:                      `malformed JSON at line 1, column 4 (byte 3): expected the end after the JSON value`,
		strings.Repeat("[", 100):     `malformed JSON at line 1, column 66 (byte 65): values are nested too deeply`,
		`"x"`:                        `the request must be a JSON object`,
		"\xef\xbb\xbf[]":             `the request must be a JSON object`,
		`{"confString":"{"a":"b"}"}`: `malformed JSON at line 1, column 18 (byte 17): expected , or }`,
	} {
		t.Run(text[:min(len(text), 12)], func(t *testing.T) {
			t.Parallel()
			_, err := contract.DecodeInsertEnvelope([]byte(text))
			require.EqualError(t, err, want)
			require.Equal(t, contract.CodeIllegalArgument, contract.CodeOf(err))
		})
	}
}

func TestDecodeRefusesByPath(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path string
		f    func(obj)
		want string
	}{
		"unknown at the root":  {"", set("foo", 1), "foo: unknown field"},
		"unknown in a task":    {task0, set("foo", 1), "envelope.procDef.tasks[0].foo: unknown field"},
		"wrong case":           {env, rename("externalId", "ExternalID"), "envelope.ExternalID: unknown field; names are case-sensitive, did you mean externalId?"},
		"odd key":              {env, set("a b<script>\n"+strings.Repeat("x", 80), 1), "envelope.a?b?script??" + strings.Repeat("x", 52) + "???: unknown field"},
		"text as number":       {env, set("subject", 5), "envelope.subject: must be a text"},
		"text as object":       {env, set("subject", obj{}), "envelope.subject: must be a text"},
		"number as word":       {task0, set("order", "first"), "envelope.procDef.tasks[0].order: must be a whole number"},
		"number with spaces":   {task0, set("order", " 1"), "envelope.procDef.tasks[0].order: must be a whole number"},
		"number as NaN":        {task0, set("order", "NaN"), "envelope.procDef.tasks[0].order: must be a whole number"},
		"half a number":        {task0, set("order", 1.5), "envelope.procDef.tasks[0].order: must be a whole number"},
		"huge whole number":    {task0, set("order", json.Number("99999999999999999999")), "envelope.procDef.tasks[0].order: is too large a number"},
		"boolean as number":    {env, set("starred", 1), "envelope.starred: must be true or false"},
		"boolean as word":      {env, set("starred", "yes"), "envelope.starred: must be true or false"},
		"envelope as list":     {"", set("envelope", list{}), "envelope: must be an object"},
		"documents as text":    {env, set("documents", "x"), "envelope.documents: must be a list"},
		"null in a list":       {env, set("documents", list{nil}), "envelope.documents[0]: must not be null"},
		"coordinate as text":   {appear, set("coordAppearance", obj{"page": 1, "llx": "a", "lly": 0, "urx": 1, "ury": 1}), "envelope.procDef.tasks[0].actionDefs[0].appearance.coordAppearance.llx: must be a number"},
		"coordinate too large": {appear, set("coordAppearance", obj{"page": 1, "llx": json.Number("1e999"), "lly": 0, "urx": 1, "ury": 1}), "envelope.procDef.tasks[0].actionDefs[0].appearance.coordAppearance.llx: is too large a number"},
		"coordinate missing":   {appear, set("coordAppearance", obj{"page": 1, "llx": 0, "lly": 0, "urx": 1}), "envelope.procDef.tasks[0].actionDefs[0].appearance.coordAppearance.ury: is missing"},
		"bytes as list":        {doc0, set("bytes", list{1}), "envelope.documents[0].bytes: must be a text in base64"},
		"bytes not base64":     {doc0, set("bytes", "%PDF-1.7"), "envelope.documents[0].bytes: must be base64: the standard alphabet, padded with ="},
		"bytes unpadded":       {doc0, set("bytes", "JVBERi0xLjY"), "envelope.documents[0].bytes: must be base64: the standard alphabet, padded with ="},
		"bytes loosely padded": {doc0, set("bytes", "JVBERi0xLjZ="), "envelope.documents[0].bytes: must be base64: the standard alphabet, padded with ="},
		"bytes url alphabet":   {doc0, set("bytes", "-_-_"), "envelope.documents[0].bytes: must be base64: the standard alphabet, padded with ="},
		"NUL":                  {env, set("subject", "a\x00b"), "envelope.subject: must not contain the character U+0000"},
		"confString not JSON":  {act0, set("confString", "visible"), "envelope.procDef.tasks[0].actionDefs[0].confString: must be a text that holds a JSON object"},
		"confString a list":    {act0, set("confString", "[]"), "envelope.procDef.tasks[0].actionDefs[0].confString: must be a JSON object, or a text that holds one"},
		"confString number":    {act0, set("confString", 3), "envelope.procDef.tasks[0].actionDefs[0].confString: must be a JSON object, or a text that holds one"},
		"confString nested":    {act0, set("confString", obj{"a": obj{}}), "envelope.procDef.tasks[0].actionDefs[0].confString.a: must be a text, a number or a boolean"},
		"confString with NUL":  {act0, set("confString", obj{"a": "\x00"}), "envelope.procDef.tasks[0].actionDefs[0].confString.a: must not contain the character U+0000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := contract.DecodeInsertEnvelope(change(t, c.path, c.f))
			require.EqualError(t, err, c.want)
			require.Equal(t, contract.CodeIllegalArgument, contract.CodeOf(err))
		})
	}
}

func TestDecodeReadsNullAsAbsent(t *testing.T) {
	t.Parallel()
	same(env, func(o obj) {
		for _, k := range []string{"docClass", "expireAt", "note", "tag", "starred", "expirationFirstReminder", "confString", "joinDocuments"} {
			o[k] = nil
		}
	})(t)
	same("", set("addUsersInCC", nil))(t)
	same(act0, set("confString", ""))(t)
}

func TestDecodeKeepsBytesWhatevertheEscapes(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte{0xff, 0xfe, 0x3f, 0x00}, 3000)
	plain := base64.StdEncoding.EncodeToString(content)
	for name, text := range map[string]string{
		"plain":       plain,
		"slashes":     strings.ReplaceAll(plain, "/", `\/`),
		"line breaks": strings.Join([]string{plain[:76], plain[76:152], plain[152:]}, `\r\n`),
		"unicode":     strings.ReplaceAll(plain, "A", `\u0041`),
	} {
		data := bytes.Replace(encode(t, request()), []byte("JVBERi0xLjY="), []byte(text), 1)
		in, err := contract.DecodeInsertEnvelope(data)
		require.NoError(t, err, name)
		require.Equal(t, content, in.Envelope.Documents[0].Bytes, name)
	}
}

func TestDecodeReadsEscapes(t *testing.T) {
	t.Parallel()
	data := bytes.Replace(encode(t, request()), []byte(`"subject":"Contract"`), []byte(`"subject":"\ud83d\ude00 \u00e9 \"\\\/\b\f\n\r\t"`), 1)
	in, err := contract.DecodeInsertEnvelope(data)
	require.NoError(t, err)
	require.Equal(t, "😀 é \"\\/\b\f\n\r\t", in.Envelope.Subject)
}

func TestDecodeDefaultsToImmediate(t *testing.T) {
	t.Parallel()
	same(env, drop("sendingMode"))(t)
}

func TestDecodeReportsTheFirstProblemsAtOnce(t *testing.T) {
	t.Parallel()
	data := change(t, env, func(o obj) {
		for i := range 9 {
			o[fmt.Sprintf("x%d", i)] = i
		}
	})
	in, err := contract.DecodeInsertEnvelope(data)
	require.Len(t, contract.Problems(err), 5)
	require.Equal(t, "envelope.x0: unknown field; envelope.x1: unknown field; envelope.x2: unknown field; envelope.x3: unknown field; envelope.x4: unknown field", contract.Sentence(err))
	require.Equal(t, "E-1", in.Envelope.ExternalID, "a refusal must be able to name the envelope")
	require.Equal(t, "demo-secret", in.CustomerCode)
}

func TestDecodeBoundsTheModelButNotTheBytes(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("A", contract.MaxModelBytes)
	_, err := contract.DecodeInsertEnvelope(change(t, doc0, set("bytes", big)))
	require.NoError(t, err)
	_, err = contract.DecodeInsertEnvelope(change(t, env, set("note", big)))
	require.Equal(t, contract.CodeTooLarge, contract.CodeOf(err))
	_, err = contract.DecodeInsertEnvelope([]byte("[" + strings.Repeat("[],", 300_000) + "[]]"))
	require.Equal(t, contract.CodeTooLarge, contract.CodeOf(err))
}

func TestErrorsNeverShowContent(t *testing.T) {
	t.Parallel()
	const secret = "Annas-private-matter"
	tree := request()
	paths := []string{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case obj:
			for k, child := range v {
				walk(strings.TrimPrefix(path+"."+k, "."), child)
			}
		case list:
			walk(path+".0", v[0])
		default:
			paths = append(paths, path)
		}
	}
	walk("", tree)
	require.Greater(t, len(paths), 20)
	for _, path := range paths {
		cut := strings.LastIndex(path, ".")
		parent, key := "", path
		if cut >= 0 {
			parent, key = path[:cut], path[cut+1:]
		}
		for _, value := range []any{secret, obj{"x": secret}, list{secret}, secret + "\x01"} {
			_, err := judge(change(t, parent, set(key, value)))
			if err != nil {
				require.NotContains(t, err.Error(), secret, path)
			}
		}
	}
}

func TestOtherCommandsAreStrictToo(t *testing.T) {
	t.Parallel()
	d, err := contract.DecodeDeleteEnvelope([]byte(`{"customerCode":"c","usrExtId":"segr","enveExtId":"E"}`))
	require.NoError(t, err)
	require.NoError(t, d.Validate())
	d.EnveExtID = ""
	require.EqualError(t, d.Validate(), "enveExtId: is missing")
	_, err = contract.DecodeDeleteEnvelope([]byte(`{"customerCode":"c","usrExtId":"segr","note":"x"}`))
	require.EqualError(t, err, "note: unknown field")

	c, err := contract.DecodeCancelEnvelope([]byte(`{"customerCode":"c","enveExtId":"E","note":"x"}`))
	require.NoError(t, err)
	require.EqualError(t, c.Validate(), "usrExtId: is missing")

	s, err := contract.DecodeSendEnvelope([]byte(`{"usrExtId":"segr","enveExtId":"E"}`))
	require.NoError(t, err)
	require.EqualError(t, s.Validate(), "customerCode: is missing")

	f, err := contract.DecodeFindEnvelope([]byte(`{"customerCode":"c","externalSystemCode":"ERP","enveExtId":"E","withDocBytes":"true"}`))
	require.NoError(t, err)
	require.True(t, f.WithDocBytes)
	require.NoError(t, f.Validate())
	f.ExternalSystemCode = "a.b"
	require.EqualError(t, f.Validate(), "externalSystemCode: must be 1 to 64 letters, digits, - or _")

	g, err := contract.DecodeGetURL([]byte(`{"customerCode":"c","enveExtId":"E","usrExtId":"anna"}`))
	require.NoError(t, err)
	require.NoError(t, g.Validate())
	st, err := contract.DecodeGetStatus([]byte(`{"customerCode":"c"}`))
	require.NoError(t, err)
	require.EqualError(t, st.Validate(), "enveExtId: is missing")
}

func TestSubscribe(t *testing.T) {
	t.Parallel()
	ok, err := contract.DecodeSubscribe([]byte(`{"url":"https://example.com/hook","types":["dev.signbus.operation.done"],"mode":"structured","secret":"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz","externalSystemCode":"ERP"}`))
	require.NoError(t, err)
	require.NoError(t, ok.Validate())
	for _, c := range []struct{ text, want string }{
		{`{}`, "url: must be an absolute http or https address"},
		{`{"url":"ftp://example.com"}`, "url: must be an absolute http or https address"},
		{`{"url":"/hook"}`, "url: must be an absolute http or https address"},
		{`{"url":"https://anna:pw@example.com"}`, "url: must not carry a user or a password"},
		{`{"url":"https://example.com","types":["operation.done"]}`, "types[0]: must be the type of an event, such as dev.signbus.operation.done"},
		{`{"url":"https://example.com","mode":"batch"}`, "mode: must be binary or structured"},
		{`{"url":"https://example.com","secret":"whsec_c2hvcnQ="}`, "secret: must be whsec_ and the base64 of 24 to 64 bytes"},
		{`{"url":"https://example.com","secret":"plain"}`, "secret: must be whsec_ and the base64 of 24 to 64 bytes"},
	} {
		s, err := contract.DecodeSubscribe([]byte(c.text))
		require.NoError(t, err)
		require.EqualError(t, s.Validate(), c.want)
	}
}

func TestCodeOfForeignErrors(t *testing.T) {
	t.Parallel()
	require.Equal(t, contract.CodeOK, contract.CodeOf(nil))
	require.Equal(t, contract.CodeError, contract.CodeOf(errors.New("connection to 10.0.0.1 refused")))
	require.Equal(t, "internal error", contract.Sentence(errors.New("connection to 10.0.0.1 refused")))
	wrapped := fmt.Errorf("accept command: %w", &contract.Error{Code: contract.CodeTooLarge, Message: "the body is over 64 MB"})
	require.Equal(t, contract.CodeTooLarge, contract.CodeOf(wrapped))
	require.Equal(t, "the body is over 64 MB", contract.Sentence(wrapped))
	require.Empty(t, contract.Problems(nil))
}

func FuzzDecodeAgreesWithTheStandardLibrary(f *testing.F) {
	for _, seed := range []string{`{"subject":"a"}`, `{"a":[1,-2.5e+3,"\u00e9\ud83d\ude00",true,null]}`, `[`, `"\x"`, "{\"a\":\"\x01\"}", `01`, ` {} `} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := contract.DecodeFoundEnvelope(data)
		malformed := err != nil && strings.HasPrefix(err.Error(), "malformed JSON")
		if !json.Valid(data) {
			if !bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) && err == nil {
				t.Fatalf("read what is not JSON")
			}
			return
		}
		// Stricter than the standard library on purpose: depth, duplicates, broken texts.
		if malformed && !strings.Contains(err.Error(), "nested too deeply") && !strings.Contains(err.Error(), "twice") &&
			!strings.Contains(err.Error(), "not UTF-8") && !strings.Contains(err.Error(), "valid escape") {
			t.Fatalf("refused JSON: %v", err)
		}
	})
}
