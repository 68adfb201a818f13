package signaturebook

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"signbus.dev/pkg/blob"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/pdf/stamp"
	"signbus.dev/pkg/pki"
	"signbus.dev/pkg/sign/cms"
	"signbus.dev/pkg/sign/graphometric"
	"signbus.dev/pkg/sign/pades"
	"signbus.dev/pkg/sign/revocation"
	"signbus.dev/pkg/sign/tsp"
	"signbus.dev/pkg/store"
	"signbus.dev/services/signature-book/pages"
)

// result is what came of signing an assignment: new versions, or a code when there can
// never be any.
type result struct {
	Documents []handover.SignedDocument
	Code      contract.Code
	Note      string
	Took      time.Duration
}

// passing says whether an error is expected to go away by itself: what is outside of this
// process cannot be reached, or the disk is full. A signer has agreed by now, so waiting
// is right and failing his envelope is not.
func passing(err error) bool {
	var (
		path *fs.PathError
		link *os.LinkError
	)
	return errors.Is(err, tsp.ErrUnavailable) || errors.Is(err, revocation.ErrUnavailable) || errors.Is(err, store.ErrUnavailable) || errors.As(err, &path) || errors.As(err, &link)
}

// refusals are the errors that the same job will always meet, with what to tell. None of
// the notes carries anything of the document.
var refusals = []struct {
	cause error
	code  contract.Code
	note  string
}{
	{pdf.ErrFieldNotFound, contract.CodeIllegalArgument, "the document has no such signature field; name one that it has"},
	{pdf.ErrFieldSigned, contract.CodeIllegalArgument, "the signature field is signed already; name a blank one"},
	{pdf.ErrNotPermitted, contract.CodeAccessDenied, "an earlier signature of the document forbids further ones; send a document without that restriction"},
	{pdf.ErrPageRange, contract.CodeIllegalArgument, "the document does not have the page that the action names"},
	{pdf.ErrOutsidePage, contract.CodeIllegalArgument, "the place of the action is not on the page"},
	{pdf.ErrEncrypted, contract.CodeBadDocFormat, "the document is encrypted; send it without a password"},
	{pdf.ErrNotPDF, contract.CodeBadDocFormat, "the document is not a PDF"},
	{pdf.ErrTruncated, contract.CodeBadDocFormat, "the document is cut off; send the complete file"},
	{pdf.ErrTooLarge, contract.CodeBadDocFormat, "the document is too large to be signed"},
	{pdf.ErrTooComplex, contract.CodeBadDocFormat, "the document is too complex; print it to a new PDF and send that"},
	{pdf.ErrNoPages, contract.CodeBadDocFormat, "the document has no pages"},
	{pdf.ErrBroken, contract.CodeBadDocFormat, "the structure of the document is damaged; save it as a new PDF and send that"},
	{pki.ErrSubject, contract.CodeIllegalArgument, "the name of the actor is not fit for a certificate; correct it in the directory"},
	{cms.ErrExpired, contract.CodeError, "the certificate to sign with has ended; ask the operator of the bus for another"},
	{cms.ErrNotYetValid, contract.CodeError, "the certificate to sign with is not valid yet; ask the operator of the bus"},
	{pki.ErrExpired, contract.CodeError, "the certificate authority has expired; ask the operator of the bus"},
	{errNoConsent, contract.CodeAccessDenied, "the actor has not confirmed that he agrees"},
	{errNoTimestamp, contract.CodeNotSupported, "there is no time-stamp authority, which every level but B-B needs; use B-B"},
	{errNoRevocation, contract.CodeNotSupported, "there is no source of revocation data, which B-LT and B-LTA need; use B-T"},
	{errLevel, contract.CodeNotSupported, "the signature level is not built; use B-B, B-T, B-LT, or for a PDF B-LTA"},
	{revocation.ErrRevoked, contract.CodeAccessDenied, "the certificate to sign with is revoked; have another one issued"},
	{revocation.ErrUnknown, contract.CodeError, "the authority of a certificate does not know it; ask the operator of the bus"},
	{cms.ErrMalformed, contract.CodeBadDocFormat, "the document is called a signed message and is none"},
	{cms.ErrDigestMismatch, contract.CodeBadDocFormat, "an earlier signature of the document does not fit its content"},
	{cms.ErrUnsupported, contract.CodeBadDocFormat, "the document is a signed message that no signature can be added to"},
	{errNoEscrow, contract.CodeNotSupported, "there is no escrow certificate, which graphometric signatures need; ask the operator of the bus"},
	{errNoRecording, contract.CodeAccessDenied, "there is no recording of the actor's hand, or it was used already; send the envelope anew"},
	{errUnknownDocument, contract.CodeIllegalArgument, "the action names a document that the envelope does not have"},
}

var (
	errNoConsent       = errors.New("no confirmed consent")
	errNoTimestamp     = errors.New("no time-stamp authority")
	errNoRevocation    = errors.New("no source of revocation data")
	errNoEscrow        = errors.New("no escrow certificate")
	errNoRecording     = errors.New("no graphometric recording")
	errLevel           = errors.New("unknown signature level")
	errUnknownDocument = errors.New("unknown document")
	errPanicked        = errors.New("signing panicked")
)

