package pki_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pki"
)

// encodings are the ways in which a secret could lie open in a text file.
func encodings(secret []byte) []string {
	return []string{
		string(secret), hex.EncodeToString(secret),
		base64.StdEncoding.EncodeToString(secret)[:20], base64.StdEncoding.EncodeToString(secret[1:])[:20], base64.StdEncoding.EncodeToString(secret[2:])[:20],
	}
}

func TestDirectoryKeepsTheFirstValue(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	keeper, err := pki.NewDirectory(path)
	require.NoError(t, err)
	_, err = keeper.Get(t.Context(), "record.1")
	require.ErrorIs(t, err, pki.ErrNotFound)

	values := make([]string, 16)
	errs := make([]error, len(values))
	var group sync.WaitGroup
	for i := range values {
		group.Go(func() {
			value, err := keeper.PutIfAbsent(t.Context(), "record.1", fmt.Appendf(nil, "value %d", i))
			values[i], errs[i] = string(value), err
		})
	}
	group.Wait()
	stored, err := keeper.Get(t.Context(), "record.1")
	require.NoError(t, err)
	for i := range values {
		require.NoError(t, errs[i])
		require.Equal(t, string(stored), values[i])
	}
}

func TestDirectoryRefusesOtherNames(t *testing.T) {
	t.Parallel()
	keeper, err := pki.NewDirectory(t.TempDir())
	require.NoError(t, err)
	for _, name := range []string{"", ".", "..", ".hidden", "../x", "a/b", "A", "a\x00", string(make([]byte, 101))} {
		_, err := keeper.Get(t.Context(), name)
		require.Error(t, err, name)
		require.NotErrorIs(t, err, pki.ErrNotFound, name)
		_, err = keeper.PutIfAbsent(t.Context(), name, nil)
		require.Error(t, err, name)
	}
}
