package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf/pdftest"
)

// signedByBruno is a request that needs nobody: one automatic signature.
func signedByBruno(extID string) object {
	return request(extID, contractPDF, automatic(1, "brunoU", action("S", compass(-1, 9))))
}

// waitsForAnna is a request that waits for a person.
func waitsForAnna(extID string) object {
	return request(extID, contractPDF, human(1, "annaU", 1, action("S", compass(1, 7))))
}

func testREST(t *testing.T, b *bus) {
	for name, test := range map[string]func(*testing.T, *bus){
		"the direct API waits for the outcome":       testDirect,
		"the proxy answers with the operation id":    testProxy,
		"envelopes2 answers with the envelope":       testEnvelopes2,
		"the same operation id has one effect":       testIdempotency,
		"documents are uploaded ahead":               testUploads,
		"ten megabytes travel in the request":        testLargeDocument,
		"subscriptions are made, shown and removed":  testSubscriptions,
		"queries are answered over NATS":             testQueries,
		"a call without the customerCode is refused": testUnauthorised,
		"the bus describes itself":                   testDescriptions,
		"commands on an envelope run in order":       testCommandsInOrder,
		"ids are case-sensitive":                     testOtherCase,
	} {
		t.Run(name, func(t *testing.T) { test(t, b) })
	}
}

func testDirect(t *testing.T, b *bus) {
	extID := newID("direct")
	b.insert(t, waitsForAnna(extID))
	require.Equal(t, "PGS", b.status(t, extID))

	var without found
	b.find(t, extID, false).decode(t, http.StatusOK, &without)
	require.Equal(t, 1, without.NDocs)
	require.Equal(t, 3, without.NPages)
	require.Nil(t, without.Documents[0].Bytes)
	require.Equal(t, int64(len(contractPDF)), without.Documents[0].Size)
	require.Equal(t, contractPDF, b.get(t, extID).Documents[0].Bytes)

	again := b.put(t, direct, waitsForAnna(extID)).outcome(t, http.StatusConflict)
	require.Equal(t, "RETURN_STATUS_ENVELOPE_ALREADY_EXISTS", again.Code)

	require.Equal(t, "OK", b.command(t, extID, "delete/", nil).outcome(t, http.StatusOK).Code)
	require.Equal(t, "ENVELOPE_NOT_FOUND", b.find(t, extID, false).outcome(t, http.StatusNotFound).Code)
	require.Equal(t, "ENVELOPE_NOT_FOUND", b.command(t, extID, "delete", nil).outcome(t, http.StatusNotFound).Code)
}

func testProxy(t *testing.T, b *bus) {
	extID := newID("proxy")
	accepted := b.put(t, proxy, signedByBruno(extID)).outcome(t, http.StatusOK)
	require.Equal(t, "OK", accepted.Code)
	done := b.outcomeOf(t, accepted.Message)
	require.Equal(t, "OK", done.ReturnStatus.Code)
	require.Equal(t, extID, done.ExtID)
	b.ended(t, extID)

	var operation struct {
		ID           string   `json:"id"`
		Command      string   `json:"command"`
		ExtID        string   `json:"extId"`
		Done         bool     `json:"done"`
		ReturnStatus *outcome `json:"returnStatus"`
	}
	until(t, waitTime, "the operation is done", func() bool {
		b.ask(t, http.MethodGet, "/operations/"+accepted.Message, nil).decode(t, http.StatusOK, &operation)
		return operation.Done
	})
	require.Equal(t, []string{accepted.Message, "insertEnvelope", extID, "OK"},
		[]string{operation.ID, operation.Command, operation.ExtID, operation.ReturnStatus.Code})
	require.Equal(t, "NOT_FOUND", b.ask(t, http.MethodGet, "/operations/none", nil).outcome(t, http.StatusNotFound).Code)

	removed := call(t, http.MethodPost, b.api+proxy+"/envelopes/"+extID+"/delete/", object{
		"customerCode": customerCode, "usrExtId": "segr", "enveExtId": extID,
	}).outcome(t, http.StatusOK)
	require.Equal(t, "OK", b.outcomeOf(t, removed.Message).ReturnStatus.Code)
	require.Equal(t, http.StatusNotFound, b.find(t, extID, false).status)
}

func testEnvelopes2(t *testing.T, b *bus) {
	extID := newID("envelopes2")
	var inserted found
	call(t, http.MethodPut, b.api+direct+"/envelopes2/"+extID, waitsForAnna(extID)).decode(t, http.StatusOK, &inserted)
	require.Equal(t, extID, inserted.ExternalID)
	require.Equal(t, "PGS", inserted.Status)

	viaProxy := newID("envelopes2")
	accepted := call(t, http.MethodPut, b.api+proxy+"/envelopes2/"+viaProxy, waitsForAnna(viaProxy)).outcome(t, http.StatusOK)
	require.Equal(t, "OK", b.outcomeOf(t, accepted.Message).ReturnStatus.Code)
}

