package tools

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "signbus.dev"

// boundary is one rule about who may import what.
type boundary struct {
	name string
	// applies says whether the rule binds a package, named below the module.
	applies func(importer string) bool
	// forbids says whether such a package may not import this one.
	forbids func(importer, imported string) bool
	// production is true when tests of the package are free.
	production bool
	instead    string
}

// floors lists the shared packages from the ground up; upper ones may import lower ones.
var floors = [][]string{
	{"pkg/contract", "pkg/store", "pkg/blob", "pkg/pdf", "pkg/pki"},
	{"pkg/subjects", "pkg/provider", "pkg/sign"},
	{"pkg/bus", "pkg/client"},
	{"pkg/journal"},
}

func boundaries() []boundary {
	return []boundary{
		{
			name: "pkg/contract imports the standard library only", production: true,
			applies: func(p string) bool { return within(p, "pkg/contract") },
			forbids: func(_, i string) bool {
				return !standard(i) && !within(i, module+"/pkg/contract")
			},
			instead: "move the code that needs it into the package that uses it",
		},
		{
			name:    "pkg never imports services",
			applies: func(p string) bool { return within(p, "pkg") },
			forbids: func(_, i string) bool { return within(i, module+"/services") },
			instead: "move what both need into pkg, or take it as an interface",
		},
		{
			name: "services never import one another",
			applies: func(p string) bool {
				return within(p, "services") && !within(p, "services/standalone")
			},
			forbids: func(p, i string) bool {
				return within(i, module+"/services") && !within(i, module+"/services/"+service(p))
			},
			instead: "send a message (pkg/contract/handover), or move what both need into pkg",
		},
		{
			name:    "floors",
			applies: func(p string) bool { return floor(p) >= 0 },
			forbids: func(p, i string) bool {
				return floor(strings.TrimPrefix(i, module+"/")) > floor(p)
			},
			instead: "pass the value in, declare a small interface, or move the code up",
		},
		only("nats-server", "use pkg/embednats, in tests pkg/bus/bustest",
			[]string{"github.com/nats-io/nats-server"}, "pkg/embednats", "pkg/bus/bustest"),
		only("SQL drivers", "use pkg/store, in tests pkg/store/storetest",
			[]string{"github.com/jackc/pgx", "modernc.org/sqlite", "github.com/pressly/goose"}, "pkg/store"),
		only("pdfcpu", "use pkg/pdf",
			[]string{"github.com/pdfcpu/pdfcpu"}, "pkg/pdf"),
		{
			name:    "e2e is black-box",
			applies: func(p string) bool { return within(p, "e2e") },
			forbids: func(_, i string) bool {
				helpers := []string{module + "/pkg/store/storetest", module + "/pkg/pdf/pdftest"}
				return within(i, module) && !within(i, module+"/e2e") && !slices.Contains(helpers, i)
			},
			instead: "drive the built binary as a user would",
		},
	}
}

// only is the rule that some modules are imported in some packages alone.
func only(name, instead string, modules []string, homes ...string) boundary {
	return boundary{
		name: name + " in " + strings.Join(homes, " and ") + " only",
		applies: func(p string) bool {
			return !slices.ContainsFunc(homes, func(home string) bool { return within(p, home) })
		},
		forbids: func(_, i string) bool {
			return slices.ContainsFunc(modules, func(m string) bool { return within(i, m) })
		},
		instead: instead,
	}
}

// within says whether a path is a folder or below it.
func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

// standard says whether an import is of the standard library: its first element has no dot.
func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

// service returns the name of the service that a package belongs to.
func service(path string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(path, "services/"), "/")
	return name
}

// floor returns the floor of a package, -1 for one that is on none.
func floor(path string) int {
	return slices.IndexFunc(floors, func(names []string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return within(path, name) })
	})
}

// listed is what go list says about a package.
type listed struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

func imports(t *testing.T, dir string) []listed {
	t.Helper()
	out := run(t, dir, "go", "list", "-e", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	var packages []listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		require.NoError(t, err)
		packages = append(packages, p)
	}
}

