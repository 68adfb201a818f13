package process

import (
	"slices"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
)

// answered finds the assignment of a provider's answer, or the reason why an answer
// for it is void. same is the status that this answer leads to.
func (t *turn) answered(id string, same ...AssignmentStatus) (int, *Assignment, Void) {
	number, a := t.find(id)
	switch {
	case a == nil:
		return 0, nil, VoidUnknown
	case a.is(same...):
		return 0, nil, VoidDuplicate
	case a.Over():
		return 0, nil, VoidEnded
	case t.state.Steps[number].Status != contract.StepWorking:
		return 0, nil, VoidNotOpen
	}
	return number, a, Effective
}

func (a *Assignment) is(statuses ...AssignmentStatus) bool {
	return slices.Contains(statuses, a.Status)
}

func (in Confirmed) apply(t *turn) (Void, error) {
	number, a, void := t.answered(in.Assignment, Consented, Signing, Done)
	if void != Effective {
		return void, nil
	}
	step := &t.state.Steps[number]
	if step.Kind != handover.Human {
		return VoidNotHuman, nil
	}
	t.confirm(step, a)
	t.settle()
	return Effective, nil
}

func (in Rejected) apply(t *turn) (Void, error) {
	number, a, void := t.answered(in.Assignment, Declined)
	switch {
	case void != Effective:
		return void, nil
	case t.state.Steps[number].Kind != handover.Human:
		return VoidNotHuman, nil
	case a.Status == Signing:
		return VoidSigning, nil
	}
	t.leaveQueue(a.ID)
	a.Status = Declined
	a.EndedAt = t.at
	a.Note = in.Note
	t.abort(contract.StatusRejected, ReasonRejected)
	t.emit(EnvelopeRejected{By: a.Actor, Step: number, Note: in.Note})
	return Effective, nil
}

func (in Signed) apply(t *turn) (Void, error) {
	number, a, void := t.answered(in.Assignment, Done)
	switch {
	case void != Effective:
		return void, nil
	case a.Status != Signing || t.state.Lease.Epoch != in.Epoch:
		return VoidStale, nil
	case !t.matches(t.state.Steps[number], in.Documents):
		return VoidDocuments, nil
	}
	for _, signed := range in.Documents {
		t.replace(signed)
	}
	t.leaveQueue(a.ID)
	t.done(a)
	t.settle()
	return Effective, nil
}

// matches says whether the signed documents are exactly those that the step signs,
// each once, made from the current version and different from it.
func (t *turn) matches(step Step, signed []handover.SignedDocument) bool {
	wanted := step.signedDocuments()
	if len(signed) != len(wanted) {
		return false
	}
	for _, s := range signed {
		d := t.document(s.DocExternalID)
		if !wanted[s.DocExternalID] || d == nil || s.BaseSHA256 != d.SHA256 || s.SHA256 == d.SHA256 || s.SHA256 == "" {
			return false
		}
		delete(wanted, s.DocExternalID)
	}
	return true
}

func (t *turn) document(externalID string) *handover.Document {
	for i := range t.state.Documents {
		if t.state.Documents[i].ExternalID == externalID {
			return &t.state.Documents[i]
		}
	}
	return nil
}

func (t *turn) replace(signed handover.SignedDocument) {
	d := t.document(signed.DocExternalID)
	d.Renew(signed)
	t.versions = append(t.versions, handover.NewVersion{
		Customer:   t.state.Envelope.Customer,
		EnvelopeID: t.state.Envelope.ID,
		Version:    d.Version,
		Document:   signed,
		At:         t.at,
	})
}

func (in Failed) apply(t *turn) (Void, error) {
	number, a, void := t.answered(in.Assignment, Broken)
	if void != Effective {
		return void, nil
	}
	var epoch int64
	if a.Status == Signing {
		epoch = t.state.Lease.Epoch
	}
	if in.Epoch != epoch {
		return VoidStale, nil
	}
	t.leaveQueue(a.ID)
	a.Status = Broken
	a.EndedAt = t.at
	a.Code = in.Code
	a.Note = in.Note

	step := &t.state.Steps[number]
	if done, open := step.count(); done+open < step.HowMany {
		t.abort(contract.StatusCancelled, ReasonCancelled)
		t.emit(EnvelopeCancelled{Note: in.Note, Code: in.Code})
		return Effective, nil
	}
	if step.Kind != handover.Human {
		t.confirmByEngine(step)
	}
	t.settle()
	return Effective, nil
}
