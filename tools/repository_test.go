package tools

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// services are the parts that run as processes of their own.
var services = []string{
	"intake", "document-store", "directory", "provider-dispatch", "signature-book", "notification-relay",
}

// root returns the folder of the repository.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("..")
	require.NoError(t, err)
	return dir
}

// read returns the text of a file of the repository.
func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), path))
	require.NoError(t, err)
	return string(text)
}

// exists says whether the repository has a file or a folder of this name.
func exists(t *testing.T, path string) bool {
	t.Helper()
	_, err := os.Stat(filepath.Join(root(t), path))
	return err == nil
}

// run returns what a program prints when it runs in a folder of the repository.
func run(t *testing.T, dir, program string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = filepath.Join(root(t), dir)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	require.NoErrorf(t, cmd.Run(), "%s %s: %s%s", program, strings.Join(args, " "), errs.String(), out.String())
	return out.Bytes()
}

// files returns the files that belong to the repository, tracked or about to be.
func files(t *testing.T) []string {
	t.Helper()
	list := run(t, ".", "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	var names []string
	for name := range strings.SplitSeq(string(list), "\x00") {
		if name != "" && exists(t, name) {
			names = append(names, name)
		}
	}
	require.NotEmpty(t, names)
	return names
}

// foreign says whether a file was made by others and is kept as it came.
func foreign(name string) bool {
	return strings.Contains(name, "/vendor/")
}
