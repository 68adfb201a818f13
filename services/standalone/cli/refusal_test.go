package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEveryCodeOfSigningIsExplained compares the codes in this folder with the page about them.
func TestEveryCodeOfSigningIsExplained(t *testing.T) {
	t.Parallel()
	codes := map[string]bool{}
	for _, r := range refusals {
		codes[r.code] = true
	}
	sources, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, source := range sources {
		if strings.HasSuffix(source, "_test.go") {
			continue
		}
		text, err := os.ReadFile(source)
		require.NoError(t, err)
		for _, match := range regexp.MustCompile(`refuse\("([A-Z_]+)"`).FindAllSubmatch(text, -1) {
			codes[string(match[1])] = true
		}
	}
	page, err := os.ReadFile("../../../docs/errors.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(page), "\n## Signing files\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	explained := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]+) \\|").FindAllStringSubmatch(section, -1) {
		for _, match := range regexp.MustCompile("`([A-Z_]+)`").FindAllStringSubmatch(row[1], -1) {
			explained[match[1]] = true
		}
	}
	require.Equal(t, codes, explained)
}
