package intake_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/blob"
	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/bus/bustest"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/subjects"
)

var errNoEnvelope = &contract.Error{Code: contract.CodeEnvelopeNotFound, Path: "enveExtId", Message: "no envelope has this id"}

// serve answers for the other services: demo has envelope E-1, in which anna signs, and
// big, whose document does not fit into a message.
func serve(t *testing.T, r *rig) {
	t.Helper()
	const envelopeID = "01jd0q6z3m2v5k8n9r4t7w1x2y"
	_, err := r.options.Blobs.Put(t.Context(), blob.Scope{Customer: "demo", ID: envelopeID}, strings.NewReader(string(pdf)), 100)
	require.NoError(t, err)
	has := func(q handover.EnvelopeQuery) bool {
		return q.Customer == "demo" && (q.ExternalID == "E-1" || q.ExternalID == "big")
	}
	verbs := map[string]map[string]bus.Verb{
		subjects.ProviderDispatch: {
			handover.CallFind: bus.Answer(func(_ context.Context, q handover.EnvelopeQuery) (any, error) {
				if !has(q) {
					return nil, errNoEnvelope
				}
				found := handover.Found{EnvelopeID: envelopeID, Documents: []handover.Document{{ExternalID: "D-1", SHA256: digest(string(pdf)), Size: int64(len(pdf))}}}
				found.Envelope.ExternalID, found.Envelope.Documents = q.ExternalID, []contract.FoundDocument{{ExternalID: "D-1"}}
				if q.ExternalID == "big" {
					found.Documents[0].Size = 6 << 20
				}
				return found, nil
			}),
			handover.CallStatus: bus.Answer(func(_ context.Context, q handover.EnvelopeQuery) (any, error) {
				if !has(q) {
					return nil, errNoEnvelope
				}
				return contract.Status{EnveExtID: q.ExternalID, Status: "PGS", Name: "in progress"}, nil
			}),
			handover.CallAssignment: bus.Answer(func(_ context.Context, q handover.AssignmentQuery) (any, error) {
				if !has(handover.EnvelopeQuery{Customer: q.Customer, ExternalID: q.ExternalID}) || q.User != "anna" {
					return nil, errNoEnvelope
				}
				return handover.AssignmentFound{Assignment: "a1", Provider: subjects.SignatureBook}, nil
			}),
		},
		subjects.SignatureBook: {handover.CallSigningURL: bus.Answer(func(_ context.Context, q handover.SigningURLQuery) (any, error) {
			return handover.SigningURL{URL: "https://sign/" + q.Customer + "/" + q.Assignment}, nil
		})},
		subjects.Directory: {
			handover.CallSubscribe: bus.Answer(func(_ context.Context, q handover.SubscribeRequest) (any, error) {
				return contract.Subscription{ID: q.Customer + "-1", URL: q.Subscribe.URL}, nil
			}),
			handover.CallSubscriptions: bus.Answer(func(_ context.Context, q handover.SubscriptionQuery) (any, error) {
				return contract.Subscriptions{Subscriptions: []contract.Subscription{{ID: q.Customer + "-1"}}}, nil
			}),
			handover.CallUnsubscribe: bus.Answer(func(_ context.Context, q handover.SubscriptionQuery) (any, error) {
				if q.ID != q.Customer+"-1" {
					return nil, &contract.Error{Code: contract.CodeNotFound, Message: "no such subscription"}
				}
				return struct{}{}, nil
			}),
		},
	}
	for service, answers := range verbs {
		bustest.Go(t, func(ctx context.Context) error { return bus.Serve(ctx, r.Conn, service, r.Log, answers) })
		for verb := range answers { // until somebody listens
			bustest.Eventually(t, func() bool {
				_, err := r.Conn.RequestWithContext(t.Context(), "svc."+service+"."+verb, []byte("{}"))
				return err == nil
			}, service+" answers")
		}
	}
}

