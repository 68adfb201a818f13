// Package pki is the development certificate authority of Signbus and the
// encrypted store of the keys it certifies: users, organisation seals and the
// time-stamp authority.
//
// It promises that everyone who opens the same Keeper with the same passphrase
// sees the same authority, the same certificates and the same revocations, also
// when two ask at once, and that private keys leave this process encrypted only.
// Certificates name where their CRL and OCSP are served, and renew themselves.
// They are for development and closed circles: nobody proves who a user is. The
// authority's own certificate is not renewed.
package pki

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

const (
	organisation = "Signbus"

	authorityYears = 10
	day            = 24 * time.Hour
	// userLife, sealLife and timestampLife are the defaults of Options; responderLife that of who
	// answers about revocations and cannot be revoked himself.
	userLife      = 30 * day
	sealLife      = 365 * day
	timestampLife = 3 * 365 * day
	responderLife = 30 * day
	// minLife leaves time to renew, clocks being what they are.
	minLife = time.Hour
	// clockSkew dates certificates back, so that a machine whose clock is behind accepts a new one.
	clockSkew = 5 * time.Minute
)

var (
	// ErrExpired means that the authority's own certificate has ended.
	ErrExpired = errors.New("certificate authority has expired; begin a new key store")
	// ErrRequest means that a certificate request is not signed by its key or the key is not accepted.
	ErrRequest = errors.New("certificate request is not valid")
)

// Options says how an authority is opened.
type Options struct {
	// Passphrase protects the private keys; it must not be empty.
	Passphrase []byte
	// PublicURL is where the Handler is reached, such as https://sign.example.com. Certificates
	// name it as the place of OCSP, CRL and issuer; when empty they name none.
	PublicURL string
	// UserLife, SealLife and TSALife are how long certificates are valid; 30 days, one year and
	// three years when zero. Each is replaced when a third is left.
	UserLife, SealLife, TSALife time.Duration
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Rand gives keys, serial numbers and nonces; crypto/rand when nil.
	Rand io.Reader
}

// Identity is a key and the certificates that vouch for it.
type Identity struct {
	// Signer holds the private key.
	Signer crypto.Signer
	// Chain is leaf first and ends with the authority's certificate.
	Chain []*x509.Certificate
}

// Authority issues certificates and keeps the keys it made.
type Authority struct {
	keeper Keeper
	vault  *vault
	now    func() time.Time
	rand   io.Reader
	ca     Identity
	roots  *x509.CertPool
	url    string
	// lives are how long certificates are valid, by the kind of their profile.
	lives map[kind]time.Duration

	mu    sync.Mutex
	cache map[string]*entry

	revocations revocationList
}

// revocationList is the newest snapshot of what is revoked.
type revocationList struct {
	mu       sync.Mutex
	snapshot *snapshot
	stale    bool
}

// Open makes an authority on first use of a Keeper and loads it afterwards.
func Open(ctx context.Context, keeper Keeper, options Options) (*Authority, error) {
	a := &Authority{keeper: keeper, now: options.Now, rand: options.Rand, cache: map[string]*entry{}}
	if a.now == nil {
		a.now = time.Now
	}
	if a.rand == nil {
		a.rand = rand.Reader
	}
	a.url = strings.TrimSuffix(options.PublicURL, "/")
	a.lives = map[kind]time.Duration{
		forUser: cmp.Or(options.UserLife, userLife), forSeal: cmp.Or(options.SealLife, sealLife),
		forTSA: cmp.Or(options.TSALife, timestampLife), forOCSP: responderLife,
	}
	for _, life := range a.lives {
		if life < minLife {
			return nil, fmt.Errorf("open certificate authority: certificates must be valid for %s at least", minLife)
		}
	}
	var err error
	if a.vault, err = openVault(ctx, keeper, options.Passphrase, a.rand); err != nil {
		return nil, fmt.Errorf("open certificate authority: %w", err)
	}
	ca, err := a.openRoot(ctx)
	if err != nil {
		return nil, fmt.Errorf("open certificate authority: %w", err)
	}
	a.ca = *ca
	a.roots = x509.NewCertPool()
	a.roots.AddCert(a.ca.Chain[0])
	return a, nil
}

// Certificate is the authority's own, self-signed.
func (a *Authority) Certificate() *x509.Certificate { return a.ca.Chain[0] }

// Roots trusts this authority and nobody else.
func (a *Authority) Roots() *x509.CertPool { return a.roots.Clone() }

