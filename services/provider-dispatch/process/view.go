package process

import (
	"slices"
	"strings"
	"time"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
)

// Process is the process as the answer of GetEnvelope shows it at the given time; nil
// while it has not started.
func (s State) Process(now time.Time) *contract.FoundProcess {
	if s.ProcessStatus == NotStarted {
		return nil
	}
	until := now
	if !s.FinishedAt.IsZero() {
		until = s.FinishedAt
	}
	steps := s.FoundSteps()
	return &contract.FoundProcess{
		StartedByUserExtID: s.StartedBy,
		Status:             s.ProcessStatus,
		Ended:              s.ProcessStatus != contract.ProcessOpen,
		StartedAt:          contract.MillisOf(s.StartedAt),
		FinishedAt:         millis(s.FinishedAt),
		Steps:              steps,
		LiveStatus:         s.LiveStatus(),
		Open:               s.ProcessStatus == contract.ProcessOpen,
		Closed:             s.ProcessStatus == contract.ProcessClosed,
		Cancelled:          s.ProcessStatus == contract.ProcessCancelled,
		EndedStepsCount:    countEnded(steps),
		TimeElapsedInHour:  max(until.Sub(s.StartedAt), 0).Hours(),
	}
}

// FoundSteps shows the steps in their order, the first with number 0.
func (s State) FoundSteps() []contract.FoundStep {
	steps := []contract.FoundStep{}
	for i, step := range s.Steps {
		done, _ := step.count()
		steps = append(steps, contract.FoundStep{
			StepNum:    i,
			StartedAt:  millis(step.StartedAt),
			FinishedAt: millis(step.FinishedAt),
			Status:     step.Status,
			HowMany:    done,
			Ended:      step.Status == contract.StepDone,
			First:      i == 0,
		})
	}
	return steps
}

func countEnded(steps []contract.FoundStep) int {
	n := 0
	for _, step := range steps {
		if step.Ended {
			n++
		}
	}
	return n
}

// LiveStatus tells the past, present and future of every assignment, in the order of
// the steps. The names in it are empty for a seal.
func (s State) LiveStatus() []contract.StepEvent {
	events := []contract.StepEvent{}
	for i, step := range s.Steps {
		for _, a := range step.Assignments {
			counters := resume(step, a)
			events = append(events, contract.StepEvent{
				MgrExternalID: a.Actor.ExternalID,
				MgrName:       a.Actor.Name,
				MgrSurname:    a.Actor.Surname,
				Status:        liveStatus(step, a),
				StartedAt:     millis(step.StartedAt),
				EndedAt:       millis(a.EndedAt),
				AssignedTo:    strings.TrimSpace(a.Actor.Surname + " " + a.Actor.Name),
				StepNumber:    i,
				ActionsResume: &counters,
			})
		}
	}
	return events
}

// liveStatus hides what an actor was given in advance (actionInTCF) until his step starts.
func liveStatus(step Step, a Assignment) contract.LiveStatus {
	switch {
	case a.Status == Declined:
		return contract.LiveRejected
	case a.Status == Withdrawn || a.Status == Broken:
		return contract.LiveCancelled
	case step.Status == contract.StepNotStarted:
		return contract.LiveNew
	default:
		return a.summary()
	}
}

// summary is the status of the least advanced action.
func (a Assignment) summary() contract.LiveStatus {
	if a.Status == Done {
		return contract.LiveWorked
	}
	if slices.Contains(a.Actions, ActionNew) {
		return contract.LiveNew
	}
	return contract.LiveToConfirm
}

// Details shows the envelope as each actor sees it, for the people of the steps that
// have started. An actor who can no longer work it sees it as deleted.
func (s State) Details() []contract.FoundDetail {
	details := []contract.FoundDetail{}
	for _, step := range s.Steps {
		for _, a := range step.Assignments {
			if step.StartedAt.IsZero() || step.Kind != handover.Human {
				continue
			}
			status := a.summary()
			d := contract.FoundDetail{
				Status:          status,
				Action:          contract.TaskWork,
				StatusWorked:    status == contract.LiveWorked,
				StatusToConfirm: status == contract.LiveToConfirm,
				ToWork:          a.Status == Waiting,
				StatusNew:       status == contract.LiveNew,
				StatusDeleted:   a.Over() && a.Status != Done,
			}
			if a.Status == Done {
				d.WorkedAt = millis(a.EndedAt)
			}
			details = append(details, d)
		}
	}
	return details
}

// ActionsResume counts the actions of the whole envelope. Those of assignments that
// were withdrawn, rejected or failed are left out: nobody will ever do them.
func (s State) ActionsResume() contract.ActionsResume {
	var sum contract.ActionsResume
	for _, step := range s.Steps {
		for _, a := range step.Assignments {
			if !a.Over() || a.Status == Done {
				count(&sum, step, a)
			}
		}
	}
	return sum
}

func resume(step Step, a Assignment) contract.ActionsResume {
	var r contract.ActionsResume
	count(&r, step, a)
	return r
}

func count(r *contract.ActionsResume, step Step, a Assignment) {
	for i, action := range step.Actions {
		fresh, handled := &r.SignActions, &r.SignedActions
		switch action.Type {
		case contract.ActionApprove:
			fresh, handled = &r.ApproveActions, &r.ApprovedActions
		case contract.ActionView:
			fresh, handled = &r.ViewActions, &r.ViewedActions
		case contract.ActionGraphometric:
			fresh, handled = &r.GraphometricActions, &r.FilledGraphometricActions
		}
		r.Actions++
		if a.Actions[i] == ActionNew {
			*fresh++
		} else {
			*handled++
			r.ConfirmedActions++
		}
	}
}

// millis is null for the zero time.
func millis(at time.Time) *contract.Millis {
	if at.IsZero() {
		return nil
	}
	m := contract.MillisOf(at)
	return &m
}
