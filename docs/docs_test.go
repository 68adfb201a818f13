// Package docs_test keeps the documentation equal to the code: what is generated from it
// is compared, and what the pages name must exist. It does not judge what they say about it.
package docs_test

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/config"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/subjects"
	"signbus.dev/services/notification-relay/webhook"
	"signbus.dev/services/standalone/cli"
)

var update = flag.Bool("update", false, "write configuration.md anew")

// read returns a page, named below this folder.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(text)
}

// pages returns every page of the documentation: the README of the repository, this folder,
// and the README of each service.
func pages(t *testing.T) []string {
	t.Helper()
	names := []string{"../README.md"}
	services, err := filepath.Glob("../services/*/README.md")
	require.NoError(t, err)
	names = append(names, services...)
	require.NoError(t, filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".md" {
			names = append(names, path)
		}
		return err
	}))
	return names
}

func TestConfigurationIsThatOfTheCode(t *testing.T) {
	const page = "configuration.md"
	if *update {
		require.NoError(t, os.WriteFile(page, []byte(configuration()), 0o600))
	}
	require.Equal(t, configuration(), read(t, page), "run go test ./docs -update")
}

// configuration is the text of configuration.md.
func configuration() string {
	var b strings.Builder
	b.WriteString(`# Configuration

This page is generated from ` + "`pkg/config`: `go test ./docs -update`" + `.

Everything is set by environment variables, and everything has a default: the bus runs with nothing set. ` + "`signbus run`" + `,
` + "`signbus serve`, `signbus migrate` and `signbus config`" + ` take the commonest as flags too (` + "`--http`, `--nats`, `--data`, `--db`, `--dev`" + `);
a flag wins over the environment. An unknown variable that begins with SIGNBUS_ is an error, so that a misspelt one is not
passed over. ` + "`signbus config`" + ` prints the values in force.

Durations are written as 30s, 5m or 72h, lists with commas, sizes in bytes.

| variable | default | meaning | since |
|---|---|---|---|
`)
	cell := strings.NewReplacer("|", `\|`, "\n", " ")
	for _, v := range config.Reference() {
		value := ""
		if v.Default != "" {
			value = "`" + cell.Replace(v.Default) + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", v.Env, value, cell.Replace(v.Description), v.Since)
	}
	b.WriteString(`
## The client

The subcommands that use a bus take these, and flags of the same meaning. They are for the shell of a user, not for the
processes of the bus.

| variable | default | flag | meaning |
|---|---|---|---|
`)
	for _, v := range client {
		flag := ""
		if v.flag != "" {
			flag = "`--" + v.flag + "`"
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s |\n", v.env, v.fallback, flag, v.meaning)
	}
	b.WriteString(`
The subcommands that sign files on this machine read these; see [signing](signing.md).

| variable | default | flag | meaning |
|---|---|---|---|
| ` + "`SIGNBUS_KEY_PASSPHRASE`" + ` |  | ` + "`--passphrase-file`" + ` | Passphrase of the key or PIN of the token. |
| ` + "`SIGNBUS_KEY_STORE` | `~/.signbus/keys` | `--store`" + ` | Folder of the key store. |
`)
	return b.String()
}

// client lists what the command reads as a client; TestClientVariables compares it.
var client = []struct{ env, fallback, flag, meaning string }{
	{"SIGNBUS_CLIENT_URL", "http://127.0.0.1:8080", "url", "HTTP address of the bus."},
	{"SIGNBUS_CLIENT_NATS", "nats://127.0.0.1:4222", "server", "NATS address of the bus, with user and password where it asks for them."},
	{"SIGNBUS_CLIENT_CUSTOMER", "demo", "customer", "Id of the customer."},
	{"SIGNBUS_CLIENT_SYSTEM", "ERP", "system", "External system."},
	{"SIGNBUS_CLIENT_USER", "segr", "as", "Secretary in whose name commands are given."},
	{"SIGNBUS_CLIENT_CODE", "demo-secret", "", "The customerCode. It has no flag, so that it is not seen in process lists."},
}

func TestClientVariables(t *testing.T) {
	calls := regexp.MustCompile(`a\.env\("(SIGNBUS_[A-Z_]+)", "([^"]*)"\)`).FindAllStringSubmatch(read(t, "../services/standalone/cli/cli.go"), -1)
	require.Len(t, calls, len(client))
	var out, errs bytes.Buffer
	require.Zero(t, cli.Main(t.Context(), []string{"--help"}, nil, &out, &errs))
	for i, v := range client {
		require.Equal(t, []string{v.env, v.fallback}, calls[i][1:])
		if v.flag != "" {
			require.Contains(t, out.String(), "--"+v.flag+" string")
			require.Contains(t, out.String(), "("+v.env+")")
		}
	}
}

func TestEveryCodeIsExplained(t *testing.T) {
	page := read(t, "errors.md")
	for _, code := range contract.Codes() {
		row := fmt.Sprintf("\n| `%s` | `%s` | %d | ", code, code.API(), code.HTTPStatus())
		require.Contains(t, page, row, "errors.md needs a row that begins so")
	}
	rows := regexp.MustCompile("(?m)^\\| `([A-Za-z_]+)` \\| `[A-Z_]+` \\| [0-9]{3} \\| ").FindAllStringSubmatch(page, -1)
	for _, row := range rows {
		_, known := contract.ParseCode(row[1])
		require.Truef(t, known, "errors.md explains %s, which is no code", row[1])
	}
	require.Len(t, rows, len(contract.Codes()))
}

func TestEverySubjectAndEventIsExplained(t *testing.T) {
	page := read(t, "architecture.md")
	for _, subject := range subjects.WorkSubjects() {
		verb := subject[strings.LastIndexByte(subject, '.'):]
		require.Truef(t, strings.Contains(page, subject) || strings.Contains(page, "`"+verb+"`"), "architecture.md does not name %s", subject)
	}
	for _, event := range contract.EventTypes() {
		require.Contains(t, page, "`"+string(event)+"`")
	}
	for _, name := range append(subjects.Services(), subjects.StreamCommands, subjects.StreamWork, subjects.StreamEvents, subjects.StreamDead) {
		require.Contains(t, page, name)
	}
}

func TestEveryMetricIsExplained(t *testing.T) {
	page := read(t, "operations.md")
	name := regexp.MustCompile(`Name: "(signbus_[a-z_]+)"`)
	var inCode []string
	for _, folder := range []string{"../pkg", "../services"} {
		require.NoError(t, filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			for _, match := range name.FindAllStringSubmatch(read(t, path), -1) {
				inCode = append(inCode, match[1])
			}
			return nil
		}))
	}
	require.NotEmpty(t, inCode)
	for _, metric := range inCode {
		require.Contains(t, page, "| `"+metric+"` | ")
	}
	for _, match := range regexp.MustCompile("`(signbus_[a-z_]+)`").FindAllStringSubmatch(page, -1) {
		require.Containsf(t, inCode, match[1], "operations.md names a metric that is not there")
	}
}