func (a *Authority) openRoot(ctx context.Context) (*Identity, error) {
	const record = "ca"
	identity, err := a.load(ctx, record)
	if !errors.Is(err, ErrNotFound) {
		return identity, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), a.rand)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	serial, err := a.serial()
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	id, err := keyID(spki)
	if err != nil {
		return nil, err
	}
	now := a.now().UTC().Truncate(time.Second)
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "Signbus Development CA", Organization: []string{organisation}},
		NotBefore:    now.Add(-clockSkew), NotAfter: now.AddDate(authorityYears, 0, 0),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, BasicConstraintsValid: true, IsCA: true,
		MaxPathLenZero: true, SubjectKeyId: id, AuthorityKeyId: id,
	}
	der, err := x509.CreateCertificate(a.rand, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make root certificate: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make root certificate: %w", err)
	}
	return a.store(ctx, record, &Identity{Signer: key, Chain: []*x509.Certificate{certificate}})
}

// CertifyUser issues a certificate for a key that lives elsewhere, from a PKCS #10
// request in DER. Of the request only the key is believed. The certificate is not kept.
func (a *Authority) CertifyUser(request []byte, user User) ([]*x509.Certificate, error) {
	p, err := a.userProfile(user)
	if err != nil {
		return nil, fmt.Errorf("certify user: %w", err)
	}
	chain, err := a.issue(request, p)
	if err != nil {
		return nil, fmt.Errorf("certify user: %w", err)
	}
	return chain, nil
}

func (a *Authority) issue(der []byte, p profile) ([]*x509.Certificate, error) {
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if err := request.CheckSignature(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if !acceptable(request.PublicKey) {
		return nil, fmt.Errorf("kind or length of the key: %w", ErrRequest)
	}
	if err := a.valid(); err != nil {
		return nil, err
	}
	now := a.now().UTC().Truncate(time.Second)
	root := a.Certificate()
	template, err := p.template(a.url)
	if err != nil {
		return nil, err
	}
	if template.SerialNumber, err = a.serial(); err != nil {
		return nil, err
	}
	if template.SubjectKeyId, err = keyID(request.RawSubjectPublicKeyInfo); err != nil {
		return nil, err
	}
	template.NotBefore, template.NotAfter = now.Add(-clockSkew), now.Add(a.lives[p.kind])
	if template.NotAfter.After(root.NotAfter) {
		template.NotAfter = root.NotAfter
	}
	issued, err := x509.CreateCertificate(a.rand, template, root, request.PublicKey, a.ca.Signer)
	if err != nil {
		return nil, fmt.Errorf("issue certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(issued)
	if err != nil {
		return nil, fmt.Errorf("issue certificate: %w", err)
	}
	return []*x509.Certificate{leaf, root}, nil
}

// valid says whether the authority's own certificate has not ended.
func (a *Authority) valid() error {
	if a.now().After(a.Certificate().NotAfter) {
		return ErrExpired
	}
	return nil
}

// acceptable are the keys that package cms signs with.
func acceptable(public crypto.PublicKey) bool {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		return key.Curve == elliptic.P256() || key.Curve == elliptic.P384() || key.Curve == elliptic.P521()
	case *rsa.PublicKey:
		return key.N.BitLen() >= 2048 && key.N.BitLen() <= 4096
	case ed25519.PublicKey:
		return true
	}
	return false
}

// record is a stored identity: certificates in the clear, the key encrypted.
type record struct {
	Version int      `json:"version"`
	Chain   [][]byte `json:"chain"`
	Key     []byte   `json:"key"`
}

// load reads an identity and proves that its key and its certificate belong together.
func (a *Authority) load(ctx context.Context, name string) (*Identity, error) {
	value, err := a.keeper.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	return a.decode(name, value)
}

func (a *Authority) decode(name string, value []byte) (*Identity, error) {
	var r record
	if err := json.Unmarshal(value, &r); err != nil || r.Version != 1 || len(r.Chain) == 0 {
		return nil, fmt.Errorf("record %s: %w", name, ErrCorrupt)
	}
	identity := &Identity{}
	for _, der := range r.Chain {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("record %s: %w", name, ErrCorrupt)
		}
		identity.Chain = append(identity.Chain, certificate)
	}
	var err error
	if identity.Signer, err = a.vault.decryptKey(r.Key, name); err != nil {
		return nil, fmt.Errorf("record %s: %w", name, err)
	}
	public, ok := identity.Signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(identity.Chain[0].PublicKey) {
		return nil, fmt.Errorf("record %s: key of another certificate: %w", name, ErrCorrupt)
	}
	return identity, nil
}

// store keeps an identity, or returns the one that another process kept first.
func (a *Authority) store(ctx context.Context, name string, identity *Identity) (*Identity, error) {
	r := record{Version: 1}
	for _, certificate := range identity.Chain {
		r.Chain = append(r.Chain, certificate.Raw)
	}
	var err error
	if r.Key, err = a.vault.encryptKey(identity.Signer, name); err != nil {
		return nil, fmt.Errorf("record %s: %w", name, err)
	}
	value, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", name, err)
	}
	stored, err := a.keeper.PutIfAbsent(ctx, name, value)
	if err != nil {
		return nil, err
	}
	return a.decode(name, stored)
}
