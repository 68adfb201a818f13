package tsp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// ErrPaused means that an authority failed and is not asked again yet.
var ErrPaused = errors.New("paused after failures")

// PoolOptions says which authorities are asked and how long one that fails is left alone.
type PoolOptions struct {
	// Authorities are asked in this order; each has its own timeout and its own trust.
	Authorities []ClientOptions
	// Pause is how long an authority is skipped after its first failure, one second when zero.
	// It doubles with each further failure, up to LongestPause, five minutes when zero.
	Pause, LongestPause time.Duration
	// Observe is told how each request ended, nil for well; it must not block.
	Observe func(host string, took time.Duration, err error)
	// Now is the clock; time.Now when nil. It is the clock of clients that have none.
	Now func() time.Time
}

// Pool gets tokens from the first of several authorities that gives one. An authority that
// fails, refuses or answers nonsense is skipped for a while, and then asked by one caller
// before the others come back to it. Nothing takes the place of a token: when no authority
// gives one, that is ErrUnavailable. A Pool is safe for concurrent use.
type Pool struct {
	options PoolOptions
	members []*member
}

// member is one authority and how it has been.
type member struct {
	client *Client

	mu       sync.Mutex
	failures int
	until    time.Time
	probing  bool
}

// NewPool makes a pool.
func NewPool(options PoolOptions) (*Pool, error) {
	if len(options.Authorities) == 0 {
		return nil, errors.New("time-stamp pool: no authorities")
	}
	if options.Pause <= 0 {
		options.Pause = time.Second
	}
	if options.LongestPause <= 0 {
		options.LongestPause = 5 * time.Minute
	}
	if options.Observe == nil {
		options.Observe = func(string, time.Duration, error) {}
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	p := &Pool{options: options}
	for _, authority := range options.Authorities {
		if authority.Now == nil {
			authority.Now = options.Now
		}
		client, err := NewClient(authority)
		if err != nil {
			return nil, err
		}
		p.members = append(p.members, &member{client: client})
	}
	return p, nil
}

// Timestamp gets a token over a signature value; it fits cms.Request. When every authority
// fails the error is ErrUnavailable and names their hosts, with what each failed by.
func (p *Pool) Timestamp(ctx context.Context, signatureValue []byte) ([]byte, error) {
	return p.first(ctx, func(c *Client) []byte { return c.digest(signatureValue) })
}

// TimestampDigest gets a token over a SHA-256 digest, as Timestamp does over a value.
func (p *Pool) TimestampDigest(ctx context.Context, digest []byte) ([]byte, error) {
	return p.first(ctx, func(*Client) []byte { return digest })
}

// first returns the token of the first authority that gives one.
func (p *Pool) first(ctx context.Context, digest func(*Client) []byte) ([]byte, error) {
	failed := &poolError{}
	for _, m := range p.members {
		token, err := p.ask(ctx, m, digest(m.client))
		if err == nil {
			return token, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("time-stamp: %w", ctx.Err())
		}
		failed.add(m.client.Host(), err)
	}
	return nil, failed
}

func (p *Pool) ask(ctx context.Context, m *member, digest []byte) ([]byte, error) {
	probe, err := m.enter(p.options.Now())
	if err != nil {
		return nil, err
	}
	if probe {
		defer m.leave() // also when the client panics
	}
	start := p.options.Now()
	token, err := m.client.ask(ctx, digest)
	now := p.options.Now()
	if err != nil && ctx.Err() != nil {
		return nil, err // The caller went away; the authority is not to blame.
	}
	p.options.Observe(m.client.Host(), now.Sub(start), err)
	if err != nil {
		m.fail(probe, now, p.options.Pause, p.options.LongestPause)
		return nil, err
	}
	m.succeed()
	return token, nil
}

// enter refuses while an authority pauses, and lets one caller through at the end of a pause,
// who has to leave.
func (m *member) enter(now time.Time) (probe bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failures == 0 {
		return false, nil
	}
	if m.probing || now.Before(m.until) {
		return false, fmt.Errorf("%w until %s", ErrPaused, m.until.UTC().Format(time.RFC3339))
	}
	m.probing = true
	return true, nil
}

func (m *member) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.probing = false
}

func (m *member) succeed() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failures = 0
}

// fail counts once for all requests that were under way when the pause began.
func (m *member) fail(probe bool, now time.Time, first, longest time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failures > 0 && !probe {
		return
	}
	pause := first
	for range m.failures {
		if pause = min(2*pause, longest); pause == longest {
			break
		}
	}
	m.failures, m.until = m.failures+1, now.Add(min(pause, longest))
}

// poolError is an ErrUnavailable that keeps what each authority failed by.
type poolError struct {
	text   strings.Builder
	causes []error
}

func (e *poolError) add(host string, err error) {
	_, _ = fmt.Fprintf(&e.text, "; %s: %s", host, err)
	e.causes = append(e.causes, err)
}

// Error names hosts and no addresses: an address can hold a password.
func (e *poolError) Error() string {
	return "time-stamp: none of the authorities gave one" + e.text.String()
}

// Unwrap makes the error an ErrUnavailable beside its causes.
func (e *poolError) Unwrap() []error { return append([]error{ErrUnavailable}, e.causes...) }
