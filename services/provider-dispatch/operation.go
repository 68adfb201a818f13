package providerdispatch

import (
	"context"
	"fmt"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/journal"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/subjects"
)

// end claims the right to end an operation. It is false when the operation has ended
// before: a refusal can be sent twice, by the handler and by whoever gave the message up.
func (s *Service) end(ctx context.Context, tx *store.Tx, op handover.Operation) (bool, error) {
	n, err := tx.Exec(ctx, `INSERT INTO dispatch_operations (op_key, customer, operation_id, done_at)
		VALUES ($1, $2, $3, $4) ON CONFLICT (op_key) DO NOTHING`, op.Key, op.Customer, op.ID, store.Micros(s.now()))
	if err != nil {
		return false, fmt.Errorf("end operation %s: %w", op.ID, err)
	}
	if n == 0 {
		s.log.Warn("operation has ended before", "operation", op.ID, "customer", op.Customer)
	}
	return n == 1, nil
}

// done is the event that tells the outcome of an operation.
func done(chain string, op handover.Operation, code contract.Code, message string) journal.Event {
	return journal.Event{
		Chain: chain, Type: contract.EventOperationDone, Customer: op.Customer, System: op.System,
		Subject: op.ExternalID, OperationID: op.ID,
		Data: contract.OperationDone{
			ID: op.ID, Command: contract.Command(op.Command), ExtID: op.ExternalID, ReturnStatus: code.ReturnStatus(message),
		},
	}
}

// refuse ends an operation that had no effect on any envelope. What it brought along
// under envelopeID, if anything, is discarded.
func (s *Service) refuse(ctx context.Context, tx *store.Tx, op handover.Operation, envelopeID string, code contract.Code, message string) ([]fact, error) {
	first, err := s.end(ctx, tx, op)
	if err != nil || !first {
		return nil, err
	}
	return s.refused(ctx, tx, op, envelopeID, code, message)
}

// refused is [Service.refuse] for an operation that is claimed already.
func (s *Service) refused(ctx context.Context, tx *store.Tx, op handover.Operation, envelopeID string, code contract.Code, message string) ([]fact, error) {
	code, known := contract.ParseCode(string(code))
	if !known || code == contract.CodeOK {
		return nil, bus.Reject(fmt.Errorf("refuse operation %s: %w: no code of an error", op.ID, errWork))
	}
	if err := s.journal.Append(ctx, tx, done(journal.OperationChain(op.Key), op, code, message)); err != nil {
		return nil, err
	}
	return []fact{s.operationDone(op, "", code)}, s.discard(ctx, tx, op, envelopeID)
}

// discard discards what an operation that failed brought along under envelopeID, if
// anything. Fail safe: documents of an envelope that was inserted never are, whoever asks.
func (s *Service) discard(ctx context.Context, tx *store.Tx, op handover.Operation, envelopeID string) error {
	if envelopeID == "" {
		return nil
	}
	inserted, err := exists(ctx, tx, envelopeID)
	if err != nil || inserted {
		return err
	}
	return s.send(ctx, tx, subjects.WorkDiscard, envelopeID,
		handover.Discard{OperationKey: op.Key, Customer: op.Customer, EnvelopeID: envelopeID})
}
