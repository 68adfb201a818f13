package pdf_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/pdf/pdftest"
)

// written writes objects behind what is there, with a cross-reference table.
func written(data []byte, previous int, trailer string, objects map[int]string) ([]byte, int) {
	out := bytes.Clone(data)
	table := "xref\n"
	if previous == 0 {
		out = []byte("%PDF-1.7\n")
		table += "0 1\n0000000000 65535 f\r\n"
	} else {
		trailer += fmt.Sprintf("/Prev %d", previous)
	}
	for _, num := range slices.Sorted(maps.Keys(objects)) {
		table += fmt.Sprintf("%d 1\n%010d 00000 n\r\n", num, len(out))
		out = fmt.Appendf(out, "%d 0 obj\n%s\nendobj\n", num, objects[num])
	}
	at := len(out)
	return fmt.Appendf(out, "%strailer\n<</Size 50/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n", table, trailer, at), at
}

func onlyValidation(t testing.TB, data []byte, from int) bool {
	t.Helper()
	ok, err := pdf.OnlyValidation(t.Context(), bytes.NewReader(data), int64(from), int64(len(data)), pdf.Limits{})
	require.NoError(t, err)
	return ok
}

const (
	emptyStream = "<</Length 1>>stream\nx\nendstream"
	stampField  = "<</Type/Annot/Subtype/Widget/FT/Sig/T(Stamp)/V 21 0 R/F 132/Rect[0 0 0 0]/P 3 0 R>>"
	stampValue  = "<</Type/DocTimeStamp/Filter/Adobe.PPKLite/SubFilter/ETSI.RFC3161/ByteRange[0 1 2 3]/Contents<00>>>"
)

func TestOnlyValidationSeesEveryChange(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		base    map[int]string // changes to the revision
		trailer string
		update  map[int]string
		want    bool
	}{
		"a store": {nil, "", map[int]string{
			1: "<</Type/Catalog/Pages 2 0 R/AcroForm 5 0 R/DSS 10 0 R>>", 10: "<</Type/DSS/Certs[11 0 R]/VRI<</AB<</Cert[11 0 R]/TU(x)>>>>>>", 11: emptyStream,
		}, true},
		"a larger store": {map[int]string{
			1: "<</Type/Catalog/Pages 2 0 R/AcroForm 5 0 R/DSS 10 0 R>>", 10: "<</Type/DSS/Certs 12 0 R>>", 11: emptyStream, 12: "[11 0 R]",
		}, "", map[int]string{12: "[11 0 R 13 0 R]", 13: emptyStream}, true},
		"a time-stamp": {nil, "", map[int]string{
			3: "<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R/Annots[20 0 R]>>", 5: "<</Fields[6 0 R 20 0 R]/SigFlags 3>>", 20: stampField, 21: stampValue,
		}, true},
		"the page":        {nil, "", map[int]string{3: "<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R/Rotate 90>>"}, false},
		"its content":     {nil, "", map[int]string{4: emptyStream}, false},
		"the catalog":     {nil, "", map[int]string{1: "<</Type/Catalog/Pages 2 0 R/AcroForm 5 0 R/OpenAction 3 0 R>>"}, false},
		"another catalog": {nil, "/Root 30 0 R", map[int]string{30: "<</Type/Catalog/Pages 2 0 R/AcroForm 5 0 R>>"}, false},
		"information":     {nil, "/Info 30 0 R", map[int]string{30: "<</Title(x)>>"}, false},
		"a field that shows": {nil, "", map[int]string{
			5: "<</Fields[6 0 R 20 0 R]/SigFlags 3>>", 20: "<</Subtype/Widget/FT/Sig/T(Stamp)/V 21 0 R/Rect[0 0 9 9]>>", 21: stampValue,
		}, false},
		"a field that acts": {nil, "", map[int]string{
			5: "<</Fields[6 0 R 20 0 R]/SigFlags 3>>", 20: "<</Subtype/Widget/FT/Sig/T(Stamp)/V 21 0 R/Rect[0 0 0 0]/A<</S/Named>>>>", 21: stampValue,
		}, false},
		"a field of a name that is there": {nil, "", map[int]string{
			5: "<</Fields[6 0 R 20 0 R]/SigFlags 3>>", 20: "<</Subtype/Widget/FT/Sig/T(Text)/V 21 0 R/Rect[0 0 0 0]>>", 21: stampValue,
		}, false},
		"a signature": {nil, "", map[int]string{
			5: "<</Fields[6 0 R 20 0 R]/SigFlags 3>>", 20: stampField, 21: "<</Type/Sig/SubFilter/ETSI.CAdES.detached/ByteRange[0 1 2 3]/Contents<00>>>",
		}, false},
		"a field less":      {nil, "", map[int]string{5: "<</Fields[]/SigFlags 3>>"}, false},
		"a value":           {nil, "", map[int]string{6: "<</FT/Tx/T(Text)/V(other)>>"}, false},
		"form entries":      {nil, "", map[int]string{5: "<</Fields[6 0 R]/SigFlags 3/NeedAppearances true>>"}, false},
		"an annotation":     {nil, "", map[int]string{3: "<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R/Annots[20 0 R]>>", 20: "<</Type/Annot/Subtype/Text/Rect[0 0 9 9]>>"}, false},
		"an entry repeated": {nil, "", map[int]string{1: "<</Type/Catalog/Pages 2 0 R/AcroForm 5 0 R/Pages 2 0 R>>"}, false},
		// A page that names an object which is not there yet.
		"an awaited object": {map[int]string{3: "<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents[4 0 R 11 0 R]>>"}, "", map[int]string{
			1: "<</Type/Catalog/Pages 2 0 R/AcroForm 5 0 R/DSS 10 0 R>>", 10: "<</Type/DSS/Certs[11 0 R]>>", 11: emptyStream,
		}, false},
		"an awaited object in a shared list": {map[int]string{
			1: "<</Type/Catalog/Pages 2 0 R/AcroForm 5 0 R/DSS 10 0 R>>", 10: "<</Type/DSS/Certs 12 0 R>>", 12: "[4 0 R 11 0 R]",
			3: "<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 12 0 R>>",
		}, "", map[int]string{11: emptyStream}, false},
		// The list of certificates is the content of the page as well.
		"a shared list": {map[int]string{
			1: "<</Type/Catalog/Pages 2 0 R/AcroForm 5 0 R/DSS 10 0 R>>", 10: "<</Type/DSS/Certs 12 0 R>>", 12: "[4 0 R]",
			3: "<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 12 0 R>>",
		}, "", map[int]string{12: "[4 0 R 13 0 R]", 13: emptyStream}, false},
		"a shared stream": {map[int]string{
			1: "<</Type/Catalog/Pages 2 0 R/AcroForm 5 0 R/DSS 10 0 R>>", 10: "<</Type/DSS/Certs[4 0 R]>>",
		}, "", map[int]string{4: "<</Length 1>>stream\ny\nendstream"}, false},
		"a page as extensions": {map[int]string{
			1: "<</Type/Catalog/Pages 2 0 R/AcroForm 5 0 R/Extensions 3 0 R>>",
		}, "", map[int]string{3: "<</Type/Page/MediaBox[0 0 9 9]>>"}, false},
		"a page as the store": {map[int]string{
			1: "<</Type/Catalog/Pages 2 0 R/AcroForm 5 0 R/DSS 3 0 R>>",
		}, "", map[int]string{3: "<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects := map[int]string{
				1: "<</Type/Catalog/Pages 2 0 R/AcroForm 5 0 R>>", 2: "<</Type/Pages/Kids[3 0 R]/Count 1>>",
				3: "<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>", 4: "<</Length 0>>stream\n\nendstream",
				5: "<</Fields[6 0 R]/SigFlags 3>>", 6: "<</FT/Tx/T(Text)/V(value)>>",
			}
			maps.Copy(objects, c.base)
			base, at := written(nil, 0, "", objects)
			data, _ := written(base, at, c.trailer, c.update)
			require.Equal(t, c.want, onlyValidation(t, data, len(base)))
		})
	}
}

