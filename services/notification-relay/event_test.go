package relay

import (
	"encoding/json"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/journal"
)

func journalled(t *testing.T, change func(*journal.Entry)) *bus.Incoming {
	t.Helper()
	e := journal.Entry{
		Chain: "01envelope", Sequence: 3, ID: "01event", Type: contract.EventEnvelopeSent, Customer: "demo", System: "ERP",
		Subject: `Contratto "49%" è`, OperationID: "op 1", TraceParent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		RecordedAt: time.Date(2026, 11, 22, 18, 0, 0, 123456000, time.UTC), Data: json.RawMessage(`{"enveExtId":"è"}`),
	}
	if change != nil {
		change(&e)
	}
	msg, err := journal.Message(&e)
	require.NoError(t, err)
	return &bus.Incoming{Subject: msg.Subject, Header: msg.Header, Data: msg.Data}
}

func TestReadEvent(t *testing.T) {
	t.Parallel()
	ev, err := readEvent(journalled(t, nil))
	require.NoError(t, err)
	var ce cloudevents.Event
	require.NoError(t, json.Unmarshal(ev.body, &ce))
	require.NoError(t, ce.Validate())
	require.Equal(t, `Contratto "49%" è`, ce.Subject())
	require.Equal(t, "/signbus", ce.Source())
	require.Equal(t, time.Date(2026, 11, 22, 18, 0, 0, 123456000, time.UTC), ce.Time())
	require.Equal(t, map[string]any{
		"sequence": "3", "customer": "demo", "operationid": "op 1",
		"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	}, ce.Extensions())
	require.JSONEq(t, `{"enveExtId":"è"}`, string(ce.Data()))
	ev.body = nil
	require.Equal(t, event{
		customer: "demo", system: "ERP", envelope: "01envelope", sequence: 3, id: "01event",
		eventType: "dev.signbus.envelope.sent", externalID: `Contratto "49%" è`,
	}, ev)

	lone, err := readEvent(journalled(t, func(e *journal.Entry) { e.Chain, e.Type = journal.OperationChain("x"), contract.EventOperationDone }))
	require.NoError(t, err)
	require.Equal(t, "event-01event", lone.envelope)
	require.Zero(t, lone.sequence)
}

func TestReadEventRefuses(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*bus.Incoming){
		"no headers":        func(m *bus.Incoming) { m.Header = nats.Header{} },
		"another version":   func(m *bus.Incoming) { m.Header.Set("ce-specversion", "0.3") },
		"no id":             func(m *bus.Incoming) { m.Header.Del("ce-id") },
		"no source":         func(m *bus.Incoming) { m.Header.Del("ce-source") },
		"type not subject":  func(m *bus.Incoming) { m.Header.Set("ce-type", "dev.signbus.envelope.expired") },
		"broken time":       func(m *bus.Incoming) { m.Header.Set("ce-time", "yesterday") },
		"no sequence":       func(m *bus.Incoming) { m.Header.Del("ce-sequence") },
		"sequence zero":     func(m *bus.Incoming) { m.Header.Set("ce-sequence", "0") },
		"broken sequence":   func(m *bus.Incoming) { m.Header.Set("ce-sequence", "3a") },
		"data not json":     func(m *bus.Incoming) { m.Data = []byte("<xml/>") },
		"foreign subject":   func(m *bus.Incoming) { m.Subject = "evt.demo.ERP.coffee.ready" },
		"broken extension":  func(m *bus.Incoming) { m.Header["ce-bad_name"] = []string{"x"} },
		"subject too short": func(m *bus.Incoming) { m.Subject = "evt.demo" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := journalled(t, nil)
			change(m)
			_, err := readEvent(m)
			require.ErrorIs(t, err, errEvent)
			require.NotContains(t, err.Error(), "enveExtId", "no content in errors")
		})
	}
}

func FuzzReadEventNeverPanics(f *testing.F) {
	f.Add("1.0", "id", "source", "dev.signbus.envelope.sent", "2026-11-22T18:00:00Z", "1", "env", []byte(`{}`))
	f.Add("", "", "", "", "", "", "", []byte(nil))
	f.Fuzz(func(t *testing.T, version, id, source, eventType, at, sequence, envelope string, data []byte) {
		h := nats.Header{}
		for name, value := range map[string]string{
			"ce-specversion": version, "ce-id": id, "ce-source": source, "ce-type": eventType,
			"ce-time": at, "ce-sequence": sequence, "Signbus-Envelope": envelope,
		} {
			h.Set(name, value)
		}
		ev, err := readEvent(&bus.Incoming{Subject: "evt.demo.ERP.envelope.sent", Header: h, Data: data})
		if err != nil {
			require.ErrorIs(t, err, errEvent)
			return
		}
		var ce cloudevents.Event
		require.NoError(t, json.Unmarshal(ev.body, &ce), "what was read can be sent")
	})
}
