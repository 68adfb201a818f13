package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go/jetstream"
)

// Options are how a [Subscriber] consumes. JS and Log are required.
type Options struct {
	JS  jetstream.JetStream
	Log *slog.Logger
	// Group names the subscribers that share the messages; its place in the stream is kept
	// for ever. Empty: each subscription gets every message by a consumer of its own, which
	// ends with it. Such a consumer that is lost is made anew after the last message that
	// came; what was not acknowledged by then does not come again.
	Group string
	// FromNow begins a new consumer at the end of the stream instead of its beginning.
	FromNow bool
	// MaxInFlight bounds the messages that are handed over and not acknowledged, over the
	// whole group; default 64. With 1 the order of the stream is kept.
	MaxInFlight int
	// AckWait is how long JetStream waits for a sign of life, which is given as long as the
	// process lives, before it delivers again; default 10 s.
	AckWait time.Duration
	// Backoff is the pause before a refused message comes again, by the number of
	// deliveries; default 100 ms, doubling up to a minute.
	Backoff func(deliveries uint64) time.Duration
	// CloseTimeout bounds how long Close waits for handlers; default 5 s.
	CloseTimeout time.Duration
}

const (
	defaultMaxInFlight  = 64
	defaultAckWait      = 10 * time.Second
	defaultCloseTimeout = 5 * time.Second
	// pullBatch is what one pull request asks for. MaxInFlight bounds what comes; asking for
	// one by one would stall.
	pullBatch = 64
	// pullHeartbeat finds a consumer that is lost without a word within twice this time.
	pullHeartbeat = 5 * time.Second
	// pause is the wait before a subscription starts again.
	pause = 500 * time.Millisecond
	// giveBack is the pause before somebody else gets a message that was not handled; a
	// refusal without one would be counted as a failure at once, over and over.
	giveBack = 10 * time.Millisecond
	// inactive is after how long the server forgets a consumer without a group whose
	// process is gone.
	inactive = 5 * time.Minute
)

func backoff(deliveries uint64) time.Duration {
	return min(100*time.Millisecond<<min(max(deliveries, 1)-1, 12), time.Minute)
}

// Subscriber subscribes to topics, which are subjects of one stream each; wildcards are
// allowed.
type Subscriber struct {
	Options
	closing chan struct{}
	close   func()
	running sync.WaitGroup
	mutex   sync.Mutex // no subscription starts once Close waits
}

var (
	_ message.Subscriber           = (*Subscriber)(nil)
	_ message.SubscribeInitializer = (*Subscriber)(nil)
)

// NewSubscriber returns a subscriber.
func NewSubscriber(o Options) *Subscriber {
	if o.MaxInFlight == 0 {
		o.MaxInFlight = defaultMaxInFlight
	}
	if o.AckWait == 0 {
		o.AckWait = defaultAckWait
	}
	if o.Backoff == nil {
		o.Backoff = backoff
	}
	if o.CloseTimeout == 0 {
		o.CloseTimeout = defaultCloseTimeout
	}
	s := &Subscriber{Options: o, closing: make(chan struct{})}
	s.close = sync.OnceFunc(func() { close(s.closing) })
	return s
}

// SubscribeInitialize makes the place of the group in the stream, so that what is
// published from now on waits for it.
func (s *Subscriber) SubscribeInitialize(topic string) error {
	if s.Group == "" {
		return nil
	}
	_, err := s.consumer(context.Background(), topic, 0) //nolint:forbidigo // the interface has no context
	return err
}

// Subscribe returns the channel of the messages. It is closed when ctx ends or the
// subscriber is closed, after the messages in hand are settled. Without NATS the
// subscription begins when NATS is there.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	begun := make(chan struct{})
	sub := &subscription{
		Subscriber: s, topic: topic, log: s.Log.With("topic", topic),
		out: make(chan *message.Message), begun: sync.OnceFunc(func() { close(begun) }),
	}
	if !s.start(ctx, sub) {
		return nil, fmt.Errorf("subscribe to %s: %w", topic, ErrClosed)
	}
	<-begun
	return sub.out, nil
}

// start runs a subscription until ctx ends or the subscriber is closed; it is false when
// it is closed already.
func (s *Subscriber) start(ctx context.Context, sub *subscription) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	select {
	case <-s.closing:
		return false
	default:
	}
	ctx, cancel := context.WithCancel(ctx)
	s.running.Go(func() {
		defer cancel()
		sub.run(ctx)
	})
	s.running.Go(func() {
		defer cancel()
		select {
		case <-s.closing:
		case <-ctx.Done():
		}
	})
	return true
}

