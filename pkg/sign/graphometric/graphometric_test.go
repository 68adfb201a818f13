package graphometric_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"math"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/sign/cms"
	"signbus.dev/pkg/sign/graphometric"
)

var now = time.Now().UTC().Truncate(time.Second)

func recording() graphometric.Recording {
	return graphometric.Recording{
		FieldName: "FEA_1", FieldDescription: "Contraente", SignerRole: "Firmatario", SignerName: "Anna Alpha", Ratio: 2.5,
		Strokes: []graphometric.Stroke{
			{Pointer: graphometric.Pen, Points: []graphometric.Point{{0.1, 0.2, 0.31, 0}, {0.15, 0.25, 0.62, 8}}},
			{Pointer: graphometric.Touch, Points: []graphometric.Point{{0.5, 1, 0.5, 400}}},
		},
	}
}

// certificate issues one to itself.
func certificate(t *testing.T, key crypto.Signer, usage x509.KeyUsage) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "Escrow"}, KeyUsage: usage,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
	}, &x509.Certificate{Subject: pkix.Name{CommonName: "Escrow"}}, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert
}

const forEncryption = x509.KeyUsageKeyEncipherment | x509.KeyUsageKeyAgreement

func keys(t *testing.T) map[string]crypto.Signer {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	e, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	return map[string]crypto.Signer{"RSA": r, "EC": e}
}

// open decrypts as docs/operations.md tells the holder of the escrow key to.
func open(t *testing.T, sealed []byte, cert *x509.Certificate, key crypto.Signer) []byte {
	t.Helper()
	dir := t.TempDir()
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	for name, data := range map[string][]byte{
		"sealed.p7m": sealed,
		"escrow.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}),
		"escrow.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	cmd := exec.CommandContext(t.Context(), "openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in", "sealed.p7m",
		"-recip", "escrow.pem", "-inkey", "escrow.key", "-out", "recording.json")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	plain, err := os.ReadFile(filepath.Join(dir, "recording.json"))
	require.NoError(t, err)
	return plain
}

// Each holder of an escrow key reads with OpenSSL what the hand did and on which document.
func TestOpenSSLOpensWhatIsSealed(t *testing.T) {
	t.Parallel()
	holders := keys(t)
	certs := map[string]*x509.Certificate{}
	var recipients []*x509.Certificate
	for name, key := range holders {
		certs[name] = certificate(t, key, forEncryption)
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
	escrow := []*x509.Certificate{certificate(t, keys(t)["EC"], forEncryption)}
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
	key := keys(t)["EC"]
	good := certificate(t, key, forEncryption)
	require.NoError(t, graphometric.CheckRecipients([]*x509.Certificate{good}))
	require.ErrorContains(t, graphometric.CheckRecipients(nil), "no recipient")
	require.ErrorIs(t, graphometric.CheckRecipients([]*x509.Certificate{certificate(t, key, x509.KeyUsageDigitalSignature)}), cms.ErrUnsupported)
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
