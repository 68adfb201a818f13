package intake

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/oklog/ulid/v2"

	"signbus.dev/pkg/blob"
	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/subjects"
)

// commandStage consumes the queue that external systems publish to.
func (s *Service) commandStage() *bus.Stage {
	return &bus.Stage{
		Service: subjects.Intake, Name: subjects.Intake, Stream: subjects.StreamCommands, Subjects: []string{subjects.AllCommands},
		DB: s.DB, JS: s.JS, Outbox: s.outbox, Metrics: s.Metrics, Log: s.Log, Now: s.Now,
		Prepare: s.prepare, Apply: s.apply, GiveUp: s.giveUp,
	}
}

// accepted is a command as Prepare leaves it to Apply.
type accepted struct {
	op       handover.Operation
	digest   string
	position int64
	// misaddressed says that the subject is not cmd.<customer>.<system>.<command>.
	misaddressed bool
	// refusal ends the operation; otherwise message goes to subject.
	refusal *handover.Refusal
	subject string
	message any
	// used are the places from which document bytes came; intake's own ones are removed.
	used []blob.Scope
}

// prepare reads a command and moves its documents to the blob store. Every fault of the
// command becomes a refusal; only a message that names no customer is rejected.
func (s *Service) prepare(ctx context.Context, m *bus.Incoming) (any, error) {
	a, customer, err := s.identify(m)
	if err != nil {
		return nil, err
	}
	if problem := usable(customer); problem != nil {
		return a.refuse(problem), nil
	}
	if a.misaddressed || !known(a.op.Command) {
		return a.refuse(&contract.Error{
			Code: contract.CodeIllegalArgument, Message: "the subject must be cmd.<customer>.<external system>.<command>, with a command of " + commandNames(),
		}), nil
	}
	if problem := system(customer, a.op.System, "subject"); problem != nil {
		return a.refuse(problem), nil
	}
	if contract.Command(a.op.Command) == contract.CommandInsertEnvelope {
		return s.prepareInsert(ctx, a, m.Data)
	}
	return s.prepareCommand(a, m.Data), nil
}

var errNoCustomer = errors.New("the subject names no customer that exists")

// strangerAttempts is how often a message of a customer that nobody knows is looked at,
// over 0.7 seconds, before it is given up.
const strangerAttempts = 4

// identify names the operation. The ids that it gives are made of the message's place
// and time in the stream, so that a redelivery gets the same.
func (s *Service) identify(m *bus.Incoming) (*accepted, handover.Customer, error) {
	parsed, malformed := subjects.ParseCommand(m.Subject)
	customer, ok := s.customers.model.Get(parsed.Customer)
	if !ok && m.Attempt < strangerAttempts {
		return nil, customer, errNoCustomer // perhaps the directory is about to tell
	}
	if !ok {
		return nil, customer, bus.Reject(errNoCustomer)
	}
	digest := payloadDigest(string(parsed.Command), parsed.System, m.Data)
	id := m.Header.Get(subjects.HeaderOperationID)
	if !contract.ValidExternalID(id) {
		id = stableID(m.Time, "operation", m.ID, digest)
	}
	return &accepted{
		digest: digest, misaddressed: malformed != nil, position: m.Time.UnixNano(),
		op: handover.Operation{
			ID: id, Key: operationKey(customer.ID, id, digest), Customer: customer.ID, System: parsed.System,
			Command: string(parsed.Command), ExternalID: externalID(parsed.Command, m.Data), AcceptedAt: m.Time,
		},
	}, customer, nil
}

// envelopeID is the bus's own id of the envelope that an operation inserts.
func envelopeID(operationKey string) string {
	sum := sha256.Sum256([]byte("envelope\x00" + operationKey))
	return strings.ToLower(ulid.ULID(sum[:16]).String())
}

// incomingURI begins the uri of a document that came over HTTP with its command.
var incomingURI = regexp.MustCompile(`blob:` + incomingPrefix + `[0-9a-z]{26}/`)

