package keys

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
)

// Certificates reads the certificates of a PEM file, in their order; what else is in it is passed over.
func Certificates(data []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d cannot be read: %w", len(out)+1, ErrUnsupported)
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, ErrNoCertificate
	}
	return out, nil
}

// CertificateFile reads the certificates of a PEM file by its path.
func CertificateFile(path string) ([]*x509.Certificate, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	certificates, err := Certificates(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return certificates, nil
}

// fromPEM reads one key, plain or encrypted, and the certificates beside it.
func (o Options) fromPEM(ctx context.Context, data []byte) (*found, error) {
	out := &found{}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("certificate %d cannot be read: %w", len(out.certificates)+1, ErrUnsupported)
			}
			out.certificates = append(out.certificates, c)
			continue
		}
		signer, err := o.blockKey(ctx, block)
		clear(block.Bytes)
		if err != nil {
			return nil, err
		}
		if signer == nil {
			continue
		}
		if out.signer != nil {
			return nil, fmt.Errorf("the file holds several keys, give the one to sign with its own file: %w", ErrUnsupported)
		}
		out.signer = signer
	}
	if out.signer == nil {
		return nil, ErrNoKey
	}
	return out, nil
}

// blockKey reads the key of a block; nil for a block that holds none.
func (o Options) blockKey(ctx context.Context, block *pem.Block) (crypto.Signer, error) {
	if block.Headers["DEK-Info"] != "" {
		return nil, fmt.Errorf("the old encryption of OpenSSL is weak, convert the key with `openssl pkcs8 -topk8`: %w", ErrUnsupported)
	}
	var (
		key any
		err error
	)
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		passphrase, err := o.passphrase(ctx)
		if err != nil {
			return nil, err
		}
		defer clear(passphrase)
		return decryptPKCS8(block.Bytes, passphrase)
	default:
		return nil, nil //nolint:nilnil // no key is not an error: the file may hold parameters and requests too
	}
	if err != nil {
		// The cause may quote parts of the key.
		return nil, fmt.Errorf("block %q cannot be read: %w", block.Type, ErrUnsupported)
	}
	return signerOf(key)
}
