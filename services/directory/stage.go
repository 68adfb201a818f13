package directory

import (
	"context"
	"encoding/json"
	"errors"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/subjects"
)

// The texts of these two say nothing of the message's content.
var (
	errUnreadable = errors.New("the message is not a readable prepared envelope")
	errSubject    = errors.New("the directory does not know this subject")
)

// apply resolves one prepared envelope. What the caller can put right becomes a
// refusal; it is the last word on the operation and goes the way of every other outcome.
func (s *Service) apply(ctx context.Context, tx *store.Tx, m *bus.Incoming, _ any) error {
	if m.Subject != subjects.WorkResolve {
		return bus.Reject(errSubject)
	}
	prepared, err := readPrepared(m.Data)
	if err != nil {
		return bus.Reject(err)
	}
	op := prepared.Operation
	resolved, err := s.resolve(ctx, tx, prepared)
	if err == nil {
		err = s.outbox.SendJSON(ctx, tx, subjects.WorkStart, "", resolved)
	}
	if errors.Is(err, bus.ErrTooLarge) {
		err = &contract.Error{Code: contract.CodeTooLarge, Message: "the envelope has too many people, places and texts; split it"}
	}
	if len(contract.Problems(err)) > 0 {
		code := contract.CodeOf(err)
		s.Log.Info("envelope refused", "operation", op.ID, "customer", op.Customer, "envelope", prepared.EnvelopeID, "code", string(code))
		return s.refuse(ctx, tx, op, prepared.EnvelopeID, code, contract.Sentence(err))
	}
	return err
}

// giveUp tells the caller that the bus itself could not go on.
func (s *Service) giveUp(ctx context.Context, tx *store.Tx, m *bus.Incoming, _ error) error {
	var about struct {
		Operation  handover.Operation `json:"operation"`
		EnvelopeID string             `json:"envelopeId"`
	}
	if m.Subject != subjects.WorkResolve || json.Unmarshal(m.Data, &about) != nil || !complete(about.Operation) {
		return nil //nolint:nilerr // it names nobody who waits; the dead letter is all there is
	}
	return s.refuse(ctx, tx, about.Operation, about.EnvelopeID, contract.CodeError,
		"the bus could not find out who takes part; try again, or ask the operator of the bus")
}

func (s *Service) refuse(ctx context.Context, tx *store.Tx, op handover.Operation, envelope string, code contract.Code, sentence string) error {
	return s.outbox.SendJSON(ctx, tx, subjects.WorkRefuse, "", handover.Refusal{
		Operation: op, EnvelopeID: envelope, Code: code, Message: sentence,
	})
}

func complete(op handover.Operation) bool {
	return op.ID != "" && op.Key != "" && op.Customer != ""
}

// readPrepared reads a message and checks that its parts fit one another.
func readPrepared(data []byte) (handover.Prepared, error) {
	var p handover.Prepared
	if err := json.Unmarshal(data, &p); err != nil || !complete(p.Operation) || p.EnvelopeID == "" {
		return handover.Prepared{}, errUnreadable
	}
	tasks := tasksOf(p.Envelope)
	if len(p.Placements) != len(tasks) {
		return handover.Prepared{}, errUnreadable
	}
	for i, task := range tasks {
		if len(p.Placements[i]) != len(task.ActionDefs) {
			return handover.Prepared{}, errUnreadable
		}
	}
	return p, nil
}

func tasksOf(e contract.Envelope) []contract.Task {
	if e.ProcDef == nil {
		return nil
	}
	return e.ProcDef.Tasks
}
