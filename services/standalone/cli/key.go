package cli

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"signbus.dev/pkg/sign/keys"
)

// storeFlags are the flags of the commands on the key store.
type storeFlags struct {
	keyFlags
	name, subject, kind, filePassphrase string
}

func (a *app) key() *cobra.Command {
	c := &cobra.Command{
		Use: "key", Short: "Keep signing keys in an encrypted folder", GroupID: "sign",
		Long: `Keep private keys in a folder, encrypted under one passphrase (argon2id, XChaCha20-Poly1305), to sign with as
--key store:NAME. The passphrase comes from --passphrase-file, SIGNBUS_KEY_PASSPHRASE or the terminal.`,
		Example: `  signbus key import anna.p12 --name anna
  signbus key new --name company --subject 'CN=Example Ltd,O=Example Ltd,C=IT' >company.csr
  signbus key certificate company.pem --name company
  signbus key list`,
	}
	c.AddCommand(a.keyImport(), a.keyNew(), a.keyRequest(), a.keyCertificate(), a.keyList())
	return c
}

func (a *app) keyImport() *cobra.Command {
	var f storeFlags
	c := &cobra.Command{
		Use: "import FILE --name NAME", Short: "Put the key of a PKCS #12 or PEM file into the key store", Args: args(cobra.ExactArgs(1)),
		Long: `Put the key of a PKCS #12 or PEM file into the key store, with its chain. The passphrase of the file comes from
--file-passphrase-file, SIGNBUS_KEY_FILE_PASSPHRASE or the terminal. FILE stays as it is.`,
		RunE: func(c *cobra.Command, files []string) error { return f.run(c.Context(), a, f.importFile, files[0]) },
	}
	f.register(a, c)
	c.Flags().StringVar(&f.cert, "cert", "", "PEM file with the certificate of the key and its chain, where FILE has none")
	c.Flags().StringVar(&f.filePassphrase, "file-passphrase-file", "", "file whose first line is the passphrase of FILE")
	return c
}

func (a *app) keyNew() *cobra.Command {
	var f storeFlags
	c := &cobra.Command{
		Use: "new --name NAME --subject SUBJECT", Short: "Make a key in the key store and print a certificate request for it", Args: args(cobra.NoArgs),
		Long: `Make a key in the key store and print a certificate request (PKCS #10, PEM) to send to an authority. What comes
back is installed by ` + "`signbus key certificate`" + `. SUBJECT is a name, or parts such as CN=Anna Example,O=Example Ltd,C=IT.`,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c.Context(), a, f.newKey, "") },
	}
	f.register(a, c)
	c.Flags().StringVar(&f.subject, "subject", "", "whom the certificate is to name")
	c.Flags().StringVar(&f.kind, "kind", "p256", "p256, p384, p521, rsa2048, rsa3072, rsa4096 or ed25519")
	return c
}

func (a *app) keyRequest() *cobra.Command {
	var f storeFlags
	c := &cobra.Command{
		Use: "request --name NAME --subject SUBJECT", Short: "Print another certificate request for a key, as for a renewal", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c.Context(), a, f.request, "") },
	}
	f.register(a, c)
	c.Flags().StringVar(&f.subject, "subject", "", "whom the certificate is to name")
	return c
}

func (a *app) keyCertificate() *cobra.Command {
	var f storeFlags
	c := &cobra.Command{
		Use: "certificate FILE --name NAME", Short: "Install the certificate of a key, with its chain", Args: args(cobra.ExactArgs(1)),
		Long: `Install the certificate of a key, with its chain, from a PEM file. It replaces the one before.`,
		RunE: func(c *cobra.Command, files []string) error { return f.run(c.Context(), a, f.install, files[0]) },
	}
	f.register(a, c)
	return c
}

func (a *app) keyList() *cobra.Command {
	var f storeFlags
	c := &cobra.Command{
		Use: "list", Short: "List the keys and their certificates", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return explain(f.list(c.Context(), a)) },
	}
	f.registerSecret(a, c)
	return c
}

func (f *storeFlags) register(a *app, c *cobra.Command) {
	c.Flags().StringVar(&f.name, "name", "", "name of the key: lower-case letters, digits and hyphens")
	f.registerSecret(a, c)
}

func (f *storeFlags) run(ctx context.Context, a *app, do func(ctx context.Context, a *app, file string) error, file string) error {
	if f.name == "" {
		return usageError{errors.New("name the key with --name")}
	}
	return explain(do(ctx, a, file))
}

// open opens the key store. A new one is made with create, and then its passphrase is asked for twice.
func (f *storeFlags) open(ctx context.Context, a *app, create bool) (*keys.Store, error) {
	_, err := os.Stat(filepath.Join(f.store, "lock"))
	return keys.OpenStore(ctx, f.store, create, f.options(a, "Passphrase of the key store", err != nil))
}

