package pades_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/pdf/pdftest"
	"signbus.dev/pkg/sign/cms"
	"signbus.dev/pkg/sign/pades"
)

// kept marshals and reads back, as a restart does.
func kept(t testing.TB, p *pades.Pending) *pades.Pending {
	t.Helper()
	data, err := p.MarshalBinary()
	require.NoError(t, err)
	back, err := pades.UnmarshalPending(data)
	require.NoError(t, err)
	return back
}

func begin(t testing.TB, data []byte, s signer, p pades.Params) *pades.Pending {
	t.Helper()
	p.Chain, p.Name = s.chain, s.chain[0].Subject.CommonName
	pending, err := pades.Begin(t.Context(), source(data), p)
	require.NoError(t, err)
	return kept(t, pending)
}

// answer is what the key far away gives back.
func answer(t testing.TB, s signer, p *pades.Pending) []byte {
	t.Helper()
	message, options := p.ToSign()
	value, err := s.key.Sign(rand.Reader, message, options)
	require.NoError(t, err)
	return value
}

func TestSignatureByAKeyElsewhere(t *testing.T) {
	t.Parallel()
	for key, s := range map[string]signer{"P-256": newSigner("Anna", "P-256"), "RSA": newSigner("Bruno", "RSA-2048"), "PSS": newSigner("Bruno", "RSA-2048"), "Ed25519": newSigner("Carla", "Ed25519")} {
		for _, level := range []pades.Level{pades.LevelBB, pades.LevelBLTA} {
			t.Run(key+" "+string(level), func(t *testing.T) {
				t.Parallel()
				original, _ := sign(t, pdftest.Sample(1, "Text"), newSigner("First", "P-256"), pades.Params{})
				p := pades.Params{Level: level, PSS: key == "PSS", Boxes: []pdf.Box{compass(t, original, 1, 5)}, Appearance: lines("Anna")}
				pending := begin(t, original, s, p)
				require.Equal(t, level, pending.Level())
				require.Equal(t, "Signature2", pending.FieldName())
				value := answer(t, s, pending)
				made, err := pades.Finish(t.Context(), source(original), kept(t, pending), value, long(t, ""))
				require.NoError(t, err)
				require.Equal(t, level, made.Level)
				data := append(bytes.Clone(original), made.Tail...)
				require.Equal(t, digest.Empty().With(data).Sum(), made.Digest().Sum())
				reports := verify(t, data)
				require.Equal(t, level, reports[1].Level)
				for _, r := range reports {
					require.True(t, r.Valid(), "%+v", r)
				}
				switch key {
				case "Ed25519": // see TestEveryLevelWithEveryKey
				case "PSS": // mupdf does not know it
					requireOpenSSL(t, data, 2)
				default:
					requireJudges(t, data, 2)
				}
			})
		}
	}
}

func TestPendingKnowsItsFile(t *testing.T) {
	t.Parallel()
	s, data := newSigner("Anna", "P-256"), pdftest.Padded(5<<20)
	pending := begin(t, data, s, pades.Params{})
	value := answer(t, s, pending)
	finish := func(src digest.Source, p pades.Params, value []byte) error {
		_, err := pades.Finish(t.Context(), src, pending, value, p)
		return err
	}
	other := bytes.Clone(data)
	other[len(other)/2] ^= 1
	require.ErrorIs(t, finish(source(other), pades.Params{}, value), pades.ErrPending)
	require.ErrorIs(t, finish(source(data[:len(data)-1]), pades.Params{}, value), pades.ErrPending)
	known := source(data)
	known.Digest = digest.Empty().With(other)
	require.ErrorIs(t, finish(known, pades.Params{}, value), pades.ErrPending)

	require.ErrorIs(t, finish(source(data), pades.Params{}, answer(t, newSigner("Bruno", "P-256"), pending)), cms.ErrSignature)
	require.ErrorIs(t, finish(source(data), pades.Params{Now: func() time.Time { return now.AddDate(2, 0, 0) }}, value), cms.ErrExpired)

	// With the digest known the file is not read at all, and a failure can be repeated.
	in := &counted{ReaderAt: bytes.NewReader(data)}
	require.NoError(t, finish(digest.Source{ReaderAt: in, Size: int64(len(data)), Digest: digest.Empty().With(data)}, pades.Params{}, value))
	require.Zero(t, in.bytes)
	require.NoError(t, finish(source(data), pades.Params{}, value))
}