// violations returns what a package breaks, in plain words.
func violations(p listed) []string {
	var found []string
	path := strings.TrimPrefix(p.ImportPath, module+"/")
	for _, rule := range boundaries() {
		if !rule.applies(path) {
			continue
		}
		all := slices.Clone(p.Imports)
		if !rule.production {
			all = slices.Concat(all, p.TestImports, p.XTestImports)
		}
		for _, i := range all {
			if rule.forbids(path, i) {
				found = append(found, path+" imports "+i+": "+rule.name+"; "+rule.instead)
			}
		}
	}
	return found
}

func TestBoundaries(t *testing.T) {
	packages := append(imports(t, "."), imports(t, "e2e")...)
	require.NotEmpty(t, packages)
	var found []string
	for _, p := range packages {
		found = append(found, violations(p)...)
	}
	require.Empty(t, found, strings.Join(found, "\n"))
}

// TestBoundariesCatch proves that each rule finds what it is for, and only that.
func TestBoundariesCatch(t *testing.T) {
	tests := []struct {
		importer, imported string
		broken             bool
	}{
		{"pkg/contract", "github.com/oklog/ulid/v2", true},
		{"pkg/contract", "signbus.dev/pkg/store", true},
		{"pkg/contract/handover", "signbus.dev/pkg/contract", false},
		{"pkg/contract", "encoding/json", false},
		{"pkg/config", "signbus.dev/services/intake", true},
		{"services/intake/rest", "signbus.dev/services/directory", true},
		{"services/intake", "signbus.dev/services/standalone", true},
		{"services/intake", "signbus.dev/services/intake/rest", false},
		{"services/standalone/cmd/signbus", "signbus.dev/services/intake", false},
		{"pkg/store", "signbus.dev/pkg/subjects", true},
		{"pkg/pki", "signbus.dev/pkg/sign/cms", true},
		{"pkg/sign/pades", "signbus.dev/pkg/bus", true},
		{"pkg/sign/pades", "signbus.dev/pkg/pki", false},
		{"pkg/bus/jetstream", "signbus.dev/pkg/journal", true},
		{"pkg/journal", "signbus.dev/pkg/bus", false},
		{"pkg/client", "signbus.dev/pkg/bus", false},
		{"pkg/bus", "github.com/nats-io/nats-server/v2/server", true},
		{"pkg/bus/bustest", "github.com/nats-io/nats-server/v2/server", false},
		{"pkg/embednats", "github.com/nats-io/nats-server/v2/server", false},
		{"services/intake", "github.com/jackc/pgx/v5", true},
		{"pkg/journal", "github.com/pressly/goose/v3", true},
		{"pkg/store/storetest", "github.com/jackc/pgx/v5/stdlib", false},
		{"pkg/sign/pades", "github.com/pdfcpu/pdfcpu/pkg/api", true},
		{"pkg/pdf/pdftest", "github.com/pdfcpu/pdfcpu/pkg/api", false},
		{"e2e", "signbus.dev/services/intake", true},
		{"e2e", "signbus.dev/pkg/contract", true},
		{"e2e", "signbus.dev/pkg/store/storetest", false},
	}
	for _, test := range tests {
		found := violations(listed{ImportPath: module + "/" + test.importer, Imports: []string{test.imported}})
		require.Equalf(t, test.broken, len(found) > 0, "%s imports %s: %v", test.importer, test.imported, found)
	}

	// Tests are bound too, but those of pkg/contract may use what they like.
	require.NotEmpty(t, violations(listed{ImportPath: module + "/pkg/bus", TestImports: []string{module + "/pkg/journal"}}))
	require.NotEmpty(t, violations(listed{ImportPath: module + "/services/intake", XTestImports: []string{module + "/services/directory"}}))
	require.Empty(t, violations(listed{ImportPath: module + "/pkg/contract", TestImports: []string{"github.com/stretchr/testify/require"}}))
}

// TestServicesAreKnown keeps the lists of services in this repository equal.
func TestServicesAreKnown(t *testing.T) {
	config := read(t, ".golangci.yml")
	for _, name := range services {
		require.Containsf(t, config, "service-"+name+":", ".golangci.yml has no depguard rule for services/%s", name)
	}
}
