package providerdispatch

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/journal"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/subjects"
	"signbus.dev/services/provider-dispatch/process"
)

// outcome is how the operation ends that brought an input.
type outcome struct {
	operation handover.Operation
	code      contract.Code
	message   string
}

// advance writes the new state of a locked envelope and everything that follows from it.
// end is nil when no operation brought the input; then the insertion is the cause.
func (s *Service) advance(ctx context.Context, tx *store.Tx, e *envelope, result process.Result, end *outcome) ([]fact, error) {
	e.State = result.State
	if err := e.save(ctx, tx, s.now()); err != nil {
		return nil, err
	}
	return s.record(ctx, tx, e, result, end)
}

// record writes everything that follows from an input to a locked envelope, whose state
// is written already: first the outcome of the operation, then what it caused.
func (s *Service) record(ctx context.Context, tx *store.Tx, e *envelope, result process.Result, end *outcome) ([]fact, error) {
	var (
		facts  []fact
		events []journal.Event
	)
	ctx = e.traced(ctx)
	cause := e.OperationID
	if end != nil {
		cause = end.operation.ID
		events = append(events, done(e.ID, end.operation, end.code, end.message))
		facts = append(facts, s.operationDone(end.operation, e.ID, end.code))
	}
	for _, event := range result.Events {
		kind, data, err := public(event, result.State)
		if err != nil {
			return nil, err
		}
		events = append(events, journal.Event{
			Chain: e.ID, Type: kind, Customer: e.Customer, System: e.System, Subject: e.ExternalID, OperationID: cause, Data: data,
		})
		if change, ok := event.(process.StatusChanged); ok && change.New.Ended() && !change.Old.Ended() {
			facts = append(facts, s.envelopeEnded(result.State, s.now()))
		}
	}
	if err := s.journal.Append(ctx, tx, events...); err != nil {
		return nil, err
	}
	for _, version := range result.Versions {
		if err := s.send(ctx, tx, subjects.WorkVersion, e.ID, version); err != nil {
			return nil, err
		}
	}
	for _, job := range result.Jobs {
		subject := providers[job.Provider]
		if subject == "" {
			return nil, fmt.Errorf("envelope %s: there is no provider %q", e.ID, job.Provider)
		}
		if err := s.send(ctx, tx, subject, e.ID, job.Job); err != nil {
			return nil, err
		}
	}
	return facts, nil
}

// send hands work to another service when the transaction commits.
func (s *Service) send(ctx context.Context, tx *store.Tx, subject, envelopeID string, work any) error {
	data, err := json.Marshal(work)
	if err != nil {
		return fmt.Errorf("send to %s: %w", subject, err)
	}
	return s.outbox.Send(ctx, tx, bus.Message{
		Subject: subject, Header: nats.Header{subjects.HeaderEnvelope: {envelopeID}}, Data: data,
	})
}
