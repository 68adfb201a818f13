package signaturebook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/subjects"
	"signbus.dev/services/signature-book/pages"
)

// errJob says that a job cannot be read; nothing but a fault of the bus makes one.
var errJob = errors.New("job cannot be read")

// task is a job as Prepare leaves it: read, and for a grant to sign, signed.
type task struct {
	job handover.Job
	// result is nil when there was nothing to sign at that time.
	result *result
}

// stage takes the jobs. Signing is done before the transaction, opening and withdrawing
// inside it.
func (s *Service) stage() *bus.Stage {
	return &bus.Stage{
		Service: subjects.SignatureBook, Name: subjects.SignatureBook,
		Stream: subjects.StreamWork, Subjects: []string{subjects.WorkJob},
		DB: s.DB, JS: s.JS, Outbox: s.outbox, AfterCommit: s.post.nudge,
		Prepare: s.prepare, Apply: s.apply, GiveUp: s.giveUp,
		Metrics: s.Metrics, Log: s.Log, Now: s.Now,
	}
}

func readJob(data []byte) (handover.Job, error) {
	var job handover.Job
	if err := json.Unmarshal(data, &job); err != nil || job.Assignment == "" || job.EnvelopeID == "" || job.Customer == "" {
		return job, errJob
	}
	return job, nil
}

func (s *Service) prepare(ctx context.Context, m *bus.Incoming) (any, error) {
	job, err := readJob(m.Data)
	if err != nil {
		return nil, bus.Reject(err)
	}
	t := &task{job: job}
	if job.Kind != handover.JobSign {
		return t, nil
	}
	known, err := findSession(ctx, s.DB, job.Assignment)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if known != nil && !known.maySign(job) {
		return t, nil
	}
	if t.result, err = s.sign(ctx, job); err != nil {
		err = fmt.Errorf("sign assignment %s: %w", job.Assignment, err)
		if passing(err) {
			return nil, bus.Retry(err)
		}
		return nil, err
	}
	return t, nil
}

// maySign says whether a grant is to be followed: the session was not ended, and no
// grant as new was followed before.
func (s *session) maySign(job handover.Job) bool {
	return s.Status != pages.Closed && s.Status != pages.Declined && job.Epoch > s.Epoch
}

func (s *Service) apply(ctx context.Context, tx *store.Tx, _ *bus.Incoming, prepared any) error {
	t, ok := prepared.(*task)
	if !ok {
		return bus.Reject(errJob)
	}
	known, err := lockSession(ctx, tx, t.job.Assignment)
	if err != nil {
		return err
	}
	switch t.job.Kind {
	case handover.JobOpen:
		return s.open(ctx, tx, known, t.job)
	case handover.JobSign:
		return s.signed(ctx, tx, known, t)
	case handover.JobWithdraw:
		return s.withdraw(ctx, tx, known, t.job)
	}
	return bus.Reject(fmt.Errorf("job of kind %q: %w", t.job.Kind, errJob))
}

// open makes the session and invites the actor. A session that is there already, because
// the assignment was withdrawn before it was opened, stays as it is.
func (s *Service) open(ctx context.Context, tx *store.Tx, known *session, job handover.Job) error {
	if known != nil {
		return nil
	}
	now := s.Now()
	fresh := newSession(job, pages.Open, now)
	token := s.secrets.token(job.Assignment)
	fresh.TokenHash = hashToken(token)
	if err := fresh.save(ctx, tx, now); err != nil {
		return err
	}
	s.Log.Info("session opened", "assignment", job.Assignment, "envelope", job.EnvelopeID, "invited", job.Actor.Email != "")
	if job.Actor.Email == "" {
		return nil // the external system asks for the link and hands it on
	}
	return s.post.put(ctx, tx, s.invitation(fresh, s.link(token)), now.Add(invitationLife))
}

