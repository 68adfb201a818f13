package pdf_test

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/pdf/pdftest"
	"signbus.dev/pkg/pdf/stamp"
)

// ciphers are the encryptions that qpdf writes.
var ciphers = map[string][]string{
	"rc4 40":             {"--allow-weak-crypto", "--encrypt", "", "owner", "40", "--"},
	"rc4 128":            {"--allow-weak-crypto", "--encrypt", "", "owner", "128", "--use-aes=n", "--"},
	"rc4 128 V4":         {"--allow-weak-crypto", "--encrypt", "", "owner", "128", "--use-aes=n", "--force-V4", "--"},
	"aes 128":            {"--allow-weak-crypto", "--encrypt", "", "owner", "128", "--use-aes=y", "--"},
	"aes 128, metadata":  {"--allow-weak-crypto", "--encrypt", "", "owner", "128", "--use-aes=y", "--cleartext-metadata", "--"},
	"aes 256 R5":         {"--allow-weak-crypto", "--encrypt", "", "owner", "256", "--force-R5", "--"},
	"aes 256":            {"--encrypt", "", "owner", "256", "--"},
	"aes 256, metadata":  {"--encrypt", "", "owner", "256", "--cleartext-metadata", "--"},
	"aes 256, old table": {"--object-streams=disable", "--encrypt", "", "owner", "256", "--"},
	"aes 128, streams":   {"--allow-weak-crypto", "--object-streams=generate", "--encrypt", "", "owner", "128", "--use-aes=y", "--"},
	"rc4 128, streams":   {"--allow-weak-crypto", "--object-streams=generate", "--encrypt", "", "owner", "128", "--use-aes=n", "--"},
	"aes 256, streams":   {"--object-streams=generate", "--encrypt", "", "owner", "256", "--"},
	"aes 256, linear":    {"--linearize", "--encrypt", "", "owner", "256", "--"},
}

// encrypt lets qpdf encrypt a document with fields.
func encrypt(t testing.TB, args ...string) []byte {
	t.Helper()
	source := pdftest.Document{
		Pages: []pdftest.Page{{}, {Rotate: 90}}, Text: "Secret", Fields: []string{"group.anna", "bruno"},
		FieldEntries: "/Lock<</Type/SigFieldLock/Action/Include/Fields[(group)]>>",
	}
	out := filepath.Join(t.TempDir(), "out.pdf")
	return rewrite(t, append(append([]string{"qpdf"}, args...), "IN", "OUT"), write(t, source.Bytes()), out)
}

func TestEncryptedForTheOwnerOnly(t *testing.T) {
	t.Parallel()
	for name, args := range ciphers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := encrypt(t, args...)
			info, err := inspect(t, data)
			require.NoError(t, err)
			require.True(t, info.Encrypted)
			require.Equal(t, []string{"group.anna", "bruno"}, fieldNames(t, data), "names are encrypted strings")

			when := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
			data = place(t, data, pdf.NewField{Name: "cärla", Box: boxOne})
			data = sign(t, data, pdf.Request{
				Field: "cärla", Name: "Çarla (c)", Reason: "Утверждено", Location: "here", Contact: "carla@example.com", Time: when,
				Boxes:      []pdf.Box{boxOne, {Page: 2, LLX: 60, LLY: 60, URX: 240, URY: 110}},
				Appearance: stamp.Appearance{Lines: []string{"Çarla", "Утверждено"}},
				Extra:      []pdf.Entry{{Key: "Strokes", Value: []byte("pressure")}},
				Lock:       &pdf.Lock{Action: pdf.LockInclude, Fields: []string{"cärla"}},
			})
			found := signatures(t, data)
			require.Len(t, found, 1)
			s := found[0]
			require.Equal(t, []string{"cärla", "Çarla (c)", "Утверждено", "here"}, []string{s.Field, s.Name, s.Reason, s.Location})
			require.Equal(t, when, s.Time)
			require.Equal(t, []pdf.Entry{{Key: "Strokes", Value: []byte("pressure")}}, s.Extra)
			require.Equal(t, byte(0x30), s.Contents[0], "the signature itself is never encrypted")
			text := run(t, "pdftotext", write(t, data), "-")
			require.Contains(t, text, "Secret")

			vri := pdf.VRI{OCSPs: [][]byte{[]byte("ocsp")}, Time: when}
			data = secure(t, data, pdf.Security{Certificates: [][]byte{bytes.Repeat([]byte("certificate "), 50)}, VRI: map[string]pdf.VRI{s.Key(): vri}})
			require.Equal(t, vri, readSecurity(t, data).VRI[s.Key()])
			data = secure(t, data, pdf.Security{VRI: map[string]pdf.VRI{s.Key(): {CRLs: [][]byte{[]byte("crl")}}}})
			vri.CRLs = [][]byte{[]byte("crl")}
			require.Equal(t, vri, readSecurity(t, data).VRI[s.Key()], "the time of before stays")

			data = sign(t, data, pdf.Request{DocTimestamp: true})
			require.ErrorIs(t, prepareErr(t, data, pdf.Request{Field: "cärla"}), pdf.ErrFieldSigned)
			data = sign(t, data, pdf.Request{Field: "bruno"})
			require.ErrorIs(t, prepareErr(t, data, pdf.Request{Field: "group.anna"}), pdf.ErrNotPermitted, "the lock of bruno")
			require.Len(t, signatures(t, data), 3)
			decrypted := filepath.Join(t.TempDir(), "plain.pdf")
			require.Contains(t, string(rewrite(t, []string{"qpdf", "--qdf", "--decrypt", "IN", "OUT"}, write(t, data), decrypted)), "/Location (here)")
		})
	}
}

