package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/nats-io/nats.go"

	"signbus.dev/pkg/blob"
	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/subjects"
)

// request is a command that came over HTTP.
type request struct {
	command    contract.Command
	customer   handover.Customer
	system     string
	externalID string
	// payload is what goes on the queue.
	payload []byte
	// operationID is the caller's; empty when he chose none.
	operationID string
	// staged is where the documents of the body are; nil when they are in the payload.
	staged *blob.Scope
}

// digest tells the same request from another one.
func (r *request) digest() string {
	return payloadDigest(string(r.command), r.system, r.payload)
}

const (
	// inlineBody is the size up to which a body goes on the queue as it came. A larger one
	// would be slow to store there, so its documents go to the blob store first.
	inlineBody = 256 << 10
	// incomingPrefix begins the scopes of documents that came with a command over HTTP.
	incomingPrefix = "in-"
	// unowned is where documents lie until the body is read to the end and its customer is
	// known. No customer can have this id: ids begin with a letter or a digit.
	unowned = "_incoming"
)

// uploadPrefix begins the scopes of documents that were uploaded by themselves.
const uploadPrefix = "up-"

// body is an HTTP body for the queue.
type body struct {
	payload []byte
	// staged is where its documents are; nil when they are in the payload.
	staged *blob.Scope
}

// readBody reads the body of a call that carries no documents.
func (s *Service) readBody(w http.ResponseWriter, r *http.Request) (body, error) {
	in := newBodyReader(w, r, min(maxRest, s.MaxBody))
	payload, err := io.ReadAll(in)
	return body{payload: payload}, in.problem(err)
}

// readDocuments reads a body of at most MaxBody bytes. What it leaves in the blob store
// is named in the body, after an error too.
func (s *Service) readDocuments(ctx context.Context, w http.ResponseWriter, r *http.Request) (b body, err error) {
	in := newBodyReader(w, r, s.MaxBody)
	if r.ContentLength >= 0 && r.ContentLength <= inlineBody {
		b.payload, err = io.ReadAll(in)
	} else if r.ContentLength <= s.MaxBody { // else nothing is read for nothing
		scope := blob.Scope{Customer: unowned, ID: incomingPrefix + s.NewID()}
		b.payload, err = takeDocuments(in, func(doc io.Reader) (string, error) {
			b.staged = &scope
			ref, err := s.Blobs.Put(ctx, scope, doc, s.MaxBody)
			if err == nil && ref.Size == 0 {
				err = errNoContent
			}
			return contract.BlobURI(contract.BlobRef{Scope: scope.ID, SHA256: ref.SHA256, Size: ref.Size}), err
		})
	} else {
		err = &http.MaxBytesError{Limit: s.MaxBody}
	}
	return b, in.problem(err)
}

// bodyReader reads a bounded body and remembers why it could not be read on, so that a
// fault of the caller is told from one of the bus.
type bodyReader struct {
	in     io.Reader
	limit  int64
	failed error
}

func newBodyReader(w http.ResponseWriter, r *http.Request, limit int64) *bodyReader {
	return &bodyReader{in: http.MaxBytesReader(w, r.Body, limit), limit: limit}
}

func (b *bodyReader) Read(p []byte) (int, error) {
	n, err := b.in.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.failed = err
	}
	return n, err
}

// problem says in plain words why the body could not be read.
func (b *bodyReader) problem(err error) error {
	var (
		tooLarge *http.MaxBytesError
		known    *contract.Error
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &tooLarge):
		return &contract.Error{Code: contract.CodeTooLarge, Message: fmt.Sprintf(
			"the body has more than %d bytes; upload large documents by themselves, or ask the operator to raise the limit", b.limit)}
	case b.failed != nil, errors.Is(err, io.ErrUnexpectedEOF):
		return &contract.Error{Code: contract.CodeIllegalArgument, Message: "the body ends too early or is not readable; send it whole"}
	case errors.As(err, &known):
		return err
	case errors.Is(err, errRestTooLarge):
		return &contract.Error{Code: contract.CodeTooLarge, Message: fmt.Sprintf(
			"the request without its documents has more than %d bytes", maxRest)}
	}
	return err
}

// unstage removes what a body left in the blob store.
func (s *Service) unstage(ctx context.Context, staged *blob.Scope) {
	if staged == nil {
		return
	}
	if err := s.Blobs.RemoveScope(context.WithoutCancel(ctx), *staged); err != nil {
		s.Log.Warn("incoming blobs stay until the sweep", "error", err)
	}
}

// own gives what a body left in the blob store to its customer.
func (s *Service) own(ctx context.Context, b *body, customer string) error {
	if b.staged == nil {
		return nil
	}
	scope := blob.Scope{Customer: customer, ID: b.staged.ID}
	if err := s.Blobs.Move(ctx, *b.staged, scope); err != nil {
		return err
	}
	b.staged = &scope
	return nil
}

