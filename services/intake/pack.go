package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/subjects"
)

// Commands that come over HTTP at the same time are put on disk together: one message,
// one sync. On one server an atomic batch of messages costs several syncs whatever its
// size; one message that holds them all costs one. A command that comes alone is a pack
// of one: all of HTTP goes one way, so that the commands of a caller keep their order.

const (
	// packMax and packBytes bound one pack; in JSON it must fit a message.
	packMax   = 256
	packBytes = 2 << 20
	// packLinger is how long a pack waits for the callers of the pack before it, who are
	// just about to come back. A caller alone waits for nobody.
	packLinger = time.Millisecond
	// prepareAtOnce bounds the commands of a pack whose documents are stored at once:
	// syncs of different files go on side by side.
	prepareAtOnce = 8
)

// packing is a command that waits to be put on disk.
type packing struct {
	command handover.Accepted
	done    chan error
}

// packer puts commands on disk. Its run must be running.
type packer struct {
	publisher *bus.Publisher
	queue     chan *packing
	stop      chan struct{}
	last      int
}

func newPacker(publisher *bus.Publisher) *packer {
	return &packer{publisher: publisher, queue: make(chan *packing, packMax), stop: make(chan struct{})}
}

// accept returns nil once the command is on disk.
func (p *packer) accept(ctx context.Context, command handover.Accepted) error {
	item := &packing{command: command, done: make(chan error, 1)}
	select {
	case p.queue <- item:
	case <-ctx.Done():
		return ctx.Err()
	case <-p.stop:
		return bus.ErrStopped
	}
	select {
	case err := <-item.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-p.stop:
		return bus.ErrStopped
	}
}

func (p *packer) run(ctx context.Context) error {
	defer close(p.stop)
	for {
		select {
		case <-ctx.Done():
			return nil
		case first := <-p.queue:
			items := p.gather(first)
			err := p.publish(ctx, items)
			if p.last = len(items); p.last == 1 {
				p.last = 0
			}
			for _, item := range items {
				item.done <- err
			}
		}
	}
}

// gather takes what is waiting, and after a pack lingers for more.
func (p *packer) gather(first *packing) []*packing {
	count, size := 0, 0
	return bus.Gather(p.queue, first, p.last, packLinger, func(next *packing) bool {
		count++
		size += len(next.command.Data)
		return count < packMax && size < packBytes
	})
}

func (p *packer) publish(ctx context.Context, items []*packing) error {
	pack := handover.Pack{Commands: make([]handover.Accepted, 0, len(items))}
	for _, item := range items {
		pack.Commands = append(pack.Commands, item.command)
	}
	data, err := json.Marshal(pack)
	if err != nil {
		return err
	}
	return p.publisher.Publish(ctx, bus.Message{Subject: subjects.WorkAccepted, Data: data})
}

// header is what an accepted command carries on its subject.
func header(c handover.Accepted) nats.Header {
	h := nats.Header{subjects.HeaderOperationID: {c.OperationID}}
	if c.TraceParent != "" {
		h.Set(subjects.HeaderTraceParent, c.TraceParent)
	}
	return h
}

// packStage takes packs apart: each command goes the way of one that was alone.
func (s *Service) packStage() *bus.Stage {
	return &bus.Stage{
		Service: subjects.Intake, Name: "intake-packs", Stream: subjects.StreamWork, Subjects: []string{subjects.WorkOf(subjects.Intake)},
		DB: s.DB, JS: s.JS, Outbox: s.outbox, Metrics: s.Metrics, Log: s.Log, Now: s.Now, Batch: 8,
		Prepare: s.preparePack, Apply: s.applyPack, GiveUp: s.giveUpPack,
	}
}

// packed is a command of a pack, as a message of its own, with what Prepare made of it.
type packed struct {
	m        *bus.Incoming
	prepared any
}

func unpack(m *bus.Incoming) ([]*packed, error) {
	var pack handover.Pack
	if err := json.Unmarshal(m.Data, &pack); err != nil {
		return nil, bus.Reject(fmt.Errorf("read accepted commands: %w", err))
	}
	list := make([]*packed, 0, len(pack.Commands))
	for i, c := range pack.Commands {
		list = append(list, &packed{m: &bus.Incoming{
			Subject: c.Subject, ID: fmt.Sprintf("%s/%d", m.ID, i), Header: header(c), Data: c.Data,
			Attempt: m.Attempt, Sequence: m.Sequence, Time: m.Time.Add(time.Duration(i)),
		}})
	}
	return list, nil
}

func (s *Service) preparePack(ctx context.Context, m *bus.Incoming) (any, error) {
	list, err := unpack(m)
	if err != nil {
		return nil, err
	}
	var group errgroup.Group
	group.SetLimit(prepareAtOnce)
	for _, c := range list {
		group.Go(func() error {
			return bus.Guard(s.Log.With("message", c.m.ID), func() (err error) {
				c.prepared, err = s.prepare(bus.Extract(ctx, c.m.Header), c.m)
				return err
			})
		})
	}
	return list, group.Wait()
}

// applyPack applies all commands of a pack or none.
func (s *Service) applyPack(ctx context.Context, tx *store.Tx, _ *bus.Incoming, prepared any) error {
	list, ok := prepared.([]*packed)
	if !ok {
		return bus.Reject(errors.New("a pack without its commands"))
	}
	for _, c := range list {
		if err := s.apply(bus.Extract(ctx, c.m.Header), tx, c.m, c.prepared); err != nil {
			return err
		}
	}
	return nil
}

// giveUpPack does for a pack what can be done: commands that can be handled are, the
// others end with an error.
func (s *Service) giveUpPack(ctx context.Context, tx *store.Tx, m *bus.Incoming, cause error) error {
	list, err := unpack(m)
	if err != nil {
		return nil //nolint:nilerr // nobody can be told
	}
	for _, c := range list {
		ctx := bus.Extract(ctx, c.m.Header)
		err := bus.Guard(s.Log.With("message", c.m.ID), func() error {
			return tx.Savepoint(ctx, func() error {
				prepared, err := s.prepare(ctx, c.m)
				if err != nil {
					return err
				}
				return s.apply(ctx, tx, c.m, prepared)
			})
		})
		if err == nil {
			continue
		}
		if store.MustRepeat(err) || errors.Is(err, store.ErrUnavailable) {
			return err
		}
		if err := s.giveUp(ctx, tx, c.m, cause); err != nil {
			return err
		}
	}
	return nil
}