func TestScheduleIsThatOfTheCode(t *testing.T) {
	schedule := webhook.DefaultSchedule()
	require.Contains(t, read(t, "operations.md"), schedule.Markdown())
	pauses := config.Default().WebhookSchedule
	require.Len(t, pauses, len(schedule)-1)
	for i, pause := range pauses {
		require.Equal(t, schedule[i+1], pause, "the two defaults of the schedule differ")
	}
}

func TestEveryDecisionIsListed(t *testing.T) {
	list := read(t, "adr/README.md")
	names, err := filepath.Glob("adr/[0-9]*.md")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	slices.Sort(names)
	for i, path := range names {
		name, page := filepath.Base(path), read(t, path)
		require.Truef(t, strings.HasPrefix(name, fmt.Sprintf("%04d-", i+1)), "%s: decisions are numbered without gaps", name)
		title := strings.TrimPrefix(page[:strings.IndexByte(page, '\n')], "# "+name[:4]+": ")
		require.Contains(t, list, fmt.Sprintf("| [%s](%s) | %s |", name[:4], name, title))
		for _, part := range []string{"**Context.** ", "**Decision.** ", "**Consequences.** ", "**Weighed"} {
			require.Containsf(t, page, "\n"+part, "%s lacks a part", name)
		}
	}
	require.Equal(t, len(names), strings.Count(list, "\n| [0"))
}

var (
	inlineLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fence      = regexp.MustCompile("(?ms)^```.*?^```$")
	codeSpan   = regexp.MustCompile("`[^`\n]+`")
	headline   = regexp.MustCompile(`(?m)^#{1,6} (.+)$`)
)

