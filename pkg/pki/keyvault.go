package pki

import (
	"context"
	"crypto"
	"crypto/rand"
	"fmt"
)

// KeyVault encrypts private keys for the records of a Keeper, in the way in which the
// authority's own are: one passphrase for the Keeper (argon2id), one nonce for each key
// (XChaCha20-Poly1305).
type KeyVault struct{ vault *vault }

// OpenKeyVault sets the passphrase of a Keeper on first use, and returns ErrPassphrase for
// another one afterwards. Of the options the clock is not used.
func OpenKeyVault(ctx context.Context, keeper Keeper, options Options) (*KeyVault, error) {
	if options.Rand == nil {
		options.Rand = rand.Reader
	}
	v, err := openVault(ctx, keeper, options.Passphrase, options.Rand)
	if err != nil {
		return nil, fmt.Errorf("open key store: %w", err)
	}
	return &KeyVault{vault: v}, nil
}

// Seal encrypts a key. It opens under the same name alone, so that records cannot be exchanged.
func (v *KeyVault) Seal(key crypto.Signer, name string) ([]byte, error) {
	return v.vault.encryptKey(key, name)
}

// Open decrypts what Seal returned for this name; ErrCorrupt means that it was changed.
func (v *KeyVault) Open(sealed []byte, name string) (crypto.Signer, error) {
	return v.vault.decryptKey(sealed, name)
}