// payloadDigest tells payloads apart: what is commanded by which system, and all of the
// payload except where its documents were put down, which differs each time the same
// request comes over HTTP. The documents' own digests are part of it.
func payloadDigest(command, system string, payload []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%s\x00", command, system)
	h.Write(incomingURI.ReplaceAll(payload, []byte("blob:"+incomingPrefix+"/")))
	return hex.EncodeToString(h.Sum(nil))
}

// operationKey is unique over customer, id and payload.
func operationKey(customer, id, digest string) string {
	h := sha256.New()
	for _, part := range []string{customer, id, digest} {
		_ = binary.Write(h, binary.BigEndian, int64(len(part)))
		h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil)[:20])
}

// stableID is an id of the form of [bus.NewID] that the same parts give again.
func stableID(at time.Time, parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return strings.ToLower(ulid.MustNew(ulid.Timestamp(at), bytes.NewReader(sum[:])).String())
}

func known(command string) bool {
	for _, c := range contract.Commands() {
		if string(c) == command {
			return true
		}
	}
	return false
}

func commandNames() string {
	var names []string
	for _, c := range contract.Commands() {
		names = append(names, string(c))
	}
	return strings.Join(names, ", ")
}

// externalID finds the envelope's externalId in a payload however broken the rest of it
// is, so that its OperationDone can name it.
func externalID(command contract.Command, data []byte) string {
	var loose struct {
		EnveExtID any `json:"enveExtId"`
		Envelope  struct {
			ExternalID any `json:"externalId"`
		} `json:"envelope"`
	}
	// The decoder goes on after a wrong type, so what is readable is there despite the error.
	_ = json.Unmarshal(data, &loose)
	value := loose.EnveExtID
	if command == contract.CommandInsertEnvelope {
		value = loose.Envelope.ExternalID
	}
	if id, ok := value.(string); ok && contract.ValidExternalID(id) {
		return id
	}
	return ""
}

// refuse turns the command into the refusal that ends it.
func (a *accepted) refuse(problem error) *accepted {
	a.refusal = &handover.Refusal{Operation: a.op, Code: contract.CodeOf(problem), Message: contract.Sentence(problem)}
	return a
}

func (s *Service) prepareInsert(ctx context.Context, a *accepted, data []byte) (any, error) {
	in, err := contract.DecodeInsertEnvelope(data)
	if err != nil {
		return a.refuse(err), nil
	}
	a.op.ExternalID = in.Envelope.ExternalID
	a.used = incoming(a.op.Customer, in.Envelope.Documents)
	if problem := s.belongs(in.CustomerCode, a.op.Customer); problem != nil {
		return a.refuse(problem), nil
	}
	// On the queue the subject names the external system, and permissions are bound to it;
	// externalSystemCode may be another name, as in the examples of chapter 4.3.
	if err := in.Validate(); err != nil {
		return a.refuse(err), nil
	}
	before, err := findOperation(ctx, s.DB, a.op.Customer, a.op.ID)
	switch {
	case err == nil && before.Key == a.op.Key:
		return a, nil // seen before: nothing is stored twice
	case err == nil:
		return a.refuse(reused()), nil
	}
	envelopeID := envelopeID(a.op.Key)
	scope := blob.Scope{Customer: a.op.Customer, ID: envelopeID}
	ingest := handover.Ingest{Operation: a.op, EnvelopeID: envelopeID, Envelope: in.Envelope}
	for i := range ingest.Envelope.Documents {
		doc := &ingest.Envelope.Documents[i]
		ref, err := s.keep(ctx, a, scope, doc, i)
		if problem, ok := errors.AsType[*contract.Error](err); ok {
			return a.discard(ctx, s, scope).refuse(problem), nil
		}
		if err != nil {
			return nil, bus.Retry(err)
		}
		ingest.Blobs = append(ingest.Blobs, handover.Blob{DocExternalID: doc.ExternalID, SHA256: ref.SHA256, Size: ref.Size})
		doc.Bytes, doc.URI = nil, ""
	}
	a.subject, a.message = subjects.WorkIngest, ingest
	return a, nil
}

