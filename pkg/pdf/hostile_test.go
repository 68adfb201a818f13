package pdf_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"syscall"
	"testing"
	"time"

	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/pdf/pdftest"
)

// objects writes a file of the given objects, numbered from 1; the first is the catalog.
func objects(trailer string, bodies ...string) []byte {
	var out bytes.Buffer
	out.WriteString("%PDF-1.7\n")
	offsets := make([]int, len(bodies))
	for i, body := range bodies {
		offsets[i] = out.Len()
		fmt.Fprintf(&out, "%d 0 obj\n%s\nendobj\n", i+1, body)
	}
	at := out.Len()
	fmt.Fprintf(&out, "xref\n0 %d\n0000000000 65535 f\r\n", len(bodies)+1)
	for _, off := range offsets {
		fmt.Fprintf(&out, "%010d 00000 n\r\n", off)
	}
	fmt.Fprintf(&out, "trailer\n<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n", len(bodies)+1, trailer, at)
	return out.Bytes()
}

const (
	onePage  = "<</Type/Pages/Kids[3 0 R]/Count 1>>"
	leafPage = "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>"
)

// withForm has a form whose only field is object 4, and more objects from there.
func withForm(bodies ...string) []byte {
	return objects("", append([]string{"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[4 0 R]>>>>", onePage, leafPage}, bodies...)...)
}

// withStore has a document security store, object 4, and more objects from there.
func withStore(bodies ...string) []byte {
	return objects("", append([]string{"<</Type/Catalog/Pages 2 0 R/DSS 4 0 R>>", onePage, leafPage}, bodies...)...)
}

func repeat(n int, format func(i int) string) string {
	var out strings.Builder
	for i := range n {
		out.WriteString(format(i))
	}
	return out.String()
}

// signedFields has n fields that all hold object 5 as their signature.
func signedFields(n int, signature string, more ...string) []byte {
	bodies := append([]string{"<</T(all)/Kids[" + repeat(n, func(i int) string { return fmt.Sprintf("%d 0 R ", 6+len(more)+i) }) + "]>>", signature}, more...)
	for i := range n {
		bodies = append(bodies, fmt.Sprintf("<</FT/Sig/T(%d)/V 5 0 R>>", i))
	}
	return withForm(bodies...)
}

func zipped(data []byte) string {
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	_, _ = z.Write(data)
	_ = z.Close()
	return out.String()
}

func stream(entries, data string) string {
	return fmt.Sprintf("<<%s/Length %d>>\nstream\n%s\nendstream", entries, len(data), data)
}

// ownLength is an object stream whose length stands in itself.
func ownLength() []byte {
	var out bytes.Buffer
	out.WriteString("%PDF-1.7\n")
	objectStream := out.Len()
	content := "1 0 2 31 3 67 5 120 <</Type/Catalog/Pages 2 0 R  >>" + onePage + " " + leafPage + " 200"
	fmt.Fprintf(&out, "4 0 obj\n<</Type/ObjStm/N 4/First 20/Length 5 0 R>>\nstream\n%s\nendstream\nendobj\n", content)
	at := out.Len()
	row := func(kind, second, third int) string {
		return string([]byte{byte(kind), byte(second >> 8), byte(second), byte(third)})
	}
	fmt.Fprintf(&out, "6 0 obj\n%s\nendobj\nstartxref\n%d\n%%%%EOF\n",
		stream("/Type/XRef/W[1 2 1]/Size 7/Root 1 0 R", row(0, 0, 0)+row(2, 4, 0)+row(2, 4, 1)+row(2, 4, 2)+row(1, objectStream, 0)+row(2, 4, 3)+row(1, at, 0)), at)
	return out.Bytes()
}

// sharedTrailers has cross-reference sections whose trailers all go on to the end of the file.
func sharedTrailers(n, length int) []byte {
	var out bytes.Buffer
	out.WriteString("%PDF-1.7\n")
	last := 0
	for range n {
		at := out.Len()
		fmt.Fprintf(&out, "xref\n0 0\ntrailer\n<</Root 1 0 R/Prev %d/X<", last)
		last = at
	}
	out.WriteString(strings.Repeat("41", length/2) + ">>>\n")
	fmt.Fprintf(&out, "startxref\n%d\n%%%%EOF\n", last)
	return out.Bytes()
}

