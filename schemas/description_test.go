package schemas_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/subjects"
	"signbus.dev/schemas"
)

func bundled(t *testing.T, f func() ([]byte, error)) ([]byte, tree) {
	t.Helper()
	data, err := f()
	require.NoError(t, err)
	var doc tree
	require.NoError(t, yaml.Unmarshal(data, &doc))
	return data, doc
}

// Served descriptions are one file each: no reference leaves them, none leads nowhere.
func TestBundlesAreSelfContained(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func() ([]byte, error){"asyncapi": schemas.AsyncAPI, "openapi": schemas.OpenAPI} {
		data, doc := bundled(t, f)
		count := 0
		var walk func(v any)
		walk = func(v any) {
			switch v := v.(type) {
			case tree:
				if ref, ok := v["$ref"].(string); ok {
					count++
					require.True(t, strings.HasPrefix(ref, "#/"), "%s: %s", name, ref)
					var target any = doc
					for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
						inner, ok := target.(tree)
						require.True(t, ok, "%s: %s leads nowhere", name, ref)
						target = inner[part]
					}
					require.NotNil(t, target, "%s: %s leads nowhere", name, ref)
				}
				for _, child := range v {
					walk(child)
				}
			case []any:
				for _, child := range v {
					walk(child)
				}
			}
		}
		walk(doc)
		require.Greater(t, count, 40)
		again, err := f()
		require.NoError(t, err)
		require.Equal(t, string(data), string(again))
	}
}

// Every command, event and query has a channel on its subject and a message with its schema.
func TestAsyncAPIHasEveryMessageOnItsSubject(t *testing.T) {
	t.Parallel()
	_, doc := bundled(t, schemas.AsyncAPI)
	channels := doc["channels"].(tree)
	messages := doc["components"].(tree)["messages"].(tree)
	operations := doc["operations"].(tree)

	byAddress := map[string]string{}
	for name, c := range channels {
		if address, ok := c.(tree)["address"].(string); ok {
			byAddress[strings.NewReplacer("{customer}", "demo", "{system}", "ERP").Replace(address)] = name
		}
	}
	check := func(subject, action, schema string) tree {
		channel, ok := byAddress[subject]
		require.True(t, ok, "no channel on %s", subject)
		delete(byAddress, subject)
		all := channels[channel].(tree)["messages"].(tree)
		require.Len(t, all, 1)
		var message tree
		for _, m := range all {
			message = messages[strings.TrimPrefix(m.(tree)["$ref"].(string), "#/components/messages/")].(tree)
		}
		payload := message["payload"].(tree)
		if parts, ok := payload["allOf"].([]any); ok {
			payload = parts[0].(tree)
		}
		require.Equal(t, "#/components/schemas/"+schema, payload["$ref"])
		used := 0
		for _, o := range operations {
			if o.(tree)["channel"].(tree)["$ref"] == "#/channels/"+channel {
				require.Equal(t, action, o.(tree)["action"])
				used++
			}
		}
		require.Equal(t, 1, used, channel)
		return message
	}
	for _, c := range contract.Commands() {
		subject, err := subjects.Command("demo", "ERP", c)
		require.NoError(t, err)
		check(subject, "receive", string(c))
	}
	for _, e := range contract.EventTypes() {
		subject, err := subjects.Event("demo", "ERP", e)
		require.NoError(t, err)
		message := check(subject, "send", e.Short())
		require.Equal(t, string(e), message["name"])
		headers := message["headers"].(tree)["allOf"].([]any)[1].(tree)
		require.Equal(t, string(e), headers["properties"].(tree)["ce-type"].(tree)["const"])
	}
	for _, q := range contract.Queries() {
		subject, err := subjects.Query("demo", "ERP", q)
		require.NoError(t, err)
		check(subject, "receive", string(q))
	}
	require.Empty(t, byAddress, "channels that no constant names")
}

