package blob_test

import (
	"bytes"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/blob"
	"signbus.dev/pkg/blob/blobtest"
	"signbus.dev/pkg/digest"
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

var scope = blob.Scope{Customer: "demo", ID: "e1"}

// appended is a store with a blob of many bytes and one that has a tail as well.
func appended(t *testing.T) (root string, dir *blob.Dir, base digest.State, whole blob.Ref) {
	t.Helper()
	root = t.TempDir()
	dir, err := blob.NewDir(root)
	require.NoError(t, err)
	data := bytes.Repeat([]byte("0123456789abcdef"), 200_000)
	_, err = dir.Put(t.Context(), scope, bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	base = digest.Empty().With(data)
	whole, err = dir.Append(t.Context(), scope, base, []byte("a tail"))
	require.NoError(t, err)
	return root, dir, base, whole
}

func TestAppendedBytesAreShared(t *testing.T) {
	t.Parallel()
	root, dir, base, whole := appended(t)
	for i := range 60 {
		var err error
		whole, err = dir.Append(t.Context(), scope, stateOf(t, dir, whole), bytes.Repeat([]byte{byte(i)}, 1000))
		require.NoError(t, err)
	}
	var bytesOnDisk int64
	inodes := map[uint64]bool{}
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := entry.Info()
		require.NoError(t, err)
		stat, ok := info.Sys().(*syscall.Stat_t)
		require.True(t, ok)
		if !entry.IsDir() && !inodes[stat.Ino] {
			inodes[stat.Ino] = true
			bytesOnDisk += info.Size()
		}
		return nil
	}))
	require.Less(t, bytesOnDisk, base.Bytes()+2_000_000, "62 versions")
	parts, err := filepath.Glob(filepath.Join(root, "demo", "e1", whole.SHA256, "*"))
	require.NoError(t, err)
	require.Less(t, len(parts), 12, "62 versions are not 62 files each")
}

func stateOf(t *testing.T, dir *blob.Dir, ref blob.Ref) digest.State {
	t.Helper()
	r, err := dir.Open(t.Context(), scope, ref.SHA256)
	require.NoError(t, err)
	defer r.Close()
	require.True(t, r.Digest().Known())
	return r.Digest()
}

func TestDamagedPartIsReported(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(path string) error{
		"changed": func(path string) error { return os.WriteFile(filepath.Join(path, "1"), []byte("a tall"), 0o600) },
		"cut off": func(path string) error { return os.Truncate(filepath.Join(path, "0"), 1000) },
		"gone":    func(path string) error { return os.Remove(filepath.Join(path, "1")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root, dir, base, whole := appended(t)
			require.NoError(t, damage(filepath.Join(root, "demo", "e1", whole.SHA256)))
			_, err := blob.ReadAll(t.Context(), dir, scope, whole.SHA256)
			require.ErrorIs(t, err, blob.ErrCorrupt)
			if name != "changed" {
				_, err = dir.Append(t.Context(), scope, base.With([]byte("a tail")), []byte("more"))
				require.ErrorIs(t, err, blob.ErrCorrupt)
			}
		})
	}
}

// A state is a help: without it the bytes are read.
func TestDamagedStateIsNone(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(path string) error{
		"gone":    os.Remove,
		"empty":   func(path string) error { return os.Truncate(path, 0) },
		"cut off": func(path string) error { return os.Truncate(path, 50) },
		"changed": func(path string) error {
			data, err := os.ReadFile(path)
			if err == nil {
				data[20] ^= 1
				err = os.WriteFile(path, data, 0o600)
			}
			return err
		},
		"of other bytes": func(path string) error {
			other, err := digest.Empty().With(make([]byte, 3_200_006)).MarshalBinary()
			if err == nil {
				err = os.WriteFile(path, other, 0o600)
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root, dir, _, whole := appended(t)
			require.NoError(t, damage(filepath.Join(root, "demo", "e1", whole.SHA256, "state")))
			r, err := dir.Open(t.Context(), scope, whole.SHA256)
			require.NoError(t, err)
			defer r.Close()
			require.False(t, r.Digest().Known())
			_, err = blob.ReadAll(t.Context(), dir, scope, whole.SHA256)
			require.NoError(t, err)
		})
	}
}

// TestCrashWhileAppending puts the folder of a scope in each state that a crash can leave.
func TestCrashWhileAppending(t *testing.T) {
	t.Parallel()
	root, dir, base, whole := appended(t)
	at := filepath.Join(root, "demo", "e1")
	finished := filepath.Join(at, whole.SHA256)
	var steps []func(tmp string) error
	steps = append(steps, func(tmp string) error { return os.Mkdir(tmp, 0o700) })
	for _, name := range []string{"0", "1", "state"} {
		steps = append(steps, func(tmp string) error { return os.Link(filepath.Join(finished, name), filepath.Join(tmp, name)) })
	}
	for n := range steps {
		tmp := filepath.Join(at, ".tmp-crashed")
		for _, step := range steps[:n+1] {
			require.NoError(t, step(tmp))
		}
		refs, err := dir.List(t.Context(), scope)
		require.NoError(t, err)
		require.Len(t, refs, 2, "what is not finished is not there")
		again, err := dir.Append(t.Context(), scope, base, []byte("a tail"))
		require.NoError(t, err)
		require.Equal(t, whole, again)
		require.NoError(t, dir.Clean(t.Context(), scope, time.Now().Add(-time.Hour)))
		require.DirExists(t, tmp, "it may still be in the making")
		require.NoError(t, dir.Clean(t.Context(), scope, time.Now().Add(time.Hour)))
		require.NoDirExists(t, tmp)
		_, err = blob.ReadAll(t.Context(), dir, scope, whole.SHA256)
		require.NoError(t, err)
	}
}

// Stores that were written before there were folders stay readable.
func TestLargeBlobThatIsOneFile(t *testing.T) {
	t.Parallel()
	root, dir, base, whole := appended(t)
	at := filepath.Join(root, "demo", "e1")
	data, err := blob.ReadAll(t.Context(), dir, scope, whole.SHA256)
	require.NoError(t, err)
	require.NoError(t, dir.RemoveScope(t.Context(), scope))
	require.NoError(t, os.Mkdir(at, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(at, hexOf(base)), data[:base.Bytes()], 0o600))
	r, err := dir.Open(t.Context(), scope, hexOf(base))
	require.NoError(t, err)
	defer r.Close()
	require.False(t, r.Digest().Known())
	again, err := dir.Append(t.Context(), scope, base, []byte("a tail"))
	require.NoError(t, err)
	require.Equal(t, whole, again)
	back, err := blob.ReadAll(t.Context(), dir, scope, whole.SHA256)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, back))
}

func hexOf(state digest.State) string {
	sum := state.Sum()
	return hex.EncodeToString(sum[:])
}
