package revocation

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	// maxChain bounds a completed chain, maxAddresses how many of a certificate's addresses of one kind are tried.
	maxChain     = 10
	maxAddresses = 3
	// Skew is how far the clocks of authorities may be ahead of ours.
	Skew = 5 * time.Minute
	// keepIssuer is how long a fetched issuer's certificate is used before it is fetched again.
	keepIssuer = 24 * time.Hour
)

// Options say how a Collector reaches the authorities.
type Options struct {
	// HTTP sends the requests; a client of its own when nil. The addresses come out of
	// certificates, so where those come from outside, its dialer must refuse what is not
	// public. Redirects are never followed.
	HTTP *http.Client
	// Known are certificates that may complete a chain before its issuers are fetched.
	Known []*x509.Certificate
	// Nonce asks responders for an answer made now. One with another nonce is refused; one
	// without is taken, since many responders sign in advance.
	Nonce bool
	// Timeout bounds one exchange, and six of it a whole collection; 10 seconds when zero.
	Timeout time.Duration
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Rand gives nonces; crypto/rand when nil.
	Rand io.Reader
}

// Collector asks the authorities that certificates name: OCSP first, then CRLs, each kept
// until its nextUpdate. It is safe for concurrent use.
type Collector struct {
	options Options
	http    http.Client
	cache   cache
}

var _ Source = (*Collector)(nil)

