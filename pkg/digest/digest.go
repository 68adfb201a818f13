// Package digest keeps the state of a running SHA-256, so that the digest of bytes
// that begin like others never needs the beginning again.
//
// It promises that a State is bound to the digest it was made for: [Restore] refuses one
// whose digest is another. It does not know where bytes are kept.
package digest

import (
	"bytes"
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
)

// Size is the length of a digest in bytes.
const Size = sha256.Size

// ErrState means that a kept state is damaged or belongs to other bytes.
var ErrState = errors.New("digest state does not fit")

// State is SHA-256 (FIPS 180-4) after some number of bytes. It is a value: whatever goes
// on from it leaves it as it is. The zero State knows nothing; see [State.Known].
type State struct {
	running hash.Hash // never written to again
	size    int64
}

// Empty is the state after no bytes.
func Empty() State { return State{running: sha256.New()} }

// Of reads r to its end.
func Of(r io.Reader) (State, error) {
	w := NewWriter(State{})
	if _, err := io.Copy(w, r); err != nil {
		return State{}, err
	}
	return w.State(), nil
}

// Known tells whether there is a state at all.
func (s State) Known() bool { return s.running != nil }

// Bytes is the number of bytes that were read.
func (s State) Bytes() int64 { return s.size }

// Sum is the digest of the bytes read; zero for the zero State.
func (s State) Sum() (sum [Size]byte) {
	if s.Known() {
		s.running.Sum(sum[:0]) // works on a copy
	}
	return sum
}

// With is the state after further bytes.
func (s State) With(parts ...[]byte) State {
	w := NewWriter(s)
	for _, p := range parts {
		_, _ = w.Write(p) // a hash never fails
	}
	return State{running: w.running, size: w.size} // nobody else has the writer
}

// MarshalBinary writes the state so that [Restore] reads it in any later process.
func (s State) MarshalBinary() ([]byte, error) {
	if !s.Known() {
		return nil, fmt.Errorf("keep digest: %w: there is none", ErrState)
	}
	frozen, err := freeze(s.running)
	if err != nil {
		return nil, err
	}
	out := binary.BigEndian.AppendUint64(nil, uint64(s.size)) //nolint:gosec // never negative
	return append(out, frozen...), nil
}

// Restore reads a state that was kept for the bytes with this digest and this number.
func Restore(data []byte, sum [Size]byte, size int64) (State, error) {
	if len(data) <= 8 || size < 0 || binary.BigEndian.Uint64(data) != uint64(size) {
		return State{}, ErrState
	}
	s := State{running: sha256.New(), size: size}
	u, ok := s.running.(encoding.BinaryUnmarshaler)
	if !ok || u.UnmarshalBinary(data[8:]) != nil || s.Sum() != sum {
		return State{}, ErrState
	}
	// What would come back other than it went was not written by us.
	if again, err := freeze(s.running); err != nil || !bytes.Equal(again, data[8:]) {
		return State{}, ErrState
	}
	return s, nil
}

// Writer goes on from a state. Writing never fails.
type Writer struct {
	running hash.Hash
	size    int64
}

// NewWriter goes on from s; from the zero State it begins anew.
func NewWriter(s State) *Writer {
	if !s.Known() {
		return &Writer{running: sha256.New()}
	}
	return &Writer{running: clone(s.running), size: s.size}
}

// Write implements [io.Writer].
func (w *Writer) Write(p []byte) (int, error) {
	w.size += int64(len(p))
	return w.running.Write(p)
}

// State is the state now.
func (w *Writer) State() State { return State{running: clone(w.running), size: w.size} }

// clone copies a running SHA-256, which the standard library always can.
func clone(h hash.Hash) hash.Hash {
	if c, ok := h.(hash.Cloner); ok {
		if copied, err := c.Clone(); err == nil {
			return copied
		}
	}
	return nil
}

func freeze(h hash.Hash) ([]byte, error) {
	m, ok := h.(encoding.BinaryMarshaler)
	if !ok {
		return nil, ErrState
	}
	return m.MarshalBinary()
}
