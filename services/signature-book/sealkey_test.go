package signaturebook

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/config"
	"signbus.dev/pkg/pki"
	"signbus.dev/pkg/sign/keys"
)

// A key that the operator brings makes the seals; people keep their own.
func TestSealKeyOfTheOperator(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := func(name string) string { return filepath.Join(folder, name) }
	openssl := func(args ...string) {
		out, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput()
		require.NoError(t, err, "openssl %v (Debian package openssl): %s", args, out)
	}
	openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
		"-subj", "/O=Demo Company/CN=Demo Seal", "-keyout", path("seal.key"), "-out", path("seal.pem"))
	openssl("pkcs12", "-export", "-inkey", path("seal.key"), "-in", path("seal.pem"), "-passout", "pass:geheim", "-out", path("seal.p12"))
	require.NoError(t, os.WriteFile(path("passphrase"), []byte("geheim\n"), 0o600))
	require.NoError(t, os.WriteFile(path("wrong"), []byte("guess\n"), 0o600))

	keeper, err := pki.NewDirectory(path("keys"))
	require.NoError(t, err)
	authority, err := pki.Open(t.Context(), keeper, pki.Options{Passphrase: []byte("tests")})
	require.NoError(t, err)
	company := pki.Organisation{Customer: "demo"}
	none, err := withSealKey(t.Context(), authority, config.Config{})
	require.NoError(t, err)
	own, err := none.Seal(t.Context(), company)
	require.NoError(t, err)
	require.Equal(t, "demo", own.Chain[0].Subject.CommonName)

	brought, err := withSealKey(t.Context(), authority, config.Config{SealKey: path("seal.p12"), SealPassphrase: path("passphrase")})
	require.NoError(t, err)
	seal, err := brought.Seal(t.Context(), company)
	require.NoError(t, err)
	require.Equal(t, "Demo Seal", seal.Chain[0].Subject.CommonName)
	require.Equal(t, seal.Chain[0].PublicKey, seal.Signer.Public())
	person, err := brought.User(t.Context(), pki.User{Customer: "demo", ExternalID: "anna", Name: "Anna Alpha"})
	require.NoError(t, err)
	require.NoError(t, person.Chain[0].CheckSignatureFrom(authority.Certificate()))

	_, err = withSealKey(t.Context(), authority, config.Config{SealKey: path("seal.p12"), SealPassphrase: path("wrong")})
	require.ErrorIs(t, err, keys.ErrPassphrase)
	require.NotContains(t, err.Error(), "guess")
	_, err = withSealKey(t.Context(), authority, config.Config{SealKey: path("none.p12"), SealPassphrase: path("passphrase")})
	require.ErrorContains(t, err, "SIGNBUS_SEAL_KEY")
	_, err = withSealKey(t.Context(), authority, config.Config{SealKey: path("seal.p12"), SealPassphrase: path("missing")})
	require.ErrorIs(t, err, os.ErrNotExist)
}