func (f *storeFlags) importFile(ctx context.Context, a *app, file string) error {
	from := keyFlags{key: file, cert: f.cert}
	key, err := from.openWith(ctx, keys.Options{Passphrase: func(ctx context.Context) ([]byte, error) {
		return a.secret(ctx, secret{file: f.filePassphrase, variable: "SIGNBUS_KEY_FILE_PASSPHRASE", question: "Passphrase of " + file})
	}})
	if err != nil {
		return err
	}
	defer func() { _ = key.Close() }()
	store, err := f.open(ctx, a, true)
	if err != nil {
		return err
	}
	if err := store.Put(ctx, f.name, key.Signer); err != nil {
		return err
	}
	if err := store.Certify(ctx, f.name, key.Chain); err != nil {
		return err
	}
	return a.print(described(f.name, key.Chain), "store:%s holds the key of %s\n", f.name, key.Chain[0].Subject)
}

func (f *storeFlags) newKey(ctx context.Context, a *app, _ string) error {
	subject, err := subjectOf(f.subject)
	if err != nil {
		return usageError{fmt.Errorf("--subject: %w", err)}
	}
	key, err := generate(f.kind)
	if err != nil {
		return usageError{fmt.Errorf("--kind: %w", err)}
	}
	store, err := f.open(ctx, a, true)
	if err != nil {
		return err
	}
	if err := store.Put(ctx, f.name, key); err != nil {
		return err
	}
	return a.printRequest(f.name, key, subject)
}

func (f *storeFlags) request(ctx context.Context, a *app, _ string) error {
	subject, err := subjectOf(f.subject)
	if err != nil {
		return usageError{fmt.Errorf("--subject: %w", err)}
	}
	store, err := f.open(ctx, a, false)
	if err != nil {
		return err
	}
	key, err := store.Key(ctx, f.name)
	if err != nil {
		return err
	}
	return a.printRequest(f.name, key, subject)
}

func (a *app) printRequest(name string, key crypto.Signer, subject pkix.Name) error {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: subject}, key)
	if err != nil {
		return err
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	a.note("store:%s waits for its certificate: send this request to an authority, then `signbus key certificate`.", name)
	return a.print(map[string]string{"name": name, "request": text}, "%s", text)
}

func (f *storeFlags) install(ctx context.Context, a *app, file string) error {
	certificates, err := keys.CertificateFile(file)
	if err != nil {
		return err
	}
	store, err := f.open(ctx, a, false)
	if err != nil {
		return err
	}
	if err := store.Certify(ctx, f.name, certificates); err != nil {
		return err
	}
	return a.print(map[string]string{"name": f.name}, "store:%s has its certificate\n", f.name)
}

// listed is what list prints of a key.
type listed struct {
	Name    string    `json:"name"`
	Subject string    `json:"subject,omitempty"`
	Issuer  string    `json:"issuer,omitempty"`
	Until   time.Time `json:"until,omitzero"`
}

func described(name string, chain []*x509.Certificate) listed {
	if len(chain) == 0 {
		return listed{Name: name}
	}
	return listed{name, chain[0].Subject.String(), chain[0].Issuer.String(), chain[0].NotAfter}
}

func (f *storeFlags) list(ctx context.Context, a *app) error {
	stored, err := keys.List(ctx, f.store)
	if err != nil {
		return err
	}
	if len(stored) == 0 {
		a.note("%s holds no key", f.store)
	}
	for _, s := range stored {
		l := described(s.Name, s.Chain)
		text := "waits for its certificate"
		if l.Subject != "" {
			text = fmt.Sprintf("%s, issued by %s, until %s", l.Subject, l.Issuer, l.Until.Local().Format(time.DateOnly))
		}
		if err := a.print(l, "store:%s  %s\n", s.Name, text); err != nil {
			return err
		}
	}
	return nil
}

func generate(kind string) (crypto.Signer, error) {
	switch strings.ToLower(kind) {
	case "p256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "p384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "p521":
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "rsa2048":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "rsa3072":
		return rsa.GenerateKey(rand.Reader, 3072)
	case "rsa4096":
		return rsa.GenerateKey(rand.Reader, 4096)
	case "ed25519":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("%q is not known; use p256, p384, p521, rsa2048, rsa3072, rsa4096 or ed25519", kind)
}

// subjectOf reads a name, or parts such as CN=Anna Example,O=Example Ltd,C=IT; a comma in a part follows a backslash.
func subjectOf(text string) (pkix.Name, error) {
	var name pkix.Name
	if text == "" {
		return name, errors.New("say whom the certificate is to name")
	}
	if !strings.Contains(text, "=") {
		name.CommonName = text
		return name, nil
	}
	const hidden = "\x00"
	for part := range strings.SplitSeq(strings.ReplaceAll(text, `\,`, hidden), ",") {
		kind, value, ok := strings.Cut(strings.ReplaceAll(part, hidden, ","), "=")
		if value = strings.TrimSpace(value); !ok || value == "" {
			return name, fmt.Errorf("%q is not of the form CN=Anna Example", part)
		}
		switch strings.ToUpper(strings.TrimSpace(kind)) {
		case "CN":
			name.CommonName = value
		case "O":
			name.Organization = append(name.Organization, value)
		case "OU":
			name.OrganizationalUnit = append(name.OrganizationalUnit, value)
		case "C":
			name.Country = append(name.Country, value)
		case "L":
			name.Locality = append(name.Locality, value)
		case "ST":
			name.Province = append(name.Province, value)
		case "SERIALNUMBER":
			name.SerialNumber = value
		default:
			return name, fmt.Errorf("%s is not known; use CN, O, OU, C, L, ST and SERIALNUMBER", kind)
		}
	}
	return name, nil
}