func TestSignaturesOfEncryptedFilesHold(t *testing.T) {
	t.Parallel()
	for name, args := range ciphers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := signTruly(t, encrypt(t, args...), pdf.Request{Field: "bruno", Name: "Bruno", Reason: "read", Appearance: stamp.Appearance{Lines: []string{"Bruno"}}})
			requireJudges(t, signTruly(t, data, pdf.Request{Boxes: []pdf.Box{boxOne}, Name: "Anna"}), 2)
		})
	}
}

func TestPermissionsOfEncryptedFiles(t *testing.T) {
	t.Parallel()
	blank, added, stamps := pdf.Request{Field: "bruno"}, pdf.Request{}, pdf.Request{
		Field: "bruno", Boxes: []pdf.Box{boxOne, {Page: 2, LLX: 60, LLY: 60, URX: 240, URY: 110}},
	}
	for modify, allowed := range map[string][4]bool{ // blank field, new field, stamps, time-stamp
		"none": {}, "assembly": {}, "form": {true, false, false, true}, "annotate": {true, false, true, true}, "all": {true, true, true, true},
	} {
		for _, bits := range []string{"128", "256"} {
			data := encrypt(t, "--allow-weak-crypto", "--encrypt", "", "owner", bits, "--modify="+modify, "--")
			info, err := inspect(t, data)
			require.NoError(t, err)
			require.Equal(t, allowed[0], info.Permit("bruno", false) == nil, modify)
			require.Equal(t, allowed[1], info.Permit("new", false) == nil, modify)
			require.Equal(t, allowed[2], info.Permit("bruno", true) == nil, modify)
			for i, req := range []pdf.Request{blank, added, stamps, {DocTimestamp: true}} {
				err := prepareErr(t, data, req)
				if allowed[i] {
					require.NoError(t, err, "%s %d", modify, i)
				} else {
					require.ErrorIs(t, err, pdf.ErrNotPermitted, "%s %d", modify, i)
					require.Contains(t, err.Error(), "permissions")
				}
			}
		}
	}
}

func TestPasswordsAreAskedForByNobody(t *testing.T) {
	t.Parallel()
	for name, args := range ciphers {
		args = append([]string(nil), args...)
		for i, a := range args {
			if a == "--encrypt" {
				args[i+1] = "user"
			}
		}
		data := encrypt(t, args...)
		_, err := inspect(t, data)
		require.ErrorIs(t, err, pdf.ErrEncrypted, name)
		require.ErrorIs(t, prepareErr(t, data, pdf.Request{}), pdf.ErrEncrypted, name)
		require.ErrorContains(t, err, "password")
	}
}
