package tools

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// code says whether a file is a program, a page, a query or a configuration of ours.
func code(name string) bool {
	extensions := []string{".go", ".sh", ".js", ".mjs", ".ts", ".sql", ".html", ".css", ".yml", ".yaml", ".conf"}
	base := filepath.Base(name)
	return !foreign(name) &&
		(slices.Contains(extensions, filepath.Ext(name)) || base == "Makefile" || base == "Dockerfile" || name == ".ci/run")
}

// text says whether a file can be searched as text.
func text(name string) bool {
	binary := []string{".pdf", ".png", ".wasm", ".pfb", ".ttf", ".otf", ".p7s", ".der", ".tsr"}
	return !foreign(name) && !slices.Contains(binary, filepath.Ext(name))
}

// lines returns "file:line: text" for each line of the files that matches.
func lines(t *testing.T, pattern *regexp.Regexp, which func(string) bool) []string {
	t.Helper()
	var found []string
	for _, name := range files(t) {
		if !which(name) {
			continue
		}
		for number, line := range strings.Split(read(t, name), "\n") {
			if pattern.MatchString(line) {
				found = append(found, fmt.Sprintf("%s:%d: %s", name, number+1, strings.TrimSpace(line)))
			}
		}
	}
	return found
}

// TestNoUnfinishedWork: what is open is an issue, not a remark in the code.
func TestNoUnfinishedWork(t *testing.T) {
	unfinished := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|HA` + `CK)\b`)
	require.Regexp(t, unfinished, "// TO"+"DO: later")
	require.NotRegexp(t, unfinished, "mktemp XXXXXX")
	// The linter's own list of forbidden calls has one of the words in it.
	found := lines(t, unfinished, func(name string) bool { return code(name) && name != ".golangci.yml" })
	require.Empty(t, found, strings.Join(found, "\n"))
}

// TestNoRegistryHosts: a clone builds behind any mirror, so no file names a registry.
func TestNoRegistryHosts(t *testing.T) {
	hosts := []string{
		"registry.npmjs" + ".org", "registry.yarnpkg" + ".com",
		"proxy.golang" + ".org", "sum.golang" + ".org", "goproxy" + ".io",
		"deb.debian" + ".org", "security.debian" + ".org", "registry-1.docker" + ".io", "ghcr" + ".io",
	}
	// The mirror of this machine is not to leak either.
	for entry := range strings.FieldsFuncSeq(goEnv(t, "GOPROXY"), func(r rune) bool { return r == ',' || r == '|' }) {
		if u, err := url.Parse(entry); err == nil && u.Hostname() != "" {
			hosts = append(hosts, u.Hostname())
		}
	}
	for i, host := range hosts {
		hosts[i] = regexp.QuoteMeta(host)
	}
	pattern := regexp.MustCompile(strings.Join(hosts, "|"))
	require.Regexp(t, pattern, "https://registry.npmjs"+".org/ajv")
	found := lines(t, pattern, text)
	require.Empty(t, found, strings.Join(found, "\n"))
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	return strings.TrimSpace(string(run(t, ".", "go", "env", name)))
}

// TestLockFiles: a lock file pins versions and digests, not the place they came from.
func TestLockFiles(t *testing.T) {
	type lock struct {
		Packages map[string]struct {
			Resolved, Integrity string
			Link                bool
		}
	}
	var checked int
	for _, name := range files(t) {
		switch filepath.Base(name) {
		case "package.json":
			if !foreign(name) && !strings.Contains(name, "/testdata/") {
				dir := filepath.Dir(name)
				require.Truef(t, exists(t, filepath.Join(dir, "package-lock.json")), "%s has no package-lock.json beside it", name)
			}
		case ".npmrc":
			require.NotContainsf(t, read(t, name), "registry=", "%s names a registry", name)
		case "package-lock.json":
			var l lock
			require.NoError(t, json.Unmarshal([]byte(read(t, name)), &l), name)
			for path, p := range l.Packages {
				require.Emptyf(t, p.Resolved, "%s: %s names its registry; set omit-lockfile-registry-resolved=true in .npmrc and install again", name, path)
				require.Truef(t, path == "" || p.Link || p.Integrity != "", "%s: %s has no digest", name, path)
			}
			checked++
		}
	}
	require.NotZero(t, checked)
}

// TestServicesExplainThemselves: each service says what it consumes, emits, stores and how it fails.
func TestServicesExplainThemselves(t *testing.T) {
	for _, name := range services {
		path := "services/" + name + "/README.md"
		require.Truef(t, exists(t, path), "%s is missing", path)
		readme := strings.ToLower(read(t, path))
		for _, word := range []string{"consumes", "emits", "stores", "fail"} {
			require.Containsf(t, readme, word, "%s does not say what the service %s", path, word)
		}
	}
	for _, entry := range children(t, "services") {
		require.Containsf(t, append([]string{"standalone"}, services...), entry, "services/%s is not in the list of services in tools", entry)
	}
}

func children(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(root(t), dir))
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

// TestLinksResolve: a link in a page leads to a file, and its anchor to a heading.
func TestLinksResolve(t *testing.T) {
	for _, name := range files(t) {
		if filepath.Ext(name) != ".md" || foreign(name) {
			continue
		}
		for _, link := range links(read(t, name)) {
			require.NoErrorf(t, follow(t, name, link), "%s links to %s", name, link)
		}
	}
}

// TestLinksAreFound proves that the reader of links sees what it should.
func TestLinksAreFound(t *testing.T) {
	page := "See [a](b.md#c) and ![p](d.png \"title\").\n```\n[not](a-link)\n```\n`[nor](this)` <https://example.org>\n[ref]: e.md\n"
	require.Equal(t, []string{"b.md#c", "d.png", "e.md"}, links(page))
	require.Equal(t, []string{"the-command-and-its-defaults", "a--b", "code-in-it"},
		anchors("# The command, and its defaults\ntext\n## A / b\n```\n# no\n```\n### `code` in it\n"))
	require.NoError(t, follow(t, "CONTRIBUTING.md", "SECURITY.md#reporting"))
	require.Error(t, follow(t, "CONTRIBUTING.md", "SECURITY.md#nowhere"))
	require.Error(t, follow(t, "CONTRIBUTING.md", "docs/nowhere.md"))
}

// TestScriptsParse: shell scripts are syntactically right and stop at the first error.
func TestScriptsParse(t *testing.T) {
	var checked int
	for _, name := range files(t) {
		if foreign(name) || (filepath.Ext(name) != ".sh" && name != ".ci/run") {
			continue
		}
		run(t, ".", "bash", "-n", name)
		require.Containsf(t, read(t, name), "set -euo pipefail", "%s does not stop at the first error", name)
		info, err := os.Stat(filepath.Join(root(t), name))
		require.NoError(t, err)
		require.NotZerof(t, info.Mode()&0o111, "%s cannot be executed", name)
		checked++
	}
	require.NotZero(t, checked)
}
