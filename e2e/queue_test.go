package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// testQueue is what an external system does with a NATS client and nothing else: the
// request of chapter 4.3.1 goes in, the events come out of a durable consumer, in order.
func testQueue(t *testing.T, b *bus) {
	data, err := os.ReadFile(filepath.Join("..", "schemas", "examples", "valid", "chapter-4.3.1.json"))
	require.NoError(t, err)
	var request object
	require.NoError(t, json.Unmarshal(data, &request))
	extID := newID("queue")
	envelopeOf(request)["externalId"] = extID

	consumer, err := b.js.CreateConsumer(t.Context(), "EVENTS", jetstream.ConsumerConfig{
		Durable: "erp-" + extID, FilterSubject: "evt.demo.>", AckPolicy: jetstream.AckExplicitPolicy, DeliverPolicy: jetstream.DeliverNewPolicy,
	})
	require.NoError(t, err)
	b.publish(t, queueInsert, request, "Signbus-Operation-Id", extID+"-operation")
	b.visitor(t, extID, "anna").sign(t)

	var events []event
	for len(events) == 0 || events[len(events)-1].Type != "envelope.process.ended" {
		msg, err := consumer.Next(jetstream.FetchMaxWait(waitTime))
		require.NoErrorf(t, err, "after %d events", len(events))
		e, err := readEvent(msg.Headers(), msg.Data())
		require.NoError(t, err)
		require.NoError(t, msg.DoubleAck(t.Context()))
		if e.ExternalID == extID {
			events = append(events, e)
		}
	}
	var types []string
	for i, e := range events {
		types = append(types, e.Type)
		require.Equal(t, int64(i+1), e.Sequence)
	}
	require.Equal(t, []string{
		"operation.done", "envelope.sent", "envelope.step.closed", "envelope.status.changed", "envelope.process.ended",
	}, types)
	var done operationDone
	require.NoError(t, json.Unmarshal(events[0].Data, &done))
	require.Equal(t, operationDone{
		ID: extID + "-operation", Command: "insertEnvelope", ExtID: extID, ReturnStatus: outcome{"OK", done.ReturnStatus.Message},
	}, done)
	requireReadable(t, events)

	signed := b.get(t, extID)
	require.Equal(t, "WKD", signed.Status)
	b.eyes(t).accept(t, signed.Documents[0].Bytes, 1)
}
