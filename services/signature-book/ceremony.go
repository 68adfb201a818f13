package signaturebook

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"signbus.dev/pkg/blob"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/store"
	"signbus.dev/services/signature-book/pages"
)

// ceremony is what the pages may do with a session.
type ceremony struct{ *Service }

var _ pages.Sessions = (*ceremony)(nil)

// Find implements [pages.Sessions].
func (c *ceremony) Find(ctx context.Context, token string) (pages.View, error) {
	s, err := findByToken(ctx, c.DB, token)
	if err != nil {
		return pages.View{}, err
	}
	return view(s), nil
}

// view is what the actor may see of his session.
func view(s *session) pages.View {
	job := s.Job
	v := pages.View{
		Session: s.Assignment, Status: s.Status, Reason: s.Reason,
		Subject: job.Subject, Sender: sender(job), Deadline: job.ExpireAt, MessageSubject: messageSubject(job), MessageText: job.MessageText,
		Name: fullName(job.Actor), Language: job.Actor.Language, MailHint: maskMail(job.Actor.Email),
	}
	for _, d := range s.documents() {
		document := pages.Document{
			Title: d.Title, FileName: d.FileName, MimeType: d.MimeType, SHA256: d.SHA256, Pages: d.Pages, Size: d.Size,
			Around: job.Format == contract.CAdES,
		}
		if c := d.Content; c != nil {
			document.FileName, document.MimeType, document.SHA256, document.Size = c.FileName, c.MimeType, c.SHA256, c.Size
		}
		if document.Title == "" {
			document.Title = document.FileName
		}
		for _, a := range s.actionsOn(d.ExternalID) {
			document.Actions = append(document.Actions, pages.Action{
				Kind: actionKinds[a.Type], Approved: a.Confirmed, Graphometric: a.Type == contract.ActionGraphometric,
				Visible: contract.Visibility(a.Visibility) == contract.VisibilityVisible, Boxes: a.Placement.Boxes,
			})
		}
		v.Documents = append(v.Documents, document)
	}
	return v
}

// sender is who asks: the secretary and his organisation, or the external system.
func sender(job handover.Job) string {
	name := fullName(job.LoadedBy)
	if name == "" {
		return job.System
	}
	if company := strings.TrimSpace(job.LoadedBy.Company); company != "" {
		name += ", " + company
	}
	return name
}

// messageSubject is the subject of the sender's message where it says something new.
func messageSubject(job handover.Job) string {
	if strings.TrimSpace(job.MessageSubject) == strings.TrimSpace(job.Subject) {
		return ""
	}
	return job.MessageSubject
}

// actionKinds are the words of the pages for the actions that are built.
var actionKinds = map[contract.ActionType]pages.ActionKind{
	contract.ActionSign: pages.Sign, contract.ActionGraphometric: pages.Sign, contract.ActionApprove: pages.Approve, contract.ActionView: pages.Seen,
}

// fullName is "Name Surname".
func fullName(a handover.Actor) string { return strings.TrimSpace(a.Name + " " + a.Surname) }

// maskMail shows enough of an address to recognise it and too little to learn it.
func maskMail(address string) string {
	local, domain, ok := strings.Cut(address, "@")
	if !ok || local == "" {
		return ""
	}
	_, n := utf8.DecodeRuneInString(local)
	return local[:n] + "•••@" + domain
}

// change runs fn on the locked session in one transaction, commits also when fn refuses
// with one of the pages' own answers, and wakes whoever has something to send.
func (c *ceremony) change(ctx context.Context, token string, fn func(*store.Tx, *session) error) error {
	var answer error
	err := c.DB.Update(ctx, func(tx *store.Tx) error {
		answer = nil
		s, err := lockByToken(ctx, tx, token)
		if err != nil {
			return err
		}
		err = fn(tx, s)
		wrong, locked := new(pages.WrongCodeError), new(pages.LockedError)
		if errors.As(err, &wrong) || errors.As(err, &locked) {
			answer = err // the try counts
			return nil
		}
		return err
	})
	c.outbox.Nudge()
	c.post.nudge()
	if err == nil {
		err = answer
	}
	return err
}

// Consent implements [pages.Sessions].
func (c *ceremony) Consent(ctx context.Context, token string, given pages.Consent) error {
	return c.change(ctx, token, func(tx *store.Tx, s *session) error {
		if s.Status != pages.Open && s.Status != pages.AwaitingCode {
			return pages.ErrWrongStatus
		}
		if s.Job.Actor.Email == "" {
			return pages.ErrNoAddress
		}
		record := consent{GivenAt: c.Now(), Client: given.Client, Autograph: given.Autograph}
		for i, d := range s.documents() {
			if !slices.Contains(given.Accepted, i+1) {
				return fmt.Errorf("consent of assignment %s: document %d is not accepted", s.Assignment, i+1)
			}
			accepted := acceptedDocument{DocExternalID: d.ExternalID, SHA256: d.SHA256, Version: d.Version}
			for _, a := range s.actionsOn(d.ExternalID) {
				accepted.Actions = append(accepted.Actions, a.Type)
			}
			record.Accepted = append(record.Accepted, accepted)
		}
		if err := c.sendCode(ctx, tx, s, true); err != nil {
			return err
		}
		if err := putConsent(ctx, tx, s.Assignment, record); err != nil {
			return err
		}
		if err := c.keepRecording(ctx, tx, s.Assignment, given.Recording); err != nil {
			return err
		}
		s.Status = pages.AwaitingCode
		return s.save(ctx, tx, c.Now())
	})
}

