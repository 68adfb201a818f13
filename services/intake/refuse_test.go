package intake_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/blob"
	"signbus.dev/pkg/bus/bustest"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/store/storetest"
	"signbus.dev/pkg/subjects"
	"signbus.dev/services/intake"
)

// bad is a request that is refused with a code and a sentence, by queue and over HTTP.
type bad struct {
	body     []byte
	code     contract.Code
	sentence string
}

// badInserts are the published invalid examples, and what only this service can know.
func badInserts(t *testing.T) map[string]bad {
	t.Helper()
	all := map[string]bad{
		"empty":                   {nil, contract.CodeIllegalArgument, "malformed JSON at line 1, column 1"},
		"not JSON":                {[]byte("<insertEnvelope/>"), contract.CodeIllegalArgument, "malformed JSON"},
		"a list":                  {[]byte("[]"), contract.CodeIllegalArgument, "must be a JSON object"},
		"another's customerCode":  {encode(t, insert("E-1", func(r, _, _ tree) { r["customerCode"] = "nobody's" })), contract.CodeCustNotFound, "customerCode: no customer has this customerCode"},
		"expired customer":        {encode(t, insert("E-1", func(r, _, _ tree) { r["customerCode"] = "gone-secret" })), contract.CodeProductExpired, "has expired"},
		"bytes that are a number": {encode(t, insert("E-1", func(_, _, d tree) { d["bytes"] = 7 })), contract.CodeIllegalArgument, "envelope.documents[0].bytes"},
		"bytes that are empty":    {encode(t, insert("E-1", func(_, _, d tree) { d["bytes"] = "" })), contract.CodeIllegalArgument, "envelope.documents[0].bytes: is missing"},
		"a second document that is not base64": {encode(t, insert("E-1", func(_, e, d tree) {
			e["documents"] = []any{d, tree{"externalId": "D-2", "title": "x", "mimeType": "application/pdf", "originalFname": "x.pdf", "bytes": "_"}}
		})), contract.CodeIllegalArgument, "envelope.documents[1].bytes: must be base64"},
		"too large a model": {encode(t, insert("E-1", func(_, e, _ tree) { e["note"] = strings.Repeat("x", contract.MaxModelBytes) })), contract.CodeTooLarge, "without its document"},
	}
	files, err := filepath.Glob("../../schemas/examples/invalid/*.expect.json")
	require.NoError(t, err)
	require.Greater(t, len(files), 80)
	for _, file := range files {
		expect, err := os.ReadFile(file)
		require.NoError(t, err)
		body, err := os.ReadFile(strings.TrimSuffix(file, ".expect.json") + ".json")
		require.NoError(t, err)
		var expected struct {
			Code contract.Code `json:"code"`
			Path string        `json:"path"`
		}
		require.NoError(t, json.Unmarshal(expect, &expected))
		all["example "+filepath.Base(file)] = bad{body, expected.Code, expected.Path}
	}
	return all
}

func TestBadInsertOverTheQueue(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		r := newRig(t, db, nil)
		cases := badInserts(t)
		for name, c := range cases {
			r.publish(t, "cmd.demo.ERP.insertEnvelope", name, c.body)
		}
		for range len(cases) {
			h := r.next(t)
			c, known := cases[h.op.ID]
			require.True(t, known, h.op.ID)
			require.Equal(t, subjects.WorkRefuse, h.subject, h.op.ID)
			require.Equal(t, c.code, h.refusal.Code, h.op.ID)
			require.Contains(t, h.refusal.Message, c.sentence, h.op.ID)
			require.Empty(t, h.refusal.EnvelopeID, h.op.ID)
			delete(cases, h.op.ID)
		}
		require.Empty(t, cases)
		r.leavesNothing(t)
		require.Equal(t, "illegal_argument", r.done(t, "demo", "not JSON").ReturnStatus.Code)
	})
}

