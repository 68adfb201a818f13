package schemas_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/contract"
	"signbus.dev/schemas"
)

// goTypes has the Go type of every schema.
func goTypes() map[string]reflect.Type {
	return map[string]reflect.Type{
		"commands/insertEnvelope":        reflect.TypeFor[contract.InsertEnvelope](),
		"commands/deleteEnvelope":        reflect.TypeFor[contract.DeleteEnvelope](),
		"commands/cancelEnvelope":        reflect.TypeFor[contract.CancelEnvelope](),
		"commands/sendEnvelope":          reflect.TypeFor[contract.SendEnvelope](),
		"queries/findEnvelope":           reflect.TypeFor[contract.FindEnvelope](),
		"queries/status":                 reflect.TypeFor[contract.GetStatus](),
		"queries/url":                    reflect.TypeFor[contract.GetURL](),
		"answers/outcome":                reflect.TypeFor[contract.Outcome](),
		"answers/foundEnvelope":          reflect.TypeFor[contract.FoundEnvelope](),
		"answers/envelopeStatus":         reflect.TypeFor[contract.Status](),
		"answers/signingUrl":             reflect.TypeFor[contract.SigningURL](),
		"answers/operation":              reflect.TypeFor[contract.OperationStatus](),
		"answers/upload":                 reflect.TypeFor[contract.Uploaded](),
		"answers/subscription":           reflect.TypeFor[contract.Subscription](),
		"answers/subscriptions":          reflect.TypeFor[contract.Subscriptions](),
		"requests/subscribe":             reflect.TypeFor[contract.Subscribe](),
		"events/operation.done":          reflect.TypeFor[contract.OperationDone](),
		"events/envelope.sent":           reflect.TypeFor[contract.EnvelopeSent](),
		"events/envelope.step.closed":    reflect.TypeFor[contract.EnvelopeStepClosed](),
		"events/envelope.status.changed": reflect.TypeFor[contract.EnvelopeStatusChanged](),
		"events/envelope.process.ended":  reflect.TypeFor[contract.EnvelopeProcessEnded](),
		"events/envelope.rejected":       reflect.TypeFor[contract.EnvelopeRejected](),
		"events/envelope.cancelled":      reflect.TypeFor[contract.EnvelopeCancelled](),
		"events/envelope.expired":        reflect.TypeFor[contract.EnvelopeExpired](),
	}
}

type tree = map[string]any

func parse(t *testing.T, data []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	require.NoError(t, err)
	return v
}

func schemaTree(t *testing.T, name string) tree {
	t.Helper()
	data, err := schemas.Schema(name)
	require.NoError(t, err)
	return parse(t, data).(tree)
}

func compile(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	doc := schemaTree(t, name)
	id := doc["$id"].(string)
	require.Equal(t, "https://signbus.dev/schemas/"+name+".v1.json", id)
	require.Equal(t, "https://json-schema.org/draft/2020-12/schema", doc["$schema"])
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	require.NoError(t, c.AddResource(id, doc))
	s, err := c.Compile(id)
	require.NoError(t, err)
	return s
}

func TestEverySchemaHasAGoType(t *testing.T) {
	t.Parallel()
	names, err := schemas.Names()
	require.NoError(t, err)
	require.ElementsMatch(t, slices.Collect(maps.Keys(goTypes())), names)
	for _, c := range contract.Commands() {
		require.Contains(t, names, schemas.OfCommand(c))
	}
	for _, q := range contract.Queries() {
		require.Contains(t, names, schemas.OfQuery(q))
	}
	for _, e := range contract.EventTypes() {
		require.Contains(t, names, schemas.OfEvent(e))
		require.Equal(t, e.SchemaURL(), schemaTree(t, schemas.OfEvent(e))["$id"])
	}
	count := map[string]int{}
	for _, n := range names {
		count[path.Dir(n)]++
	}
	require.Equal(t, len(contract.Commands()), count["commands"])
	require.Equal(t, len(contract.Queries()), count["queries"])
	require.Equal(t, len(contract.EventTypes()), count["events"])
	_, err = schemas.Schema("commands/nothing")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// Every property of the Go types is in the schema with the same type, and the other way round.
func TestSchemasAndGoTypesHaveTheSameProperties(t *testing.T) {
	t.Parallel()
	for name, typ := range goTypes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := comparer{root: schemaTree(t, name), seen: map[string]bool{}}
			c.compare(t, typ, c.root, name)
			for def := range definitions(c.root) {
				require.True(t, c.seen[def], "definition %s is not used", def)
			}
		})
	}
}

type comparer struct {
	root tree
	seen map[string]bool
}

func definitions(root tree) tree {
	defs, _ := root["$defs"].(tree)
	return defs
}

