package signaturebook

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"signbus.dev/pkg/store"
)

const (
	// postBatch mails are taken at once, postAtOnce of them sent in parallel.
	postBatch  = 20
	postAtOnce = 4
	// postClaim is how long a mail belongs to the process that tries it. It is longer
	// than a try, so that two processes rarely send one mail.
	postClaim = 2 * time.Minute
	postTry   = time.Minute
	// postPoll is how late the mail of another process that ended can be seen.
	postPoll  = 5 * time.Second
	postPause = 2 * time.Second
)

// The outcomes of a mail.
const (
	mailSent    = "sent"
	mailDropped = "dropped" // nobody needs it any more
	mailFailed  = "failed"  // its time ran out
)

// post is the queue of mails: a mail is written in the transaction that promises it and
// sent after, as often as it takes.
type post struct {
	db      *store.DB
	mailer  Mailer
	secrets *secrets
	metrics *metrics
	log     *slog.Logger
	now     func() time.Time
	wake    chan struct{}
}

func newPost(o Options, s *secrets, m *metrics) *post {
	return &post{db: o.DB, mailer: o.Mailer, secrets: s, metrics: m, log: o.Log, now: o.Now, wake: make(chan struct{}, 1)}
}

// put queues a mail as part of the transaction. Until is when nobody needs it any more.
func (p *post) put(ctx context.Context, tx *store.Tx, m Mail, until time.Time) error {
	plain, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("queue mail %s: %w", m.ID, err)
	}
	now := store.Micros(p.now())
	_, err = tx.Exec(ctx, `INSERT INTO signature_mail
			(id, assignment, kind, content, attempts, due_at, until_at, created_at, ended_at, outcome)
		VALUES ($1, $2, $3, $4, 0, $5, $6, $5, 0, '')`,
		m.ID, m.Assignment, string(m.Kind), p.secrets.mails.seal(plain, m.ID), now, store.Micros(until))
	return err
}

// drop ends the mails of an assignment that still wait.
func (p *post) drop(ctx context.Context, tx *store.Tx, assignment string) error {
	_, err := tx.Exec(ctx, endMails+` WHERE assignment = $4 AND ended_at = 0`, store.Micros(p.now()), mailDropped, []byte{}, assignment)
	return err
}

// endMails ends mails and erases what is personal in them.
const endMails = `UPDATE signature_mail SET ended_at = $1, outcome = $2, content = $3`

// nudge tells the post that there may be something to send. It does not block.
func (p *post) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run sends until ctx ends. Errors do not end it.
func (p *post) run(ctx context.Context) error {
	if err := p.reclaim(ctx); err != nil {
		p.log.Warn("mails of the process before wait", "error", err)
	}
	for {
		n, err := p.once(ctx)
		pause := postPoll
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // it stops
		case err != nil:
			p.log.Warn("mails wait", "error", err)
			pause = postPause
		case n > 0:
			continue
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-p.wake:
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the last error was logged
		}
	}
}

// reclaim makes due what a process that was killed had taken, where no other process can
// be at work on it.
func (p *post) reclaim(ctx context.Context) error {
	if !p.db.Exclusive() {
		return nil
	}
	return p.db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE signature_mail SET due_at = $1 WHERE ended_at = 0 AND due_at > $1`, store.Micros(p.now()))
		return err
	})
}

// queued is a mail of which this process has the next try.
type queued struct {
	id       string
	content  []byte
	attempts int
	until    time.Time
}

// once takes the mails that are due and tries each of them.
func (p *post) once(ctx context.Context) (int, error) {
	mails, err := p.claim(ctx)
	if err != nil {
		return 0, err
	}
	var group errgroup.Group
	group.SetLimit(postAtOnce)
	for _, m := range mails {
		group.Go(func() error { return p.try(ctx, m) })
	}
	return len(mails), group.Wait()
}

// claim takes the mails that are due. Whoever ends before he has sent one leaves it to
// be taken again after postClaim.
func (p *post) claim(ctx context.Context) (mails []queued, err error) {
	now := p.now()
	err = p.db.Update(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `UPDATE signature_mail SET attempts = attempts + 1, due_at = $1
			WHERE ended_at = 0 AND due_at <= $2 AND id IN (
				SELECT id FROM signature_mail WHERE ended_at = 0 AND due_at <= $2 ORDER BY due_at LIMIT $3)
			RETURNING id, content, attempts, until_at`,
			store.Micros(now.Add(postClaim)), store.Micros(now), postBatch)
		mails, err = store.Collect(rows, err, func(m *queued, scan func(...any) error) error {
			var until int64
			defer func() { m.until = store.Time(until) }()
			return scan(&m.id, &m.content, &m.attempts, &until)
		})
		return err
	})
	return mails, err
}

// try sends one mail and records what came of it.
func (p *post) try(ctx context.Context, m queued) error {
	if !p.now().Before(m.until) {
		p.log.Error("mail is given up", "mail", m.id, "attempts", m.attempts)
		return p.finish(ctx, m, mailFailed)
	}
	var mail Mail
	plain, err := p.secrets.mails.open(m.content, m.id)
	if err == nil {
		err = json.Unmarshal(plain, &mail)
	}
	if err != nil { // the secret was changed; the mail is lost to us for good
		p.log.Error("mail cannot be read", "mail", m.id, "error", err)
		return p.finish(ctx, m, mailFailed)
	}
	tryCtx, cancel := context.WithTimeout(ctx, postTry)
	defer cancel()
	if err := p.mailer.Send(tryCtx, mail); err != nil {
		if ctx.Err() != nil { // the service stops; the next one to run need not wait
			return p.postpone(context.WithoutCancel(ctx), m, 0)
		}
		again := mailBackoff(m.attempts)
		p.log.Warn("mail is tried again", "mail", m.id, "kind", string(mail.Kind), "assignment", mail.Assignment,
			"attempt", m.attempts, "again", again, "error", err)
		return p.postpone(ctx, m, again)
	}
	p.log.Info("mail sent", "mail", m.id, "kind", string(mail.Kind), "assignment", mail.Assignment, "attempt", m.attempts)
	return p.finish(ctx, m, mailSent)
}

// finish ends a mail, also while the service stops: it was sent.
func (p *post) finish(ctx context.Context, m queued, outcome string) error {
	p.metrics.mails.WithLabelValues(outcome).Inc()
	ctx = context.WithoutCancel(ctx)
	return p.db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, endMails+` WHERE id = $4`, store.Micros(p.now()), outcome, []byte{}, m.id)
		return err
	})
}

// postpone sets the next try, unless the mail was dropped meanwhile.
func (p *post) postpone(ctx context.Context, m queued, again time.Duration) error {
	return p.db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE signature_mail SET due_at = $1 WHERE id = $2 AND ended_at = 0`,
			store.Micros(p.now().Add(again)), m.id)
		return err
	})
}

// mailBackoff is the pause after a try: 5 s doubling up to a quarter of an hour.
func mailBackoff(attempts int) time.Duration {
	return min(5*time.Second<<min(max(attempts-1, 0), 10), 15*time.Minute)
}

// forget deletes the traces of mails that ended long ago.
func (p *post) forget(ctx context.Context, before time.Time) error {
	return p.db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM signature_mail WHERE ended_at > 0 AND ended_at < $1`, store.Micros(before))
		return err
	})
}
