// Package directory knows the customers, their keys and external systems, users and
// roles, and who wants which events.
//
// It promises that an envelope leaves it with every person, provider and text of its
// process decided, or with a refusal that says what to change; that a customerCode is
// kept as a digest only; and that its copy for the other services, a key-value bucket,
// comes to agree with its tables whatever happens in between. It does not know
// documents and does not run processes.
package directory

import (
	"context"
	"crypto/rand"
	"embed"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/provider"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/subjects"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate creates the tables that the service needs.
func Migrate(ctx context.Context, db *store.DB) error {
	if err := bus.Migrate(ctx, db); err != nil {
		return err
	}
	return db.Migrate(ctx, subjects.Directory, migrations)
}

// Options are what a [Service] works with. DB, Conn, JS, Publisher and Log are required.
type Options struct {
	DB        *store.DB
	Conn      *nats.Conn
	JS        jetstream.JetStream
	Publisher *bus.Publisher
	Log       *slog.Logger
	Metrics   *bus.Metrics
	// Providers can be named by tasks; the first is for tasks that name none. Default:
	// the signature book alone.
	Providers []provider.Capabilities
	// AllowHTTP admits subscriptions whose address is not https.
	AllowHTTP bool
	// Replicas is the number of servers that keep the bucket; default 1.
	Replicas int
	// ReconcileEvery is the pause between two comparisons of bucket and tables; default a minute.
	ReconcileEvery time.Duration
	// Now, NewID and Random default to the real ones.
	Now    func() time.Time
	NewID  func() string
	Random io.Reader
}

// Service is the directory. Its methods need the tables of [Migrate].
type Service struct {
	Options
	outbox *bus.Outbox
	nudge  chan struct{}
	// publishing keeps two changes of one process from being published in the wrong order.
	publishing sync.Mutex
}

// New returns a directory.
func New(o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.NewID == nil {
		o.NewID = bus.NewID
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.ReconcileEvery == 0 {
		o.ReconcileEvery = time.Minute
	}
	if len(o.Providers) == 0 {
		o.Providers = []provider.Capabilities{provider.SignatureBook(false)}
	}
	o.Log = o.Log.With("service", subjects.Directory)
	return &Service{
		Options: o,
		outbox:  bus.NewOutbox(o.DB, subjects.Directory, o.Publisher, o.Log),
		nudge:   make(chan struct{}, 1),
	}
}

// Run runs everything that the service owns until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.outbox.Run(ctx) })
	group.Go(func() error { return s.stage().Run(ctx) })
	group.Go(func() error { return s.keepBucket(ctx) })
	group.Go(func() error { return bus.Serve(ctx, s.Conn, subjects.Directory, s.Log, s.verbs()) })
	return group.Wait()
}

func (s *Service) stage() *bus.Stage {
	return &bus.Stage{
		Service: subjects.Directory, Name: subjects.Directory,
		Stream: subjects.StreamWork, Subjects: []string{subjects.WorkOf(subjects.Directory)},
		DB: s.DB, JS: s.JS, Outbox: s.outbox, Metrics: s.Metrics, Log: s.Log, Now: s.Now,
		Apply: s.apply, GiveUp: s.giveUp,
	}
}
