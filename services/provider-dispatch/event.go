package providerdispatch

import (
	"errors"
	"fmt"

	"signbus.dev/pkg/contract"
	"signbus.dev/services/provider-dispatch/process"
)

var errEvent = errors.New("event without a public form")

// public is what the outside world is told of an event; the state is that after the
// whole input, so the live status in it can be ahead of the event.
func public(event process.Event, state process.State) (contract.EventType, any, error) {
	id := state.Envelope.ExternalID
	switch e := event.(type) {
	case process.EnvelopeSent:
		return contract.EventEnvelopeSent, contract.EnvelopeSent{EnveExtID: id}, nil
	case process.StepClosed:
		return contract.EventEnvelopeStepClosed, contract.EnvelopeStepClosed{
			EnveExtID: id, StepNumber: e.Step, LiveStatus: state.LiveStatus(),
		}, nil
	case process.StatusChanged:
		return contract.EventEnvelopeStatusChanged, contract.EnvelopeStatusChanged{
			EnveExtID: id, OldStatus: e.Old, NewStatus: e.New,
		}, nil
	case process.ProcessEnded:
		return contract.EventEnvelopeProcessEnded, contract.EnvelopeProcessEnded{
			EnveExtID: id, NotificationType: notificationType(e), Documents: endedDocuments(e), LiveStatus: state.LiveStatus(),
		}, nil
	case process.EnvelopeRejected:
		return contract.EventEnvelopeRejected, contract.EnvelopeRejected{
			EnveExtID: id, UsrExtID: e.By.ExternalID, Note: e.Note, LiveStatus: state.LiveStatus(),
		}, nil
	case process.EnvelopeCancelled:
		return contract.EventEnvelopeCancelled, contract.EnvelopeCancelled{
			EnveExtID: id, UsrExtID: e.By, Note: e.Note, Code: e.Code, LiveStatus: state.LiveStatus(),
		}, nil
	case process.EnvelopeExpired:
		return contract.EventEnvelopeExpired, contract.EnvelopeExpired{
			EnveExtID: id, ExpireAt: contract.MillisOf(state.Envelope.ExpireAt), LiveStatus: state.LiveStatus(),
		}, nil
	}
	return "", nil, fmt.Errorf("%w: %T", errEvent, event)
}

func notificationType(e process.ProcessEnded) contract.NotificationType {
	if e.WithSignature {
		return contract.NotifySignProcessEnded
	}
	return contract.NotifyVAProcessEnded
}

func endedDocuments(e process.ProcessEnded) []contract.EndedDocument {
	documents := make([]contract.EndedDocument, 0, len(e.Documents))
	for _, d := range e.Documents {
		documents = append(documents, contract.EndedDocument{
			DocExternalID: d.ExternalID, Title: d.Title, OriginalFname: d.FileName, MimeType: d.MimeType,
			SHA256: d.SHA256, Size: d.Size, Version: d.Version, Signatures: d.Signatures,
		})
	}
	return documents
}
