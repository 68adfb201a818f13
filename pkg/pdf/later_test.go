package pdf_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
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
	return compare(t, data, from).None()
}

func compare(t testing.TB, data []byte, from int) pdf.Change {
	t.Helper()
	change, err := pdf.Compare(t.Context(), bytes.NewReader(data), int64(from), int64(len(data)), pdf.Limits{})
	require.NoError(t, err)
	return change
}

const (
	emptyStream = "<</Length 1>>stream\nx\nendstream"
	stampField  = "<</Type/Annot/Subtype/Widget/FT/Sig/T(Stamp)/V 21 0 R/F 132/Rect[0 0 0 0]/P 3 0 R>>"
	stampValue  = "<</Type/DocTimeStamp/Filter/Adobe.PPKLite/SubFilter/ETSI.RFC3161/ByteRange[0 1 2 3]/Contents<00>>>"
)

func TestValidationSeesEveryChange(t *testing.T) {
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

func TestValidationSeesObjectsOfTheFuture(t *testing.T) {
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

func TestValidationOfOurOwnUpdates(t *testing.T) {
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

// What later updates may do in the open, each told by its sort, and what looks like it.
func TestCompareTellsWhatChanged(t *testing.T) {
	t.Parallel()
	const (
		sigValue = "<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached/ByteRange[0 1 2 3]/Contents<00>>>"
		newField = "<</Type/Annot/Subtype/Widget/FT/Sig/T(Anna)/V 21 0 R/F 132/Rect[0 0 9 9]/AP<</N 22 0 R>>/P 3 0 R>>"
		page     = "<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R"
	)
	signed := pdf.Change{Signatures: true}
	for name, c := range map[string]struct {
		base   map[int]string
		update map[int]string
		want   pdf.Change
	}{
		"a new field that is signed": {nil, map[int]string{
			3: page + "/Annots[20 0 R]>>", 5: "<</Fields[6 0 R 7 0 R 20 0 R]/SigFlags 3>>", 20: newField, 21: sigValue, 22: emptyStream,
		}, signed},
		"written by another program": {nil, map[int]string{
			3: "<< /Annots [ 20 0 R ] /Contents 4 0 R /MediaBox [ 0.0 0 9 9.00 ] /Parent 2 0 R /Type /Page >>",
			5: "<< /SigFlags 3 /Fields [ 6 0 R 7 0 R 20 0 R ] /DR << >> >>", 20: newField, 21: sigValue, 22: emptyStream,
		}, pdf.Change{Signatures: true, Form: true}},
		"resources for a form that is drawn anew": {map[int]string{5: "<</Fields[6 0 R 7 0 R]/SigFlags 3/NeedAppearances true>>"}, map[int]string{
			5: "<</Fields[6 0 R 7 0 R]/SigFlags 3/NeedAppearances true/DR<</Font<<>>>>>>",
		}, pdf.Change{Form: true, Other: true}},
		"the look of what is signed": {map[int]string{7: "<</FT/Sig/T(Blank)/Rect[0 0 5 5]/V 8 0 R/AP<</N 4 0 R>>>>", 8: sigValue}, map[int]string{
			7: "<</FT/Sig/T(Blank)/Rect[0 0 5 5]/V 8 0 R/AP<</N 22 0 R>>>>", 22: emptyStream,
		}, pdf.Change{Other: true}},
		"the look of a widget of what is signed": {map[int]string{7: "<</FT/Sig/T(Blank)/V 8 0 R/Kids[9 0 R]>>", 8: sigValue, 9: "<</Subtype/Widget/Rect[0 0 5 5]/Parent 7 0 R>>"}, map[int]string{
			9: "<</Subtype/Widget/Rect[0 0 5 5]/Parent 7 0 R/AP<</N 22 0 R>>>>", 22: emptyStream,
		}, pdf.Change{Other: true}},
		"a blank field that gets a look": {nil, map[int]string{7: "<</FT/Sig/T(Blank)/Rect[0 0 5 5]/AP<</N 22 0 R>>>>", 22: emptyStream}, pdf.Change{Signatures: true, Other: true}},
		"a widget of nothing": {nil, map[int]string{
			3: page + "/Annots[20 0 R]>>", 20: "<</Type/Annot/Subtype/Widget/Rect[0 0 9 9]/Parent 21 0 R/AP<</N 22 0 R>>>>", 21: "<</X 1>>", 22: emptyStream,
		}, pdf.Change{Other: true}},
		"a field with a widget of its own": {nil, map[int]string{
			3: page + "/Annots[20 0 R]>>", 5: "<</Fields[6 0 R 7 0 R 21 0 R]/SigFlags 3>>",
			20: "<</Type/Annot/Subtype/Widget/Rect[0 0 9 9]/Parent 21 0 R/AP<</N 22 0 R>>>>", 21: "<</FT/Sig/T(Anna)/Kids[20 0 R]/V 23 0 R>>", 22: emptyStream, 23: sigValue,
		}, signed},
		"a content that says it is metadata": {map[int]string{4: "<</Type/Metadata/Length 1>>stream\nx\nendstream"}, map[int]string{
			4: "<</Type/Metadata/Length 1>>stream\ny\nendstream",
		}, pdf.Change{Other: true}},
		"a content that is metadata too": {map[int]string{
			1: "<</Type/Catalog/Pages 2 0 R/AcroForm 5 0 R/Metadata 4 0 R>>", 4: "<</Type/Metadata/Length 1>>stream\nx\nendstream",
		}, map[int]string{4: "<</Type/Metadata/Length 1>>stream\ny\nendstream"}, pdf.Change{Other: true}},
		"metadata": {map[int]string{
			1: "<</Type/Catalog/Pages 2 0 R/AcroForm 5 0 R/Metadata 11 0 R>>", 11: "<</Type/Metadata/Length 1>>stream\nx\nendstream",
		}, map[int]string{11: "<</Type/Metadata/Length 1>>stream\ny\nendstream"}, pdf.Change{}},
		"resources in the store": {map[int]string{
			1: "<</Type/Catalog/Pages 2 0 R/AcroForm 5 0 R/DSS<</X 9 0 R>>>>", 9: "<</XObject 10 0 R>>", 10: "<</Fm 4 0 R>>",
			3: page + "/Resources 9 0 R>>",
		}, map[int]string{10: "<</Fm 22 0 R>>", 22: emptyStream}, pdf.Change{Other: true}},
		"resources as an entry of the store": {map[int]string{
			1: "<</Type/Catalog/Pages 2 0 R/AcroForm 5 0 R/DSS<</VRI 9 0 R>>>>", 9: "<</XObject 10 0 R>>", 10: "<</TS 4 0 R>>",
			3: page + "/Resources 9 0 R>>",
		}, map[int]string{10: "<</TS 22 0 R>>", 22: emptyStream}, pdf.Change{Other: true}},
		"a locked field that hides its group": {map[int]string{
			6: "<</T(Text)/Kids[10 0 R]>>", 10: "<</FT/Tx/T(v)/V(100)>>", 7: "<</FT/Sig/T(Blank)/Rect[0 0 5 5]/V 8 0 R>>",
			8: "<</Type/Sig/Reference[<</TransformMethod/FieldMDP/TransformParams<</Action/Include/Fields[(Text)]>>>>]/ByteRange[0 1 2 3]/Contents<00>>>",
		}, map[int]string{10: "<</FT/Tx/T(v)/V(999)>>"}, pdf.Change{Form: true, Other: true}},
		"a blank field that is signed": {nil, map[int]string{7: "<</FT/Sig/T(Blank)/Rect[0 0 5 5]/V 21 0 R/AP<</N 22 0 R>>>>", 21: sigValue, 22: emptyStream}, signed},
		"a blank field that moves":     {nil, map[int]string{7: "<</FT/Sig/T(Blank)/Rect[0 0 9 9]/V 21 0 R>>", 21: sigValue}, pdf.Change{Other: true}},
		"a signature made another": {map[int]string{7: "<</FT/Sig/T(Blank)/Rect[0 0 5 5]/V 8 0 R>>", 8: sigValue}, map[int]string{
			7: "<</FT/Sig/T(Blank)/Rect[0 0 5 5]/V 21 0 R>>", 21: sigValue,
		}, pdf.Change{Other: true}},
		"a value":      {nil, map[int]string{6: "<</FT/Tx/T(Text)/V(other)/AP<</N 22 0 R>>>>", 22: emptyStream}, pdf.Change{Form: true}},
		"another name": {nil, map[int]string{6: "<</FT/Tx/T(Texts)/V(value)>>"}, pdf.Change{Other: true}},
		"a note":       {nil, map[int]string{3: page + "/Annots[20 0 R]>>", 20: "<</Type/Annot/Subtype/Text/Rect[0 0 9 9]>>"}, pdf.Change{Annotations: true}},
		"a link":       {nil, map[int]string{3: page + "/Annots[20 0 R]>>", 20: "<</Type/Annot/Subtype/Link/Rect[0 0 9 9]/A<</S/URI>>>>"}, pdf.Change{Other: true}},
		"the page":     {nil, map[int]string{3: page + "/Rotate 90>>"}, pdf.Change{Other: true}},
		"the date of the file": {map[int]string{9: "<</Title(Contract)/ModDate(D:2026)>>"}, map[int]string{
			9: "<</Title(Contract)/ModDate(D:2027)/Producer(x)>>",
		}, pdf.Change{}},
		"its title": {map[int]string{9: "<</Title(Contract)>>"}, map[int]string{9: "<</Title(Other)>>"}, pdf.Change{Other: true}},
		"a locked field": {map[int]string{
			7: "<</FT/Sig/T(Blank)/Rect[0 0 5 5]/V 8 0 R>>",
			8: "<</Type/Sig/Reference[<</TransformMethod/FieldMDP/TransformParams<</Action/Include/Fields[(Text)]>>>>]/ByteRange[0 1 2 3]/Contents<00>>>",
		}, map[int]string{6: "<</FT/Tx/T(Text)/V(other)>>"}, pdf.Change{Form: true, Other: true}},
		"a note on a certified document": {map[int]string{
			1: "<</Type/Catalog/Pages 2 0 R/AcroForm 5 0 R/Perms<</DocMDP 8 0 R>>>>",
			8: "<</Type/Sig/Reference[<</TransformMethod/DocMDP/TransformParams<</P 2>>>>]/ByteRange[0 1 2 3]/Contents<00>>>",
		}, map[int]string{3: page + "/Annots[20 0 R]>>", 20: "<</Type/Annot/Subtype/Text/Rect[0 0 9 9]>>"}, pdf.Change{Annotations: true, Other: true, Permission: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects := map[int]string{
				1: "<</Type/Catalog/Pages 2 0 R/AcroForm 5 0 R>>", 2: "<</Type/Pages/Kids[3 0 R]/Count 1>>",
				3: page + ">>", 4: emptyStream, 5: "<</Fields[6 0 R 7 0 R]/SigFlags 3>>", 6: "<</FT/Tx/T(Text)/V(value)>>", 7: "<</FT/Sig/T(Blank)/Rect[0 0 5 5]>>",
			}
			maps.Copy(objects, c.base)
			base, at := written(nil, 0, "/Info 9 0 R", objects)
			data, _ := written(base, at, "/Info 9 0 R", c.update)
			require.Equal(t, c.want, compare(t, data, len(base)))
			ends, err := pdf.Revisions(t.Context(), bytes.NewReader(data), int64(len(base)), int64(len(data)), pdf.Limits{})
			require.NoError(t, err)
			require.Equal(t, []int64{int64(len(data))}, ends)
		})
	}
}

func TestRevisionsEndWhereUpdatesEnd(t *testing.T) {
	t.Parallel()
	for name, d := range layouts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d.Pages, d.Text = make([]pdftest.Page, 1), "Contract"
			data := d.Bytes()
			from := int64(len(data))
			var want []int64
			for range 4 {
				data = sign(t, data, pdf.Request{Boxes: []pdf.Box{boxOne}})
				want = append(want, int64(len(data)))
			}
			ends, err := pdf.Revisions(t.Context(), bytes.NewReader(data), from, int64(len(data)), pdf.Limits{})
			require.NoError(t, err)
			require.Len(t, ends, len(want))
			for i, end := range ends {
				require.InDelta(t, want[i], end, 2, "but for the end of the line")
				require.Equal(t, pdf.Change{Signatures: true}, compare(t, data[:end], int(from)))
			}
		})
	}
}