// discard removes what was stored for a command that is refused after all.
func (a *accepted) discard(ctx context.Context, s *Service, scope blob.Scope) *accepted {
	if err := s.Blobs.RemoveScope(ctx, scope); err != nil {
		s.Log.Warn("blobs of a refused command stay until the sweep", "operation", a.op.ID, "error", err)
	}
	return a
}

// belongs checks that the customerCode in a payload is one of the customer whose subject
// the command came on: otherwise one customer could act for another.
func (s *Service) belongs(code, customer string) *contract.Error {
	owner, problem := s.customers.withCode(code)
	if problem != nil {
		return problem
	}
	if owner.ID != customer {
		return unknownCustomer()
	}
	return nil
}

// keep brings the bytes of a document into the scope of its envelope.
func (s *Service) keep(ctx context.Context, a *accepted, scope blob.Scope, doc *contract.Document, i int) (blob.Ref, error) {
	if doc.URI == "" {
		return s.Blobs.Put(ctx, scope, bytes.NewReader(doc.Bytes), int64(len(doc.Bytes)))
	}
	path := fmt.Sprintf("envelope.documents[%d].uri", i)
	uri, err := contract.ParseBlobURI(doc.URI)
	if err != nil {
		return blob.Ref{}, err
	}
	from := blob.Scope{Customer: a.op.Customer, ID: uri.Scope}
	// Not found may mean linked by an earlier try, which removed the source: then the scope has it.
	if err := s.Blobs.Link(ctx, from, uri.SHA256, scope); err != nil && !errors.Is(err, blob.ErrNotFound) {
		return blob.Ref{}, err
	}
	size, err := s.size(ctx, scope, uri.SHA256)
	if errors.Is(err, blob.ErrNotFound) || (err == nil && size != uri.Size) {
		return blob.Ref{}, &contract.Error{Code: contract.CodeIllegalArgument, Path: path, Message: "no such upload; upload the document again"}
	}
	return blob.Ref{SHA256: uri.SHA256, Size: size}, err
}

func (s *Service) size(ctx context.Context, scope blob.Scope, sha256 string) (int64, error) {
	r, err := s.Blobs.Open(ctx, scope, sha256)
	if err != nil {
		return 0, err
	}
	return r.Size(), r.Close()
}

// incoming lists the places in which this service itself kept documents that came over
// HTTP with the command. They serve this one command, unlike uploads.
func incoming(customer string, docs []contract.Document) []blob.Scope {
	var scopes []blob.Scope
	for _, doc := range docs {
		uri, err := contract.ParseBlobURI(doc.URI)
		if err == nil && strings.HasPrefix(uri.Scope, incomingPrefix) {
			scopes = append(scopes, blob.Scope{Customer: customer, ID: uri.Scope})
		}
	}
	return scopes
}

// prepareCommand reads one of the commands on an envelope that exists.
func (s *Service) prepareCommand(a *accepted, data []byte) *accepted {
	var (
		code, user, note string
		problem          error
	)
	switch contract.Command(a.op.Command) {
	case contract.CommandDeleteEnvelope:
		c, err := contract.DecodeDeleteEnvelope(data)
		code, user, problem = c.CustomerCode, c.UsrExtID, firstOf(err, c.Validate)
	case contract.CommandCancelEnvelope:
		c, err := contract.DecodeCancelEnvelope(data)
		code, user, note, problem = c.CustomerCode, c.UsrExtID, c.Note, firstOf(err, c.Validate)
	case contract.CommandSendEnvelope:
		c, err := contract.DecodeSendEnvelope(data)
		code, user, problem = c.CustomerCode, c.UsrExtID, firstOf(err, c.Validate)
	}
	if problem != nil {
		return a.refuse(problem)
	}
	if problem := s.belongs(code, a.op.Customer); problem != nil {
		return a.refuse(problem)
	}
	a.subject = subjects.WorkCommand
	a.message = handover.Command{Operation: a.op, User: user, Note: note}
	return a
}

