package signaturebook

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/sign/graphometric"
	"signbus.dev/pkg/sign/pades"
	"signbus.dev/pkg/sign/signtest"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/store/storetest"
)

// escrow makes a key pair and its certificate, as files.
func escrow(t *testing.T, usage x509.KeyUsage) (cert *x509.Certificate, certFile, keyFile string) {
	t.Helper()
	key := signtest.Key("P-256")
	cert = signtest.SelfSigned(key, func(c *x509.Certificate) { c.KeyUsage = usage })
	return cert, signtest.WriteCertificates(t, cert), signtest.WriteKey(t, key)
}

func (b *book) recordings() (kept [][]byte) {
	b.t.Helper()
	rows, err := b.DB.Query(b.t.Context(), `SELECT sealed FROM signature_recording`)
	require.NoError(b.t, err)
	defer rows.Close()
	for rows.Next() {
		var sealed []byte
		require.NoError(b.t, rows.Scan(&sealed))
		kept = append(kept, sealed)
	}
	require.NoError(b.t, rows.Err())
	return kept
}

// graphometricJob asks anna for two graphometric signatures on one document.
func graphometricJob(b *book) handover.Job {
	j := job("a1", b.keep("D1", sample()))
	j.Actions[0].Type = contract.ActionGraphometric
	j.Actions[0].Graphometric = &handover.Graphometric{FieldName: "FEA_1", FieldDescription: "Contraente", SignerRole: "Firmatario"}
	j.Actions = append(j.Actions, j.Actions[0])
	j.Actions[1].Graphometric = &handover.Graphometric{SignerName: "Mario Rossi"}
	return j
}

const strokes = `{"ratio":2.5,"strokes":[{"pointer":"pen","points":[[0.1,0.2,0.31,0],[0.3,0.4,0.62,8]]}]}`

func (v *visitor) draw() {
	v.t.Helper()
	r := v.post("", "/consent", url.Values{"accept-all": {"yes"}, "strokes": {strokes}})
	require.Equal(v.t, http.StatusSeeOther, r.StatusCode, "%s", body(v.t, r))
}

// The recording is readable by the escrow holder alone: while it waits it is encrypted, with
// the signature it is gone, and each signature holds it bound to the version that it signed.
func TestGraphometricSignature(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *store.DB) {
		cert, certFile, keyFile := escrow(t, x509.KeyUsageKeyAgreement)
		b := newBook(t, db, func(o *Options) { o.Escrow = []*x509.Certificate{cert} })
		j := graphometricJob(b)
		b.give(j)
		v := b.visit(b.mail("a1", Invitation, 1).Link)
		v.draw()
		require.Len(t, b.recordings(), 1)
		require.NotContains(t, string(b.recordings()[0]), "0.31")
		kept, err := findConsent(t.Context(), b.DB, "a1")
		require.NoError(t, err)
		require.Nil(t, kept)
		require.Equal(t, http.StatusSeeOther, v.confirm(b.mail("a1", OneTimeCode, 1).Code).StatusCode)
		require.Equal(t, handover.Confirmed, b.answer().Kind)
		var consents string
		require.NoError(t, b.DB.QueryRow(t.Context(), `SELECT autograph FROM signature_consent`, nil, &consents))
		require.NotContains(t, consents, "0.31")

		b.give(grant(j, 1))
		p := b.answer()
		require.Equal(t, handover.Signed, p.Kind, "%+v", p)
		require.Empty(t, b.recordings(), "it is erased with the signature")
		data := b.signedBytes(p.Documents[0], 2)
		reports, err := pades.Verify(t.Context(), bytes.NewReader(data), int64(len(data)), b.authority.Roots(), b.clock.Now())
		require.NoError(t, err)
		versions := []string{j.Documents[0].SHA256, ""}
		for i, name := range []string{"Anna Alpha", "Mario Rossi"} {
			dir := t.TempDir()
			sealed, plain := filepath.Join(dir, "sealed"), filepath.Join(dir, "plain")
			require.NoError(t, os.WriteFile(sealed, reports[i].Graphometric, 0o600))
			b.outside("openssl", "openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in", sealed, "-recip", certFile, "-inkey", keyFile, "-out", plain)
			text, err := os.ReadFile(plain)
			require.NoError(t, err)
			var read struct {
				graphometric.Recording

				Version, DocumentSha256 string
			}
			require.NoError(t, json.Unmarshal(text, &read))
			require.Equal(t, graphometric.Version, read.Version)
			require.Equal(t, name, read.SignerName)
			require.Equal(t, []graphometric.Stroke{{Pointer: graphometric.Pen, Points: []graphometric.Point{{X: 0.1, Y: 0.2, Pressure: 0.31}, {X: 0.3, Y: 0.4, Pressure: 0.62, Time: 8}}}}, read.Strokes)
			if versions[i] != "" {
				require.Equal(t, versions[i], read.DocumentSha256)
				require.Equal(t, "Contraente", read.FieldDescription)
			} else {
				require.Len(t, read.DocumentSha256, 64)
				require.NotEqual(t, versions[0], read.DocumentSha256)
			}
		}
	})
}

func TestRecordingEndsWithTheSession(t *testing.T) {
	t.Parallel()
	cert, _, _ := escrow(t, x509.KeyUsageKeyAgreement)
	b := newBook(t, storetest.Open(t, storetest.SQLite(t)), func(o *Options) { o.Escrow = []*x509.Certificate{cert} })
	j := graphometricJob(b)
	b.give(j)
	b.visit(b.mail("a1", Invitation, 1).Link).draw()
	require.Len(t, b.recordings(), 1)
	b.give(withdraw(j, "cancelled"))
	b.status("a1", "closed")
	require.Empty(t, b.recordings())
}

func TestGraphometricSignatureNeedsAnEscrowCertificate(t *testing.T) {
	t.Parallel()
	b := newBook(t, storetest.Open(t, storetest.SQLite(t)), nil)
	j := graphometricJob(b)
	b.give(j)
	v := b.visit(b.mail("a1", Invitation, 1).Link)
	v.draw()
	v.confirm(b.mail("a1", OneTimeCode, 1).Code)
	require.Equal(t, handover.Confirmed, b.answer().Kind)
	b.give(grant(j, 1))
	p := b.answer()
	require.Equal(t, handover.Failed, p.Kind)
	require.Equal(t, contract.CodeNotSupported, p.Code)
	require.Contains(t, p.Note, "escrow certificate")
	require.Empty(t, b.recordings())
}

func TestEscrowCertificates(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	none, err := escrowCertificates("", log)
	require.NoError(t, err)
	require.Empty(t, none)
	cert, certFile, keyFile := escrow(t, x509.KeyUsageKeyAgreement)
	got, err := escrowCertificates(certFile, log)
	require.NoError(t, err)
	require.True(t, got[0].Equal(cert))
	_, forSigning, _ := escrow(t, x509.KeyUsageDigitalSignature)
	empty := filepath.Join(t.TempDir(), "empty.pem")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	for path, says := range map[string]string{
		keyFile: "only certificates belong on this machine", forSigning: "does not allow encryption", empty: "no recipient", empty + "x": "no such file",
	} {
		_, err := escrowCertificates(path, log)
		require.ErrorContains(t, err, says)
		require.ErrorContains(t, err, "SIGNBUS_ESCROW_CERT")
	}
}
