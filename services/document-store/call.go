package documentstore

import (
	"context"
	"fmt"
	"time"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/store"
)

// Documents is the request of the call documents; the answer is a [Versions].
type Documents struct {
	Customer   string `json:"customer"`
	EnvelopeID string `json:"envelopeId"`
}

// Versions lists every version of every document of an envelope, by the order of the
// documents and then by version.
type Versions struct {
	Documents []Version `json:"documents"`
}

// Version is a document at one version.
type Version struct {
	handover.Document
	// MadeAt is when the version came in or was signed, in UTC.
	MadeAt time.Time `json:"madeAt"`
}

func (s *Service) verbs() map[string]bus.Verb {
	return map[string]bus.Verb{
		"documents": bus.Answer(func(ctx context.Context, r Documents) (any, error) { return s.Documents(ctx, r) }),
	}
}

// Documents lists the documents of an envelope. It returns a [contract.Error] with the
// code envelope_not_found when the customer has no such envelope.
func (s *Service) Documents(ctx context.Context, r Documents) (Versions, error) {
	rows, err := s.DB.Query(ctx, `SELECT d.external_id, d.title,
			COALESCE(NULLIF(v.mime_type, ''), d.mime_type), COALESCE(NULLIF(v.file_name, ''), d.file_name), d.place,
			v.version, v.sha256, v.size, v.pages, v.signatures, v.made_at
		FROM document_documents d JOIN document_versions v ON v.envelope_id = d.envelope_id AND v.external_id = d.external_id
		WHERE d.customer = $1 AND d.envelope_id = $2 ORDER BY d.place, v.version`, r.Customer, r.EnvelopeID)
	list, err := store.Collect(rows, err, func(v *Version, scan func(...any) error) error {
		var madeAt int64
		if err := scan(&v.ExternalID, &v.Title, &v.MimeType, &v.FileName, &v.Order,
			&v.Version, &v.SHA256, &v.Size, &v.Pages, &v.Signatures, &madeAt); err != nil {
			return err
		}
		v.MadeAt = store.Time(madeAt)
		return nil
	})
	if err != nil {
		return Versions{}, fmt.Errorf("list documents of envelope %s: %w", r.EnvelopeID, err)
	}
	if len(list) == 0 {
		return Versions{}, &contract.Error{Code: contract.CodeEnvelopeNotFound, Message: "the customer has no such envelope"}
	}
	return Versions{Documents: list}, nil
}
