package documentstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/subjects"
)

var (
	errUnknownDocument = errors.New("the envelope has no such document")
	errOtherVersion    = errors.New("the version is recorded with other bytes")
	errSubject         = errors.New("the document store does not know this subject")
)

// applyRecord records a new version or discards the documents of a refused operation.
func (s *Service) applyRecord(ctx context.Context, tx *store.Tx, m *bus.Incoming, _ any) error {
	switch m.Subject {
	case subjects.WorkVersion:
		return s.version(ctx, tx, m.Data)
	case subjects.WorkDiscard:
		return s.discard(ctx, tx, m.Data)
	}
	return bus.Reject(errSubject)
}

// version records what a signature made. Versions may come in any order and more than
// once; the number, not the order of arrival, says which is newer.
func (s *Service) version(ctx context.Context, tx *store.Tx, data []byte) error {
	var v handover.NewVersion
	if err := json.Unmarshal(data, &v); err != nil || v.Version < 2 || v.Document.SHA256 == "" || v.At.IsZero() {
		return bus.Reject(errUnreadable)
	}
	d := handover.Document{
		ExternalID: v.Document.DocExternalID, Version: v.Version,
		SHA256: v.Document.SHA256, Size: v.Document.Size, Signatures: v.Document.Signatures,
		MimeType: v.Document.MimeType, FileName: v.Document.FileName,
	}
	// A signature adds no page, so every version has those of the first.
	err := tx.QueryRow(ctx, `SELECT v.pages FROM document_documents d
		JOIN document_versions v ON v.envelope_id = d.envelope_id AND v.external_id = d.external_id AND v.version = 1
		WHERE d.envelope_id = $1 AND d.external_id = $2 AND d.customer = $3`,
		[]any{v.EnvelopeID, d.ExternalID, v.Customer}, &d.Pages)
	if errors.Is(err, store.ErrNotFound) {
		return bus.Reject(errUnknownDocument)
	}
	if err != nil {
		return fmt.Errorf("record version of envelope %s: %w", v.EnvelopeID, err)
	}
	n, err := insertVersion(ctx, tx, v.EnvelopeID, d, store.Micros(v.At))
	if err != nil || n == 1 {
		return err
	}
	var known string
	if err := tx.QueryRow(ctx, `SELECT sha256 FROM document_versions WHERE envelope_id = $1 AND external_id = $2 AND version = $3`,
		[]any{v.EnvelopeID, d.ExternalID, d.Version}, &known); err != nil {
		return err
	}
	if known != d.SHA256 {
		return bus.Reject(errOtherVersion)
	}
	return nil
}

// discard forgets the documents of an operation that was refused. The bytes are removed
// after the commit, see [Service.remove].
func (s *Service) discard(ctx context.Context, tx *store.Tx, data []byte) error {
	var d handover.Discard
	if err := json.Unmarshal(data, &d); err != nil || d.OperationKey == "" ||
		!subjects.ValidToken(d.Customer) || !subjects.ValidToken(d.EnvelopeID) {
		return bus.Reject(errUnreadable)
	}
	for _, statement := range []string{
		`DELETE FROM document_versions WHERE envelope_id IN (SELECT envelope_id FROM document_documents WHERE operation_key = $1)`,
		`DELETE FROM document_documents WHERE operation_key = $1`,
		`DELETE FROM document_placements WHERE operation_key = $1`,
	} {
		if _, err := tx.Exec(ctx, statement, d.OperationKey); err != nil {
			return fmt.Errorf("discard envelope %s: %w", d.EnvelopeID, err)
		}
	}
	_, err := tx.Exec(ctx, `INSERT INTO document_removals (customer, envelope_id, requested_at) VALUES ($1, $2, $3)
		ON CONFLICT (customer, envelope_id) DO NOTHING`, d.Customer, d.EnvelopeID, store.Micros(s.Now()))
	if err != nil {
		return fmt.Errorf("discard envelope %s: %w", d.EnvelopeID, err)
	}
	s.discarded.Store(true)
	return nil
}
