package graphometric_test

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/sign/cms"
	"signbus.dev/pkg/sign/graphometric"
	"signbus.dev/pkg/sign/signtest"
)

var now = signtest.Now

func recording() graphometric.Recording {
	return graphometric.Recording{
		FieldName: "FEA_1", FieldDescription: "Contraente", SignerRole: "Firmatario", SignerName: "Anna Alpha", Ratio: 2.5,
		Strokes: []graphometric.Stroke{
			{Pointer: graphometric.Pen, Points: []graphometric.Point{{0.1, 0.2, 0.31, 0}, {0.15, 0.25, 0.62, 8}}},
			{Pointer: graphometric.Touch, Points: []graphometric.Point{{0.5, 1, 0.5, 400}}},
		},
	}
}

// certificate is one of the holder of an escrow key.
func certificate(key crypto.Signer, usage x509.KeyUsage) *x509.Certificate {
	return signtest.SelfSigned(key, signtest.Named("Escrow"), func(c *x509.Certificate) { c.KeyUsage = usage })
}

const forEncryption = x509.KeyUsageKeyEncipherment | x509.KeyUsageKeyAgreement

// open decrypts as docs/operations.md tells the holder of the escrow key to.
func open(t *testing.T, sealed []byte, cert *x509.Certificate, key crypto.Signer) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "recording.json")
	signtest.OpenSSL(t, "cms", "-decrypt", "-binary", "-inform", "DER", "-in", signtest.Write(t, "sealed.p7m", sealed),
		"-recip", signtest.WriteCertificates(t, cert), "-inkey", signtest.WriteKey(t, key), "-out", out)
	plain, err := os.ReadFile(out)
	require.NoError(t, err)
	return plain
}

// Each holder of an escrow key reads with OpenSSL what the hand did and on which document.
func TestOpenSSLOpensWhatIsSealed(t *testing.T) {
	t.Parallel()
	holders := map[string]crypto.Signer{"RSA": signtest.Key("RSA-2048"), "EC": signtest.Key("P-384")}
	certs := map[string]*x509.Certificate{}
	var recipients []*x509.Certificate
	for name, key := range holders {
		certs[name] = certificate(key, forEncryption)
		recipients = append(recipients, certs[name])
	}
	document := sha256.Sum256([]byte("the document"))
	sealed, err := graphometric.Seal(recording(), document, recipients, now)
	require.NoError(t, err)
	require.NotContains(t, string(sealed), "Anna")
	for name, key := range holders {
		plain := open(t, sealed, certs[name], key)
		require.JSONEq(t, `{"version":"signbus.graphometric.v1","documentSha256":"`+hex.EncodeToString(document[:])+`","signedAt":"`+now.Format(time.RFC3339)+`",
			"fieldName":"FEA_1","fieldDescription":"Contraente","signerRole":"Firmatario","signerName":"Anna Alpha","ratio":2.5,
			"strokes":[{"pointer":"pen","points":[[0.1,0.2,0.31,0],[0.15,0.25,0.62,8]]},{"pointer":"touch","points":[[0.5,1,0.5,400]]}]}`, string(plain), name)
	}
}

