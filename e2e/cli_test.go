package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// said is what a command said and how it ended.
type said struct {
	out, errs string
	code      int
}

// signbus runs the command as a user of this bus does.
func (b *bus) signbus(t testing.TB, args ...string) said {
	t.Helper()
	s := b.try(t, args...)
	require.Zerof(t, s.code, "signbus %s: %s", strings.Join(args, " "), s.errs)
	return s
}

// try is signbus for commands that may fail.
func (b *bus) try(t testing.TB, args ...string) said {
	t.Helper()
	return b.begin(t, args...)()
}

// begin starts a command; what it returns waits for its end.
func (b *bus) begin(t testing.TB, args ...string) func() said {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(t, "signbus"), args...)
	cmd.Dir = t.TempDir()
	cmd.Env = []string{"SIGNBUS_CLIENT_URL=" + b.api, "SIGNBUS_CLIENT_NATS=" + b.natsURL, "TZ=UTC"}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	require.NoError(t, cmd.Start())
	return func() said {
		_ = cmd.Wait() // the code tells
		return said{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
	}
}

// lines reads what --json prints: one value a line.
func lines(t testing.TB, text string) []object {
	t.Helper()
	var list []object
	for line := range strings.Lines(text) {
		var value object
		require.NoErrorf(t, json.Unmarshal([]byte(line), &value), "%s", line)
		list = append(list, value)
	}
	return list
}

func testCommandLine(t *testing.T, b *bus) {
	folder := t.TempDir()
	file := filepath.Join(folder, "contract.pdf")
	require.NoError(t, os.WriteFile(file, contractPDF, 0o600))
	t.Run("send and watch", func(t *testing.T) { testSendAndWatch(t, b, file) })
	t.Run("for programs", func(t *testing.T) { testJSON(t, b, file) })
	t.Run("webhooks", func(t *testing.T) {
		made := b.signbus(t, "subscribe", "http://127.0.0.1:9/hook", "--types", "envelope.expired", "--json")
		id := lines(t, made.out)[0]["id"].(string)
		require.Contains(t, b.signbus(t, "subscriptions").out, id)
		require.Contains(t, b.signbus(t, "unsubscribe", id).out, id)
		require.NotContains(t, b.signbus(t, "subscriptions").out, id)
	})
	t.Run("a draft", func(t *testing.T) {
		extID := newID("cli")
		b.signbus(t, "send", file, "--id", extID, "--auto", "bruno", "--draft")
		require.Contains(t, b.signbus(t, "start", extID).out, "OK")
		require.Contains(t, b.signbus(t, "watch", extID).out, "envelope.process.ended")
	})
	t.Run("errors say what to do", func(t *testing.T) { testErrors(t, b, file) })
	t.Run("the bus", func(t *testing.T) {
		require.Contains(t, b.signbus(t, "health").out, "ready")
		require.Contains(t, b.signbus(t, "version").out, "signbus ")
		require.Contains(t, b.signbus(t, "config").out, "SIGNBUS_WEBHOOK_SCHEDULE=")
		for _, command := range []string{"run", "serve", "send", "status", "get", "watch", "verify", "migrate", "config", "version"} {
			require.Contains(t, b.signbus(t, "help").out, "  "+command+" ")
		}
	})
}

