package process

import (
	"slices"
	"time"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
)

// turn is one call of Apply: a state of its own to change and what comes out of it.
type turn struct {
	state    State
	at       time.Time
	events   []Event
	jobs     []Job
	versions []handover.NewVersion
}

// normal is the form in which the state keeps times: UTC, microseconds, no monotonic clock.
func normal(at time.Time) time.Time { return at.UTC().Truncate(time.Microsecond) }

func (t *turn) emit(e Event) { t.events = append(t.events, e) }

// missing says whether the envelope is not there for commands.
func (t *turn) missing() bool {
	return t.state.Status == NoEnvelope || t.state.Status == contract.StatusDeleted
}

func (t *turn) notFound() error {
	return refuse(contract.CodeEnvelopeNotFound, "", "there is no such envelope; it was never inserted or is deleted")
}

func (t *turn) setStatus(status contract.EnvelopeStatus) {
	t.state.PreviousStatus = t.state.Status
	t.state.Status = status
	switch status {
	case contract.StatusDeleted:
		t.state.DeletedAt = t.at
	case contract.StatusWorked, contract.StatusRejected, contract.StatusCancelled, contract.StatusExpired:
		t.state.CompletedAt = t.at
	}
	t.emit(StatusChanged{Old: t.state.PreviousStatus, New: status})
}

// start opens the process; settle then opens its first steps.
func (t *turn) start(by string) {
	t.state.ProcessStatus = contract.ProcessOpen
	t.state.StartedBy = by
	t.state.StartedAt = t.at
	t.emit(EnvelopeSent{By: by})
}

// settle goes as far as the process can go by itself: it closes the steps that have
// enough, opens the next group when none is at work, ends the process after the last
// and grants the right to sign. It loops because a step that needs neither people nor
// signatures closes as soon as it opens.
func (t *turn) settle() {
	for {
		t.closeSteps()
		if slices.ContainsFunc(t.state.Steps, func(s Step) bool { return s.Status == contract.StepWorking }) {
			t.grant()
			return
		}
		if !t.openGroup() {
			t.finish()
			return
		}
	}
}

// openGroup opens the steps of the lowest order that have not started, if there are any.
func (t *turn) openGroup() bool {
	first := slices.IndexFunc(t.state.Steps, func(s Step) bool { return s.Status == contract.StepNotStarted })
	if first < 0 {
		return false
	}
	for i := first; i < len(t.state.Steps) && t.state.Steps[i].Order == t.state.Steps[first].Order; i++ {
		step := &t.state.Steps[i]
		step.Status = contract.StepWorking
		step.StartedAt = t.at
		if step.Kind != handover.Human {
			t.confirmByEngine(step)
			continue
		}
		for j := range step.Assignments {
			t.job(handover.JobOpen, i, step.Assignments[j])
		}
	}
	return true
}

// confirmByEngine confirms assignments of an automatic step, in the order of the task,
// until as many as the step needs are done or under way. The others are spares, used
// when one of the first fails.
func (t *turn) confirmByEngine(step *Step) {
	engaged := 0
	for j := range step.Assignments {
		a := &step.Assignments[j]
		switch {
		case a.Status == Waiting && engaged < step.HowMany:
			t.confirm(step, a)
			engaged++
		case a.Status == Consented || a.Status == Signing || a.Status == Done:
			engaged++
		}
	}
}

// confirm records consent: the assignment queues for the lease, or is done when it
// changes no document.
func (t *turn) confirm(step *Step, a *Assignment) {
	a.ConfirmedAt = t.at
	if !step.NeedsSigning() {
		t.done(a)
		return
	}
	a.Status = Consented
	a.setActions(ActionToConfirm)
	t.state.Queue = append(t.state.Queue, a.ID)
}

func (t *turn) done(a *Assignment) {
	a.Status = Done
	a.EndedAt = t.at
	a.setActions(ActionWorked)
}

func (a *Assignment) setActions(status ActionStatus) {
	for i := range a.Actions {
		a.Actions[i] = status
	}
}

