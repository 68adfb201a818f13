package contract

import (
	"slices"
	"strings"
)

// EventPrefix begins the type of every event.
const EventPrefix = "dev.signbus."

// EventType is the type of a public event.
type EventType string

// The event types.
const (
	// EventOperationDone tells the outcome of a command.
	EventOperationDone EventType = EventPrefix + "operation.done"
	// EventEnvelopeSent tells that the process started.
	EventEnvelopeSent EventType = EventPrefix + "envelope.sent"
	// EventEnvelopeStepClosed tells that a step was completed, the last one included.
	EventEnvelopeStepClosed EventType = EventPrefix + "envelope.step.closed"
	// EventEnvelopeStatusChanged tells the old and the new status.
	EventEnvelopeStatusChanged EventType = EventPrefix + "envelope.status.changed"
	// EventEnvelopeProcessEnded tells that every step was completed.
	EventEnvelopeProcessEnded EventType = EventPrefix + "envelope.process.ended"
	// EventEnvelopeRejected tells that an actor declined.
	EventEnvelopeRejected EventType = EventPrefix + "envelope.rejected"
	// EventEnvelopeCancelled tells that the process will not be finished: a secretary
	// stopped it, or a step can no longer be done.
	EventEnvelopeCancelled EventType = EventPrefix + "envelope.cancelled"
	// EventEnvelopeExpired tells that the envelope was not completed in time.
	EventEnvelopeExpired EventType = EventPrefix + "envelope.expired"
)

// EventTypes returns every event type.
func EventTypes() []EventType {
	return []EventType{
		EventOperationDone, EventEnvelopeSent, EventEnvelopeStepClosed,
		EventEnvelopeStatusChanged, EventEnvelopeProcessEnded, EventEnvelopeRejected,
		EventEnvelopeCancelled, EventEnvelopeExpired,
	}
}

// Short returns the type without the prefix, as it ends the subject.
func (t EventType) Short() string { return strings.TrimPrefix(string(t), EventPrefix) }

// Known reports whether the type is one of [EventTypes].
func (t EventType) Known() bool { return slices.Contains(EventTypes(), t) }

// OperationDone is the data of operation.done: the OperationDoneEvent of chapter 11.
type OperationDone struct {
	// ID is the operation id, as in the answer to the command.
	ID string `json:"id"`
	// Command is the name of the command.
	Command Command `json:"command"`
	// ExtID is the envelope's externalId; empty when the command could not be read.
	ExtID string `json:"extId"`
	// Details is blank for insertEnvelope.
	Details string `json:"details"`
	// ReturnStatus is the outcome.
	ReturnStatus Outcome `json:"returnStatus"`
}

// EnvelopeSent is the data of envelope.sent (chapter 3.4.1).
type EnvelopeSent struct {
	// EnveExtID names the envelope.
	EnveExtID string `json:"enveExtId"`
}

// EnvelopeStepClosed is the data of envelope.step.closed (chapters 3.4.1, 7.1 and 8.3).
type EnvelopeStepClosed struct {
	// EnveExtID names the envelope.
	EnveExtID string `json:"enveExtId"`
	// StepNumber is the closed step; 0 is the first.
	StepNumber int `json:"stepNumber"`
	// LiveStatus is the state of every share of every step.
	LiveStatus []StepEvent `json:"liveStatus"`
}

// EnvelopeStatusChanged is the data of envelope.status.changed (chapter 3.4.1).
type EnvelopeStatusChanged struct {
	// EnveExtID names the envelope.
	EnveExtID string `json:"enveExtId"`
	// OldStatus is the status before.
	OldStatus EnvelopeStatus `json:"oldStatus"`
	// NewStatus is the status now.
	NewStatus EnvelopeStatus `json:"newStatus"`
}

// NotificationType is the kind of end that chapters 7.1 and 8.3 tell apart.
type NotificationType string

// The notification types.
const (
	// NotifySignProcessEnded ends a process with at least one signature.
	NotifySignProcessEnded NotificationType = "SIGN_PROCESS_ENDED"
	// NotifyVAProcessEnded ends a process of approvals and views only.
	NotifyVAProcessEnded NotificationType = "VA_PROCESS_ENDED"
)

// EndedDocument describes a document at the end of the process; its bytes are fetched by findEnvelope.
type EndedDocument struct {
	// DocExternalID names the document.
	DocExternalID string `json:"docExternalId"`
	// Title is the document's title.
	Title string `json:"title"`
	// OriginalFname is the document's file name.
	OriginalFname string `json:"originalFname"`
	// MimeType is the document's media type.
	MimeType string `json:"mimeType"`
	// SHA256 is the lower-case hexadecimal digest of the last version.
	SHA256 string `json:"sha256"`
	// Size is the number of bytes of the last version.
	Size int64 `json:"size"`
	// Version counts from 1, the document as it was inserted.
	Version int `json:"version"`
	// Signatures is how many signatures the last version carries.
	Signatures int `json:"signatures"`
}

// EnvelopeProcessEnded is the data of envelope.process.ended (chapters 7.1 and 8.3).
type EnvelopeProcessEnded struct {
	// EnveExtID names the envelope.
	EnveExtID string `json:"enveExtId"`
	// NotificationType tells a process with signatures from one without.
	NotificationType NotificationType `json:"notificationType"`
	// Documents are the documents as they ended.
	Documents []EndedDocument `json:"documents"`
	// LiveStatus is the state of every share of every step.
	LiveStatus []StepEvent `json:"liveStatus"`
}

// EnvelopeRejected is the data of envelope.rejected (chapters 7.1 and 8.3).
type EnvelopeRejected struct {
	// EnveExtID names the envelope.
	EnveExtID string `json:"enveExtId"`
	// UsrExtID names the actor who declined.
	UsrExtID string `json:"usrExtId"`
	// Note is the actor's reason.
	Note string `json:"note"`
	// LiveStatus is the state of every share of every step.
	LiveStatus []StepEvent `json:"liveStatus"`
}

// EnvelopeCancelled is the data of envelope.cancelled (chapters 7.1 and 8.3).
type EnvelopeCancelled struct {
	// EnveExtID names the envelope.
	EnveExtID string `json:"enveExtId"`
	// UsrExtID names the secretary who stopped the process; empty when a step can no longer be done.
	UsrExtID string `json:"usrExtId"`
	// Note is the secretary's reason, or the provider's; may be empty.
	Note string `json:"note"`
	// Code says why a step can no longer be done; empty when a secretary stopped the process.
	Code Code `json:"code"`
	// LiveStatus is the state of every share of every step.
	LiveStatus []StepEvent `json:"liveStatus"`
}

// EnvelopeExpired is the data of envelope.expired.
type EnvelopeExpired struct {
	// EnveExtID names the envelope.
	EnveExtID string `json:"enveExtId"`
	// ExpireAt is when the envelope expired.
	ExpireAt Millis `json:"expireAt"`
	// LiveStatus is the state of every share of every step.
	LiveStatus []StepEvent `json:"liveStatus"`
}

// SchemaURL returns the address of the JSON Schema of the event's data, which the
// attribute dataschema carries.
func (t EventType) SchemaURL() string {
	return "https://signbus.dev/schemas/events/" + t.Short() + ".v1.json"
}
