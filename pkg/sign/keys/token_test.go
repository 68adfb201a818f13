//go:build pkcs11

package keys_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/pdf/pdftest"
	"signbus.dev/pkg/sign/keys"
	"signbus.dev/pkg/sign/pades"
	"signbus.dev/pkg/sign/signtest"
)

const (
	pin    = "271828"
	module = "/usr/lib/softhsm/libsofthsm2.so"
)

// token makes a token of SoftHSM in a folder of its own. The library reads its settings from the
// environment, so that these tests run one after another.
func token(t *testing.T) (folder string) {
	t.Helper()
	folder = t.TempDir()
	settings := write(t, "softhsm2.conf", []byte("directories.tokendir = "+folder+"\nobjectstore.backend = file\nlog.level = ERROR\n"))
	t.Setenv("SOFTHSM2_CONF", settings)
	require.FileExists(t, module, "install the Debian package softhsm2")
	signtest.Run(t, "softhsm2-util", "--init-token", "--free", "--label", "Test card", "--so-pin", "314159", "--pin", pin)
	return folder
}

// tool runs pkcs11-tool of OpenSC on the token.
func tool(t *testing.T, args ...string) {
	t.Helper()
	signtest.Run(t, "pkcs11-tool", append([]string{"--module", module, "--token-label", "Test card", "--login", "--pin", pin}, args...)...)
}

func uri(object string) string {
	return "pkcs11:token=Test%20card;object=" + object + "?module-path=" + module
}

// public reads the public key of a pair that the token made, and puts a certificate for it beside it.
func certify(t *testing.T, object, id string) chain {
	t.Helper()
	der := filepath.Join(t.TempDir(), "public.der")
	tool(t, "--read-object", "--type", "pubkey", "--id", id, "--output-file", der)
	made := issue(must(x509.ParsePKIXPublicKey(must(os.ReadFile(der)))))
	tool(t, "--write-object", write(t, "leaf.der", made.leaf.Raw), "--type", "cert", "--id", id, "--label", object)
	return made
}

func TestTokenSigns(t *testing.T) {
	token(t)
	for _, c := range []struct{ object, kind, id string }{{"anna", "EC:prime256v1", "01"}, {"bruno", "rsa:2048", "02"}} {
		tool(t, "--keypairgen", "--key-type", c.kind, "--id", c.id, "--label", c.object)
		made := certify(t, c.object, c.id)
		options := with(pin)
		options.Certificates = []*x509.Certificate{made.root, made.intermediate}
		key, err := keys.Open(t.Context(), uri(c.object), options)
		require.NoError(t, err)
		require.Len(t, key.Chain, 3)

		original := pdftest.Sample(1, "A contract")
		src := digest.Source{ReaderAt: bytes.NewReader(original), Size: int64(len(original))}
		addition, err := pades.Sign(t.Context(), src, pades.Params{Signer: key.Signer, Chain: key.Chain, Name: "Anna Example", Time: time.Now()})
		require.NoError(t, err)
		var signed bytes.Buffer
		require.NoError(t, addition.WriteTo(t.Context(), &signed, src))
		path := write(t, "signed.pdf", signed.Bytes())
		require.Contains(t, signtest.Run(t, "pdfsig", "-nocert", path), "Signature is Valid.")
		requireOpenSSL(t, signed.Bytes(), made)

		if public, ok := key.Signer.Public().(*rsa.PublicKey); ok {
			digest := sha256.Sum256(original)
			pss := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
			value, err := key.Signer.Sign(rand.Reader, digest[:], pss)
			require.NoError(t, err)
			require.NoError(t, rsa.VerifyPSS(public, crypto.SHA256, digest[:], value, pss))
		}
		require.NoError(t, key.Close())
	}

	// The PIN may be in a file; a key may be named by its id, or not at all when it is alone.
	source := "&pin-source=file:" + write(t, "pin", []byte(pin+"\n"))
	key, err := keys.Open(t.Context(), "pkcs11:token=Test%20card;id=%01?module-path="+module+source, keys.Options{})
	require.NoError(t, err)
	requireWorks(t, key, 1)

	requireRefused(t, keys.ErrPassphrase, uri("anna"), with("123456"))
	requireRefused(t, keys.ErrPassphrase, uri("anna"), keys.Options{})
	requireRefused(t, keys.ErrNoKey, uri("carla"), with(pin))
	requireRefused(t, keys.ErrUnsupported, "pkcs11:token=Test%20card?module-path="+module, with(pin))
	requireRefused(t, keys.ErrToken, "pkcs11:token=Other?module-path="+module, with(pin))
	requireRefused(t, keys.ErrToken, "pkcs11:token=Other?module-path=/nowhere.so", with(pin))
	tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--id", "03", "--label", "bare")
	requireRefused(t, keys.ErrNoCertificate, uri("bare"), with(pin))
	other := with(pin)
	other.Certificates = []*x509.Certificate{issue(p256().Public()).leaf}
	requireRefused(t, keys.ErrMismatch, uri("bare"), other)
	tool(t, "--keypairgen", "--key-type", "EC:edwards25519", "--id", "04", "--label", "modern")
	requireRefused(t, keys.ErrUnsupported, uri("modern"), with(pin))
	requireRefused(t, keys.ErrUnsupported, "pkcs11:token=Test%20card?module-path="+module, with(pin))
}

// TestTokenUnplugged takes the token away between opening and signing.
func TestTokenUnplugged(t *testing.T) {
	folder := token(t)
	tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--id", "01", "--label", "anna")
	certify(t, "anna", "01")
	key, err := keys.Open(t.Context(), uri("anna"), with(pin))
	require.NoError(t, err)
	defer func() { require.NoError(t, key.Close()) }()
	require.NoError(t, os.RemoveAll(folder))

	original := pdftest.Sample(1, "A contract")
	_, err = pades.Sign(t.Context(), digest.Source{ReaderAt: bytes.NewReader(original), Size: int64(len(original))},
		pades.Params{Signer: key.Signer, Chain: key.Chain, Name: "Anna Example", Time: time.Now()})
	require.ErrorIs(t, err, keys.ErrToken)
}

// requireOpenSSL checks the only signature of a PDF file with OpenSSL.
func requireOpenSSL(t *testing.T, data []byte, made chain) {
	t.Helper()
	signatures, err := pdf.Signatures(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{})
	require.NoError(t, err)
	require.Len(t, signatures, 1)
	var cms asn1.RawValue
	_, err = asn1.Unmarshal(signatures[0].Contents, &cms) // the rest is padding
	require.NoError(t, err)
	b := signatures[0].ByteRange
	require.Regexp(t, "(?i)verification successful", signtest.OpenSSL(t, "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-purpose", "any",
		"-in", write(t, "cms.der", cms.FullBytes), "-content", write(t, "content", data[b[0]:b[0]+b[1]], data[b[2]:b[2]+b[3]]),
		"-CAfile", write(t, "root.pem", signtest.CertificatePEM(made.root)), "-out", os.DevNull))
}
