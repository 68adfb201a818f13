package subjects

// The headers of commands and internal messages.
const (
	// HeaderOperationID carries the operation id that the caller chose.
	HeaderOperationID = "Signbus-Operation-Id"
	// HeaderEnvelope carries the bus's own id of the envelope, by which stages group.
	HeaderEnvelope = "Signbus-Envelope"
	// HeaderTraceParent carries the W3C trace context.
	HeaderTraceParent = "traceparent"
	// HeaderTraceState carries vendor data of the W3C trace context.
	HeaderTraceState = "tracestate"
	// HeaderContentType carries the media type of the payload.
	HeaderContentType = "content-type"
)

// The CloudEvents attributes in the binary mode of the NATS binding.
const (
	// HeaderCESpecVersion is the version of CloudEvents, 1.0.
	HeaderCESpecVersion = "ce-specversion"
	// HeaderCEID is the event id, stable over redelivery.
	HeaderCEID = "ce-id"
	// HeaderCESource says which part of the bus tells the event.
	HeaderCESource = "ce-source"
	// HeaderCEType is the event type.
	HeaderCEType = "ce-type"
	// HeaderCESubject is the envelope's externalId.
	HeaderCESubject = "ce-subject"
	// HeaderCETime is when it happened, RFC 3339.
	HeaderCETime = "ce-time"
	// HeaderCEDataContentType is the media type of the data.
	HeaderCEDataContentType = "ce-datacontenttype"
	// HeaderCEDataSchema is the address of the data's JSON Schema.
	HeaderCEDataSchema = "ce-dataschema"
	// HeaderCESequence counts the events of one envelope without gaps, from 1.
	HeaderCESequence = "ce-sequence"
	// HeaderCECustomer is the public id of the customer.
	HeaderCECustomer = "ce-customer"
	// HeaderCEOperationID is the operation that caused the event.
	HeaderCEOperationID = "ce-operationid"
	// HeaderCETraceParent is the W3C trace context.
	HeaderCETraceParent = "ce-traceparent"
)

// The headers of dead messages, beside the original ones.
const (
	// HeaderDeadReason says in one sentence why the message could not be handled.
	HeaderDeadReason = "Signbus-Dead-Reason"
	// HeaderDeadSubject is the subject that the message came on.
	HeaderDeadSubject = "Signbus-Dead-Subject"
	// HeaderDeadAt is when it was given up, RFC 3339.
	HeaderDeadAt = "Signbus-Dead-At"
	// HeaderDeadDeliveries is how often it was tried.
	HeaderDeadDeliveries = "Signbus-Dead-Deliveries"
)
