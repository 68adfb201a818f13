package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// bin is the folder of the programs under test.
var bin string

// TestMain takes the programs from the folder SIGNBUS_E2E_BIN, where `make build` left
// them, or builds them once.
func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if bin = os.Getenv("SIGNBUS_E2E_BIN"); bin != "" {
		bin, err = filepath.Abs(bin)
		if err != nil {
			return 0, err
		}
		return m.Run(), nil
	}
	if bin, err = os.MkdirTemp("", "signbus-e2e"); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(bin)) }()
	version, err := exec.Command("git", "describe", "--tags", "--always").Output()
	if err != nil {
		version = []byte("dev")
	}
	build := exec.Command("go", "build", "-trimpath", "-o", bin+string(filepath.Separator),
		"-ldflags", "-s -w -X signbus.dev/pkg/service.Version="+strings.TrimSpace(string(version)), "./services/...")
	build.Dir, build.Stderr = "..", os.Stderr
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := build.Run(); err != nil {
		return 0, fmt.Errorf("build the programs: %w", err)
	}
	return m.Run(), nil
}

// programs are what `make build` leaves in bin: the whole bus and each service.
var programs = []string{
	"signbus", "intake", "document-store", "directory", "provider-dispatch", "signature-book", "notification-relay",
}

// program returns the path of a built program.
func program(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(bin, name)
	require.FileExistsf(t, path, "%s is missing: run make build", path)
	return path
}

// tool returns the path of a program that the tests need; the Debian package brings it.
func tool(t testing.TB, name, from string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	require.NoErrorf(t, err, "%s is missing: install %s (make tools)", name, from)
	return path
}

// natsServer returns the path of the outside NATS server.
func natsServer(t testing.TB) string {
	t.Helper()
	if path, err := filepath.Abs(filepath.Join("..", ".tools", "bin", "nats-server")); err == nil {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return tool(t, "nats-server", "github.com/nats-io/nats-server/v2@v2.15.2")
}
