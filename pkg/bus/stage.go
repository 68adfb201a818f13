package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"signbus.dev/pkg/store"
	"signbus.dev/pkg/subjects"
)

// Incoming is a message on its way in.
type Incoming struct {
	Subject string
	// ID is stable over redeliveries; the inbox records it.
	ID     string
	Header nats.Header
	Data   []byte
	// Attempt counts deliveries, from 1.
	Attempt int
	// Sequence is the place in its stream.
	Sequence uint64
	// Time is when the stream stored it.
	Time time.Time
}

// Stage takes messages from a stream in batches and applies each batch in one
// transaction: inbox, what Apply does, and what it sends, commit together. One message
// alone is a batch of one and waits for nobody.
type Stage struct {
	// Service owns the inbox; Name is the durable consumer, unique in the stream.
	Service, Name string
	// Stream and Subjects say what is consumed.
	Stream   string
	Subjects []string
	DB       *store.DB
	JS       jetstream.JetStream
	// Outbox sends what Apply writes into it. The stage nudges it after the commit.
	Outbox *Outbox
	// AfterCommit is called after every committed batch, to nudge other pumps. Optional.
	AfterCommit func()
	// Ignore says that a message has no effect: it is acknowledged and nothing else, at no
	// cost. Optional.
	Ignore func(m *Incoming) bool
	// Prepare does what must not hold up a transaction: reading, computing, calling. It
	// runs for the messages of a batch in parallel and may run more than once for a
	// message, also for one that is not applied in the end. Optional.
	Prepare func(ctx context.Context, m *Incoming) (any, error)
	// Apply changes state. It runs for the messages of a batch one after the other, in
	// the order of the stream; its error undoes only its own changes.
	Apply func(ctx context.Context, tx *store.Tx, m *Incoming, prepared any) error
	// GiveUp is called in place of Apply, in the same way, for a message that goes to the
	// DEAD stream; it tells whoever waits for an outcome. Optional.
	GiveUp func(ctx context.Context, tx *store.Tx, m *Incoming, cause error) error
	// Batch bounds a batch; default 64. MaxAttempts bounds the tries after errors that are
	// neither Retry nor Reject; default 8.
	Batch, MaxAttempts int
	// AckWait is how long JetStream waits for a sign of life before it delivers again;
	// default 10 s.
	AckWait time.Duration
	// FromNow starts a new consumer at the end of the stream instead of its beginning.
	FromNow bool
	Metrics *Metrics
	Log     *slog.Logger
	Now     func() time.Time
}

const (
	defaultBatch       = 64
	defaultMaxAttempts = 8
	defaultAckWait     = 10 * time.Second
	// pullBytes bounds what one stage has on its way from the server; a single message
	// may be as large as max_payload.
	pullBytes = 32 << 20
	// prepareAtOnce bounds the parallel Prepare calls of one batch.
	prepareAtOnce = 8
)

func (s *Stage) setDefaults() {
	if s.Batch == 0 {
		s.Batch = defaultBatch
	}
	if s.MaxAttempts == 0 {
		s.MaxAttempts = defaultMaxAttempts
	}
	if s.AckWait == 0 {
		s.AckWait = defaultAckWait
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Metrics == nil {
		s.Metrics = NewMetrics(nil)
	}
	s.Log = s.Log.With("stage", s.Name)
}

// Run consumes until ctx ends. It does not end on errors of NATS or the database: it
// waits and goes on.
func (s *Stage) Run(ctx context.Context) error {
	s.setDefaults()
	for ctx.Err() == nil {
		if err := s.consume(ctx); ctx.Err() == nil {
			s.Log.Warn("consuming starts again", "error", err)
			sleep(ctx, pumpPause)
		}
	}
	return nil
}

func (s *Stage) consume(ctx context.Context) error {
	policy := jetstream.DeliverAllPolicy
	if s.FromNow {
		policy = jetstream.DeliverNewPolicy
	}
	createCtx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	consumer, err := s.JS.CreateOrUpdateConsumer(createCtx, s.Stream, jetstream.ConsumerConfig{
		Durable: s.Name, FilterSubjects: s.Subjects, DeliverPolicy: policy,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: s.AckWait, MaxDeliver: -1,
		MaxAckPending: 8 * s.Batch,
	})
	if err != nil {
		return fmt.Errorf("create consumer %s: %w", s.Name, err)
	}
	iter, err := consumer.Messages(jetstream.PullMaxMessagesWithBytesLimit(s.Batch, pullBytes), jetstream.PullExpiry(30*time.Second))
	if err != nil {
		return fmt.Errorf("pull from %s: %w", s.Stream, err)
	}
	msgs, held := make(chan jetstream.Msg, s.Batch), newHeld()
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { held.beat(groupCtx, s.AckWait/3); return nil })
	group.Go(func() error {
		defer close(msgs)
		defer giveBack(iter)
		for {
			msg, err := iter.Next(jetstream.NextContext(groupCtx))
			if err != nil {
				return err
			}
			held.add(msg)
			select {
			case msgs <- msg:
			case <-groupCtx.Done():
				_ = msg.NakWithDelay(time.Millisecond)
				return groupCtx.Err()
			}
		}
	})
	group.Go(func() error {
		for msg := range msgs {
			if groupCtx.Err() != nil { // give it back at once instead of after AckWait
				_ = msg.NakWithDelay(time.Millisecond)
				continue
			}
			// A batch that has begun is finished: ctx's end only stops taking more.
			batch := gather(msg, msgs, s.Batch)
			s.process(context.WithoutCancel(ctx), batch)
			held.remove(batch)
		}
		return errors.New("message iterator ended")
	})
	return group.Wait()
}

