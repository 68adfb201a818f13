package handover

import (
	"encoding/json"
	"time"

	"signbus.dev/pkg/contract"
)

// Names of the calls between services (request and reply, see package bus).
const (
	// CallFind on provider-dispatch: [EnvelopeQuery] to [Found].
	CallFind = "find"
	// CallStatus on provider-dispatch: [EnvelopeQuery] to contract.Status.
	CallStatus = "status"
	// CallAssignment on provider-dispatch: [AssignmentQuery] to [AssignmentFound].
	CallAssignment = "assignment"
	// CallJournal on provider-dispatch: [JournalQuery] to [Journal].
	CallJournal = "journal"
	// CallSigningURL on signature-book: [SigningURLQuery] to [SigningURL].
	CallSigningURL = "signing-url"
	// CallCertificates on signature-book: [CertificateQuery] to [Certificates].
	CallCertificates = "certificates"
	// CallRevoke on signature-book: [RevokeRequest] to [Revocation].
	CallRevoke = "revoke"
	// CallSubscribe on directory: [SubscribeRequest] to contract.Subscription.
	CallSubscribe = "subscribe"
	// CallUnsubscribe on directory: [SubscriptionQuery] to nothing.
	CallUnsubscribe = "unsubscribe"
	// CallSubscriptions on directory: [SubscriptionQuery] without ID to contract.Subscriptions.
	CallSubscriptions = "subscriptions"
	// CallDeliveries on notification-relay lists deliveries.
	CallDeliveries = "deliveries"
	// CallResend on notification-relay delivers again.
	CallResend = "resend"
)

// EnvelopeQuery names an envelope.
type EnvelopeQuery struct {
	Customer   string `json:"customer"`
	ExternalID string `json:"externalId"`
}

// Found is an envelope with where the bytes of its documents are. Documents stand in
// the order of Envelope.Documents, at their newest version.
type Found struct {
	EnvelopeID string                 `json:"envelopeId"`
	Envelope   contract.FoundEnvelope `json:"envelope"`
	Documents  []Document             `json:"documents"`
}

// AssignmentQuery asks for the open assignment of a user in an envelope.
type AssignmentQuery struct {
	Customer   string `json:"customer"`
	ExternalID string `json:"externalId"`
	User       string `json:"user"`
}

// AssignmentFound names an assignment.
type AssignmentFound struct {
	Assignment string `json:"assignment"`
	Provider   string `json:"provider"`
}

// JournalQuery asks for the journal of an envelope.
type JournalQuery struct {
	Customer   string `json:"customer"`
	ExternalID string `json:"externalId"`
	// After is the sequence of the last entry that the caller has; 0 for the beginning.
	After int64 `json:"after,omitempty"`
	// Limit bounds the number of entries; 0 means as many as one answer carries.
	Limit int `json:"limit,omitempty"`
}

// Journal is a part of the journal of an envelope, in order.
type Journal struct {
	EnvelopeID string         `json:"envelopeId"`
	Entries    []JournalEntry `json:"entries"`
	// More says that there are further entries; ask again after the last one here.
	More bool `json:"more"`
}

// JournalEntry is a recorded event with everything that its hash covers. Its fields are
// those of journal.Entry, so that one converts to the other and a reader can check the
// chain by itself.
type JournalEntry struct {
	// Chain is the bus's own id of the envelope.
	Chain       string             `json:"chain"`
	Sequence    int64              `json:"sequence"`
	ID          string             `json:"id"`
	Type        contract.EventType `json:"type"`
	Customer    string             `json:"customer"`
	System      string             `json:"system"`
	Subject     string             `json:"subject"`
	OperationID string             `json:"operationId"`
	TraceParent string             `json:"traceParent"`
	RecordedAt  time.Time          `json:"recordedAt"`
	// Data has the very bytes that were published; the hash covers them.
	Data     json.RawMessage `json:"data"`
	Previous []byte          `json:"previous"`
	Hash     []byte          `json:"hash"`
}

// SigningURLQuery asks where the actor of an assignment signs.
type SigningURLQuery struct {
	Customer   string `json:"customer"`
	Assignment string `json:"assignment"`
}

// SigningURL is the address of a signing page. It is a secret: whoever has it and gets
// the one-time code can sign.
type SigningURL struct {
	URL string `json:"url"`
}

// SubscribeRequest registers a webhook.
type SubscribeRequest struct {
	Customer  string             `json:"customer"`
	Subscribe contract.Subscribe `json:"subscribe"`
}

// SubscriptionQuery names a subscription, or all of a customer when ID is empty.
type SubscriptionQuery struct {
	Customer string `json:"customer"`
	ID       string `json:"id,omitempty"`
}
