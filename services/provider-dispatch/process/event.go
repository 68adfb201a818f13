package process

import (
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
)

// Event is a fact about an envelope. The events of one result are in the order in
// which they happened. EnvelopeSent comes before every StepClosed; ProcessEnded,
// EnvelopeRejected, EnvelopeCancelled and EnvelopeExpired are end events, of which
// an envelope has at most one (none when it was deleted as a draft).
type Event interface{ isEvent() }

// EnvelopeSent says that the process has started.
type EnvelopeSent struct {
	// By is the external id of the user who sent the envelope.
	By string
}

// StepClosed says that enough actors have done their share of a step.
type StepClosed struct {
	// Step is the number of the step, starting at 0.
	Step  int
	Order int
	Kind  handover.TaskKind
	// Actors did the step, in the order of the task; empty for a seal.
	Actors []handover.Actor
	// Last is true when the process ends with this step.
	Last bool
}

// StatusChanged says that the envelope has a new status. Insertion itself and the
// immediate start with it (sendingMode IMD) change no status.
type StatusChanged struct {
	Old contract.EnvelopeStatus
	New contract.EnvelopeStatus
}

// ProcessEnded says that all steps are done.
type ProcessEnded struct {
	// Documents are the final versions.
	Documents []handover.Document
	// WithSignature is true when the process had a signature action (SIGN_PROCESS_ENDED)
	// and false when all its actions were approvals and views (VA_PROCESS_ENDED).
	WithSignature bool
}

// EnvelopeRejected says that an actor declined.
type EnvelopeRejected struct {
	By   handover.Actor
	Step int
	Note string
}

// EnvelopeCancelled says that the process will not be finished.
type EnvelopeCancelled struct {
	// By is the external id of the user who cancelled or deleted the envelope; empty
	// when the process was cancelled because a step can no longer be done.
	By   string
	Note string
	// Code says why a step can no longer be done; empty when a user cancelled.
	Code contract.Code
}

// EnvelopeExpired says that the envelope was not finished in time.
type EnvelopeExpired struct{}

func (EnvelopeSent) isEvent()      {}
func (StepClosed) isEvent()        {}
func (StatusChanged) isEvent()     {}
func (ProcessEnded) isEvent()      {}
func (EnvelopeRejected) isEvent()  {}
func (EnvelopeCancelled) isEvent() {}
func (EnvelopeExpired) isEvent()   {}

// Job is a unit of work and the provider that must do it.
type Job struct {
	Provider string
	handover.Job
}
