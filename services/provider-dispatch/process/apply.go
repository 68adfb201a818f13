package process

import (
	"errors"
	"fmt"
	"time"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
)

// ErrInput says that the caller made an input that cannot be one.
var ErrInput = errors.New("unusable process input")

// refuse refuses a command; the message says in one sentence what to change.
func refuse(code contract.Code, path, message string, args ...any) *contract.Error {
	return &contract.Error{Code: code, Path: path, Message: fmt.Sprintf(message, args...)}
}

// Void says why an input had no effect.
type Void string

// The reasons for which an input has no effect. Only answers of providers and timers
// are void; commands that do not fit are refused.
const (
	// Effective is the reason of an input that had effect.
	Effective Void = ""
	// VoidUnknown: there is no such envelope or assignment.
	VoidUnknown Void = "unknown"
	// VoidDuplicate: the same answer has had its effect before.
	VoidDuplicate Void = "duplicate"
	// VoidNotOpen: the step of the assignment has not started.
	VoidNotOpen Void = "not open"
	// VoidNotHuman: consent and refusal come from people only.
	VoidNotHuman Void = "not human"
	// VoidEnded: the assignment or the envelope has come to another end before.
	VoidEnded Void = "ended"
	// VoidSigning: the actor has consented and his signature is being made.
	VoidSigning Void = "signing"
	// VoidStale: the answer does not belong to the current lease.
	VoidStale Void = "stale epoch"
	// VoidDocuments: the signed documents are not those that had to be signed, or not at
	// their current versions. The lease stays and the provider must answer again.
	VoidDocuments Void = "wrong documents"
)

// Result is what an input led to. Its slices share memory with the state: they are read
// and never changed.
type Result struct {
	State  State
	Events []Event
	Jobs   []Job
	// Versions are the new versions of documents.
	Versions []handover.NewVersion
	// Void is Effective when the input had effect; otherwise it says why not, and
	// everything else is as it was.
	Void Void
}

// Apply gives the state that follows s when in happens at the given time. A command
// that does not fit is refused with a *contract.Error; answers and timers that do not
// fit give a void result and no error.
func Apply(s State, in Input, at time.Time) (Result, error) {
	if in == nil {
		return Result{State: s}, fmt.Errorf("apply nothing: %w", ErrInput)
	}
	t := &turn{state: s.clone(), at: normal(at)}
	void, err := in.apply(t)
	if err != nil || void != Effective {
		return Result{State: s, Void: void}, err
	}
	return Result{State: t.state, Events: t.events, Jobs: t.jobs, Versions: t.versions}, nil
}
