package digest_test

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/digest"
)

func TestAStateGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	whole := bytes.Repeat([]byte("contract "), 1000)
	for _, cut := range []int{0, 1, 63, 64, 65, 4096, len(whole)} {
		first, err := digest.Of(bytes.NewReader(whole[:cut]))
		require.NoError(t, err)
		kept, err := first.MarshalBinary()
		require.NoError(t, err)
		again, err := digest.Restore(kept, sha256.Sum256(whole[:cut]), int64(cut))
		require.NoError(t, err)
		require.Equal(t, sha256.Sum256(whole), again.With(whole[cut:]).Sum())
		require.Equal(t, int64(len(whole)), again.With(whole[cut:]).Bytes())
		require.Equal(t, sha256.Sum256(whole[:cut]), again.Sum(), "going on must not change it")
	}
}

func TestAStateIsBoundToItsBytes(t *testing.T) {
	t.Parallel()
	mine, err := digest.Of(strings.NewReader("mine"))
	require.NoError(t, err)
	kept, err := mine.MarshalBinary()
	require.NoError(t, err)
	_, err = digest.Restore(kept, sha256.Sum256([]byte("yours")), 4)
	require.ErrorIs(t, err, digest.ErrState)
	_, err = digest.Restore(kept, sha256.Sum256([]byte("mine")), 5)
	require.ErrorIs(t, err, digest.ErrState)
	for i := range kept {
		changed := bytes.Clone(kept)
		changed[i] ^= 1
		if s, err := digest.Restore(changed, sha256.Sum256([]byte("mine")), 4); err == nil {
			require.Equal(t, mine.With([]byte("more")).Sum(), s.With([]byte("more")).Sum())
		}
	}
	_, err = digest.Restore(nil, sha256.Sum256(nil), 0)
	require.ErrorIs(t, err, digest.ErrState)
	_, err = digest.State{}.MarshalBinary()
	require.ErrorIs(t, err, digest.ErrState)
}
