package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"signbus.dev/pkg/subjects"
)

const (
	// batchFrom is the number of waiting messages from which one atomic batch, which is
	// synced once, beats single publishes, each synced by itself. On one server a batch
	// costs about as much as two dozen single publishes whatever its size.
	batchFrom = 24
	// linger is how long a batch waits for the callers of the batch before it, who are
	// just about to come back. After single publishes nobody waits for anybody.
	linger = 2 * time.Millisecond
	// batchMax and batchBytes bound one batch; the server takes at most 1,000 messages.
	batchMax   = 256
	batchBytes = 4 << 20
	// publishTimeout bounds one try; the caller's context bounds the whole.
	publishTimeout = 10 * time.Second
)

// Publisher publishes to the streams. Concurrent callers share batches: while one batch
// is on its way to the disk, the next one fills up. Run must be running.
type Publisher struct {
	lanes map[string]*lane // by the first token of the subject
	newID func() string
}

// lane is what goes to one stream.
type lane struct {
	js     jetstream.JetStream
	stream string
	queue  chan *publication
	stop   chan struct{}
	// last is the number of publications in the last flush when that was a batch.
	last int
}

// publication is what one caller wants stored: all of it, in order.
type publication struct {
	ctx  context.Context //nolint:containedctx // the caller's, for the time it waits
	msgs []Message
	done chan error
}

// NewPublisher returns a publisher.
func NewPublisher(js jetstream.JetStream) *Publisher {
	p := &Publisher{lanes: map[string]*lane{}, newID: NewID}
	for token, stream := range map[string]string{"cmd": subjects.StreamCommands, "work": subjects.StreamWork, "evt": subjects.StreamEvents, "dead": subjects.StreamDead} {
		p.lanes[token] = &lane{js: js, stream: stream, queue: make(chan *publication, 4*batchMax), stop: make(chan struct{})}
	}
	return p
}

var (
	// ErrStopped says that the publisher does not run any more.
	ErrStopped = errors.New("publisher is stopped")
	// ErrNoStream says that no stream takes a subject.
	ErrNoStream = errors.New("no stream takes this subject")
)

// Publish stores the messages and returns when all are on disk; those of one stream are
// stored in order. After an error some of them may be stored; publishing them again with
// the same ids is safe. Messages without an id are given one.
func (p *Publisher) Publish(ctx context.Context, msgs ...Message) error {
	groups := map[*lane][]Message{}
	for _, m := range msgs {
		token, _, _ := strings.Cut(m.Subject, ".")
		l := p.lanes[token]
		if l == nil {
			return fmt.Errorf("publish to %q: %w", m.Subject, ErrNoStream)
		}
		if m.ID == "" {
			m.ID = p.newID()
		}
		groups[l] = append(groups[l], m)
	}
	for l, group := range groups {
		if err := l.publish(ctx, group); err != nil {
			return err
		}
	}
	return nil
}

// Run publishes until ctx ends.
func (p *Publisher) Run(ctx context.Context) error {
	var wait sync.WaitGroup
	for _, l := range p.lanes {
		wait.Go(func() { l.run(ctx) })
	}
	wait.Wait()
	return nil
}

func (l *lane) publish(ctx context.Context, msgs []Message) error {
	pub := &publication{ctx: ctx, msgs: msgs, done: make(chan error, 1)}
	select {
	case l.queue <- pub:
	case <-ctx.Done():
		return ctx.Err()
	case <-l.stop:
		return ErrStopped
	}
	select {
	case err := <-pub.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-l.stop:
		return ErrStopped
	}
}

func (l *lane) run(ctx context.Context) {
	defer close(l.stop)
	for {
		select {
		case <-ctx.Done():
			return
		case first := <-l.queue:
			l.flush(ctx, l.gather(first))
		}
	}
}

// gather takes what is waiting, and after a batch lingers for more.
func (l *lane) gather(first *publication) []*publication {
	count, size := 0, 0
	return Gather(l.queue, first, l.last, linger, func(next *publication) bool {
		count += len(next.msgs)
		size += bytesOf(next)
		return count < batchMax && size < batchBytes
	})
}

func bytesOf(pub *publication) (n int) {
	for _, m := range pub.msgs {
		n += m.size()
	}
	return n
}

func (l *lane) flush(ctx context.Context, pubs []*publication) {
	var batch []Message
	for _, pub := range pubs {
		if pub.ctx.Err() == nil { // else nobody waits for it any more
			batch = append(batch, pub.msgs...)
		}
	}
	l.last = 0
	if len(batch) >= batchFrom && l.storeBatches(ctx, batch) == nil {
		l.last = len(pubs)
		for _, pub := range pubs {
			pub.done <- pub.ctx.Err()
		}
		return
	}
	var wait sync.WaitGroup
	for _, pub := range pubs {
		wait.Go(func() { pub.done <- l.storeSingly(ctx, pub) })
	}
	wait.Wait()
}

// storeBatches stores messages in atomic batches. A batch is refused as a whole when
// one id in it is known already; the caller then stores the messages one by one.
func (l *lane) storeBatches(ctx context.Context, batch []Message) error {
	for len(batch) > 0 {
		n, size := 0, 0
		msgs := make([]*nats.Msg, 0, min(len(batch), batchMax))
		for n < len(batch) && n < batchMax && (n == 0 || size+batch[n].size() <= batchBytes) {
			size += batch[n].size()
			msgs = append(msgs, batch[n].msg())
			n++
		}
		tryCtx, cancel := context.WithTimeout(ctx, publishTimeout)
		_, err := jetstreamext.PublishMsgBatch(tryCtx, l.js, msgs)
		cancel()
		if err != nil {
			return err
		}
		batch = batch[n:]
	}
	return nil
}

// storeSingly stores the messages one after the other, so that after an error nothing
// that follows it in order is stored.
func (l *lane) storeSingly(ctx context.Context, pub *publication) error {
	for _, m := range pub.msgs {
		if err := pub.ctx.Err(); err != nil {
			return err
		}
		tryCtx, cancel := context.WithTimeout(ctx, publishTimeout)
		_, err := l.js.PublishMsg(tryCtx, m.msg(), jetstream.WithExpectStream(l.stream))
		cancel()
		if err != nil {
			return fmt.Errorf("publish to %s: %w", l.stream, err)
		}
	}
	return nil
}
