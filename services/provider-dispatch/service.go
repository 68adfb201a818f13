// Package providerdispatch drives envelopes: it takes commands, answers of providers and
// the passing of time to the process engine (package process), keeps the state that comes
// out of it, gives jobs to providers and tells what happened.
//
// It promises that state, journal entries and outgoing messages of one input commit in one
// transaction; that every operation handed to it, here or as a refusal of an earlier
// stage, ends in exactly one OperationDone; that OperationDone comes before the events
// that its operation caused; and that an input has its effect once however often it
// arrives. Any number of processes may share one database.
//
// It does not look at documents or people: what arrives has been checked by the stages
// before. It does not know whether a user may give a command beyond this rule: an envelope
// obeys the secretary who loaded it. It never waits for a provider.
package providerdispatch

import (
	"context"
	"embed"
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/journal"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/subjects"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate creates the tables of this service. Those of the bus and of the journal must be
// created too (bus.Migrate, journal.Migrate).
func Migrate(ctx context.Context, db *store.DB) error {
	return db.Migrate(ctx, "dispatch", migrations)
}

// Options are what the service works with. The fields from Metrics on have defaults; the
// others are required.
type Options struct {
	DB        *store.DB
	Conn      *nats.Conn
	JS        jetstream.JetStream
	Publisher *bus.Publisher
	Log       *slog.Logger
	// Metrics counts the messages taken; Registerer takes the service's own metrics.
	Metrics    *bus.Metrics
	Registerer prometheus.Registerer
	// ExpiryInterval is how often envelopes are looked for whose time has passed; default
	// one second.
	ExpiryInterval time.Duration

	Now   func() time.Time
	NewID func() string
}

// defaultExpiryInterval is how late an envelope can expire.
const defaultExpiryInterval = time.Second

// Service is the provider dispatch.
type Service struct {
	opts    Options
	db      *store.DB
	log     *slog.Logger
	now     func() time.Time
	newID   func() string
	outbox  *bus.Outbox
	journal *journal.Journal
	metrics *metrics
	// facts are those of the batch under way, by message. Only the stage touches them.
	facts map[string][]fact
}

// New makes the service. Its tables must exist (see [Migrate]).
func New(opts Options) (*Service, error) {
	if opts.DB == nil || opts.Conn == nil || opts.JS == nil || opts.Publisher == nil || opts.Log == nil {
		return nil, errors.New("new provider dispatch: database, NATS, publisher and log are required")
	}
	if opts.ExpiryInterval < 0 {
		return nil, errors.New("new provider dispatch: the expiry interval must be positive")
	}
	if opts.ExpiryInterval == 0 {
		opts.ExpiryInterval = defaultExpiryInterval
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.NewID == nil {
		opts.NewID = bus.NewID
	}
	log := opts.Log.With("service", subjects.ProviderDispatch)
	return &Service{
		opts: opts, db: opts.DB, log: log, now: opts.Now, newID: opts.NewID,
		outbox:  bus.NewOutbox(opts.DB, subjects.ProviderDispatch, opts.Publisher, log),
		journal: journal.New(opts.DB, opts.Publisher, log, opts.Now, opts.NewID),
		metrics: newMetrics(opts.Registerer),
		facts:   map[string][]fact{},
	}, nil
}

// Run does all that the service does until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.outbox.Run(ctx) })
	group.Go(func() error { return s.journal.Run(ctx) })
	group.Go(func() error { return s.stage().Run(ctx) })
	group.Go(func() error { return s.watchClock(ctx) })
	group.Go(func() error { return bus.Every(ctx, countInterval, s.log, "count open envelopes", s.countOpen) })
	group.Go(func() error {
		return bus.Serve(ctx, s.opts.Conn, subjects.ProviderDispatch, s.log, s.verbs())
	})
	return group.Wait()
}

// countInterval is how old the number of open envelopes can be.
const countInterval = 15 * time.Second
