package providerdispatch

import (
	"context"
	"errors"
	"fmt"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/store"
	"signbus.dev/services/provider-dispatch/process"
)

var errProgress = errors.New("unusable progress")

// progress takes the report of a provider.
func (s *Service) progress(ctx context.Context, tx *store.Tx, p *handover.Progress) ([]fact, error) {
	in, err := process.FromProgress(*p)
	if err != nil {
		return nil, bus.Reject(err)
	}
	e, err := lockEnvelope(ctx, tx, p.EnvelopeID)
	if errors.Is(err, store.ErrNotFound) || (err == nil && e.Customer != p.Customer) {
		return nil, bus.Reject(fmt.Errorf("%w: the customer has no envelope %s", errProgress, p.EnvelopeID))
	}
	if err != nil {
		return nil, err
	}
	result, err := process.Apply(e.State, in, s.now())
	if err != nil {
		return nil, err
	}
	switch result.Void {
	case process.Effective:
		return s.advance(ctx, tx, e, result, nil)
	case process.VoidUnknown, process.VoidDocuments:
		// A provider that reports such a thing is broken, and the envelope may wait for it
		// for ever: the dead letter shows it to the operator.
		return nil, bus.Reject(fmt.Errorf("%w: envelope %s, assignment %s: %s", errProgress, p.EnvelopeID, p.Assignment, result.Void))
	default:
		return []fact{s.voidProgress(p, result.Void)}, nil
	}
}