func TestRelativeLinksResolve(t *testing.T) {
	checked := 0
	for _, page := range pages(t) {
		prose := codeSpan.ReplaceAllString(fence.ReplaceAllString(read(t, page), ""), "")
		for _, match := range inlineLink.FindAllStringSubmatch(prose, -1) {
			if strings.Contains(match[1], "://") || strings.HasPrefix(match[1], "mailto:") {
				continue
			}
			path, anchor, _ := strings.Cut(match[1], "#")
			target := page
			if path != "" {
				target = filepath.Join(filepath.Dir(page), path)
			}
			_, err := os.Stat(target)
			require.NoErrorf(t, err, "%s links to %s", page, match[1])
			if anchor != "" {
				require.Containsf(t, anchors(read(t, target)), anchor, "%s links to %s", page, match[1])
			}
			checked++
		}
	}
	require.NotZero(t, checked)
}

// anchors returns the names that headings get: lower case, words joined by hyphens, the
// rest left out.
func anchors(page string) []string {
	var names []string
	for _, match := range headline.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
		names = append(names, strings.Map(func(r rune) rune {
			switch {
			case r == ' ' || r == '-':
				return '-'
			case r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, match[1]))
	}
	return names
}

var (
	shellBlock = regexp.MustCompile("(?ms)^```sh( test)?\n(.*?)^```$")
	// command finds signbus where a command can stand, up to the end of that command.
	command = regexp.MustCompile(`(?m)(?:^|[;&|(!` + "`" + `]|\b(?:do|until|while|if)\b)[ \t]*signbus((?:[ \t]+(?:"[^"]*"|'[^']*'|[^\s;&|)#<>` + "`" + `]+))+)`)
	word    = regexp.MustCompile(`"[^"]*"|'[^']*'|\S+`)
)

// commands returns what pages tell the reader to type after signbus.
func commands(page string) []string {
	var found []string
	collect := func(text string) {
		for _, match := range command.FindAllStringSubmatch(text, -1) {
			found = append(found, strings.TrimSpace(match[1]))
		}
	}
	for _, block := range shellBlock.FindAllStringSubmatch(page, -1) {
		collect(strings.ReplaceAll(block[2], "\\\n", " "))
	}
	for _, span := range codeSpan.FindAllString(fence.ReplaceAllString(page, ""), -1) {
		collect(span)
	}
	return found
}

// TestEveryCommandExists asks each command that a page names, with its flags, for its help.
func TestEveryCommandExists(t *testing.T) {
	require.Equal(t, []string{"get a --output b", `unsubscribe "$id"`, "verify c"}, commands(
		"```sh\nuntil signbus get a --output b; do sleep 1; done\nx | signbus unsubscribe \"$id\"\n```\n`signbus verify c`, so signbus is\n"))
	require.Error(t, helps(t, "sing a"), "no such command")
	require.Error(t, helps(t, "dead bury 1"), "no such command below another")
	require.Error(t, helps(t, "send a.pdf --sing anna"), "no such flag")
	checked := 0
	for _, page := range pages(t) {
		for _, line := range commands(read(t, page)) {
			require.NoErrorf(t, helps(t, line), "%s: signbus %s", page, line)
			checked++
		}
	}
	require.NotZero(t, checked)
}

// helps says what is wrong with a command line; it does not run it.
func helps(t *testing.T, line string) error {
	t.Helper()
	args := word.FindAllString(line, -1)
	var out, errs bytes.Buffer
	if code := cli.Main(t.Context(), append(slices.Clone(args), "--help"), nil, &out, &errs); code != 0 {
		return fmt.Errorf("exit code %d: %s", code, strings.TrimSpace(errs.String()))
	}
	// A command with others below it answers for itself when the next word is none of them.
	if strings.Contains(out.String(), "Available Commands:") && len(args) > 1 {
		return fmt.Errorf("%s has no command %s", args[0], args[1])
	}
	return nil
}

// TestShellBlocksAreShell reads the commands of the pages with a POSIX shell, unexecuted. The
// blocks marked "sh test" are executed in e2e.
func TestShellBlocksAreShell(t *testing.T) {
	tested := 0
	for _, page := range pages(t) {
		for _, block := range shellBlock.FindAllStringSubmatch(read(t, page), -1) {
			if block[1] != "" {
				require.Equal(t, "quickstart.md", page, "only the quickstart is executed")
				tested++
			}
			sh := exec.CommandContext(t.Context(), "sh", "-n")
			sh.Stdin = strings.NewReader(block[2])
			out, err := sh.CombinedOutput()
			require.NoErrorf(t, err, "%s: %s\n%s", page, out, block[2])
		}
	}
	require.NotZero(t, tested)
}
