package intake

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"signbus.dev/pkg/blob"
	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/subjects"
)

// Handler serves the REST APIs. Below /gosign a call waits for the outcome of its
// operation and answers with it; below /legalbus it answers at once with the operation
// id, and the outcome comes as an event (chapters 4.1 and 11).
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, fn func(http.ResponseWriter, *http.Request) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			ctx := bus.Extract(r.Context(), map[string][]string{
				subjects.HeaderTraceParent: r.Header.Values(subjects.HeaderTraceParent),
				subjects.HeaderTraceState:  r.Header.Values(subjects.HeaderTraceState),
			})
			if err := fn(w, r.WithContext(ctx)); err != nil {
				s.fail(w, r, err)
			}
		})
	}
	for _, api := range []struct {
		base   string
		finish func(http.ResponseWriter, *http.Request, *request, bool) error
	}{{"/gosign/services/v1", s.answerOutcome}, {"/legalbus/services/v1", s.answerAccepted}} {
		insert := func(withEnvelope bool) func(http.ResponseWriter, *http.Request) error {
			return func(w http.ResponseWriter, r *http.Request) error {
				req, err := s.readInsert(w, r)
				if err != nil {
					return err
				}
				return api.finish(w, r, &req, withEnvelope)
			}
		}
		command := func(command contract.Command, parse parser) func(http.ResponseWriter, *http.Request) error {
			return func(w http.ResponseWriter, r *http.Request) error {
				req, err := s.readCommand(w, r, command, parse)
				if err != nil {
					return err
				}
				return api.finish(w, r, &req, false)
			}
		}
		handle("PUT "+api.base+"/envelopes/{extId}", insert(false))
		handle("PUT "+api.base+"/envelopes2/{extId}", insert(true))
		handle("POST "+api.base+"/envelopes/{extId}", s.getEnvelope)
		for _, slash := range []string{"", "/{$}"} {
			handle("POST "+api.base+"/envelopes/{extId}/delete"+slash, command(contract.CommandDeleteEnvelope, parseDelete))
			handle("POST "+api.base+"/envelopes/{extId}/cancel"+slash, command(contract.CommandCancelEnvelope, parseCancel))
			handle("POST "+api.base+"/envelopes/{extId}/send"+slash, command(contract.CommandSendEnvelope, parseSend))
		}
	}
	const base = "/legalbus/services/v1"
	handle("GET "+base+"/envelopes/{extId}/status", s.authenticated(s.getStatus))
	handle("GET "+base+"/envelopes/{extId}/signing-url", s.authenticated(s.getSigningURL))
	handle("GET "+base+"/operations/{operationId}", s.authenticated(s.getOperation))
	handle("POST "+base+"/documents", s.authenticated(s.postDocument))
	handle("POST "+base+"/subscriptions", s.authenticated(s.postSubscription))
	handle("GET "+base+"/subscriptions", s.authenticated(s.getSubscriptions))
	handle("GET "+base+"/subscriptions/{id}", s.authenticated(s.getSubscription))
	handle("DELETE "+base+"/subscriptions/{id}", s.authenticated(s.deleteSubscription))
	handle("/gosign/", notFound)
	handle("/legalbus/", notFound)
	return mux
}

type parser func(data []byte, extID string) (string, any, error)

func parseDelete(data []byte, extID string) (string, any, error) {
	c, err := contract.DecodeDeleteEnvelope(data)
	if err == nil {
		err = samePath(&c.EnveExtID, extID)
	}
	return c.CustomerCode, c, firstOf(err, c.Validate)
}

func parseCancel(data []byte, extID string) (string, any, error) {
	c, err := contract.DecodeCancelEnvelope(data)
	if err == nil {
		err = samePath(&c.EnveExtID, extID)
	}
	return c.CustomerCode, c, firstOf(err, c.Validate)
}

func parseSend(data []byte, extID string) (string, any, error) {
	c, err := contract.DecodeSendEnvelope(data)
	if err == nil {
		err = samePath(&c.EnveExtID, extID)
	}
	return c.CustomerCode, c, firstOf(err, c.Validate)
}

// samePath fills in the id of the path and refuses another one in the body.
func samePath(inBody *string, inPath string) error {
	if *inBody == "" {
		*inBody = inPath
	}
	if *inBody != inPath {
		return &contract.Error{Code: contract.CodeIllegalArgument, Path: "enveExtId", Message: "must be the id in the path of the call, or absent"}
	}
	return nil
}

// answerAccepted answers as soon as the command is durably taken in charge.
func (s *Service) answerAccepted(w http.ResponseWriter, r *http.Request, req *request, _ bool) error {
	if _, err := s.accept(r.Context(), req); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, contract.Outcome{Code: contract.CodeOK.API(), Message: req.operationID})
}

