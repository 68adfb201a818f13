package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf/pdftest"
)

// refusalTime bounds a refusal. It is no measurement: the machine may be busy.
const refusalTime = time.Minute

// refusal is a request that the bus must refuse.
type refusal struct {
	name string
	// request is an object, or the bytes of what is no JSON.
	request func(extID string) any
	// code is that of OperationDone, status that of the answer over REST.
	code   string
	status int
	// says is part of the sentence that says what to change.
	says string
}

// with changes the envelope of a request.
func with(change func(envelope object)) func(string) any {
	return func(extID string) any {
		r := signedByBruno(extID)
		change(envelopeOf(r))
		return r
	}
}

// onDocument is a request with another document.
func onDocument(document []byte) func(string) any {
	return with(func(e object) { e["documents"].([]object)[0]["bytes"] = document })
}

// onTasks is a request with other tasks.
func onTasks(tasks ...object) func(string) any {
	return with(func(e object) { e["procDef"] = object{"tasks": tasks} })
}

// rewritten is a request whose JSON text is changed.
func rewritten(old, text string) func(string) any {
	return func(extID string) any {
		data, err := json.Marshal(signedByBruno(extID))
		if err != nil || !bytes.Contains(data, []byte(old)) {
			panic("nothing to rewrite: " + old)
		}
		return bytes.Replace(data, []byte(old), []byte(text), 1)
	}
}

var (
	sign = action("S", compass(1, 9))
	// refusals are the bad input of the first issue.
	refusals = []refusal{
		{"malformed JSON", rewritten(`"subject":`, `"subject"`), "illegal_argument", 400, "JSON"},
		{"wrong type", rewritten(`"howMany":1`, `"howMany":"one"`), "illegal_argument", 400, "howMany"},
		{"unknown field", with(func(e object) { e["staRred"] = true }), "illegal_argument", 400, "staRred"},
		{"unknown customerCode", rewritten(`"demo-secret"`, `"nobody"`), "cust_not_found", 401, "customerCode"},
		{"unknown user", onTasks(human(1, "doraU", 1, sign)), "user_not_found", 422, "dora"},
		{"unknown role", onTasks(human(1, "77R", 1, sign)), "user_not_found", 422, "77"},
		{"unknown secretary", with(func(e object) { e["loadedByExtId"] = "dora" }), "user_not_found", 422, "dora"},
		{"not a PDF", onDocument([]byte("Dear Sir or Madam")), "bad_doc_format", 422, "PDF"},
		{"truncated PDF", onDocument(pdftest.Truncated()), "bad_doc_format", 422, "doc"},
		{"encrypted PDF", onDocument(pdftest.Encrypted()), "bad_doc_format", 422, "encrypted"},
		{"bomb", onDocument(pdftest.Bomb()), "bad_doc_format", 422, "doc"},
		{"no pages", onDocument(pdftest.ZeroPages()), "bad_doc_format", 422, "page"},
		{"too deep", onDocument(pdftest.DeepPages(20000)), "bad_doc_format", 422, "doc"},
		{"action on a document that is not there", onTasks(human(1, "annaU", 1, object{
			"docExternalId": "other", "type": "S", "mandatory": true, "appearance": compass(1, 9),
		})), "return_status_process_definition_error", 422, "docExternalId"},
		{"page out of range", onTasks(human(1, "annaU", 1, action("S", compass(4, 9)))), "illegal_argument", 400, "page"},
		{"no tasks", onTasks(), "return_status_process_definition_error", 422, "task"},
		{"howMany above the actors", onTasks(human(1, "annaU|brunoU", 3, sign)), "return_status_process_definition_error", 422, "howMany"},
		{"howMany above the members of a role", onTasks(human(1, "1R", 3, sign)), "return_status_process_definition_error", 422, "howMany"},
		{"not base64", with(func(e object) { e["documents"].([]object)[0]["bytes"] = "%%%%" }), "illegal_argument", 400, "base64"},
		{"not supported", with(func(e object) { e["trustLevelCode"] = "FEA" }), "not_supported", 422, "trustLevelCode"},
	}
)

