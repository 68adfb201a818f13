// Package keys opens a signing key, wherever it is kept, as a crypto.Signer with its
// certificates: a PKCS #12 file, PEM files, the encrypted key store of this package, or
// a PKCS #11 token (in builds with the tag pkcs11, which need cgo).
//
// It promises that a key that it opens belongs to the first certificate of the chain,
// that the chain runs from there towards the root, and that passwords and private keys
// are in no error text. It does not ask whether a certificate is valid now or trusted:
// who signs does.
package keys

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Reasons why a key is not opened, to be tested with errors.Is.
var (
	// ErrPassphrase means that the passphrase or PIN is missing or wrong.
	ErrPassphrase = errors.New("passphrase of the key is wrong")
	// ErrNoKey means that there is no private key where one was looked for.
	ErrNoKey = errors.New("no private key found")
	// ErrNoCertificate means that there is a key and no certificate.
	ErrNoCertificate = errors.New("no certificate for the key found")
	// ErrMismatch means that no certificate belongs to the key.
	ErrMismatch = errors.New("no certificate belongs to the key")
	// ErrUnsupported means that the kind of file, encryption or key is not known.
	ErrUnsupported = errors.New("kind of key or file is not supported")
	// ErrToken means that a PKCS #11 token is not there, or fails while it is used.
	ErrToken = errors.New("token cannot be used")
)

// The beginnings of a name that is not that of a file.
const (
	storePrefix = "store:"
	tokenPrefix = "pkcs11:"
)

// Options is what a key may need beside its name.
type Options struct {
	// Passphrase is asked, at most once, when something is encrypted; nil has none. What it
	// returns is overwritten after use.
	Passphrase func(ctx context.Context) ([]byte, error)
	// Certificates are further certificates, in any order: the chain, or the rest of it.
	Certificates []*x509.Certificate
	// Store is the folder of the key store, for names that begin with "store:".
	Store string
	// Rand is the source of randomness of the key store; nil is crypto/rand.
	Rand io.Reader
}

// Key is an open key.
type Key struct {
	// Signer holds the private key, or asks the token that does.
	Signer crypto.Signer
	// Chain begins with the certificate of the key; each is followed by its issuer, as far as they are known.
	Chain []*x509.Certificate

	close func() error
}

// Close ends the use of a token. The key must not be used after.
func (k *Key) Close() error {
	if k.close == nil {
		return nil
	}
	return k.close()
}

// Open opens a key by its name: the path of a PKCS #12 or PEM file, "store:" and a name in
// the key store, or a PKCS #11 URI (RFC 7512).
func Open(ctx context.Context, name string, options Options) (*Key, error) {
	found, err := options.find(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("open key: %w", err)
	}
	key := &Key{Signer: found.signer, close: found.close}
	if key.Chain, err = order(found.signer.Public(), append(found.certificates, options.Certificates...)); err != nil {
		return nil, fmt.Errorf("open key: %w", errors.Join(err, key.Close()))
	}
	return key, nil
}

// found is a key with certificates in any order.
type found struct {
	signer       crypto.Signer
	certificates []*x509.Certificate
	close        func() error
}

func (o Options) find(ctx context.Context, name string) (*found, error) {
	if record, ok := strings.CutPrefix(name, storePrefix); ok {
		return o.fromStore(ctx, record)
	}
	if strings.HasPrefix(name, tokenPrefix) {
		return o.fromToken(ctx, name)
	}
	return o.fromFile(ctx, name)
}

// maxFile bounds a file of keys or certificates; a chain of three with its key has six kilobytes.
const maxFile = 1 << 20

func (o Options) fromFile(ctx context.Context, path string) (*found, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	defer clear(data)
	if bytes.Contains(data, []byte("-----BEGIN ")) {
		return o.fromPEM(ctx, data)
	}
	return o.fromPKCS12(ctx, data)
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path) //nolint:gosec // the caller's own file
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("more than %d bytes: %w", maxFile, ErrUnsupported)
	}
	return data, nil
}

// passphrase asks for what opens an encrypted key.
func (o Options) passphrase(ctx context.Context) ([]byte, error) {
	if o.Passphrase == nil {
		return nil, fmt.Errorf("none is given: %w", ErrPassphrase)
	}
	return o.Passphrase(ctx)
}

// equal tells whether two public keys are the same.
func equal(a, b crypto.PublicKey) bool {
	key, ok := a.(interface {
		Equal(other crypto.PublicKey) bool
	})
	return ok && key.Equal(b)
}

// order puts the certificate of the key first and each issuer behind what it issued. What is
// not of the chain is left out.
func order(public crypto.PublicKey, certificates []*x509.Certificate) ([]*x509.Certificate, error) {
	if len(certificates) == 0 {
		return nil, ErrNoCertificate
	}
	var leaf *x509.Certificate
	for _, c := range certificates {
		// Of a certificate and its renewal for the same key, the renewal counts.
		if equal(public, c.PublicKey) && (leaf == nil || c.NotBefore.After(leaf.NotBefore)) {
			leaf = c
		}
	}
	if leaf == nil {
		return nil, ErrMismatch
	}
	chain := []*x509.Certificate{leaf}
	for last := leaf; len(chain) <= len(certificates); {
		issuer := issuerOf(last, certificates)
		if issuer == nil {
			break
		}
		chain, last = append(chain, issuer), issuer
	}
	return chain, nil
}

// Chain orders certificates for a key that is elsewhere: the first is that of the key, each is
// followed by its issuer, and what is not of the chain is left out.
func Chain(certificates []*x509.Certificate) ([]*x509.Certificate, error) {
	if len(certificates) == 0 {
		return nil, ErrNoCertificate
	}
	return order(certificates[0].PublicKey, certificates)
}

// issuerOf finds the issuer of a certificate; nil when it is not there or the certificate is its own.
func issuerOf(c *x509.Certificate, among []*x509.Certificate) *x509.Certificate {
	if bytes.Equal(c.RawIssuer, c.RawSubject) {
		return nil
	}
	for _, other := range among {
		if bytes.Equal(other.RawSubject, c.RawIssuer) && c.CheckSignatureFrom(other) == nil {
			return other
		}
	}
	return nil
}

// signerOf returns what signs with a parsed private key.
func signerOf(key any) (crypto.Signer, error) {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%T does not sign: %w", key, ErrUnsupported)
	}
	return signer, nil
}