func find(extID string, withBytes bool) tree {
	return tree{"customerCode": "demo-secret", "externalSystemCode": "ERP", "enveExtId": extID, "withDocBytes": withBytes}
}

func (r *rig) post(t *testing.T, path string, body tree, headers ...string) answer {
	t.Helper()
	return r.send(t, http.MethodPost, path, strings.NewReader(string(encode(t, body))), headers...)
}

func TestGetEnvelope(t *testing.T) {
	t.Parallel()
	r := onSQLite(t, nil)
	serve(t, r)
	for _, api := range []string{direct, proxy} {
		for _, withBytes := range []bool{true, false} {
			a := r.post(t, api+"/envelopes/E-1", find("E-1", withBytes))
			require.Equal(t, http.StatusOK, a.status, string(a.body))
			found := decode[contract.FoundEnvelope](t, a.body)
			require.Equal(t, "E-1", found.ExternalID)
			if withBytes {
				require.Equal(t, pdf, found.Documents[0].Bytes)
			} else {
				require.Nil(t, found.Documents[0].Bytes)
			}
		}
		r.post(t, api+"/envelopes/E-2", find("E-2", true)).refusedWith(t, contract.CodeEnvelopeNotFound, "no envelope")
		other := find("E-1", true)
		other["customerCode"] = "other-secret"
		r.post(t, api+"/envelopes/E-1", other).refusedWith(t, contract.CodeEnvelopeNotFound, "no envelope")
		other["customerCode"] = "nobody's"
		r.post(t, api+"/envelopes/E-1", other).refusedWith(t, contract.CodeCustNotFound, "no customer")
	}
	a := r.put(t, direct+"/envelopes2/E-1", encode(t, insert("E-1")))
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, "E-1", decode[contract.FoundEnvelope](t, a.body).ExternalID)
	a = r.put(t, proxy+"/envelopes2/E-1", encode(t, insert("E-1")))
	require.Equal(t, "OK", a.Code, "the proxy does not wait for the envelope")
}

func TestCallsWithABearer(t *testing.T) {
	t.Parallel()
	r := onSQLite(t, nil)
	serve(t, r)
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/envelopes/E-1/status", "", http.StatusOK, `"status":"PGS"`},
		{"GET", "/envelopes/E-2/status", "", http.StatusNotFound, "ENVELOPE_NOT_FOUND"},
		{"GET", "/envelopes/E-1/signing-url?usrExtId=anna", "", http.StatusOK, `"url":"https://sign/demo/a1"`},
		{"GET", "/envelopes/E-1/signing-url?usrExtId=bruno", "", http.StatusNotFound, "ENVELOPE_NOT_FOUND"},
		{"GET", "/envelopes/E-1/signing-url", "", http.StatusBadRequest, "usrExtId: is missing"},
		{"GET", "/operations/unknown", "", http.StatusNotFound, "no such operation"},
		{"POST", "/documents", "", http.StatusBadRequest, "the body is empty"},
		{"POST", "/subscriptions", `{"url":"https://example.com/hook"}`, http.StatusCreated, `"id":"demo-1"`},
		{"POST", "/subscriptions", `{"url":"ftp://example.com"}`, http.StatusBadRequest, "url: must be an absolute http or https address"},
		{"POST", "/subscriptions", `{"url":`, http.StatusBadRequest, "malformed JSON"},
		{"GET", "/subscriptions", "", http.StatusOK, `{"subscriptions":[{"id":"demo-1"`},
		{"DELETE", "/subscriptions/demo-1", "", http.StatusNoContent, ""},
		{"DELETE", "/subscriptions/other-1", "", http.StatusNotFound, "no such subscription"},
	} {
		a := r.send(t, c.method, proxy+c.path, strings.NewReader(c.body), "Authorization", "bearer  demo-old ")
		require.Equal(t, c.status, a.status, c.path+string(a.body))
		require.Contains(t, string(a.body), c.want, c.path)
		for _, authorization := range []string{"", "Bearer", "Bearer nobody's", "Basic demo-secret", "demo-secret"} {
			a := r.send(t, c.method, proxy+c.path, strings.NewReader(c.body), "Authorization", authorization)
			a.refusedWith(t, contract.CodeCustNotFound, "customerCode")
			require.Contains(t, a.header.Get("WWW-Authenticate"), "Bearer", authorization)
		}
		r.send(t, c.method, proxy+c.path, strings.NewReader(c.body), "Authorization", "Bearer gone-secret").
			refusedWith(t, contract.CodeProductExpired, "expired")
	}
}

