package digest_test

import (
	"bytes"
	"context"
	"io"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/digest"
)

func source(b []byte) digest.Source {
	return digest.Source{ReaderAt: bytes.NewReader(b), Size: int64(len(b))}
}

func TestAPassReadsEveryByteOnceInOrder(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 128 << 10, 128<<10 + 1, 1 << 20} {
		want := bytes.Repeat([]byte("0123456"), n/7+1)[:n]
		var got bytes.Buffer
		require.NoError(t, source(want).Pass(t.Context(), &got))
		require.True(t, bytes.Equal(want, got.Bytes()))

		resident, release, err := source(want).Resident()
		require.NoError(t, err)
		got.Reset()
		require.NoError(t, resident.Pass(t.Context(), &got))
		require.True(t, bytes.Equal(want, got.Bytes()))
		part := make([]byte, 10)
		read, err := resident.ReadAt(part, int64(max(0, n-4)))
		require.Equal(t, want[max(0, n-4):], part[:read])
		require.ErrorIs(t, err, io.EOF)
		release()
	}
}

func TestAPassThatCannotEndWell(t *testing.T) {
	t.Parallel()
	short := source([]byte("short"))
	short.Size++
	require.ErrorIs(t, short.Pass(t.Context(), io.Discard), io.ErrUnexpectedEOF)
	_, _, err := short.Resident()
	require.ErrorIs(t, err, io.EOF)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, source([]byte("text")).Pass(ended, io.Discard), context.Canceled)

	require.ErrorIs(t, digest.Copy(t.Context(), io.Discard, iotest.ErrReader(iotest.ErrTimeout), 4), iotest.ErrTimeout)
	closed, full := io.Pipe()
	require.NoError(t, closed.CloseWithError(iotest.ErrTimeout))
	require.ErrorIs(t, source([]byte("text")).Pass(t.Context(), full), iotest.ErrTimeout)
}
