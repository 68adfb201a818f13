// Package intake takes commands in charge. It reads them from the queue, takes
// them over HTTP, checks everything that can be checked without looking further, moves
// document bytes into the blob store, and hands the command over. Commands for one
// envelope run one after the other in the order of their acceptance, so a caller need
// not wait for one to end before it sends the next.
//
// It promises that what it acknowledged ends in exactly one OperationDone, and that an
// operation id means one operation. It does not know documents, users or processes.
package intake

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

	"signbus.dev/pkg/blob"
	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/subjects"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate creates the tables of this service.
func Migrate(ctx context.Context, db *store.DB) error {
	return db.Migrate(ctx, subjects.Intake, migrations)
}

// Options are what the service works with. All are required except where a default is
// named.
type Options struct {
	DB        *store.DB
	Conn      *nats.Conn
	JS        jetstream.JetStream
	Publisher *bus.Publisher
	Blobs     blob.Store
	Log       *slog.Logger
	// MaxBody bounds an HTTP body in bytes; default 64 MiB.
	MaxBody int64
	// Wait bounds how long a synchronous call waits for its outcome; default 30 s.
	Wait time.Duration
	// Registerer takes the metrics; default none.
	Registerer prometheus.Registerer
	// Metrics counts the stages' work; default none.
	Metrics *bus.Metrics
	// Now and NewID default to the real ones.
	Now   func() time.Time
	NewID func() string
}

const (
	defaultMaxBody = 64 << 20
	defaultWait    = 30 * time.Second
)

// Service is the intake service.
type Service struct {
	Options
	outbox    *bus.Outbox
	customers *customers
	packer    *packer
	waiters   *waiters
	metrics   *metrics
}

// New returns the service; Run runs it.
func New(o Options) *Service {
	if o.MaxBody == 0 {
		o.MaxBody = defaultMaxBody
	}
	if o.Wait == 0 {
		o.Wait = defaultWait
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.NewID == nil {
		o.NewID = bus.NewID
	}
	o.Log = o.Log.With("service", subjects.Intake)
	return &Service{
		Options:   o,
		outbox:    bus.NewOutbox(o.DB, subjects.Intake, o.Publisher, o.Log),
		customers: newCustomers(bus.NewReadModel[handover.Customer](o.JS, handover.BucketDirectory, handover.KeyCustomer, o.Log, nil)),
		packer:    newPacker(o.Publisher),
		waiters:   newWaiters(),
		metrics:   newMetrics(o.Registerer),
	}
}

// Run runs the service until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.outbox.Run(ctx) })
	group.Go(func() error { return s.customers.model.Run(ctx) })
	group.Go(func() error { return s.packer.run(ctx) })
	group.Go(func() error { return s.followOutcomes(ctx) })
	group.Go(func() error { return s.outcomeStage().Run(ctx) })
	group.Go(func() error {
		return bus.Every(ctx, time.Hour, s.Log, "forget old operations", func(ctx context.Context) error {
			return pruneOperations(ctx, s.DB, s.Now())
		})
	})
	group.Go(func() error {
		// Without the customers every command would look like nobody's.
		select {
		case <-s.customers.model.Ready():
		case <-ctx.Done():
			return nil
		}
		inner, ctx := errgroup.WithContext(ctx)
		inner.Go(func() error { return s.commandStage().Run(ctx) })
		inner.Go(func() error { return s.packStage().Run(ctx) })
		inner.Go(func() error { return s.serveQueries(ctx) })
		return inner.Wait()
	})
	return group.Wait()
}

// errNotReady says that the service has not read the customers yet.
var errNotReady = errors.New("intake: the directory is not read yet")

// Ready says whether the service can take commands.
func (s *Service) Ready(ctx context.Context) error {
	select {
	case <-s.customers.model.Ready():
	default:
		return errNotReady
	}
	if !s.Conn.IsConnected() {
		return errors.New("intake: not connected to NATS")
	}
	return s.DB.Ping(ctx)
}

type metrics struct {
	accepted *prometheus.CounterVec
	refused  *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		accepted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signbus_commands_accepted_total", Help: "Commands taken in charge, by command.",
		}, []string{"command"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signbus_commands_refused_total", Help: "Commands that intake refused, by code.",
		}, []string{"code"}),
	}
	if reg != nil {
		reg.MustRegister(m.accepted, m.refused)
	}
	return m
}