func TestBadInsertOverHTTP(t *testing.T) {
	t.Parallel()
	r := onSQLite(t, nil)
	for name, c := range badInserts(t) {
		var in struct {
			Envelope struct {
				ExternalID string `json:"externalId"`
			} `json:"envelope"`
		}
		_ = json.Unmarshal(c.body, &in) // many cannot be read: then any path will do
		if in.Envelope.ExternalID == "" {
			in.Envelope.ExternalID = "E-1"
		}
		path := "/envelopes/" + url.PathEscape(in.Envelope.ExternalID)
		t.Log(name)
		r.put(t, direct+path, c.body).refusedWith(t, c.code, c.sentence)
		// On the way in chunks the documents are taken out; then a text beside one is doubled.
		if strings.Contains(name, "bytes-and-uri") {
			c.sentence = "twice"
		}
		r.chunked(t, proxy+path, c.body).refusedWith(t, c.code, c.sentence)
	}
	r.leavesNothing(t)
}

func TestBadCommandOverHTTP(t *testing.T) {
	t.Parallel()
	r := onSQLite(t, nil)
	large, _ := big(t, "E-1")
	for name, c := range map[string]struct {
		method, path, body string
		code               contract.Code
		sentence           string
	}{
		"id of another envelope in an insertion": {"PUT", "/envelopes/E-2", string(encode(t, insert("E-1"))), contract.CodeIllegalArgument, "envelope.externalId: must be the id in the path"},
		"id of another envelope in a command":    {"POST", "/envelopes/E-2/delete", string(encode(t, on("E-1"))), contract.CodeIllegalArgument, "enveExtId: must be the id in the path"},
		"unknown external system":                {"PUT", "/envelopes/E-1", string(encode(t, insert("E-1", func(r, _, _ tree) { r["externalSystemCode"] = "DMS" }))), contract.CodeIllegalArgument, "externalSystemCode: the customer has no such"},
		"command without a user":                 {"POST", "/envelopes/E-1/send", `{"customerCode":"demo-secret"}`, contract.CodeIllegalArgument, "usrExtId: is missing"},
		"command of nobody":                      {"POST", "/envelopes/E-1/cancel", `{"customerCode":"x","usrExtId":"segr"}`, contract.CodeCustNotFound, "no customer has"},
		"command of an expired customer":         {"POST", "/envelopes/E-1/delete", `{"customerCode":"gone-secret","usrExtId":"segr"}`, contract.CodeProductExpired, "expired"},
		"command with an unknown field":          {"POST", "/envelopes/E-1/delete", `{"customerCode":"demo-secret","usrExtId":"segr","why":"x"}`, contract.CodeIllegalArgument, "why: unknown field"},
		"command with documents":                 {"POST", "/envelopes/E-1/delete", string(large), contract.CodeIllegalArgument, "unknown field"},
		"command that is too large":              {"POST", "/envelopes/E-1/delete", strings.Repeat(" ", contract.MaxModelBytes) + "{}", contract.CodeTooLarge, "more than 1048576 bytes"},
		"query without a system":                 {"POST", "/envelopes/E-1", `{"customerCode":"demo-secret"}`, contract.CodeIllegalArgument, "externalSystemCode: is missing"},
		"other method":                           {"PATCH", "/envelopes/E-1", "{}", contract.CodeNotFound, "no such call"},
		"other path":                             {"PUT", "/envelope/E-1", "{}", contract.CodeNotFound, "no such call"},
		"no id":                                  {"PUT", "/envelopes/", "{}", contract.CodeNotFound, "no such call"},
	} {
		for _, api := range []string{direct, proxy} {
			t.Log(name)
			r.send(t, c.method, api+c.path, strings.NewReader(c.body)).refusedWith(t, c.code, c.sentence)
			r.send(t, c.method, api+c.path, io.MultiReader(strings.NewReader(c.body))).refusedWith(t, c.code, c.sentence)
		}
	}
	for _, key := range []string{strings.Repeat("x", 256), "a\tb"} {
		r.put(t, direct+"/envelopes/E-1", large, "Idempotency-Key", key).refusedWith(t, contract.CodeIllegalArgument, "Idempotency-Key")
	}
	r.leavesNothing(t)
}

