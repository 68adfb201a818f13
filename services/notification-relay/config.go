package relay

import (
	"errors"
	"fmt"
	"time"

	"signbus.dev/services/notification-relay/webhook"
)

// Config is how the relay behaves. [Default] gives the documented values.
type Config struct {
	// Schedule is the published retry schedule.
	Schedule webhook.Schedule
	// PerEndpoint bounds the tries under way to one endpoint, PerCustomer those to all of a
	// customer's, Total those of this process.
	PerEndpoint, PerCustomer, Total int
	// Breaker says when an endpoint pauses and when it is given up.
	Breaker Breaker
	// Lease is how long a claimed delivery stays with a process that shows no more sign of
	// life; a living one renews its claims.
	Lease time.Duration
	// Grace is how long a stopping relay waits for tries under way before it breaks them off.
	Grace time.Duration
	// Poll is how late work that another process left behind is found.
	Poll time.Duration
	// Retention is how long deliveries are kept after they have ended.
	Retention time.Duration
}

// Breaker keeps a failing endpoint from being tried for every delivery that waits for it.
type Breaker struct {
	// Failures in a row open it; any success closes it.
	Failures int
	// Pause is the first pause; each further one is twice as long, up to MaxPause. After a
	// pause one delivery alone probes the endpoint.
	Pause, MaxPause time.Duration
	// DisableAfter is how long an endpoint may fail without one success before it is
	// disabled and its deliveries end.
	DisableAfter time.Duration
}

// Default returns the documented configuration.
func Default() Config {
	return Config{
		Schedule:    webhook.DefaultSchedule(),
		PerEndpoint: 8,
		PerCustomer: 64,
		Total:       256,
		Breaker: Breaker{
			Failures: 5, Pause: 5 * time.Second, MaxPause: 15 * time.Minute, DisableAfter: 5 * 24 * time.Hour,
		},
		Lease:     10 * time.Second,
		Grace:     5 * time.Second,
		Poll:      time.Second,
		Retention: 30 * 24 * time.Hour,
	}
}

// Validate reports every value that can't be used.
func (c Config) Validate() error {
	errs := []error{c.Schedule.Validate()}
	check := func(ok bool, what string) {
		if !ok {
			errs = append(errs, errors.New(what))
		}
	}
	check(c.PerEndpoint > 0 && c.PerCustomer > 0 && c.Total > 0, "concurrency per endpoint, per customer and in total must be at least 1")
	check(c.Breaker.Failures > 0, "the breaker needs at least 1 failure")
	check(c.Breaker.Pause > 0 && c.Breaker.MaxPause >= c.Breaker.Pause, "the longest pause must not be shorter than the first, and that not zero")
	check(c.Breaker.DisableAfter > 0, "the time after which an endpoint is disabled must be positive")
	check(c.Lease > 0 && c.Grace >= 0 && c.Poll > 0 && c.Retention > 0, "lease, poll and retention must be positive, grace not negative")
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("configure notification relay: %w", err)
	}
	return nil
}

// pause is how long an endpoint rests after so many pauses in a row, with jitter so that
// endpoints which failed together are not probed together.
func (b Breaker) pause(pauses int64, random func() float64) time.Duration {
	d := b.Pause
	for range min(pauses, 32) {
		if d *= 2; d >= b.MaxPause {
			d = b.MaxPause
			break
		}
	}
	return d + time.Duration(float64(d)*webhook.Jitter*random())
}