// Bytes behind a revision that have no place in an update could be found by readers that are
// tolerant in other ways.
func TestCompareAccountsForEveryByte(t *testing.T) {
	t.Parallel()
	objects := map[int]string{
		1: "<</Type/Catalog/Pages 2 0 R>>", 2: "<</Type/Pages/Kids[3 0 R]/Count 1>>", 3: "<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>", 4: emptyStream,
	}
	const hidden = "4 0 obj\n<</Length 1>>stream\ny\nendstream\nendobj\n"
	base, at := written(nil, 0, "", objects)
	store := map[int]string{1: "<</Type/Catalog/Pages 2 0 R/DSS<<>>>>"}
	honest, _ := written(base, at, "", store)
	require.True(t, onlyValidation(t, honest, len(base)))
	behind := func(from, to string) []byte {
		i := bytes.LastIndex(honest, []byte(from))
		require.Greater(t, i, len(base))
		return slices.Concat(honest[:i], []byte(to), honest[i+len(from):])
	}
	with := func(num int, text string) []byte {
		data, _ := written(base, at, "", map[int]string{1: store[1], num: text})
		return data
	}
	early, _ := written(append(bytes.Clone(base), hidden...), at, "", store)
	for name, data := range map[string][]byte{
		"an object that is not listed": early,
		"no size":                      behind("/Size 50", ""),
		"a size below zero":            behind("/Size 50", "/Size -1"),
		"a size by reference":          behind("/Size 50", "/Size 9 0 R"),
		"a real size":                  behind("/Size 50", "/Size 50.5"),
		"a small size":                 behind("/Size 50", "/Size 4"),
		"a short row":                  behind(" 00000 n\r\n", " 00000 n\n"),
		"another offset of the table":  behind("startxref\n", "startxref\n000"),
		"a second end mark":            append(bytes.Clone(honest), "startxref\n9\n%%EOF\n"...),
		"a comment with an object":     append(bytes.Clone(honest), "%4 0 obj\n"...),
		"text behind the end":          append(bytes.Clone(honest), "x"...),
		"text before the table":        behind("xref\n1 1", "x xref\n1 1"),
		"no end of an object":          behind("endobj\n", "\n"),
		"an object in a stream":        with(9, fmt.Sprintf("<</Length %d>>stream\n%s\nendstream", len(hidden), hidden)),
		"a trailer in a stream":        with(9, "<</Length 19>>stream\ntrailer<</Root 9 0 R>>\nendstream"),
		"an object in a string":        with(9, "(4 0 obj)"),
		"an object without a gap":      with(9, "(4 0obj)"),
		"an object with a wide gap":    with(9, "(4 0"+strings.Repeat(" ", 100_000)+"obj)"),
		"a hybrid file":                behind("/Size 50", fmt.Sprintf("/Size 50/XRefStm %d", at)),
		"an older section":             behind(fmt.Sprintf("/Prev %d", at), fmt.Sprintf("/Prev %d/Prev %d", at, at)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			change, err := pdf.Compare(t.Context(), bytes.NewReader(data), int64(len(base)), int64(len(data)), pdf.Limits{})
			require.True(t, err != nil || change.Other)
		})
	}
	require.Equal(t, pdf.Change{}, compare(t, with(9, "(an object, 1 obj, x0 obj)"), len(base)), "objects that nobody names")
	require.Equal(t, pdf.Change{}, compare(t, behind("startxref", "%by a program\nstartxref"), len(base)), "a comment")
}
