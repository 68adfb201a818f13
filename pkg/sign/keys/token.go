//go:build pkcs11

package keys

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ThalesGroup/crypto11"
	"github.com/miekg/pkcs11"
)

// fromToken opens a key that a PKCS #11 token holds.
func (o Options) fromToken(ctx context.Context, name string) (_ *found, err error) {
	uri, err := parseTokenURI(name)
	if err != nil {
		return nil, err
	}
	pin, err := o.pin(ctx, uri)
	if err != nil {
		return nil, err
	}
	// One session is the library's own, the others wait for each other.
	config := &crypto11.Config{Path: uri.module, Pin: string(pin), MaxSessions: 4}
	clear(pin)
	switch {
	case uri.serial != "":
		config.TokenSerial = uri.serial
	case uri.slot != nil:
		config.SlotNumber = uri.slot
	default:
		config.TokenLabel = uri.label
	}
	module, err := crypto11.Configure(config)
	if err != nil {
		return nil, interpretToken(err)
	}
	out, err := fromModule(module, uri)
	if err != nil {
		return nil, errors.Join(err, module.Close())
	}
	return out, nil
}

// pin is in the file of the URI, or else what the caller is asked for.
func (o Options) pin(ctx context.Context, uri *tokenURI) ([]byte, error) {
	if uri.pinFile == "" {
		return o.passphrase(ctx)
	}
	pin, err := readFile(uri.pinFile)
	return bytes.TrimRight(pin, "\r\n"), err
}

func fromModule(module *crypto11.Context, uri *tokenURI) (*found, error) {
	var (
		pairs []crypto11.Signer
		err   error
	)
	if uri.object == "" && len(uri.id) == 0 {
		pairs, err = module.FindAllKeyPairs()
	} else {
		pairs, err = module.FindKeyPairs(uri.id, []byte(uri.object))
	}
	switch {
	case err != nil:
		return nil, interpretToken(err)
	case len(pairs) == 0:
		return nil, fmt.Errorf("the token has none that the URI names: %w", ErrNoKey)
	case len(pairs) > 1:
		return nil, fmt.Errorf("the token has %d keys that the URI names, add object=LABEL or id=%%NN: %w", len(pairs), ErrUnsupported)
	}
	out := &found{signer: tokenSigner{pairs[0]}, close: module.Close}
	id, err := module.GetAttribute(pairs[0], crypto11.CkaId)
	if err != nil {
		return nil, interpretToken(err)
	}
	if id == nil || len(id.Value) == 0 {
		return out, nil
	}
	certificate, err := module.FindCertificate(id.Value, nil, nil)
	if err != nil {
		return nil, interpretToken(err)
	}
	if certificate != nil {
		out.certificates = append(out.certificates, certificate)
	}
	return out, nil
}

// tokenSigner says of every failure that it is the token's: it may be unplugged at any time.
type tokenSigner struct{ crypto.Signer }

// Sign implements crypto.Signer.
func (s tokenSigner) Sign(random io.Reader, digest []byte, options crypto.SignerOpts) ([]byte, error) {
	value, err := s.Signer.Sign(random, digest, options)
	if err != nil {
		return nil, interpretToken(err)
	}
	return value, nil
}

// interpretToken turns the library's errors into ours.
func interpretToken(err error) error {
	var code pkcs11.Error
	if !errors.As(err, &code) {
		if strings.Contains(err.Error(), "unsupported key type") { // crypto11 has no error for it
			return fmt.Errorf("the token has a key of a kind that is not supported; name another by object=LABEL or id=%%NN: %w", ErrUnsupported)
		}
		return fmt.Errorf("%w: %w", ErrToken, err)
	}
	switch code {
	case pkcs11.CKR_PIN_INCORRECT, pkcs11.CKR_PIN_INVALID, pkcs11.CKR_PIN_LEN_RANGE:
		return fmt.Errorf("the token refuses the PIN, and locks itself after some wrong ones: %w", ErrPassphrase)
	case pkcs11.CKR_PIN_LOCKED:
		return fmt.Errorf("its PIN is locked: %w", ErrToken)
	}
	return fmt.Errorf("%w: %w", ErrToken, code)
}
