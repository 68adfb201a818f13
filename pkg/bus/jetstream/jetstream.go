// Package jetstream lets Watermill handlers work on JetStream: a Publisher and a
// Subscriber over the jetstream package of nats.go, and a router with the middleware
// that every handler of the bus wants. It is for messages that are naturally handled one
// by one; what comes in masses and changes state goes through a bus.Stage.
//
// It exists because Watermill's own JetStream subscriber is a beta that crashes on a
// header with two values, closes the connection that it was given, publishes without a
// message id and gives no sign of life while a handler works. This one passes
// Watermill's suite for publishers and subscribers. Its promises:
//
//   - A message is on disk when Publish returns nil.
//   - A message comes again until it is acknowledged, each time after a longer pause, and
//     to nobody else as long as its handler works.
//   - With MaxInFlight 1, messages come in the order of the stream, across every
//     subscriber of the group.
//   - Subscriptions outlive lost connections and lost consumers.
//   - Close ends what was begun here and nothing else, and gives back what nobody handled.
//
// It does not create streams, and it does not remember what was handled: a message can
// come twice, so handlers are idempotent or record the message's UUID.
package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"signbus.dev/pkg/bus"
)

var (
	// ErrClosed says that the publisher or subscriber was closed.
	ErrClosed = errors.New("closed")
	// ErrMetadata says that metadata cannot travel in a header.
	ErrMetadata = errors.New("metadata and ids must be one line without space around it")
)

// apiTimeout bounds one request to JetStream.
const apiTimeout = 10 * time.Second

// Publisher publishes messages; the topic is the subject. A message's UUID, with the
// subject, is the id by which JetStream knows it again; its metadata are the headers, and
// the trace of its context travels along.
type Publisher struct {
	js     jetstream.JetStream
	closed atomic.Bool
}

var _ message.Publisher = (*Publisher)(nil)

// NewPublisher returns a publisher.
func NewPublisher(js jetstream.JetStream) *Publisher { return &Publisher{js: js} }

// Publish stores the messages one after the other; after an error none that follows is
// stored.
func (p *Publisher) Publish(topic string, messages ...*message.Message) error {
	for _, m := range messages {
		if p.closed.Load() {
			return fmt.Errorf("publish to %s: %w", topic, ErrClosed)
		}
		if err := p.publish(topic, m); err != nil {
			return fmt.Errorf("publish to %s: %w", topic, err)
		}
	}
	return nil
}

func (p *Publisher) publish(topic string, m *message.Message) error {
	msg, err := encode(topic, m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(m.Context(), apiTimeout)
	defer cancel()
	_, err = p.js.PublishMsg(ctx, msg)
	return err
}

// Close ends the publisher; the connection stays open.
func (p *Publisher) Close() error {
	p.closed.Store(true)
	return nil
}

// serverHeaders begin the names of headers that instruct the server; they belong to one
// publish and are not passed on.
const serverHeaders = "Nats-"

func encode(topic string, m *message.Message) (*nats.Msg, error) {
	msg := nats.NewMsg(topic)
	for name, value := range m.Metadata {
		if !validValue(value) { // the client would change it without a word; names it checks
			return nil, ErrMetadata
		}
		msg.Header.Set(name, value)
	}
	bus.Inject(m.Context(), msg.Header)
	if m.UUID != "" {
		if !validValue(m.UUID) {
			return nil, ErrMetadata
		}
		msg.Header.Set(bus.HeaderMessageID, topic+":"+m.UUID)
	}
	msg.Data = m.Payload
	return msg, nil
}

func validValue(s string) bool {
	return strings.TrimSpace(s) == s && !strings.ContainsAny(s, "\r\n")
}

// decode makes the Watermill message. Of a header with several values the first counts,
// as everywhere on the bus. A message without an id is named by its place in the stream.
func decode(ctx context.Context, msg jetstream.Msg, meta *jetstream.MsgMetadata) *message.Message {
	header := msg.Headers()
	uuid := strings.TrimPrefix(header.Get(bus.HeaderMessageID), msg.Subject()+":")
	if uuid == "" {
		uuid = meta.Stream + ":" + strconv.FormatUint(meta.Sequence.Stream, 10)
	}
	m := message.NewMessageWithContext(bus.Extract(ctx, header), uuid, msg.Data())
	for name, values := range header {
		if len(values) > 0 && !strings.HasPrefix(name, serverHeaders) {
			m.Metadata.Set(name, values[0])
		}
	}
	return m
}