// giveBackTime bounds the wait for what is on its way from the server at a stop. It ends
// sooner when the server is there to say that no more comes.
const giveBackTime = 2 * time.Second

// giveBack ends the pulling and hands back at once what has arrived, so that whoever
// consumes next gets it now and not after AckWait.
func giveBack(iter jetstream.MessagesContext) {
	iter.Drain()
	for {
		msg, err := iter.Next(jetstream.NextMaxWait(giveBackTime))
		if err != nil {
			return
		}
		_ = msg.NakWithDelay(time.Millisecond)
	}
}

// gather takes what has arrived, without waiting for more.
func gather(first jetstream.Msg, msgs <-chan jetstream.Msg, limit int) []jetstream.Msg {
	batch := []jetstream.Msg{first}
	for len(batch) < limit {
		select {
		case msg, ok := <-msgs:
			if !ok {
				return batch
			}
			batch = append(batch, msg)
		default:
			return batch
		}
	}
	return batch
}

// item is one message of a batch and what became of it.
type item struct {
	msg      jetstream.Msg
	in       *Incoming
	ctx      context.Context //nolint:containedctx // carries the message's trace
	prepared any
	err      error
	again    time.Duration // when positive, deliver again after this time
}

func (s *Stage) process(ctx context.Context, batch []jetstream.Msg) {
	start := s.Now()
	items := make([]*item, 0, len(batch))
	for _, msg := range batch {
		in, err := incoming(msg)
		if err != nil {
			s.Log.Error("message without JetStream metadata is dropped", "error", err)
			continue
		}
		if s.Ignore != nil && s.Ignore(in) {
			_ = msg.Ack()
			continue
		}
		items = append(items, &item{msg: msg, in: in, ctx: Extract(ctx, in.Header)})
	}
	if len(items) == 0 {
		return
	}
	if s.Prepare != nil {
		if items = s.fresh(ctx, items); len(items) == 0 {
			return
		}
		s.prepare(items)
	}
	if err := s.DB.Update(ctx, func(tx *store.Tx) error { return s.apply(tx, items) }); err != nil {
		s.Log.Warn("batch is tried again", "messages", len(items), "error", err)
		for _, it := range items {
			it.again = backoff(it.in.Attempt)
		}
	}
	s.Outbox.Nudge()
	if s.AfterCommit != nil {
		s.AfterCommit()
	}
	s.settle(items)
	s.Metrics.batch(s.Name, len(items), s.Now().Sub(start))
}

// fresh acknowledges and leaves out what comes again although it was applied, so that
// Prepare does not do its work once more when a stage is late. This only saves time:
// [Stage.once] is what makes sure.
func (s *Stage) fresh(ctx context.Context, items []*item) []*item {
	return slices.DeleteFunc(items, func(it *item) bool {
		if it.in.Attempt == 1 {
			return false
		}
		var applied int
		err := s.DB.QueryRow(ctx, `SELECT COUNT(*) FROM bus_inbox WHERE service = $1 AND message_id = $2`, []any{s.Service, it.in.ID}, &applied)
		if err != nil || applied == 0 {
			return false
		}
		_ = it.msg.Ack()
		return true
	})
}

