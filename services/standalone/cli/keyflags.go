package cli

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"signbus.dev/pkg/sign/keys"
)

// keyFlags say which key signs.
type keyFlags struct {
	key, cert             string
	store, passphraseFile string
}

func (f *keyFlags) register(a *app, c *cobra.Command) {
	c.Flags().StringVar(&f.key, "key", "", "key to sign with: FILE.p12, FILE.pem, store:NAME or a pkcs11: URI")
	c.Flags().StringVar(&f.cert, "cert", "", "PEM file with the certificate of the key and its chain, where the key comes without")
	f.registerSecret(a, c)
}

func (f *keyFlags) registerSecret(a *app, c *cobra.Command) {
	c.Flags().StringVar(&f.store, "store", a.env("SIGNBUS_KEY_STORE", filepath.Join(a.env("HOME", "."), ".signbus", "keys")), "folder of the key store (SIGNBUS_KEY_STORE)")
	c.Flags().StringVar(&f.passphraseFile, "passphrase-file", "", "file whose first line is the passphrase or PIN (else SIGNBUS_KEY_PASSPHRASE, else asked for)")
}

// open opens the key.
func (f *keyFlags) open(ctx context.Context, a *app) (*keys.Key, error) {
	return f.openWith(ctx, f.options(a, "Passphrase of the key", false))
}

func (f *keyFlags) openWith(ctx context.Context, options keys.Options) (*keys.Key, error) {
	if f.cert != "" {
		var err error
		if options.Certificates, err = keys.CertificateFile(f.cert); err != nil {
			return nil, err
		}
	}
	return keys.Open(ctx, f.key, options)
}

// options says where the passphrase comes from; twice asks for a new one.
func (f *keyFlags) options(a *app, question string, twice bool) keys.Options {
	return keys.Options{Store: f.store, Passphrase: func(ctx context.Context) ([]byte, error) {
		return a.secret(ctx, secret{file: f.passphraseFile, variable: "SIGNBUS_KEY_PASSPHRASE", question: question, twice: twice})
	}}
}

// secret says where a passphrase comes from: the file, the environment or the terminal.
type secret struct {
	file, variable, question string
	twice                    bool // on the terminal, as a new one must be
}

func (a *app) secret(ctx context.Context, s secret) ([]byte, error) {
	if s.file != "" {
		return readSecret(s.file)
	}
	const unset = "\x00" // no environment holds it, and an empty passphrase is one
	if value := a.env(s.variable, unset); value != unset {
		return []byte(value), nil
	}
	first, err := a.ask(ctx, s.question)
	if err != nil || !s.twice {
		return first, err
	}
	again, err := a.ask(ctx, "The same again")
	defer clear(again)
	if err == nil && !bytes.Equal(first, again) {
		err = fmt.Errorf("%w: the two are not the same", keys.ErrPassphrase)
	}
	return first, err
}

// ask reads a line from the terminal, unseen.
func (a *app) ask(ctx context.Context, question string) ([]byte, error) {
	terminal := int(os.Stdin.Fd())
	before, err := term.GetState(terminal)
	if err != nil {
		return nil, fmt.Errorf("%w: none is given", keys.ErrPassphrase)
	}
	_, _ = fmt.Fprintf(a.errs, "%s: ", question)
	defer func() { _, _ = fmt.Fprintln(a.errs) }()
	type answer struct {
		line []byte
		err  error
	}
	answers := make(chan answer, 1)
	go func() { // waits for the keyboard, which nothing but a key or the end of the process ends
		line, err := term.ReadPassword(terminal)
		answers <- answer{line, err}
	}()
	select {
	case got := <-answers:
		return got.line, got.err
	case <-ctx.Done():
		_ = term.Restore(terminal, before)
		return nil, ctx.Err()
	}
}

// readSecret returns the first line of a file.
func readSecret(path string) ([]byte, error) {
	file, err := os.Open(path) //nolint:gosec // the user's own file
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	const longest = 4096
	data, err := io.ReadAll(io.LimitReader(file, longest))
	if err != nil {
		return nil, err
	}
	line, _, _ := bytes.Cut(data, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), nil
}

// trusted returns the certificates of the files, or the system's when none is named.
func trusted(files []string) (*x509.CertPool, error) {
	if len(files) == 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			return nil, errors.New("this system has no list of trusted certificates; name some with --trust")
		}
		return pool, nil
	}
	pool := x509.NewCertPool()
	for _, file := range files {
		certificates, err := keys.CertificateFile(file)
		if err != nil {
			return nil, err
		}
		for _, c := range certificates {
			pool.AddCert(c)
		}
	}
	return pool, nil
}
