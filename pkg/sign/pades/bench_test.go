package pades_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/pdf/pdftest"
	"signbus.dev/pkg/sign/pades"
)

func BenchmarkSign(b *testing.B) {
	s := newSigner("Anna", "P-256")
	for _, size := range []int{50 << 10, 5 << 20} {
		data := pdftest.Padded(size)
		for name, p := range map[string]pades.Params{
			"invisible": {},
			"visible":   {Boxes: []pdf.Box{{Page: 1, LLX: 10, LLY: 10, URX: 190, URY: 60}}, Appearance: lines("Anna", "agreed")},
		} {
			p.Signer, p.Chain, p.Time = s.key, s.chain, now
			b.Run(fmt.Sprintf("%dKB/%s", size>>10, name), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(data)))
				for b.Loop() {
					_, err := pades.Sign(b.Context(), source(data), p)
					require.NoError(b, err)
				}
			})
		}
	}
}
