// Package handover holds the messages that Signbus services pass to one another
// on the WORK stream. They are internal: external systems never see them. Document
// bytes never travel in them; a document is named by the SHA-256 under which the
// blob store keeps it (claim check).
//
// The package promises that every message is plain JSON of the standard library
// and that every message names its operation or its envelope. It does not know
// how the messages travel.
package handover

import (
	"time"

	"signbus.dev/pkg/contract"
)

// Operation is one accepted command on its way through the services.
type Operation struct {
	// ID is the operation id, chosen by the caller or given by the bus.
	ID string `json:"id"`
	// Key names the accepted command: it is unique over customer, id and payload.
	Key string `json:"key"`
	// Customer is the public id of the customer.
	Customer string `json:"customer"`
	// System is the external system that sent the command.
	System string `json:"system"`
	// Command is the name of the command, such as insertEnvelope.
	Command string `json:"command"`
	// ExternalID is the envelope's externalId, empty when the payload could not be read.
	ExternalID string `json:"externalId,omitempty"`
	// AcceptedAt is when the command was durably accepted, in UTC.
	AcceptedAt time.Time `json:"acceptedAt"`
}

// Accepted is a command that came over HTTP, as it would stand on the COMMANDS stream.
type Accepted struct {
	Subject     string `json:"subject"`
	OperationID string `json:"operationId"`
	TraceParent string `json:"traceparent,omitempty"`
	// Data is the payload, byte for byte.
	Data []byte `json:"data"`
}

// Pack holds commands that were accepted at the same time.
type Pack struct {
	Commands []Accepted `json:"commands"`
}

// Blob names document bytes in the blob store.
type Blob struct {
	// DocExternalID is the externalId of the document in its envelope.
	DocExternalID string `json:"docExternalId"`
	// SHA256 is the lower-case hexadecimal digest of the bytes.
	SHA256 string `json:"sha256"`
	// Size is the number of bytes.
	Size int64 `json:"size"`
}

// Ingest asks document-store to inspect and keep the documents of a new envelope.
type Ingest struct {
	Operation Operation `json:"operation"`
	// EnvelopeID is the bus's own id of the envelope and the scope of its blobs.
	EnvelopeID string `json:"envelopeId"`
	// Envelope is the accepted request without document bytes.
	Envelope contract.Envelope `json:"envelope"`
	// Blobs has one entry for each document, in the order of Envelope.Documents.
	Blobs []Blob `json:"blobs"`
}

// Document is an inspected document at one version.
type Document struct {
	ExternalID string `json:"externalId"`
	Title      string `json:"title"`
	MimeType   string `json:"mimeType"`
	FileName   string `json:"fileName"`
	// Order is the place of the document in the envelope, starting at 1.
	Order int `json:"order"`
	// Version starts at 1; every signature makes the next one.
	Version int `json:"version"`
	// SHA256 and Size describe the bytes of this version.
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
	// Pages is the number of pages, Signatures that of signatures already in the file.
	Pages      int `json:"pages"`
	Signatures int `json:"signatures"`
	// Fields are the signature fields that the process needs and that the document did not
	// come with, in the order of the steps. The first signature places them all.
	Fields []Field `json:"fields,omitempty"`
	// Content is the document as it came in, once a signature was put around it; nil before
	// that and in a PDF, whose signatures are inside.
	Content *Content `json:"content,omitempty"`
}

// Content is what was signed, where the signature is around it.
type Content struct {
	MimeType string `json:"mimeType"`
	FileName string `json:"fileName"`
	SHA256   string `json:"sha256"`
	Size     int64  `json:"size"`
}

// Renew makes the document that of a new version.
func (d *Document) Renew(s SignedDocument) {
	if s.MimeType != "" && s.MimeType != d.MimeType {
		d.Content = &Content{MimeType: d.MimeType, FileName: d.FileName, SHA256: d.SHA256, Size: d.Size}
		d.MimeType, d.FileName = s.MimeType, s.FileName
	}
	d.Version++
	d.SHA256, d.Size, d.Signatures = s.SHA256, s.Size, s.Signatures
}

// Field is a blank signature field.
type Field struct {
	// Name is unique in its document.
	Name string `json:"name"`
	// Box is where the field shows; nil when it does not.
	Box *Box `json:"box,omitempty"`
}

// Box is a rectangle on one page in PDF points. The origin is the lower left corner of
// the page as it is shown: cropped and rotated.
type Box struct {
	// Page starts at 1.
	Page int     `json:"page"`
	LLX  float64 `json:"llx"`
	LLY  float64 `json:"lly"`
	URX  float64 `json:"urx"`
	URY  float64 `json:"ury"`
}

