package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// newEscrow makes the key pair of who may open graphometric recordings, as docs/operations.md tells.
func (b *bus) newEscrow(t *testing.T) {
	t.Helper()
	folder := t.TempDir()
	b.escrowCert, b.escrowKey = filepath.Join(folder, "escrow.pem"), filepath.Join(folder, "escrow.key")
	ask(t, "openssl", "openssl", "req", "-x509", "-newkey", "rsa:3072", "-nodes", "-keyout", b.escrowKey, "-out", b.escrowCert,
		"-days", "3650", "-subj", "/CN=Escrow", "-addext", "keyUsage=critical,keyEncipherment")
}

// testGraphometric: two people draw their signatures one after the other; the holder of the
// escrow key takes both recordings out of the signed document and opens them with OpenSSL.
func testGraphometric(t *testing.T, b *bus) {
	extID := newID("graphometric")
	hand := func(position int, name string) object {
		a := action("G", compass(1, position))
		a["confString"] = `{"graphFieldName":" FEA_1","graphFieldDesc":"Firmatario","graphSignerRole":"Contraente","graphSignerName":"` + name + `"}`
		return a
	}
	r := request(extID, contractPDF, human(1, "annaU", 1, hand(7, "Mario Rossi")), human(2, "brunoU", 1, hand(9, " ")))
	envelopeOf(r)["trustLevelCode"] = "GRAPHO_FEA"
	b.insert(t, r)

	anna := b.visitor(t, extID, "anna")
	p := anna.open(t, anna.url)
	typed := p.form(t, "/consent")
	typed.fields.Set("accept-all", "yes")
	typed.fields.Set("name", "Anna")
	require.Equal(t, http.StatusUnprocessableEntity, anna.send(t, typed).status, "a typed name is no hand")
	anna.strokes = `{"ratio":2.5,"strokes":[{"pointer":"pen","points":[[0.1,0.2,0.31,0],[0.3,0.4,0.62,8]]},{"pointer":"pen","points":[[0.5,0.5,0.4,310]]}]}`
	anna.sign(t)
	bruno := b.visitor(t, extID, "bruno")
	first := b.get(t, extID).Documents[0].Bytes
	bruno.strokes = `{"ratio":2,"strokes":[{"pointer":"touch","points":[[0,0,0.5,0],[1,1,0.5,90]]}]}`
	bruno.sign(t)
	b.ended(t, extID)
	signed := b.get(t, extID).Documents[0].Bytes
	b.eyes(t).accept(t, signed, 2)

	for n, want := range []struct{ version, name, pointer string }{
		{digest(contractPDF), "Mario Rossi", "pen"},
		{digest(first), "Bruno Beta", "touch"},
	} {
		r := b.recordings(t, signed)[n]
		require.Equal(t, want.version, r.DocumentSha256, "the version that was signed")
		require.Equal(t, "FEA_1", r.FieldName)
		require.Equal(t, "Contraente", r.SignerRole)
		require.Equal(t, want.name, r.SignerName)
		require.Equal(t, want.pointer, r.Strokes[0].Pointer)
		if n == 0 {
			require.Equal(t, [][4]float64{{0.1, 0.2, 0.31, 0}, {0.3, 0.4, 0.62, 8}}, r.Strokes[0].Points)
		}
	}
	require.Contains(t, string(b.find(t, extID, false).body), `"graphometricActions":0,"filledGraphometricActions":2}`)
}

// recording is what the holder of the escrow key finds.
type recording struct {
	DocumentSha256, FieldName, SignerRole, SignerName string
	Strokes                                           []struct {
		Pointer string
		Points  [][4]float64
	}
}

// recordings takes those of both signatures out of a document and opens them with OpenSSL.
func (b *bus) recordings(t *testing.T, signed []byte) []recording {
	t.Helper()
	folder := t.TempDir()
	path := filepath.Join(folder, "signed.pdf")
	require.NoError(t, os.WriteFile(path, signed, 0o600))
	b.signbus(t, "verify", path, "--url", b.book, "--extract-graphometric", folder)
	all := make([]recording, 2)
	for n := range all {
		out := filepath.Join(folder, "recording.json")
		ask(t, "openssl", "openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in", path+".signature-"+itoa(n+1)+".p7m",
			"-recip", b.escrowCert, "-inkey", b.escrowKey, "-out", out)
		data, err := os.ReadFile(out)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(data, &all[n]))
	}
	return all
}
