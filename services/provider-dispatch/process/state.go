// Package process is the process engine: it decides what happens to an envelope
// when a command, an answer of a provider or a timer arrives. It is one pure
// function, Apply: (state, input, time) gives a new state, the events that are now
// facts and the jobs that providers must do.
//
// The package promises that Apply never changes its arguments and always gives the
// same result for the same arguments; that an envelope in progress always waits for
// an open assignment of a person or for a granted signature, so that it can always
// come to its end; that no step closes twice; that at most one assignment holds the
// right to sign at a time; and that a late, repeated or superseded answer changes
// nothing.
//
// It does no I/O, reads no clock and makes no ids. It does not know who may give a
// command, does not look at documents, and does not notice by itself that an
// envelope has expired: the caller sends Expire when the time has come.
package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
)

// Schema is the version of the JSON form of State that this package writes.
const Schema = 1

// ErrSchema says that a stored state was written by another version of the engine.
var ErrSchema = errors.New("unknown schema of process state")

// The statuses before there is anything.
const (
	// NoEnvelope is the status of the zero State.
	NoEnvelope contract.EnvelopeStatus = ""
	// NotStarted is the process status of a draft, also of one that ended as a draft.
	NotStarted contract.ProcessStatus = ""
)

// AssignmentStatus is the status of one actor's share of a step.
type AssignmentStatus string

// The statuses of an assignment.
const (
	// Waiting for its actor; hidden from him while its step has not started.
	Waiting AssignmentStatus = "waiting"
	// Consented: confirmed by its actor or by the engine, queued until it may sign.
	Consented AssignmentStatus = "confirmed"
	// Signing: it holds the lease.
	Signing AssignmentStatus = "signing"
	// Done: signed, or confirmed where nothing had to be signed.
	Done AssignmentStatus = "done"
	// Withdrawn: no longer needed.
	Withdrawn AssignmentStatus = "withdrawn"
	// Declined by its actor.
	Declined AssignmentStatus = "rejected"
	// Broken: its provider can never do it.
	Broken AssignmentStatus = "failed"
)

// ActionStatus is the status of one action in one assignment.
type ActionStatus string

// The statuses of an action: new, to be confirmed (or confirmed and waiting to be signed), worked.
const (
	ActionNew       ActionStatus = "NEW"
	ActionToConfirm ActionStatus = "TCF"
	ActionWorked    ActionStatus = "WKD"
)

// State is all that the engine knows of one envelope; its zero value is an envelope
// that does not exist yet. It is plain JSON. Callers read it and never change it:
// states that follow one another share what does not change.
type State struct {
	Schema   int      `json:"schema"`
	Envelope Envelope `json:"envelope,omitzero"`

	Status         contract.EnvelopeStatus `json:"status"`
	PreviousStatus contract.EnvelopeStatus `json:"previousStatus,omitempty"`
	CreatedAt      time.Time               `json:"createdAt,omitzero"`
	// CompletedAt is when the envelope was worked, rejected, stopped or expired.
	CompletedAt time.Time `json:"completedAt,omitzero"`
	DeletedAt   time.Time `json:"deletedAt,omitzero"`

	ProcessStatus contract.ProcessStatus `json:"process,omitempty"`
	// StartedBy is the external id of the user who sent the envelope.
	StartedBy  string    `json:"startedBy,omitempty"`
	StartedAt  time.Time `json:"startedAt,omitzero"`
	FinishedAt time.Time `json:"finishedAt,omitzero"`

	// Documents are at their current versions, in the order of the envelope.
	Documents []handover.Document `json:"documents,omitempty"`
	// Steps are in ascending order; the number of a step is its index.
	Steps []Step `json:"steps,omitempty"`

	// Lease is the granted right to sign; nil when nobody holds it.
	Lease *Lease `json:"lease,omitempty"`
	// Queue holds the assignments that wait for the lease, first come first served.
	Queue []string `json:"queue,omitempty"`
	// Epoch counts the leases granted so far; that of the current lease is the highest.
	Epoch int64 `json:"epoch"`
}

// Envelope is what jobs and readers need to know of an envelope and never changes.
type Envelope struct {
	ID             string         `json:"id"`
	Customer       string         `json:"customer"`
	System         string         `json:"system"`
	ExternalID     string         `json:"externalId"`
	Subject        string         `json:"subject"`
	MessageSubject string         `json:"messageSubject,omitempty"`
	MessageText    string         `json:"messageText,omitempty"`
	LoadedBy       handover.Actor `json:"loadedBy"`
	// ExpireAt is when the caller sends Expire; zero for never.
	ExpireAt time.Time `json:"expireAt,omitzero"`
}