// answerOutcome waits for the outcome of the operation and answers with it.
func (s *Service) answerOutcome(w http.ResponseWriter, r *http.Request, req *request, withEnvelope bool) error {
	chosen := req.operationID != ""
	if !chosen {
		req.operationID = s.NewID() // known before it is published, so that no outcome is missed
	}
	outcome, remove := s.waiters.add(waiterKey{req.customer.ID, req.operationID})
	defer remove()
	done, err := s.accept(r.Context(), req)
	if err == nil && done == nil {
		done, err = s.wait(r.Context(), req.customer.ID, req.operationID, outcome)
		if err == nil && chosen { // perhaps that of a namesake accepted at the same time
			_, err = s.before(r.Context(), req)
		}
	}
	if err != nil {
		return err
	}
	code, ok := contract.ParseCode(done.Code)
	if !ok {
		code = contract.CodeError
	}
	if code != contract.CodeOK {
		return &contract.Error{Code: code, Message: done.Message}
	}
	if withEnvelope {
		return s.writeEnvelope(w, r, req.customer.ID, req.externalID, false)
	}
	return writeJSON(w, http.StatusOK, code.Outcome(req.operationID))
}

// getEnvelope answers the query findEnvelope.
func (s *Service) getEnvelope(w http.ResponseWriter, r *http.Request) error {
	b, err := s.readBody(w, r)
	if err != nil {
		return err
	}
	find, err := contract.DecodeFindEnvelope(b.payload)
	if err == nil {
		err = samePath(&find.EnveExtID, r.PathValue("extId"))
	}
	if err := firstOf(err, find.Validate); err != nil {
		return err
	}
	customer, problem := s.customers.withCode(find.CustomerCode)
	if problem != nil {
		return problem
	}
	return s.writeEnvelope(w, r, customer.ID, find.EnveExtID, find.WithDocBytes)
}

func (s *Service) writeEnvelope(w http.ResponseWriter, r *http.Request, customer, extID string, withBytes bool) error {
	envelope, err := s.find(r.Context(), customer, extID, withBytes, -1)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, envelope)
}

// find asks for an envelope; limit bounds the sum of its documents' bytes, -1: no bound.
func (s *Service) find(ctx context.Context, customer, extID string, withBytes bool, limit int64) (*contract.FoundEnvelope, error) {
	var found handover.Found
	query := handover.EnvelopeQuery{Customer: customer, ExternalID: extID}
	if err := bus.Call(ctx, s.Conn, subjects.ProviderDispatch, handover.CallFind, query, &found); err != nil {
		return nil, err
	}
	if !withBytes {
		return &found.Envelope, nil
	}
	var total int64
	for i, doc := range found.Documents {
		if total += doc.Size; limit >= 0 && total > limit {
			return nil, &contract.Error{Code: contract.CodeTooLarge, Message: "the documents are too large for a message; ask without withDocBytes, or over HTTP"}
		}
		data, err := blob.ReadAll(ctx, s.Blobs, blob.Scope{Customer: customer, ID: found.EnvelopeID}, doc.SHA256)
		if err != nil {
			return nil, err
		}
		found.Envelope.Documents[i].Bytes = data
	}
	return &found.Envelope, nil
}

// authenticated finds the customer of a call without a body of its own model: the
// customerCode comes as a bearer token.
func (s *Service) authenticated(fn func(http.ResponseWriter, *http.Request, handover.Customer) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		scheme, code, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		code = strings.TrimSpace(code)
		if !strings.EqualFold(scheme, "Bearer") || code == "" {
			return &contract.Error{Code: contract.CodeCustNotFound, Path: "Authorization", Message: "send the customerCode as `Authorization: Bearer <customerCode>`"}
		}
		customer, problem := s.customers.withCode(code)
		if problem != nil {
			return problem
		}
		return fn(w, r, customer)
	}
}

func (s *Service) getStatus(w http.ResponseWriter, r *http.Request, c handover.Customer) error {
	status, err := s.status(r.Context(), c.ID, r.PathValue("extId"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, status)
}

func (s *Service) status(ctx context.Context, customer, extID string) (contract.Status, error) {
	var status contract.Status
	query := handover.EnvelopeQuery{Customer: customer, ExternalID: extID}
	return status, bus.Call(ctx, s.Conn, subjects.ProviderDispatch, handover.CallStatus, query, &status)
}

func (s *Service) getSigningURL(w http.ResponseWriter, r *http.Request, c handover.Customer) error {
	user := r.URL.Query().Get("usrExtId")
	if user == "" {
		return &contract.Error{Code: contract.CodeIllegalArgument, Path: "usrExtId", Message: "is missing: name the user whose signature is wanted"}
	}
	url, err := s.signingURL(r.Context(), c.ID, r.PathValue("extId"), user)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, url)
}

