package pdftest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// builder writes objects and remembers where they are.
type builder struct {
	out     bytes.Buffer
	offsets map[int]int
	placed  map[int][2]int // number of the object stream and index
}

func (b *builder) header(version string) {
	b.offsets = map[int]int{}
	fmt.Fprintf(&b.out, "%%PDF-%s\n%%\xE2\xE3\xCF\xD3\n", version)
}

func (b *builder) object(n int, body string) {
	b.offsets[n] = b.out.Len()
	fmt.Fprintf(&b.out, "%d 0 obj\n%s\nendobj\n", n, body)
}

func (b *builder) stream(n int, entries string, data []byte) {
	b.object(n, fmt.Sprintf("<<%s/Length %d>>\nstream\n%s\nendstream", entries, len(data), data))
}

// highest returns the highest object number.
func (b *builder) highest() int {
	n := 0
	for k := range b.offsets {
		n = max(n, k)
	}
	for k := range b.placed {
		n = max(n, k)
	}
	return n
}

// table ends the file with a classic cross-reference table.
func (b *builder) table(trailer string) {
	at := b.out.Len()
	n := b.highest()
	fmt.Fprintf(&b.out, "xref\n0 %d\n0000000000 65535 f\r\n", n+1)
	for i := 1; i <= n; i++ {
		if off, ok := b.offsets[i]; ok {
			fmt.Fprintf(&b.out, "%010d 00000 n\r\n", off)
		} else {
			b.out.WriteString("0000000000 65535 f\r\n")
		}
	}
	fmt.Fprintf(&b.out, "trailer\n<</Size %d%s>>\nstartxref\n%d\n%%%%EOF\n", n+1, trailer, at)
}

// xrefStream ends the file with a cross-reference stream, which is object n.
func (b *builder) xrefStream(n int, trailer string) {
	at := b.out.Len()
	b.sectionStream(n, trailer)
	fmt.Fprintf(&b.out, "startxref\n%d\n%%%%EOF\n", at)
}

func (b *builder) sectionStream(n int, trailer string) {
	b.offsets[n] = b.out.Len()
	var rows bytes.Buffer
	for i := range b.highest() + 1 {
		if place, ok := b.placed[i]; ok {
			rows.Write([]byte{2, byte(place[0] >> 24), byte(place[0] >> 16), byte(place[0] >> 8), byte(place[0]), byte(place[1] >> 8), byte(place[1])})
			continue
		}
		off, ok := b.offsets[i]
		kind := byte(1)
		if !ok {
			kind = 0
		}
		rows.Write([]byte{kind, byte(off >> 24), byte(off >> 16), byte(off >> 8), byte(off), 0, 0})
	}
	b.stream(n, fmt.Sprintf("/Type/XRef/W[1 4 2]/Size %d/Filter/FlateDecode%s", b.highest()+1, trailer), deflate(rows.Bytes()))
}

// objectStream writes objects into an object stream, which is object n.
func (b *builder) objectStream(n int, objects map[int]string) {
	if b.placed == nil {
		b.placed = map[int][2]int{}
	}
	var head, body strings.Builder
	for i, number := range slices.Sorted(maps.Keys(objects)) {
		fmt.Fprintf(&head, "%d %d ", number, body.Len())
		body.WriteString(objects[number] + "\n")
		b.placed[number] = [2]int{n, i}
	}
	b.stream(n, fmt.Sprintf("/Type/ObjStm/N %d/First %d/Filter/FlateDecode", len(objects), head.Len()), deflate([]byte(head.String()+body.String())))
}

// Bytes writes the document.
func (d Document) Bytes() []byte {
	w := &writer{Document: d, bodies: map[int]string{}}
	w.next = 4 // catalog, page tree and font come first
	w.layout()
	return w.write()
}

type stream struct {
	entries string
	data    []byte
}

// writer lays a document out in objects.
type writer struct {
	Document
	next    int
	bodies  map[int]string
	streams []struct {
		n int
		stream
	}
	groups map[string]int   // number of the field for each prefix of a name
	kids   map[int][]string // kids of the groups
	roots  []string
	annots []string
}

func (w *writer) allocate() int {
	w.next++
	return w.next - 1
}

func (w *writer) layout() {
	first := 4
	kids := make([]string, len(w.Pages))
	w.next += 2 * len(w.Pages)
	for i := range w.Pages {
		kids[i] = fmt.Sprintf("%d 0 R", first+2*i)
	}
	w.bodies[2] = fmt.Sprintf("<</Type/Pages/Kids[%s]/Count %d>>", strings.Join(kids, " "), len(kids))
	w.bodies[3] = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>"
	w.fields(first)
	for i, p := range w.Pages {
		w.page(i, p, first+2*i)
	}
	catalog := "<</Type/Catalog/Pages 2 0 R" + w.CatalogEntries
	if len(w.Fields) > 0 {
		form := w.allocate()
		w.bodies[form] = "<</Fields " + w.array(w.roots) + ">>"
		catalog += fmt.Sprintf("/AcroForm %d 0 R", form)
	}
	w.bodies[1] = catalog + ">>"
	if w.Padding > 0 {
		w.add(w.allocate(), "", noise(w.Padding))
	}
}

