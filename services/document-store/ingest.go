package documentstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"slices"
	"strings"

	"signbus.dev/pkg/blob"
	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/sign/cades"
	"signbus.dev/pkg/sign/cms"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/subjects"
)

// The texts of these say nothing of the message's content.
var (
	errUnreadable = errors.New("the message is not readable or incomplete")
	errDamaged    = errors.New("a document does not have the size that was accepted")
)

// ingested is what the preparation of one ingest found out: an envelope that goes on, or
// a refusal, whose error is made of contract errors.
type ingested struct {
	prepared handover.Prepared
	refusal  error
}

// prepareIngest reads the documents, which takes time, outside of the transaction.
func (s *Service) prepareIngest(ctx context.Context, m *bus.Incoming) (any, error) {
	in, err := readIngest(m.Data)
	if err != nil {
		return nil, bus.Reject(err)
	}
	result := ingested{prepared: handover.Prepared{Operation: in.Operation, EnvelopeID: in.EnvelopeID, Envelope: in.Envelope}}
	infos := make(map[string]*pdf.Info, len(in.Blobs))
	for i, b := range in.Blobs {
		document := in.Envelope.Documents[i]
		err := checkTexts(i, document)
		if err == nil {
			infos[document.ExternalID], err = s.read(ctx, in, i)
		}
		if len(contract.Problems(err)) > 0 { // one bad document is enough: the others cost time too
			result.refusal = err
			return result, nil
		}
		if err != nil {
			return nil, err
		}
		result.prepared.Documents = append(result.prepared.Documents, handover.Document{
			ExternalID: document.ExternalID, Title: document.Title, MimeType: document.MimeType, FileName: document.OriginalFname,
			Order: i + 1, Version: 1, SHA256: b.SHA256, Size: b.Size,
			Pages: len(infos[document.ExternalID].Pages), Signatures: infos[document.ExternalID].Signatures,
		})
	}
	plan, err := place(in.Envelope, infos, s.MaxPlaces)
	result.prepared.Placements, result.refusal = plan.placements, err
	for i := range result.prepared.Documents {
		d := &result.prepared.Documents[i]
		d.Fields = plan.fields[d.ExternalID]
	}
	return result, nil
}

// checkTexts refuses what PostgreSQL cannot keep.
func checkTexts(i int, d contract.Document) error {
	if strings.ContainsRune(d.ExternalID+d.Title+d.MimeType+d.OriginalFname, 0) {
		return &contract.Error{Code: contract.CodeIllegalArgument, Path: documentPath(i), Message: "its texts must not contain the character NUL"}
	}
	return nil
}

// read reads one document. An error without a mark, such as that of a blob which is
// not there (yet), is tried a few times.
func (s *Service) read(ctx context.Context, in handover.Ingest, i int) (*pdf.Info, error) {
	select {
	case s.inspecting <- struct{}{}:
		defer func() { <-s.inspecting }()
	case <-ctx.Done():
		return nil, bus.Retry(ctx.Err())
	}
	b := in.Blobs[i]
	r, err := s.Blobs.Open(ctx, blob.Scope{Customer: in.Operation.Customer, ID: in.EnvelopeID}, b.SHA256)
	switch {
	case errors.Is(err, blob.ErrNotFound):
		return nil, err
	case errors.Is(err, blob.ErrName):
		return nil, bus.Reject(err)
	case err != nil:
		return nil, bus.Retry(err)
	}
	defer r.Close()
	if r.Size() != b.Size {
		return nil, bus.Reject(errDamaged)
	}
	info, err := s.inspect(ctx, r, in.Envelope, in.Envelope.Documents[i])
	if err == nil {
		return info, nil
	}
	if !slices.ContainsFunc(fileProblems, func(p error) bool { return errors.Is(err, p) }) {
		return nil, bus.Retry(err)
	}
	return nil, &contract.Error{
		Code: contract.CodeBadDocFormat, Path: documentPath(i),
		Message: fmt.Sprintf("the document %q cannot be used: %s", b.DocExternalID, errors.Unwrap(err)),
	}
}

// inspect finds out what a file is. Where the signature goes around the file it may be
// anything and is not looked into, except that a signed message tells its signatures.
func (s *Service) inspect(ctx context.Context, r blob.Reader, e contract.Envelope, d contract.Document) (*pdf.Info, error) {
	if e.TrustLevelCode.Format() == contract.PAdES {
		return pdf.Inspect(ctx, r, r.Size(), s.Limits)
	}
	if kind, _, err := mime.ParseMediaType(d.MimeType); err != nil || kind != contract.MimeP7M {
		return &pdf.Info{}, nil //nolint:nilerr // whatever it is called, it is content
	}
	message, err := cades.Open(digest.Source{ReaderAt: r, Size: r.Size()}, digest.Source{})
	if err != nil {
		return nil, err
	}
	return &pdf.Info{Signatures: message.Signers()}, nil
}

