// Package documentstore keeps the documents of envelopes: what they are, their versions
// and where actions show on their pages.
//
// It promises that a document which gets past it can be read and signed where the
// request says, that a file it refuses costs little time and memory however it was
// made, and that what is refused leaves neither rows nor bytes behind. It does not sign,
// does not know people and never changes a document.
package documentstore

import (
	"context"
	"embed"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"signbus.dev/pkg/blob"
	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/pdf"
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
	return db.Migrate(ctx, "document", migrations)
}

// Options are what a [Service] works with. DB, Conn, JS, Publisher, Blobs and Log are required.
type Options struct {
	DB        *store.DB
	Conn      *nats.Conn
	JS        jetstream.JetStream
	Publisher *bus.Publisher
	Blobs     blob.Store
	Log       *slog.Logger
	Metrics   *bus.Metrics
	// Limits bounds what a document may cost; zero fields take the defaults of [pdf.Limits].
	Limits pdf.Limits
	// Inspections bounds the documents that are inspected at once; default one for each
	// processor. It also bounds the memory that documents can take.
	Inspections int
	// MaxPlaces bounds the places on pages of one envelope; default 10,000. All of them
	// travel in one message.
	MaxPlaces int
	// ScopeAge is how old bytes without documents must be to be swept away; default 7 days.
	ScopeAge time.Duration
	// BlobAge is the same for single blobs that are no version of a document; default 7 days: a
	// signed result may wait that long in an outbox while its service is down.
	BlobAge time.Duration
	// SweepEvery is the pause between two sweeps; default an hour.
	SweepEvery time.Duration
	// Now defaults to the real clock.
	Now func() time.Time
}

const day = 24 * time.Hour

func (o *Options) setDefaults() {
	if o.Inspections == 0 {
		o.Inspections = runtime.GOMAXPROCS(0)
	}
	if o.MaxPlaces == 0 {
		o.MaxPlaces = 10_000
	}
	if o.ScopeAge == 0 {
		o.ScopeAge = 7 * day
	}
	if o.BlobAge == 0 {
		o.BlobAge = 7 * day
	}
	if o.SweepEvery == 0 {
		o.SweepEvery = time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// Service is the document store. Its methods need the tables of [Migrate].
type Service struct {
	Options
	outbox *bus.Outbox
	// inspecting holds a token for each inspection under way.
	inspecting chan struct{}
	// discarded says that the batch at hand asked for removals; removals wakes who makes them.
	discarded atomic.Bool
	removals  chan struct{}
}

// New returns a document store.
func New(o Options) *Service {
	o.setDefaults()
	o.Log = o.Log.With("service", subjects.DocumentStore)
	return &Service{
		Options:    o,
		outbox:     bus.NewOutbox(o.DB, subjects.DocumentStore, o.Publisher, o.Log),
		inspecting: make(chan struct{}, o.Inspections),
		removals:   make(chan struct{}, 1),
	}
}

// Run runs everything that the service owns until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.outbox.Run(ctx) })
	group.Go(func() error { return s.ingestStage().Run(ctx) })
	group.Go(func() error { return s.recordStage().Run(ctx) })
	group.Go(func() error { return s.remove(ctx) })
	group.Go(func() error { return bus.Every(ctx, s.SweepEvery, s.Log, "sweep", s.Sweep) })
	group.Go(func() error { return bus.Serve(ctx, s.Conn, subjects.DocumentStore, s.Log, s.verbs()) })
	return group.Wait()
}

// ingestStage takes documents in. It is apart from the other one so that large documents
// do not hold up the record of new versions.
func (s *Service) ingestStage() *bus.Stage {
	stage := s.stage("document-store-ingest", subjects.WorkIngest)
	stage.Prepare, stage.Apply, stage.GiveUp = s.prepareIngest, s.applyIngest, s.giveUpIngest
	stage.MaxAttempts = ingestAttempts
	return stage
}

// ingestAttempts are tries within a second: somebody waits for the answer.
const ingestAttempts = 4

// recordStage records versions and discards documents.
func (s *Service) recordStage() *bus.Stage {
	stage := s.stage("document-store-record", subjects.WorkVersion, subjects.WorkDiscard)
	stage.Apply, stage.AfterCommit = s.applyRecord, s.wakeRemovals
	return stage
}

func (s *Service) stage(name string, list ...string) *bus.Stage {
	return &bus.Stage{
		Service: subjects.DocumentStore, Name: name, Stream: subjects.StreamWork, Subjects: list,
		DB: s.DB, JS: s.JS, Outbox: s.outbox, Metrics: s.Metrics, Log: s.Log, Now: s.Now,
	}
}