// hostile are files made to exhaust or to confuse their readers.
var hostile = map[string]func() []byte{
	"bomb":              pdftest.Bomb,
	"bomb in a page":    pdftest.BombPage,
	"deep pages":        func() []byte { return pdftest.DeepPages(20_000) },
	"circular pages":    pdftest.CircularPages,
	"a million objects": func() []byte { return pdftest.ManyObjects(1_000_000) },
	"deep array":        func() []byte { return pdftest.Nested(1_000_000) },
	"long array":        func() []byte { return pdftest.Values(1_100_000) },
	"nearly too long":   func() []byte { return pdftest.Values(950_000) },
	"truncated":         pdftest.Truncated,
	"own length":        ownLength,
	"circular fields":   func() []byte { return withForm("<</T(a)/Kids[5 0 R]>>", "<</T(b)/Kids[4 0 R]>>") },
	"field of itself":   func() []byte { return withForm("<</FT/Sig/T(a)/Kids[4 0 R]>>") },
	"circular value":    func() []byte { return withForm("<</FT/Sig/T(a)/V 5 0 R>>", "6 0 R", "5 0 R") },
	"circular parent": func() []byte {
		return objects("", "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[4 0 R]>>>>", onePage, "<</Type/Page/Parent 3 0 R>>", "<</FT/Sig/T(a)/Subtype/Widget/Rect[0 0 9 9]/P 3 0 R>>")
	},
	"circular prev": func() []byte {
		data := objects("/Prev 0000000", "<</Type/Catalog/Pages 2 0 R>>", onePage, leafPage)
		at := bytes.LastIndex(data, []byte("\nxref")) + 1
		return bytes.Replace(data, []byte("/Prev 0000000"), fmt.Appendf(nil, "/Prev %07d", at), 1)
	},
	"shared trailers": func() []byte { return sharedTrailers(1_900, 14<<20) },
	"many annotations": func() []byte {
		return objects("", "<</Type/Catalog/Pages 2 0 R>>", onePage, strings.Replace(leafPage, ">>", "/Annots["+strings.Repeat("3 0 R ", 400_000)+"]>>", 1))
	},
	"many fields": func() []byte {
		return objects("", "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields["+repeat(60_000, func(i int) string { return fmt.Sprintf("%d 0 R ", 4+i) })+"]>>>>", onePage, leafPage, strings.Repeat("<</FT/Sig>>", 1))
	},
	"fields of a field": func() []byte { return signedFields(50_001, "null") },
	"long names": func() []byte {
		return withForm(append([]string{"<</T(" + strings.Repeat("n", 1<<20) + ")/Kids[" + repeat(40_000, func(i int) string { return fmt.Sprintf("%d 0 R ", 5+i) }) + "]>>"},
			strings.Split(strings.Repeat("<</FT/Sig/T(a)>>|", 40_000), "|")[:40_000]...)...)
	},
	"one signature in a thousand fields": func() []byte {
		return signedFields(999, "<</Type/Sig/ByteRange[0 1 2 3]/Contents<"+strings.Repeat("30", 4<<20)+">>>")
	},
	"one lock in a thousand fields": func() []byte {
		return signedFields(999, "<</Type/Sig/Reference[<</TransformMethod/FieldMDP/TransformParams<</Action/Include/Fields 6 0 R>>>>]>>", "["+strings.Repeat("(a field)", 30_000)+"]")
	},
	"bomb in the store": func() []byte {
		return withStore("<</Certs[5 0 R 6 0 R]>>", stream("/Filter/FlateDecode", zipped(make([]byte, 64<<20))), stream("/Filter[/FlateDecode/FlateDecode]", zipped([]byte(zipped(make([]byte, 100<<20))))))
	},
	"many in the store": func() []byte {
		return withStore("<</Certs["+strings.Repeat("5 0 R ", 100_000)+"]>>", stream("", "certificate"))
	},
	"store of itself": func() []byte { return withStore("<</Certs[4 0 R]/VRI<</A 4 0 R/VRI 4 0 R>>>>") },
	"store goes nowhere": func() []byte {
		return withStore("<</Certs 5 0 R/OCSPs[99 0 R 1 0 R null 3]/VRI[1 2]>>", "6 0 R", "5 0 R")
	},
	"empty blocks": func() []byte { // that decompress to nothing
		blocks := "\x78\x9C" + strings.Repeat("\x00\x00\x00\xFF\xFF", 1<<20)
		bodies := []string{"<</Certs[" + repeat(200, func(i int) string { return fmt.Sprintf("%d 0 R ", 6+i) }) + "]>>", stream("", blocks)}
		for range 200 { // each claims what stands behind it too
			bodies = append(bodies, "<</Filter/FlateDecode/Length 5000000>>\nstream\n"+blocks[:64]+"\nendstream")
		}
		return withStore(append(bodies, stream("", strings.Repeat("\x00\x00\x00\xFF\xFF", 1<<20)))...)
	},
	"odd encryption": func() []byte {
		return objects("/Encrypt<</Filter/Standard/V 5/R 6/P -4/O()/U()/UE()/OE()/Perms()/CF<</StdCF<</CFM/AESV3>>>>/StmF/StdCF/StrF/StdCF>>", "<</Type/Catalog/Pages 2 0 R>>", onePage, leafPage)
	},
}

