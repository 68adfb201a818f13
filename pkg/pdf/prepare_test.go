package pdf_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/pdf/pdftest"
	"signbus.dev/pkg/pdf/stamp"
)

func TestFillKeepsToTheReservedSpace(t *testing.T) {
	t.Parallel()
	data := pdftest.Sample(1, "Text")
	update, err := pdf.Prepare(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{}, pdf.Request{Reserve: 100})
	require.NoError(t, err)
	empty := bytes.Clone(update.Tail)
	require.ErrorIs(t, update.Fill(make([]byte, 101)), pdf.ErrContentsTooSmall)
	require.Equal(t, empty, update.Tail)

	require.NoError(t, update.Fill(bytes.Repeat([]byte{0xAB}, 100)))
	require.NoError(t, update.Fill([]byte{1, 2, 3}), "a shorter signature replaces a longer one")
	whole := append(bytes.Clone(data), update.Tail...)
	signatures, err := pdf.Signatures(t.Context(), bytes.NewReader(whole), int64(len(whole)), pdf.Limits{})
	require.NoError(t, err)
	require.Len(t, signatures, 1)
	require.Equal(t, append([]byte{1, 2, 3}, make([]byte, 97)...), signatures[0].Contents)
	require.Equal(t, update.ByteRange[:], signatures[0].ByteRange)
	require.Equal(t, []int64{update.ByteRange[1], update.ByteRange[2]}, []int64{signatures[0].Start, signatures[0].End})
	require.Equal(t, int64(len(whole)), update.ByteRange[2]+update.ByteRange[3])
	require.Equal(t, whole[len(data):update.ByteRange[1]], update.Before())
	require.Equal(t, whole[update.ByteRange[2]:], update.After())
}

// FuzzPrepare checks that what both readers accept still is accepted with an update,
// and that the update holds what it should.
func FuzzPrepare(f *testing.F) {
	for _, d := range []pdftest.Document{
		{}, {Streams: true}, {Hybrid: true}, {Fields: []string{"a.b", "c"}}, {Fields: []string{"a"}, IndirectArrays: true},
		{CatalogEntries: "/AcroForm<</Fields[]/DR<<>>>>"},
	} {
		d.Pages, d.Text = []pdftest.Page{{}, {Rotate: 90}}, "Text"
		f.Add(d.Bytes())
	}
	f.Fuzz(requireUpdatable)
}

// FuzzEntries puts hostile entries into the dictionaries of files whose
// cross-references are right, which changing bytes at random seldom leaves.
func FuzzEntries(f *testing.F) {
	f.Add("/Perms<</DocMDP<</Reference[<</TransformMethod/DocMDP/TransformParams<</P 2>>>>]>>>>", "/Lock<</Action/All>>", "/Info 3 0 R", byte(0))
	f.Add("/AcroForm<</Fields[4 0 R 4 0 R]>>", "/Kids[6 0 R]", "/ID[(a)(b)]", byte(1))
	f.Add("/Pages 4 0 R", "/T<FEFF0041>/V 1 0 R", "/Prev 15", byte(2))
	f.Add("/Version/2.0", "/Rect[0 0 1e9 nan]/MK<<>>", "/Size 3", byte(3))
	f.Fuzz(func(t *testing.T, catalog, field, trailer string, layout byte) {
		requireUpdatable(t, pdftest.Document{
			Pages: []pdftest.Page{{}, {Rotate: 90}}, Text: "Text", Fields: []string{"a.b"},
			CatalogEntries: catalog, FieldEntries: field, Trailer: trailer,
			Streams: layout&1 != 0, Hybrid: layout&2 != 0, IndirectArrays: layout&4 != 0,
		}.Bytes())
	})
}

func requireUpdatable(t *testing.T, data []byte) {
	before, err := inspect(t, data)
	if err != nil {
		return
	}
	box, err := pdf.Compass(before.Pages[0], 9)
	require.NoError(t, err)
	update, err := pdf.Prepare(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{}, pdf.Request{
		Reserve: 64, Boxes: []pdf.Box{box}, Appearance: stamp.Appearance{Lines: []string{"Anna"}},
	})
	if err != nil {
		return // small pages and certified files are refused
	}
	require.NoError(t, update.Fill([]byte{0x30, 0x00}))
	whole := append(bytes.Clone(data), update.Tail...)
	after, err := inspect(t, whole)
	require.NoError(t, err)
	require.Equal(t, before.Pages, after.Pages)
	require.Equal(t, before.Signatures+1, after.Signatures)
	require.Equal(t, update.Signatures, after.Signatures)
}