func testRefusals(t *testing.T, b *bus) {
	for _, r := range refusals {
		t.Run(r.name, func(t *testing.T) {
			before := b.blobs(t)
			t.Run("queue", func(t *testing.T) { b.refusedOnQueue(t, r) })
			t.Run("REST", func(t *testing.T) { b.refusedOverREST(t, r) })
			b.nothingSince(t, before)
		})
	}
	t.Run("unknown external system", func(t *testing.T) { // on the queue the subject names it
		b.refusedOverREST(t, refusal{
			request: rewritten(`"externalSystemCode":"ERP"`, `"externalSystemCode":"CRM"`), code: "illegal_argument", status: 400, says: "externalSystemCode",
		})
	})
	t.Run("duplicate externalId", func(t *testing.T) { testDuplicate(t, b) })
	t.Run("body over the limit", func(t *testing.T) { testTooLarge(t, b) })
	t.Run("unreadable operation", func(t *testing.T) { testUnreadable(t, b) })
	t.Run("no customer", func(t *testing.T) { testDead(t, b) })
}

// blobs returns the files in which documents are kept.
func (b *bus) blobs(t testing.TB) map[string]bool {
	t.Helper()
	files := map[string]bool{}
	err := filepath.WalkDir(filepath.Join(b.data, "blobs"), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files[path] = true
		}
		return nil // what goes away while one looks is no fault
	})
	require.NoError(t, err)
	return files
}

// nothingSince waits until no file is left that was not there before.
func (b *bus) nothingSince(t testing.TB, before map[string]bool) {
	t.Helper()
	until(t, refusalTime, "no document is left behind", func() bool {
		for path := range b.blobs(t) {
			if !before[path] {
				return false
			}
		}
		return true
	})
}

func (b *bus) refusedOnQueue(t *testing.T, r refusal) {
	extID := newID("refused")
	operation := extID + "-operation"
	b.publish(t, queueInsert, r.request(extID), "Signbus-Operation-Id", operation)
	done := b.outcomeOf(t, operation)
	require.Equal(t, r.code, done.ReturnStatus.Code, done.ReturnStatus.Message)
	requireSentence(t, r, done.ReturnStatus.Message)
	require.Equal(t, "insertEnvelope", done.Command)
	b.notThere(t, extID)
}

func (b *bus) refusedOverREST(t *testing.T, r refusal) {
	for _, api := range []string{direct, proxy} {
		extID := newID("refused")
		body, raw := r.request(extID).([]byte)
		if !raw {
			body = encode(t, r.request(extID))
		}
		ctx, cancel := context.WithTimeout(t.Context(), refusalTime)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, b.api+api+"/envelopes/"+extID, bytes.NewReader(body))
		require.NoError(t, err)
		resp, err := httpClient.Do(req)
		require.NoError(t, err)
		var o outcome
		err = json.NewDecoder(resp.Body).Decode(&o)
		require.NoError(t, resp.Body.Close())
		require.NoError(t, err)
		if api == proxy && o.Code == "OK" { // found out later: the event tells
			done := b.outcomeOf(t, o.Message)
			require.Equal(t, r.code, done.ReturnStatus.Code)
			o = outcome{strings.ToUpper(done.ReturnStatus.Code), done.ReturnStatus.Message}
		} else {
			require.Equal(t, r.status, resp.StatusCode, "%s", o.Message)
		}
		require.Equal(t, strings.ToUpper(r.code), o.Code)
		requireSentence(t, r, o.Message)
		b.notThere(t, extID)
	}
}

// requireSentence requires that a refusal says what to change, and nothing that is secret
// or from the inside.
func requireSentence(t testing.TB, r refusal, message string) {
	t.Helper()
	require.Contains(t, message, r.says)
	require.Contains(t, message, " ", "a sentence, not a word")
	for _, inside := range []string{customerCode, "sql", "panic", "nats", ".go:", "/data/"} {
		require.NotContains(t, message, inside)
	}
}

// notThere requires that there is no envelope.
func (b *bus) notThere(t testing.TB, extID string) {
	t.Helper()
	require.Equal(t, "ENVELOPE_NOT_FOUND", b.find(t, extID, false).outcome(t, http.StatusNotFound).Code)
}

