package pdf_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/pdf/pdftest"
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
