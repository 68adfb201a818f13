package keys

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"signbus.dev/pkg/pki"
)

// The reasons for which the key store refuses a name.
var (
	// ErrName means that a name is not fit for the key store.
	ErrName = errors.New("name of a key is 1 to 60 lower-case letters, digits and hyphens")
	// ErrExists means that the key store has a key of that name.
	ErrExists = errors.New("key of this name is already there")
)

// The names of the records: a key, and its chains, numbered from 1.
const (
	keyRecord   = "key-"
	chainRecord = "chain-"
)

// Store is a folder of private keys, encrypted under one passphrase as those of the
// development authority are, with their certificates in the clear. Records are written
// once and whole; a new certificate for a key is a further record, and the last one counts.
type Store struct {
	keeper *pki.Directory
	vault  *pki.KeyVault
}

// OpenStore opens the key store in a folder. With create, a folder that is not there is
// made and the passphrase becomes its own; else ErrNoKey is returned.
func OpenStore(ctx context.Context, path string, create bool, options Options) (*Store, error) {
	s, err := openStore(ctx, path, create, options)
	if err != nil {
		return nil, fmt.Errorf("key store: %w", err)
	}
	return s, nil
}

func openStore(ctx context.Context, path string, create bool, options Options) (*Store, error) {
	if path == "" {
		return nil, fmt.Errorf("its folder is not named: %w", ErrNoKey)
	}
	if _, err := os.Stat(filepath.Join(path, "lock")); err != nil && !create {
		return nil, fmt.Errorf("there is none at %s: %w", path, ErrNoKey)
	}
	passphrase, err := options.passphrase(ctx)
	if err != nil {
		return nil, err
	}
	defer clear(passphrase)
	keeper, err := pki.NewDirectory(path)
	if err != nil {
		return nil, err
	}
	vault, err := pki.OpenKeyVault(ctx, keeper, pki.Options{Passphrase: passphrase, Rand: options.Rand})
	if errors.Is(err, pki.ErrPassphrase) {
		err = ErrPassphrase
	}
	if err != nil {
		return nil, err
	}
	return &Store{keeper: keeper, vault: vault}, nil
}

// Put adds a key under a name that is free, or ErrExists.
func (s *Store) Put(ctx context.Context, name string, key crypto.Signer) error {
	record, err := recordName(name)
	if err != nil {
		return err
	}
	sealed, err := s.vault.Seal(key, record)
	if err != nil {
		return fmt.Errorf("encrypt key: %w", ErrUnsupported) // a token's key, which cannot be written
	}
	stored, err := s.keeper.PutIfAbsent(ctx, record, sealed)
	if err != nil {
		return err
	}
	if !slices.Equal(stored, sealed) {
		return fmt.Errorf("%s: %w", name, ErrExists)
	}
	return nil
}

// Key returns the private key of a name, or ErrNoKey.
func (s *Store) Key(ctx context.Context, name string) (crypto.Signer, error) {
	record, err := recordName(name)
	if err != nil {
		return nil, err
	}
	sealed, err := s.keeper.Get(ctx, record)
	if errors.Is(err, pki.ErrNotFound) {
		return nil, fmt.Errorf("the key store has no %s: %w", name, ErrNoKey)
	}
	if err != nil {
		return nil, err
	}
	return s.vault.Open(sealed, record)
}

// Certify sets the chain of a key, in any order; a later one replaces an earlier one. What
// belongs to another key is refused with ErrMismatch.
func (s *Store) Certify(ctx context.Context, name string, certificates []*x509.Certificate) error {
	key, err := s.Key(ctx, name)
	if err != nil {
		return err
	}
	chain, err := order(key.Public(), certificates)
	if err != nil {
		return err
	}
	var raw [][]byte
	for _, c := range chain {
		raw = append(raw, c.Raw)
	}
	value, err := json.Marshal(raw)
	if err != nil {
		return err
	}
	for number := 1; ; number++ {
		// The last one counts: it may be one that was there before.
		_, err := s.keeper.Get(ctx, chainName(name, number+1))
		if err == nil {
			continue
		}
		if !errors.Is(err, pki.ErrNotFound) {
			return err
		}
		stored, err := s.keeper.PutIfAbsent(ctx, chainName(name, number), value)
		if err != nil || slices.Equal(stored, value) {
			return err
		}
	}
}

// Stored is a key of a key store, as far as it is seen without the passphrase.
type Stored struct {
	// Name is what Put was given.
	Name string
	// Chain is what Certify was given last, leaf first; nil when there is none.
	Chain []*x509.Certificate
}

// List lists the keys of a folder by name. A folder that is not there has none.
func List(ctx context.Context, path string) ([]Stored, error) {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("key store: %w", err)
	}
	keeper, err := pki.NewDirectory(path)
	if err != nil {
		return nil, err
	}
	var out []Stored
	for _, e := range entries { // ReadDir sorts
		name, ok := strings.CutPrefix(e.Name(), keyRecord)
		if !ok {
			continue
		}
		chain, err := lastChain(ctx, keeper, name)
		if err != nil && !errors.Is(err, ErrNoCertificate) {
			return nil, fmt.Errorf("key store: %w", err)
		}
		out = append(out, Stored{name, chain})
	}
	return out, nil
}

// lastChain returns the last chain of a key; ErrNoCertificate when it has none yet.
func lastChain(ctx context.Context, keeper pki.Keeper, name string) ([]*x509.Certificate, error) {
	var last []byte
	for number := 1; ; number++ {
		value, err := keeper.Get(ctx, chainName(name, number))
		if errors.Is(err, pki.ErrNotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		last = value
	}
	if last == nil {
		return nil, ErrNoCertificate
	}
	var raw [][]byte
	if err := json.Unmarshal(last, &raw); err != nil {
		return nil, fmt.Errorf("chain of %s: %w", name, pki.ErrCorrupt)
	}
	var chain []*x509.Certificate
	for _, der := range raw {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("chain of %s: %w", name, pki.ErrCorrupt)
		}
		chain = append(chain, c)
	}
	return chain, nil
}

func recordName(name string) (string, error) {
	const longest = 60
	fit := name != "" && len(name) <= longest
	for _, c := range []byte(name) {
		fit = fit && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-')
	}
	if !fit {
		return "", ErrName
	}
	return keyRecord + name, nil
}

func chainName(name string, number int) string {
	return chainRecord + name + "." + strconv.Itoa(number)
}

// fromStore opens a key of the key store.
func (o Options) fromStore(ctx context.Context, name string) (*found, error) {
	store, err := openStore(ctx, o.Store, false, o)
	if err != nil {
		return nil, err
	}
	signer, err := store.Key(ctx, name)
	if err != nil {
		return nil, err
	}
	chain, err := lastChain(ctx, store.keeper, name)
	if errors.Is(err, ErrNoCertificate) && len(o.Certificates) > 0 {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	return &found{signer: signer, certificates: chain}, nil
}
