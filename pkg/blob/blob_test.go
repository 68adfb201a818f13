package blob_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/blob"
	"signbus.dev/pkg/blob/blobtest"
)

func TestDir(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(t *testing.T) blob.Store {
		t.Helper()
		dir, err := blob.NewDir(filepath.Join(t.TempDir(), "blobs"))
		require.NoError(t, err)
		return dir
	})
}

func TestDamagedBlobIsReported(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir, err := blob.NewDir(root)
	require.NoError(t, err)
	scope := blob.Scope{Customer: "demo", ID: "e1"}
	ref, err := dir.Put(t.Context(), scope, strings.NewReader("abc"), 10)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(root, "demo", "e1", ref.SHA256), []byte("abd"), 0o600))
	_, err = blob.ReadAll(t.Context(), dir, scope, ref.SHA256)
	require.ErrorIs(t, err, blob.ErrCorrupt)
}