func TestAsyncAPIHasEveryHeader(t *testing.T) {
	t.Parallel()
	_, doc := bundled(t, schemas.AsyncAPI)
	headers := func(name string) []string {
		var out []string
		for h := range doc["components"].(tree)["schemas"].(tree)[name].(tree)["properties"].(tree) {
			out = append(out, h)
		}
		return out
	}
	require.ElementsMatch(t, []string{subjects.HeaderOperationID, subjects.HeaderTraceParent}, headers("CommandHeaders"))
	require.ElementsMatch(t, []string{
		subjects.HeaderCESpecVersion, subjects.HeaderCEID, subjects.HeaderCESource, subjects.HeaderCEType, subjects.HeaderCESubject,
		subjects.HeaderCETime, subjects.HeaderCESequence, subjects.HeaderCECustomer, subjects.HeaderCEOperationID,
		subjects.HeaderCETraceParent, subjects.HeaderCEDataSchema, subjects.HeaderCEDataContentType,
		subjects.HeaderContentType, subjects.HeaderTraceParent, subjects.HeaderEnvelope,
	}, headers("EventHeaders"))
}

// paths is the table of what is served; the services' own tests hold the other end.
func paths() map[string][]string {
	return map[string][]string{
		"/gosign/services/v1/envelopes/{extId}":               {"put", "post"},
		"/gosign/services/v1/envelopes2/{extId}":              {"put"},
		"/gosign/services/v1/envelopes/{extId}/delete/":       {"post"},
		"/gosign/services/v1/envelopes/{extId}/cancel":        {"post"},
		"/gosign/services/v1/envelopes/{extId}/send":          {"post"},
		"/legalbus/services/v1/envelopes/{extId}":             {"put", "post"},
		"/legalbus/services/v1/envelopes2/{extId}":            {"put"},
		"/legalbus/services/v1/envelopes/{extId}/delete/":     {"post"},
		"/legalbus/services/v1/envelopes/{extId}/cancel":      {"post"},
		"/legalbus/services/v1/envelopes/{extId}/send":        {"post"},
		"/legalbus/services/v1/envelopes/{extId}/status":      {"get"},
		"/legalbus/services/v1/envelopes/{extId}/signing-url": {"get"},
		"/legalbus/services/v1/operations/{operationId}":      {"get"},
		"/legalbus/services/v1/documents":                     {"post"},
		"/legalbus/services/v1/subscriptions":                 {"post", "get"},
		"/legalbus/services/v1/subscriptions/{id}":            {"get", "delete"},
		"/healthz":       {"get"},
		"/readyz":        {"get"},
		"/metrics":       {"get"},
		"/openapi.yaml":  {"get"},
		"/asyncapi.yaml": {"get"},
		"/pki/ca.pem":    {"get"},
		"/pki/tsa.pem":   {"get"},
		"/pki/ca.cer":    {"get"},
		"/pki/ca.crl":    {"get"},
		"/pki/ocsp":      {"post"},

		"/pki/ocsp/{request}": {"get"},

		"/pki/tsa": {"post"},
	}
}

func TestOpenAPIHasEveryPath(t *testing.T) {
	t.Parallel()
	_, doc := bundled(t, schemas.OpenAPI)
	got := map[string][]string{}
	for p, item := range doc["paths"].(tree) {
		got[p] = []string{}
		for method := range item.(tree) {
			if method != "parameters" {
				got[p] = append(got[p], method)
			}
		}
	}
	want := paths()
	require.Len(t, got, len(want))
	for p, methods := range want {
		require.ElementsMatch(t, methods, got[p], p)
	}
}

// The table of codes in the description is the one in Go, and every status of an
// operation is that of a code.
func TestOpenAPIHasEveryCode(t *testing.T) {
	t.Parallel()
	_, doc := bundled(t, schemas.OpenAPI)
	rows := regexp.MustCompile(`(?m)^\| ([A-Z_]+) \| ([0-9]+) \| .+ \|$`).FindAllStringSubmatch(doc["info"].(tree)["description"].(string), -1)
	require.Len(t, rows, len(contract.Codes()))
	statuses := []string{"201", "204"}
	for i, code := range contract.Codes() {
		require.Equal(t, code.API(), rows[i][1])
		require.Equal(t, strconv.Itoa(code.HTTPStatus()), rows[i][2], code)
		statuses = append(statuses, rows[i][2])
	}
	for p, item := range doc["paths"].(tree) {
		for method, o := range item.(tree) {
			if method == "parameters" {
				continue
			}
			for status := range o.(tree)["responses"].(tree) {
				require.Contains(t, statuses, status, "%s %s", method, p)
			}
		}
	}
	for name, r := range doc["components"].(tree)["responses"].(tree) {
		example := r.(tree)["content"].(tree)["application/json"].(tree)["example"].(tree)
		_, known := contract.ParseCode(example["code"].(string))
		require.True(t, known, name)
	}
}

