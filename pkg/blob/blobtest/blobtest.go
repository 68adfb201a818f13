// Package blobtest is the suite that every blob store passes.
package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"signbus.dev/pkg/blob"
	"signbus.dev/pkg/digest"
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
		"digests are kept":                testDigest,
		"appending":                       testAppend,
		"appending to what is not there":  testAppendNothing,
		"appending to the same blob":      testFork,
		"many appended tails":             testManyTails,
		"cleaning keeps blobs":            testClean,
		"whatever happens in any order":   testAnyOrder,
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

// large is a size for which a store need not copy.
const large = 2 << 20

// filled gives bytes that differ with the seed.
func filled(size int, seed byte) []byte {
	source := rand.NewChaCha8([32]byte{seed})
	data := make([]byte, size)
	_, _ = source.Read(data)
	return data
}

func nameOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func stateOf(data []byte) digest.State { return digest.Empty().With(data) }

func putBytes(t *testing.T, s blob.Store, scope blob.Scope, data []byte) {
	t.Helper()
	ref, err := s.Put(t.Context(), scope, bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	require.Equal(t, blob.Ref{SHA256: nameOf(data), Size: int64(len(data))}, ref)
}

func appendBytes(t *testing.T, s blob.Store, scope blob.Scope, base, tail []byte) []byte {
	t.Helper()
	whole := slices.Concat(base, tail)
	ref, err := s.Append(t.Context(), scope, stateOf(base), tail)
	require.NoError(t, err)
	require.Equal(t, blob.Ref{SHA256: nameOf(whole), Size: int64(len(whole))}, ref)
	return whole
}

// requireBlob reads a blob in every way.
func requireBlob(t *testing.T, s blob.Store, scope blob.Scope, want []byte) {
	t.Helper()
	r, err := s.Open(t.Context(), scope, nameOf(want))
	require.NoError(t, err)
	defer r.Close()
	require.EqualValues(t, len(want), r.Size())
	for range 2 {
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got))
		_, err = r.Seek(0, io.SeekStart)
		require.NoError(t, err)
	}
	for _, at := range []int{0, 1, len(want) / 2, len(want) - 1} {
		buf := make([]byte, len(want)/3+1)
		n, err := r.ReadAt(buf, int64(at))
		if n < len(buf) {
			require.ErrorIs(t, err, io.EOF)
		} else {
			require.NoError(t, err)
		}
		require.True(t, bytes.Equal(want[at:min(len(want), at+len(buf))], buf[:n]))
	}
	_, err = r.ReadAt(make([]byte, 1), int64(len(want)))
	require.ErrorIs(t, err, io.EOF)
	_, err = r.ReadAt(make([]byte, 1), -1)
	require.Error(t, err)
	pos, err := r.Seek(-1, io.SeekEnd)
	require.NoError(t, err)
	require.EqualValues(t, len(want)-1, pos)
	rest, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, want[len(want)-1:], rest)
	if state := r.Digest(); state.Known() {
		require.EqualValues(t, len(want), state.Bytes())
		require.Equal(t, sha256.Sum256(slices.Concat(want, []byte("x"))), state.With([]byte("x")).Sum())
	}
}

func requireDigest(t *testing.T, s blob.Store, scope blob.Scope, data []byte) {
	t.Helper()
	r, err := s.Open(t.Context(), scope, nameOf(data))
	require.NoError(t, err)
	defer r.Close()
	require.True(t, r.Digest().Known(), "the state of the digest is not there")
}

func testDigest(t *testing.T, s blob.Store) {
	data := filled(large, 1)
	putBytes(t, s, scope, data)
	requireDigest(t, s, scope, data)
	putBytes(t, s, scope, data)
	to := blob.Scope{Customer: "demo", ID: "e2"}
	require.NoError(t, s.Link(t.Context(), scope, nameOf(data), to))
	require.NoError(t, s.RemoveScope(t.Context(), scope))
	moved := blob.Scope{Customer: "demo", ID: "e3"}
	require.NoError(t, s.Move(t.Context(), to, moved))
	requireDigest(t, s, moved, data)
	requireBlob(t, s, moved, data)
}

func testAppend(t *testing.T, s blob.Store) {
	for _, size := range []int{1, 1000, 1<<20 - 10, 1 << 20, large} {
		for _, tail := range []int{1, 20_000, 2 << 20} {
			here := blob.Scope{Customer: "demo", ID: fmt.Sprintf("e-%d-%d", size, tail)}
			base := filled(size, 2)
			putBytes(t, s, here, base)
			whole := appendBytes(t, s, here, base, filled(tail, 3))
			require.Equal(t, whole, appendBytes(t, s, here, base, filled(tail, 3)), "appending twice is harmless")
			putBytes(t, s, here, whole)
			refs, err := s.List(t.Context(), here)
			require.NoError(t, err)
			require.ElementsMatch(t, []blob.Ref{{SHA256: nameOf(base), Size: int64(size)}, {SHA256: nameOf(whole), Size: int64(size + tail)}}, refs)
			if size+tail >= large {
				requireDigest(t, s, here, whole)
			}
			requireBlob(t, s, here, base)
			require.NoError(t, s.Remove(t.Context(), here, nameOf(base)))
			requireBlob(t, s, here, whole)
			_, err = s.Open(t.Context(), here, nameOf(base))
			require.ErrorIs(t, err, blob.ErrNotFound)
			to := blob.Scope{Customer: "demo", ID: here.ID + "-linked"}
			require.NoError(t, s.Link(t.Context(), here, nameOf(whole), to))
			require.NoError(t, s.RemoveScope(t.Context(), here))
			requireBlob(t, s, to, whole)
		}
	}
}