// Step is a task at run time.
type Step struct {
	Order          int                 `json:"order"`
	Kind           handover.TaskKind   `json:"kind"`
	HowMany        int                 `json:"howMany"`
	Provider       string              `json:"provider"`
	SignatureLevel string              `json:"signatureLevel"`
	Format         contract.Format     `json:"format,omitempty"`
	QR             bool                `json:"qr,omitempty"`
	Actions        []handover.Action   `json:"actions"`
	Status         contract.StepStatus `json:"status"`
	StartedAt      time.Time           `json:"startedAt,omitzero"`
	FinishedAt     time.Time           `json:"finishedAt,omitzero"`
	Assignments    []Assignment        `json:"assignments"`
}

// Assignment is one actor's share of a step.
type Assignment struct {
	ID string `json:"id"`
	// Actor is empty for a seal.
	Actor  handover.Actor   `json:"actor,omitzero"`
	Status AssignmentStatus `json:"status"`
	// Actions is indexed like Actions of the step.
	Actions     []ActionStatus `json:"actions"`
	ConfirmedAt time.Time      `json:"confirmedAt,omitzero"`
	// EndedAt is when the assignment was done, withdrawn, rejected or failed.
	EndedAt time.Time `json:"endedAt,omitzero"`
	// Note and Code say why an assignment was rejected or failed.
	Note string        `json:"note,omitempty"`
	Code contract.Code `json:"code,omitempty"`
}

// Lease is the right of one assignment to sign. It ends with the answer of the
// provider, or is revoked when the process is cancelled; the answer then carries an
// epoch that no lease has, and is void.
type Lease struct {
	Assignment string    `json:"assignment"`
	Epoch      int64     `json:"epoch"`
	GrantedAt  time.Time `json:"grantedAt"`
}

// Load reads a state from its JSON; it returns ErrSchema when another version wrote it.
func Load(data []byte) (State, error) {
	var s State
	if err := json.Unmarshal(data, &s); err != nil {
		return State{}, fmt.Errorf("load process state: %w", err)
	}
	if s.Schema != Schema {
		return State{}, fmt.Errorf("load process state with schema %d: %w", s.Schema, ErrSchema)
	}
	return s, nil
}

// Find returns the step number and the assignment with this id.
func (s State) Find(assignment string) (step int, a Assignment, ok bool) {
	for i := range s.Steps {
		for j := range s.Steps[i].Assignments {
			if s.Steps[i].Assignments[j].ID == assignment {
				return i, s.Steps[i].Assignments[j], true
			}
		}
	}
	return 0, Assignment{}, false
}

// Over says whether nothing more can happen to the assignment.
func (a Assignment) Over() bool {
	switch a.Status {
	case Done, Withdrawn, Declined, Broken:
		return true
	default:
		return false
	}
}

// NeedsSigning says whether the step changes a document: it does not when all its
// actions are only recorded (visibility N).
func (s Step) NeedsSigning() bool { return len(s.signedDocuments()) > 0 }

// signedDocuments names the documents of which the step makes a new version.
func (s Step) signedDocuments() map[string]bool {
	documents := map[string]bool{}
	for _, action := range s.Actions {
		if contract.Visibility(action.Visibility) != contract.VisibilityNone {
			documents[action.DocExternalID] = true
		}
	}
	return documents
}

// actionsOf returns the actions of the step with the places of one assignment. Where all
// actors are needed each one has his own; where some of them are, the next to sign gets
// the place after those that are taken, and whoever fails leaves his to the next.
func (s Step) actionsOf(a Assignment) []handover.Action {
	turn, _ := s.count()
	if len(s.Assignments) == s.HowMany {
		turn = slices.IndexFunc(s.Assignments, func(b Assignment) bool { return b.ID == a.ID })
	}
	actions := slices.Clone(s.Actions)
	for i := range actions {
		if at := actions[i].Placement; turn > 0 && turn <= len(at.Further) {
			actions[i].Placement = at.Further[turn-1]
		}
		actions[i].Placement.Further = nil
	}
	return actions
}

// count returns how many assignments of the step are done and how many may still be.
func (s Step) count() (done, open int) {
	for _, a := range s.Assignments {
		switch {
		case a.Status == Done:
			done++
		case !a.Over():
			open++
		}
	}
	return done, open
}

// clone copies what Apply changes. Action definitions and actors are shared.
func (s State) clone() State {
	c := s
	c.Documents = append([]handover.Document(nil), s.Documents...)
	c.Queue = append([]string(nil), s.Queue...)
	if s.Lease != nil {
		lease := *s.Lease
		c.Lease = &lease
	}
	c.Steps = append([]Step(nil), s.Steps...)
	for i := range c.Steps {
		c.Steps[i].Assignments = append([]Assignment(nil), c.Steps[i].Assignments...)
		for j := range c.Steps[i].Assignments {
			a := &c.Steps[i].Assignments[j]
			a.Actions = append([]ActionStatus(nil), a.Actions...)
		}
	}
	return c
}
