package pdf_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/pdf/pdftest"
)

// seeds are small files of every layout, signed ones and files with a store, and hostile ones.
func seeds(f *testing.F) {
	f.Helper()
	for _, d := range layouts {
		d.Pages, d.Text, d.Fields = []pdftest.Page{{}, {Rotate: 90}}, "Text", []string{"a.b"}
		if d.CatalogEntries != "" {
			d.Fields = nil
		}
		data := signedTimes(f, d.Bytes(), 1)
		tail, err := pdf.PrepareSecurity(f.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{}, pdf.Security{
			Certificates: [][]byte{bytes.Repeat([]byte("certificate"), 20)}, VRI: map[string]pdf.VRI{
				"0123456789ABCDEF0123456789ABCDEF01234567": {OCSPs: [][]byte{{1}}, CRLs: [][]byte{{2}}, Time: time.Unix(1e9, 0)},
			},
		})
		require.NoError(f, err)
		f.Add(append(data, tail...))
	}
	for _, name := range []string{"own length", "circular fields", "field of itself", "circular value", "circular parent", "circular prev", "store of itself", "store goes nowhere", "odd encryption"} {
		f.Add(hostile[name]())
	}
	for _, args := range [][]string{ciphers["rc4 40"], ciphers["aes 128, streams"], ciphers["aes 256"]} {
		f.Add(encrypt(f, args...))
	}
}

func FuzzSignatures(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := pdf.Signatures(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{})
		requireSentinel(t, err)
		for _, s := range list {
			require.LessOrEqual(t, s.End, int64(len(data)))
			if s.Start >= 0 {
				require.Equal(t, byte('<'), data[s.Start])
				require.Equal(t, byte('>'), data[s.End-1])
			}
		}
	})
}

// FuzzReadSecurity checks that what can be read of a store can be added to it and read again.
func FuzzReadSecurity(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		before, err := pdf.ReadSecurity(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{})
		requireSentinel(t, err)
		if err != nil {
			return
		}
		added := []byte("added by the test")
		tail, err := pdf.PrepareSecurity(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{}, pdf.Security{CRLs: [][]byte{added}})
		requireSentinel(t, err)
		if err != nil {
			return
		}
		whole := append(bytes.Clone(data), tail...)
		after, err := pdf.ReadSecurity(t.Context(), bytes.NewReader(whole), int64(len(whole)), pdf.Limits{})
		require.NoError(t, err)
		require.Equal(t, append(before.CRLs, added), after.CRLs)
		require.Equal(t, before.Certificates, after.Certificates)
	})
}

// FuzzCompare takes the first part of a file for an earlier revision of it.
func FuzzCompare(f *testing.F) {
	base := pdftest.Sample(1, "Contract")
	signed := sign(f, base, pdf.Request{Boxes: []pdf.Box{boxOne}, Fields: []pdf.NewField{{Name: "later"}}})
	f.Add(signed, len(base))
	f.Add(sign(f, signed, pdf.Request{Field: "later"}), len(signed))
	f.Add(sign(f, signed, pdf.Request{DocTimestamp: true}), len(signed))
	f.Fuzz(func(t *testing.T, data []byte, from int) {
		size := int64(len(data))
		start := min(max(int64(from), 0), size)
		change, err := pdf.Compare(t.Context(), bytes.NewReader(data), start, size, pdf.Limits{})
		requireSentinel(t, err)
		if err == nil && start == size {
			require.True(t, change.Other, "a revision is not an update of itself")
		}
		ends, err := pdf.Revisions(t.Context(), bytes.NewReader(data), start, size, pdf.Limits{})
		requireSentinel(t, err)
		last := start
		for i, end := range ends {
			require.True(t, end > last || i == len(ends)-1, "%v after %d", ends, start)
			last = end
		}
		if err == nil {
			require.Equal(t, size, last)
		}
	})
}
