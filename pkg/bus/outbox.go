package bus

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"signbus.dev/pkg/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate creates the tables of this package: inbox, outbox and leases.
func Migrate(ctx context.Context, db *store.DB) error {
	return db.Migrate(ctx, "bus", migrations)
}

// Outbox sends messages that were written in SQL transactions. Its pump must be running.
type Outbox struct {
	db      *store.DB
	service string
	newID   func() string
	*Pump
}

// NewOutbox returns the outbox of a service.
func NewOutbox(db *store.DB, service string, publisher *Publisher, log *slog.Logger) *Outbox {
	o := &Outbox{db: db, service: service, newID: NewID}
	o.Pump = NewPump(db, "outbox:"+service, outboxSource{service}, publisher, log)
	return o
}

// pruneEvery is how often the inbox forgets what cannot come again.
const pruneEvery = time.Hour

// Run publishes until ctx ends, and keeps the service's inbox small.
func (o *Outbox) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return o.Pump.Run(ctx) })
	group.Go(func() error {
		return Every(ctx, pruneEvery, o.log, "prune the inbox", func(ctx context.Context) error {
			return PruneInbox(ctx, o.db, o.service, time.Now())
		})
	})
	return group.Wait()
}

// Send writes the message into the outbox as part of the transaction. The trace context
// of ctx travels with it. Call [Pump.Nudge] after the commit; a [Stage] does.
func (o *Outbox) Send(ctx context.Context, tx *store.Tx, m Message) error {
	if m.ID == "" {
		m.ID = o.newID()
	}
	if m.Header == nil {
		m.Header = nats.Header{}
	}
	Inject(ctx, m.Header)
	if err := m.Check(); err != nil {
		return err
	}
	header, err := json.Marshal(m.Header)
	if err != nil {
		return fmt.Errorf("send to %s: %w", m.Subject, err)
	}
	_, err = tx.Exec(ctx, `INSERT INTO bus_outbox (service, id, subject, header, data) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (service, id) DO NOTHING`, o.service, m.ID, m.Subject, string(header), nonNil(m.Data))
	if err != nil {
		return fmt.Errorf("send to %s: %w", m.Subject, err)
	}
	return nil
}

func nonNil(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}

// SendJSON is [Outbox.Send] for a value that travels as JSON.
func (o *Outbox) SendJSON(ctx context.Context, tx *store.Tx, subject, id string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("send to %s: %w", subject, err)
	}
	return o.Send(ctx, tx, Message{Subject: subject, ID: id, Data: data})
}

// Source is a table of messages that wait to be published.
type Source interface {
	// Pending returns up to limit waiting messages. Messages of which the order matters
	// come in that order.
	Pending(ctx context.Context, q store.Querier, limit int) ([]Message, error)
	// Published forgets messages that Pending returned; of each, subject and id are given.
	Published(ctx context.Context, tx *store.Tx, msgs []Message) error
}

type outboxSource struct{ service string }

func (s outboxSource) Pending(ctx context.Context, q store.Querier, limit int) ([]Message, error) {
	rows, err := q.Query(ctx, `SELECT id, subject, header, data FROM bus_outbox WHERE service = $1 ORDER BY id LIMIT $2`, s.service, limit)
	return store.Collect(rows, err, func(m *Message, scan func(...any) error) error {
		var header string
		if err := scan(&m.ID, &m.Subject, &header, &m.Data); err != nil {
			return err
		}
		return json.Unmarshal([]byte(header), &m.Header)
	})
}

func (s outboxSource) Published(ctx context.Context, tx *store.Tx, msgs []Message) error {
	for _, m := range msgs {
		if _, err := tx.Exec(ctx, `DELETE FROM bus_outbox WHERE service = $1 AND id = $2`, s.service, m.ID); err != nil {
			return err
		}
	}
	return nil
}

// Pump publishes what waits in a [Source], in its order. Of all processes that share the
// database one pumps at a time: it holds a lease, so that order survives several of them.
//
// What is published is forgotten a little later, many messages in one transaction: a
// commit costs as much as a publish. Killed in between, the pump publishes those messages
// again, with the same ids.
type Pump struct {
	db        *store.DB
	source    Source
	publisher *Publisher
	lease     *Lease
	nudge     chan struct{}
	log       *slog.Logger
	// sent are published and not forgotten yet.
	sent map[sentKey]Message
}

