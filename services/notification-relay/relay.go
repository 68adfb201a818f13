// Package relay tells the outside world: it takes the events of the bus and delivers
// each to the webhooks that subscribed to it.
//
// It promises that every event of the EVENTS stream becomes one delivery for each
// subscription that wants it, exactly once, written in the same transaction that marks
// the event as taken; that a delivery is tried on the published schedule until the
// receiver answers 2xx or the schedule ends, across restarts, each try recorded before it
// is made; that the deliveries of one envelope to one subscription are made strictly one
// after the other, in the order of the events; and that an endpoint which fails or hangs
// holds up no other. A restart repeats at most the try that it broke off.
//
// It does not promise that a receiver sees an event once only: the answer to a try can
// get lost. Receivers tell repetitions by the webhook-id. It keeps neither addresses nor
// secrets of endpoints: those come from the directory and stay in memory.
package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/subjects"
	"signbus.dev/services/notification-relay/webhook"
)

// Options are what the relay works with. Config, Client and the fields from Now on have
// defaults; the others are required.
type Options struct {
	DB        *store.DB
	Conn      *nats.Conn
	JS        jetstream.JetStream
	Publisher *bus.Publisher
	Log       *slog.Logger
	// Config is [Default] when nil.
	Config *Config
	// Client makes the tries; the strict default when nil: https to public addresses only.
	Client *webhook.Client
	// Instance names this process among several on one database. A restarted process with
	// the same name takes back at once what it had claimed.
	Instance string
	// Metrics counts the messages taken; Registerer takes the relay's own metrics.
	Metrics    *bus.Metrics
	Registerer prometheus.Registerer

	Now    func() time.Time
	NewID  func() string
	Random func() float64
}

// Service is the notification relay.
type Service struct {
	opts       Options
	cfg        Config
	log        *slog.Logger
	ledger     *ledger
	roster     *roster
	dispatcher *dispatcher
	outbox     *bus.Outbox
}

// New makes the relay. Its tables must exist (see [Migrate]).
func New(opts Options) *Service {
	cfg := Default()
	if opts.Config != nil {
		cfg = *opts.Config
	}
	if opts.Client == nil {
		opts.Client = webhook.NewClient(webhook.Options{IdlePerHost: cfg.PerEndpoint})
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.NewID == nil {
		opts.NewID = bus.NewID
	}
	if opts.Random == nil {
		opts.Random = rand.Float64
	}
	if opts.Instance == "" {
		opts.Instance = opts.NewID()
	}
	log := opts.Log.With("service", subjects.NotificationRelay)
	l := &ledger{db: opts.DB, instance: opts.Instance, cfg: cfg, now: opts.Now, newID: opts.NewID, random: opts.Random}
	r := newRoster(opts.JS, l, log)
	d := newDispatcher(l, r, opts.Client, log, newMetrics(opts.Registerer))
	r.nudge = d.nudge
	return &Service{
		opts: opts, cfg: cfg, log: log, ledger: l, roster: r, dispatcher: d,
		outbox: bus.NewOutbox(opts.DB, subjects.NotificationRelay, opts.Publisher, log),
	}
}

// Ready says whether the subscriptions are known, so that events can be taken.
func (s *Service) Ready() bool {
	select {
	case <-s.roster.filled:
		return true
	default:
		return false
	}
}

// Run relays until ctx ends, then lets the tries under way end or releases them.
func (s *Service) Run(ctx context.Context) error {
	if err := s.cfg.Validate(); err != nil {
		return err
	}
	if err := s.ledger.recover(ctx); err != nil {
		return fmt.Errorf("run notification relay: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.outbox.Run(ctx) })
	group.Go(func() error { return s.roster.model.Run(ctx) })
	group.Go(func() error { return s.roster.run(ctx) })
	group.Go(func() error { return bus.Serve(ctx, s.opts.Conn, subjects.NotificationRelay, s.log, s.verbs()) })
	group.Go(func() error { return bus.Every(ctx, housekeeping, s.log, "delete old deliveries", s.keepHouse) })
	group.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case <-s.roster.filled:
		}
		taking, ctx := errgroup.WithContext(ctx)
		taking.Go(func() error { return s.stage().Run(ctx) })
		taking.Go(func() error { return s.dispatcher.run(ctx) })
		return taking.Wait()
	})
	err := group.Wait()
	s.opts.Client.Close()
	return err
}

// maxWaitForPredecessor is after how many deliveries of a message the relay stops waiting
// for an earlier event of its envelope: about 50 seconds, in which also a message comes
// again that a killed process had taken. The wait ends at once when everything before the
// message in the stream is settled.
const maxWaitForPredecessor = 10

// stage takes the events. Those of customers without a subscription cost nothing.
func (s *Service) stage() *bus.Stage {
	return &bus.Stage{
		Service: subjects.NotificationRelay, Name: subjects.NotificationRelay,
		Stream: subjects.StreamEvents, Subjects: []string{subjects.AllEvents},
		DB: s.opts.DB, JS: s.opts.JS, Outbox: s.outbox, AfterCommit: s.dispatcher.nudge,
		Metrics: s.opts.Metrics, Log: s.log, Now: s.opts.Now,
		Ignore: func(m *bus.Incoming) bool {
			subject, err := subjects.ParseEvent(m.Subject)
			return err == nil && !s.roster.any(subject.Customer)
		},
		Prepare: func(ctx context.Context, m *bus.Incoming) (any, error) {
			ev, err := readEvent(m)
			if err != nil {
				return nil, bus.Reject(err)
			}
			ev.settled = m.Attempt > 1 && s.settled(ctx, m.Sequence)
			return ev, nil
		},
		Apply: func(ctx context.Context, tx *store.Tx, m *bus.Incoming, prepared any) error {
			ev, ok := prepared.(event)
			if !ok {
				return bus.Reject(errEvent)
			}
			err := s.ledger.accept(ctx, tx, ev, s.roster.matching(ev), m.Attempt)
			if errors.Is(err, errOutOfOrder) {
				return bus.Retry(fmt.Errorf("event %d of envelope %s: %w", ev.sequence, ev.envelope, err))
			}
			return err
		},
	}
}

// settled says whether every message before a place in the stream is done with. Then an
// earlier event of an envelope that has not been seen will not come any more: it was told
// when the customer had no subscription, is in the dead letters, or was older than the
// stream keeps.
func (s *Service) settled(ctx context.Context, sequence uint64) bool {
	consumer, err := s.opts.JS.Consumer(ctx, subjects.StreamEvents, subjects.NotificationRelay)
	return err == nil && consumer.CachedInfo().AckFloor.Stream+1 >= sequence
}

// housekeeping is how often old rows are deleted.
const housekeeping = time.Hour

// keepHouse deletes old rows. A delivery that was written while its subscription was
// being deleted is found then, too.
func (s *Service) keepHouse(ctx context.Context) error {
	if s.Ready() { // else the read model is about to say what there is
		s.roster.lookAgain()
	}
	return s.ledger.purge(ctx)
}
