// Package blobtest is the suite that every blob store passes.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"signbus.dev/pkg/blob"
)

var scope = blob.Scope{Customer: "demo", ID: "e1"}

// Run runs the suite; open returns a fresh store.
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, blob.Store){
		"bytes come back":                 testRoundTrip,
		"same bytes twice are one blob":   testTwice,
		"too large keeps nothing":         testTooLarge,
		"a broken reader keeps nothing":   testBrokenReader,
		"scopes are apart":                testScopes,
		"missing blobs and bad names":     testNames,
		"concurrent writers do not clash": testConcurrent,
		"cancelled context keeps nothing": testCancelled,
		"links outlive their source":      testLink,
		"scopes move":                     testMove,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func put(t *testing.T, s blob.Store, scope blob.Scope, text string) blob.Ref {
	t.Helper()
	ref, err := s.Put(t.Context(), scope, strings.NewReader(text), 1000)
	require.NoError(t, err)
	return ref
}

func testRoundTrip(t *testing.T, s blob.Store) {
	ref := put(t, s, scope, "abc")
	require.Equal(t, blob.Ref{SHA256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", Size: 3}, ref)
	data, err := blob.ReadAll(t.Context(), s, scope, ref.SHA256)
	require.NoError(t, err)
	require.Equal(t, "abc", string(data))
	r, err := s.Open(t.Context(), scope, ref.SHA256)
	require.NoError(t, err)
	defer r.Close()
	var tail [2]byte
	_, err = r.ReadAt(tail[:], 1)
	require.NoError(t, err)
	require.Equal(t, "bc", string(tail[:]))
	_, err = r.Seek(1, io.SeekStart)
	require.NoError(t, err)
	rest, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, "bc", string(rest))
	_, err = r.Seek(0, io.SeekStart)
	require.NoError(t, err)
	rest, err = io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, "abc", string(rest))
}

func testTwice(t *testing.T, s blob.Store) {
	first := put(t, s, scope, "abc")
	require.Equal(t, first, put(t, s, scope, "abc"))
	refs, err := s.List(t.Context(), scope)
	require.NoError(t, err)
	require.Len(t, refs, 1)
}

func testTooLarge(t *testing.T, s blob.Store) {
	_, err := s.Put(t.Context(), scope, bytes.NewReader(make([]byte, 11)), 10)
	require.ErrorIs(t, err, blob.ErrTooLarge)
	requireEmpty(t, s)
	_, err = s.Put(t.Context(), scope, bytes.NewReader(make([]byte, 10)), 10)
	require.NoError(t, err)
}

func testBrokenReader(t *testing.T, s blob.Store) {
	boom := errors.New("boom")
	_, err := s.Put(t.Context(), scope, io.MultiReader(strings.NewReader("abc"), errReader{boom}), 10)
	require.ErrorIs(t, err, boom)
	requireEmpty(t, s)
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

func testCancelled(t *testing.T, s blob.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Put(ctx, scope, strings.NewReader("abc"), 10)
	require.ErrorIs(t, err, context.Canceled)
	requireEmpty(t, s)
}

func requireEmpty(t *testing.T, s blob.Store) {
	t.Helper()
	refs, err := s.List(t.Context(), scope)
	require.NoError(t, err)
	require.Empty(t, refs)
	require.NoError(t, s.Scopes(t.Context(), func(scope blob.Scope, _ time.Time) error {
		return errors.New("scope is left behind: " + scope.ID)
	}))
}

func testScopes(t *testing.T, s blob.Store) {
	other := blob.Scope{Customer: "other", ID: "e1"}
	ref := put(t, s, scope, "abc")
	_, err := s.Open(t.Context(), other, ref.SHA256)
	require.ErrorIs(t, err, blob.ErrNotFound)
	put(t, s, other, "abc")
	require.NoError(t, s.RemoveScope(t.Context(), scope))
	_, err = s.Open(t.Context(), scope, ref.SHA256)
	require.ErrorIs(t, err, blob.ErrNotFound)
	var seen []blob.Scope
	require.NoError(t, s.Scopes(t.Context(), func(scope blob.Scope, changed time.Time) error {
		require.False(t, changed.IsZero())
		seen = append(seen, scope)
		return nil
	}))
	require.Equal(t, []blob.Scope{other}, seen)
	require.NoError(t, s.Remove(t.Context(), other, ref.SHA256))
	require.NoError(t, s.Remove(t.Context(), other, ref.SHA256))
	require.NoError(t, s.RemoveScope(t.Context(), blob.Scope{Customer: "none", ID: "none"}))
}

func testNames(t *testing.T, s blob.Store) {
	for _, scope := range []blob.Scope{
		{Customer: "..", ID: "e"}, {Customer: "demo", ID: "a/b"}, {Customer: "", ID: "e"},
		{Customer: "demo", ID: ".."}, {Customer: "demo", ID: ""},
	} {
		_, err := s.Put(t.Context(), scope, strings.NewReader("x"), 10)
		require.ErrorIs(t, err, blob.ErrName)
		require.ErrorIs(t, s.RemoveScope(t.Context(), scope), blob.ErrName)
	}
	_, err := s.Open(t.Context(), scope, "../../etc/passwd")
	require.ErrorIs(t, err, blob.ErrName)
	_, err = s.Open(t.Context(), scope, strings.Repeat("0", 64))
	require.ErrorIs(t, err, blob.ErrNotFound)
}

func testConcurrent(t *testing.T, s blob.Store) {
	var group errgroup.Group
	for range 16 {
		group.Go(func() error {
			_, err := s.Put(t.Context(), scope, strings.NewReader("abc"), 10)
			return err
		})
	}
	require.NoError(t, group.Wait())
	refs, err := s.List(t.Context(), scope)
	require.NoError(t, err)
	require.Len(t, refs, 1)
}

func testLink(t *testing.T, s blob.Store) {
	ref := put(t, s, scope, "abc")
	to := blob.Scope{Customer: "demo", ID: "e2"}
	require.NoError(t, s.Link(t.Context(), scope, ref.SHA256, to))
	require.NoError(t, s.Link(t.Context(), scope, ref.SHA256, to), "linking twice is harmless")
	require.NoError(t, s.RemoveScope(t.Context(), scope))
	data, err := blob.ReadAll(t.Context(), s, to, ref.SHA256)
	require.NoError(t, err)
	require.Equal(t, "abc", string(data))
	require.ErrorIs(t, s.Link(t.Context(), scope, ref.SHA256, blob.Scope{Customer: "demo", ID: "e3"}), blob.ErrNotFound)
	refs, err := s.List(t.Context(), blob.Scope{Customer: "demo", ID: "e3"})
	require.NoError(t, err)
	require.Empty(t, refs)
}

func testMove(t *testing.T, s blob.Store) {
	ref := put(t, s, scope, "abc")
	to := blob.Scope{Customer: "new", ID: "e2"}
	require.NoError(t, s.Move(t.Context(), scope, to))
	_, err := s.Open(t.Context(), scope, ref.SHA256)
	require.ErrorIs(t, err, blob.ErrNotFound)
	data, err := blob.ReadAll(t.Context(), s, to, ref.SHA256)
	require.NoError(t, err)
	require.Equal(t, "abc", string(data))
}