func testDuplicate(t *testing.T, b *bus) {
	extID := newID("twice")
	b.insert(t, waitsForAnna(extID))
	before := b.blobs(t)
	other := request(extID, pdftest.Sample(1, "Another text"), automatic(1, "brunoU", sign))
	b.publish(t, queueInsert, other, "Signbus-Operation-Id", extID+"-again")
	require.Equal(t, "return_status_envelope_already_exists", b.outcomeOf(t, extID+"-again").ReturnStatus.Code)
	require.Equal(t, "RETURN_STATUS_ENVELOPE_ALREADY_EXISTS", b.put(t, direct, other).outcome(t, http.StatusConflict).Code)
	b.nothingSince(t, before)
	require.Equal(t, contractPDF, b.get(t, extID).Documents[0].Bytes)
}

func testTooLarge(t *testing.T, b *bus) {
	before := b.blobs(t)
	extID := newID("refused")
	for _, api := range []string{direct, proxy} {
		a := b.put(t, api, request(extID, pdftest.Padded(maxBody), automatic(1, "brunoU", sign)))
		require.Equal(t, "TOO_LARGE", a.outcome(t, http.StatusRequestEntityTooLarge).Code)
	}
	a := b.ask(t, http.MethodPost, "/documents", make([]byte, maxBody+1))
	require.Equal(t, "TOO_LARGE", a.outcome(t, http.StatusRequestEntityTooLarge).Code)
	b.notThere(t, extID)
	b.nothingSince(t, before)
}

// testUnreadable: what names its customer is answered, however broken the rest is.
func testUnreadable(t *testing.T, b *bus) {
	for i, subject := range []string{"cmd.demo.ERP.insertEnvelop", "cmd.demo.ERP", "cmd.demo.CRM.insertEnvelope", "cmd.demo.ERP.insertEnvelope.twice"} {
		operation := newID("unreadable") + "-" + itoa(i)
		b.publish(t, subject, []byte("\x00\xff"), "Signbus-Operation-Id", operation)
		done := b.outcomeOf(t, operation)
		require.Equal(t, "illegal_argument", done.ReturnStatus.Code)
		require.Contains(t, done.ReturnStatus.Message, " ")
	}
	// Without an id the bus gives one.
	count := len(b.trail.all(t, func(e event) bool { return e.Type == "operation.done" }))
	b.publish(t, queueInsert, []byte{})
	ends := b.trail.wait(t, count+1, "the outcome of an empty command", func(e event) bool { return e.Type == "operation.done" })
	require.NotEmpty(t, ends[count].Operation)
}

// deadLetter is a message that could not be handled.
type deadLetter struct {
	Sequence uint64 `json:"sequence"`
	Service  string `json:"service"`
	Subject  string `json:"subject"`
	Reason   string `json:"reason"`
}

// testDead: what names no customer goes to the dead letters, with the reason.
func testDead(t *testing.T, b *bus) {
	stream, err := b.js.Stream(t.Context(), "DEAD")
	require.NoError(t, err)
	b.publish(t, "cmd.nobody.ERP.insertEnvelope", signedByBruno(newID("dead")), "Signbus-Operation-Id", "dead-operation")
	var dead *jetstream.RawStreamMsg
	until(t, refusalTime, "the dead letter", func() bool {
		dead, err = stream.GetLastMsgForSubject(t.Context(), "dead.intake")
		return err == nil
	})
	require.Equal(t, "cmd.nobody.ERP.insertEnvelope", dead.Header.Get("Signbus-Dead-Subject"))
	require.Contains(t, dead.Header.Get("Signbus-Dead-Reason"), "customer")
	require.Equal(t, "dead-operation", dead.Header.Get("Signbus-Operation-Id"))

	letters := func() []deadLetter {
		var list []deadLetter
		for line := range strings.Lines(b.signbus(t, "dead", "list", "--json").out) {
			var letter deadLetter
			require.NoError(t, json.Unmarshal([]byte(line), &letter))
			list = append(list, letter)
		}
		return list
	}
	list := letters()
	require.Len(t, list, 1)
	require.Equal(t, "intake", list[0].Service)
	require.Equal(t, dead.Header.Get("Signbus-Dead-Reason"), list[0].Reason)
	// Handed over again it dies again, since there is still no such customer.
	require.Contains(t, b.signbus(t, "dead", "redrive", itoa(int(list[0].Sequence))).out, "handed over again")
	until(t, refusalTime, "the dead letter comes back", func() bool {
		list = letters()
		return len(list) == 1 && list[0].Sequence > dead.Sequence
	})
	require.Equal(t, "cmd.nobody.ERP.insertEnvelope", list[0].Subject)
}
