// Package pages serves the signing pages: what a person sees who was invited to sign,
// approve or view documents. The pages are rendered on the server, work as plain forms
// without JavaScript, and load nothing from anywhere else.
//
// The package promises that a page answers only to the secret token in its address,
// that no form is accepted which it did not give out itself, that whatever a browser
// sends is bounded before it is read, and that every failure is said in plain words
// with the HTTP status that fits. Reading a page has no effect on the session.
//
// It does not keep state, send mail or sign: the rules of a session live behind
// Sessions, which the pages only ask. A rule broken there comes back as one of the
// errors of this package.
package pages

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/sign/graphometric"
)

// Prefix is the path under which the pages are served.
const Prefix = "/sign/"

// CodeDigits is the number of digits of a one-time code.
const CodeDigits = 6

// Errors that a Sessions answers with. Any other error is shown as a fault of the
// service, without its text.
var (
	// ErrNotFound means that no session has this token.
	ErrNotFound = errors.New("signing session not found")
	// ErrWrongStatus means that the session is no longer, or not yet, in a status that
	// allows what was asked; the pages look the session up again and say what it is.
	ErrWrongStatus = errors.New("signing session is in another status")
	// ErrCodeExpired means that the one-time code is too old; a new one can be asked for.
	ErrCodeExpired = errors.New("one-time code expired")
	// ErrNoAddress means that there is no mail address to send a one-time code to.
	ErrNoAddress = errors.New("actor has no mail address")
	// ErrDocumentGone means that the bytes of the document are no longer kept.
	ErrDocumentGone = errors.New("document is gone")
)

// WrongCodeError means that the one-time code does not match.
type WrongCodeError struct {
	// TriesLeft is how many tries remain before the session is locked; at least 1.
	TriesLeft int
}

// Error implements error.
func (e *WrongCodeError) Error() string { return "wrong one-time code" }

// LockedError means that too many wrong codes were tried.
type LockedError struct {
	// Until is when a new code can be asked for.
	Until time.Time
}

// Error implements error.
func (e *LockedError) Error() string { return "too many wrong one-time codes" }

// TooSoonError means that codes were asked for too often.
type TooSoonError struct {
	// Until is when the next code can be asked for.
	Until time.Time
}

// Error implements error.
func (e *TooSoonError) Error() string { return "one-time codes asked for too often" }

// Sessions holds the signing sessions. A token is any string that a browser sent; an
// unknown or malformed one is ErrNotFound.
type Sessions interface {
	// Find returns what the actor may see of the session.
	Find(ctx context.Context, token string) (View, error)
	// Consent records what the actor agreed to and sends him a one-time code. It is
	// allowed while the session is Open or AwaitingCode; a later consent replaces the
	// former. It may answer TooSoonError, LockedError or ErrNoAddress.
	Consent(ctx context.Context, token string, consent Consent) error
	// Resend sends another one-time code for the consent already given, and makes the
	// former code useless. It may answer TooSoonError or LockedError.
	Resend(ctx context.Context, token string) error
	// Confirm checks the one-time code and hands the session on to be signed. It may
	// answer WrongCodeError, LockedError or ErrCodeExpired.
	Confirm(ctx context.Context, token, code string, client Client) error
	// Decline ends the session with the reason that the actor gave.
	Decline(ctx context.Context, token, reason string, client Client) error
	// Document opens the nth document of the View, from 1: what is to be read, and once the
	// session is Signed what came of it. The caller closes it.
	Document(ctx context.Context, token string, n int) (File, error)
}

// Status says how far a session is.
type Status string

// The statuses of a session.
const (
	// Open waits for the actor to read and agree.
	Open Status = "open"
	// AwaitingCode has a consent that is not confirmed by a one-time code yet.
	AwaitingCode Status = "awaiting-code"
	// Confirmed waits for its turn to be signed.
	Confirmed Status = "confirmed"
	// Signed is done: the documents carry what the actor agreed to.
	Signed Status = "signed"
	// Declined is ended by the actor.
	Declined Status = "declined"
	// Failed could not be signed.
	Failed Status = "failed"
	// Closed was withdrawn; the View's Reason says why.
	Closed Status = "closed"
)

// ActionKind says what the actor is asked to do to a document.
type ActionKind string

// The kinds of actions.
const (
	// Sign puts the actor's signature on the document.
	Sign ActionKind = "sign"
	// Approve gives the actor's approval of the document.
	Approve ActionKind = "approve"
	// Seen states that the actor has read the document.
	Seen ActionKind = "view"
)

// View is what the actor may see of his session.
type View struct {
	// Session identifies the session; forms are bound to it. It is no secret and is not shown.
	Session string
	Status  Status
	// Reason says why a session is Closed, in the words of handover.Job.Reason.
	Reason string
	// Subject, Sender, MessageSubject and MessageText come from the envelope; all but
	// Subject may be empty.
	Subject        string
	Sender         string
	MessageSubject string
	MessageText    string
	// Name is how the actor is called, Language his language if known.
	Name     string
	Language string
	// MailHint is the actor's address, masked, to which codes are sent.
	MailHint string
	// Deadline is when the invitation ends; zero when it does not.
	Deadline  time.Time
	Documents []Document
}

// Document is a document of a session, as it is to be read.
type Document struct {
	Title    string
	FileName string
	MimeType string
	// SHA256 is the digest of its bytes in lower-case hexadecimal.
	SHA256 string
	// Pages is 0 when it is not known.
	Pages   int
	Size    int64
	Actions []Action
	// Around is true when a signature is put around the document, whatever its type, so
	// that nothing shows in it.
	Around bool
}

// Action is one thing that the actor is asked to do to a document.
type Action struct {
	Kind ActionKind
	// Approved is true when the sender inserted the action already approved and it only
	// awaits the actor's confirmation.
	Approved bool
	// Graphometric is true for a signature that records how the actor's hand moves.
	Graphometric bool
	// Visible is true when the action will show in the document, at Boxes.
	Visible bool
	Boxes   []handover.Box
}

// Client is what is known of the browser, kept as evidence.
type Client struct {
	IP        string
	UserAgent string
}

// Consent is what the actor agreed to.
type Consent struct {
	// Accepted lists the documents that the actor ticked: all of the session, from 1.
	Accepted  []int
	Autograph Autograph
	// Recording is how the hand moved that drew the autograph, where an action is
	// Graphometric; else nil. It is not to be kept readable.
	Recording *graphometric.Recording
	Client    Client
}

// File is an open document.
type File struct {
	Content io.ReadSeekCloser
	// Name is the file name offered when the document is saved.
	Name string
	// MimeType is the document's media type, as whoever sent it calls it.
	MimeType string
	// Tag identifies the bytes, so that a browser may ask for parts of them.
	Tag string
}

// autograph reports whether the actor's hand is asked for: a signature of his shows, or may.
func (v View) autograph() bool {
	return v.signs() && slices.ContainsFunc(v.Documents, func(d Document) bool { return !d.Around })
}

// graphometric reports whether the movement of the actor's hand is asked for.
func (v View) graphometric() bool {
	return slices.ContainsFunc(v.Documents, func(d Document) bool {
		return slices.ContainsFunc(d.Actions, func(a Action) bool { return a.Graphometric })
	})
}

// signs reports whether the actor puts a signature on any document, rather than only
// approving or viewing.
func (v View) signs() bool {
	for _, d := range v.Documents {
		for _, a := range d.Actions {
			if a.Kind == Sign {
				return true
			}
		}
	}
	return false
}
