package intake_test

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/bus/bustest"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/store/storetest"
	"signbus.dev/pkg/subjects"
	"signbus.dev/services/intake"
)

// handsOver requires that an insertion was handed over with its document as a blob and
// returns it.
func handsOver(t *testing.T, r *rig, content []byte) handover.Ingest {
	t.Helper()
	h := r.next(t)
	require.Equal(t, subjects.WorkIngest, h.subject, string(h.data))
	require.NotContains(t, string(h.data), base64.StdEncoding.EncodeToString(content)[:20], "bytes travel")
	ingest := decode[handover.Ingest](t, h.data)
	require.Len(t, ingest.Blobs, 1)
	require.Equal(t, handover.Blob{DocExternalID: "D-1", SHA256: digest(string(content)), Size: int64(len(content))}, ingest.Blobs[0])
	require.Empty(t, ingest.Envelope.Documents[0].Bytes)
	require.Empty(t, ingest.Envelope.Documents[0].URI)
	require.Contains(t, r.files(t), ingest.Operation.Customer+"/"+ingest.EnvelopeID+"/"+digest(string(content)))
	return ingest
}

func TestQueueInsert(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		r := newRig(t, db, nil)
		r.publish(t, "cmd.demo.ERP.insertEnvelope", "", encode(t, insert("E-1")))
		ingest := handsOver(t, r, pdf)
		require.Equal(t, "demo", ingest.Operation.Customer)
		require.Equal(t, "ERP", ingest.Operation.System)
		require.Equal(t, "insertEnvelope", ingest.Operation.Command)
		require.Equal(t, "E-1", ingest.Operation.ExternalID)
		require.WithinDuration(t, time.Now(), ingest.Operation.AcceptedAt, time.Minute)
		require.Equal(t, contract.CodeOK.ReturnStatus(""), r.done(t, "demo", ingest.Operation.ID).ReturnStatus)
		require.Len(t, r.files(t), 1)

		var status contract.OperationStatus
		bustest.Eventually(t, func() bool {
			status = decode[contract.OperationStatus](t, r.send(t, http.MethodGet, proxy+"/operations/"+ingest.Operation.ID, nil, "Authorization", bearer).body)
			return status.Done
		}, "the outcome is recorded")
		require.Equal(t, "E-1", status.ExtID)
		require.Equal(t, "OK", status.ReturnStatus.Code)
	})
}