func TestFinishNeedsWhatTheLevelNeeds(t *testing.T) {
	t.Parallel()
	s, data := newSigner("Anna", "P-256"), pdftest.Sample(1, "Text")
	pending := begin(t, data, s, pades.Params{Level: pades.LevelBLT})
	value := answer(t, s, pending)
	_, err := pades.Finish(t.Context(), source(data), pending, value, pades.Params{Revocation: revocations(t)})
	require.ErrorIs(t, err, pades.ErrTimestamp)
	_, err = pades.Finish(t.Context(), source(data), pending, value, pades.Params{TimestampDigest: digestTimestamps(t, 365)})
	require.ErrorIs(t, err, pades.ErrRevocation)
	// There is one hole, and it can not grow any more.
	p := long(t, "")
	p.Timestamp = timestamps(t, 60_000)
	_, err = pades.Finish(t.Context(), source(data), pending, value, p)
	require.ErrorIs(t, err, pdf.ErrContentsTooSmall)
	_, err = pades.Finish(t.Context(), source(data), pending, value, long(t, ""))
	require.NoError(t, err)

	_, err = pades.Begin(t.Context(), source(data), pades.Params{Chain: s.chain, Level: "B-X"})
	require.ErrorIs(t, err, pades.ErrLevel)
	_, err = pades.Begin(t.Context(), source(data), pades.Params{})
	require.ErrorIs(t, err, cms.ErrKeyMismatch)
}

func TestDamagedPendingIsRefused(t *testing.T) {
	t.Parallel()
	s, data := newSigner("Anna", "P-256"), pdftest.Sample(1, "Text")
	pending := begin(t, data, s, pades.Params{})
	value := answer(t, s, pending)
	written, err := pending.MarshalBinary()
	require.NoError(t, err)
	for name, change := range map[string]func(map[string]any){
		"version":      func(k map[string]any) { k["version"] = 2 },
		"size":         func(k map[string]any) { k["size"] = 5 },
		"negative":     func(k map[string]any) { k["size"] = -5 },
		"digest":       func(k map[string]any) { k["sha256"] = "00" },
		"state":        func(k map[string]any) { k["state"] = "AAAA" },
		"tail":         func(k map[string]any) { k["tail"] = "AAAA" },
		"hole":         func(k map[string]any) { k["contents"] = 1 },
		"hole behind":  func(k map[string]any) { k["contents"] = 1 << 60 },
		"reserve":      func(k map[string]any) { k["reserve"] = 1 << 40 },
		"no reserve":   func(k map[string]any) { k["reserve"] = 0 },
		"level":        func(k map[string]any) { k["level"] = "B-X" },
		"cms":          func(k map[string]any) { k["cms"] = "AAAA" },
		"unknown part": func(k map[string]any) { k["more"] = true },
	} {
		var parts map[string]any
		in := json.NewDecoder(bytes.NewReader(written))
		in.UseNumber()
		require.NoError(t, in.Decode(&parts))
		change(parts)
		damaged, err := json.Marshal(parts)
		require.NoError(t, err)
		_, err = pades.UnmarshalPending(damaged)
		require.ErrorIs(t, err, pades.ErrPending, name)
	}
	// Nobody can slip other text in after the signer has agreed.
	var parts struct {
		Tail []byte `json:"tail"`
	}
	require.NoError(t, json.Unmarshal(written, &parts))
	changed := bytes.Replace(parts.Tail, []byte("Anna"), []byte("Eva!"), 1)
	require.NotEqual(t, parts.Tail, changed)
	var all map[string]any
	in := json.NewDecoder(bytes.NewReader(written))
	in.UseNumber()
	require.NoError(t, in.Decode(&all))
	all["tail"] = changed
	damaged, err := json.Marshal(all)
	require.NoError(t, err)
	other, err := pades.UnmarshalPending(damaged)
	require.NoError(t, err)
	_, err = pades.Finish(t.Context(), source(data), other, value, pades.Params{})
	require.ErrorIs(t, err, pades.ErrPending)
}

func FuzzUnmarshalPending(f *testing.F) {
	s, data := newSigner("Anna", "P-256"), pdftest.Sample(1, "Text")
	written, err := begin(f, data, s, pades.Params{}).MarshalBinary()
	require.NoError(f, err)
	f.Add(written)
	f.Fuzz(func(t *testing.T, written []byte) {
		p, err := pades.UnmarshalPending(written)
		if err != nil {
			require.ErrorIs(t, err, pades.ErrPending)
			return
		}
		_, err = pades.Finish(t.Context(), source(data), p, []byte("value"), pades.Params{})
		require.Error(t, err)
	})
}