func TestBadCommandOverTheQueue(t *testing.T) {
	t.Parallel()
	r := onSQLite(t, nil)
	for id, c := range map[string]struct {
		subject, body string
		code          contract.Code
		sentence      string
		extID         string
	}{
		"1": {"cmd.demo", "{}", contract.CodeIllegalArgument, "the subject must be cmd.<customer>.<external system>.<command>", ""},
		"2": {"cmd.demo.ERP", "{}", contract.CodeIllegalArgument, "the subject must be", ""},
		"3": {"cmd.demo.ERP.insertEnvelopes", "{}", contract.CodeIllegalArgument, "insertEnvelope, deleteEnvelope, cancelEnvelope, sendEnvelope", ""},
		"4": {"cmd.demo.ERP.insertEnvelope.x", string(encode(t, insert("E-1"))), contract.CodeIllegalArgument, "the subject must be", "E-1"},
		"5": {"cmd.demo.E$P.insertEnvelope", string(encode(t, insert("E-1"))), contract.CodeIllegalArgument, "the subject must be", "E-1"},
		"6": {"cmd.demo.DMS.deleteEnvelope", string(encode(t, on("E-1"))), contract.CodeIllegalArgument, "no such external system", "E-1"},
		"7": {"cmd.gone.ERP.deleteEnvelope", string(encode(t, on("E-1"))), contract.CodeProductExpired, "expired", "E-1"},
		"8": {"cmd.other.ERP.insertEnvelope", string(encode(t, insert("E-1"))), contract.CodeCustNotFound, "no customer has", "E-1"},
		"9": {"cmd.other.ERP.deleteEnvelope", string(encode(t, on("E-1"))), contract.CodeCustNotFound, "no customer has", "E-1"},
		"a": {"cmd.demo.ERP.deleteEnvelope", `{"enveExtId":"E-1","usrExtId":7}`, contract.CodeIllegalArgument, "usrExtId: must be a text", "E-1"},
		"b": {"cmd.demo.ERP.sendEnvelope", `{"enveExtId":`, contract.CodeIllegalArgument, "ends too early", ""},
	} {
		r.publish(t, c.subject, id, []byte(c.body))
		h := r.next(t)
		require.Equal(t, subjects.WorkRefuse, h.subject, c.subject)
		require.Equal(t, id, h.op.ID)
		require.Equal(t, c.code, h.refusal.Code, c.subject)
		require.Contains(t, h.refusal.Message, c.sentence, c.subject)
		require.Equal(t, c.extID, h.op.ExternalID, c.subject)
	}
	r.leavesNothing(t)
}

// Nobody can be told of a command that names no customer.
func TestCommandOfNoCustomerIsDead(t *testing.T) {
	t.Parallel()
	r := onSQLite(t, nil)
	for i, subject := range []string{"cmd.nobody.ERP.insertEnvelope", "cmd.d$mo.ERP.insertEnvelope"} {
		r.publish(t, subject, fmt.Sprint(i), encode(t, insert("E-1")))
		dead := r.Next(t, subjects.StreamDead, subjects.Dead(subjects.Intake), i+1)[i]
		require.Equal(t, subject, dead.Headers().Get(subjects.HeaderDeadSubject))
		require.Contains(t, dead.Headers().Get(subjects.HeaderDeadReason), "names no customer")
		require.Equal(t, fmt.Sprint(i), dead.Headers().Get(subjects.HeaderOperationID))
	}
	r.leavesNothing(t)
}

func TestBodyOverTheLimit(t *testing.T) {
	t.Parallel()
	request, _ := big(t, "E-1")
	for _, limit := range []int64{1000, 100_000, int64(len(request)) - 1} {
		r := onSQLite(t, func(o *intake.Options) { o.MaxBody = limit })
		sentence := fmt.Sprintf("more than %d bytes", limit)
		r.put(t, direct+"/envelopes/E-1", request).refusedWith(t, contract.CodeTooLarge, sentence)
		r.chunked(t, direct+"/envelopes/E-1", request).refusedWith(t, contract.CodeTooLarge, sentence)
		r.send(t, http.MethodPost, proxy+"/documents", bytes.NewReader(request), "Authorization", bearer).refusedWith(t, contract.CodeTooLarge, sentence)
		r.leavesNothing(t)
	}
	r := onSQLite(t, func(o *intake.Options) { o.MaxBody = int64(len(request)) })
	require.Equal(t, http.StatusOK, r.chunked(t, direct+"/envelopes/E-1", request).status)
}

