package providerdispatch

import (
	"context"
	"time"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/services/provider-dispatch/process"
)

// What chapter 4.1 asks for and has one value here.
const (
	// notNotified is the notification status of an envelope of which this service does not
	// know who has received its events.
	notNotified = "X"
	// docNew is the status of a document that is neither archived nor deleted.
	docNew = "N"
	// docLoadedUnknown is the loading method of single documents: the request does not say.
	docLoadedUnknown = "X"
	// appVersion stands for the versions of server and application that loaded a document.
	appVersion = 1
)

// Find tells everything about an envelope but the bytes of its documents.
func (s *Service) Find(ctx context.Context, q handover.EnvelopeQuery) (handover.Found, error) {
	e, request, err := s.find(ctx, q.Customer, q.ExternalID)
	if err != nil {
		return handover.Found{}, err
	}
	return handover.Found{
		EnvelopeID: e.ID, Envelope: found(e, request, s.now()), Documents: e.State.Documents,
	}, nil
}

// found is the answer of chapter 4.1.
func found(e *envelope, request contract.Envelope, now time.Time) contract.FoundEnvelope {
	state := e.State
	created := contract.MillisOf(state.CreatedAt)
	resume := state.ActionsResume()
	f := contract.FoundEnvelope{
		ExternalID: e.ExternalID, Code: e.Code, Subject: request.Subject,
		Status: state.Status, PreviousStatus: orNull(state.PreviousStatus), Starred: request.Starred,
		CreatedAt: created, CompletedAt: millis(state.CompletedAt), LoadedByExtID: state.Envelope.LoadedBy.ExternalID,
		NotifiedStatus: notNotified, LoadingMethod: contract.LoadedByWebService, Type: contract.TypeStandard,
		Process: state.Process(now), ActionsResume: &resume, HasProcessDef: len(state.Steps) > 0,
		Tag: orNull(request.Tag), Note: orNull(request.Note), CorporateUseType: orNull(request.CorporateUseType),
		ExpireAt: millis(state.Envelope.ExpireAt), SendingMode: sendingMode(request), SysGenerator: generator(e, request),
		TrustLevelCode: request.TrustLevelCode, MaxSizeEnabled: true,
		CSostState: contract.ArchiveExcluded, LastCSostChange: &created,
		DMSState: contract.ArchiveExcluded, LastDMSChange: &created,
		Documents: foundDocuments(state, created), CommonMessage: commonMessage(request), Messages: []contract.FoundMessage{},
		UsersInCC: []contract.UserInCC{}, Notes: []contract.FoundNote{},
	}
	f.Derive(now)
	// Not derived: whether a share is still to be worked does not follow from its status
	// alone, for it may have been withdrawn.
	f.Details = state.Details()
	return f
}

func foundDocuments(state process.State, created contract.Millis) []contract.FoundDocument {
	documents := make([]contract.FoundDocument, 0, len(state.Documents))
	for _, d := range state.Documents {
		found := contract.FoundDocument{
			Size: d.Size, Title: d.Title, CreatedAt: created, DocStatus: docNew, NPages: d.Pages, MimeType: d.MimeType,
			OriginalFname: d.FileName, DocType: contract.DocTypeDocument, ExternalID: d.ExternalID,
			LoadingMethod: docLoadedUnknown, SrvVer: appVersion, TblVer: appVersion, DocOrder: d.Order, CloudService: contract.CloudLocal,
		}
		if c := d.Content; c != nil {
			found.OriginalMimeType, found.OriginalDocSize = &c.MimeType, &c.Size
		}
		documents = append(documents, found)
	}
	return documents
}

func sendingMode(request contract.Envelope) contract.SendingMode {
	if request.SendingMode == "" {
		return contract.SendImmediate
	}
	return request.SendingMode
}

// generator is the external system that sent the envelope when the request names no other.
func generator(e *envelope, request contract.Envelope) string {
	if request.SysGenerator == "" {
		return e.System
	}
	return request.SysGenerator
}

func commonMessage(request contract.Envelope) *contract.FoundMessage {
	if request.CommonMessage == nil {
		return nil
	}
	return &contract.FoundMessage{Subject: request.CommonMessage.Subject, Text: request.CommonMessage.Text, AllEnveUsers: true}
}

func orNull[T ~string](value T) *T {
	if value == "" {
		return nil
	}
	return &value
}

func millis(at time.Time) *contract.Millis {
	if at.IsZero() {
		return nil
	}
	m := contract.MillisOf(at)
	return &m
}
