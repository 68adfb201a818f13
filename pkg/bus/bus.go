// Package bus moves messages between services over NATS JetStream and ties them to SQL
// transactions. Its promises:
//
//   - A message given to [Publisher.Publish] is on disk when the call returns nil.
//   - A message given to [Outbox.Send] leaves when the transaction commits, and only then,
//     even if the process is killed in between.
//   - A [Stage] applies each message once: the message id is recorded in the transaction
//     that applies it (inbox), so a redelivery has no second effect.
//   - What a stage cannot handle goes to the DEAD stream with its reason and its headers.
//   - Connections come back for ever.
//
// Deduplication by JetStream itself is only a convenience here: it forgets. The package
// does not order messages of different keys and does not know what they mean.
package bus

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/oklog/ulid/v2"
	"go.opentelemetry.io/otel/propagation"

	"signbus.dev/pkg/subjects"
)

// HeaderMessageID is the header by which JetStream deduplicates.
const HeaderMessageID = jetstream.MsgIDHeader

const (
	// DedupWindow is how long JetStream remembers message ids. It spares the inbox most
	// duplicates; correctness does not depend on it.
	DedupWindow = 10 * time.Minute
	// commandDedup is the shortest window that JetStream takes. Ids on COMMANDS are chosen
	// by external systems and compared across customers: one's message must not be taken
	// for a copy of another's. Operation ids tell repeated commands apart instead.
	commandDedup = 100 * time.Millisecond
)

// Message is a message on its way out.
type Message struct {
	// Subject is where it goes.
	Subject string
	// ID names the message among those of its subject; a message with the same subject
	// and id is the same message. Empty: one is given.
	ID string
	// Header is carried as it is.
	Header nats.Header
	// Data is the payload.
	Data []byte
}

// msg builds the NATS message. The id for deduplication carries the subject, because
// JetStream deduplicates per stream, not per subject.
func (m Message) msg() *nats.Msg {
	msg := nats.NewMsg(m.Subject)
	maps.Copy(msg.Header, m.Header)
	if m.ID != "" {
		msg.Header.Set(HeaderMessageID, m.Subject+":"+m.ID)
	}
	msg.Data = m.Data
	return msg
}

// size is what the message counts against max_payload, headers included.
func (m Message) size() int {
	n := len(m.Data) + len(m.Subject) + len(m.ID) + 64
	for k, vs := range m.Header {
		for _, v := range vs {
			n += len(k) + len(v) + 4
		}
	}
	return n
}

// ErrTooLarge says that a message is larger than NATS carries.
var ErrTooLarge = errors.New("message is larger than the bus carries")

// maxMessage leaves room for headers within the server's max_payload of 8 MiB.
const maxMessage = 8<<20 - 64<<10

// Check refuses a message that NATS would not carry, with [ErrTooLarge].
func (m Message) Check() error {
	if m.size() > maxMessage {
		return fmt.Errorf("send to %s: %w: %d bytes", m.Subject, ErrTooLarge, m.size())
	}
	return nil
}

// trace carries the W3C trace context in message headers.
var trace = propagation.TraceContext{}

// Inject writes the trace context of ctx into the header.
func Inject(ctx context.Context, h nats.Header) {
	carrier := propagation.MapCarrier{} // lower-case names: NATS headers are case-sensitive
	trace.Inject(ctx, carrier)
	for k, v := range carrier {
		h.Set(k, v)
	}
}

// Extract returns ctx with the trace context found in the header.
func Extract(ctx context.Context, h nats.Header) context.Context {
	carrier := propagation.MapCarrier{}
	for k, v := range h {
		if len(v) > 0 {
			carrier[strings.ToLower(k)] = v[0]
		}
	}
	return trace.Extract(ctx, carrier)
}

var (
	entropyMutex sync.Mutex
	entropy      = ulid.Monotonic(rand.Reader, 0)
)

// NewID returns a new ULID in lower case. Ids made by one process ascend.
func NewID() string {
	entropyMutex.Lock()
	defer entropyMutex.Unlock()
	return strings.ToLower(ulid.MustNew(ulid.Timestamp(time.Now()), entropy).String())
}

