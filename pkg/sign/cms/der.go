package cms

import (
	"bytes"
	"encoding/asn1"
	"slices"
)

// The tags that a signed message is made of (X.690, 8.1.2).
const (
	tagInteger     = 0x02
	tagBitString   = 0x03
	tagOctetString = 0x04
	tagUTF8String  = 0x0c
	tagSequence    = 0x30
	tagSet         = 0x31
	tagContext0    = 0xa0
	tagContext1    = 0xa1

	constructed = 0x20
)

var derNull = []byte{0x05, 0}

// headerSize is the number of bytes of a tag and a definite length.
func headerSize(length int64) int64 {
	size := int64(2)
	if length >= 0x80 {
		for ; length > 0; length >>= 8 {
			size++
		}
	}
	return size
}

// elementSize is the number of bytes of a whole element.
func elementSize(length int64) int64 { return headerSize(length) + length }

func appendHeader(out []byte, tag byte, length int64) []byte {
	if length < 0x80 {
		return append(out, tag, byte(length))
	}
	digits := int(headerSize(length)) - 2
	out = append(out, tag, 0x80|byte(digits))
	for i := digits - 1; i >= 0; i-- {
		out = append(out, byte(length>>(8*i)))
	}
	return out
}

// element is the DER of the parts under one tag.
func element(tag byte, parts ...[]byte) []byte {
	length := 0
	for _, part := range parts {
		length += len(part)
	}
	out := appendHeader(make([]byte, 0, elementSize(int64(length))), tag, int64(length))
	for _, part := range parts {
		out = append(out, part...)
	}
	return out
}

// setOf sorts the elements, as DER wants them in a SET OF.
func setOf(tag byte, elements ...[]byte) []byte {
	slices.SortFunc(elements, bytes.Compare)
	return element(tag, elements...)
}

// encodeOID is nil for what is no object identifier.
func encodeOID(oid asn1.ObjectIdentifier) []byte {
	der, err := asn1.Marshal(oid)
	if err != nil {
		return nil
	}
	return der
}

// encodeAttribute is the DER of an attribute with one value (RFC 5652, 5.3), which is
// the body under these tags, the outermost first.
func encodeAttribute(oid, body []byte, tags ...byte) []byte {
	var lengths [8]int64 // of what is inside each tag
	length := int64(len(body))
	for i := len(tags) - 1; i >= 0; i-- {
		lengths[i] = length
		length = elementSize(length)
	}
	inside := int64(len(oid)) + elementSize(length)
	out := appendHeader(make([]byte, 0, elementSize(inside)), tagSequence, inside)
	out = append(out, oid...)
	out = appendHeader(out, tagSet, length)
	for i, tag := range tags {
		out = appendHeader(out, tag, lengths[i])
	}
	return append(out, body...)
}