func TestProxyAnswersAtOnce(t *testing.T) {
	t.Parallel()
	r := onSQLite(t, nil)
	r.held.Store(true)
	a := r.put(t, proxy+"/envelopes/E%2F1", encode(t, insert("E/1")), "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	require.Equal(t, http.StatusOK, a.status, string(a.body))
	require.Equal(t, "OK", a.Code)
	ingest := handsOver(t, r, pdf)
	require.Equal(t, a.Message, ingest.Operation.ID)
	require.Equal(t, "E/1", ingest.Operation.ExternalID)
}

func TestTraceIsCarried(t *testing.T) {
	t.Parallel()
	r := onSQLite(t, nil)
	for _, id := range []string{"E-1", "E-1"} { // the second one waits for the first
		r.put(t, proxy+"/envelopes/"+id, encode(t, insert(id)), "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	}
	for range 2 {
		require.Contains(t, r.next(t).header.Get(subjects.HeaderTraceParent), "0af7651916cd43dd8448eb211c80319c")
	}
}

func TestDirectWaitsForTheOutcome(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		r := newRig(t, db, nil)
		a := r.put(t, direct+"/envelopes/E-1", encode(t, insert("E-1")))
		require.Equal(t, http.StatusOK, a.status, string(a.body))
		ingest := handsOver(t, r, pdf)
		require.Equal(t, contract.Outcome{Code: "OK", Message: ingest.Operation.ID}, a.Outcome)

		r.held.Store(true)
		answers := r.putAside(t, direct+"/envelopes/E-2", encode(t, insert("E-2")))
		r.finish(t.Context(), t, r.next(t).op, contract.CodeUserNotFound, "actorExpr: no user anna")
		(<-answers).refusedWith(t, contract.CodeUserNotFound, "no user anna")
	})
}

func TestDirectThatWaitsTooLong(t *testing.T) {
	t.Parallel()
	r := onSQLite(t, func(o *intake.Options) { o.Wait = 50 * time.Millisecond })
	r.held.Store(true)
	request := encode(t, insert("E-1"))
	a := r.put(t, direct+"/envelopes/E-1", request, "Idempotency-Key", "op-1")
	a.refusedWith(t, contract.CodeTimeout, "op-1")
	// The operation goes on, and the same call gets its outcome once it has one.
	op := r.next(t).op
	require.Equal(t, "op-1", op.ID)
	r.finish(t.Context(), t, op, contract.CodeEnvelopeAlreadyExists, "taken")
	bustest.Eventually(t, func() bool {
		a = r.put(t, direct+"/envelopes/E-1", request, "Idempotency-Key", "op-1")
		return a.status != http.StatusGatewayTimeout
	}, "the outcome comes")
	a.refusedWith(t, contract.CodeEnvelopeAlreadyExists, "taken")
	r.quiet(t)
}

// big returns a request beyond what goes on the queue as it came, and its document.
func big(t *testing.T, extID string, change ...func(request, envelope, document tree)) (request, content []byte) {
	t.Helper()
	content = bytes.Repeat([]byte("%PDF-1.6 ???\xff\xfe"), 50_000)
	change = append([]func(_, _, document tree){func(_, _, document tree) {
		document["bytes"] = base64.StdEncoding.EncodeToString(content)
	}}, change...)
	return encode(t, insert(extID, change...)), content
}

func TestLargeBodyIsStreamed(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		r := newRig(t, db, nil)
		request, content := big(t, "E-1", func(_, _, document tree) { document["uri"] = nil })
		request = bytes.ReplaceAll(request, []byte("/"), []byte(`\/`)) // as PHP writes it
		require.Greater(t, bytes.Count(request, []byte(`\/`)), 1000)
		for i, send := range []func(*testing.T, string, []byte, ...string) answer{r.put, r.chunked} {
			request := bytes.ReplaceAll(request, []byte("E-1"), []byte{'E', '-', '1' + byte(i)})
			a := send(t, direct+"/envelopes/E-"+string('1'+rune(i)), request)
			require.Equal(t, "OK", a.Code, string(a.body))
			handsOver(t, r, content)
			require.Len(t, r.files(t), i+1, "documents on their way are left behind")
		}
	})
}

func TestUploadedDocument(t *testing.T) {
	t.Parallel()
	r := onSQLite(t, nil)
	a := r.send(t, http.MethodPost, proxy+"/documents", strings.NewReader(string(pdf)), "Authorization", bearer)
	require.Equal(t, http.StatusCreated, a.status)
	uploaded := decode[contract.Uploaded](t, a.body)
	require.Equal(t, digest(string(pdf)), uploaded.SHA256)
	require.EqualValues(t, len(pdf), uploaded.Size)
	for _, id := range []string{"E-1", "E-2"} { // an upload can be used again
		r.publish(t, "cmd.demo.ERP.insertEnvelope", "", encode(t, insert(id, func(_, _, document tree) {
			delete(document, "bytes")
			document["uri"] = uploaded.URI
		})))
		handsOver(t, r, pdf)
	}
	require.Len(t, r.files(t), 3)
	r.quiet(t)

	// Another customer cannot use it, nor can anybody bend the uri.
	for name, c := range map[string]struct{ customer, uri string }{
		"of another customer": {"other", uploaded.URI},
		"with another size":   {"demo", uploaded.URI + "0"},
		"of another document": {"demo", strings.Replace(uploaded.URI, uploaded.SHA256, digest("else"), 1)},
		"of nowhere":          {"demo", "blob:up-nowhere/" + uploaded.SHA256 + "/17"},
	} {
		r.publish(t, "cmd."+c.customer+".ERP.insertEnvelope", name, encode(t, insert(name, func(request, _, document tree) {
			request["customerCode"] = c.customer + "-secret"
			delete(document, "bytes")
			document["uri"] = c.uri
		})))
		refusal := r.next(t).refusal
		require.Equal(t, name, refusal.Operation.ID)
		require.Equal(t, contract.CodeIllegalArgument, refusal.Code, name)
		require.Contains(t, refusal.Message, "envelope.documents[0].uri: no such upload", name)
	}
	require.Len(t, r.files(t), 3)
}

