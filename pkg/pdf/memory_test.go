package pdf_test

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/pdf/pdftest"
	"signbus.dev/pkg/pdf/stamp"
)

// stretched is a file with zeros between its objects and its end, as if a large
// picture stood there.
type stretched struct {
	data []byte
	end  []byte
	size int64
}

// stretch makes a file of that size out of a classic one.
func stretch(data []byte, size int64) stretched {
	at := bytes.LastIndex(data, []byte("\nxref\n")) + 1
	end := fmt.Appendf(nil, "\nstartxref\n%d\n%%%%EOF\n", at)
	return stretched{data: data[:bytes.LastIndex(data, []byte("startxref"))], end: end, size: size}
}

func (s stretched) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	if off < int64(len(s.data)) {
		copy(p, s.data[off:])
	}
	from := s.size - int64(len(s.end))
	if last := off + int64(len(p)); last > from {
		copy(p[max(0, from-off):], s.end[max(0, off-from):])
	}
	return len(p), nil
}

func TestPreparingALargeFileNeedsLittleMemory(t *testing.T) {
	const size = 1 << 30
	for name, c := range map[string]struct {
		file    stretched
		most    uint64 // bytes allocated, all together
		request pdf.Request
	}{
		"few objects":     {stretch(pdftest.Sample(3, "Text"), size), 8 << 20, pdf.Request{Boxes: []pdf.Box{boxOne}, Appearance: stamp.Appearance{Lines: []string{"Anna"}}}},
		"100,000 objects": {stretch(pdftest.ManyObjects(100_000), size), 4 << 20, pdf.Request{}},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c.request.Reserve = 10_000
		update, err := pdf.Prepare(t.Context(), c.file, size, pdf.Limits{Bytes: size}, c.request)
		runtime.ReadMemStats(&after)
		require.NoError(t, err, name)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, c.most, name)
		require.Equal(t, int64(size+len(update.Tail)), update.ByteRange[2]+update.ByteRange[3])
	}
}

func TestOffsetsAboveTenGigabytesAreRefused(t *testing.T) {
	t.Parallel()
	const size = 10_000_000_000
	file := stretch(pdftest.Sample(1, "Text"), size)
	_, err := pdf.Prepare(t.Context(), file, size, pdf.Limits{Bytes: size}, pdf.Request{Reserve: 100})
	require.ErrorIs(t, err, pdf.ErrTooLarge)
}
