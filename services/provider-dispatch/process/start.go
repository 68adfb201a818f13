package process

import (
	"cmp"
	"fmt"
	"slices"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
)

// CountAssignments returns how many assignments the tasks make, hence how many ids Insert needs.
func CountAssignments(tasks []handover.Task) int {
	n := 0
	for _, task := range tasks {
		n += len(actorsOf(task))
	}
	return n
}

func (in Insert) apply(t *turn) (Void, error) {
	if t.state.Status != NoEnvelope {
		return Effective, refuse(contract.CodeEnvelopeAlreadyExists, "envelope.externalId", "an envelope with this externalId exists already; choose another one")
	}
	if err := in.validate(); err != nil {
		return Effective, err
	}
	steps, err := in.steps()
	if err != nil {
		return Effective, err
	}
	t.state = State{
		Schema:    Schema,
		Envelope:  in.Envelope,
		Status:    contract.StatusDraft,
		CreatedAt: t.at,
		Documents: slices.Clone(in.Documents),
		Steps:     steps,
	}
	if !in.Envelope.ExpireAt.IsZero() {
		t.state.Envelope.ExpireAt = normal(in.Envelope.ExpireAt)
	}
	if in.Start {
		t.state.Status = contract.StatusInProgress
		t.start(in.Envelope.LoadedBy.ExternalID)
		t.settle()
	}
	return Effective, nil
}

func (in Send) apply(t *turn) (Void, error) {
	switch {
	case t.missing():
		return Effective, t.notFound()
	case t.state.Status != contract.StatusDraft:
		return Effective, refuse(contract.CodeIllegalArgument, "", "the envelope has status %s; only a draft (DRF) can be sent", t.state.Status)
	case len(t.state.Steps) == 0:
		return Effective, refuse(contract.CodeProcessDefinitionError, "envelope.procDef.tasks", "the draft has no tasks; define at least one before sending it")
	}
	t.start(in.By)
	t.setStatus(contract.StatusInProgress)
	t.settle()
	return Effective, nil
}

// validate repeats what earlier stages have checked, for a process that breaks these
// rules could never end.
func (in Insert) validate() error {
	if len(in.Documents) == 0 {
		return refuse(contract.CodeIllegalArgument, "envelope.documents", "an envelope needs at least one document")
	}
	documents := map[string]bool{}
	for _, d := range in.Documents {
		if documents[d.ExternalID] {
			return refuse(contract.CodeMultipleDocsSameExtID, "envelope.documents", "two documents have the same externalId; make them distinct")
		}
		documents[d.ExternalID] = true
	}
	if in.Start && len(in.Tasks) == 0 {
		return refuse(contract.CodeProcessDefinitionError, "envelope.procDef.tasks", "an envelope that is sent at once (IMD) needs at least one task")
	}
	for i, task := range in.Tasks {
		if field, problem := examine(task, documents); problem != "" {
			path := fmt.Sprintf("envelope.procDef.tasks[%d].%s", i, field)
			return &contract.Error{Code: contract.CodeProcessDefinitionError, Path: path, Message: problem}
		}
	}
	return nil
}

// examine says which field of a task makes no sense and what to change; the problem is
// empty when there is none.
func examine(task handover.Task, documents map[string]bool) (field, problem string) {
	switch task.Kind {
	case handover.Human, handover.AutoSign, handover.Seal:
	default:
		return "action", "use WRK, ASI or SEA"
	}
	actors := actorsOf(task)
	if len(actors) == 0 {
		return "actorExpr", "name at least one user, or a role that has members"
	}
	if task.HowMany < 1 || task.HowMany > len(actors) {
		return "howMany", fmt.Sprintf("use a number between 1 and that of the distinct actors, %d", len(actors))
	}
	if len(task.Actions) == 0 {
		return "actionDefs", "define at least one action"
	}
	for i, action := range task.Actions {
		if !documents[action.DocExternalID] {
			return fmt.Sprintf("actionDefs[%d].docExternalId", i), "name a document of the envelope"
		}
		if action.Type.Signature() && contract.Visibility(action.Visibility) == contract.VisibilityNone {
			return fmt.Sprintf("actionDefs[%d].confString", i), "a signature changes the document; use visibilityStatus V or H"
		}
	}
	return "", ""
}

// steps builds the steps in their order; tasks of equal order keep theirs.
func (in Insert) steps() ([]Step, error) {
	if n := CountAssignments(in.Tasks); len(in.IDs) < n {
		return nil, fmt.Errorf("insert with %d ids for %d assignments: %w", len(in.IDs), n, ErrInput)
	}
	tasks := slices.Clone(in.Tasks)
	slices.SortStableFunc(tasks, func(a, b handover.Task) int { return cmp.Compare(a.Order, b.Order) })
	used := map[string]bool{"": true}
	var steps []Step
	next := 0
	for _, task := range tasks {
		step := Step{
			Order:          task.Order,
			Kind:           task.Kind,
			HowMany:        task.HowMany,
			Provider:       task.Provider,
			SignatureLevel: task.SignatureLevel,
			Format:         task.Format,
			QR:             task.QR,
			Actions:        slices.Clone(task.Actions),
			Status:         contract.StepNotStarted,
		}
		for _, actor := range actorsOf(task) {
			id := in.IDs[next]
			next++
			if used[id] {
				return nil, fmt.Errorf("insert with an empty or repeated id: %w", ErrInput)
			}
			used[id] = true
			step.Assignments = append(step.Assignments, newAssignment(id, actor, task.Actions))
		}
		steps = append(steps, step)
	}
	return steps, nil
}

func newAssignment(id string, actor handover.Actor, actions []handover.Action) Assignment {
	a := Assignment{ID: id, Actor: actor, Status: Waiting}
	for _, action := range actions {
		status := ActionNew
		if action.Confirmed {
			status = ActionToConfirm
		}
		a.Actions = append(a.Actions, status)
	}
	return a
}

// actorsOf returns the distinct actors of a task; a seal has one without a name.
func actorsOf(task handover.Task) []handover.Actor {
	if task.Kind == handover.Seal {
		return []handover.Actor{{}}
	}
	var actors []handover.Actor
	seen := map[string]bool{}
	for _, actor := range task.Actors {
		if !seen[actor.ExternalID] {
			seen[actor.ExternalID] = true
			actors = append(actors, actor)
		}
	}
	return actors
}