func (s *Service) signingURL(ctx context.Context, customer, extID, user string) (url handover.SigningURL, err error) {
	var assignment handover.AssignmentFound
	query := handover.AssignmentQuery{Customer: customer, ExternalID: extID, User: user}
	if err := bus.Call(ctx, s.Conn, subjects.ProviderDispatch, handover.CallAssignment, query, &assignment); err != nil {
		return url, err
	}
	return url, bus.Call(ctx, s.Conn, assignment.Provider, handover.CallSigningURL,
		handover.SigningURLQuery{Customer: customer, Assignment: assignment.Assignment}, &url)
}

func (s *Service) getOperation(w http.ResponseWriter, r *http.Request, c handover.Customer) error {
	o, err := findOperation(r.Context(), s.DB, c.ID, r.PathValue("operationId"))
	if errors.Is(err, store.ErrNotFound) {
		return &contract.Error{Code: contract.CodeNotFound, Message: "no such operation; one that was just accepted over HTTP may take a moment to appear"}
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, contract.OperationStatus{
		ID: o.ID, Command: contract.Command(o.Command), ExtID: o.ExternalID,
		AcceptedAt: contract.MillisOf(o.AcceptedAt), Done: o.State == stateDone, ReturnStatus: o.outcome(),
	})
}

func (s *Service) postDocument(w http.ResponseWriter, r *http.Request, c handover.Customer) error {
	uploaded, err := s.upload(r.Context(), c.ID, newBodyReader(w, r, s.MaxBody))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, uploaded)
}

func (s *Service) postSubscription(w http.ResponseWriter, r *http.Request, c handover.Customer) error {
	b, err := s.readBody(w, r)
	if err != nil {
		return err
	}
	subscribe, err := contract.DecodeSubscribe(b.payload)
	if err := firstOf(err, subscribe.Validate); err != nil {
		return err
	}
	var subscription contract.Subscription
	if err := bus.Call(r.Context(), s.Conn, subjects.Directory, handover.CallSubscribe,
		handover.SubscribeRequest{Customer: c.ID, Subscribe: subscribe}, &subscription); err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, subscription)
}

func (s *Service) getSubscriptions(w http.ResponseWriter, r *http.Request, c handover.Customer) error {
	list, err := s.subscriptions(r.Context(), c.ID)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, list)
}

func (s *Service) getSubscription(w http.ResponseWriter, r *http.Request, c handover.Customer) error {
	list, err := s.subscriptions(r.Context(), c.ID)
	if err != nil {
		return err
	}
	for _, subscription := range list.Subscriptions {
		if subscription.ID == r.PathValue("id") {
			return writeJSON(w, http.StatusOK, subscription)
		}
	}
	return &contract.Error{Code: contract.CodeNotFound, Message: "no such subscription"}
}

func (s *Service) subscriptions(ctx context.Context, customer string) (list contract.Subscriptions, err error) {
	return list, bus.Call(ctx, s.Conn, subjects.Directory, handover.CallSubscriptions,
		handover.SubscriptionQuery{Customer: customer}, &list)
}

func (s *Service) deleteSubscription(w http.ResponseWriter, r *http.Request, c handover.Customer) error {
	if err := bus.Call(r.Context(), s.Conn, subjects.Directory, handover.CallUnsubscribe,
		handover.SubscriptionQuery{Customer: c.ID, ID: r.PathValue("id")}, nil); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func notFound(http.ResponseWriter, *http.Request) error {
	return &contract.Error{Code: contract.CodeNotFound, Message: "no such call; see /openapi.yaml for the paths and methods"}
}

// fail answers with an error: its code in upper case and a sentence, never an inner text.
// It answers a caller who seems to have gone as well: he may have closed his side only,
// and no answer would be a 200.
func (s *Service) fail(w http.ResponseWriter, r *http.Request, err error) {
	code := contract.CodeOf(err)
	outcome := code.Outcome(contract.Sentence(err))
	if len(contract.Problems(err)) == 0 {
		if r.Context().Err() == nil {
			s.Log.Error("call failed", "method", r.Method, "path", r.Pattern, "error", err)
		}
		code = contract.CodeUnavailable
		outcome = code.Outcome("the bus could not answer; try again, with the same Idempotency-Key if you sent one")
	}
	switch code {
	case contract.CodeUnavailable:
		w.Header().Set("Retry-After", "1")
	case contract.CodeCustNotFound:
		w.Header().Set("WWW-Authenticate", `Bearer realm="signbus"`)
	case contract.CodeTooLarge: // what was not read of the body would be taken for the next request
		w.Header().Set("Connection", "close")
	}
	if err := writeJSON(w, code.HTTPStatus(), outcome); err != nil {
		s.Log.Debug("answer is not sent", "error", err)
	}
}

func writeJSON(w http.ResponseWriter, status int, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, err = io.WriteString(w, string(data)+"\n")
	if err != nil {
		return nil //nolint:nilerr // the caller has gone; there is no one to tell
	}
	return nil
}