// array writes a list, as an object of its own where that is asked for.
func (w *writer) array(items []string) string {
	list := "[" + strings.Join(items, " ") + "]"
	if !w.IndirectArrays {
		return list
	}
	n := w.allocate()
	w.bodies[n] = list
	return fmt.Sprintf("%d 0 R", n)
}

func (w *writer) add(n int, entries string, data []byte) {
	w.streams = append(w.streams, struct {
		n int
		stream
	}{n, stream{entries, data}})
}

func (w *writer) page(i int, p Page, n int) {
	if p.Width == 0 {
		p.Width, p.Height = 595, 842
	}
	text := strings.NewReplacer("\\", "\\\\", "(", "\\(", ")", "\\)").Replace(w.Text)
	content := fmt.Sprintf("BT /F1 14 Tf 60 %g Td (%s) Tj 0 -24 Td (Page %d) Tj ET\n", p.Height-80, text, i+1)
	w.add(n+1, "", []byte(content))
	body := fmt.Sprintf("<</Type/Page/Parent 2 0 R/MediaBox[0 0 %g %g]/Contents %d 0 R/Resources<</Font<</F1 3 0 R>>>>", p.Width, p.Height, n+1)
	if p.Rotate != 0 {
		body += fmt.Sprintf("/Rotate %d", p.Rotate)
	}
	if len(p.Crop) == 4 {
		body += fmt.Sprintf("/CropBox[%g %g %g %g]", p.Crop[0], p.Crop[1], p.Crop[2], p.Crop[3])
	}
	if p.UserUnit != 0 {
		body += fmt.Sprintf("/UserUnit %g", p.UserUnit)
	}
	if i == 0 && len(w.annots) > 0 {
		body += "/Annots " + w.array(w.annots)
	}
	w.bodies[n] = body + ">>"
}

// fields lays out the blank signature fields, one above the other on the first page.
func (w *writer) fields(page int) {
	w.groups, w.kids = map[string]int{}, map[int][]string{}
	for i, name := range w.Fields {
		parts := strings.Split(name, ".")
		n := w.allocate()
		link, parent := fmt.Sprintf("%d 0 R", n), ""
		if group := w.group(parts[:len(parts)-1]); group > 0 {
			w.kids[group] = append(w.kids[group], link)
			parent = fmt.Sprintf("/Parent %d 0 R", group)
		} else {
			w.roots = append(w.roots, link)
		}
		w.annots = append(w.annots, link)
		y := 100 + 70*i
		w.bodies[n] = fmt.Sprintf("<</Type/Annot/Subtype/Widget/FT/Sig/T(%s)/F 4/Rect[60 %d 260 %d]/P %d 0 R%s%s>>",
			parts[len(parts)-1], y, y+60, page, parent, w.FieldEntries)
	}
	for name, n := range w.groups {
		parts := strings.Split(name, ".")
		parent := ""
		if up := w.groups[strings.Join(parts[:len(parts)-1], ".")]; up > 0 {
			parent = fmt.Sprintf("/Parent %d 0 R", up)
		}
		w.bodies[n] = fmt.Sprintf("<</T(%s)/Kids[%s]%s>>", parts[len(parts)-1], strings.Join(w.kids[n], " "), parent)
	}
}

// group returns the number of the field that groups the names below parts, 0 for none.
func (w *writer) group(parts []string) int {
	if len(parts) == 0 {
		return 0
	}
	name := strings.Join(parts, ".")
	if n, ok := w.groups[name]; ok {
		return n
	}
	up := w.group(parts[:len(parts)-1])
	n := w.allocate()
	w.groups[name] = n
	link := fmt.Sprintf("%d 0 R", n)
	if up > 0 {
		w.kids[up] = append(w.kids[up], link)
	} else {
		w.roots = append(w.roots, link)
	}
	return n
}

func (w *writer) write() []byte {
	version := w.Version
	if version == "" {
		version = "1.7"
	}
	b := &builder{}
	b.header(version)
	for _, s := range w.streams {
		b.stream(s.n, s.entries, s.data)
	}
	trailer := "/Root 1 0 R/ID[<5369676E6275732053616D706C650001><5369676E6275732053616D706C650001>]" + w.Trailer
	switch {
	case w.Streams:
		b.objectStream(w.allocate(), w.bodies)
		b.xrefStream(w.allocate(), trailer)
	case w.Hybrid:
		w.hybrid(b, trailer)
	default:
		for _, n := range slices.Sorted(maps.Keys(w.bodies)) {
			b.object(n, w.bodies[n])
		}
		b.table(trailer)
	}
	return b.out.Bytes()
}

// hybrid hides the font in an object stream, as the standard shows it: old readers see
// a free object and a document without the font, new ones everything.
func (w *writer) hybrid(b *builder, trailer string) {
	hidden := map[int]string{3: w.bodies[3]}
	for _, n := range slices.Sorted(maps.Keys(w.bodies)) {
		if n != 3 {
			b.object(n, w.bodies[n])
		}
	}
	b.objectStream(w.allocate(), hidden)
	at := b.out.Len()
	b.sectionStream(w.allocate(), "/Root 1 0 R")
	b.table(trailer + fmt.Sprintf("/XRefStm %d", at))
}

// noise returns bytes that do not compress, the same each time.
func noise(n int) []byte {
	out := make([]byte, n)
	state := uint64(88172645463325252)
	for i := range out {
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
		out[i] = byte(state >> 32)
	}
	return out
}