func TestSameOperationHasOneEffect(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		r := newRig(t, db, nil)
		request, content := big(t, "E-1")
		var answers []<-chan answer
		for range 6 {
			answers = append(answers, r.putAside(t, direct+"/envelopes/E-1", request, "Idempotency-Key", "op-1"))
		}
		for _, aside := range answers {
			a := <-aside
			require.Equal(t, contract.Outcome{Code: "OK", Message: "op-1"}, a.Outcome, string(a.body))
		}
		handsOver(t, r, content)
		r.quiet(t)
		require.Len(t, r.files(t), 1, "the repetitions left documents behind")

		r.stop()
		r.start(t)
		a := r.put(t, direct+"/envelopes/E-1", request, "Idempotency-Key", "op-1")
		require.Equal(t, contract.Outcome{Code: "OK", Message: "op-1"}, a.Outcome, string(a.body))
		other, _ := big(t, "E-1", func(_, envelope, _ tree) { envelope["subject"] = "Another" })
		for _, api := range []string{direct, proxy} {
			r.put(t, api+"/envelopes/E-1", other, "Idempotency-Key", "op-1").refusedWith(t, contract.CodeOperationIDReused, "new id")
		}
		r.quiet(t)
		require.Len(t, r.files(t), 1, "the repetitions left documents behind")
	})
}

func TestQueueKnowsTheOperationAgain(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		r := newRig(t, db, nil)
		for range 3 {
			r.publish(t, "cmd.demo.ERP.insertEnvelope", "op-1", encode(t, insert("E-1")))
		}
		first := handsOver(t, r, pdf).Operation
		r.quiet(t)
		r.publish(t, "cmd.demo.ERP.insertEnvelope", "op-1", encode(t, insert("E-2")))
		refusal := r.next(t).refusal
		require.Equal(t, contract.CodeOperationIDReused, refusal.Code)
		require.Equal(t, "op-1", refusal.Operation.ID)
		require.NotEqual(t, first.Key, refusal.Operation.Key)
		// Another customer's op-1 is another operation.
		r.publish(t, "cmd.other.ERP.insertEnvelope", "op-1", encode(t, insert("E-1", func(request, _, _ tree) { request["customerCode"] = "other-secret" })))
		require.Equal(t, "other", handsOver(t, r, pdf).Operation.Customer)
		require.Len(t, r.files(t), 2)
	})
}

// Two payloads under one id, neither known when the other comes: one is refused, and its
// caller does not get the outcome of the other.
func TestSameIDForTwoOperationsAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		r := newRig(t, db, nil)
		r.held.Store(true)
		one := r.putAside(t, direct+"/envelopes/E-1", encode(t, insert("E-1")), "Idempotency-Key", "op-1")
		two := r.putAside(t, direct+"/envelopes/E-2", encode(t, insert("E-2")), "Idempotency-Key", "op-1")
		effects, refused := 0, 0
		count := func(a answer) {
			if a.Code != "OK" {
				a.refusedWith(t, contract.CodeOperationIDReused, "new id")
				refused++
			}
		}
		for ended := 0; ended < 2; {
			select {
			case h := <-r.handed:
				code := contract.CodeOK
				if h.subject == subjects.WorkRefuse {
					code = h.refusal.Code
					require.Equal(t, contract.CodeOperationIDReused, code)
				} else {
					effects++
				}
				r.finish(t.Context(), t, h.op, code, h.refusal.Message)
			case a := <-one:
				count(a)
				ended++
			case a := <-two:
				count(a)
				ended++
			case <-time.After(bustest.Patience):
				require.Fail(t, "a call is not answered")
			}
		}
		require.Equal(t, 1, effects)
		require.Equal(t, 1, refused)
	})
}

// The refusal of a namesake on the queue is not the outcome that a caller waits for.
func TestNamesakeIsNotTheOutcome(t *testing.T) {
	t.Parallel()
	r := onSQLite(t, nil)
	r.held.Store(true)
	waiting := r.putAside(t, direct+"/envelopes/E-1", encode(t, insert("E-1")), "Idempotency-Key", "op-1")
	first := r.next(t).op
	r.publish(t, "cmd.demo.ERP.insertEnvelope", "op-1", encode(t, insert("E-2")))
	namesake := r.next(t)
	require.Equal(t, contract.CodeOperationIDReused, namesake.refusal.Code)
	r.finish(t.Context(), t, namesake.op, namesake.refusal.Code, namesake.refusal.Message)
	require.Equal(t, "operation_id_reused", r.done(t, "demo", "op-1").ReturnStatus.Code)
	r.finish(t.Context(), t, first, contract.CodeOK, "")
	require.Equal(t, contract.Outcome{Code: "OK", Message: "op-1"}, (<-waiting).Outcome)
}

