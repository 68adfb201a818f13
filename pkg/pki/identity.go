package pki

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
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

// User returns a person's key and certificate, made on first use and again when a
// third of its time is left or it was revoked. Whoever asks at the same time gets the same one.
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
	fresh, err := a.fresh(ctx, p, e.identity)
	if err == nil && !fresh {
		err = a.refresh(ctx, p, e)
	}
	if err != nil {
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

// refresh goes to the last of the numbered identities of a record, and adds one when that
// is not fresh. Numbers are never reused, so two processes that renew at once agree on the next.
func (a *Authority) refresh(ctx context.Context, p profile, e *entry) error {
	for {
		if err := a.last(ctx, p, e); err != nil {
			return err
		}
		fresh, err := a.fresh(ctx, p, e.identity)
		if err != nil || fresh {
			return err
		}
		identity, err := a.create(p)
		if err == nil {
			identity, err = a.store(ctx, numbered(p.record, e.number+1), identity)
		}
		if err != nil {
			return err
		}
		e.identity, e.number = identity, e.number+1
	}
}

// last finds the highest number, in as many look-ups as it has binary digits: the step
// doubles as long as there is one, and halves when there is none.
func (a *Authority) last(ctx context.Context, p profile, e *entry) error {
	number, value := e.number, []byte(nil)
	for step, found := 1, true; step > 0; {
		next, err := a.keeper.Get(ctx, numbered(p.record, number+step))
		switch {
		case err == nil:
			number, value = number+step, next
			if found {
				step *= 2
			} else {
				step /= 2
			}
		case errors.Is(err, ErrNotFound):
			found = false
			step /= 2
		default:
			return err
		}
	}
	if number == e.number {
		return nil
	}
	identity, err := a.decode(numbered(p.record, number), value)
	if err != nil {
		return err
	}
	e.identity, e.number = identity, number
	return nil
}

func numbered(record string, number int) string { return fmt.Sprintf("%s.%d", record, number) }

// fresh certificates have more than a third of their time left, or end with the authority:
// renewing would not lengthen those. They are not revoked, and answers about them can be
// found: their number is provably ours, and they name the addresses that hold today.
func (a *Authority) fresh(ctx context.Context, p profile, identity *Identity) (bool, error) {
	if identity == nil {
		return false, nil
	}
	leaf, now := identity.Chain[0], a.now()
	if revoked, err := a.isRevoked(ctx, leaf); err != nil || revoked {
		return false, err
	}
	if !a.Issued(leaf.SerialNumber) || !a.names(p, leaf) {
		return false, nil
	}
	third := leaf.NotAfter.Sub(leaf.NotBefore) / 3
	return now.Add(third).Before(leaf.NotAfter) || (leaf.NotAfter.Equal(a.Certificate().NotAfter) && !now.After(leaf.NotAfter)), nil
}

// names says whether a certificate names the addresses that one issued today would.
func (a *Authority) names(p profile, leaf *x509.Certificate) bool {
	today, err := p.template(a.url)
	return err == nil && slices.Equal(today.OCSPServer, leaf.OCSPServer) &&
		slices.Equal(today.CRLDistributionPoints, leaf.CRLDistributionPoints) &&
		slices.Equal(today.IssuingCertificateURL, leaf.IssuingCertificateURL)
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
