package jetstream_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"signbus.dev/pkg/bus/bustest"
	"signbus.dev/pkg/bus/jetstream"
)

// withStreams makes a stream for each topic, which the adapter itself never does.
type withStreams struct{ *jetstream.Subscriber }

func (s withStreams) SubscribeInitialize(topic string) error {
	_, err := s.JS.CreateStream(context.Background(), natsjs.StreamConfig{Name: topic, Subjects: []string{topic}, Storage: natsjs.FileStorage})
	if err != nil && !errors.Is(err, natsjs.ErrStreamNameAlreadyInUse) {
		return err
	}
	return s.Subscriber.SubscribeInitialize(topic)
}

// The suite of Watermill's own authors, on a server that syncs every message.
func TestWatermillSuite(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]jetstream.Options{
		"in order": {MaxInFlight: 1},
		"parallel": {MaxInFlight: 32},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := bustest.Start(t)
			options.JS, options.Log = b.JS, b.Log
			options.Backoff = func(uint64) time.Duration { return time.Millisecond }
			options.CloseTimeout = 100 * time.Millisecond // the suite closes with messages in hand
			inGroup := func(_ *testing.T, group string) (message.Publisher, message.Subscriber) {
				o := options
				o.Group = group
				return jetstream.NewPublisher(b.JS), withStreams{jetstream.NewSubscriber(o)}
			}
			features := tests.Features{
				ConsumerGroups: true, Persistent: true, GuaranteedOrder: options.MaxInFlight == 1, ForceShort: options.MaxInFlight != 1,
				GenerateTopicFunc: func(tests.TestContext) string { return "topic-" + watermill.NewULID() },
			}
			tests.TestPubSub(t, features, func(t *testing.T) (message.Publisher, message.Subscriber) { return inGroup(t, "suite") }, inGroup)
		})
	}
}

func TestWatermillSuiteWithoutGroup(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t)
	features := tests.Features{
		Persistent: true, NewSubscriberReceivesOldMessages: true,
		GenerateTopicFunc: func(tests.TestContext) string { return "topic-" + watermill.NewULID() },
	}
	tests.TestNewSubscriberReceivesOldMessages(t, tests.TestContext{TestID: tests.NewTestID(), Features: features},
		func(*testing.T) (message.Publisher, message.Subscriber) {
			return jetstream.NewPublisher(b.JS), withStreams{jetstream.NewSubscriber(jetstream.Options{JS: b.JS, Log: b.Log})}
		})
}