func firstOf(err error, validate func() error) error {
	if err != nil {
		return err
	}
	return validate()
}

var errOrphan = errors.New("no command has named this envelope yet")

// orphanAttempts is how often a command on an envelope that nobody has inserted is looked
// at, over 0.3 seconds, before it takes its turn.
const orphanAttempts = 3

// apply records the operation and hands it over, or lets it wait for its turn.
func (s *Service) apply(ctx context.Context, tx *store.Tx, m *bus.Incoming, prepared any) error {
	a, _ := prepared.(*accepted)
	s.forget(ctx, a.used)
	switch before, err := findOperation(ctx, tx, a.op.Customer, a.op.ID); {
	case err == nil && before.Key == a.op.Key:
		return nil // the same operation again: it has, or will have, its outcome
	case err == nil:
		a.refuse(reused())
		if ingest, ok := a.message.(handover.Ingest); ok {
			a.refusal.EnvelopeID = ingest.EnvelopeID // accepted at the same time: its documents are stored
		}
		return s.send(ctx, tx, subjects.WorkRefuse, a.refusal)
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	o := &operation{Operation: a.op, Digest: a.digest, State: stateRunning, Position: a.position, NextMessage: []byte{}}
	if a.refusal != nil {
		s.metrics.refused.WithLabelValues(string(a.refusal.Code)).Inc()
		if err := insertOperation(ctx, tx, o); err != nil {
			return err
		}
		return s.send(ctx, tx, subjects.WorkRefuse, a.refusal)
	}
	if contract.Command(a.op.Command) != contract.CommandInsertEnvelope && m.Attempt < orphanAttempts {
		// Its insertion may be on the way: tried again, or in the hands of another process.
		found, err := knowsEnvelope(ctx, tx, a.op.Customer, a.op.ExternalID)
		if err != nil {
			return err
		}
		if !found {
			return bus.Retry(errOrphan)
		}
	}
	s.metrics.accepted.WithLabelValues(a.op.Command).Inc()
	runs, err := claim(ctx, tx, o)
	if err != nil {
		return err
	}
	if !runs {
		o.State, o.NextSubject = stateWaiting, a.subject
		header := nats.Header{}
		bus.Inject(ctx, header)
		o.TraceParent = header.Get(subjects.HeaderTraceParent)
		if o.NextMessage, err = json.Marshal(a.message); err != nil {
			return err
		}
	}
	if err := insertOperation(ctx, tx, o); err != nil {
		return err
	}
	if !runs {
		return nil
	}
	return s.send(ctx, tx, a.subject, a.message)
}

// forget removes intake's own copies of documents. The bytes are linked to the envelope
// by now, or refused; should the transaction fail, the next try finds those links.
func (s *Service) forget(ctx context.Context, used []blob.Scope) {
	for _, scope := range used {
		if err := s.Blobs.RemoveScope(ctx, scope); err != nil {
			s.Log.Warn("incoming blobs stay until the sweep", "error", err)
		}
	}
}

func reused() *contract.Error {
	return &contract.Error{
		Code:    contract.CodeOperationIDReused,
		Message: "this operation id was used with another payload; use a new id for a new operation",
	}
}

func (s *Service) send(ctx context.Context, tx *store.Tx, subject string, message any) error {
	return s.outbox.SendJSON(ctx, tx, subject, "", message)
}

// giveUp ends the operation of a message that could not be handled.
func (s *Service) giveUp(ctx context.Context, tx *store.Tx, m *bus.Incoming, _ error) error {
	a, _, err := s.identify(m)
	if err != nil {
		return nil //nolint:nilerr // names no customer: nobody waits for an outcome
	}
	a.refuse(&contract.Error{Code: contract.CodeError, Message: "the command could not be handled; the operator finds it among the dead letters"})
	return s.apply(ctx, tx, m, a)
}
