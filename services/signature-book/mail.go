package signaturebook

import (
	"context"
	"slices"
	"strings"
	"time"

	"signbus.dev/pkg/contract/handover"
)

// MailKind says what a mail is about.
type MailKind string

// The kinds of mails.
const (
	// Invitation carries the link to a signing page.
	Invitation MailKind = "invitation"
	// OneTimeCode carries a code that confirms a consent.
	OneTimeCode MailKind = "code"
)

// Mail is a message to an actor. It is personal and carries secrets: it is never logged.
type Mail struct {
	// ID is stable over repetitions, so that a receiver can tell them.
	ID   string   `json:"id"`
	Kind MailKind `json:"kind"`
	// Customer, Envelope (its externalId) and Assignment say what it is about.
	Customer   string `json:"customer"`
	Envelope   string `json:"envelope"`
	Assignment string `json:"assignment"`
	// User is the external id of the actor, To his address, Name what he is called.
	User string `json:"user"`
	To   string `json:"to"`
	Name string `json:"name"`
	// Subject and Text are what he reads.
	Subject string `json:"subject"`
	Text    string `json:"text"`
	// Link or Code repeats what the text carries, for those who do not read texts.
	Link string    `json:"link,omitempty"`
	Code string    `json:"code,omitempty"`
	At   time.Time `json:"at"`
}

// Mailer hands mails to whoever carries them.
type Mailer interface {
	// Send returns nil when the mail was taken in charge. Its error carries nothing of
	// the mail; after it the mail is tried again.
	Send(ctx context.Context, mail Mail) error
}

// invitationLife is how long an invitation is worth sending.
const invitationLife = 72 * time.Hour

// invitation is the mail with the link.
func (s *Service) invitation(known *session, link string) Mail {
	m := s.mail(known, Invitation)
	m.Link = link
	key := ""
	if !asksToSign(known) {
		key = ".other"
	}
	job := known.Job
	message := strings.TrimSpace(messageSubject(job) + "\n" + job.MessageText)
	if message != "" {
		message = "\n" + indent(message) + "\n"
	}
	texts := s.texts.Choose(job.Actor.Language, "")
	m.Subject = oneLine(texts.Text("mail.invitation.subject"+key, "subject", job.Subject))
	m.Text = texts.Text("mail.invitation.text"+key,
		"name", m.Name, "sender", sender(job), "subject", job.Subject, "message", message, "link", link)
	return m
}

// codeMail is the mail with a one-time code.
func (s *Service) codeMail(known *session, code string, expires time.Time) Mail {
	m := s.mail(known, OneTimeCode)
	m.Code = code
	texts := s.texts.Choose(known.Job.Actor.Language, "")
	m.Subject = oneLine(texts.Text("mail.code.subject"))
	m.Text = texts.Text("mail.code.text",
		"name", m.Name, "subject", known.Job.Subject, "code", code, "minutes", int(expires.Sub(s.Now()).Minutes()))
	return m
}

func (s *Service) mail(known *session, kind MailKind) Mail {
	actor := known.Job.Actor
	return Mail{
		ID: s.NewID(), Kind: kind, Customer: known.Customer, Envelope: known.Job.ExternalID, Assignment: known.Assignment,
		User: actor.ExternalID, To: actor.Email, Name: fullName(actor), At: s.Now().UTC(),
	}
}

// asksToSign says whether a signature is asked for, and not only an approval or a view.
func asksToSign(s *session) bool {
	return slices.ContainsFunc(s.Job.Actions, func(a handover.Action) bool { return a.Type.Signature() })
}

// oneLine keeps a text from making further headers.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// indent sets the sender's own words apart from ours.
func indent(text string) string {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i, line := range lines {
		lines[i] = "  " + strings.TrimSpace(line)
	}
	return strings.Join(lines, "\n")
}
