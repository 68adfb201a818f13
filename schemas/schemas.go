// Package schemas holds the public contract as files: a JSON Schema for every command,
// query, answer and event, valid and invalid examples, the AsyncAPI description of the
// queue and the OpenAPI description of REST.
//
// It promises, by its tests, that schema, example, Go type and subject say the same. It
// does not validate messages at run time: package contract does.
package schemas

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"signbus.dev/pkg/contract"
)

//go:embed commands queries answers requests events examples asyncapi.yaml openapi
var files embed.FS

const (
	suffix       = ".v1.json"
	asyncAPIFile = "asyncapi.yaml"
	openAPIFile  = "openapi/openapi.yaml"
)

// folders hold schemas; the other files do not.
var folders = []string{"commands", "queries", "answers", "requests", "events"}

// Files returns every file of the package as it lies in its folder.
func Files() fs.FS { return files }

// OfCommand returns the name of a command's schema.
func OfCommand(c contract.Command) string { return "commands/" + string(c) }

// OfQuery returns the name of a query's schema.
func OfQuery(q contract.Query) string { return "queries/" + string(q) }

// OfEvent returns the name of the schema of an event's data.
func OfEvent(t contract.EventType) string { return "events/" + t.Short() }

// Names returns the name of every schema, such as commands/insertEnvelope.
func Names() ([]string, error) {
	var names []string
	for _, folder := range folders {
		entries, err := files.ReadDir(folder)
		if err != nil {
			return nil, fmt.Errorf("list schemas in %s: %w", folder, err)
		}
		for _, e := range entries {
			names = append(names, path.Join(folder, strings.TrimSuffix(e.Name(), suffix)))
		}
	}
	return names, nil
}

// Schema returns the JSON Schema of this name.
func Schema(name string) ([]byte, error) {
	data, err := files.ReadFile(name + suffix)
	if err != nil {
		return nil, fmt.Errorf("read schema %s: %w", name, err)
	}
	return data, nil
}

// AsyncAPI returns the AsyncAPI description as one file, with every schema inside.
func AsyncAPI() ([]byte, error) { return bundle(asyncAPIFile) }

// OpenAPI returns the OpenAPI description as one file, with every schema inside.
func OpenAPI() ([]byte, error) { return bundle(openAPIFile) }