func TestOnlyValidationSeesObjectsOfTheFuture(t *testing.T) {
	t.Parallel()
	// The revision lists object 4, the content, behind its own end.
	objects := map[int]string{
		1: "<</Type/Catalog/Pages 2 0 R>>", 2: "<</Type/Pages/Kids[3 0 R]/Count 1>>",
		3: "<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>", 4: emptyStream,
	}
	base, at := written(nil, 0, "", objects)
	i := bytes.Index(base, []byte("4 0 obj"))
	base = bytes.Replace(base, fmt.Appendf(nil, "%010d 00000 n\r\ntrailer", i), fmt.Appendf(nil, "%010d 00000 n\r\ntrailer", len(base)), 1)
	data, _ := written(base, at, "", map[int]string{10: emptyStream})
	data = bytes.Replace(data, []byte("10 0 obj"), []byte("04 0 obj"), 1)
	require.False(t, onlyValidation(t, data, len(base)))
}

func TestOnlyValidationOfOurOwnUpdates(t *testing.T) {
	t.Parallel()
	for name, d := range layouts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d.Pages, d.Text = make([]pdftest.Page, 2), "Contract"
			base := d.Bytes()
			data := base
			for i := range 3 {
				tail, err := pdf.PrepareSecurity(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{}, pdf.Security{
					Certificates: [][]byte{{1, byte(i)}}, CRLs: [][]byte{{2, byte(i)}},
					VRI: map[string]pdf.VRI{fmt.Sprintf("%040X", i): {Certificates: [][]byte{{3, byte(i)}}}},
				})
				require.NoError(t, err)
				stored := append(bytes.Clone(data), tail...)
				require.True(t, onlyValidation(t, stored, len(data)), "store %d", i)
				stamped := sign(t, stored, pdf.Request{DocTimestamp: true})
				require.True(t, onlyValidation(t, stamped, len(stored)), "time-stamp %d", i)
				data = stamped
				require.True(t, onlyValidation(t, data, len(base)), "all %d", i)
			}
			require.False(t, onlyValidation(t, sign(t, data, pdf.Request{}), len(data)), "a signature")
			require.False(t, onlyValidation(t, place(t, data, pdf.NewField{Name: "x", Box: boxOne}), len(data)), "a field")
		})
	}
}