func TestEarlyCommandsWaitInOrder(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		r := newRig(t, db, nil)
		r.held.Store(true)
		r.publish(t, "cmd.demo.ERP.insertEnvelope", "1", encode(t, insert("E-1")))
		r.publish(t, "cmd.demo.ERP.deleteEnvelope", "2", encode(t, on("E-1")))
		r.publish(t, "cmd.demo.ERP.cancelEnvelope", "3", encode(t, on("E-1")))
		r.publish(t, "cmd.demo.ERP.sendEnvelope", "4", encode(t, on("E-1")))
		r.publish(t, "cmd.demo.ERP.sendEnvelope", "5", encode(t, on("E-2"))) // waits for nobody
		commands := map[string]string{"1": "insertEnvelope", "2": "deleteEnvelope", "3": "cancelEnvelope", "4": "sendEnvelope"}
		first, free := r.next(t), r.next(t)
		if first.op.ID == "5" {
			first, free = free, first
		}
		require.Equal(t, "1", first.op.ID)
		require.Equal(t, "5", free.op.ID)
		r.quiet(t)
		for _, id := range []string{"2", "3", "4"} {
			if id == "3" {
				r.stop()
			}
			r.finish(t.Context(), t, first.op, contract.CodeOK, "")
			if id == "3" {
				r.start(t)
			}
			first = r.next(t)
			require.Equal(t, id, first.op.ID)
			require.Equal(t, commands[id], first.op.Command)
			require.Equal(t, subjects.WorkCommand, first.subject)
			require.Equal(t, "segr", decode[handover.Command](t, first.data).User)
			r.quiet(t)
		}
	})
}

// A command that is refused waits for nobody and holds up nobody.
func TestRefusedCommandLeavesItsTurn(t *testing.T) {
	t.Parallel()
	r := onSQLite(t, nil)
	r.held.Store(true)
	r.publish(t, "cmd.demo.ERP.insertEnvelope", "1", encode(t, insert("E-1")))
	r.publish(t, "cmd.demo.ERP.deleteEnvelope", "2", []byte(`{"enveExtId":"E-1","customerCode":"demo-secret"}`))
	r.publish(t, "cmd.demo.ERP.deleteEnvelope", "3", encode(t, on("E-1")))
	first := r.next(t)
	refused := r.next(t)
	require.Equal(t, "2", refused.refusal.Operation.ID)
	require.Equal(t, "E-1", refused.refusal.Operation.ExternalID)
	r.finish(t.Context(), t, refused.op, refused.refusal.Code, "")
	r.finish(t.Context(), t, first.op, contract.CodeOK, "")
	require.Equal(t, "3", r.next(t).op.ID)
}

func TestCommandsOverHTTP(t *testing.T) {
	t.Parallel()
	r := onSQLite(t, nil)
	for path, command := range map[string]string{
		"/delete": "deleteEnvelope", "/delete/": "deleteEnvelope", "/cancel": "cancelEnvelope", "/send": "sendEnvelope",
	} {
		for _, api := range []string{direct, proxy} {
			a := r.send(t, http.MethodPost, api+"/envelopes/E%201"+path, strings.NewReader(`{"customerCode":"demo-old","usrExtId":"segr"}`), "Idempotency-Key", api+path)
			require.Equal(t, contract.Outcome{Code: "OK", Message: api + path}, a.Outcome, string(a.body))
			h := r.next(t)
			require.Equal(t, command, h.op.Command)
			require.Equal(t, "E 1", h.op.ExternalID)
			require.Equal(t, "segr", decode[handover.Command](t, h.data).User)
		}
	}
}

// The id in the header is the caller's; one that cannot be an id is replaced.
func TestOperationIDOfTheBus(t *testing.T) {
	t.Parallel()
	r := onSQLite(t, nil)
	msg := nats.NewMsg("cmd.demo.ERP.insertEnvelope")
	msg.Header.Set(subjects.HeaderOperationID, strings.Repeat("x", 256))
	msg.Data = encode(t, insert("E-1"))
	_, err := r.JS.PublishMsg(t.Context(), msg)
	require.NoError(t, err)
	require.Len(t, handsOver(t, r, pdf).Operation.ID, 26)
}