// closeSteps closes the steps that have enough and withdraws what is left of them.
// The lease is never among that: a step that signs closes by the answer of the one
// that held it.
func (t *turn) closeSteps() {
	for i := range t.state.Steps {
		step := &t.state.Steps[i]
		done, _ := step.count()
		if step.Status != contract.StepWorking || done < step.HowMany {
			continue
		}
		step.Status = contract.StepDone
		step.FinishedAt = t.at
		closed := StepClosed{Step: i, Order: step.Order, Kind: step.Kind, Last: t.allDone()}
		for j := range step.Assignments {
			a := step.Assignments[j]
			if a.Status == Done && step.Kind != handover.Seal {
				closed.Actors = append(closed.Actors, a.Actor)
			}
		}
		t.emit(closed)
		t.withdraw(i, ReasonCompleted)
	}
}

func (t *turn) allDone() bool {
	return !slices.ContainsFunc(t.state.Steps, func(s Step) bool { return s.Status != contract.StepDone })
}

// withdraw ends the open assignments of a step and tells the providers that know of them.
func (t *turn) withdraw(number int, reason string) {
	step := &t.state.Steps[number]
	for j := range step.Assignments {
		a := &step.Assignments[j]
		if a.Over() {
			continue
		}
		known := step.Status != contract.StepNotStarted && step.Kind == handover.Human || a.Status == Signing
		t.leaveQueue(a.ID)
		a.Status = Withdrawn
		a.EndedAt = t.at
		if known {
			t.job(handover.JobWithdraw, number, *a)
			t.jobs[len(t.jobs)-1].Reason = reason
		}
	}
}

// leaveQueue takes an assignment out of the queue and revokes its lease.
func (t *turn) leaveQueue(id string) {
	t.state.Queue = slices.DeleteFunc(t.state.Queue, func(queued string) bool { return queued == id })
	if len(t.state.Queue) == 0 {
		t.state.Queue = nil
	}
	if t.state.Lease != nil && t.state.Lease.Assignment == id {
		t.state.Lease = nil
	}
}

// grant gives the free lease to the first in the queue.
func (t *turn) grant() {
	if t.state.Lease != nil || len(t.state.Queue) == 0 {
		return
	}
	number, a := t.find(t.state.Queue[0])
	t.leaveQueue(a.ID)
	a.Status = Signing
	t.state.Epoch++
	t.state.Lease = &Lease{Assignment: a.ID, Epoch: t.state.Epoch, GrantedAt: t.at}
	t.job(handover.JobSign, number, *a)
	t.jobs[len(t.jobs)-1].Epoch = t.state.Epoch
}

// finish ends a process whose steps are all done.
func (t *turn) finish() {
	t.state.ProcessStatus = contract.ProcessClosed
	t.state.FinishedAt = t.at
	t.setStatus(contract.StatusWorked)
	t.emit(ProcessEnded{Documents: t.state.Documents, WithSignature: t.withSignature()})
}

func (t *turn) withSignature() bool {
	for _, step := range t.state.Steps {
		for _, action := range step.Actions {
			if action.Type.Signature() {
				return true
			}
		}
	}
	return false
}

// find returns the step number and the assignment, to be changed in place; nil when
// there is none.
func (t *turn) find(id string) (int, *Assignment) {
	for i := range t.state.Steps {
		for j := range t.state.Steps[i].Assignments {
			if a := &t.state.Steps[i].Assignments[j]; a.ID == id {
				return i, a
			}
		}
	}
	return 0, nil
}

func (t *turn) job(kind handover.JobKind, number int, a Assignment) {
	step, envelope := t.state.Steps[number], t.state.Envelope
	t.jobs = append(t.jobs, Job{Provider: step.Provider, Job: handover.Job{
		Kind:           kind,
		Assignment:     a.ID,
		EnvelopeID:     envelope.ID,
		Customer:       envelope.Customer,
		System:         envelope.System,
		ExternalID:     envelope.ExternalID,
		Subject:        envelope.Subject,
		LoadedBy:       envelope.LoadedBy,
		ExpireAt:       envelope.ExpireAt,
		MessageSubject: envelope.MessageSubject,
		MessageText:    envelope.MessageText,
		Step:           number,
		TaskKind:       step.Kind,
		Actor:          a.Actor,
		SignatureLevel: step.SignatureLevel,
		Format:         step.Format,
		QR:             step.QR,
		Actions:        step.actionsOf(a),
		Documents:      t.state.Documents,
	}})
}
