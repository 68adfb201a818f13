package schemas_test

import (
	"encoding/json"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/contract"
	"signbus.dev/schemas"
)

const expectation = ".expect.json"

func examples(t *testing.T, kind string) map[string][]byte {
	t.Helper()
	dir := path.Join("examples", kind)
	entries, err := fs.ReadDir(schemas.Files(), dir)
	require.NoError(t, err)
	out := map[string][]byte{}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), expectation) {
			continue
		}
		data, err := fs.ReadFile(schemas.Files(), path.Join(dir, e.Name()))
		require.NoError(t, err)
		out[strings.TrimSuffix(e.Name(), ".json")] = data
	}
	require.NotEmpty(t, out)
	return out
}

func judge(data []byte) (contract.InsertEnvelope, error) {
	in, err := contract.DecodeInsertEnvelope(data)
	if err != nil {
		return in, err
	}
	return in, in.Validate()
}

func TestValidExamples(t *testing.T) {
	t.Parallel()
	s := compile(t, "commands/insertEnvelope")
	for name, data := range examples(t, "valid") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, s.Validate(parse(t, data)))
			in, err := judge(data)
			require.NoError(t, err)
			again, err := json.Marshal(in)
			require.NoError(t, err)
			require.NoError(t, s.Validate(parse(t, again)), "what Go writes obeys the schema")
			back, err := judge(again)
			require.NoError(t, err)
			require.Equal(t, in, back)
		})
	}
}

// Every valid example may be sent to one development bus: their ids differ.
func TestValidExamplesCanBeSentTogether(t *testing.T) {
	t.Parallel()
	ids := map[string]string{}
	for name, data := range examples(t, "valid") {
		in, err := judge(data)
		require.NoError(t, err)
		require.Empty(t, ids[in.Envelope.ExternalID], name)
		ids[in.Envelope.ExternalID] = name
		require.Equal(t, "demo-secret", in.CustomerCode, name)
		require.Equal(t, "ERP", in.ExternalSystemCode, name)
	}
}

// Tolerated spellings are not in the schema, which shows the form to send.
func TestToleratedExamples(t *testing.T) {
	t.Parallel()
	s := compile(t, "commands/insertEnvelope")
	for name, data := range examples(t, "tolerated") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Error(t, s.Validate(parse(t, data)))
			in, err := judge(data)
			require.NoError(t, err)
			again, err := json.Marshal(in)
			require.NoError(t, err)
			require.NoError(t, s.Validate(parse(t, again)), "what it is read as obeys the schema")
		})
	}
}

type expected struct {
	Code contract.Code `json:"code"`
	Path string        `json:"path"`
	// SchemaRefuses is null when the text is not JSON.
	SchemaRefuses *bool  `json:"schemaRefuses"`
	Why           string `json:"why"`
}

func expectedOf(t *testing.T, name string) expected {
	t.Helper()
	data, err := fs.ReadFile(schemas.Files(), path.Join("examples", "invalid", name+expectation))
	require.NoError(t, err)
	var e expected
	require.NoError(t, json.Unmarshal(data, &e))
	require.NotEmpty(t, e.Why)
	return e
}

func TestInvalidExamples(t *testing.T) {
	t.Parallel()
	s := compile(t, "commands/insertEnvelope")
	for name, data := range examples(t, "invalid") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := expectedOf(t, name)
			_, err := judge(data)
			problems := contract.Problems(err)
			require.Len(t, problems, 1, "%v", err)
			require.Equal(t, want.Code, problems[0].Code)
			require.Equal(t, want.Path, problems[0].Path, problems[0].Message)
			require.NotEmpty(t, problems[0].Message)
			require.Equal(t, want.SchemaRefuses != nil, json.Valid(data) && name != "duplicate-key")
			if want.SchemaRefuses != nil {
				require.Equal(t, *want.SchemaRefuses, s.Validate(parse(t, data)) != nil, "the schema's opinion")
			}
		})
	}
}

// Every field that the schema calls refused for now has an invalid example that shows it.
func TestEveryUnbuiltFieldHasAnExample(t *testing.T) {
	t.Parallel()
	var shown []string
	for name := range examples(t, "invalid") {
		if e := expectedOf(t, name); e.Code == contract.CodeNotSupported {
			shown = append(shown, e.Path[strings.LastIndex(e.Path, ".")+1:])
		}
	}
	root := schemaTree(t, "commands/insertEnvelope")
	objects := []tree{root}
	for _, d := range definitions(root) {
		objects = append(objects, d.(tree))
	}
	found := 0
	for _, o := range objects {
		properties, _ := o["properties"].(tree)
		for name, p := range properties {
			if strings.Contains(p.(tree)["description"].(string), "refused with not_supported") {
				found++
				require.Contains(t, shown, name)
			}
		}
	}
	require.Greater(t, found, 15)
}

// What the schema requires, Go requires: leaving it out of a valid example is refused at its path.
func TestRequiredMeansRequired(t *testing.T) {
	t.Parallel()
	root := schemaTree(t, "commands/insertEnvelope")
	c := comparer{root: root, seen: map[string]bool{}}
	checked := map[string]bool{}
	for name, data := range examples(t, "valid") {
		var walk func(s tree, pointer []any, at string)
		walk = func(s tree, pointer []any, at string) {
			s = c.resolve(t, s)
			v := descend(parse(t, data), pointer)
			switch v := v.(type) {
			case []any:
				for i := range v {
					walk(s["items"].(tree), append(slices.Clone(pointer), i), at+indexText(i))
				}
			case tree:
				required, _ := s["required"].([]any)
				for _, r := range required {
					copied := parse(t, data)
					delete(descend(copied, pointer).(tree), r.(string))
					changed, err := json.Marshal(copied)
					require.NoError(t, err)
					_, err = judge(changed)
					require.True(t, refusedAt(err, strings.TrimPrefix(at+"."+r.(string), ".")), "%s without %s.%s: %v", name, at, r, err)
					checked[r.(string)] = true
				}
				properties, _ := s["properties"].(tree)
				for key, child := range v {
					if p, ok := properties[key].(tree); ok && child != nil {
						walk(p, append(slices.Clone(pointer), key), strings.TrimPrefix(at+"."+key, "."))
					}
				}
			}
		}
		walk(root, nil, "")
	}
	require.Greater(t, len(checked), 20)
}

func indexText(i int) string { return "[" + string(rune('0'+i)) + "]" }

func descend(v any, pointer []any) any {
	for _, p := range pointer {
		switch p := p.(type) {
		case string:
			v = v.(tree)[p]
		case int:
			v = v.([]any)[p]
		}
	}
	return v
}

// refusedAt accepts a refusal at the path or, for what a whole object stands for, below it.
func refusedAt(err error, at string) bool {
	for _, p := range contract.Problems(err) {
		if p.Path == at || strings.HasPrefix(p.Path, at+".") {
			return true
		}
	}
	return false
}