// NewCollector makes a collector.
func NewCollector(options Options) *Collector {
	if options.Timeout <= 0 {
		options.Timeout = 10 * time.Second
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Rand == nil {
		options.Rand = rand.Reader
	}
	c := &Collector{options: options, cache: cache{entries: map[string]cached{}}}
	if options.HTTP != nil {
		c.http = *options.HTTP
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

// Collect implements Source. Issuers that the chain lacks are fetched.
func (c *Collector) Collect(ctx context.Context, chain []*x509.Certificate, at time.Time) (Data, error) {
	outer := ctx
	ctx, cancel := context.WithTimeout(ctx, 6*c.options.Timeout)
	defer cancel()
	data, err := c.collect(ctx, chain, at)
	if err != nil && outer.Err() != nil {
		err = outer.Err()
	}
	if err != nil {
		return Data{}, fmt.Errorf("collect revocation information: %w", err)
	}
	return data, nil
}

func (c *Collector) collect(ctx context.Context, chain []*x509.Certificate, at time.Time) (Data, error) {
	chain, err := c.complete(ctx, chain)
	if err != nil {
		return Data{}, err
	}
	var data Data
	data.addCertificates(chain...)
	for i, cert := range chain[:len(chain)-1] {
		if err := c.one(ctx, &data, cert, chain[i+1], at, 0); err != nil {
			return Data{}, err
		}
	}
	return data, nil
}

// complete checks that each certificate is signed by the next and adds issuers up to a self-issued one.
func (c *Collector) complete(ctx context.Context, chain []*x509.Certificate) ([]*x509.Certificate, error) {
	if len(chain) == 0 || len(chain) > maxChain {
		return nil, fmt.Errorf("%d certificates: %w", len(chain), ErrChain)
	}
	full := chain[:1:1]
	for {
		last := full[len(full)-1]
		var next *x509.Certificate
		switch {
		case len(full) < len(chain):
			next = chain[len(full)]
			if err := signed(last, next); err != nil {
				return nil, fmt.Errorf("certificate %s: %w: %w", serial(last), ErrChain, err)
			}
		case bytes.Equal(last.RawIssuer, last.RawSubject):
			return full, nil
		case len(full) == maxChain:
			return nil, fmt.Errorf("more than %d certificates: %w", maxChain, ErrChain)
		default:
			var err error
			if next, err = c.issuer(ctx, last); err != nil {
				return nil, err
			}
		}
		full = append(full, next)
	}
}

func signed(cert, issuer *x509.Certificate) error {
	if !bytes.Equal(cert.RawIssuer, issuer.RawSubject) {
		return errors.New("the next certificate is not its issuer's")
	}
	return cert.CheckSignatureFrom(issuer)
}

// issuer finds the certificate of a certificate's issuer: among those known, or where the certificate says.
func (c *Collector) issuer(ctx context.Context, cert *x509.Certificate) (*x509.Certificate, error) {
	for _, known := range c.options.Known {
		if signed(cert, known) == nil {
			return known, nil
		}
	}
	errs := []error{fmt.Errorf("issuer of certificate %s is not there; give the whole chain: %w", serial(cert), ErrUnavailable)}
	for _, address := range cert.IssuingCertificateURL[:min(len(cert.IssuingCertificateURL), maxAddresses)] {
		now := c.options.Now()
		der := c.cache.get(address, now)
		if der == nil {
			var err error
			if der, err = c.fetch(ctx, address, nil, maxCertificates); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		list, err := readCertificates(der)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, candidate := range list {
			if signed(cert, candidate) == nil {
				c.cache.put(address, der, now.Add(keepIssuer), now)
				return candidate, nil
			}
		}
		errs = append(errs, errors.New("issuer's certificate: is that of another"))
	}
	return nil, errors.Join(errs...)
}

// one adds what proves that a certificate is good, or returns why it cannot be.
func (c *Collector) one(ctx context.Context, data *Data, cert, issuer *x509.Certificate, at time.Time, depth int) error {
	if Exempt(cert) {
		return nil
	}
	if depth >= maxDepth {
		return fmt.Errorf("certificate %s: its status hangs on itself: %w", serial(cert), ErrUnavailable)
	}
	var errs []error
	for _, address := range cert.OCSPServer[:min(len(cert.OCSPServer), maxAddresses)] {
		a, err := c.askOCSP(ctx, address, cert, issuer)
		if err == nil && a.responder != nil {
			// Whoever answers in the issuer's name must not be revoked himself.
			err = ofResponder(c.one(ctx, data, a.responder, issuer, a.producedAt, depth+1))
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if a.responder != nil {
			data.addCertificates(a.responder)
		}
		data.OCSPs = union(data.OCSPs, [][]byte{a.der})
		return a.status(cert, at).Err()
	}
	for _, address := range cert.CRLDistributionPoints[:min(len(cert.CRLDistributionPoints), maxAddresses)] {
		a, err := c.askCRL(ctx, address, cert, issuer)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		data.CRLs = union(data.CRLs, [][]byte{a.der})
		return a.status(cert, at).Err()
	}
	err := errors.Join(errs...)
	switch {
	case err == nil:
		return fmt.Errorf("certificate %s names nobody who could answer: %w", serial(cert), ErrUnavailable)
	case errors.Is(err, ErrUnknown):
		return fmt.Errorf("certificate %s: %w", serial(cert), err)
	}
	return fmt.Errorf("certificate %s: %w: %w", serial(cert), ErrUnavailable, err)
}

func (c *Collector) askOCSP(ctx context.Context, address string, cert, issuer *x509.Certificate) (*answer, error) {
	both := sha256.Sum256(append(bytes.Clone(cert.Raw), issuer.Raw...))
	return c.ask(address+"\n"+string(both[:]), func(der []byte) (*answer, error) { return readOCSP(der, cert, issuer) },
		func() ([]byte, error) { return c.fetchOCSP(ctx, address, cert, issuer) })
}

func (c *Collector) askCRL(ctx context.Context, address string, cert, issuer *x509.Certificate) (*answer, error) {
	return c.ask(address, func(der []byte) (*answer, error) { return readCRL(der, cert, issuer) },
		func() ([]byte, error) { return c.fetch(ctx, address, nil, maxCRL) })
}

// ask takes an answer from the cache or fetches it; either way it is verified and holds now.
func (c *Collector) ask(key string, read func([]byte) (*answer, error), fetch func() ([]byte, error)) (*answer, error) {
	now := c.options.Now()
	if der := c.cache.get(key, now); der != nil {
		if a, err := read(der); err == nil {
			return a, nil
		}
	}
	der, err := fetch()
	if err != nil {
		return nil, err
	}
	a, err := read(der)
	if err != nil {
		return nil, err
	}
	if a.thisUpdate.After(now.Add(Skew)) {
		return nil, fmt.Errorf("answer is from the future, %s", a.thisUpdate.UTC().Format(time.RFC3339))
	}
	if err := a.fits(now.Add(-Skew)); err != nil {
		return nil, err
	}
	c.cache.put(key, a.der, a.until(), now)
	return a, nil
}
