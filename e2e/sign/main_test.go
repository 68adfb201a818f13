package sign

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	// bin is the folder of the programs under test.
	bin string
	// scratch is a folder for what the tests of one run share.
	scratch string
)

// TestMain takes the programs from the folder SIGNBUS_E2E_BIN, where `make build` left
// them, or builds the command once.
func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e/sign:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if scratch, err = os.MkdirTemp("", "signbus-sign"); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	defer finish()
	if bin = os.Getenv("SIGNBUS_E2E_BIN"); bin != "" {
		bin, err = filepath.Abs(bin)
		if err != nil {
			return 0, err
		}
		return m.Run(), nil
	}
	bin = filepath.Join(scratch, "bin")
	build := exec.Command("go", "build", "-trimpath", "-o", bin+string(filepath.Separator), "./services/standalone/cmd/...")
	build.Dir, build.Stderr = filepath.Join("..", ".."), os.Stderr
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := build.Run(); err != nil {
		return 0, fmt.Errorf("build the command: %w", err)
	}
	return m.Run(), nil
}

// atEnd is what ends the programs that the tests of one run share.
var (
	endings   []func()
	endingsMu sync.Mutex
)

func atEnd(f func()) {
	endingsMu.Lock()
	defer endingsMu.Unlock()
	endings = append(endings, f)
}

func finish() {
	for _, f := range endings {
		f()
	}
}

// once makes something for all tests of a run; each test that asks fails when it cannot be made.
func once[T any](build func() (T, error)) func(testing.TB) T {
	made := sync.OnceValues(build)
	return func(t testing.TB) T {
		t.Helper()
		value, err := made()
		require.NoError(t, err)
		return value
	}
}

// said is what a program said and how it ended.
type said struct {
	out, errs string
	code      int
}

func (s said) all() string { return s.out + s.errs }

// try runs a program, which may fail.
func try(ctx context.Context, folder string, env []string, name string, args ...string) (said, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = nil
	}
	if err != nil {
		return said{}, fmt.Errorf("%s is missing or does not start (make tools installs it): %w", name, err)
	}
	return said{out.String(), errs.String(), cmd.ProcessState.ExitCode()}, nil
}

// must runs a program, which must be content.
func must(ctx context.Context, folder, name string, args ...string) (string, error) {
	s, err := try(ctx, folder, nil, name, args...)
	if err == nil && s.code != 0 {
		err = fmt.Errorf("%s %s: exit code %d\n%s", name, strings.Join(args, " "), s.code, s.all())
	}
	return s.out, err
}

// ask is must in a test.
func ask(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := must(t.Context(), "", name, args...)
	require.NoError(t, err)
	return out
}

// hear is try in a test: the words of a judge, whatever it thinks.
func hear(t testing.TB, name string, args ...string) said {
	t.Helper()
	s, err := try(t.Context(), "", nil, name, args...)
	require.NoError(t, err)
	return s
}

// signbus runs the command under test, which may fail.
func signbus(t testing.TB, args ...string) said {
	t.Helper()
	path := filepath.Join(bin, "signbus")
	require.FileExistsf(t, path, "%s is missing: run make build", path)
	s, err := try(t.Context(), t.TempDir(), []string{"SIGNBUS_KEY_PASSPHRASE=" + passphrase, "TZ=UTC"}, path, args...)
	require.NoError(t, err)
	return s
}