var sentinels = []error{
	pdf.ErrNotPDF, pdf.ErrTruncated, pdf.ErrEncrypted, pdf.ErrTooLarge, pdf.ErrTooComplex, pdf.ErrNoPages, pdf.ErrBroken,
	pdf.ErrNotPermitted, pdf.ErrOutsidePage, pdf.ErrPageRange, pdf.ErrFieldNotFound, pdf.ErrFieldSigned, pdf.ErrRequest,
}

func requireSentinel(t testing.TB, err error) {
	t.Helper()
	for _, s := range sentinels {
		if err == nil || errors.Is(err, s) {
			return
		}
	}
	t.Fatalf("no sentinel: %v", err)
}

// readers are all ways into a file.
var readers = map[string]func(ctx context.Context, data []byte) error{
	"inspect": func(ctx context.Context, data []byte) error {
		_, err := pdf.Inspect(ctx, bytes.NewReader(data), int64(len(data)), pdf.Limits{})
		return err
	},
	"signatures": func(ctx context.Context, data []byte) error {
		_, err := pdf.Signatures(ctx, bytes.NewReader(data), int64(len(data)), pdf.Limits{})
		return err
	},
	"store": func(ctx context.Context, data []byte) error {
		_, err := pdf.ReadSecurity(ctx, bytes.NewReader(data), int64(len(data)), pdf.Limits{})
		return err
	},
	"sign": func(ctx context.Context, data []byte) error {
		_, err := pdf.Prepare(ctx, bytes.NewReader(data), int64(len(data)), pdf.Limits{}, pdf.Request{Reserve: 100, Boxes: []pdf.Box{boxOne}, Fields: []pdf.NewField{{Name: "b"}}})
		return err
	},
	"fill": func(ctx context.Context, data []byte) error {
		_, err := pdf.Prepare(ctx, bytes.NewReader(data), int64(len(data)), pdf.Limits{}, pdf.Request{Reserve: 100, Field: "a"})
		return err
	},
	"add to the store": func(ctx context.Context, data []byte) error {
		_, err := pdf.PrepareSecurity(ctx, bytes.NewReader(data), int64(len(data)), pdf.Limits{}, pdf.Security{CRLs: [][]byte{{1}}})
		return err
	},
}

func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peak returns the most bytes held at any time while do runs, beyond those before.
func peak(do func()) uint64 {
	held := func() uint64 {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	runtime.GC()
	before, most := held(), uint64(0)
	done, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				most = max(most, held())
			}
		}
	}()
	do()
	close(done)
	<-watched
	return max(most, before) - before
}

// TestHostileFiles holds every reader to 256 MB, and to an end: about a second of one
// processor, which the log tells; a deadline far beyond it tells a reader that hangs.
func TestHostileFiles(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(50)) // what is held counts, not what waits to be collected
	for name, file := range hostile {
		data := file()
		for reader, read := range readers {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			began := processorTime()
			held := peak(func() { requireSentinel(t, read(ctx, data)) })
			cancel()
			t.Logf("%s, %s: %s, %d MB", name, reader, (processorTime() - began).Round(time.Millisecond), held>>20)
			if held > 256<<20 {
				t.Errorf("%s, %s: %d MB", name, reader, held>>20)
			}
		}
	}
}
