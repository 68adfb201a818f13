package pdf_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/pdf/pdftest"
	"signbus.dev/pkg/pdf/stamp"
)

// layouts are the ways in which files list their objects.
var layouts = map[string]pdftest.Document{
	"classic": {}, "streams": {Streams: true}, "hybrid": {Hybrid: true}, "indirect arrays": {IndirectArrays: true},
	"direct form": {CatalogEntries: "/AcroForm<</Fields[]/DR<<>>/DA(/Helv 0 Tf)>>"}, "2.0": {Version: "2.0", Streams: true},
}

// sign appends a signature without content and checks the result with a foreign program.
func sign(t testing.TB, data []byte, req pdf.Request) []byte {
	t.Helper()
	if req.Reserve == 0 {
		req.Reserve = 64
	}
	update, err := pdf.Prepare(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{}, req)
	require.NoError(t, err)
	require.NoError(t, update.Fill([]byte{0x30, 4, 2, 2, byte(len(data) >> 8), byte(len(data))})) // each another
	return checked(t, append(bytes.Clone(data), update.Tail...))
}

func checked(t testing.TB, data []byte) []byte {
	t.Helper()
	run(t, "qpdf", "--check", write(t, data))
	return data
}

func prepareErr(t testing.TB, data []byte, req pdf.Request) error {
	t.Helper()
	req.Reserve = 64
	_, err := pdf.Prepare(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{}, req)
	return err
}

func signatures(t testing.TB, data []byte) []pdf.Signature {
	t.Helper()
	list, err := pdf.Signatures(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{})
	require.NoError(t, err)
	return list
}

func place(t testing.TB, data []byte, fields ...pdf.NewField) []byte {
	t.Helper()
	tail, err := pdf.PrepareFields(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{}, fields)
	require.NoError(t, err)
	return checked(t, append(bytes.Clone(data), tail...))
}

func fieldNames(t testing.TB, data []byte) []string {
	t.Helper()
	info, err := inspect(t, data)
	require.NoError(t, err)
	var names []string
	for _, f := range info.Fields {
		names = append(names, f.Name)
	}
	return names
}

var boxOne = pdf.Box{Page: 1, LLX: 60, LLY: 60, URX: 240, URY: 110}

func TestEveryKindOfUpdateInEveryLayout(t *testing.T) {
	t.Parallel()
	for name, d := range layouts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d.Pages, d.Text = make([]pdftest.Page, 2), "Contract"
			data := d.Bytes()
			data = place(t, data, pdf.NewField{Name: "anna", Box: boxOne}, pdf.NewField{Name: "bruno"})
			data = sign(t, data, pdf.Request{
				Field: "anna", Certify: 2, Fields: []pdf.NewField{{Name: "carla"}, {Name: "bruno"}},
				Lock: &pdf.Lock{Action: pdf.LockInclude, Fields: []string{"anna"}, P: 2},
			})
			data = sign(t, data, pdf.Request{Field: "bruno", Extra: []pdf.Entry{{Key: "SB.Strokes", Value: []byte{0, 1, 2, 0xFF}}}})
			data = secure(t, data, pdf.Security{Certificates: [][]byte{bytes.Repeat([]byte("certificate"), 100)}})
			data = sign(t, data, pdf.Request{DocTimestamp: true})
			data = sign(t, data, pdf.Request{Field: "carla"})

			info, err := inspect(t, data)
			require.NoError(t, err)
			require.Equal(t, 2, info.Certification)
			require.Equal(t, []string{"anna", "bruno", "carla", "Timestamp1"}, fieldNames(t, data))
			found := signatures(t, data)
			require.Len(t, found, 4)
			require.Equal(t, []int{2, 0, 0, 0}, []int{found[0].Certify, found[1].Certify, found[2].Certify, found[3].Certify})
			require.Equal(t, []string{"Sig", "Sig", "DocTimeStamp", "Sig"}, []string{found[0].Type, found[1].Type, found[2].Type, found[3].Type})
			require.Equal(t, "ETSI.RFC3161", found[2].SubFilter)
			require.Equal(t, []pdf.Entry{{Key: "SB.Strokes", Value: []byte{0, 1, 2, 0xFF}}}, found[1].Extra)
			require.Empty(t, found[0].Extra)
		})
	}
}

