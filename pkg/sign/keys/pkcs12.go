package keys

import (
	"context"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"

	"software.sslmate.com/src/go-pkcs12"
)

// fromPKCS12 reads a PKCS #12 file (RFC 7292) with one key. The library checks the file's MAC
// before it believes anything that is inside.
func (o Options) fromPKCS12(ctx context.Context, data []byte) (_ *found, err error) {
	if err := checkPKCS12(data); err != nil {
		return nil, err
	}
	passphrase, err := o.passphrase(ctx)
	if err != nil {
		return nil, err
	}
	defer clear(passphrase)
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("PKCS #12 file is damaged: %w", ErrUnsupported)
		}
	}()
	key, certificate, more, err := pkcs12.DecodeChain(data, string(passphrase))
	if err != nil {
		return nil, interpretPKCS12(err)
	}
	signer, err := signerOf(key)
	if err != nil {
		return nil, err
	}
	return &found{signer: signer, certificates: append(more, certificate)}, nil
}

// checkPKCS12 tells what is no PKCS #12 file before a passphrase is asked for, and bounds the
// work that the file's MAC costs.
func checkPKCS12(data []byte) error {
	var pfx struct {
		Version int
		Safe    asn1.RawValue
		MAC     asn1.RawValue `asn1:"optional"`
	}
	const version = 3
	if rest, err := asn1.Unmarshal(data, &pfx); err != nil || len(rest) > 0 || pfx.Version != version {
		return fmt.Errorf("neither a PEM nor a PKCS #12 file: %w", ErrUnsupported)
	}
	return boundNumbers(pfx.MAC, 0)
}

// boundNumbers refuses numbers above maxIterations: those of a MAC are iterations and lengths.
func boundNumbers(v asn1.RawValue, depth int) error {
	const deepest = 10
	if v.Class == asn1.ClassUniversal && v.Tag == asn1.TagInteger {
		var n int64
		if _, err := asn1.Unmarshal(v.FullBytes, &n); err != nil || n > maxIterations {
			return fmt.Errorf("the file wants more than %d iterations: %w", maxIterations, ErrUnsupported)
		}
	}
	if !v.IsCompound {
		return nil
	}
	if depth > deepest {
		return fmt.Errorf("PKCS #12 file is damaged: %w", ErrUnsupported)
	}
	for rest := v.Bytes; len(rest) > 0; {
		var inner asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &inner); err != nil {
			return fmt.Errorf("PKCS #12 file is damaged: %w", ErrUnsupported)
		}
		if err := boundNumbers(inner, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// interpretPKCS12 turns the library's errors, some of which have only a text, into ours.
func interpretPKCS12(err error) error {
	var missing pkcs12.NotImplementedError
	text := err.Error()
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword), errors.Is(err, pkcs12.ErrDecryption):
		return ErrPassphrase
	case strings.Contains(text, "private key missing"):
		return ErrNoKey
	case strings.Contains(text, "certificate missing"):
		return ErrNoCertificate
	case strings.Contains(text, "exactly one key bag"):
		return fmt.Errorf("the file holds several keys, give the one to sign with its own file: %w", ErrUnsupported)
	case errors.As(err, &missing):
		return fmt.Errorf("%s: %w", text, ErrUnsupported)
	}
	return fmt.Errorf("PKCS #12 file cannot be read: %w", ErrUnsupported)
}
