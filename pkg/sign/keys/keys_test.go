package keys_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/sign/keys"
	"signbus.dev/pkg/sign/signtest"
)

const passphrase = "correct horse"

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// p256 is made once.
var p256 = sync.OnceValue(func() crypto.Signer { return signtest.Key("P-256") })

// chain is root, intermediate and leaf.
type chain struct{ root, intermediate, leaf *x509.Certificate }

// issue makes a chain for a key.
func issue(public crypto.PublicKey) chain {
	made := signtest.NewAuthority().Below().Issue(public, signtest.Named("Anna Example"))
	return chain{made[2], made[1], made[0]}
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func write(t *testing.T, name string, parts ...[]byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, slices.Concat(parts...), 0o600))
	return path
}

// with gives the passphrase.
func with(secret string) keys.Options {
	return keys.Options{Passphrase: func(context.Context) ([]byte, error) { return []byte(secret), nil }}
}

// requireWorks signs with an open key and checks the value against its first certificate.
func requireWorks(t *testing.T, key *keys.Key, length int) {
	t.Helper()
	digest := make([]byte, 32)
	value, err := key.Signer.Sign(rand.Reader, digest, crypto.SHA256)
	require.NoError(t, err)
	switch public := key.Chain[0].PublicKey.(type) {
	case *ecdsa.PublicKey:
		require.True(t, ecdsa.VerifyASN1(public, digest, value))
	case *rsa.PublicKey:
		require.NoError(t, rsa.VerifyPKCS1v15(public, crypto.SHA256, digest, value))
	default:
		require.Fail(t, "kind of key")
	}
	require.Len(t, key.Chain, length)
	for i := range key.Chain[1:] {
		require.NoError(t, key.Chain[i].CheckSignatureFrom(key.Chain[i+1]))
	}
	require.NoError(t, key.Close())
}

func requireRefused(t *testing.T, reason error, name string, options keys.Options) {
	t.Helper()
	_, err := keys.Open(t.Context(), name, options)
	require.ErrorIs(t, err, reason)
	require.NotContains(t, err.Error(), passphrase)
}

func TestPEM(t *testing.T) {
	t.Parallel()
	plain := must(x509.MarshalPKCS8PrivateKey(p256()))
	ec, rsaKey := p256().(*ecdsa.PrivateKey), signtest.Key("RSA-2048").(*rsa.PrivateKey)
	for _, c := range []struct {
		name string
		key  crypto.Signer
		pem  []byte
	}{
		{"PKCS #8", p256(), block("PRIVATE KEY", plain)},
		{"SEC 1", p256(), block("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(ec)))},
		{"PKCS #1", signtest.Key("RSA-2048"), block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey))},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			made := issue(c.key.Public())
			// The order of the file does not count, and what is of no chain is left out.
			stranger := issue(c.key.Public()).root
			key, err := keys.Open(t.Context(), write(t, "key.pem", signtest.CertificatePEM(made.root, stranger, made.leaf), c.pem, signtest.CertificatePEM(made.intermediate)), keys.Options{})
			require.NoError(t, err)
			requireWorks(t, key, 3)
			key, err = keys.Open(t.Context(), write(t, "key.pem", c.pem), keys.Options{Certificates: []*x509.Certificate{made.intermediate, made.leaf}})
			require.NoError(t, err)
			requireWorks(t, key, 2)
		})
	}
}

func TestEncryptedPEM(t *testing.T) {
	t.Parallel()
	made := issue(p256().Public())
	plain := write(t, "plain.pem", signtest.KeyPEM(p256()))
	for _, args := range [][]string{
		{"-v2", "aes-256-cbc"},
		{"-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512"},
		{"-v2", "aes-192-cbc", "-v2prf", "hmacWithSHA384"},
		{"-v2", "des3", "-v2prf", "hmacWithSHA1", "-iter", "1000"},
	} {
		path := filepath.Join(t.TempDir(), "key.pem")
		signtest.OpenSSL(t, append([]string{"pkcs8", "-topk8", "-in", plain, "-passout", "pass:" + passphrase, "-out", path}, args...)...)
		options := with(passphrase)
		options.Certificates = []*x509.Certificate{made.leaf}
		key, err := keys.Open(t.Context(), path, options)
		require.NoError(t, err, args)
		requireWorks(t, key, 1)
		requireRefused(t, keys.ErrPassphrase, path, with("wrong"))
		requireRefused(t, keys.ErrPassphrase, path, keys.Options{})
	}
	for _, args := range [][]string{{"-scrypt"}, {"-v1", "PBE-SHA1-3DES"}} {
		path := filepath.Join(t.TempDir(), "key.pem")
		signtest.OpenSSL(t, append([]string{"pkcs8", "-topk8", "-in", plain, "-passout", "pass:" + passphrase, "-out", path}, args...)...)
		requireRefused(t, keys.ErrUnsupported, path, with(passphrase))
	}
	old := filepath.Join(t.TempDir(), "old.pem")
	signtest.OpenSSL(t, "ec", "-in", plain, "-aes256", "-passout", "pass:"+passphrase, "-out", old)
	requireRefused(t, keys.ErrUnsupported, old, with(passphrase))
}

