package intake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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
	// payload is what goes on the queue; digest is that of what the caller sent.
	payload []byte
	digest  string
	// operationID is the caller's; empty when he chose none.
	operationID string
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

// body reads an HTTP body for the queue. The digest is that of what was sent. clean
// removes what the body left in the blob store; it is called when the command is refused.
type body struct {
	payload []byte
	digest  string
	staged  *blob.Scope
}

// readBody reads a body of at most MaxBody bytes.
func (s *Service) readBody(ctx context.Context, w http.ResponseWriter, r *http.Request) (body, error) {
	digest := sha256.New()
	fmt.Fprintf(digest, "%s\x00%s\x00", r.Method, r.URL.Path)
	in := io.TeeReader(http.MaxBytesReader(w, r.Body, s.MaxBody), digest)
	var (
		b   body
		err error
	)
	if r.ContentLength >= 0 && r.ContentLength <= inlineBody {
		b.payload, err = io.ReadAll(in)
	} else {
		scope := blob.Scope{Customer: unowned, ID: incomingPrefix + s.NewID()}
		b.payload, err = takeDocuments(in, func(doc io.Reader) (string, error) {
			b.staged = &scope
			ref, err := s.Blobs.Put(ctx, scope, doc, s.MaxBody)
			return contract.BlobURI(contract.BlobRef{Scope: scope.ID, SHA256: ref.SHA256, Size: ref.Size}), err
		})
	}
	b.digest = hex.EncodeToString(digest.Sum(nil))
	return b, s.bodyError(err)
}

// bodyError says in plain words why a body could not be read.
func (s *Service) bodyError(err error) error {
	var (
		tooLarge *http.MaxBytesError
		known    *contract.Error
	)
	switch {
	case err == nil, errors.As(err, &known):
		return err
	case errors.As(err, &tooLarge):
		return &contract.Error{Code: contract.CodeTooLarge, Message: fmt.Sprintf(
			"the body has more than %d bytes; upload large documents by themselves, or ask the operator to raise the limit", s.MaxBody)}
	case errors.Is(err, errRestTooLarge):
		return &contract.Error{Code: contract.CodeTooLarge, Message: fmt.Sprintf(
			"the request without its documents has more than %d bytes", maxRest)}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &contract.Error{Code: contract.CodeIllegalArgument, Message: "the body ends too early"}
	}
	return err
}

// unstage removes what a body left in the blob store.
func (s *Service) unstage(ctx context.Context, b body) {
	if b.staged == nil {
		return
	}
	if err := s.Blobs.RemoveScope(context.WithoutCancel(ctx), *b.staged); err != nil {
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
	b, err := s.readBody(r.Context(), w, r)
	defer func() {
		if err != nil {
			s.unstage(r.Context(), b)
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
		externalID: in.Envelope.ExternalID, payload: b.payload, digest: b.digest,
		operationID: r.Header.Get("Idempotency-Key"),
	}, nil
}

// readCommand reads a call on an envelope that exists. parse returns the customerCode
// and the payload for the queue, with the envelope's id of the path in it.
func (s *Service) readCommand(w http.ResponseWriter, r *http.Request, command contract.Command, parse func(data []byte, extID string) (code string, payload any, err error)) (request, error) {
	b, err := s.readBody(r.Context(), w, r)
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
		payload: data, digest: b.digest, operationID: r.Header.Get("Idempotency-Key"),
	}, nil
}

// accept takes a command in charge: when it returns nil, the command is on disk. The same
// id with the same payload is the same operation, whose outcome comes back when it is
// known already.
func (s *Service) accept(ctx context.Context, req *request) (done *contract.Outcome, err error) {
	if req.operationID == "" {
		req.operationID = s.NewID()
	} else if !contract.ValidExternalID(req.operationID) {
		return nil, &contract.Error{Code: contract.CodeIllegalArgument, Path: "Idempotency-Key", Message: "must be 1 to 255 bytes without control characters"}
	} else {
		before, err := findOperation(ctx, s.DB, req.customer.ID, req.operationID)
		switch {
		case err == nil && before.Digest != req.digest:
			return nil, reused()
		case err == nil && before.State == stateDone:
			outcome := before.Code.ReturnStatus(before.Message)
			return &outcome, nil
		case err == nil:
			return nil, nil //nolint:nilnil // taken in charge before, without an outcome yet
		case !errors.Is(err, store.ErrNotFound):
			return nil, err
		}
	}
	subject, err := subjects.Command(req.customer.ID, req.system, req.command)
	if err != nil {
		return nil, err
	}
	header := nats.Header{
		subjects.HeaderOperationID:   {req.operationID},
		subjects.HeaderPayloadDigest: {req.digest},
	}
	bus.Inject(ctx, header)
	err = s.Publisher.Publish(ctx, bus.Message{
		Subject: subject, ID: req.operationID + ":" + req.digest, Header: header, Data: req.payload,
	})
	if err != nil {
		s.Log.Warn("command is not taken in charge", "operation", req.operationID, "error", err)
		return nil, &contract.Error{Code: contract.CodeUnavailable, Message: "the bus cannot take the command in charge at the moment; send it again with the same Idempotency-Key"}
	}
	return nil, nil //nolint:nilnil // taken in charge; the outcome comes later
}

// upload keeps the bytes of one document for a later command.
func (s *Service) upload(ctx context.Context, customer string, r io.Reader) (contract.Uploaded, error) {
	scope := blob.Scope{Customer: customer, ID: uploadPrefix + s.NewID()}
	ref, err := s.Blobs.Put(ctx, scope, r, s.MaxBody)
	if err != nil {
		return contract.Uploaded{}, s.bodyError(err)
	}
	if ref.Size == 0 {
		return contract.Uploaded{}, errors.Join(&contract.Error{Code: contract.CodeIllegalArgument, Message: "the body is empty; send the bytes of the document"},
			s.Blobs.RemoveScope(ctx, scope))
	}
	uri := contract.BlobURI(contract.BlobRef{Scope: scope.ID, SHA256: ref.SHA256, Size: ref.Size})
	return contract.Uploaded{URI: uri, SHA256: ref.SHA256, Size: ref.Size}, nil
}

