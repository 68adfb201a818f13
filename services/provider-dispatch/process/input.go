package process

import (
	"fmt"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
)

// Input is what can happen to an envelope: a command (Insert, Send, Cancel, Delete),
// an answer of a provider (Confirmed, Rejected, Signed, Failed) or a timer (Expire).
type Input interface {
	apply(t *turn) (Void, error)
}

// Insert makes the envelope.
type Insert struct {
	Envelope Envelope
	// Start starts the process at once (sendingMode IMD); otherwise the envelope is a draft.
	Start     bool
	Documents []handover.Document
	Tasks     []handover.Task
	// IDs are new and distinct ids for the assignments, as many as CountAssignments says.
	IDs []string
}

// Send starts the process of a draft.
type Send struct {
	By string
}

// Confirmed says that the actor agreed; his assignment waits for its turn to sign.
type Confirmed struct {
	Assignment string
}

// Rejected says that the actor declined. It counts until his own signing is granted:
// from then on his consent stands, and the answer that counts is Signed or Failed.
type Rejected struct {
	Assignment string
	Note       string
}

// Signed brings the new versions of all documents that the assignment signs.
type Signed struct {
	Assignment string
	Epoch      int64
	Documents  []handover.SignedDocument
}

// Failed says that the provider can never do the assignment. Epoch is that of the
// lease, and 0 while signing is not granted.
type Failed struct {
	Assignment string
	Epoch      int64
	Code       contract.Code
	Note       string
}

// Cancel stops a draft or an open process.
type Cancel struct {
	By   string
	Note string
}

// Delete deletes the envelope in any status and cancels its process when it is open.
type Delete struct {
	By   string
	Note string
}

// Expire ends a draft or an open process whose time has passed.
type Expire struct{}

// FromResolved turns an envelope whose documents and people are known into an input.
// The ids are those of Insert.
func FromResolved(r handover.Resolved, ids []string) Insert {
	in := Insert{
		Envelope: Envelope{
			ID:         r.EnvelopeID,
			Customer:   r.Operation.Customer,
			System:     r.Operation.System,
			ExternalID: r.Envelope.ExternalID,
			Subject:    r.Envelope.Subject,
			LoadedBy:   r.LoadedBy,
			ExpireAt:   r.Envelope.ExpireAt.Time(),
		},
		Start:     r.Envelope.SendingMode != contract.SendDraft,
		Documents: r.Documents,
		Tasks:     r.Tasks,
		IDs:       ids,
	}
	if message := r.Envelope.CommonMessage; message != nil {
		in.Envelope.MessageSubject = message.Subject
		in.Envelope.MessageText = message.Text
	}
	return in
}

// FromProgress turns a provider's report into an input.
func FromProgress(p handover.Progress) (Input, error) {
	switch p.Kind {
	case handover.Confirmed:
		return Confirmed{Assignment: p.Assignment}, nil
	case handover.Rejected:
		return Rejected{Assignment: p.Assignment, Note: p.Note}, nil
	case handover.Signed:
		return Signed{Assignment: p.Assignment, Epoch: p.Epoch, Documents: p.Documents}, nil
	case handover.Failed:
		code := p.Code
		if code == "" {
			code = contract.CodeError
		}
		return Failed{Assignment: p.Assignment, Epoch: p.Epoch, Code: code, Note: p.Note}, nil
	default:
		return nil, fmt.Errorf("progress %q of assignment %s: %w", p.Kind, p.Assignment, ErrInput)
	}
}