// fileProblems are the refusals of a file; any other error of an inspection comes from
// reading the bytes and passes.
var fileProblems = []error{
	cms.ErrMalformed, cms.ErrUnsupported, cades.ErrContent,
	pdf.ErrNotPDF, pdf.ErrTruncated, pdf.ErrEncrypted, pdf.ErrTooLarge, pdf.ErrTooComplex, pdf.ErrNoPages, pdf.ErrBroken,
}

// applyIngest keeps the documents and hands the envelope on, or refuses it.
func (s *Service) applyIngest(ctx context.Context, tx *store.Tx, _ *bus.Incoming, prepared any) error {
	result, ok := prepared.(ingested)
	if !ok {
		return bus.Reject(errUnreadable)
	}
	p, err := result.prepared, result.refusal
	if err == nil {
		err = s.outbox.SendJSON(ctx, tx, subjects.WorkResolve, "", p)
	}
	if errors.Is(err, bus.ErrTooLarge) {
		err = &contract.Error{Code: contract.CodeTooLarge, Message: "the envelope has too many actions and texts; split it"}
	}
	if len(contract.Problems(err)) > 0 {
		code := contract.CodeOf(err)
		s.Log.Info("envelope refused", "operation", p.Operation.ID, "customer", p.Operation.Customer, "envelope", p.EnvelopeID, "code", string(code))
		return s.refuse(ctx, tx, p.Operation, p.EnvelopeID, code, contract.Sentence(err))
	}
	if err != nil {
		return err
	}
	return s.keep(ctx, tx, p)
}

// keep writes the rows of an envelope.
func (s *Service) keep(ctx context.Context, tx *store.Tx, p handover.Prepared) error {
	now := store.Micros(s.Now())
	for _, d := range p.Documents {
		if _, err := tx.Exec(ctx, `INSERT INTO document_documents (envelope_id, external_id, customer, operation_key, place,
				title, mime_type, file_name, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
			ON CONFLICT (envelope_id, external_id) DO NOTHING`,
			p.EnvelopeID, d.ExternalID, p.Operation.Customer, p.Operation.Key, d.Order, d.Title, d.MimeType, d.FileName, now); err != nil {
			return fmt.Errorf("keep document of envelope %s: %w", p.EnvelopeID, err)
		}
		if _, err := insertVersion(ctx, tx, p.EnvelopeID, d, now); err != nil {
			return fmt.Errorf("keep document of envelope %s: %w", p.EnvelopeID, err)
		}
	}
	placements, err := json.Marshal(p.Placements)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO document_placements (envelope_id, operation_key, placements, created_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (envelope_id) DO NOTHING`, p.EnvelopeID, p.Operation.Key, string(placements), now); err != nil {
		return fmt.Errorf("keep placements of envelope %s: %w", p.EnvelopeID, err)
	}
	return nil
}

// insertVersion returns 0 when there is a version of that number already.
func insertVersion(ctx context.Context, tx *store.Tx, envelope string, d handover.Document, madeAt int64) (int64, error) {
	return tx.Exec(ctx, `INSERT INTO document_versions (envelope_id, external_id, version, sha256, size, pages, signatures, mime_type, file_name, made_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (envelope_id, external_id, version) DO NOTHING`,
		envelope, d.ExternalID, d.Version, d.SHA256, d.Size, d.Pages, d.Signatures, d.MimeType, d.FileName, madeAt)
}

// giveUpIngest tells the caller that the bus itself could not go on.
func (s *Service) giveUpIngest(ctx context.Context, tx *store.Tx, m *bus.Incoming, _ error) error {
	var about struct {
		Operation  handover.Operation `json:"operation"`
		EnvelopeID string             `json:"envelopeId"`
	}
	if json.Unmarshal(m.Data, &about) != nil || !complete(about.Operation) {
		return nil //nolint:nilerr // it names nobody who waits; the dead letter is all there is
	}
	return s.refuse(ctx, tx, about.Operation, about.EnvelopeID, contract.CodeError,
		"the bus could not read the documents that it had accepted; try again, or ask the operator of the bus")
}

func (s *Service) refuse(ctx context.Context, tx *store.Tx, op handover.Operation, envelope string, code contract.Code, sentence string) error {
	return s.outbox.SendJSON(ctx, tx, subjects.WorkRefuse, "", handover.Refusal{
		Operation: op, EnvelopeID: envelope, Code: code, Message: sentence,
	})
}

func complete(op handover.Operation) bool {
	return op.ID != "" && op.Key != "" && subjects.ValidToken(op.Customer)
}

// readIngest reads a message and checks that its parts fit one another.
func readIngest(data []byte) (handover.Ingest, error) {
	var in handover.Ingest
	if err := json.Unmarshal(data, &in); err != nil {
		return in, errUnreadable
	}
	if !complete(in.Operation) || !subjects.ValidToken(in.EnvelopeID) || len(in.Blobs) == 0 || len(in.Blobs) != len(in.Envelope.Documents) {
		return in, errUnreadable
	}
	for i, b := range in.Blobs {
		if b.DocExternalID != in.Envelope.Documents[i].ExternalID {
			return in, errUnreadable
		}
	}
	return in, nil
}

func documentPath(i int) string { return fmt.Sprintf("envelope.documents[%d]", i) }
