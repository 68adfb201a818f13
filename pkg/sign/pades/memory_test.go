package pades_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/sign/pades"
)

// sparse is a PDF with a stream of that many zeros, which take no room on the disk.
func sparse(t testing.TB, zeros int64) (*os.File, int64) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "sparse.pdf"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })
	head := "%PDF-1.7\n"
	offsets := make([]int, 0, 4)
	for i, body := range []string{
		"<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[3 0 R]/Count 1>>",
		"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Resources<<>>/PieceInfo<</Test<</Private 4 0 R>>>>>>",
	} {
		offsets = append(offsets, len(head))
		head += fmt.Sprintf("%d 0 obj\n%s\nendobj\n", i+1, body)
	}
	offsets = append(offsets, len(head))
	head += fmt.Sprintf("4 0 obj\n<</Length %d>>\nstream\n", zeros)
	tail := "\nendstream\nendobj\n"
	xref := int64(len(head)) + zeros + int64(len(tail))
	tail += "xref\n0 5\n0000000000 65535 f\r\n"
	for _, at := range offsets {
		tail += fmt.Sprintf("%010d 00000 n\r\n", at)
	}
	tail += fmt.Sprintf("trailer\n<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", xref)
	_, err = f.WriteString(head)
	require.NoError(t, err)
	n, err := f.WriteAt([]byte(tail), int64(len(head))+zeros)
	require.NoError(t, err)
	return f, int64(len(head)) + zeros + int64(n)
}

// watched looks at the heap now and then, so that a peak in the middle does not hide.
type watched struct {
	io.ReaderAt
	reads, heap uint64
}

func (w *watched) ReadAt(p []byte, off int64) (int, error) {
	if w.reads++; w.reads%256 == 0 {
		w.look()
	}
	return w.ReaderAt.ReadAt(p, off)
}

func (w *watched) look() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	w.heap = max(w.heap, m.HeapInuse)
}

// A file of a gigabyte is signed, signed again and checked in little memory.
func TestALargeFileTakesLittleMemory(t *testing.T) {
	f, size := sparse(t, 1<<30)
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := newSigner("Anna", "P-256")
	p := long(t, pades.LevelBLTA)
	p.Signer, p.Chain = s.key, s.chain
	in := &watched{ReaderAt: f}
	src := digest.Source{ReaderAt: in, Size: size}
	for range 2 {
		made, err := pades.Sign(t.Context(), src, p)
		require.NoError(t, err)
		in.look()
		_, err = f.WriteAt(made.Tail, src.Size)
		require.NoError(t, err)
		src.Digest = made.Digest()
		src.Size = src.Digest.Bytes()
	}
	reports, err := pades.Verify(t.Context(), in, src.Size, root().Roots, now)
	require.NoError(t, err)
	in.look()
	require.Len(t, reports, 4)
	for _, r := range reports {
		require.True(t, r.Valid(), "%+v", r)
	}
	require.Greater(t, in.reads, uint64(1000))
	require.Less(t, in.heap, before.HeapInuse+64<<20)
}
