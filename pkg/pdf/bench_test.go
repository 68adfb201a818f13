package pdf_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/pdf/pdftest"
	"signbus.dev/pkg/pdf/stamp"
)

func BenchmarkInspect(b *testing.B) {
	for name, data := range map[string][]byte{
		"50KB": pdftest.Padded(50 << 10), "5MB": pdftest.Padded(5 << 20), "1000 pages": pdftest.Sample(1000, "Text"),
		"149000 objects": pdftest.ManyObjects(149_000), "bomb": pdftest.Bomb(), "bomb in a page": pdftest.BombPage(),
	} {
		refused := strings.Contains(name, "bomb")
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				_, err := pdf.Inspect(b.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{})
				require.Equal(b, refused, err != nil)
			}
		})
	}
}
func BenchmarkPrepare(b *testing.B) {
	small := func() []byte { return pdftest.Padded(50 << 10) }
	box := pdf.Box{Page: 1, LLX: 10, LLY: 10, URX: 190, URY: 60}
	for name, c := range map[string]struct {
		data func() []byte
		req  pdf.Request
	}{
		"invisible":       {small, pdf.Request{}},
		"visible":         {small, pdf.Request{Boxes: []pdf.Box{box}, Appearance: stamp.Appearance{Lines: []string{"Anna", "agreed"}}}},
		"tenth signature": {func() []byte { return signedTimes(b, small(), 9) }, pdf.Request{}},
		"streams": {func() []byte {
			return pdftest.Document{Pages: make([]pdftest.Page, 1), Text: "Text", Padding: 50 << 10, Streams: true}.Bytes()
		}, pdf.Request{}},
		"1000 pages":     {func() []byte { return pdftest.Sample(1000, "Text") }, pdf.Request{}},
		"page 700":       {func() []byte { return pdftest.Sample(1000, "Text") }, pdf.Request{Boxes: []pdf.Box{{Page: 700, LLX: 10, LLY: 10, URX: 190, URY: 60}}}},
		"100000 objects": {func() []byte { return pdftest.ManyObjects(100_000) }, pdf.Request{}},
	} {
		b.Run(name, func(b *testing.B) {
			c.req.Reserve = 3_000 // a B-B signature with two certificates
			data := c.data()
			r := bytes.NewReader(data)
			b.ReportAllocs()
			for b.Loop() {
				_, err := pdf.Prepare(b.Context(), r, int64(len(data)), pdf.Limits{}, c.req)
				require.NoError(b, err)
			}
		})
	}
}

// signedTimes returns data with that many signatures, whose bytes are none.
func signedTimes(t testing.TB, data []byte, n int) []byte {
	t.Helper()
	data = bytes.Clone(data)
	for range n {
		update, err := pdf.Prepare(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{}, pdf.Request{Reserve: 10_000})
		require.NoError(t, err)
		data = append(data, update.Tail...)
	}
	return data
}