// resolve follows a reference and takes null out of the choices.
func (c *comparer) resolve(t *testing.T, s tree) tree {
	t.Helper()
	if choices, ok := s["oneOf"].([]any); ok && len(choices) == 2 {
		require.Equal(t, tree{"type": "null"}, choices[1])
		s = choices[0].(tree)
	}
	if ref, ok := s["$ref"].(string); ok {
		def := strings.TrimPrefix(ref, "#/$defs/")
		c.seen[def] = true
		resolved, ok := definitions(c.root)[def].(tree)
		require.True(t, ok, "no definition %s", def)
		return resolved
	}
	return s
}

func (c *comparer) compare(t *testing.T, typ reflect.Type, s tree, at string) {
	t.Helper()
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	s = c.resolve(t, s)
	if typ == reflect.TypeFor[contract.ConfString]() {
		require.Len(t, s["oneOf"], 3, at)
		return
	}
	want := map[reflect.Kind]string{
		reflect.String: "string", reflect.Int: "integer", reflect.Int64: "integer", reflect.Float64: "number",
		reflect.Bool: "boolean", reflect.Struct: "object", reflect.Slice: "array",
	}[typ.Kind()]
	bytesType := typ == reflect.TypeFor[[]byte]()
	if bytesType {
		want = "string"
	}
	if nullable, ok := s["type"].([]any); ok {
		require.Equal(t, []any{want, "null"}, nullable, at)
	} else {
		require.Equal(t, want, s["type"], at)
	}
	switch {
	case typ.Kind() == reflect.Struct:
		c.compareFields(t, typ, s, at)
	case typ.Kind() == reflect.Slice && !bytesType:
		c.compare(t, typ.Elem(), s["items"].(tree), at+"[]")
	}
}

func (c *comparer) compareFields(t *testing.T, typ reflect.Type, s tree, at string) {
	t.Helper()
	require.Equal(t, false, s["additionalProperties"], at)
	require.NotEmpty(t, s["description"], at)
	properties := s["properties"].(tree)
	var names []string
	for field := range typ.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		require.NotEmpty(t, name, field.Name)
		names = append(names, name)
		p, ok := properties[name].(tree)
		require.True(t, ok, "%s.%s is not in the schema", at, name)
		require.NotEmpty(t, p["description"], "%s.%s", at, name)
		c.compare(t, field.Type, p, at+"."+name)
	}
	require.ElementsMatch(t, names, slices.Collect(maps.Keys(properties)), at)
}

// Enumerations in the schemas are those of the Go constants.
func TestEnumerations(t *testing.T) {
	t.Parallel()
	text := func(values any) []string {
		out := []string{}
		v := reflect.ValueOf(values)
		for i := range v.Len() {
			out = append(out, v.Index(i).String())
		}
		return out
	}
	property := func(name string, keys ...string) []string {
		var v any = schemaTree(t, name)
		for _, k := range keys {
			v = v.(tree)[k]
		}
		out := []string{}
		for _, e := range v.([]any) {
			if e != nil {
				out = append(out, e.(string))
			}
		}
		return out
	}
	require.Equal(t, text(contract.EventTypes()), property("requests/subscribe", "properties", "types", "items", "enum"))
	require.Equal(t, text(contract.EventTypes()), property("answers/subscription", "properties", "types", "items", "enum"))
	require.Equal(t, text(contract.Commands()), property("events/operation.done", "properties", "command", "enum"))
	require.ElementsMatch(t, text(contract.EnvelopeStatuses()), property("events/envelope.status.changed", "properties", "newStatus", "enum"))
	require.ElementsMatch(t, text(contract.EnvelopeStatuses()), property("answers/foundEnvelope", "properties", "status", "enum"))
}

// The examples inside a schema obey it, fit its Go type exactly and survive it.
func TestExamplesInSchemas(t *testing.T) {
	t.Parallel()
	for name, typ := range goTypes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := compile(t, name)
			examples, _ := schemaTree(t, name)["examples"].([]any)
			require.NotEmpty(t, examples)
			for _, example := range examples {
				require.NoError(t, s.Validate(example))
				data, err := json.Marshal(example)
				require.NoError(t, err)
				v := reflect.New(typ)
				decoder := json.NewDecoder(bytes.NewReader(data))
				decoder.DisallowUnknownFields()
				require.NoError(t, decoder.Decode(v.Interface()))
				again, err := json.Marshal(v.Interface())
				require.NoError(t, err)
				require.NoError(t, s.Validate(parse(t, again)))
				if path.Dir(name) != "commands" { // optional fields may be left out there
					require.JSONEq(t, string(data), string(again))
				}
			}
		})
	}
}

// The answers that Go makes obey their schemas, even when they are empty.
func TestEmptyAnswersObeyTheirSchemas(t *testing.T) {
	t.Parallel()
	f := contract.FoundEnvelope{Status: contract.StatusDraft, SendingMode: contract.SendDraft, TrustLevelCode: contract.TrustDigitalPDF}
	f.Derive(contract.Millis(1795348800000).Time())
	data, err := json.Marshal(f)
	require.NoError(t, err)
	require.NoError(t, compile(t, "answers/foundEnvelope").Validate(parse(t, data)))
}
