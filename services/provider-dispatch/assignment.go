package providerdispatch

import (
	"context"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/services/provider-dispatch/process"
)

// Assignment tells which share of an envelope waits for a user now. It refuses with
// user_not_found when he has none, and with illegal_argument when none waits for him.
func (s *Service) Assignment(ctx context.Context, q handover.AssignmentQuery) (handover.AssignmentFound, error) {
	e, _, err := s.find(ctx, q.Customer, q.ExternalID)
	if err != nil {
		return handover.AssignmentFound{}, err
	}
	share, err := openShare(e.State, q.User)
	if err != nil {
		return handover.AssignmentFound{}, err
	}
	return share, nil
}

// openShare finds the first share of a user that waits for him.
func openShare(state process.State, user string) (handover.AssignmentFound, error) {
	why := ""
	for _, step := range state.Steps {
		for _, a := range step.Assignments {
			if step.Kind != handover.Human || a.Actor.ExternalID != user || user == "" {
				continue
			}
			reason := notOpen(state, step, a)
			if reason == "" {
				return handover.AssignmentFound{Assignment: a.ID, Provider: step.Provider}, nil
			}
			why = reason // that of his latest share tells him most
		}
	}
	if why == "" {
		return handover.AssignmentFound{}, &contract.Error{
			Code: contract.CodeUserNotFound, Path: "usrExtId", Message: "this user has nothing to do in the envelope",
		}
	}
	return handover.AssignmentFound{}, &contract.Error{Code: contract.CodeIllegalArgument, Path: "usrExtId", Message: why}
}

// notOpen says why a share does not wait for its actor; empty when it does.
func notOpen(state process.State, step process.Step, a process.Assignment) string {
	switch {
	case a.Status == process.Done:
		return "this user has done his share already"
	case a.Status == process.Consented || a.Status == process.Signing:
		return "this user has agreed and his signature is being made"
	case a.Status == process.Declined:
		return "this user has declined the envelope"
	case a.Status == process.Broken:
		return "the share of this user has failed and cannot be done any more"
	case state.Status.Ended():
		return "the envelope has ended with status " + string(state.Status)
	case a.Status == process.Withdrawn:
		return "enough others have done this step, so this user has nothing to do any more"
	case state.ProcessStatus == process.NotStarted:
		return "the envelope is a draft; send it first"
	case step.Status == contract.StepNotStarted:
		return "it is not this user's turn yet; earlier steps are still open"
	}
	return ""
}
