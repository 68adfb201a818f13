package pki

import (
	"bytes"
	"context"
	"crypto"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"
)

// ErrPassphrase means that the passphrase is empty or is not the one the key store was made with.
var ErrPassphrase = errors.New("passphrase of the key store is wrong")

// ErrCorrupt means that a record of the key store is not what was written.
var ErrCorrupt = errors.New("key store is damaged")

// lockName is the record that says how the key of all others comes from the passphrase.
const lockName = "lock"

// lock is stored in the clear. Check is an encryption of nothing: it opens with the right passphrase only.
type lock struct {
	Version int    `json:"version"`
	Time    uint32 `json:"argon2Time"`
	Memory  uint32 `json:"argon2KiB"`
	Threads uint8  `json:"argon2Threads"`
	Salt    []byte `json:"salt"`
	Check   []byte `json:"check"`
}

// newLock has the parameters of RFC 9106's second recommendation, 64 MiB: the cost is paid once at each start.
func newLock(salt []byte) *lock {
	return &lock{Version: 1, Time: 3, Memory: 64 << 10, Threads: 4, Salt: salt}
}

// valid bounds what a record that somebody else wrote may make us compute.
func (l *lock) valid() bool {
	return l.Version == 1 && l.Time >= 1 && l.Time <= 16 && l.Memory >= 8<<10 && l.Memory <= 1<<20 &&
		l.Threads >= 1 && l.Threads <= 16 && len(l.Salt) >= 16 && len(l.Salt) <= 64
}

// vault encrypts private keys with XChaCha20-Poly1305 and makes names that say nothing about whom they belong to.
type vault struct {
	aead    cipher.AEAD
	names   []byte
	serials []byte
	rand    io.Reader
}

func (l *lock) open(passphrase []byte, random io.Reader) (*vault, error) {
	const subkey = chacha20poly1305.KeySize
	master := argon2.IDKey(passphrase, l.Salt, l.Time, l.Memory, l.Threads, subkey)
	key, err := hkdf.Expand(sha256.New, master, "signbus key store encryption", subkey)
	if err != nil {
		return nil, err
	}
	names, err := hkdf.Expand(sha256.New, master, "signbus key store names", subkey)
	if err != nil {
		return nil, err
	}
	serials, err := hkdf.Expand(sha256.New, master, "signbus serial numbers", subkey)
	if err != nil {
		return nil, err
	}
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, err
	}
	return &vault{aead: aead, names: names, serials: serials, rand: random}, nil
}

// openVault makes the key store's lock on first use, or opens it.
func openVault(ctx context.Context, keeper Keeper, passphrase []byte, random io.Reader) (*vault, error) {
	if len(passphrase) == 0 {
		return nil, fmt.Errorf("empty: %w", ErrPassphrase)
	}
	stored, err := keeper.Get(ctx, lockName)
	if errors.Is(err, ErrNotFound) {
		var made *vault
		if stored, made, err = makeLock(ctx, keeper, passphrase, random); made != nil {
			return made, nil
		}
	}
	if err != nil {
		return nil, err
	}
	var l lock
	if err := json.Unmarshal(stored, &l); err != nil || !l.valid() {
		return nil, fmt.Errorf("record %s: %w", lockName, ErrCorrupt)
	}
	v, err := l.open(passphrase, random)
	if err != nil {
		return nil, err
	}
	if _, err := v.decrypt(l.Check, []byte(lockName)); err != nil {
		return nil, ErrPassphrase
	}
	return v, nil
}

// makeLock returns the open vault too, unless another process made another lock first.
func makeLock(ctx context.Context, keeper Keeper, passphrase []byte, random io.Reader) ([]byte, *vault, error) {
	salt := make([]byte, 16)
	if _, err := io.ReadFull(random, salt); err != nil {
		return nil, nil, fmt.Errorf("salt: %w", err)
	}
	l := newLock(salt)
	v, err := l.open(passphrase, random)
	if err != nil {
		return nil, nil, err
	}
	if l.Check, err = v.encrypt(nil, []byte(lockName)); err != nil {
		return nil, nil, err
	}
	value, err := json.Marshal(l)
	if err != nil {
		return nil, nil, err
	}
	stored, err := keeper.PutIfAbsent(ctx, lockName, value)
	if err != nil || !bytes.Equal(stored, value) {
		return stored, nil, err
	}
	return stored, v, nil
}

// encrypt puts the nonce, 24 random bytes, before the ciphertext.
func (v *vault) encrypt(plain, about []byte) ([]byte, error) {
	nonce := make([]byte, v.aead.NonceSize(), v.aead.NonceSize()+len(plain)+v.aead.Overhead())
	if _, err := io.ReadFull(v.rand, nonce); err != nil {
		return nil, fmt.Errorf("nonce: %w", err)
	}
	return v.aead.Seal(nonce, nonce, plain, about), nil
}

func (v *vault) decrypt(sealed, about []byte) ([]byte, error) {
	if len(sealed) < v.aead.NonceSize() {
		return nil, ErrCorrupt
	}
	plain, err := v.aead.Open(nil, sealed[:v.aead.NonceSize()], sealed[v.aead.NonceSize():], about)
	if err != nil {
		return nil, ErrCorrupt
	}
	return plain, nil
}

// pseudonym is the same for the same parts and cannot be computed, nor guessed from a list of names, without the passphrase.
func (v *vault) pseudonym(parts ...string) string {
	mac := hmac.New(sha256.New, v.names)
	for _, part := range parts {
		_, _ = fmt.Fprintf(mac, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

func (v *vault) encryptKey(key crypto.Signer, about string) ([]byte, error) {
	plain, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	return v.encrypt(plain, []byte(about))
}

func (v *vault) decryptKey(sealed []byte, about string) (crypto.Signer, error) {
	plain, err := v.decrypt(sealed, []byte(about))
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	key, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		return nil, ErrCorrupt
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, ErrCorrupt
	}
	return signer, nil
}