// Connect connects to NATS and stays connected: it tries for ever, at the start too.
func Connect(url, name string, log *slog.Logger, opts ...nats.Option) (*nats.Conn, error) {
	all := append([]nats.Option{
		nats.Name(name),
		nats.MaxReconnects(-1),
		nats.RetryOnFailedConnect(true),
		nats.ReconnectWait(500 * time.Millisecond),
		nats.ReconnectJitter(250*time.Millisecond, time.Second),
		nats.ReconnectBufSize(-1), // a publish while disconnected fails at once and is repeated by us
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			log.Warn("nats disconnected", "error", err)
		}),
		nats.ReconnectHandler(func(*nats.Conn) { log.Info("nats reconnected") }),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			subject := ""
			if sub != nil {
				subject = sub.Subject
			}
			log.Warn("nats error", "subject", subject, "error", err)
		}),
	}, opts...)
	nc, err := nats.Connect(url, all...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	return nc, nil
}

// Limits bound the streams. Zero means the default.
type Limits struct {
	// Replicas is 1 for one server, 3 in a cluster.
	Replicas int
	// EventsAge is how long events can be replayed; default 90 days.
	EventsAge time.Duration
	// EventsBytes bounds the EVENTS stream; default 8 GiB.
	EventsBytes int64
	// QueueBytes bounds COMMANDS and WORK; a full queue refuses publishers; default 8 GiB.
	QueueBytes int64
}

const (
	defaultEventsAge = 90 * 24 * time.Hour
	deadAge          = 365 * 24 * time.Hour
	defaultBytes     = 8 << 30
)

// CreateStreams creates the streams or brings their settings up to date.
func CreateStreams(ctx context.Context, js jetstream.JetStream, limits Limits) error {
	if limits.EventsAge == 0 {
		limits.EventsAge = defaultEventsAge
	}
	if limits.EventsBytes == 0 {
		limits.EventsBytes = defaultBytes
	}
	if limits.QueueBytes == 0 {
		limits.QueueBytes = defaultBytes
	}
	configs := []jetstream.StreamConfig{
		{Name: subjects.StreamCommands, Subjects: []string{subjects.AllCommands}, Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew, MaxBytes: limits.QueueBytes},
		{Name: subjects.StreamWork, Subjects: []string{subjects.AllWork}, Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew, MaxBytes: limits.QueueBytes},
		{Name: subjects.StreamEvents, Subjects: []string{subjects.AllEvents}, Retention: jetstream.LimitsPolicy, MaxAge: limits.EventsAge, MaxBytes: limits.EventsBytes, AllowDirect: true},
		{Name: subjects.StreamDead, Subjects: []string{subjects.AllDead}, Retention: jetstream.LimitsPolicy, MaxAge: deadAge, MaxBytes: limits.EventsBytes, AllowDirect: true},
	}
	for _, cfg := range configs {
		cfg.Storage = jetstream.FileStorage
		cfg.Replicas = max(1, limits.Replicas)
		if cfg.Duplicates = DedupWindow; cfg.Name == subjects.StreamCommands {
			cfg.Duplicates = commandDedup
		}
		cfg.AllowAtomicPublish = true
		if _, err := js.CreateOrUpdateStream(ctx, cfg); err != nil {
			return fmt.Errorf("create stream %s: %w", cfg.Name, err)
		}
	}
	return nil
}

// retryError asks for another try later, as often as it takes.
type retryError struct{ cause error }

func (e *retryError) Error() string { return e.cause.Error() }
func (e *retryError) Unwrap() error { return e.cause }

// Retry marks an error of a handler as passing: something outside is not there at the
// moment. The message is tried again for ever, with growing pauses.
func Retry(cause error) error { return &retryError{cause} }

// rejectError asks not to try again.
type rejectError struct{ cause error }

func (e *rejectError) Error() string { return e.cause.Error() }
func (e *rejectError) Unwrap() error { return e.cause }

// Reject marks an error of a handler as final: the same message will never succeed. It
// goes to the DEAD stream at once. An error with neither mark is tried a few times first.
func Reject(cause error) error { return &rejectError{cause} }

func isRetry(err error) bool {
	var e *retryError
	return errors.As(err, &e)
}

func isReject(err error) bool {
	var e *rejectError
	return errors.As(err, &e)
}
