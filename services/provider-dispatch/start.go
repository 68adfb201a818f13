package providerdispatch

import (
	"context"
	"errors"
	"fmt"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/subjects"
	"signbus.dev/services/provider-dispatch/process"
)

// providers are those that there are, and where their jobs go.
var providers = map[string]string{
	subjects.SignatureBook: subjects.WorkJob,
}

// maxAssignments bounds a process: each event carries the state of every assignment,
// about 800 bytes, and must stay well below the 1 MiB that NATS servers carry by default.
const maxAssignments = 1000

// start makes the envelope and, unless it is a draft, starts its process.
func (s *Service) start(ctx context.Context, tx *store.Tx, r *handover.Resolved) ([]fact, error) {
	op := r.Operation
	first, err := s.end(ctx, tx, op)
	if err != nil {
		return nil, err
	}
	if !first { // a dead letter of a stage before, handed over again after the operation was given up
		return nil, s.discard(ctx, tx, op, r.EnvelopeID)
	}
	e, result, err := s.insert(ctx, tx, r)
	if refusal, ok := errors.AsType[*contract.Error](err); ok {
		return s.refused(ctx, tx, op, r.EnvelopeID, refusal.Code, contract.Sentence(refusal))
	}
	if err != nil {
		return nil, err
	}
	return s.record(ctx, tx, e, result, &outcome{operation: op, code: contract.CodeOK, message: "the envelope is inserted"})
}

// insert writes the new envelope, or refuses it with a [contract.Error] and writes nothing.
func (s *Service) insert(ctx context.Context, tx *store.Tx, r *handover.Resolved) (*envelope, process.Result, error) {
	if err := possible(r.Tasks); err != nil {
		return nil, process.Result{}, err
	}
	ids := make([]string, process.CountAssignments(r.Tasks))
	for i := range ids {
		ids[i] = s.newID()
	}
	result, err := process.Apply(process.State{}, process.FromResolved(*r, ids), s.now())
	if err != nil {
		return nil, result, err
	}
	e := &envelope{
		ID: r.EnvelopeID, Customer: r.Operation.Customer, System: r.Operation.System, ExternalID: r.Envelope.ExternalID,
		OperationID: r.Operation.ID, TraceParent: traceParent(ctx), State: result.State,
	}
	inserted, err := insertEnvelope(ctx, tx, e, withoutBytes(r.Envelope))
	if err == nil && !inserted {
		err = &contract.Error{
			Code: contract.CodeEnvelopeAlreadyExists, Path: "envelope.externalId",
			Message: "an envelope with this externalId exists or existed; choose another one",
		}
	}
	return e, result, err
}

// possible refuses a process that no provider can do.
func possible(tasks []handover.Task) error {
	for i, task := range tasks {
		if providers[task.Provider] == "" {
			return &contract.Error{
				Code: contract.CodeNotSupported, Path: fmt.Sprintf("envelope.procDef.tasks[%d].confString", i),
				Message: "names a provider that this bus does not have; use " + subjects.SignatureBook,
			}
		}
	}
	if n := process.CountAssignments(tasks); n > maxAssignments {
		return &contract.Error{
			Code: contract.CodeProcessDefinitionError, Path: "envelope.procDef.tasks",
			Message: fmt.Sprintf("make %d shares of single actors, but at most %d are possible; use fewer tasks or smaller roles", n, maxAssignments),
		}
	}
	return nil
}

// withoutBytes keeps content out of the database even if a stage before left it in.
func withoutBytes(request contract.Envelope) contract.Envelope {
	documents := make([]contract.Document, len(request.Documents))
	for i, d := range request.Documents {
		d.Bytes = nil
		documents[i] = d
	}
	request.Documents = documents
	return request
}