// Placement says where an action shows in its document.
type Placement struct {
	// Field is the name of the signature field that the action fills: one that the document
	// came with or one of its Fields. It is empty for an action that changes no document.
	Field string `json:"field,omitempty"`
	// Boxes is empty for an invisible action. The first box carries the signature
	// field, further ones (special pages -2 and -3) repeat the appearance.
	Boxes []Box `json:"boxes,omitempty"`
	// Further are the places of the second and further actors of a task that needs several,
	// in the order in which they sign. It is empty in a job, whose actor has one place.
	Further []Placement `json:"further,omitempty"`
}

// Prepared is an envelope whose documents are inspected and stored.
type Prepared struct {
	Operation  Operation         `json:"operation"`
	EnvelopeID string            `json:"envelopeId"`
	Envelope   contract.Envelope `json:"envelope"`
	Documents  []Document        `json:"documents"`
	// Placements is indexed like Envelope.ProcDef.Tasks and their ActionDefs.
	Placements [][]Placement `json:"placements"`
}

// Actor is a user as the process and the providers need him.
type Actor struct {
	ExternalID   string `json:"externalId"`
	Name         string `json:"name"`
	Surname      string `json:"surname"`
	Email        string `json:"email,omitempty"`
	Language     string `json:"language,omitempty"`
	Title        string `json:"title,omitempty"`
	Organization string `json:"organization,omitempty"`
	Company      string `json:"company,omitempty"`
}

// TaskKind says who performs a task.
type TaskKind string

// The kinds of tasks.
const (
	// Human is a task that its actors perform themselves (type T, action WRK).
	Human TaskKind = "human"
	// AutoSign is an automatic signature in the name of an actor (type A, action ASI).
	AutoSign TaskKind = "auto-sign"
	// Seal is a signature with the customer's organisation certificate (type A, action SEA).
	Seal TaskKind = "seal"
)

// Action is one thing to do to one document.
type Action struct {
	DocExternalID string `json:"docExternalId"`
	// Type is S (sign), A (approve), V (view) or G (sign, with a recording of the hand).
	Type contract.ActionType `json:"type"`
	// Graphometric is there for type G.
	Graphometric *Graphometric `json:"graphometric,omitempty"`
	// Confirmed is true when the action was inserted already approved and only awaits
	// confirmation (confString actionInTCF).
	Confirmed bool `json:"confirmed,omitempty"`
	// Visibility is V (visible), H (signed, not shown) or N (recorded, PDF unchanged).
	Visibility string `json:"visibility"`
	// Certify makes the signature certify its document: 1 allows no change, 2 forms and
	// signatures, 3 annotations too; 0 is an ordinary signature.
	Certify int `json:"certify,omitempty"`
	// Text holds the lines of the signature tag before substitution (customSignatureText, L1, L2).
	Text      []string  `json:"text,omitempty"`
	Placement Placement `json:"placement"`
}

// Graphometric tells in a recording of the hand which signature it is and whose (chapter
// 6.6); each may be empty.
type Graphometric struct {
	FieldName        string `json:"fieldName,omitempty"`
	FieldDescription string `json:"fieldDescription,omitempty"`
	SignerRole       string `json:"signerRole,omitempty"`
	SignerName       string `json:"signerName,omitempty"`
}

// Task is a task with its people and places resolved.
type Task struct {
	// Order groups tasks: equal orders run in parallel, ascending ones in series.
	Order int      `json:"order"`
	Kind  TaskKind `json:"kind"`
	// HowMany actors close the task; between 1 and len(Actors), 1 for a seal.
	HowMany int `json:"howMany"`
	// Actors are distinct; empty only for a seal.
	Actors   []Actor `json:"actors,omitempty"`
	Provider string  `json:"provider"`
	// SignatureLevel is one of contract.Levels.
	SignatureLevel string `json:"signatureLevel"`
	// Format is that of the signatures; empty is PAdES.
	Format contract.Format `json:"format,omitempty"`
	// QR puts a QR code to the verification page into signatures that show.
	QR      bool     `json:"qr,omitempty"`
	Actions []Action `json:"actions"`
}

// Resolved is an envelope ready for the process engine.
type Resolved struct {
	Operation  Operation         `json:"operation"`
	EnvelopeID string            `json:"envelopeId"`
	Envelope   contract.Envelope `json:"envelope"`
	Documents  []Document        `json:"documents"`
	// LoadedBy is the secretary who loads the envelope.
	LoadedBy Actor  `json:"loadedBy"`
	Tasks    []Task `json:"tasks,omitempty"`
}

