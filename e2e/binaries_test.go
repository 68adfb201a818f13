package e2e

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBinaries: all programs are there, run on a machine without C libraries, and say
// which version they are.
func TestBinaries(t *testing.T) {
	for _, name := range programs {
		out, err := exec.CommandContext(t.Context(), "go", "version", "-m", program(t, name)).Output()
		require.NoError(t, err)
		require.Containsf(t, string(out), "CGO_ENABLED=0", "%s needs C libraries", name)
		require.Containsf(t, string(out), "-trimpath=true", "%s has paths of the building machine in it", name)
	}
	version := "dev"
	if out, err := exec.CommandContext(t.Context(), "git", "describe", "--tags", "--always").Output(); err == nil {
		version = strings.TrimSpace(string(out))
	}
	out, err := exec.CommandContext(t.Context(), program(t, "signbus"), "version").Output()
	require.NoError(t, err)
	require.Contains(t, string(out), version)
}
