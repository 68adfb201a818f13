package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

var testBlock = regexp.MustCompile("(?ms)^```sh test\n(.*?)^```$")

// TestQuickstart does what docs/quickstart.md tells to do, on the default addresses.
func TestQuickstart(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "quickstart.md"))
	require.NoError(t, err)
	blocks := testBlock.FindAllSubmatch(page, -1)
	require.NotEmpty(t, blocks, "docs/quickstart.md has no block marked `sh test`")
	for _, address := range []string{"127.0.0.1:8080", "127.0.0.1:4222"} {
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
		require.NoErrorf(t, err, "the quickstart needs the default address %s: stop what listens there", address)
		require.NoError(t, listener.Close())
	}
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "contract.pdf"), contractPDF, 0o600))
	p := newProcess(t, t.ArtifactDir(), "signbus", program(t, "signbus"),
		[]string{"run", "--dev", "--data", filepath.Join(folder, "data")}, nil, "http://127.0.0.1:8080/readyz")
	p.start(t)
	p.ready(t)
	tools, err := filepath.Abs(filepath.Join("..", ".tools", "bin"))
	require.NoError(t, err)
	path := bin + ":" + tools + ":" + os.Getenv("PATH")
	for _, command := range []string{"curl", "bash"} {
		tool(t, command, "the Debian package "+command)
	}
	for i, block := range blocks {
		cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", string(block[1]))
		cmd.Dir = folder
		cmd.Env = []string{"PATH=" + path, "HOME=" + folder}
		out, err := cmd.CombinedOutput()
		require.NoErrorf(t, err, "block %d:\n%s\nsaid:\n%s", i+1, block[1], out)
	}
	p.stop(t)
}