func TestWhatIsNoSignatureIsRefused(t *testing.T) {
	t.Parallel()
	type change = func(*graphometric.Recording)
	point := func(p graphometric.Point) change {
		return func(r *graphometric.Recording) { r.Strokes[0].Points[1] = p }
	}
	many := func(strokes, points int) change {
		return func(r *graphometric.Recording) {
			r.Strokes = nil
			for range strokes {
				r.Strokes = append(r.Strokes, graphometric.Stroke{Pointer: graphometric.Pen, Points: make([]graphometric.Point, points)})
			}
		}
	}
	escrow := []*x509.Certificate{certificate(signtest.Key("P-384"), forEncryption)}
	for name, f := range map[string]change{
		"nothing drawn":      many(0, 0),
		"one point":          many(1, 1),
		"empty stroke":       many(3, 0),
		"too many strokes":   many(101, 1),
		"too many points":    many(2, 2001),
		"unknown pointer":    func(r *graphometric.Recording) { r.Strokes[0].Pointer = "eye" },
		"x is no number":     point(graphometric.Point{X: math.NaN()}),
		"y is infinite":      point(graphometric.Point{Y: math.Inf(1)}),
		"y is negative":      point(graphometric.Point{Y: -0.1}),
		"pressure above one": point(graphometric.Point{Pressure: 1.01}),
		"pressure is NaN":    point(graphometric.Point{Pressure: math.NaN()}),
		"time is negative":   point(graphometric.Point{Time: -1}),
		"time runs back":     func(r *graphometric.Recording) { r.Strokes[1].Points[0].Time = 3 },
		"time too long":      func(r *graphometric.Recording) { r.Strokes[1].Points[0].Time = graphometric.MaxTime + 1 },
		"shape":              func(r *graphometric.Recording) { r.Ratio = 0 },
		"shape is NaN":       func(r *graphometric.Recording) { r.Ratio = math.NaN() },
		"long name":          func(r *graphometric.Recording) { r.SignerName = strings.Repeat("a", graphometric.MaxText+1) },
		"name not UTF-8":     func(r *graphometric.Recording) { r.SignerName = "\xff" },
	} {
		r := recording()
		f(&r)
		_, err := graphometric.Seal(r, [32]byte{}, escrow, now)
		require.ErrorIs(t, err, graphometric.ErrRecording, name)
		require.NotContains(t, err.Error(), "Anna", name)
	}
	r := recording()
	many(2, 2000)(&r)
	sealed, err := graphometric.Seal(r, [32]byte{}, escrow, now)
	require.NoError(t, err)
	require.Less(t, len(sealed), 1<<20)
}

func TestRecipients(t *testing.T) {
	t.Parallel()
	key := signtest.Key("P-384")
	good := certificate(key, forEncryption)
	require.NoError(t, graphometric.CheckRecipients([]*x509.Certificate{good}))
	require.ErrorContains(t, graphometric.CheckRecipients(nil), "no recipient")
	require.ErrorIs(t, graphometric.CheckRecipients([]*x509.Certificate{certificate(key, x509.KeyUsageDigitalSignature)}), cms.ErrUnsupported)
	many := make([]*x509.Certificate, graphometric.MaxRecipients+1)
	for i := range many {
		many[i] = good
	}
	_, err := graphometric.Seal(recording(), [32]byte{}, many, now)
	require.ErrorContains(t, err, "at most 8")
}

func TestRead(t *testing.T) {
	t.Parallel()
	want := recording()
	text, err := json.Marshal(want)
	require.NoError(t, err)
	got, err := graphometric.Read(text)
	require.NoError(t, err)
	require.Equal(t, &want, got)
	for name, text := range map[string]string{
		"nothing":        "",
		"not JSON":       "{",
		"two values":     string(text) + "{}",
		"unknown key":    `{"ratio":2,"device":"x","strokes":[]}`,
		"pair":           `{"ratio":2,"strokes":[{"pointer":"pen","points":[[0,0],[1,1]]}]}`,
		"time fraction":  `{"ratio":2,"strokes":[{"pointer":"pen","points":[[0,0,0,0],[1,1,1,0.5]]}]}`,
		"time overflow":  `{"ratio":2,"strokes":[{"pointer":"pen","points":[[0,0,0,0],[1,1,1,99999999999999999999]]}]}`,
		"number in text": `{"ratio":2,"strokes":[{"pointer":"pen","points":[[0,0,0,0],["1",1,1,-5]]}]}`,
		"too long":       strings.Repeat(" ", 1<<20) + string(text),
	} {
		_, err := graphometric.Read([]byte(text))
		require.ErrorIs(t, err, graphometric.ErrRecording, name)
	}
}

// Whatever a page sends, what is read can be sealed, and reads the same again.
func FuzzRead(f *testing.F) {
	text, err := json.Marshal(recording())
	require.NoError(f, err)
	f.Add(text)
	f.Add([]byte(`{"ratio":1e308,"strokes":[{"pointer":"pen","points":[[0,0,0,0],[1e-320,1,1,1]]}]}`))
	f.Add([]byte(`{"ratio":1,"strokes":[{"pointer":"mouse","points":[[null,0,0,0],[-0,1,1,1]]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := graphometric.Read(data)
		if err != nil {
			require.ErrorIs(t, err, graphometric.ErrRecording)
			return
		}
		again, err := json.Marshal(r)
		require.NoError(t, err)
		same, err := graphometric.Read(again)
		require.NoError(t, err)
		require.Equal(t, r, same)
	})
}
