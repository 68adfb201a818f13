package process

import "signbus.dev/pkg/contract"

// The reasons with which jobs are withdrawn.
const (
	ReasonCompleted = "completed"
	ReasonRejected  = "rejected"
	ReasonCancelled = "cancelled"
	ReasonDeleted   = "deleted"
	ReasonExpired   = "expired"
)

func (in Cancel) apply(t *turn) (Void, error) {
	if t.missing() {
		return Effective, t.notFound()
	}
	if t.state.Status.Ended() {
		return Effective, refuse(contract.CodeIllegalArgument, "",
			"the envelope has ended with status %s; only a draft (DRF) or an envelope in progress (PGS) can be cancelled", t.state.Status)
	}
	t.abort(contract.StatusCancelled, ReasonCancelled)
	t.emit(EnvelopeCancelled{By: in.By, Note: in.Note})
	return Effective, nil
}

func (in Delete) apply(t *turn) (Void, error) {
	if t.missing() {
		return Effective, t.notFound()
	}
	open := t.state.ProcessStatus == contract.ProcessOpen
	if t.state.Status.Ended() {
		t.setStatus(contract.StatusDeleted)
	} else {
		t.abort(contract.StatusDeleted, ReasonDeleted)
	}
	if open {
		t.emit(EnvelopeCancelled{By: in.By, Note: in.Note})
	}
	return Effective, nil
}

func (in Expire) apply(t *turn) (Void, error) {
	if t.state.Status == NoEnvelope {
		return VoidUnknown, nil
	}
	if t.state.Status.Ended() {
		return VoidEnded, nil
	}
	t.abort(contract.StatusExpired, ReasonExpired)
	t.emit(EnvelopeExpired{})
	return Effective, nil
}

// abort ends an envelope before all its steps are done: open assignments are
// withdrawn, a granted lease is revoked, steps that are not done are cancelled. The
// process of a draft has never started and stays so.
func (t *turn) abort(status contract.EnvelopeStatus, reason string) {
	for i := range t.state.Steps {
		step := &t.state.Steps[i]
		if step.Status == contract.StepDone {
			continue
		}
		t.withdraw(i, reason)
		step.Status = contract.StepCancelled
		step.FinishedAt = t.at
	}
	if t.state.ProcessStatus == contract.ProcessOpen {
		t.state.ProcessStatus = contract.ProcessCancelled
		t.state.FinishedAt = t.at
	}
	t.setStatus(status)
}
