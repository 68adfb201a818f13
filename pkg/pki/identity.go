package pki

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
)

// maxCached bounds the memory of the cache; an identity has about four kilobytes.
const maxCached = 4096

// entry is one cached identity; its lock makes users of one certificate wait for each other and for nobody else.
type entry struct {
	mu       sync.Mutex
	identity *Identity
	number   int // Which identity of its record this is.
}

// User returns a person's key and certificate, made on first use and again when
// less than 30 days are left. Whoever asks at the same time gets the same one.
func (a *Authority) User(ctx context.Context, user User) (*Identity, error) {
	p, err := a.userProfile(user)
	if err != nil {
		return nil, fmt.Errorf("certificate of a user: %w", err)
	}
	return a.identity(ctx, p)
}

// Seal returns the key and certificate of an organisation's seals, made and renewed like a user's.
func (a *Authority) Seal(ctx context.Context, organisation Organisation) (*Identity, error) {
	p, err := a.sealProfile(organisation)
	if err != nil {
		return nil, fmt.Errorf("certificate of a seal: %w", err)
	}
	return a.identity(ctx, p)
}

// TSA returns the key and certificate of the time-stamp authority, made and renewed like a user's.
func (a *Authority) TSA(ctx context.Context) (*Identity, error) { return a.identity(ctx, tsaProfile()) }

func (a *Authority) identity(ctx context.Context, p profile) (*Identity, error) {
	e := a.entry(p.record)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.identity != nil && a.fresh(e.identity) {
		return e.identity, nil
	}
	if err := a.refresh(ctx, p, e); err != nil {
		return nil, fmt.Errorf("certificate %s: %w", p.record, err)
	}
	return e.identity, nil
}

// entry finds or makes a place in the cache. A full cache loses some place; who
// holds it still works, since the Keeper and not the cache decides.
func (a *Authority) entry(record string) *entry {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e, ok := a.cache[record]; ok {
		return e
	}
	for other := range a.cache {
		if len(a.cache) < maxCached {
			break
		}
		delete(a.cache, other)
	}
	e := &entry{}
	a.cache[record] = e
	return e
}

// refresh walks the numbered identities of a record to the last, and adds one
// when that is not fresh. There is about one a year, so the walk is short; numbers
// are never reused, so two processes that renew at once agree on the next.
func (a *Authority) refresh(ctx context.Context, p profile, e *entry) error {
	for {
		next := numbered(p.record, e.number+1)
		identity, err := a.load(ctx, next)
		if errors.Is(err, ErrNotFound) {
			if e.identity != nil && a.fresh(e.identity) {
				return nil
			}
			if identity, err = a.create(p); err == nil {
				identity, err = a.store(ctx, next, identity)
			}
		}
		if err != nil {
			return err
		}
		e.identity, e.number = identity, e.number+1
	}
}

func numbered(record string, number int) string { return fmt.Sprintf("%s.%d", record, number) }

// fresh certificates have 30 days left, or end with the authority: renewing would not lengthen those.
func (a *Authority) fresh(identity *Identity) bool {
	now, end := a.now(), identity.Chain[0].NotAfter
	return now.Add(renewBefore).Before(end) || (end.Equal(a.Certificate().NotAfter) && !now.After(end))
}

// create makes the key, and the request where the key lives, as any other holder of a key would.
func (a *Authority) create(p profile) (*Identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), a.rand)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	request, err := x509.CreateCertificateRequest(a.rand, &x509.CertificateRequest{Subject: p.subject}, key)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	chain, err := a.issue(request, p)
	if err != nil {
		return nil, err
	}
	return &Identity{Signer: key, Chain: chain}, nil
}
