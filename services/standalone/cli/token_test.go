//go:build pkcs11

package cli_test

import (
	"bytes"
	"crypto/x509"
	"image"
	"image/png"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf/pdftest"
	"signbus.dev/pkg/sign/signtest"
)

const (
	pin    = "271828"
	module = "/usr/lib/softhsm/libsofthsm2.so"
	card   = "pkcs11:token=Test%20card?module-path=" + module
)

// plug makes a token of SoftHSM with one certified key, in a folder of its own.
func plug(t *testing.T) (d *desk, folder string) {
	t.Helper()
	d, folder = newDesk(t), t.TempDir()
	d.environ = []string{"SIGNBUS_KEY_PASSPHRASE=" + pin}
	t.Setenv("SOFTHSM2_CONF", d.write(t, "softhsm2.conf", []byte("directories.tokendir = "+folder+"\nobjectstore.backend = file\nlog.level = ERROR\n")))
	signtest.Run(t, "softhsm2-util", "--init-token", "--free", "--label", "Test card", "--so-pin", "314159", "--pin", pin)
	tool := []string{"--module", module, "--token-label", "Test card", "--login", "--pin", pin, "--id", "01"}
	signtest.Run(t, "pkcs11-tool", append(tool, "--keypairgen", "--key-type", "rsa:2048", "--label", "anna")...)
	signtest.Run(t, "pkcs11-tool", append(tool, "--read-object", "--type", "pubkey", "--output-file", d.path("public.der"))...)
	leaf := certify("anna", must(x509.ParsePKIXPublicKey(d.read(t, "public.der"))))[0]
	signtest.Run(t, "pkcs11-tool", append(tool, "--write-object", d.write(t, "leaf.der", leaf.Raw), "--type", "cert", "--label", "anna")...)
	d.write(t, "in.pdf", pdftest.Sample(1, "A contract"))
	return d, folder
}

func TestTokenSigns(t *testing.T) {
	d, _ := plug(t)
	d.must(t, "sign", "@in.pdf", "-o", "@out.pdf", "--key", card, "--cert", "@ca.pem")
	require.Contains(t, signtest.Run(t, "pdfsig", d.path("out.pdf")), "Signature is Valid.")
	require.Zero(t, d.run(t, "verify", "@out.pdf", "--ca", "@ca.pem").code)
	d.environ = []string{"SIGNBUS_KEY_PASSPHRASE=123456"}
	wrong := d.run(t, "sign", "@in.pdf", "-o", "@none.pdf", "--key", card)
	require.Equal(t, 1, wrong.code)
	require.Contains(t, wrong.errs, "KEY_PASSPHRASE")
	shown := d.run(t, "sign", "@in.pdf", "-o", "@none.pdf", "--key", card+"&pin-value="+pin)
	require.Equal(t, 1, shown.code)
	require.Contains(t, shown.errs, "KEY_UNSUPPORTED")
	require.NotContains(t, shown.errs, pin)
	require.NoFileExists(t, d.path("none.pdf"))
}

// TestTokenUnplugged takes the token away while the command, which has opened the key, waits for
// the picture of the appearance to come through a pipe.
func TestTokenUnplugged(t *testing.T) {
	d, folder := plug(t)
	require.NoError(t, syscall.Mkfifo(d.path("logo.png"), 0o600))
	before := d.left(t)
	ended := make(chan outcome)
	go func() {
		ended <- d.run(t, "sign", "@in.pdf", "-o", "@out.pdf", "--key", card, "--rect", "1,60,60,260,120", "--image", "@logo.png")
	}()
	pipe, err := os.OpenFile(d.path("logo.png"), os.O_WRONLY, 0) // returns when the command reads
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(folder))
	var logo bytes.Buffer
	require.NoError(t, png.Encode(&logo, image.NewGray(image.Rect(0, 0, 20, 10))))
	_, err = pipe.Write(logo.Bytes())
	require.NoError(t, err)
	require.NoError(t, pipe.Close())
	got := <-ended
	require.Equal(t, 1, got.code, got.errs)
	require.Contains(t, got.errs, "signbus: KEY_TOKEN: ")
	require.Equal(t, before, d.left(t))
	require.Equal(t, pdftest.Sample(1, "A contract"), d.read(t, "in.pdf"))
}
