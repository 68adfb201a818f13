package signaturebook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/store"
	"signbus.dev/services/signature-book/pages"
)

// session is one assignment given to this provider.
type session struct {
	Assignment string
	Customer   string
	EnvelopeID string
	TokenHash  string
	Status     pages.Status
	Reason     string
	Job        handover.Job
	Epoch      int64
	OpenedAt   time.Time
}

// newSession returns the session of a job, not stored yet.
func newSession(job handover.Job, status pages.Status, at time.Time) *session {
	return &session{
		Assignment: job.Assignment, Customer: job.Customer, EnvelopeID: job.EnvelopeID,
		Status: status, Job: job, OpenedAt: at,
	}
}

const sessionColumns = `assignment, customer, envelope_id, token_hash, status, reason, job, epoch, opened_at`

// readSession scans the row that a query returns; [store.ErrNotFound] when there is none.
func readSession(ctx context.Context, q store.Querier, query string, args ...any) (*session, error) {
	var (
		s      session
		job    string
		opened int64
	)
	err := q.QueryRow(ctx, query, args, &s.Assignment, &s.Customer, &s.EnvelopeID, &s.TokenHash, &s.Status, &s.Reason, &job, &s.Epoch, &opened)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(job), &s.Job); err != nil {
		return nil, fmt.Errorf("session of assignment %s: %w", s.Assignment, err)
	}
	s.OpenedAt = store.Time(opened)
	return &s, nil
}

// findSession reads the session of an assignment.
func findSession(ctx context.Context, q store.Querier, assignment string) (*session, error) {
	return readSession(ctx, q, `SELECT `+sessionColumns+` FROM signature_session WHERE assignment = $1`, assignment)
}

// tokenLength is that of a link's token; anything else is not worth a query.
const tokenLength = 43

// findByToken reads the session that a link opens; [pages.ErrNotFound] when there is none.
func findByToken(ctx context.Context, q store.Querier, token string) (*session, error) {
	return byToken(token, func(hash string) (*session, error) {
		return readSession(ctx, q, `SELECT `+sessionColumns+` FROM signature_session WHERE token_hash = $1`, hash)
	})
}

// lockByToken is findByToken that keeps others from changing the session meanwhile.
func lockByToken(ctx context.Context, tx *store.Tx, token string) (*session, error) {
	return byToken(token, func(hash string) (*session, error) {
		return readSession(ctx, tx, `UPDATE signature_session SET changed_at = changed_at WHERE token_hash = $1 RETURNING `+sessionColumns, hash)
	})
}

func byToken(token string, read func(hash string) (*session, error)) (*session, error) {
	if len(token) != tokenLength {
		return nil, pages.ErrNotFound
	}
	s, err := read(hashToken(token))
	if errors.Is(err, store.ErrNotFound) {
		return nil, pages.ErrNotFound
	}
	return s, err
}

// lockSession reads the session of an assignment and keeps others from changing it
// meanwhile; nil when there is none.
func lockSession(ctx context.Context, tx *store.Tx, assignment string) (*session, error) {
	s, err := readSession(ctx, tx, `UPDATE signature_session SET changed_at = changed_at WHERE assignment = $1 RETURNING `+sessionColumns, assignment)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return s, err
}

// save writes the session.
func (s *session) save(ctx context.Context, tx *store.Tx, at time.Time) error {
	job, err := json.Marshal(s.Job)
	if err != nil {
		return fmt.Errorf("session of assignment %s: %w", s.Assignment, err)
	}
	_, err = tx.Exec(ctx, `INSERT INTO signature_session (`+sessionColumns+`, changed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (assignment) DO UPDATE SET token_hash = excluded.token_hash, status = excluded.status,
			reason = excluded.reason, job = excluded.job, epoch = excluded.epoch, changed_at = excluded.changed_at`,
		s.Assignment, s.Customer, s.EnvelopeID, s.TokenHash, string(s.Status), s.Reason, string(job), s.Epoch,
		store.Micros(s.OpenedAt), store.Micros(at))
	return err
}

// changesDocuments says whether the assignment makes new versions of documents.
func (s *session) changesDocuments() bool {
	return slices.ContainsFunc(s.Job.Actions, signs)
}

// signs says whether an action makes a new version of its document. Approvals and views
// that are not to be seen are only recorded.
func signs(a handover.Action) bool {
	return contract.Visibility(a.Visibility) != contract.VisibilityNone
}

// documents are those of the job on which the actor has something to do, in their order.
// The pages number them from 1.
func (s *session) documents() []handover.Document {
	var out []handover.Document
	for _, d := range s.Job.Documents {
		if len(s.actionsOn(d.ExternalID)) > 0 {
			out = append(out, d)
		}
	}
	return out
}

// actionsOn are the actor's actions on a document, in their order.
func (s *session) actionsOn(document string) []handover.Action {
	var out []handover.Action
	for _, a := range s.Job.Actions {
		if a.DocExternalID == document {
			out = append(out, a)
		}
	}
	return out
}

// setVersions takes over the versions that were signed.
func (s *session) setVersions(signed []handover.SignedDocument) {
	for _, v := range signed {
		for i := range s.Job.Documents {
			if d := &s.Job.Documents[i]; d.ExternalID == v.DocExternalID {
				d.Renew(v)
			}
		}
	}
}

// forget removes what is personal from a session whose envelope was deleted. What stays
// lets the link say that the envelope is gone.
func (s *session) forget() {
	job := handover.Job{
		Kind: handover.JobWithdraw, Assignment: s.Assignment, EnvelopeID: s.EnvelopeID, Customer: s.Customer,
		System: s.Job.System, TaskKind: s.Job.TaskKind,
	}
	job.Actor.Language = s.Job.Actor.Language
	s.Job = job
}
