package cli_test

import (
	"crypto/x509"
	"encoding/pem"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf/pdftest"
	"signbus.dev/pkg/sign/signtest"
)

func TestKeyStore(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.write(t, "in.pdf", pdftest.Sample(1, "A contract"))

	// A key that was made elsewhere.
	got := d.run(t, "key", "import", "@anna.pem", "--name", "anna")
	require.Zero(t, got.code, got.errs)
	require.Contains(t, got.out, "store:anna")
	d.must(t, "sign", "@in.pdf", "-o", "@anna.pdf", "--key", "store:anna")
	require.Zero(t, d.run(t, "verify", "@anna.pdf", "--ca", "@ca.pem").code)

	// A key that is made in the store, certified by an authority that is OpenSSL.
	got = d.run(t, "key", "new", "--name", "company", "--subject", `CN=Example\, Ltd,O=Example Ltd,C=IT`, "--kind", "p384")
	require.Zero(t, got.code, got.errs)
	require.Contains(t, signtest.Run(t, "openssl", "req", "-in", d.write(t, "company.csr", []byte(got.out)), "-noout", "-verify", "-subject"), "C = IT, O = Example Ltd, CN = \"Example, Ltd\"")
	refused := d.run(t, "seal", "@in.pdf", "-o", "@company.pdf", "--key", "store:company")
	require.Equal(t, 1, refused.code)
	require.Contains(t, refused.errs, "KEY_CERTIFICATE")
	request, _ := pem.Decode([]byte(got.out))
	parsed := must(x509.ParseCertificateRequest(request.Bytes))
	d.write(t, "company.pem", signtest.CertificatePEM(certify("Example Ltd", parsed.PublicKey)...))
	require.Zero(t, d.run(t, "key", "certificate", "@company.pem", "--name", "company").code)
	d.must(t, "seal", "@in.pdf", "-o", "@company.pdf", "--key", "store:company")
	require.Contains(t, signtest.Run(t, "pdfsig", d.path("company.pdf")), "Signature is Valid.")

	again := d.run(t, "key", "request", "--name", "company", "--subject", "Example Ltd")
	require.Zero(t, again.code, again.errs)
	request, _ = pem.Decode([]byte(again.out))
	require.Equal(t, parsed.PublicKey, must(x509.ParseCertificateRequest(request.Bytes)).PublicKey)

	got = d.run(t, "key", "list")
	require.Regexp(t, `(?s)store:anna  CN=anna.*store:company  CN=Example Ltd`, got.out)

	for _, c := range []struct {
		args []string
		exit int
		says string
	}{
		{[]string{"key", "import", "@anna.pem", "--name", "anna"}, 1, "KEY_EXISTS"},
		{[]string{"key", "import", "@anna.pem", "--name", "Anna"}, 1, "KEY_NAME"},
		{[]string{"key", "import", "@anna.pem"}, 2, "--name"},
		{[]string{"key", "import", "@ca.pem", "--name", "x"}, 1, "KEY_NOT_FOUND"},
		{[]string{"key", "certificate", "@company.pem", "--name", "anna"}, 1, "KEY_MISMATCH"},
		{[]string{"key", "request", "--name", "carla", "--subject", "Carla"}, 1, "KEY_NOT_FOUND"},
		{[]string{"key", "new", "--name", "carla"}, 2, "--subject"},
		{[]string{"key", "new", "--name", "carla", "--subject", "Carla", "--kind", "dsa"}, 2, "--kind"},
		{[]string{"sign", "@in.pdf", "-o", "@out.pdf", "--key", "store:carla"}, 1, "KEY_NOT_FOUND"},
		{[]string{"sign", "@in.pdf", "-o", "@out.pdf", "--key", "store:anna", "--passphrase-file", d.write(t, "wrong", []byte("wrong\n"))}, 1, "KEY_PASSPHRASE"},
	} {
		refused := d.run(t, c.args...)
		require.Equal(t, c.exit, refused.code, c.args)
		require.Contains(t, refused.errs, c.says, c.args)
	}
	require.NoFileExists(t, d.path("out.pdf"))
}

// TestPassphrases: the file comes before the environment, and a key file has its own in an import.
func TestPassphrases(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.write(t, "in.pdf", pdftest.Sample(1, "A contract"))
	signtest.Run(t, "openssl", "pkcs12", "-export", "-in", d.path("anna.pem"), "-passout", "pass:other", "-out", d.path("anna.p12"))
	wrong := d.run(t, "sign", "@in.pdf", "-o", "@out.pdf", "--key", "@anna.p12")
	require.Equal(t, 1, wrong.code)
	require.Contains(t, wrong.errs, "KEY_PASSPHRASE")
	require.NotContains(t, wrong.errs, passphrase)
	d.write(t, "secret", []byte("other\r\n"))
	d.must(t, "sign", "@in.pdf", "-o", "@out.pdf", "--key", "@anna.p12", "--passphrase-file", "@secret")
	d.must(t, "key", "import", "@anna.p12", "--name", "anna", "--file-passphrase-file", "@secret")
	d.must(t, "sign", "@in.pdf", "-o", "@out.pdf", "--force", "--key", "store:anna")
	d.environ = nil
	none := d.run(t, "sign", "@in.pdf", "-o", "@none.pdf", "--key", "@anna.p12")
	require.Equal(t, 1, none.code)
	require.Contains(t, none.errs, "none is given")
}