func TestFieldsOfTheSameUpdateCanBeSigned(t *testing.T) {
	t.Parallel()
	data := sign(t, pdftest.Sample(1, "Text"), pdf.Request{
		Field: "anna", Fields: []pdf.NewField{{Name: "anna", Box: boxOne}, {Name: "bruno", Box: pdf.Box{Page: 1, LLX: 300, LLY: 60, URX: 400, URY: 90}}},
		Appearance: stamp.Appearance{Lines: []string{"Anna"}},
	})
	info, err := inspect(t, data)
	require.NoError(t, err)
	require.Len(t, info.Fields, 2)
	for _, f := range info.Fields {
		require.Equal(t, f.Name == "anna", f.Signed)
		require.False(t, f.Box.Empty())
	}
	require.NoError(t, prepareErr(t, data, pdf.Request{Field: "bruno"}))
	require.ErrorIs(t, prepareErr(t, data, pdf.Request{Field: "anna"}), pdf.ErrFieldSigned)
	require.ErrorIs(t, prepareErr(t, data, pdf.Request{Field: "carla"}), pdf.ErrFieldNotFound)
}

func TestFieldsThatExistAreLeft(t *testing.T) {
	t.Parallel()
	data := place(t, pdftest.Sample(1, "Text"), pdf.NewField{Name: "anna", Box: boxOne}, pdf.NewField{Name: "anna"})
	require.Equal(t, []string{"anna"}, fieldNames(t, data))
	tail, err := pdf.PrepareFields(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{}, []pdf.NewField{{Name: "anna"}})
	require.NoError(t, err)
	require.Empty(t, tail)
	for _, bad := range []string{"", "a.b"} {
		_, err := pdf.PrepareFields(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{}, []pdf.NewField{{Name: bad}})
		require.ErrorIs(t, err, pdf.ErrRequest)
	}
	text := pdftest.Document{Pages: make([]pdftest.Page, 1), CatalogEntries: "/AcroForm<</Fields[1 0 R]>>/T(total)/FT/Tx"}.Bytes()
	_, err = pdf.PrepareFields(t.Context(), bytes.NewReader(text), int64(len(text)), pdf.Limits{}, []pdf.NewField{{Name: "total"}})
	require.ErrorIs(t, err, pdf.ErrRequest, "a text field has the name")
}

func TestNewNamesAreFree(t *testing.T) {
	t.Parallel()
	data := place(t, pdftest.Sample(1, "Text"), pdf.NewField{Name: "Signature1"}, pdf.NewField{Name: "Signature3"}, pdf.NewField{Name: "Signature007"})
	for _, want := range []string{"Signature2", "Signature4"} {
		update, err := pdf.Prepare(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{}, pdf.Request{Reserve: 10})
		require.NoError(t, err)
		require.Equal(t, want, update.FieldName)
		data = append(data, update.Tail...)
	}
}

