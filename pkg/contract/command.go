package contract

// Command is the name of a command, as in its subject and in OperationDone.
type Command string

// The commands.
const (
	// CommandInsertEnvelope inserts an envelope.
	CommandInsertEnvelope Command = "insertEnvelope"
	// CommandDeleteEnvelope deletes an envelope.
	CommandDeleteEnvelope Command = "deleteEnvelope"
	// CommandCancelEnvelope stops the process of an envelope.
	CommandCancelEnvelope Command = "cancelEnvelope"
	// CommandSendEnvelope starts the process of a draft.
	CommandSendEnvelope Command = "sendEnvelope"
)

// Commands returns every command.
func Commands() []Command {
	return []Command{CommandInsertEnvelope, CommandDeleteEnvelope, CommandCancelEnvelope, CommandSendEnvelope}
}

// Query is the name of a query, as in its subject.
type Query string

// The queries.
const (
	// QueryFindEnvelope asks for an envelope.
	QueryFindEnvelope Query = "findEnvelope"
	// QueryStatus asks for the status of an envelope.
	QueryStatus Query = "status"
	// QueryURL asks for the address of the signing page of one actor.
	QueryURL Query = "url"
)

// Queries returns every query.
func Queries() []Query { return []Query{QueryFindEnvelope, QueryStatus, QueryURL} }

// DeleteEnvelope is the command deleteEnvelope (chapter 4.1).
type DeleteEnvelope struct {
	// CustomerCode is the secret key of the customer. Mandatory (4.1).
	CustomerCode string `json:"customerCode"`
	// UsrExtID names the secretary who asks. Mandatory (4.1).
	UsrExtID string `json:"usrExtId"`
	// EnveExtID names the envelope. Mandatory on the queue; over HTTP it is in the path.
	EnveExtID string `json:"enveExtId,omitempty"`
}

// CancelEnvelope is the command cancelEnvelope: it stops the process and keeps the envelope.
type CancelEnvelope struct {
	// CustomerCode is the secret key of the customer. Mandatory.
	CustomerCode string `json:"customerCode"`
	// UsrExtID names the secretary who asks. Mandatory.
	UsrExtID string `json:"usrExtId"`
	// EnveExtID names the envelope. Mandatory on the queue; over HTTP it is in the path.
	EnveExtID string `json:"enveExtId,omitempty"`
	// Note is shown to the signers. Optional.
	Note string `json:"note,omitempty"`
}

// SendEnvelope is the command sendEnvelope: it starts the process of a draft.
type SendEnvelope struct {
	// CustomerCode is the secret key of the customer. Mandatory.
	CustomerCode string `json:"customerCode"`
	// UsrExtID names the secretary who asks. Mandatory.
	UsrExtID string `json:"usrExtId"`
	// EnveExtID names the envelope. Mandatory on the queue; over HTTP it is in the path.
	EnveExtID string `json:"enveExtId,omitempty"`
}

// FindEnvelope is the query findEnvelope (chapter 4.1).
type FindEnvelope struct {
	// CustomerCode is the secret key of the customer. Mandatory (4.1).
	CustomerCode string `json:"customerCode"`
	// ExternalSystemCode names the external system. Mandatory (4.1).
	ExternalSystemCode string `json:"externalSystemCode"`
	// EnveExtID names the envelope. Mandatory (4.1).
	EnveExtID string `json:"enveExtId"`
	// WithDocBytes asks for the documents' content too. Absent means false (4.1).
	WithDocBytes bool `json:"withDocBytes"`
}

// GetStatus is the query status (after chapter 9.6).
type GetStatus struct {
	// CustomerCode is the secret key of the customer. Mandatory.
	CustomerCode string `json:"customerCode"`
	// EnveExtID names the envelope. Mandatory.
	EnveExtID string `json:"enveExtId"`
}

// GetURL is the query url (after chapter 9.5).
type GetURL struct {
	// CustomerCode is the secret key of the customer. Mandatory.
	CustomerCode string `json:"customerCode"`
	// EnveExtID names the envelope. Mandatory.
	EnveExtID string `json:"enveExtId"`
	// UsrExtID names the actor. Mandatory.
	UsrExtID string `json:"usrExtId"`
}
