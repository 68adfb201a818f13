package providerdispatch

import (
	"context"
	"errors"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/journal"
	"signbus.dev/pkg/store"
)

// verbs are the calls that the service answers.
func (s *Service) verbs() map[string]bus.Verb {
	return map[string]bus.Verb{
		handover.CallFind: bus.Answer(func(ctx context.Context, q handover.EnvelopeQuery) (any, error) {
			return s.Find(ctx, q)
		}),
		handover.CallStatus: bus.Answer(func(ctx context.Context, q handover.EnvelopeQuery) (any, error) {
			return s.Status(ctx, q)
		}),
		handover.CallAssignment: bus.Answer(func(ctx context.Context, q handover.AssignmentQuery) (any, error) {
			return s.Assignment(ctx, q)
		}),
		handover.CallJournal: bus.Answer(func(ctx context.Context, q handover.JournalQuery) (any, error) {
			return s.Journal(ctx, q)
		}),
	}
}

// find returns an envelope that is not deleted with its request, or refuses with
// envelope_not_found.
func (s *Service) find(ctx context.Context, customer, externalID string) (*envelope, contract.Envelope, error) {
	e, request, err := findEnvelope(ctx, s.db, customer, externalID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, request, noEnvelope()
	}
	return e, request, err
}

// Status tells the status of an envelope.
func (s *Service) Status(ctx context.Context, q handover.EnvelopeQuery) (contract.Status, error) {
	e, _, err := s.find(ctx, q.Customer, q.ExternalID)
	if err != nil {
		return contract.Status{}, err
	}
	status := e.State.Status
	return contract.Status{EnveExtID: e.ExternalID, Status: status, Name: status.Long()}, nil
}

const (
	// journalBytes bounds one answer: half of what NATS servers carry by default, for hashes
	// grow by a third in JSON.
	journalBytes = 512 << 10
	// journalEntries bounds what is read for one answer: an entry can have hundreds of KB.
	journalEntries = 100
)

// Journal tells what happened to an envelope.
func (s *Service) Journal(ctx context.Context, q handover.JournalQuery) (handover.Journal, error) {
	if q.After < 0 || q.Limit < 0 {
		return handover.Journal{}, &contract.Error{
			Code: contract.CodeIllegalArgument, Path: "after", Message: "after and limit must not be negative",
		}
	}
	e, _, err := s.find(ctx, q.Customer, q.ExternalID)
	if err != nil {
		return handover.Journal{}, err
	}
	limit := journalEntries
	if q.Limit > 0 {
		limit = min(limit, q.Limit)
	}
	entries, err := journal.Read(ctx, s.db, e.ID, q.After, limit+1) // one more tells that there is more
	if err != nil {
		return handover.Journal{}, err
	}
	return page(e.ID, entries, limit), nil
}

// page is what one answer carries of the entries: at least one, if there is any.
func page(envelope string, entries []journal.Entry, limit int) handover.Journal {
	out := handover.Journal{EnvelopeID: envelope, Entries: []handover.JournalEntry{}}
	size := 0
	for _, entry := range entries {
		size += len(entry.Data)
		if len(out.Entries) > 0 && (size > journalBytes || len(out.Entries) == limit) {
			out.More = true
			break
		}
		out.Entries = append(out.Entries, handover.JournalEntry(entry))
	}
	return out
}