// Close ends every subscription and waits for the handlers of the messages in hand, whose
// contexts are cancelled. The connection stays open.
func (s *Subscriber) Close() error {
	s.mutex.Lock()
	s.close()
	s.mutex.Unlock()
	s.running.Wait()
	return nil
}

// consumer makes the consumer of a topic, or brings it up to date; after, when not zero,
// is the place in the stream after which one without a group begins.
func (s *Subscriber) consumer(ctx context.Context, topic string, after uint64) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	stream, err := s.JS.StreamNameBySubject(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("find the stream of %s: %w", topic, err)
	}
	config := jetstream.ConsumerConfig{
		FilterSubject: topic, AckPolicy: jetstream.AckExplicitPolicy, AckWait: s.AckWait,
		MaxDeliver: -1, MaxAckPending: s.MaxInFlight,
	}
	if s.FromNow {
		config.DeliverPolicy = jetstream.DeliverNewPolicy
	}
	if s.Group != "" {
		config.Durable = s.Group + "-" + inName.Replace(topic)
	} else {
		config.InactiveThreshold = inactive
		if after > 0 {
			config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, after+1
		}
	}
	consumer, err := s.JS.CreateOrUpdateConsumer(ctx, stream, config)
	if err != nil {
		return nil, fmt.Errorf("create a consumer of %s: %w", topic, err)
	}
	return consumer, nil
}

// inName makes a topic fit for the name of a consumer.
var inName = strings.NewReplacer(".", "-", "*", "any", ">", "all")

// subscription is one call of Subscribe.
type subscription struct {
	*Subscriber
	topic  string
	log    *slog.Logger
	out    chan *message.Message
	begun  func()
	inHand sync.WaitGroup
	last   uint64 // the place in the stream of the last message
}

func (s *subscription) run(ctx context.Context) {
	defer close(s.out)
	defer s.inHand.Wait()
	for {
		err := s.consume(ctx)
		s.begun()
		if ctx.Err() != nil {
			return
		}
		s.log.Warn("subscription starts again", "error", err)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

func (s *subscription) consume(ctx context.Context) (err error) {
	consumer, err := s.consumer(ctx, s.topic, s.last)
	if err != nil {
		return err
	}
	iter, err := consumer.Messages(jetstream.PullMaxMessages(pullBatch), jetstream.PullHeartbeat(pullHeartbeat))
	if err != nil {
		return fmt.Errorf("pull from %s: %w", s.topic, err)
	}
	defer func() { s.leave(context.WithoutCancel(ctx), consumer, iter) }()
	s.begun()
	for {
		msg, err := iter.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return err
		}
		s.last = meta.Sequence.Stream
		s.inHand.Go(func() { s.handle(ctx, msg, meta) })
	}
}

// handle hands a message over and settles it. While it waits for a handler or is in the
// hands of one, JetStream gets a sign of life.
func (s *subscription) handle(ctx context.Context, msg jetstream.Msg, meta *jetstream.MsgMetadata) {
	messageCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	m := decode(messageCtx, msg, meta)
	heartbeat := time.NewTicker(s.AckWait / 3)
	defer heartbeat.Stop()
	var (
		out      = s.out // nil once the message is handed over
		ending   = ctx.Done()
		deadline <-chan time.Time
		err      error
	)
	for settled := false; !settled; {
		select {
		case out <- m:
			out = nil
		case <-m.Acked():
			err, settled = msg.Ack(), true
		case <-m.Nacked():
			err, settled = msg.NakWithDelay(s.Backoff(meta.NumDelivered)), true
		case <-heartbeat.C:
			err = msg.InProgress()
		case <-ending:
			ending = nil
			if out == nil {
				deadline = time.After(s.CloseTimeout)
				continue
			}
			err, settled = msg.NakWithDelay(giveBack), true // nobody has seen it
		case <-deadline:
			err, settled = msg.NakWithDelay(giveBack), true
		}
	}
	if err != nil { // the message comes again
		s.log.Debug("message is not settled", "message", m.UUID, "error", err)
	}
}

// leave gives back what is on its way, and removes a consumer without a group.
func (s *subscription) leave(ctx context.Context, consumer jetstream.Consumer, iter jetstream.MessagesContext) {
	iter.Drain()
	for {
		msg, err := iter.Next(jetstream.NextMaxWait(time.Second))
		if err != nil {
			break
		}
		_ = msg.NakWithDelay(giveBack)
	}
	if s.Group != "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	info := consumer.CachedInfo()
	if err := s.JS.DeleteConsumer(ctx, info.Stream, info.Name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		s.log.Debug("consumer stays until the server forgets it", "error", err)
	}
}
