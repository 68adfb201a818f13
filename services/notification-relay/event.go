package relay

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/journal"
	"signbus.dev/pkg/subjects"
)

var errEvent = errors.New("message is no event of the bus")

// loneEnvelope begins the envelope key of an event that belongs to no envelope, such as
// the refusal of a command. Such events have no order.
const loneEnvelope = "event-"

// event is a public event as the relay keeps it.
type event struct {
	customer, system string
	// envelope is the bus's own id of the envelope: deliveries of one are kept in order.
	envelope string
	// sequence counts the events of the envelope from 1; 0 for an event without one.
	sequence   int64
	id         string
	eventType  string
	externalID string
	// body is the CloudEvent in the JSON format.
	body []byte
	// settled says that no earlier event of the envelope can come any more.
	settled bool
}

// readEvent reads a message of the EVENTS stream: a CloudEvent in the binary mode of the
// NATS binding.
func readEvent(m *bus.Incoming) (event, error) {
	subject, err := subjects.ParseEvent(m.Subject)
	if err != nil {
		return event{}, fmt.Errorf("%w: %w", errEvent, err)
	}
	ce, err := cloudEvent(m.Header, m.Data)
	if err != nil {
		return event{}, err
	}
	ev := event{
		customer: subject.Customer, system: subject.System,
		id: ce.ID(), eventType: ce.Type(), externalID: ce.Subject(),
		envelope: journal.Attribute(m.Header, subjects.HeaderEnvelope),
	}
	if ce.Type() != string(subject.Type) {
		return event{}, fmt.Errorf("%w: its type is not that of its subject", errEvent)
	}
	if ev.envelope == "" {
		ev.envelope = loneEnvelope + ev.id
	} else if ev.sequence, err = strconv.ParseInt(m.Header.Get(subjects.HeaderCESequence), 10, 64); err != nil || ev.sequence < 1 {
		return event{}, fmt.Errorf("%w: it names an envelope but no place in it", errEvent)
	}
	ev.body, err = json.Marshal(ce)
	if err != nil {
		return event{}, fmt.Errorf("%w: %w", errEvent, err)
	}
	return ev, nil
}

// cloudEvent turns headers and payload into an event. Attributes that the binding does
// not know are extensions and are carried on.
func cloudEvent(h nats.Header, data []byte) (cloudevents.Event, error) {
	// The constructor of the SDK panics on a version that it does not know.
	if h.Get(subjects.HeaderCESpecVersion) != cloudevents.CloudEventsVersionV1 {
		return cloudevents.Event{}, fmt.Errorf("%w: it is not a CloudEvent of version 1.0", errEvent)
	}
	ce := cloudevents.New(cloudevents.CloudEventsVersionV1)
	ce.SetID(journal.Attribute(h, subjects.HeaderCEID))
	ce.SetSource(journal.Attribute(h, subjects.HeaderCESource))
	ce.SetType(journal.Attribute(h, subjects.HeaderCEType))
	if subject := journal.Attribute(h, subjects.HeaderCESubject); subject != "" {
		ce.SetSubject(subject)
	}
	if schema := journal.Attribute(h, subjects.HeaderCEDataSchema); schema != "" {
		ce.SetDataSchema(schema)
	}
	if text := journal.Attribute(h, subjects.HeaderCETime); text != "" {
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return ce, fmt.Errorf("%w: its time can't be read", errEvent)
		}
		ce.SetTime(at)
	}
	known := []string{
		subjects.HeaderCESpecVersion, subjects.HeaderCEID, subjects.HeaderCESource, subjects.HeaderCEType,
		subjects.HeaderCESubject, subjects.HeaderCEDataSchema, subjects.HeaderCETime, subjects.HeaderCEDataContentType,
	}
	for name := range h {
		if extension, ok := strings.CutPrefix(name, "ce-"); ok && !slices.Contains(known, name) {
			ce.SetExtension(extension, journal.Attribute(h, name))
		}
	}
	contentType := journal.Attribute(h, subjects.HeaderCEDataContentType)
	if contentType == "" {
		contentType = cloudevents.ApplicationJSON
	}
	if contentType == cloudevents.ApplicationJSON && !json.Valid(data) {
		return ce, fmt.Errorf("%w: its data is not json", errEvent)
	}
	if err := ce.SetData(contentType, data); err != nil {
		return ce, fmt.Errorf("%w: %w", errEvent, err)
	}
	// The SDK takes bytes for binary data; JSON shall stand in structured mode as it is.
	ce.DataBase64 = contentType != cloudevents.ApplicationJSON
	if err := ce.Validate(); err != nil {
		return ce, fmt.Errorf("%w: %w", errEvent, err)
	}
	return ce, nil
}