// incoming reads a message. The inbox id is the publisher's message id on the internal
// streams; on COMMANDS it is the place in the stream, because outside publishers use
// ids as they like, and the time, because a stream that was lost and made anew counts
// from 1 again.
func incoming(msg jetstream.Msg) (*Incoming, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return nil, err
	}
	in := &Incoming{
		Subject: msg.Subject(), Header: msg.Headers(), Data: msg.Data(), Time: meta.Timestamp.UTC(),
		Attempt: int(meta.NumDelivered), Sequence: meta.Sequence.Stream, //nolint:gosec // far from overflow
	}
	if in.Header == nil {
		in.Header = nats.Header{}
	}
	if in.ID = in.Header.Get(HeaderMessageID); in.ID == "" || meta.Stream == subjects.StreamCommands {
		in.ID = fmt.Sprintf("%s:%d:%d", meta.Stream, in.Sequence, in.Time.UnixNano())
	}
	return in, nil
}

// held are the messages in hand. JetStream is told now and then that they are, so that it
// does not deliver them again while they wait for a batch or are worked on.
type held struct {
	mutex sync.Mutex
	msgs  map[jetstream.Msg]struct{}
}

func newHeld() *held { return &held{msgs: map[jetstream.Msg]struct{}{}} }

func (h *held) add(msg jetstream.Msg) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.msgs[msg] = struct{}{}
}

func (h *held) remove(batch []jetstream.Msg) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	for _, msg := range batch {
		delete(h.msgs, msg)
	}
}

func (h *held) beat(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		h.mutex.Lock()
		for msg := range h.msgs {
			_ = msg.InProgress()
		}
		h.mutex.Unlock()
	}
}

func (s *Stage) prepare(items []*item) {
	var group errgroup.Group
	group.SetLimit(prepareAtOnce)
	for _, it := range items {
		group.Go(func() error {
			it.err = Guard(s.Log, func() (err error) {
				it.prepared, err = s.Prepare(it.ctx, it.in)
				return err
			})
			return nil
		})
	}
	_ = group.Wait()
}

// apply applies the messages of a batch. It returns an error only when the transaction
// itself is lost; then it may be called again with the same items.
func (s *Stage) apply(tx *store.Tx, items []*item) error {
	for _, it := range items {
		it.again = 0
		err := it.err
		if err == nil {
			err = s.once(tx, it, func() error { return s.Apply(it.ctx, tx, it.in, it.prepared) })
		}
		switch {
		case err == nil:
			continue
		case errors.Is(err, store.ErrUnavailable) || store.MustRepeat(err):
			return err
		case isRetry(err) || (!isReject(err) && it.in.Attempt < s.MaxAttempts):
			s.Log.Warn("message is tried again", "message", it.in.ID, "attempt", it.in.Attempt, "error", err)
			it.again = backoff(it.in.Attempt)
		default:
			s.Log.Error("message goes to the dead letters", "message", it.in.ID, "subject", it.in.Subject, "error", err)
			if err := s.once(tx, it, func() error { return s.bury(tx, it, err) }); err != nil {
				if errors.Is(err, store.ErrUnavailable) || store.MustRepeat(err) {
					return err
				}
				s.Log.Error("dead letter is not written", "message", it.in.ID, "error", err)
				it.again = backoff(it.in.Attempt)
				continue
			}
			s.Metrics.dead(s.Name)
		}
	}
	return nil
}

// once runs fn unless the inbox knows the message already.
func (s *Stage) once(tx *store.Tx, it *item, fn func() error) error {
	return tx.Savepoint(it.ctx, func() error {
		n, err := tx.Exec(it.ctx, `INSERT INTO bus_inbox (service, message_id, applied_at) VALUES ($1, $2, $3)
			ON CONFLICT (service, message_id) DO NOTHING`, s.Service, it.in.ID, store.Micros(s.Now()))
		if err != nil || n == 0 {
			return err
		}
		return Guard(s.Log, fn)
	})
}

