package pki

import (
	"context"
	"errors"
)

// ErrNotFound means that a Keeper has no record of that name.
var ErrNotFound = errors.New("record not found")

// Keeper stores small records that are written once and never change. Names are
// lower-case letters, digits, '-' and '.', and up to 100 bytes long; values are
// opaque, and what is secret in them is already encrypted.
//
// PutIfAbsent is the only write, so that processes which share a Keeper agree:
// of two that write one name at once, both get the value of the first. It
// returns only after the value is durable.
type Keeper interface {
	// Get returns a record's value or ErrNotFound.
	Get(ctx context.Context, name string) ([]byte, error)
	// PutIfAbsent stores the value if there is none and returns the one that is stored.
	PutIfAbsent(ctx context.Context, name string, value []byte) ([]byte, error)
	// Each calls f with every record of a kind, in any order: those whose name begins with the
	// kind and a hyphen. It stops at f's first error and returns it. The value is f's to keep.
	Each(ctx context.Context, kind string, f func(name string, value []byte) error) error
}
