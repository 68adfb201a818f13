package providerdispatch

import (
	"context"
	"errors"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/store"
	"signbus.dev/services/provider-dispatch/process"
)

// input is what a command does to an envelope, and the sentence that says it is done; nil
// for a command that there is not.
func input(c *handover.Command) (process.Input, string) {
	switch contract.Command(c.Operation.Command) {
	case contract.CommandSendEnvelope:
		return process.Send{By: c.User}, "the envelope is sent"
	case contract.CommandCancelEnvelope:
		return process.Cancel{By: c.User, Note: c.Note}, "the envelope is cancelled"
	case contract.CommandDeleteEnvelope:
		return process.Delete{By: c.User, Note: c.Note}, "the envelope is deleted"
	case contract.CommandInsertEnvelope: // arrives as handover.Resolved
	}
	return nil, ""
}

// command acts on an envelope that exists already.
func (s *Service) command(ctx context.Context, tx *store.Tx, c *handover.Command) ([]fact, error) {
	op := c.Operation
	first, err := s.end(ctx, tx, op)
	if err != nil || !first {
		return nil, err
	}
	in, success := input(c)
	if in == nil {
		return s.refused(ctx, tx, op, "", contract.CodeNotSupported, "there is no such command")
	}
	e, err := lockNamed(ctx, tx, op.Customer, op.ExternalID)
	if errors.Is(err, store.ErrNotFound) {
		refusal := noEnvelope()
		return s.refused(ctx, tx, op, "", refusal.Code, contract.Sentence(refusal))
	}
	if err != nil {
		return nil, err
	}
	end := outcome{operation: op, code: contract.CodeOK, message: success}
	result := process.Result{State: e.State}
	if c.User == e.State.Envelope.LoadedBy.ExternalID {
		result, err = process.Apply(e.State, in, s.now())
	} else {
		err = &contract.Error{
			Code: contract.CodeAccessDenied, Path: "usrExtId", Message: "only the secretary who loaded the envelope may do this",
		}
	}
	var refusal *contract.Error
	switch {
	case errors.As(err, &refusal):
		end.code, end.message = refusal.Code, contract.Sentence(refusal)
		return s.record(ctx, tx, e, result, &end)
	case err != nil:
		return nil, err
	}
	return s.advance(ctx, tx, e, result, &end)
}

// noEnvelope says that there is no envelope of this name.
func noEnvelope() *contract.Error {
	return &contract.Error{
		Code: contract.CodeEnvelopeNotFound, Path: "enveExtId",
		Message: "there is no envelope with this externalId; it was never inserted or is deleted",
	}
}
