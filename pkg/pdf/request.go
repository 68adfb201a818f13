package pdf

import (
	"encoding/hex"
	"fmt"
	"time"

	"signbus.dev/pkg/pdf/stamp"
)

// Request describes the signature to prepare.
type Request struct {
	// Field is the name of a blank signature field, an existing one or one of Fields;
	// empty adds a new field.
	Field string
	// FieldName is the beginning of a new field's name, "Signature" when empty; a
	// number that makes it unique follows.
	FieldName string
	// Fields are blank fields to be placed by the same update; one that exists already is left as it is.
	Fields []NewField
	// Boxes are where the signature shows; none, or empty ones, make it invisible. The first is the
	// new field's, the others repeat its appearance as stamps. With Field the first box is
	// that of the existing field, whose own place counts, and only the others are stamped.
	Boxes []Box
	// Appearance is what shows. With Field, an empty one leaves the field as it looks.
	Appearance stamp.Appearance
	// Name, Reason, Location and Contact go into the signature dictionary.
	Name, Reason, Location, Contact string
	// Time is the claimed time of signing; zero leaves it out.
	Time time.Time
	// Certify makes the signature certify the document: 1 allows no change, 2 forms and
	// signatures, 3 annotations too (DocMDP, ISO 32000-2, 12.8.2.2). Only the first
	// signature of a document can certify; 0 is an ordinary signature.
	Certify int
	// Lock is what the signature locks; nil leaves that to the field.
	Lock *Lock
	// DocTimestamp prepares a document time-stamp (ISO 32000-2, 12.8.5) in place of a signature. It is
	// invisible, says nothing about a signer and is allowed whatever earlier signatures forbid.
	DocTimestamp bool
	// Extra are further entries of the signature dictionary.
	Extra []Entry
	// Reserve is the number of bytes kept free for the signature.
	Reserve int
}

// NewField is a blank signature field to be placed.
type NewField struct {
	// Name is the name of the field. It has no point, which would make it part of another field.
	Name string
	// Box is where the field shows, as a thin frame until it is signed; an empty one makes it invisible.
	Box Box
}

// Action says which fields a lock is about.
type Action string

// The actions of ISO 32000-2, table 236.
const (
	LockAll     Action = "All"
	LockInclude Action = "Include"
	LockExclude Action = "Exclude"
)

// Lock is what a signature locks when it is made (ISO 32000-2, 12.7.5.5 and 12.8.2.4).
type Lock struct {
	// Action locks all fields, those in Fields, or all but those in Fields.
	Action Action
	// Fields are full names; a name stands for the fields below it too.
	Fields []string
	// P is what stays allowed in the whole document, as with a certification: 1 to 3, 0 for
	// everything (PDF 2.0).
	P int
}

// Entry is an entry of a signature dictionary that the standard does not define.
type Entry struct {
	// Key is the name of the entry: 1 to 127 letters, digits, points, hyphens or underscores.
	Key string
	// Value is written as a string of bytes.
	Value []byte
}

// standardKeys are the entries of signature dictionaries in ISO 32000-2, table 255.
var standardKeys = map[string]bool{
	"Type": true, "Filter": true, "SubFilter": true, "Contents": true, "Cert": true, "ByteRange": true, "Reference": true,
	"Changes": true, "Name": true, "M": true, "Location": true, "Reason": true, "ContactInfo": true, "R": true, "V": true,
	"Prop_Build": true, "Prop_AuthTime": true, "Prop_AuthType": true,
}

// check refuses requests that contradict themselves.
func (req Request) check() error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrRequest, fmt.Sprintf(format, args...))
	}
	switch {
	case req.Reserve < 1 || req.Reserve > maxObject/4:
		return refuse("%d bytes for the signature; reserve 1 to %d", req.Reserve, maxObject/4)
	case req.Certify < 0 || req.Certify > 3:
		return refuse("certification level %d; use 1 to 3, or 0 for none", req.Certify)
	case req.DocTimestamp && (req.Field != "" || len(req.Fields) > 0 || len(req.Boxes) > 0 || req.Certify != 0 || req.Lock != nil || len(req.Extra) > 0):
		return refuse("a document time-stamp has a field of its own, does not show, certify or lock; leave those out")
	}
	if l := req.Lock; l != nil {
		switch {
		case l.Action != LockAll && l.Action != LockInclude && l.Action != LockExclude:
			return refuse("a lock of unknown action; use All, Include or Exclude")
		case (l.Action == LockAll) != (len(l.Fields) == 0):
			return refuse("a lock names fields if and only if it includes or excludes them")
		case l.P < 0 || l.P > 3:
			return refuse("a lock that leaves permission %d; use 1 to 3, or 0 for everything", l.P)
		}
	}
	for _, e := range req.Extra {
		if !plainName(e.Key) || standardKeys[e.Key] {
			return refuse("a further entry of the signature has a key that is no plain name or has a meaning already; choose another")
		}
	}
	return nil
}

func plainName(s string) bool {
	if s == "" || len(s) > 127 {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

// Update is what one signature adds to a file.
type Update struct {
	// Tail is to be written behind the original.
	Tail []byte
	// ByteRange says which bytes of the original with the tail are signed: offset and
	// length of the part before the signature, offset and length of the part behind it.
	ByteRange [4]int64
	// ContentsOffset is the offset of the first byte left out, the "<" of the signature.
	ContentsOffset int64
	// FieldName is the full name of the signed field.
	FieldName string
	// Signatures is the number of signatures with this one; document time-stamps are none.
	Signatures int
}

// size is that of the original.
func (u *Update) size() int64 { return u.ByteRange[2] + u.ByteRange[3] - int64(len(u.Tail)) }

// Before returns the signed bytes of the tail in front of the signature.
func (u *Update) Before() []byte { return u.Tail[:u.ContentsOffset-u.size()] }

// After returns the signed bytes of the tail behind the signature.
func (u *Update) After() []byte { return u.Tail[u.ByteRange[2]-u.size():] }

// Fill puts the signature into the reserved space; with [ErrContentsTooSmall] the
// tail is unchanged.
func (u *Update) Fill(signature []byte) error {
	space := u.Tail[u.ContentsOffset-u.size()+1 : u.ByteRange[2]-u.size()-1]
	if need := hex.EncodedLen(len(signature)); need > len(space) {
		return fmt.Errorf("%w: %d bytes for %d", ErrContentsTooSmall, len(space)/2, len(signature))
	}
	fillZeros(space[hex.Encode(space, signature):])
	return nil
}

// fillZeros writes the padding of a signature.
func fillZeros(b []byte) {
	for n := copy(b, "0000000000000000000000000000000000000000000000000000000000000000"); n > 0 && n < len(b); n *= 2 {
		copy(b[n:], b[:n])
	}
}