func TestOperationOfAnotherCustomer(t *testing.T) {
	t.Parallel()
	r := onSQLite(t, nil)
	r.put(t, direct+"/envelopes/E-1", encode(t, insert("E-1")), "Idempotency-Key", "op-1")
	require.Equal(t, http.StatusOK, r.send(t, http.MethodGet, proxy+"/operations/op-1", nil, "Authorization", bearer).status)
	r.send(t, http.MethodGet, proxy+"/operations/op-1", nil, "Authorization", "Bearer other-secret").refusedWith(t, contract.CodeNotFound, "no such operation")
}

func TestQueries(t *testing.T) {
	t.Parallel()
	r := onSQLite(t, nil)
	serve(t, r)
	status := tree{"customerCode": "demo-secret", "enveExtId": "E-1"}
	url := tree{"customerCode": "demo-secret", "enveExtId": "E-1", "usrExtId": "anna"}
	for name, c := range map[string]struct {
		subject string
		body    any
		want    string
	}{
		"envelope":                      {"qry.demo.ERP.findEnvelope", find("E-1", true), `"bytes":"JVBERi0xLjYgY29udHJhY3Q="`},
		"envelope without bytes":        {"qry.demo.ERP.findEnvelope", find("big", false), `"externalId":"big"`},
		"bytes that fit in no message":  {"qry.demo.ERP.findEnvelope", find("big", true), `"code":"TOO_LARGE"`},
		"no such envelope":              {"qry.demo.ERP.findEnvelope", find("E-2", true), `"code":"ENVELOPE_NOT_FOUND"`},
		"status":                        {"qry.demo.ERP.status", status, `"status":"PGS"`},
		"signing page":                  {"qry.demo.ERP.url", url, `"url":"https://sign/demo/a1"`},
		"not readable":                  {"qry.demo.ERP.url", "x", `"code":"ILLEGAL_ARGUMENT"`},
		"something missing":             {"qry.demo.ERP.url", status, `usrExtId: is missing`},
		"envelope on another's subject": {"qry.other.ERP.findEnvelope", find("E-1", true), `"code":"CUST_NOT_FOUND"`},
		"status on another's subject":   {"qry.other.ERP.status", status, `"code":"CUST_NOT_FOUND"`},
		"url on another's subject":      {"qry.other.ERP.url", url, `"code":"CUST_NOT_FOUND"`},
	} {
		msg, err := r.Conn.RequestWithContext(t.Context(), c.subject, encode(t, c.body))
		require.NoError(t, err, name)
		require.Contains(t, string(msg.Data), c.want, name)
	}
}

// Without the service that knows the answer a call fails, and says that it may be repeated.
func TestCallsWithoutTheOtherServices(t *testing.T) {
	t.Parallel()
	r := onSQLite(t, nil)
	r.post(t, direct+"/envelopes/E-1", find("E-1", false)).refusedWith(t, contract.CodeUnavailable, "try again")
	msg, err := r.Conn.RequestWithContext(t.Context(), "qry.demo.ERP.findEnvelope", encode(t, find("E-1", false)))
	require.NoError(t, err)
	require.Contains(t, string(msg.Data), `"code":"UNAVAILABLE"`)
}