func TestPKCS12(t *testing.T) {
	t.Parallel()
	for _, key := range []crypto.Signer{p256(), signtest.Key("RSA-2048")} {
		made := issue(key.Public())
		plain := write(t, "key.pem", signtest.KeyPEM(key))
		// The root comes first: the order of the file does not count.
		certificates := write(t, "chain.pem", signtest.CertificatePEM(made.root, made.leaf, made.intermediate))
		for _, args := range [][]string{
			nil, // PBES2 with AES-256
			{"-legacy"},
			{"-legacy", "-keypbe", "PBE-SHA1-RC2-128", "-certpbe", "PBE-SHA1-RC2-40"},
			{"-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"},
			{"-keypbe", "AES-128-CBC", "-certpbe", "AES-128-CBC", "-macalg", "sha512"},
		} {
			path := filepath.Join(t.TempDir(), "key.p12")
			signtest.OpenSSL(t, append([]string{"pkcs12", "-export", "-inkey", plain, "-in", certificates, "-passout", "pass:" + passphrase, "-out", path}, args...)...)
			opened, err := keys.Open(t.Context(), path, with(passphrase))
			require.NoError(t, err, args)
			requireWorks(t, opened, 3)
			requireRefused(t, keys.ErrPassphrase, path, with("wrong"))
		}
		empty := filepath.Join(t.TempDir(), "empty.p12")
		signtest.OpenSSL(t, "pkcs12", "-export", "-inkey", plain, "-in", certificates, "-passout", "pass:", "-out", empty)
		opened, err := keys.Open(t.Context(), empty, with(""))
		require.NoError(t, err)
		requireWorks(t, opened, 3)
		keyless := filepath.Join(t.TempDir(), "keyless.p12")
		signtest.OpenSSL(t, "pkcs12", "-export", "-nokeys", "-in", certificates, "-passout", "pass:"+passphrase, "-out", keyless)
		requireRefused(t, keys.ErrNoKey, keyless, with(passphrase))
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	made := issue(p256().Public())
	plain := signtest.KeyPEM(p256())
	for _, c := range []struct {
		name   string
		file   []byte
		reason error
	}{
		{"empty", nil, keys.ErrUnsupported},
		{"text", []byte("my key is under the mat"), keys.ErrUnsupported},
		{"no key", signtest.CertificatePEM(made.leaf), keys.ErrNoKey},
		{"no certificate", plain, keys.ErrNoCertificate},
		{"others' certificates", slices.Concat(plain, signtest.CertificatePEM(made.root, made.intermediate)), keys.ErrMismatch},
		{"two keys", slices.Concat(plain, plain, signtest.CertificatePEM(made.leaf)), keys.ErrUnsupported},
		{"damaged key", slices.Concat(block("PRIVATE KEY", []byte("no DER")), signtest.CertificatePEM(made.leaf)), keys.ErrUnsupported},
		{"damaged certificate", slices.Concat(plain, block("CERTIFICATE", []byte("no DER"))), keys.ErrUnsupported},
		{"too large", make([]byte, 1<<20+1), keys.ErrUnsupported},
	} {
		requireRefused(t, c.reason, write(t, c.name, c.file), with(passphrase))
	}
	requireRefused(t, fs.ErrNotExist, filepath.Join(t.TempDir(), "nothing.pem"), with(passphrase))
	unheard := errors.New("nobody at the keyboard")
	path := filepath.Join(t.TempDir(), "key.p12")
	signtest.OpenSSL(t, "pkcs12", "-export", "-inkey", write(t, "key.pem", plain), "-in", write(t, "leaf.pem", signtest.CertificatePEM(made.leaf)), "-passout", "pass:x", "-out", path)
	requireRefused(t, unheard, path, keys.Options{Passphrase: func(context.Context) ([]byte, error) { return nil, unheard }})
}

// TestRenewedCertificate: of two certificates for one key the newer one signs.
func TestRenewedCertificate(t *testing.T) {
	t.Parallel()
	old := issue(p256().Public())
	renewed := signtest.SelfSigned(p256(), signtest.Valid(time.Now(), time.Now().AddDate(1, 0, 0)))
	key, err := keys.Open(t.Context(), write(t, "key.pem", signtest.KeyPEM(p256()), signtest.CertificatePEM(old.leaf, renewed, old.intermediate)), keys.Options{})
	require.NoError(t, err)
	require.Equal(t, []*x509.Certificate{renewed}, key.Chain)
}

func TestStore(t *testing.T) {
	t.Parallel()
	options := with(passphrase)
	options.Store = filepath.Join(t.TempDir(), "keys")
	requireRefused(t, keys.ErrNoKey, "store:anna", options)
	require.NoDirExists(t, options.Store, "asking for a key makes no key store")

	store, err := keys.OpenStore(t.Context(), options.Store, true, options)
	require.NoError(t, err)
	require.NoError(t, store.Put(t.Context(), "anna", signtest.Key("RSA-2048")))
	require.ErrorIs(t, store.Put(t.Context(), "anna", p256()), keys.ErrExists)
	require.ErrorIs(t, store.Put(t.Context(), "../anna", p256()), keys.ErrName)
	require.NoError(t, store.Put(t.Context(), "bruno", p256()))
	requireRefused(t, keys.ErrNoCertificate, "store:anna", options)

	made := issue(signtest.Key("RSA-2048").Public())
	require.ErrorIs(t, store.Certify(t.Context(), "bruno", []*x509.Certificate{made.leaf}), keys.ErrMismatch)
	require.NoError(t, store.Certify(t.Context(), "anna", []*x509.Certificate{made.leaf}))
	renewed := issue(signtest.Key("RSA-2048").Public())
	require.NoError(t, store.Certify(t.Context(), "anna", []*x509.Certificate{renewed.intermediate, renewed.leaf}))
	key, err := keys.Open(t.Context(), "store:anna", options)
	require.NoError(t, err)
	require.Equal(t, renewed.leaf.Raw, key.Chain[0].Raw, "the last certificate counts")
	requireWorks(t, key, 2)
	for range 2 {
		require.NoError(t, store.Certify(t.Context(), "anna", []*x509.Certificate{made.leaf}))
		key, err = keys.Open(t.Context(), "store:anna", options)
		require.NoError(t, err)
		require.Equal(t, made.leaf.Raw, key.Chain[0].Raw, "also when it was there before")
	}

	listed, err := keys.List(t.Context(), options.Store)
	require.NoError(t, err)
	require.Equal(t, []keys.Stored{{Name: "anna", Chain: key.Chain}, {Name: "bruno"}}, listed)
	requireRefused(t, keys.ErrNoKey, "store:carla", options)
	wrong := with("wrong")
	wrong.Store = options.Store
	requireRefused(t, keys.ErrPassphrase, "store:anna", wrong)

	// No private key is readable in the folder, and one record does not stand for another.
	secret := must(x509.MarshalPKCS8PrivateKey(p256()))
	for _, name := range []string{"key-anna", "key-bruno", "lock"} {
		require.NotContains(t, string(must(os.ReadFile(filepath.Join(options.Store, name)))), string(secret[len(secret)-60:]))
	}
	require.NoError(t, os.Rename(filepath.Join(options.Store, "key-bruno"), filepath.Join(options.Store, "key-carla")))
	_, err = store.Key(t.Context(), "carla")
	require.Error(t, err)
}

// FuzzOpen opens anything as a file of keys: it ends, and with one of our errors.
func FuzzOpen(f *testing.F) {
	f.Add(signtest.KeyPEM(p256()))
	f.Add(signtest.CertificatePEM(issue(p256().Public()).leaf))
	for _, name := range []string{"anna.p12", "anna-encrypted.pem"} {
		f.Add(must(os.ReadFile(filepath.Join("testdata", name))))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "key")
		require.NoError(t, os.WriteFile(path, data, 0o600))
		key, err := keys.Open(t.Context(), path, with(passphrase))
		if err == nil {
			require.NotEmpty(t, key.Chain)
			return
		}
		for _, reason := range []error{keys.ErrPassphrase, keys.ErrNoKey, keys.ErrNoCertificate, keys.ErrMismatch, keys.ErrUnsupported} {
			if errors.Is(err, reason) {
				return
			}
		}
		require.NoError(t, err)
	})
}