type sentKey struct{ subject, id string }

// NewPump returns a pump; name is that of its lease.
func NewPump(db *store.DB, name string, source Source, publisher *Publisher, log *slog.Logger) *Pump {
	return &Pump{
		db: db, source: source, publisher: publisher, log: log.With("pump", name),
		lease: NewLease(db, name), nudge: make(chan struct{}, 1), sent: map[sentKey]Message{},
	}
}

// Nudge tells the pump that there may be something to publish. It does not block.
func (p *Pump) Nudge() {
	select {
	case p.nudge <- struct{}{}:
	default:
	}
}

const (
	pumpBatch = 256
	// forgetFrom is how many published messages are forgotten at once under load.
	forgetFrom = 64
	// pollExclusive is only a safety net: nobody else writes to the tables.
	pollExclusive = 5 * time.Second
	// pollShared is how late the rows of another process can be seen.
	pollShared = 100 * time.Millisecond
	// pumpPause is the wait after an error.
	pumpPause = 500 * time.Millisecond
	// forgetAfter is how long published messages stay in the table when nothing else happens.
	forgetAfter = 50 * time.Millisecond
)

// Run publishes until ctx ends. It does not end on errors: it waits and goes on.
func (p *Pump) Run(ctx context.Context) error {
	poll := pollShared
	if p.db.Exclusive() {
		poll = pollExclusive
	}
	for {
		n, err := p.once(ctx)
		pause := poll
		switch {
		case ctx.Err() != nil:
			return p.end(ctx)
		case err != nil:
			p.log.Warn("publishing waits", "error", err)
			pause = pumpPause
		case n > 0:
			continue
		case len(p.sent) > 0:
			pause = forgetAfter
		}
		if p.rest(ctx, pause) {
			return p.end(ctx)
		}
	}
}

// rest waits for a nudge; when none comes, it uses the time to forget. It is true when
// ctx has ended.
func (p *Pump) rest(ctx context.Context, pause time.Duration) (ended bool) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return true
	case <-p.nudge:
	case <-timer.C:
		if err := p.forget(ctx); err != nil && ctx.Err() == nil {
			p.log.Warn("published messages are forgotten later", "error", err)
		}
	}
	return false
}

// end leaves nothing behind for the next holder of the lease.
func (p *Pump) end(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishTimeout)
	defer cancel()
	return errors.Join(p.forget(ctx), p.lease.Release(ctx))
}

// once publishes one batch and returns its size.
func (p *Pump) once(ctx context.Context) (int, error) {
	held, err := p.lease.Hold(ctx)
	if err != nil || !held {
		clear(p.sent) // whoever pumps now forgets them
		return 0, err
	}
	waiting, err := p.source.Pending(ctx, p.db, pumpBatch+len(p.sent))
	if err != nil {
		return 0, err
	}
	msgs := waiting[:0]
	for _, m := range waiting {
		if _, sent := p.sent[sentKey{m.Subject, m.ID}]; !sent {
			msgs = append(msgs, m)
		}
	}
	if len(msgs) == 0 {
		return 0, nil
	}
	if err := p.publisher.Publish(ctx, msgs...); err != nil {
		return 0, err
	}
	for _, m := range msgs {
		p.sent[sentKey{m.Subject, m.ID}] = Message{Subject: m.Subject, ID: m.ID}
	}
	if len(p.sent) >= forgetFrom {
		return len(msgs), p.forget(ctx)
	}
	return len(msgs), nil
}

// forget removes what is published from the table.
func (p *Pump) forget(ctx context.Context) error {
	if len(p.sent) == 0 {
		return nil
	}
	msgs := make([]Message, 0, len(p.sent))
	for _, m := range p.sent {
		msgs = append(msgs, m)
	}
	if err := p.db.Update(ctx, func(tx *store.Tx) error { return p.source.Published(ctx, tx, msgs) }); err != nil {
		return err
	}
	clear(p.sent)
	return nil
}

// Every does something at once and then now and then until ctx ends. Its errors are
// logged: what was not done is done the next time.
func Every(ctx context.Context, interval time.Duration, log *slog.Logger, what string, do func(context.Context) error) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			log.Warn("housekeeping waits", "task", what, "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// sleep waits for d or for the end of ctx.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
