package intake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/store"
)

// The states of an operation.
const (
	stateWaiting = "waiting"
	stateRunning = "running"
	stateDone    = "done"
)

// operation is a row of intake_operation.
type operation struct {
	handover.Operation
	Digest      string
	State       string
	Position    int64
	NextSubject string
	NextMessage []byte
	TraceParent string
	Code        contract.Code
	Message     string
	DoneAt      time.Time
}

// outcome returns how the operation ended; nil while it has not, and of none.
func (o *operation) outcome() *contract.Outcome {
	if o == nil || o.State != stateDone {
		return nil
	}
	outcome := o.Code.ReturnStatus(o.Message)
	return &outcome
}

const operationColumns = `op_key, customer, id, digest, system, command, external_id, accepted_at, state, position,
	next_subject, next_message, trace_parent, code, message, done_at`

func scanOperation(o *operation, scan func(...any) error) error {
	var accepted, done int64
	err := scan(&o.Key, &o.Customer, &o.ID, &o.Digest, &o.System, &o.Command, &o.ExternalID, &accepted, &o.State, &o.Position,
		&o.NextSubject, &o.NextMessage, &o.TraceParent, &o.Code, &o.Message, &done)
	o.AcceptedAt, o.DoneAt = store.Time(accepted), store.Time(done)
	return err
}

// findOperation returns the operation of a customer with an id, or [store.ErrNotFound].
func findOperation(ctx context.Context, q store.Querier, customer, id string) (operation, error) {
	rows, err := q.Query(ctx, `SELECT `+operationColumns+` FROM intake_operation WHERE customer = $1 AND id = $2`, customer, id)
	list, err := store.Collect(rows, err, scanOperation)
	if err != nil {
		return operation{}, err
	}
	if len(list) == 0 {
		return operation{}, fmt.Errorf("operation %s: %w", id, store.ErrNotFound)
	}
	return list[0], nil
}

// knowsEnvelope says whether any operation has named the envelope.
func knowsEnvelope(ctx context.Context, q store.Querier, customer, externalID string) (bool, error) {
	var key string
	err := q.QueryRow(ctx, `SELECT op_key FROM intake_operation WHERE customer = $1 AND external_id = $2 LIMIT 1`,
		[]any{customer, externalID}, &key)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// insertOperation records a new operation.
func insertOperation(ctx context.Context, tx *store.Tx, o *operation) error {
	_, err := tx.Exec(ctx, `INSERT INTO intake_operation (`+operationColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, '', '', 0)`,
		o.Key, o.Customer, o.ID, o.Digest, o.System, o.Command, o.ExternalID, store.Micros(o.AcceptedAt), o.State, o.Position,
		o.NextSubject, o.NextMessage, o.TraceParent)
	return err
}

// claim makes the operation the one that runs for its envelope and says whether it is.
func claim(ctx context.Context, tx *store.Tx, o *operation) (bool, error) {
	var running string
	err := tx.QueryRow(ctx, `INSERT INTO intake_running (customer, external_id, op_key) VALUES ($1, $2, $3)
		ON CONFLICT (customer, external_id) DO UPDATE SET op_key = intake_running.op_key RETURNING op_key`,
		[]any{o.Customer, o.ExternalID, o.Key}, &running)
	return running == o.Key, err
}

// finish records the outcome of an operation. It is false when the operation is not
// known or was done before.
func finish(ctx context.Context, tx *store.Tx, o *operation) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE intake_operation SET state = $1, code = $2, message = $3, done_at = $4,
			next_subject = '', next_message = $5 WHERE op_key = $6 AND state <> $1`,
		stateDone, string(o.Code), o.Message, store.Micros(o.DoneAt), []byte{}, o.Key)
	return n == 1, err
}

// next gives the envelope to the operation that waits longest, and returns it; nil when
// none waits.
func next(ctx context.Context, tx *store.Tx, done *operation) (*operation, error) {
	// The delete locks the row, so that an operation that comes in now sees a free lane.
	n, err := tx.Exec(ctx, `DELETE FROM intake_running WHERE customer = $1 AND external_id = $2 AND op_key = $3`,
		done.Customer, done.ExternalID, done.Key)
	if err != nil || n == 0 {
		return nil, err
	}
	rows, err := tx.Query(ctx, `SELECT `+operationColumns+` FROM intake_operation
		WHERE customer = $1 AND external_id = $2 AND state = $3 ORDER BY position, op_key LIMIT 1`,
		done.Customer, done.ExternalID, stateWaiting)
	list, err := store.Collect(rows, err, scanOperation)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	o := &list[0]
	claimed, err := claim(ctx, tx, o)
	if err != nil {
		return nil, err
	}
	if !claimed {
		return nil, errors.New("another operation took the envelope")
	}
	_, err = tx.Exec(ctx, `UPDATE intake_operation SET state = $1, next_subject = '', next_message = $2 WHERE op_key = $3`,
		stateRunning, []byte{}, o.Key)
	return o, err
}

// keepOperations is how long an operation id is remembered after its end.
const keepOperations = 45 * 24 * time.Hour

func pruneOperations(ctx context.Context, db *store.DB, now time.Time) error {
	return db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM intake_operation WHERE state = $1 AND done_at < $2`,
			stateDone, store.Micros(now.Add(-keepOperations)))
		return err
	})
}