// tool returns a file of the pinned npm packages.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("lint", "node_modules", name))
	require.NoError(t, err)
	_, err = os.Stat(path)
	require.NoError(t, err, "the community validators are not installed: run `make tools` (npm ci in schemas/lint; needs Debian's nodejs and npm, Node 20.19 or newer)")
	return path
}

// descriptions writes the bundled description beside the path of its source.
func descriptions(t *testing.T, source string, f func() ([]byte, error)) []string {
	t.Helper()
	data, err := f()
	require.NoError(t, err)
	bundle := filepath.Join(t.TempDir(), filepath.Base(source))
	require.NoError(t, os.WriteFile(bundle, data, 0o600))
	source, err = filepath.Abs(source)
	require.NoError(t, err)
	return []string{source, bundle}
}

func run(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = "lint"
	cmd.Env = append(os.Environ(), "CI=true", "REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true", "NO_COLOR=1")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestAsyncAPIParserAccepts(t *testing.T) {
	t.Parallel()
	tool(t, "@asyncapi/parser")
	for _, file := range descriptions(t, "asyncapi.yaml", schemas.AsyncAPI) {
		out, err := run(t, "node", "asyncapi.mjs", file)
		require.NoError(t, err, out)
		require.Contains(t, out, `{"channels":19,"operations":15,"messages":19}`)
	}
	broken := filepath.Join(t.TempDir(), "broken.yaml")
	require.NoError(t, os.WriteFile(broken, []byte("asyncapi: 3.0.0\ninfo:\n  title: x\n"), 0o600))
	_, err := run(t, "node", "asyncapi.mjs", broken)
	require.Error(t, err, "the validator must be able to refuse")
}

func TestRedoclyAccepts(t *testing.T) {
	t.Parallel()
	cli := tool(t, "@redocly/cli/bin/cli.js")
	for _, file := range descriptions(t, "openapi/openapi.yaml", schemas.OpenAPI) {
		out, err := run(t, "node", cli, "lint", "--config", "redocly.yaml", file)
		require.NoError(t, err, out)
		require.Contains(t, out, "is valid")
	}
	broken := filepath.Join(t.TempDir(), "broken.yaml")
	require.NoError(t, os.WriteFile(broken, []byte("openapi: 3.1.0\ninfo:\n  title: x\npaths: {}\n"), 0o600))
	_, err := run(t, "node", cli, "lint", "--config", "redocly.yaml", broken)
	require.Error(t, err, "the validator must be able to refuse")
}

// funding are the hosts that package authors name for donations.
var funding = []string{"https://github.com", "https://opencollective.com"}

// The lockfile pins versions and digests; where they come from is the machine's affair.
func TestLockfileNamesNoRegistry(t *testing.T) {
	t.Parallel()
	lock, err := os.ReadFile(filepath.Join("lint", "package-lock.json"))
	require.NoError(t, err)
	require.Zero(t, strings.Count(string(lock), `"resolved"`), "the lockfile says where packages come from; see .npmrc")
	require.NotEmpty(t, strings.Count(string(lock), `"integrity"`))
	for _, host := range regexp.MustCompile(`https?://[^/"]+`).FindAllString(string(lock), -1) {
		require.Contains(t, funding, host, "a host that is not a funding page")
	}
	pinned, err := os.ReadFile(filepath.Join("lint", "package.json"))
	require.NoError(t, err)
	for _, v := range regexp.MustCompile(`"@[^"]+": "([^"]+)"`).FindAllStringSubmatch(string(pinned), -1) {
		require.Regexp(t, `^[0-9.]+$`, v[1], "versions are exact")
	}
	ignored, err := os.ReadFile(filepath.Join("lint", ".gitignore"))
	require.NoError(t, err)
	require.True(t, slices.Contains(strings.Split(string(ignored), "\n"), "node_modules/"))
}