func TestCertificationAndLocksAreRespected(t *testing.T) {
	t.Parallel()
	blank := place(t, pdftest.Sample(2, "Text"), pdf.NewField{Name: "anna"}, pdf.NewField{Name: "bruno"}, pdf.NewField{Name: "carla"})
	certified := func(level int) []byte { return sign(t, blank, pdf.Request{Field: "anna", Certify: level}) }
	locked := func(l pdf.Lock) []byte { return sign(t, blank, pdf.Request{Field: "anna", Lock: &l}) }
	two := []pdf.Box{boxOne, {Page: 2, LLX: 60, LLY: 60, URX: 240, URY: 110}}
	stamps := pdf.Request{Boxes: two}
	bruno := pdf.Request{Field: "bruno"}
	for name, c := range map[string]struct {
		data    []byte
		req     pdf.Request
		allowed bool
	}{
		"level 1, another signature":        {certified(1), bruno, false},
		"level 2, another signature":        {certified(2), bruno, true},
		"level 2, stamps":                   {certified(2), stamps, false},
		"level 3, stamps":                   {certified(3), stamps, true},
		"level 2, a second certification":   {certified(2), pdf.Request{Field: "bruno", Certify: 2}, false},
		"signed, then certified":            {sign(t, blank, bruno), pdf.Request{Field: "anna", Certify: 2}, false},
		"all locked":                        {locked(pdf.Lock{Action: pdf.LockAll}), bruno, false},
		"included":                          {locked(pdf.Lock{Action: pdf.LockInclude, Fields: []string{"bruno"}}), bruno, false},
		"not included":                      {locked(pdf.Lock{Action: pdf.LockInclude, Fields: []string{"carla", "brun"}}), bruno, true},
		"excluded":                          {locked(pdf.Lock{Action: pdf.LockExclude, Fields: []string{"bruno"}}), bruno, true},
		"not excluded":                      {locked(pdf.Lock{Action: pdf.LockExclude, Fields: []string{"carla"}}), bruno, false},
		"lock leaves no change":             {locked(pdf.Lock{Action: pdf.LockInclude, Fields: []string{"anna"}, P: 1}), bruno, false},
		"lock leaves forms":                 {locked(pdf.Lock{Action: pdf.LockInclude, Fields: []string{"anna"}, P: 2}), bruno, true},
		"lock leaves forms but no stamps":   {locked(pdf.Lock{Action: pdf.LockInclude, Fields: []string{"anna"}, P: 2}), stamps, false},
		"blank fields in a locked document": {certified(1), pdf.Request{Field: "bruno", Fields: []pdf.NewField{{Name: "more"}}}, false},
	} {
		err := prepareErr(t, c.data, c.req)
		if c.allowed {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorIs(t, err, pdf.ErrNotPermitted, name)
		// Time-stamps and validation data are allowed whatever is forbidden.
		require.NoError(t, prepareErr(t, c.data, pdf.Request{DocTimestamp: true}), name)
		secure(t, c.data, pdf.Security{OCSPs: [][]byte{{1}}})
	}
	_, err := pdf.PrepareFields(t.Context(), bytes.NewReader(certified(1)), int64(len(certified(1))), pdf.Limits{}, []pdf.NewField{{Name: "more"}})
	require.ErrorIs(t, err, pdf.ErrNotPermitted)
}

func TestLockOfTheFieldIsTaken(t *testing.T) {
	t.Parallel()
	data := pdftest.Document{Pages: make([]pdftest.Page, 1), Fields: []string{"anna", "client.bruno", "carla"}, FieldEntries: "/Lock<</Type/SigFieldLock/Action/Include/Fields[(client)]>>"}.Bytes()
	err := prepareErr(t, data, pdf.Request{Field: "anna", Lock: &pdf.Lock{Action: pdf.LockAll}})
	require.ErrorIs(t, err, pdf.ErrNotPermitted)
	data = sign(t, data, pdf.Request{Field: "anna"})
	require.Contains(t, string(data), "/TransformMethod/FieldMDP/Data 1 0 R/TransformParams<</Type/TransformParams/V/1.2/Action/Include/Fields[(client)]>>")
	require.ErrorIs(t, prepareErr(t, data, pdf.Request{Field: "client.bruno"}), pdf.ErrNotPermitted, "a name stands for what is below it")
	require.NoError(t, prepareErr(t, data, pdf.Request{Field: "carla"}))
}

func TestRequestsThatContradictThemselves(t *testing.T) {
	t.Parallel()
	data := pdftest.Sample(1, "Text")
	for name, req := range map[string]pdf.Request{
		"level":               {Certify: 4},
		"negative level":      {Certify: -1},
		"action":              {Lock: &pdf.Lock{Action: "Some"}},
		"all and names":       {Lock: &pdf.Lock{Action: pdf.LockAll, Fields: []string{"a"}}},
		"no names":            {Lock: &pdf.Lock{Action: pdf.LockInclude}},
		"lock level":          {Lock: &pdf.Lock{Action: pdf.LockAll, P: 4}},
		"standard key":        {Extra: []pdf.Entry{{Key: "Contents", Value: []byte{1}}}},
		"key with a slash":    {Extra: []pdf.Entry{{Key: "A/B", Value: []byte{1}}}},
		"empty key":           {Extra: []pdf.Entry{{Value: []byte{1}}}},
		"certified timestamp": {DocTimestamp: true, Certify: 1},
		"shown timestamp":     {DocTimestamp: true, Boxes: []pdf.Box{boxOne}},
	} {
		require.ErrorIs(t, prepareErr(t, data, req), pdf.ErrRequest, name)
	}
	_, err := pdf.Prepare(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{}, pdf.Request{})
	require.ErrorIs(t, err, pdf.ErrRequest, "nothing reserved")
	for name, s := range map[string]pdf.Security{
		"empty":     {CRLs: [][]byte{{}}},
		"short key": {VRI: map[string]pdf.VRI{"AB": {}}},
		"lower key": {VRI: map[string]pdf.VRI{strings.Repeat("ab", 20): {}}},
	} {
		_, err := pdf.PrepareSecurity(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{}, s)
		require.ErrorIs(t, err, pdf.ErrRequest, name)
	}
}

func secure(t testing.TB, data []byte, s pdf.Security) []byte {
	t.Helper()
	tail, err := pdf.PrepareSecurity(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{}, s)
	require.NoError(t, err)
	return checked(t, append(bytes.Clone(data), tail...))
}

func readSecurity(t testing.TB, data []byte) pdf.Security {
	t.Helper()
	s, err := pdf.ReadSecurity(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{})
	require.NoError(t, err)
	return s
}

func TestSecurityIsMergedAndNothingIsStoredTwice(t *testing.T) {
	t.Parallel()
	when := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	certs := [][]byte{bytes.Repeat([]byte("A"), 2000), []byte("B"), []byte("C")}
	for name, d := range layouts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d.Pages, d.Text = make([]pdftest.Page, 1), "Text"
			data := sign(t, d.Bytes(), pdf.Request{})
			require.Empty(t, readSecurity(t, data))
			one := signatures(t, data)[0].Key()
			require.Len(t, one, 40)

			first := pdf.Security{
				Certificates: certs[:2], CRLs: [][]byte{[]byte("crl")},
				VRI: map[string]pdf.VRI{one: {Certificates: certs[:1], OCSPs: [][]byte{[]byte("ocsp")}, Time: when}},
			}
			data = secure(t, data, first)
			require.Equal(t, pdf.Security{
				Certificates: certs[:2], CRLs: first.CRLs, OCSPs: [][]byte{[]byte("ocsp")}, VRI: first.VRI,
			}, readSecurity(t, data))

			data = sign(t, data, pdf.Request{DocTimestamp: true})
			two := signatures(t, data)[1].Key()
			before := len(data)
			data = secure(t, data, pdf.Security{
				Certificates: certs,
				VRI:          map[string]pdf.VRI{one: {Certificates: certs[1:2]}, two: {CRLs: [][]byte{[]byte("crl")}, Time: when}},
			})
			require.Less(t, len(data)-before, 2000, "the long certificate must not be stored again")
			require.Equal(t, pdf.Security{
				Certificates: certs, CRLs: first.CRLs, OCSPs: [][]byte{[]byte("ocsp")},
				VRI: map[string]pdf.VRI{
					one: {Certificates: certs[:2], OCSPs: [][]byte{[]byte("ocsp")}, Time: when},
					two: {CRLs: [][]byte{[]byte("crl")}, Time: when},
				},
			}, readSecurity(t, data))

			tail, err := pdf.PrepareSecurity(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{}, readSecurity(t, data))
			require.NoError(t, err)
			require.Empty(t, tail, "what is there is not written again")
			require.Equal(t, d.Version != "2.0", bytes.Contains(data, []byte("/ESIC <</BaseVersion/1.7/ExtensionLevel 5>>")))
		})
	}
}
