// Package pdftest makes small PDF files for tests and demonstrations: honest ones of
// any length and layout, and files that readers must refuse.
//
// It promises that the honest files are accepted by independent readers and that the
// same arguments give the same bytes. It is no general PDF writer.
package pdftest

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"hash/adler32"
	"strings"
)

// Page is the layout of the pages of a [Document].
type Page struct {
	// Width and Height are the media box in points, A4 when zero.
	Width, Height float64
	// Rotate is the clockwise rotation: 0, 90, 180 or 270.
	Rotate int
	// Crop is a crop box (lower left, upper right); nil for none.
	Crop []float64
	// UserUnit is the size of a unit in points; zero leaves it out.
	UserUnit float64
}

// Document describes a file.
type Document struct {
	// Version is the PDF version, 1.7 when empty.
	Version string
	// Pages are the layouts of the pages.
	Pages []Page
	// Text stands on every page, with the page's number.
	Text string
	// Fields are the full names of blank signature fields on the first page; points
	// make a hierarchy.
	Fields []string
	// FieldEntries is added to each blank field, such as a Lock dictionary.
	FieldEntries string
	// CatalogEntries is added to the catalog.
	CatalogEntries string
	// Streams writes object streams and a cross-reference stream.
	Streams bool
	// Hybrid adds, to a classic table, a cross-reference stream that lists the objects
	// of an object stream.
	Hybrid bool
	// Padding is the number of bytes of an attachment that nothing refers to.
	Padding int
	// IndirectArrays writes the lists of fields and annotations as objects of their own.
	IndirectArrays bool
	// Trailer is added to the trailer.
	Trailer string
}

// Sample returns a document of A4 pages with a text.
func Sample(pages int, text string) []byte {
	return Document{Pages: make([]Page, pages), Text: text}.Bytes()
}

// WithBlankField returns a document of one page with a blank signature field.
func WithBlankField(name string) []byte {
	return Document{Pages: make([]Page, 1), Text: "Please sign below", Fields: []string{name}}.Bytes()
}

// Padded returns a document of one page with at least size bytes.
func Padded(size int) []byte {
	return Document{Pages: make([]Page, 1), Text: "A large document", Padding: size}.Bytes()
}

// ZeroPages returns a well formed document without a page.
func ZeroPages() []byte { return Document{}.Bytes() }

// Truncated returns a document whose last third is missing.
func Truncated() []byte {
	whole := Sample(3, "Incomplete")
	return whole[:len(whole)*2/3]
}

// Encrypted returns a document that says that it is encrypted.
func Encrypted() []byte {
	secret := strings.Repeat("5A", 32)
	return Document{
		Pages: make([]Page, 1), Text: "Secret",
		Trailer: "/Encrypt<</Filter/Standard/V 1/R 2/Length 40/P -4/O<" + secret + ">/U<" + secret + ">>>",
	}.Bytes()
}

// Bomb returns a document of a few kilobytes whose object stream expands to four gigabytes.
func Bomb() []byte {
	b := &builder{}
	b.header("1.7")
	b.object(1, "<</Type/Catalog/Pages 2 0 R>>")
	b.stream(4, "/Type/ObjStm/N 2/First 8/Filter[/FlateDecode/FlateDecode]", twice(4096))
	b.placed = map[int][2]int{2: {4, 0}, 3: {4, 1}}
	b.xrefStream(5, "/Root 1 0 R")
	return b.out.Bytes()
}

// BombPage returns a document of a few kilobytes whose page draws four gigabytes of blanks.
func BombPage() []byte {
	b := &builder{}
	b.header("1.7")
	b.object(1, "<</Type/Catalog/Pages 2 0 R>>")
	b.object(2, "<</Type/Pages/Kids[3 0 R]/Count 1>>")
	b.object(3, "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R>>")
	b.stream(4, "/Filter[/FlateDecode/FlateDecode]", twice(4096))
	b.table("/Root 1 0 R")
	return b.out.Bytes()
}

// DeepPages returns a document whose page tree is that many levels deep.
func DeepPages(levels int) []byte {
	b := &builder{}
	b.header("1.7")
	b.object(1, "<</Type/Catalog/Pages 2 0 R>>")
	for i := range levels {
		b.object(2+i, fmt.Sprintf("<</Type/Pages/Kids[%d 0 R]/Count 1>>", 3+i))
	}
	b.object(2+levels, "<</Type/Page/MediaBox[0 0 595 842]>>")
	b.table("/Root 1 0 R")
	return b.out.Bytes()
}

// CircularPages returns a document whose page tree contains itself.
func CircularPages() []byte {
	b := &builder{}
	b.header("1.7")
	b.object(1, "<</Type/Catalog/Pages 2 0 R>>")
	b.object(2, "<</Type/Pages/Kids[3 0 R]/Count 1>>")
	b.object(3, "<</Type/Pages/Kids[2 0 R]/Count 1>>")
	b.table("/Root 1 0 R")
	return b.out.Bytes()
}

// ManyObjects returns a document of one page with n objects that nothing refers to.
func ManyObjects(n int) []byte {
	b := &builder{}
	b.header("1.7")
	b.object(1, "<</Type/Catalog/Pages 2 0 R>>")
	b.object(2, "<</Type/Pages/Kids[3 0 R]/Count 1>>")
	b.object(3, "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>")
	for i := range n {
		b.object(4+i, "0")
	}
	b.table("/Root 1 0 R")
	return b.out.Bytes()
}

// Nested returns a document with an array nested that deep.
func Nested(levels int) []byte {
	return Document{
		Pages: make([]Page, 1), Text: "Deep",
		CatalogEntries: "/Deep " + strings.Repeat("[", levels) + strings.Repeat("]", levels),
	}.Bytes()
}

// Values returns a document with an array of n values in its catalog.
func Values(n int) []byte {
	return Document{Pages: make([]Page, 1), Text: "Long", CatalogEntries: "/Long[" + strings.Repeat("1 ", n) + "]"}.Bytes()
}

// twice compresses that many megabytes of blanks twice.
func twice(megabytes int) []byte {
	var once bytes.Buffer
	// After the first, each megabyte of blanks between flushes compresses to the same
	// bytes, so that only two are compressed.
	z := zlib.NewWriter(&once)
	block := bytes.Repeat([]byte{' '}, 1<<20)
	sizes := [3]int{}
	for i := range sizes {
		_, _ = z.Write(block) // a buffer takes everything
		_ = z.Flush()
		sizes[i] = once.Len()
	}
	data := append([]byte(nil), once.Bytes()[:sizes[1]]...)
	repeated := once.Bytes()[sizes[1]:sizes[2]]
	for range megabytes - 2 {
		data = append(data, repeated...)
	}
	data = append(data, 1, 0, 0, 0xFF, 0xFF) // an empty last block
	data = binary.BigEndian.AppendUint32(data, adler32.Checksum(nil))
	return deflate(data)
}

func deflate(data []byte) []byte {
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	_, _ = z.Write(data) // a buffer takes everything
	_ = z.Close()
	return out.Bytes()
}