func testIdempotency(t *testing.T, b *bus) {
	extID, operation := newID("idempotent"), newID("operation")
	key := []string{"Idempotency-Key", operation}
	first := b.put(t, direct, signedByBruno(extID), key...).outcome(t, http.StatusOK)
	require.Equal(t, first, b.put(t, direct, signedByBruno(extID), key...).outcome(t, http.StatusOK))
	accepted := b.put(t, proxy, signedByBruno(newID("idempotent")), key...).outcome(t, http.StatusUnprocessableEntity)
	require.Equal(t, "OPERATION_ID_REUSED", accepted.Code)

	queued, operation := newID("idempotent"), newID("operation")
	id := []string{"Signbus-Operation-Id", operation}
	for range 3 {
		b.publish(t, queueInsert, signedByBruno(queued), id...)
	}
	b.publish(t, queueInsert, signedByBruno(newID("idempotent")), id...)
	b.ended(t, queued)
	ends := b.trail.wait(t, 2, "both outcomes", func(e event) bool { return e.Type == "operation.done" && e.Operation == operation })
	var codes []string
	for _, e := range ends {
		var done operationDone
		require.NoError(t, json.Unmarshal(e.Data, &done))
		codes = append(codes, done.ReturnStatus.Code)
	}
	require.ElementsMatch(t, []string{"OK", "operation_id_reused"}, codes)
}

func testUploads(t *testing.T, b *bus) {
	document := pdftest.Padded(10 << 20)
	var uploaded struct {
		URI    string `json:"uri"`
		SHA256 string `json:"sha256"`
		Size   int64  `json:"size"`
	}
	b.ask(t, http.MethodPost, "/documents", document).decode(t, http.StatusCreated, &uploaded)
	require.Equal(t, digest(document), uploaded.SHA256)
	require.Equal(t, int64(len(document)), uploaded.Size)

	extID := newID("uploaded")
	r := signedByBruno(extID)
	doc := envelopeOf(r)["documents"].([]object)[0]
	delete(doc, "bytes")
	doc["uri"] = uploaded.URI
	b.publish(t, queueInsert, r)
	b.ended(t, extID)
	signed := b.get(t, extID).Documents[0].Bytes
	require.Equal(t, document, signed[:len(document)], "the original stays as it was")
	b.eyes(t).accept(t, signed, 1)

	unknown := newID("uploaded")
	doc["uri"] = uploaded.URI[:len(uploaded.URI)-1] + "7"
	envelopeOf(r)["externalId"] = unknown
	require.Equal(t, "ILLEGAL_ARGUMENT", b.put(t, direct, r).outcome(t, http.StatusBadRequest).Code)
}

func testLargeDocument(t *testing.T, b *bus) {
	document := pdftest.Padded(10 << 20)
	extID := newID("large")
	b.insert(t, request(extID, document, automatic(1, "brunoU", action("S", compass(1, 9)))))
	b.ended(t, extID)
	signed := b.get(t, extID).Documents[0].Bytes
	require.Equal(t, document, signed[:len(document)])
}

// subscription is a registered webhook.
type subscription struct {
	ID     string   `json:"id"`
	URL    string   `json:"url"`
	Types  []string `json:"types"`
	Mode   string   `json:"mode"`
	Secret string   `json:"secret"`
}

func testSubscriptions(t *testing.T, b *bus) {
	var made, shown subscription
	b.ask(t, http.MethodPost, "/subscriptions", object{
		"url": "http://127.0.0.1:9/hook", "types": []string{"dev.signbus.envelope.expired"}, "mode": "structured",
	}).decode(t, http.StatusCreated, &made)
	require.NotEmpty(t, made.ID)
	require.Contains(t, made.Secret, "whsec_")
	b.ask(t, http.MethodGet, "/subscriptions/"+made.ID, nil).decode(t, http.StatusOK, &shown)
	require.Empty(t, shown.Secret, "the secret is shown once")
	require.Equal(t, made.URL, shown.URL)
	var list struct {
		Subscriptions []subscription `json:"subscriptions"`
	}
	b.ask(t, http.MethodGet, "/subscriptions", nil).decode(t, http.StatusOK, &list)
	require.Contains(t, list.Subscriptions, shown)
	require.Equal(t, http.StatusNoContent, b.ask(t, http.MethodDelete, "/subscriptions/"+made.ID, nil).status)
	require.Equal(t, "NOT_FOUND", b.ask(t, http.MethodGet, "/subscriptions/"+made.ID, nil).outcome(t, http.StatusNotFound).Code)
	require.Equal(t, "ILLEGAL_ARGUMENT", b.ask(t, http.MethodPost, "/subscriptions", object{"url": "ftp://example.com"}).outcome(t, http.StatusBadRequest).Code)
}