// testSendAndWatch is the example of the help text, with the two people at work.
func testSendAndWatch(t *testing.T, b *bus, file string) {
	extID := newID("cli")
	folder := t.TempDir()
	watched := b.begin(t, "send", file, "--sign", "anna", "--then", "bruno", "--watch", "--id", extID, "--output", folder)
	b.visitor(t, extID, "anna").sign(t)
	b.visitor(t, extID, "bruno").sign(t)
	s := watched()
	require.Zero(t, s.code, s.errs)
	for _, words := range []string{"operation.done", "envelope.sent", "step 1 is done", "step 2 is done", "envelope.process.ended", "2 signature(s)"} {
		require.Contains(t, s.out, words)
	}
	require.Contains(t, s.errs, "waiting for bruno")

	path := filepath.Join(folder, "contract.pdf")
	// The certificates are at the signature book, which may have an address of its own.
	verified := b.signbus(t, "verify", path, "--url", b.book)
	require.Equal(t, 2, strings.Count(verified.out, "  valid "), verified.out)
	require.Contains(t, verified.out, "Anna Alpha")

	data, err := os.ReadFile(path)
	require.NoError(t, err)
	data[bytes.Index(data, []byte("/MediaBox"))+11]++
	broken := filepath.Join(folder, "broken.pdf")
	require.NoError(t, os.WriteFile(broken, data, 0o600))
	s = b.try(t, "verify", broken, "--url", b.book)
	require.Equal(t, 1, s.code)
	require.Contains(t, s.out, "NOT VALID")
	s = b.try(t, "verify", file, "--url", b.book)
	require.Equal(t, 1, s.code)
	require.Contains(t, s.errs, "has no signature")
}

// testJSON: with --json every value is on a line of its own.
func testJSON(t *testing.T, b *bus, file string) {
	extID := newID("cli")
	sent := lines(t, b.signbus(t, "send", file, "--auto", "bruno", "--sign", "anna", "--id", extID, "--json").out)
	require.Equal(t, extID, sent[0]["externalId"])
	require.NotEmpty(t, sent[0]["operationId"])
	anna := b.visitor(t, extID, "anna")
	status := lines(t, b.signbus(t, "status", extID, "--json").out)
	require.Equal(t, "PGS", status[0]["status"])
	require.Equal(t, anna.url, status[0]["signingUrls"].(object)["anna"])
	words := b.signbus(t, "status", extID).out
	require.Contains(t, words, anna.url)
	require.Contains(t, words, "awaited")
	anna.sign(t)
	events := lines(t, b.signbus(t, "watch", extID, "--json").out)
	require.Equal(t, "dev.signbus.envelope.process.ended", events[len(events)-1]["type"])
	folder := t.TempDir()
	got := lines(t, b.signbus(t, "get", extID, "--output", folder, "--json").out)
	path := filepath.Join(folder, "contract.pdf")
	require.Equal(t, path, got[0]["file"])
	report := lines(t, b.signbus(t, "verify", path, "--url", b.book, "--json").out)
	require.Equal(t, true, report[0]["valid"])
	require.Len(t, report[0]["signatures"], 2)
}

func testErrors(t *testing.T, b *bus, file string) {
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"send", file, "--watch", "--sign", "dora"}, 1, "dora"},
		{[]string{"send", file}, 2, "--sign"},
		{[]string{"send"}, 2, "--help"},
		{[]string{"sned"}, 2, "unknown command"},
		{[]string{"status", "none"}, 1, "ENVELOPE_NOT_FOUND"},
		{[]string{"cancel", "none"}, 1, "ENVELOPE_NOT_FOUND"},
		{[]string{"status", "--colour", "red", "none"}, 2, "--help"},
		{[]string{"dead", "redrive", "first"}, 2, "dead list"},
		{[]string{"serve", "post-office"}, 2, "document-store"},
		{[]string{"status", "none", "--url", "http://127.0.0.1:1"}, 3, "signbus run --dev"},
		{[]string{"watch", "none", "--server", "nats://127.0.0.1:1"}, 3, "signbus run --dev"},
	} {
		s := b.try(t, c.args...)
		require.Equalf(t, c.code, s.code, "%v: %s", c.args, s.errs)
		require.Containsf(t, s.errs, c.says, "%v", c.args)
		require.NotContains(t, s.errs, customerCode)
		asJSON := b.try(t, append(c.args, "--json")...)
		require.Equal(t, c.code, asJSON.code)
		require.NotEmpty(t, lines(t, asJSON.errs)[0]["error"])
	}
}