// sign makes the signatures of an assignment: one for each action that changes a
// document, in the order of the actions, each on top of the one before. An error means
// that it may succeed another time.
func (s *Service) sign(ctx context.Context, job handover.Job) (*result, error) {
	start := time.Now()
	documents, err := s.signAll(ctx, job)
	took := time.Since(start)
	s.metrics.seconds.Observe(took.Seconds())
	if err == nil {
		return &result{Documents: documents, Took: took}, nil
	}
	for _, r := range refusals {
		if !passing(err) && errors.Is(err, r.cause) {
			s.Log.Warn("assignment cannot be signed", "assignment", job.Assignment, "envelope", job.EnvelopeID, "code", r.code, "reason", r.note)
			return &result{Code: r.code, Note: r.note, Took: took}, nil
		}
	}
	return nil, err
}

// signer is what all signatures of one assignment have in common.
type signer struct {
	*Service
	job      handover.Job
	scope    blob.Scope
	identity *pki.Identity
	name     string
	hand     *stamp.Autograph
	// recording is how the hand moved; nil where no action asks for it.
	recording *graphometric.Recording
	at        time.Time
}

func (s *Service) signAll(ctx context.Context, job handover.Job) (documents []handover.SignedDocument, err error) {
	one, err := s.newSigner(ctx, job)
	if err != nil {
		return nil, err
	}
	versions := map[string]*version{}
	for _, d := range job.Documents {
		versions[d.ExternalID] = newVersion(d)
	}
	defer func() {
		if err != nil { // leave nothing behind
			for _, v := range versions {
				err = errors.Join(err, one.discard(ctx, v))
			}
		}
	}()
	for _, action := range job.Actions {
		if !signs(action) {
			continue
		}
		v := versions[action.DocExternalID]
		if v == nil {
			return nil, errUnknownDocument
		}
		if err := one.sign(ctx, action, v); err != nil {
			return nil, err
		}
	}
	for _, d := range job.Documents {
		if v := versions[d.ExternalID]; v.sha256 != v.base {
			documents = append(documents, handover.SignedDocument{
				DocExternalID: d.ExternalID, BaseSHA256: v.base, SHA256: v.sha256, Size: v.size, Signatures: v.signatures,
				MimeType: v.mimeType, FileName: v.fileName,
			})
		}
	}
	return documents, nil
}

// newSigner finds the key, and for a person the consent without which it is not used.
func (s *Service) newSigner(ctx context.Context, job handover.Job) (*signer, error) {
	one := &signer{
		Service: s, job: job, scope: blob.Scope{Customer: job.Customer, ID: job.EnvelopeID},
		name: fullName(job.Actor), at: s.Now().In(s.Zone),
	}
	if err := s.reaches(job); err != nil {
		return nil, err
	}
	if job.TaskKind == handover.Human {
		agreed, err := findConsent(ctx, s.DB, job.Assignment)
		if err != nil {
			return nil, err
		}
		if agreed == nil {
			return nil, errNoConsent
		}
		one.hand = hand(agreed.Autograph)
	}
	var err error
	if one.recording, err = s.recordingFor(ctx, job); err != nil {
		return nil, err
	}
	if job.TaskKind == handover.Seal {
		one.name = job.Customer
		one.identity, err = s.Keys.Seal(ctx, pki.Organisation{Customer: job.Customer})
	} else {
		one.identity, err = s.Keys.User(ctx, pki.User{Customer: job.Customer, ExternalID: job.Actor.ExternalID, Name: one.name})
	}
	return one, err
}

// reaches says whether there is what the signature level of a job takes.
func (s *Service) reaches(job handover.Job) error {
	level := slices.Index(contract.Levels(), job.SignatureLevel)
	switch {
	case level < 0, job.Format == contract.CAdES && job.SignatureLevel == contract.LevelBLTA:
		return errLevel
	case job.SignatureLevel != contract.LevelBB && s.Timestamp == nil:
		return errNoTimestamp
	case level >= slices.Index(contract.Levels(), contract.LevelBLT) && s.Revocation == nil:
		return errNoRevocation
	}
	return nil
}

// hand turns the autograph of the page into that of a document; nil when there is none.
func hand(a pages.Autograph) *stamp.Autograph {
	switch a.Kind {
	case pages.Typed:
		return &stamp.Autograph{Typed: a.Text}
	case pages.Drawn:
		out := &stamp.Autograph{Aspect: a.Ratio}
		for _, stroke := range a.Strokes {
			points := make([]stamp.Point, len(stroke))
			for i, p := range stroke {
				points[i] = stamp.Point(p)
			}
			out.Strokes = append(out.Strokes, points)
		}
		return out
	}
	return nil
}

// version is how far a document is: base is what the job named, sha256 the newest.
type version struct {
	base, sha256       string
	mimeType, fileName string
	// contentType is the media type of what is signed; empty where that is not known, inside
	// of a signed message that came in.
	contentType string
	size        int64
	signatures  int
}