// Resend implements [pages.Sessions].
func (c *ceremony) Resend(ctx context.Context, token string) error {
	return c.change(ctx, token, func(tx *store.Tx, s *session) error {
		if s.Status != pages.AwaitingCode {
			return pages.ErrWrongStatus
		}
		return c.sendCode(ctx, tx, s, false)
	})
}

// sendCode draws a code and queues the mail with it. Whoever only changes his consent
// keeps the code that was sent a moment ago.
func (c *ceremony) sendCode(ctx context.Context, tx *store.Tx, s *session, keep bool) error {
	now := c.Now()
	code, err := findCode(ctx, tx, s.Assignment)
	if err != nil {
		return err
	}
	digits, err := code.draw(c.secrets, s.Assignment, now)
	if tooSoon := new(pages.TooSoonError); keep && errors.As(err, &tooSoon) && code.usable(now) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := code.save(ctx, tx, s.Assignment); err != nil {
		return err
	}
	return c.post.put(ctx, tx, c.codeMail(s, digits, code.expiresAt), code.expiresAt)
}

// Confirm implements [pages.Sessions].
func (c *ceremony) Confirm(ctx context.Context, token, digits string, client pages.Client) error {
	return c.change(ctx, token, func(tx *store.Tx, s *session) error {
		if s.Status != pages.AwaitingCode {
			return pages.ErrWrongStatus
		}
		now := c.Now()
		code, err := findCode(ctx, tx, s.Assignment)
		if err != nil {
			return err
		}
		if refused := code.try(c.secrets, s.Assignment, digits, now); refused != nil {
			if err := code.save(ctx, tx, s.Assignment); err != nil {
				return err
			}
			return refused
		}
		if err := confirmConsent(ctx, tx, s.Assignment, client, now); err != nil {
			return err
		}
		if err := dropCode(ctx, tx, s.Assignment); err != nil {
			return err
		}
		s.Status = pages.Confirmed
		if !s.changesDocuments() {
			s.Status = pages.Signed // recording is all there is to do
		}
		if err := s.save(ctx, tx, now); err != nil {
			return err
		}
		return c.report(ctx, tx, s, handover.Progress{Kind: handover.Confirmed})
	})
}

// Decline implements [pages.Sessions].
func (c *ceremony) Decline(ctx context.Context, token, reason string, client pages.Client) error {
	return c.change(ctx, token, func(tx *store.Tx, s *session) error {
		if s.Status != pages.Open && s.Status != pages.AwaitingCode {
			return pages.ErrWrongStatus
		}
		now := c.Now()
		_, err := tx.Exec(ctx, `INSERT INTO signature_decline (assignment, declined_at, reason, ip, user_agent)
			VALUES ($1, $2, $3, $4, $5)`, s.Assignment, store.Micros(now), reason, client.IP, client.UserAgent)
		if err != nil {
			return err
		}
		if err := c.end(ctx, tx, s, pages.Declined, ""); err != nil {
			return err
		}
		return c.report(ctx, tx, s, handover.Progress{Kind: handover.Rejected, Note: reason})
	})
}

// Document implements [pages.Sessions].
func (c *ceremony) Document(ctx context.Context, token string, n int) (pages.File, error) {
	s, err := findByToken(ctx, c.DB, token)
	if err != nil {
		return pages.File{}, err
	}
	documents := s.documents()
	if s.Status == pages.Closed || n < 1 || n > len(documents) {
		return pages.File{}, pages.ErrWrongStatus
	}
	file := readable(s.Status, documents[n-1])
	file.Content, err = c.Blobs.Open(ctx, blob.Scope{Customer: s.Customer, ID: s.EnvelopeID}, file.Tag)
	if errors.Is(err, blob.ErrNotFound) {
		return pages.File{}, pages.ErrDocumentGone
	}
	if err != nil {
		return pages.File{}, err
	}
	return file, nil
}

// readable is what a document is to its reader: what is inside of the signatures around it
// until he has signed, and then the signed file.
func readable(status pages.Status, d handover.Document) pages.File {
	if c := d.Content; c != nil && status != pages.Signed {
		return pages.File{Name: c.FileName, MimeType: c.MimeType, Tag: c.SHA256}
	}
	return pages.File{Name: d.FileName, MimeType: d.MimeType, Tag: d.SHA256}
}
