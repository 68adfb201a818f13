package contract

// SubscriptionMode is how a webhook gets its CloudEvents.
type SubscriptionMode string

// The subscription modes.
const (
	// ModeBinary puts the attributes in HTTP headers and the data in the body.
	ModeBinary SubscriptionMode = "binary"
	// ModeStructured puts the whole event in the body.
	ModeStructured SubscriptionMode = "structured"
)

// Subscribe is the request for events by webhook.
type Subscribe struct {
	// ExternalSystemCode limits to the envelopes of one system. Optional.
	ExternalSystemCode string `json:"externalSystemCode,omitempty"`
	// URL is the http or https address to deliver to. Mandatory.
	URL string `json:"url"`
	// Types are the wanted event types. Optional, default all.
	Types []EventType `json:"types,omitempty"`
	// Mode is binary or structured. Optional, default binary.
	Mode SubscriptionMode `json:"mode,omitempty"`
	// Secret signs the deliveries: whsec_ and base64 of 24 to 64 bytes. Optional, else generated.
	Secret string `json:"secret,omitempty"`
}

// Subscription is a registered webhook.
type Subscription struct {
	// ID names the subscription.
	ID string `json:"id"`
	// ExternalSystemCode limits to the envelopes of one system; empty means all.
	ExternalSystemCode string `json:"externalSystemCode,omitempty"`
	// URL is the address delivered to.
	URL string `json:"url"`
	// Types are the event types delivered.
	Types []EventType `json:"types"`
	// Mode is binary or structured.
	Mode SubscriptionMode `json:"mode"`
	// Secret signs the deliveries; only shown when the subscription is made.
	Secret string `json:"secret,omitempty"`
}

// Subscriptions is the list of a customer's webhooks.
type Subscriptions struct {
	// Subscriptions are in the order in which they were made.
	Subscriptions []Subscription `json:"subscriptions"`
}

// OperationStatus is how an operation stands.
type OperationStatus struct {
	// ID is the operation id.
	ID string `json:"id"`
	// Command is the name of the command.
	Command Command `json:"command"`
	// ExtID is the envelope's externalId.
	ExtID string `json:"extId"`
	// AcceptedAt is when the command was taken in charge.
	AcceptedAt Millis `json:"acceptedAt"`
	// Done is true when the outcome is known.
	Done bool `json:"done"`
	// ReturnStatus is the outcome; null until done.
	ReturnStatus *Outcome `json:"returnStatus"`
}

// Uploaded is the answer to an upload of document bytes.
type Uploaded struct {
	// URI goes into a document in place of its bytes.
	URI string `json:"uri"`
	// SHA256 is the lower-case hexadecimal digest of what was received.
	SHA256 string `json:"sha256"`
	// Size is the number of bytes received.
	Size int64 `json:"size"`
}