// signed records what came of a grant and reports it.
func (s *Service) signed(ctx context.Context, tx *store.Tx, known *session, t *task) error {
	now := s.Now()
	switch {
	case known == nil:
		known = newSession(t.job, pages.Confirmed, now)
	case !known.maySign(t.job):
		s.Log.Info("grant is void", "assignment", t.job.Assignment, "epoch", t.job.Epoch, "status", string(known.Status), "followed", known.Epoch)
		return nil
	}
	r := t.result
	if r == nil {
		return fmt.Errorf("sign assignment %s: its session changed meanwhile", t.job.Assignment)
	}
	documents, err := json.Marshal(r.Documents)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO signature_outcome (assignment, epoch, at, code, note, documents) VALUES ($1, $2, $3, $4, $5, $6)`,
		t.job.Assignment, t.job.Epoch, store.Micros(now), string(r.Code), r.Note, string(documents))
	if err != nil {
		return err
	}
	if err := dropRecording(ctx, tx, t.job.Assignment); err != nil {
		return err
	}
	known.Job, known.Epoch, known.Status = t.job, t.job.Epoch, pages.Signed
	known.setVersions(r.Documents)
	progress := handover.Progress{Kind: handover.Signed, Epoch: t.job.Epoch, Documents: r.Documents}
	if r.Code != "" {
		known.Status = pages.Failed
		progress = handover.Progress{Kind: handover.Failed, Epoch: t.job.Epoch, Code: r.Code, Note: r.Note}
	}
	if err := known.save(ctx, tx, now); err != nil {
		return err
	}
	s.Log.Info("assignment answered", "assignment", t.job.Assignment, "envelope", t.job.EnvelopeID, "epoch", t.job.Epoch,
		"kind", string(progress.Kind), "code", string(r.Code), "documents", len(r.Documents), "took", r.Took.Round(time.Microsecond))
	return s.report(ctx, tx, known, progress)
}

// withdraw closes the session. One that was never opened is closed too, so that a job
// which comes late cannot open it.
func (s *Service) withdraw(ctx context.Context, tx *store.Tx, known *session, job handover.Job) error {
	if known == nil {
		known = newSession(job, pages.Closed, s.Now())
	}
	status := pages.Closed
	if known.Status == pages.Declined || known.Status == pages.Failed {
		status = known.Status // the actor knows better how it ended
	}
	if job.Reason == reasonDeleted {
		status = pages.Closed
		known.forget()
		if err := eraseEvidence(ctx, tx, job.Assignment); err != nil {
			return err
		}
	}
	return s.end(ctx, tx, known, status, job.Reason)
}

// reasonDeleted is the reason of a job that withdraws because the envelope was deleted.
const reasonDeleted = "deleted"

// eraseEvidence removes what an actor entered; his envelope no longer exists.
func eraseEvidence(ctx context.Context, tx *store.Tx, assignment string) error {
	for _, table := range []string{"signature_consent", "signature_decline"} {
		if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE assignment = $1`, assignment); err != nil {
			return err
		}
	}
	return nil
}

// end brings a session to a status from which there is nothing more to do: codes,
// waiting mails and the recording of the hand go.
func (s *Service) end(ctx context.Context, tx *store.Tx, known *session, status pages.Status, reason string) error {
	known.Status, known.Reason = status, reason
	if err := dropCode(ctx, tx, known.Assignment); err != nil {
		return err
	}
	if err := dropRecording(ctx, tx, known.Assignment); err != nil {
		return err
	}
	if err := s.post.drop(ctx, tx, known.Assignment); err != nil {
		return err
	}
	return known.save(ctx, tx, s.Now())
}

// giveUp tells provider-dispatch that an assignment can never be done, after a job failed
// in every try.
func (s *Service) giveUp(ctx context.Context, tx *store.Tx, m *bus.Incoming, _ error) error {
	job, err := readJob(m.Data)
	if err != nil || job.Kind == handover.JobWithdraw {
		return nil //nolint:nilerr // nobody waits for an answer to it
	}
	known, err := lockSession(ctx, tx, job.Assignment)
	if err != nil {
		return err
	}
	if known == nil {
		known = newSession(job, pages.Failed, s.Now())
	} else if known.Status == pages.Closed || known.Status == pages.Declined {
		return nil
	}
	known.Epoch = max(known.Epoch, job.Epoch)
	if err := s.end(ctx, tx, known, pages.Failed, ""); err != nil {
		return err
	}
	return s.report(ctx, tx, known, handover.Progress{
		Kind: handover.Failed, Epoch: job.Epoch, Code: contract.CodeError, Note: "the signature book could not do its part; ask the operator of the bus",
	})
}

// report sends a progress of the session to provider-dispatch.
func (s *Service) report(ctx context.Context, tx *store.Tx, known *session, p handover.Progress) error {
	p.Customer, p.EnvelopeID, p.Assignment, p.At = known.Customer, known.EnvelopeID, known.Assignment, s.Now().UTC()
	s.metrics.answers.WithLabelValues(string(p.Kind)).Inc()
	return s.outbox.SendJSON(ctx, tx, subjects.WorkProgress, s.NewID(), p)
}
