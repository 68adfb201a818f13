package cms_test

import (
	"bytes"
	"crypto/x509"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/sign/cms"
	"signbus.dev/pkg/sign/signtest"
)

func forEncryption(c *x509.Certificate) {
	c.KeyUsage = x509.KeyUsageKeyEncipherment | x509.KeyUsageKeyAgreement
}

// OpenSSL opens the message with the key of each recipient, also when there are several.
func TestOpenSSLDecrypts(t *testing.T) {
	t.Parallel()
	root := signtest.NewAuthority()
	kinds := []string{"RSA-2048", "RSA-4096", "P-256", "P-384", "P-521"}
	var recipients []*x509.Certificate
	for i, kind := range kinds {
		recipients = append(recipients, root.Issue(signtest.Key(kind).Public(), forEncryption, func(c *x509.Certificate) { c.SerialNumber.SetInt64(int64(20 + i)) })[0])
	}
	for _, kind := range kinds {
		key := signtest.Key(kind)
		own := root.Issue(key.Public(), forEncryption)[0]
		for _, test := range []struct {
			plaintext  []byte
			recipients []*x509.Certificate
		}{
			{content, []*x509.Certificate{own}},
			{bytes.Repeat(content, 5000), append([]*x509.Certificate{own}, recipients...)},
			{[]byte{}, []*x509.Certificate{own}},
		} {
			der, err := cms.Encrypt(test.plaintext, test.recipients)
			require.NoError(t, err)
			out := filepath.Join(t.TempDir(), "out")
			signtest.OpenSSL(t, "cms", "-decrypt", "-binary", "-inform", "DER", "-in", signtest.Write(t, "message", der), "-out", out,
				"-recip", signtest.WriteCertificates(t, own), "-inkey", signtest.WriteKey(t, key))
			require.Equal(t, string(test.plaintext), string(read(t, out)), kind)
			require.NotContains(t, string(der), "contract")
		}
		// A changed byte of the content does not pass.
		der, err := cms.Encrypt(content, []*x509.Certificate{own})
		require.NoError(t, err)
		der[len(der)-20] ^= 1
		opensslFails(t, "cms", "-decrypt", "-binary", "-inform", "DER", "-in", signtest.Write(t, "message", der), "-out", filepath.Join(t.TempDir(), "out"),
			"-recip", signtest.WriteCertificates(t, own), "-inkey", signtest.WriteKey(t, key))
	}
}

func TestEncryptRefuses(t *testing.T) {
	t.Parallel()
	root := signtest.NewAuthority()
	_, err := cms.Encrypt(content, nil)
	require.ErrorContains(t, err, "no recipient")
	for name, recipient := range map[string]*x509.Certificate{
		"for signing alone": root.Issue(signtest.Key("P-256").Public())[0],
		"Ed25519":           root.Issue(signtest.Key("Ed25519").Public(), forEncryption)[0],
		"RSA of 1024 bits":  root.Issue(signtest.Key("RSA-1024").Public(), forEncryption)[0],
		"P-224":             root.Issue(signtest.Key("P-224").Public(), forEncryption)[0],
	} {
		_, err := cms.Encrypt(content, []*x509.Certificate{recipient})
		require.ErrorIs(t, err, cms.ErrUnsupported, name)
	}
}
