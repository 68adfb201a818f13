package providerdispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/subjects"
)

var (
	errWork      = errors.New("unreadable work")
	errOperation = errors.New("unusable operation")
)

// stage takes everything that is handed to the service.
func (s *Service) stage() *bus.Stage {
	return &bus.Stage{
		Service: subjects.ProviderDispatch, Name: subjects.ProviderDispatch,
		Stream: subjects.StreamWork, Subjects: []string{subjects.WorkOf(subjects.ProviderDispatch)},
		DB: s.db, JS: s.opts.JS, Outbox: s.outbox, Metrics: s.opts.Metrics, Log: s.log, Now: s.now,
		Prepare: func(_ context.Context, m *bus.Incoming) (any, error) {
			work, err := read(m)
			if err != nil {
				return nil, bus.Reject(err)
			}
			return work, nil
		},
		Apply: func(ctx context.Context, tx *store.Tx, m *bus.Incoming, prepared any) error {
			return s.collect(m, func() ([]fact, error) { return s.apply(ctx, tx, prepared) })
		},
		GiveUp: func(ctx context.Context, tx *store.Tx, m *bus.Incoming, cause error) error {
			return s.collect(m, func() ([]fact, error) { return s.giveUp(ctx, tx, m, cause) })
		},
		AfterCommit: func() {
			s.journal.Nudge()
			s.report()
		},
	}
}

// read makes of a message what is to be done.
func read(m *bus.Incoming) (any, error) {
	switch m.Subject {
	case subjects.WorkStart:
		return readOperation(m, func(r *handover.Resolved) *handover.Operation { return &r.Operation })
	case subjects.WorkRefuse:
		return readOperation(m, func(r *handover.Refusal) *handover.Operation { return &r.Operation })
	case subjects.WorkCommand:
		return readOperation(m, func(c *handover.Command) *handover.Operation { return &c.Operation })
	case subjects.WorkProgress:
		return readJSON[handover.Progress](m)
	}
	return nil, fmt.Errorf("%w: nobody works on %s", errWork, m.Subject)
}

func readJSON[T any](m *bus.Incoming) (*T, error) {
	work := new(T)
	if err := json.Unmarshal(m.Data, work); err != nil {
		return nil, fmt.Errorf("%w on %s: %w", errWork, m.Subject, err)
	}
	return work, nil
}

func readOperation[T any](m *bus.Incoming, of func(*T) *handover.Operation) (any, error) {
	work, err := readJSON[T](m)
	if err != nil {
		return nil, err
	}
	op := of(work)
	*op, err = usable(*op)
	return work, err
}

// noSystem stands where the external system is not known.
const noSystem = "unknown"

// usable makes an operation one whose end can be told, or says why it cannot be. Earlier
// stages refuse commands of which little could be read, so the system and the externalId
// may be anything.
func usable(op handover.Operation) (handover.Operation, error) {
	switch {
	case !subjects.ValidToken(op.Customer):
		return op, fmt.Errorf("%w: it names no customer", errOperation)
	case !contract.ValidExternalID(op.ID) || !contract.ValidExternalID(op.Key):
		return op, fmt.Errorf("%w: it has no id or no key", errOperation)
	}
	if !subjects.ValidToken(op.System) {
		op.System = noSystem
	}
	if !contract.ValidExternalID(op.ExternalID) {
		op.ExternalID = ""
	}
	return op, nil
}

func (s *Service) apply(ctx context.Context, tx *store.Tx, prepared any) ([]fact, error) {
	switch work := prepared.(type) {
	case *handover.Resolved:
		return s.start(ctx, tx, work)
	case *handover.Refusal:
		return s.refuse(ctx, tx, work.Operation, work.EnvelopeID, work.Code, work.Message)
	case *handover.Command:
		return s.command(ctx, tx, work)
	case *handover.Progress:
		return s.progress(ctx, tx, work)
	}
	return nil, bus.Reject(fmt.Errorf("%w: nothing was read", errWork))
}

// giveUp ends the operation of a message that goes to the dead letters. Progress ends no
// operation: its envelope waits until the dead letter is sent again.
func (s *Service) giveUp(ctx context.Context, tx *store.Tx, m *bus.Incoming, cause error) ([]fact, error) {
	if m.Subject == subjects.WorkProgress {
		return nil, nil
	}
	var head struct {
		Operation  handover.Operation `json:"operation"`
		EnvelopeID string             `json:"envelopeId"`
	}
	// What can be read of a damaged message is enough when it names the operation.
	unread := json.Unmarshal(m.Data, &head)
	op, err := usable(head.Operation)
	if err != nil {
		s.log.Error("operation of a dead letter cannot be ended", "message", m.ID, "cause", cause, "error", errors.Join(err, unread))
		return nil, nil
	}
	return s.refuse(ctx, tx, op, head.EnvelopeID, contract.CodeError,
		"the bus could not do this and kept the request for its operator; send it again with a new operation id")
}