func testQueries(t *testing.T, b *bus) {
	extID := newID("query")
	b.insert(t, waitsForAnna(extID))
	anna := b.visitor(t, extID, "anna")
	query := func(name string, question object, answer any) {
		question["customerCode"] = customerCode
		question["enveExtId"] = extID
		reply, err := b.conn.Request("qry.demo.ERP."+name, encode(t, question), waitTime)
		require.NoError(t, err)
		require.NoErrorf(t, json.Unmarshal(reply.Data, answer), "%s", reply.Data)
	}
	var status struct {
		Status string `json:"status"`
		Name   string `json:"name"`
	}
	query("status", object{}, &status)
	require.Equal(t, "PGS", status.Status)
	var envelope found
	query("findEnvelope", object{"externalSystemCode": "ERP", "withDocBytes": true}, &envelope)
	require.Equal(t, contractPDF, envelope.Documents[0].Bytes)
	var url struct {
		URL string `json:"url"`
	}
	query("url", object{"usrExtId": "anna"}, &url)
	require.Equal(t, anna.url, url.URL)
	var refused outcome
	reply, err := b.conn.Request("qry.demo.ERP.status", encode(t, object{"customerCode": customerCode, "enveExtId": "none"}), waitTime)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(reply.Data, &refused))
	require.Equal(t, "ENVELOPE_NOT_FOUND", refused.Code)
}

func testUnauthorised(t *testing.T, b *bus) {
	for _, header := range [][]string{nil, {"Authorization", "Bearer wrong"}, {"Authorization", "Basic ZGVtbw=="}} {
		a := call(t, http.MethodGet, b.api+proxy+"/subscriptions", nil, header...)
		require.Equal(t, "CUST_NOT_FOUND", a.outcome(t, http.StatusUnauthorized).Code)
	}
	require.Equal(t, "NOT_FOUND", call(t, http.MethodGet, b.api+"/legalbus/nothing", nil).outcome(t, http.StatusNotFound).Code)
}

func testDescriptions(t *testing.T, b *bus) {
	for path, text := range map[string]string{
		"/openapi.yaml": "openapi: 3.1", "/asyncapi.yaml": "asyncapi: 3.", "/metrics": "signbus_commands_accepted_total", "/healthz": "ok",
	} {
		a := call(t, http.MethodGet, b.api+path, nil)
		require.Equal(t, http.StatusOK, a.status)
		require.Contains(t, string(a.body), text)
	}
	require.Contains(t, string(call(t, http.MethodGet, b.book+"/pki/tsa.pem", nil).body), "BEGIN CERTIFICATE")
}

// testCommandsInOrder gives commands without waiting for the ones before.
func testCommandsInOrder(t *testing.T, b *bus) {
	extID := newID("order")
	draft := waitsForAnna(extID)
	envelopeOf(draft)["sendingMode"] = "DRF"
	body := object{"customerCode": customerCode, "usrExtId": "segr", "enveExtId": extID}
	b.publish(t, queueInsert, draft, "Signbus-Operation-Id", extID+"-1")
	for i, command := range []string{"sendEnvelope", "cancelEnvelope", "deleteEnvelope"} {
		b.publish(t, "cmd.demo.ERP."+command, body, "Signbus-Operation-Id", extID+"-"+itoa(i+2))
	}
	b.publish(t, queueInsert, waitsForAnna(extID), "Signbus-Operation-Id", extID+"-5")
	for i := range 4 {
		require.Equal(t, "OK", b.outcomeOf(t, extID+"-"+itoa(i+1)).ReturnStatus.Code)
	}
	// The externalId of a deleted envelope stays taken.
	require.Equal(t, "return_status_envelope_already_exists", b.outcomeOf(t, extID+"-5").ReturnStatus.Code)
	ends := b.trail.all(t, of(extID, "operation.done"))
	require.Len(t, ends, 5)
	for i, e := range ends {
		require.Equal(t, extID+"-"+itoa(i+1), e.Operation)
	}
}

func testOtherCase(t *testing.T, b *bus) {
	lower := newID("case")
	upper := strings.ToUpper(lower)
	b.insert(t, waitsForAnna(lower))
	require.Equal(t, http.StatusNotFound, b.find(t, upper, false).status)
	b.insert(t, waitsForAnna(upper))
	require.Equal(t, upper, b.get(t, upper).ExternalID)
}