// bury writes a dead letter and tells whoever waits.
func (s *Stage) bury(tx *store.Tx, it *item, cause error) error {
	header := nats.Header{}
	for k, v := range it.in.Header {
		if !strings.HasPrefix(k, "Nats-") { // instructions to the server, for the first publish only
			header[k] = v
		}
	}
	header.Set(subjects.HeaderDeadReason, oneLine(cause))
	header.Set(subjects.HeaderDeadSubject, it.in.Subject)
	header.Set(subjects.HeaderDeadAt, s.Now().UTC().Format(time.RFC3339))
	header.Set(subjects.HeaderDeadDeliveries, strconv.Itoa(it.in.Attempt))
	dead := Message{Subject: subjects.Dead(s.Service), ID: "dead-" + it.in.ID, Header: header, Data: it.in.Data}
	if errors.Is(dead.Check(), ErrTooLarge) {
		dead.cut()
	}
	if err := s.Outbox.Send(it.ctx, tx, dead); err != nil {
		return err
	}
	if s.GiveUp == nil {
		return nil
	}
	return s.GiveUp(it.ctx, tx, it.in, cause)
}

// cut leaves of a dead letter what says why and where from: the message filled the
// server's limit already, and with the reason it would never be stored.
func (m *Message) cut() {
	kept := nats.Header{headerDeadCut: {strconv.Itoa(len(m.Data))}}
	for name, values := range m.Header {
		if strings.HasPrefix(name, deadHeaders) {
			kept[name] = values
		}
	}
	m.Header, m.Data = kept, nil
}

// oneLine makes an error fit for a header.
func oneLine(err error) string {
	text := []rune(err.Error())
	for i, r := range text {
		if r < ' ' {
			text[i] = ' '
		}
	}
	return string(text[:min(len(text), 1000)])
}

// Guard turns a panic of a handler into an error, of that one message or command. Who starts
// goroutines in a handler guards each: a [Stage] sees to its own only.
func Guard(log *slog.Logger, fn func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			log.Error("handler panicked", "panic", r, "stack", string(debug.Stack()))
			err = errors.New("handler panicked")
		}
	}()
	return fn()
}

func (s *Stage) settle(items []*item) {
	for _, it := range items {
		var err error
		if it.again > 0 {
			err = it.msg.NakWithDelay(it.again)
		} else {
			err = it.msg.Ack()
		}
		if err != nil { // the message comes again and the inbox knows it
			s.Log.Debug("acknowledgement is lost", "message", it.in.ID, "error", err)
		}
	}
}

// backoff is the pause before the next delivery: 100 ms doubling up to a minute.
func backoff(attempt int) time.Duration {
	return min(100*time.Millisecond<<min(max(attempt-1, 0), 12), time.Minute)
}

// keepInbox is how long the inbox remembers: much longer than any message is redelivered.
const keepInbox = 14 * 24 * time.Hour

// PruneInbox forgets ids of messages that cannot come again. [Outbox.Run] calls it.
func PruneInbox(ctx context.Context, db *store.DB, service string, now time.Time) error {
	return db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM bus_inbox WHERE service = $1 AND applied_at < $2`,
			service, store.Micros(now.Add(-keepInbox)))
		return err
	})
}

// Redrive hands a dead letter over again on the subject that it came from, as a new
// message, and then removes it from the DEAD stream. Killed in between, it is handed
// over once all the same when called again soon.
func Redrive(ctx context.Context, js jetstream.JetStream, dead *jetstream.RawStreamMsg) error {
	if size := dead.Header.Get(headerDeadCut); size != "" {
		return fmt.Errorf("hand over dead letter %d again: its %s bytes were too large to be kept", dead.Sequence, size)
	}
	msg := nats.NewMsg(dead.Header.Get(subjects.HeaderDeadSubject))
	for name, values := range dead.Header {
		if !strings.HasPrefix(name, "Nats-") && !strings.HasPrefix(name, deadHeaders) {
			msg.Header[name] = values
		}
	}
	msg.Header.Set(HeaderMessageID, fmt.Sprintf("%s:redrive:%d", msg.Subject, dead.Sequence))
	msg.Data = dead.Data
	if _, err := js.PublishMsg(ctx, msg); err != nil {
		return fmt.Errorf("hand over dead letter %d again: %w", dead.Sequence, err)
	}
	stream, err := js.Stream(ctx, subjects.StreamDead)
	if err == nil {
		err = stream.DeleteMsg(ctx, dead.Sequence)
	}
	if err != nil {
		return fmt.Errorf("remove dead letter %d: %w", dead.Sequence, err)
	}
	return nil
}

const (
	// deadHeaders begins the headers that a dead letter has besides the original ones.
	deadHeaders = "Signbus-Dead-"
	// headerDeadCut is the size of a payload that was not kept.
	headerDeadCut = deadHeaders + "Cut"
)