// Refusal ends an operation with an error code before it had any effect.
type Refusal struct {
	Operation Operation `json:"operation"`
	// EnvelopeID names the blob scope to discard; empty when there is none.
	EnvelopeID string        `json:"envelopeId,omitempty"`
	Code       contract.Code `json:"code"`
	// Message says in one sentence what to change.
	Message string `json:"message"`
}

// Command asks provider-dispatch to act on an envelope that exists already.
type Command struct {
	Operation Operation `json:"operation"`
	// User is the external id of the secretary who asks.
	User string `json:"user"`
	// Note is a reason to be shown to the signers.
	Note string `json:"note,omitempty"`
}

// JobKind says what a provider is asked to do.
type JobKind string

// The kinds of jobs.
const (
	// JobOpen opens an assignment to its actor: a signing session and an invitation.
	JobOpen JobKind = "open"
	// JobSign grants the assignment the right to sign now, with Epoch and the current versions.
	JobSign JobKind = "sign"
	// JobWithdraw closes an assignment that is no longer needed.
	JobWithdraw JobKind = "withdraw"
)

// Job is the unit given to a provider: one assignment.
type Job struct {
	Kind       JobKind `json:"kind"`
	Assignment string  `json:"assignment"`
	EnvelopeID string  `json:"envelopeId"`
	Customer   string  `json:"customer"`
	System     string  `json:"system"`
	ExternalID string  `json:"externalId"`
	Subject    string  `json:"subject"`
	// LoadedBy is the secretary who asks for the signature.
	LoadedBy Actor `json:"loadedBy"`
	// ExpireAt is when the envelope expires; zero for never.
	ExpireAt time.Time `json:"expireAt,omitzero"`
	// MessageSubject and MessageText are the common message to the signers.
	MessageSubject string   `json:"messageSubject,omitempty"`
	MessageText    string   `json:"messageText,omitempty"`
	Step           int      `json:"step"`
	TaskKind       TaskKind `json:"taskKind"`
	// Actor is empty for a seal.
	Actor          Actor           `json:"actor"`
	SignatureLevel string          `json:"signatureLevel"`
	Format         contract.Format `json:"format,omitempty"`
	QR             bool            `json:"qr,omitempty"`
	Actions        []Action        `json:"actions"`
	Documents      []Document      `json:"documents"`
	// Epoch fences JobSign: an answer with another epoch is void.
	Epoch int64 `json:"epoch,omitempty"`
	// Reason says why a job is withdrawn: completed, rejected, cancelled, deleted, expired.
	Reason string `json:"reason,omitempty"`
}

// ProgressKind says what a provider reports.
type ProgressKind string

// The kinds of progress.
const (
	// Confirmed: the actor agreed and proved who he is; the assignment waits for its turn to sign.
	Confirmed ProgressKind = "confirmed"
	// Rejected: the actor declined; Note carries the reason.
	Rejected ProgressKind = "rejected"
	// Signed: the documents have new versions, listed in Documents.
	Signed ProgressKind = "signed"
	// Failed: the provider can never sign this; Code and Note say why.
	Failed ProgressKind = "failed"
)

// SignedDocument is a new version made by a provider.
type SignedDocument struct {
	DocExternalID string `json:"docExternalId"`
	// BaseSHA256 is the version that was signed.
	BaseSHA256 string `json:"baseSha256"`
	SHA256     string `json:"sha256"`
	Size       int64  `json:"size"`
	// Signatures is the number of signatures in the new version.
	Signatures int `json:"signatures"`
	// MimeType and FileName are those of the new version, others than before where the
	// signature was put around the document; empty means that they stay.
	MimeType string `json:"mimeType,omitempty"`
	FileName string `json:"fileName,omitempty"`
}

// Progress is what a provider reports about an assignment.
type Progress struct {
	Kind       ProgressKind     `json:"kind"`
	Customer   string           `json:"customer"`
	EnvelopeID string           `json:"envelopeId"`
	Assignment string           `json:"assignment"`
	Epoch      int64            `json:"epoch,omitempty"`
	Note       string           `json:"note,omitempty"`
	Code       contract.Code    `json:"code,omitempty"`
	Documents  []SignedDocument `json:"documents,omitempty"`
	At         time.Time        `json:"at"`
}

// NewVersion tells document-store that a document has a new version.
type NewVersion struct {
	Customer   string         `json:"customer"`
	EnvelopeID string         `json:"envelopeId"`
	Version    int            `json:"version"`
	Document   SignedDocument `json:"document"`
	At         time.Time      `json:"at"`
}

// Discard asks document-store to forget the documents of an operation that was refused.
type Discard struct {
	OperationKey string `json:"operationKey"`
	Customer     string `json:"customer"`
	EnvelopeID   string `json:"envelopeId"`
}