// A caller that hangs up, or breaks the rules of HTTP, in the middle of a document.
func TestBrokenOffBody(t *testing.T) {
	t.Parallel()
	r := onSQLite(t, nil)
	request, _ := big(t, "E-1")
	half := string(request[:len(request)/2])
	for name, rest := range map[string]string{
		"shorter than said": fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(request), half),
		"chunk broken off":  fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s", len(request), half),
		"no chunk":          fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\nnonsense\r\n", len(half), half),
		"chunks end early":  fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(half), half),
		"small and short":   fmt.Sprintf("Content-Length: %d\r\n\r\n%s", 1000, half[:100]),
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
		require.NoError(t, err)
		_, err = io.WriteString(conn, "PUT "+direct+"/envelopes/E-1 HTTP/1.1\r\nHost: bus\r\nConnection: close\r\n"+rest)
		require.NoError(t, err)
		require.NoError(t, conn.(*net.TCPConn).CloseWrite())
		answer, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		require.Contains(t, string(answer), "400 Bad Request", name)
		require.Contains(t, string(answer), "ends too early", name)
	}
	bustest.Eventually(t, func() bool { return len(r.files(t)) == 0 }, "what came is removed")
	r.leavesNothing(t)
}

// The queue is full, or NATS is away: nothing is said to be taken in charge.
func TestCommandThatIsNotTaken(t *testing.T) {
	t.Parallel()
	r := onSQLite(t, nil)
	require.NoError(t, r.JS.DeleteStream(t.Context(), subjects.StreamWork))
	a := r.put(t, proxy+"/envelopes/E-1", encode(t, insert("E-1")))
	a.refusedWith(t, contract.CodeUnavailable, "send it again with the same Idempotency-Key")
	require.Equal(t, "1", a.header.Get("Retry-After"))
}

// faulty is a blob store whose Put can be made to fail.
type faulty struct {
	blob.Store
	put func() error
}

func (f faulty) Put(ctx context.Context, scope blob.Scope, r io.Reader, limit int64) (blob.Ref, error) {
	if err := f.put(); err != nil {
		return blob.Ref{}, err
	}
	return f.Store.Put(ctx, scope, r, limit)
}

func TestCommandWaitsForTheBlobStore(t *testing.T) {
	t.Parallel()
	var tries atomic.Int32
	r := onSQLite(t, func(o *intake.Options) {
		o.Blobs = faulty{o.Blobs, func() error {
			if tries.Add(1) < 3 {
				return errors.New("disk full")
			}
			return nil
		}}
	})
	r.publish(t, "cmd.demo.ERP.insertEnvelope", "", encode(t, insert("E-1")))
	handsOver(t, r, pdf)
	require.EqualValues(t, 3, tries.Load())
	request, _ := big(t, "E-2")
	tries.Store(0)
	r.put(t, direct+"/envelopes/E-2", request).refusedWith(t, contract.CodeUnavailable, "try again")
	require.Len(t, r.files(t), 1)
}

// A command that cannot be handled at all ends as well, and the operator finds it. It
// takes its eight tries.
func TestCommandThatCannotBeHandledEnds(t *testing.T) {
	t.Parallel()
	r := onSQLite(t, func(o *intake.Options) {
		o.Blobs = faulty{o.Blobs, func() error { panic("bug") }}
	})
	r.publish(t, "cmd.demo.ERP.insertEnvelope", "op-1", encode(t, insert("E-1")))
	h := r.next(t)
	require.Equal(t, contract.CodeError, h.refusal.Code)
	require.Equal(t, "E-1", h.refusal.Operation.ExternalID)
	require.Contains(t, h.refusal.Message, "dead letters")
	dead := r.Next(t, subjects.StreamDead, subjects.Dead(subjects.Intake), 1)[0]
	require.Equal(t, "op-1", dead.Headers().Get(subjects.HeaderOperationID))
	require.Equal(t, "error", r.done(t, "demo", "op-1").ReturnStatus.Code)
	r.leavesNothing(t)
}

// The same over HTTP, where commands are prepared in goroutines of their own.
func TestHTTPCommandThatCannotBeHandledEnds(t *testing.T) {
	t.Parallel()
	r := onSQLite(t, func(o *intake.Options) {
		o.Blobs = faulty{o.Blobs, func() error { panic("bug") }}
	})
	r.put(t, proxy+"/envelopes/E-1", encode(t, insert("E-1")))
	h := r.next(t)
	require.Equal(t, contract.CodeError, h.refusal.Code)
	require.Equal(t, "E-1", h.refusal.Operation.ExternalID)
	r.leavesNothing(t)
}