// readInsert reads and checks an insertEnvelope call as far as it can be checked here.
func (s *Service) readInsert(w http.ResponseWriter, r *http.Request) (req request, err error) {
	b, err := s.readDocuments(r.Context(), w, r)
	defer func() {
		if err != nil {
			s.unstage(r.Context(), b.staged)
		}
	}()
	if err != nil {
		return req, err
	}
	in, err := contract.DecodeInsertEnvelope(b.payload)
	if err != nil {
		return req, err
	}
	customer, problem := s.customers.withCode(in.CustomerCode)
	if problem == nil {
		problem = usable(customer)
	}
	if problem == nil {
		problem = system(customer, in.ExternalSystemCode, "externalSystemCode")
	}
	if problem == nil && in.Envelope.ExternalID != r.PathValue("extId") {
		problem = &contract.Error{Code: contract.CodeIllegalArgument, Path: "envelope.externalId", Message: "must be the id in the path of the call"}
	}
	if problem != nil {
		return req, problem
	}
	if err := in.Validate(); err != nil {
		return req, err
	}
	if err := s.own(r.Context(), &b, customer.ID); err != nil {
		return req, err
	}
	return request{
		command: contract.CommandInsertEnvelope, customer: customer, system: in.ExternalSystemCode,
		externalID: in.Envelope.ExternalID, payload: b.payload,
		operationID: r.Header.Get("Idempotency-Key"), staged: b.staged,
	}, nil
}

// readCommand reads a call on an envelope that exists. parse returns the customerCode
// and the payload for the queue, with the envelope's id of the path in it.
func (s *Service) readCommand(w http.ResponseWriter, r *http.Request, command contract.Command, parse func(data []byte, extID string) (code string, payload any, err error)) (request, error) {
	b, err := s.readBody(w, r)
	if err != nil {
		return request{}, err
	}
	code, payload, err := parse(b.payload, r.PathValue("extId"))
	if err != nil {
		return request{}, err
	}
	customer, problem := s.customers.withCode(code)
	if problem == nil {
		problem = usable(customer)
	}
	if problem == nil && len(customer.Systems) == 0 {
		problem = &contract.Error{Code: contract.CodeIllegalArgument, Message: "the customer has no external system; ask the operator to register one"}
	}
	if problem != nil {
		return request{}, problem
	}
	data, err := json.Marshal(payload)
	if err != nil {
		return request{}, err
	}
	return request{
		command: command, customer: customer, system: customer.Systems[0], externalID: r.PathValue("extId"),
		payload: data, operationID: r.Header.Get("Idempotency-Key"),
	}, nil
}

// accept takes a command in charge: when it returns nil, the command is on disk. The same
// id with the same payload is the same operation, whose outcome comes back when it is
// known already.
func (s *Service) accept(ctx context.Context, req *request) (done *contract.Outcome, err error) {
	if req.operationID == "" {
		req.operationID = s.NewID()
	} else {
		before, err := s.before(ctx, req)
		if err != nil || before != nil {
			s.unstage(ctx, req.staged)
			return before.outcome(), err
		}
	}
	subject, err := subjects.Command(req.customer.ID, req.system, req.command)
	if err != nil {
		return nil, err
	}
	header := nats.Header{}
	bus.Inject(ctx, header)
	err = s.packer.accept(ctx, handover.Accepted{
		Subject: subject, OperationID: req.operationID, TraceParent: header.Get(subjects.HeaderTraceParent), Data: req.payload,
	})
	if err != nil { // it may be on disk nevertheless, so its documents stay
		s.Log.Warn("command is not taken in charge", "operation", req.operationID, "error", err)
		return nil, &contract.Error{Code: contract.CodeUnavailable, Message: "the bus cannot take the command in charge at the moment; send it again with the same Idempotency-Key"}
	}
	return nil, nil //nolint:nilnil // taken in charge; the outcome comes later
}

// before returns the operation that the request repeats, nil when it is new. It refuses
// the id of an operation with another payload.
func (s *Service) before(ctx context.Context, req *request) (*operation, error) {
	if !contract.ValidExternalID(req.operationID) {
		return nil, &contract.Error{Code: contract.CodeIllegalArgument, Path: "Idempotency-Key", Message: "must be 1 to 255 bytes without control characters"}
	}
	o, err := findOperation(ctx, s.DB, req.customer.ID, req.operationID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil //nolint:nilnil // none
	case err != nil:
		return nil, err
	case o.Digest != req.digest():
		return nil, reused()
	}
	return &o, nil
}

// upload keeps the bytes of one document for a later command.
func (s *Service) upload(ctx context.Context, customer string, in *bodyReader) (contract.Uploaded, error) {
	scope := blob.Scope{Customer: customer, ID: uploadPrefix + s.NewID()}
	ref, err := s.Blobs.Put(ctx, scope, in, s.MaxBody)
	if err != nil {
		return contract.Uploaded{}, in.problem(err)
	}
	if ref.Size == 0 {
		return contract.Uploaded{}, errors.Join(&contract.Error{Code: contract.CodeIllegalArgument, Message: "the body is empty; send the bytes of the document"},
			s.Blobs.RemoveScope(ctx, scope))
	}
	uri := contract.BlobURI(contract.BlobRef{Scope: scope.ID, SHA256: ref.SHA256, Size: ref.Size})
	return contract.Uploaded{URI: uri, SHA256: ref.SHA256, Size: ref.Size}, nil
}