func testAppendNothing(t *testing.T, s blob.Store) {
	for _, size := range []int{10, large} {
		_, err := s.Append(t.Context(), scope, stateOf(filled(size, 1)), []byte("tail"))
		require.ErrorIs(t, err, blob.ErrNotFound)
	}
	requireEmpty(t, s)
	_, err := s.Append(t.Context(), scope, digest.State{}, []byte("tail"))
	require.ErrorIs(t, err, blob.ErrName)

	base := filled(large, 1)
	putBytes(t, s, scope, base)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.Append(ctx, scope, stateOf(base), []byte("tail"))
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.Append(t.Context(), blob.Scope{Customer: "other", ID: scope.ID}, stateOf(base), []byte("tail"))
	require.ErrorIs(t, err, blob.ErrNotFound, "another customer's blob")
	refs, err := s.List(t.Context(), scope)
	require.NoError(t, err)
	require.Len(t, refs, 1)
}

func testFork(t *testing.T, s blob.Store) {
	base := filled(large, 1)
	putBytes(t, s, scope, base)
	left := appendBytes(t, s, scope, base, []byte("left"))
	right := appendBytes(t, s, scope, base, []byte("right"))
	further := appendBytes(t, s, scope, left, []byte("further"))
	for _, gone := range [][]byte{left, base} {
		require.NoError(t, s.Remove(t.Context(), scope, nameOf(gone)))
		requireBlob(t, s, scope, right)
		requireBlob(t, s, scope, further)
	}
	var group errgroup.Group
	for i := range 8 {
		group.Go(func() error {
			_, err := s.Append(t.Context(), scope, stateOf(right), []byte{byte(i % 2)})
			return err
		})
	}
	require.NoError(t, group.Wait())
	requireBlob(t, s, scope, append(slices.Clone(right), 0))
	requireBlob(t, s, scope, append(slices.Clone(right), 1))
}

func testManyTails(t *testing.T, s blob.Store) {
	data := filled(large, 1)
	putBytes(t, s, scope, data)
	for i := range 40 {
		before := data
		data = appendBytes(t, s, scope, data, filled(1+i*i*100, byte(i)))
		require.NoError(t, s.Remove(t.Context(), scope, nameOf(before)))
	}
	requireDigest(t, s, scope, data)
	requireBlob(t, s, scope, data)
}

func testClean(t *testing.T, s blob.Store) {
	base := filled(large, 1)
	putBytes(t, s, scope, base)
	whole := appendBytes(t, s, scope, base, []byte("tail"))
	require.NoError(t, s.Clean(t.Context(), scope, time.Now().Add(time.Hour)))
	require.NoError(t, s.Clean(t.Context(), blob.Scope{Customer: "none", ID: "none"}, time.Now()))
	requireBlob(t, s, scope, base)
	requireBlob(t, s, scope, whole)
}

// testAnyOrder compares a store with a map through many calls.
func testAnyOrder(t *testing.T, s blob.Store) {
	random := rand.New(rand.NewPCG(1, 2))
	want := map[blob.Scope]map[string][]byte{}
	place := func() blob.Scope { return blob.Scope{Customer: "demo", ID: fmt.Sprint("e", random.IntN(3))} }
	keep := func(scope blob.Scope, data []byte) {
		if want[scope] == nil {
			want[scope] = map[string][]byte{}
		}
		want[scope][nameOf(data)] = data
	}
	pick := func(scope blob.Scope) []byte {
		names := slices.Sorted(maps.Keys(want[scope]))
		if len(names) == 0 {
			return filled(100, 0)
		}
		return want[scope][names[random.IntN(len(names))]]
	}
	for range 80 {
		here := place()
		data := pick(here)
		_, there := want[here][nameOf(data)]
		var err error
		switch random.IntN(8) {
		case 0:
			data = filled([]int{100, 1 << 20, large}[random.IntN(3)], byte(random.IntN(4)))
			putBytes(t, s, here, data)
			keep(here, data)
			there = true
		case 1, 2, 3:
			tail := filled(1+random.IntN(300_000), byte(random.IntN(200)))
			if _, err = s.Append(t.Context(), here, stateOf(data), tail); err == nil {
				keep(here, slices.Concat(data, tail))
			}
		case 4, 5:
			to := place()
			if err = s.Link(t.Context(), here, nameOf(data), to); err == nil {
				keep(to, data)
			}
		case 6:
			require.NoError(t, s.Remove(t.Context(), here, nameOf(data)))
			delete(want[here], nameOf(data))
			continue
		case 7:
			if random.IntN(4) == 0 {
				require.NoError(t, s.RemoveScope(t.Context(), here))
				delete(want, here)
			}
			continue
		}
		if there {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, blob.ErrNotFound)
		}
	}
	for here, blobs := range want {
		refs, err := s.List(t.Context(), here)
		require.NoError(t, err)
		require.Len(t, refs, len(blobs))
		for _, data := range blobs {
			requireBlob(t, s, here, data)
		}
	}
}
