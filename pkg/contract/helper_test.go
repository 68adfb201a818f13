package contract_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/contract"
)

type obj = map[string]any

type list = []any

// request returns a valid request as a tree that a test may change.
func request() obj {
	return obj{
		"customerCode":       "demo-secret",
		"externalSystemCode": "ERP",
		"envelope": obj{
			"externalId":     "E-1",
			"subject":        "Contract",
			"loadedByExtId":  "segr",
			"trustLevelCode": "DIGITAL_PDF",
			"sendingMode":    "IMD",
			"sysGenerator":   "ERP",
			"documents": list{obj{
				"externalId": "D-1", "title": "Contract", "mimeType": "application/pdf",
				"originalFname": "contract.pdf", "bytes": "JVBERi0xLjY=",
			}},
			"commonMessage": obj{"subject": "Please sign", "text": "The contract"},
			"procDef":       obj{"tasks": list{task()}},
		},
	}
}

func task() obj {
	return obj{
		"type": "T", "order": 1, "actorExpr": "annaU", "action": "WRK", "howMany": 1, "certType": "I",
		"actionDefs": list{obj{
			"docExternalId": "D-1", "type": "S", "mandatory": true,
			"appearance": obj{"compassAppearance": obj{"page": 1, "position": 1}},
		}},
	}
}

// at walks into a tree: keys of objects and indexes of lists, joined by dots.
func at(t *testing.T, tree any, path string) any {
	t.Helper()
	for key := range strings.SplitSeq(path, ".") {
		switch v := tree.(type) {
		case obj:
			require.Contains(t, slices.Collect(maps.Keys(v)), key, path)
			tree = v[key]
		case list:
			require.Len(t, key, 1, path)
			tree = v[key[0]-'0']
		default:
			require.Fail(t, "no such path", path)
		}
	}
	return tree
}

// change applies f to the object at a path of a valid request and encodes the whole.
func change(t *testing.T, path string, f func(o obj)) []byte {
	t.Helper()
	tree := request()
	var target any = tree
	if path != "" {
		target = at(t, tree, path)
	}
	f(target.(obj))
	return encode(t, tree)
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return data
}

// judge decodes and validates, as intake does.
func judge(data []byte) (contract.InsertEnvelope, error) {
	in, err := contract.DecodeInsertEnvelope(data)
	if err != nil {
		return in, err
	}
	return in, in.Validate()
}

const (
	env    = "envelope"
	doc0   = "envelope.documents.0"
	proc   = "envelope.procDef"
	task0  = "envelope.procDef.tasks.0"
	act0   = "envelope.procDef.tasks.0.actionDefs.0"
	appear = "envelope.procDef.tasks.0.actionDefs.0.appearance"
)

func set(key string, value any) func(obj) { return func(o obj) { o[key] = value } }

func drop(key string) func(obj) { return func(o obj) { delete(o, key) } }