func newVersion(d handover.Document) *version {
	v := &version{base: d.SHA256, sha256: d.SHA256, size: d.Size, mimeType: d.MimeType, fileName: d.FileName}
	switch {
	case d.Content != nil:
		v.contentType = d.Content.MimeType
	case !signedMessage(d.MimeType):
		v.contentType = d.MimeType
	}
	return v
}

// discard removes a version that was made here.
func (one *signer) discard(ctx context.Context, v *version) error {
	if v.sha256 == v.base {
		return nil
	}
	return one.Blobs.Remove(context.WithoutCancel(ctx), one.scope, v.sha256)
}

// sign performs one action on the newest version and puts the result in its place.
func (one *signer) sign(ctx context.Context, action handover.Action, v *version) error {
	in, err := one.Blobs.Open(ctx, one.scope, v.sha256)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // read only: nothing is lost
	state, err := known(in, v.sha256)
	if err != nil {
		return err
	}
	made := *v
	if one.job.Format == contract.CAdES {
		err = one.wrap(ctx, in, state, &made)
	} else {
		err = one.append(ctx, in, state, action, &made)
	}
	if err != nil {
		return err
	}
	before := *v
	*v = made
	return one.discard(ctx, &before)
}

// known returns the digest of a version, which has to be that of its name: what is signed
// is what was accepted.
func known(in blob.Reader, want string) (digest.State, error) {
	state := in.Digest()
	if !state.Known() {
		var err error
		if state, err = digest.Of(io.NewSectionReader(in, 0, in.Size())); err != nil {
			return state, fmt.Errorf("sign blob %s: %w", want, err)
		}
	}
	if sum := state.Sum(); hex.EncodeToString(sum[:]) != want {
		return state, fmt.Errorf("sign blob %s: %w", want, blob.ErrCorrupt)
	}
	return state, nil
}

// guard makes a panic the failure of this one job: else it would end the process, and
// again each time the job comes back.
func (one *signer) guard(do func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			one.Log.Error("signing panicked", "assignment", one.job.Assignment, "panic", r, "stack", string(debug.Stack()))
			err = errPanicked
		}
	}()
	return do()
}

// append signs a PDF: the new version is the old one with a tail.
func (one *signer) append(ctx context.Context, in blob.Reader, state digest.State, action handover.Action, v *version) error {
	var made *pades.Addition
	err := one.guard(func() (err error) {
		params := one.params(action)
		if params.Extra, err = one.graphometry(action, state); err != nil {
			return err
		}
		made, err = pades.Sign(ctx, digest.Source{ReaderAt: in, Size: in.Size(), Digest: state}, params)
		return err
	})
	if err != nil {
		return fmt.Errorf("sign blob %s: %w", v.sha256, err)
	}
	ref, err := one.Blobs.Append(ctx, one.scope, state, made.Tail)
	v.sha256, v.size, v.signatures = ref.SHA256, ref.Size, made.Signatures
	return err
}

// params says how to sign for an action.
func (one *signer) params(action handover.Action) pades.Params {
	p := pades.Params{
		Level: pades.Level(one.job.SignatureLevel), TimestampDigest: one.Timestamp, Revocation: one.Revocation,
		Field: action.Placement.Field, Fields: one.fields(action.DocExternalID), Certify: action.Certify, Name: one.name, Reason: one.reason(action), Time: one.at,
		Signer: one.identity.Signer, Chain: one.identity.Chain, Now: one.Now, Limits: one.Limits,
	}
	if contract.Visibility(action.Visibility) == contract.VisibilityHidden {
		return p
	}
	for _, b := range action.Placement.Boxes {
		p.Boxes = append(p.Boxes, pdf.Box(b))
	}
	p.Appearance.Lines = tag(action.Text, one.job.Actor, one.name, one.at)
	if action.Type.Signature() {
		p.Appearance.Autograph = one.hand
		if one.job.QR {
			p.Appearance.QR = one.PublicURL + pages.VerifyPath
		}
	}
	return p
}

// fields are the signature fields that the process needs in a document. Each signature
// asks for all of them: the first one finds none and places them, so that later ones only
// fill in their own.
func (one *signer) fields(document string) []pdf.NewField {
	var out []pdf.NewField
	for _, d := range one.job.Documents {
		if d.ExternalID != document {
			continue
		}
		for _, f := range d.Fields {
			field := pdf.NewField{Name: f.Name}
			if f.Box != nil {
				field.Box = pdf.Box(*f.Box)
			}
			out = append(out, field)
		}
	}
	return out
}

// reason is what a signature says about itself.
func (one *signer) reason(action handover.Action) string {
	switch {
	case one.job.TaskKind == handover.Seal:
		return "Sealed"
	case one.job.TaskKind == handover.AutoSign:
		return "Signed automatically"
	case action.Type == contract.ActionApprove:
		return "Approved"
	case action.Type == contract.ActionView:
		return "Seen"
	}
	return "Signed"
}
