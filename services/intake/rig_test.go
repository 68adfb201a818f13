package intake_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/blob"
	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/bus/bustest"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/journal"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/store/storetest"
	"signbus.dev/pkg/subjects"
	"signbus.dev/services/intake"
)

// rig is a running service among fakes of the rest of the bus.
type rig struct {
	*bustest.Bus
	db      *store.DB
	root    string
	options intake.Options
	// url is where the service answers; stop ends it, start begins it anew.
	url  string
	stop func()
	// held keeps the rest of the bus from ending operations by itself.
	held    atomic.Bool
	handed  chan handed
	journal *journal.Journal
}

// handed is what the service handed over.
type handed struct {
	subject string
	op      handover.Operation
	refusal handover.Refusal
	header  nats.Header
	data    []byte
}

// newRig starts the service with customers demo and other, and gone, who is disabled.
func newRig(t *testing.T, db *store.DB, change func(*intake.Options)) *rig {
	t.Helper()
	ctx := t.Context()
	require.NoError(t, bus.Migrate(ctx, db))
	require.NoError(t, journal.Migrate(ctx, db))
	require.NoError(t, intake.Migrate(ctx, db))
	r := &rig{Bus: bustest.Start(t), db: db, root: t.TempDir(), handed: make(chan handed, 1000)}
	blobs, err := blob.NewDir(r.root)
	require.NoError(t, err)
	r.options = intake.Options{DB: db, Conn: r.Conn, JS: r.JS, Publisher: r.Publisher, Blobs: blobs, Log: r.Log}
	if change != nil {
		change(&r.options)
	}
	r.putCustomers(t)
	r.journal = journal.New(db, r.Publisher, r.Log, time.Now, bus.NewID)
	bustest.Go(t, r.journal.Run)
	bustest.Go(t, func(ctx context.Context) error { return r.rest(ctx, t) })
	r.start(t)
	return r
}

// onSQLite is for tests in which the database plays no part.
func onSQLite(t *testing.T, change func(*intake.Options)) *rig {
	t.Helper()
	return newRig(t, storetest.Open(t, storetest.SQLite(t)), change)
}

func (r *rig) start(t *testing.T) {
	t.Helper()
	service := intake.New(r.options)
	stop := bustest.Go(t, service.Run)
	server := httptest.NewServer(service.Handler())
	t.Cleanup(server.Close)
	r.url, r.stop = server.URL, func() { server.Close(); stop() }
	bustest.Eventually(t, func() bool { return service.Ready(t.Context()) == nil }, "the service is ready")
}

func (r *rig) putCustomers(t *testing.T) {
	t.Helper()
	kv, err := bus.OpenBucket(t.Context(), r.JS, handover.BucketDirectory, 1)
	require.NoError(t, err)
	for _, c := range []handover.Customer{
		{ID: "demo", Systems: []string{"ERP", "CRM"}, Keys: []string{digest("demo-old"), digest("demo-secret")}},
		{ID: "other", Systems: []string{"ERP"}, Keys: []string{digest("other-secret")}},
		{ID: "gone", Systems: []string{"ERP"}, Keys: []string{digest("gone-secret")}, Disabled: true},
	} {
		_, err := kv.Put(t.Context(), handover.KeyCustomer+c.ID, encode(t, c))
		require.NoError(t, err)
	}
}

// rest is the rest of the bus: it takes what is handed over and ends each operation.
func (r *rig) rest(ctx context.Context, t *testing.T) error {
	consumer, err := r.JS.CreateConsumer(ctx, subjects.StreamWork, jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckExplicitPolicy, FilterSubjects: []string{subjects.WorkOf(subjects.DocumentStore), subjects.WorkOf(subjects.ProviderDispatch)},
	})
	if err != nil {
		return err
	}
	iter, err := consumer.Messages()
	if err != nil {
		return err
	}
	defer iter.Stop()
	for {
		msg, err := iter.Next(jetstream.NextContext(ctx))
		if err != nil {
			return ctx.Err()
		}
		h := handed{subject: msg.Subject(), header: msg.Headers(), data: msg.Data()}
		var loose struct {
			Operation handover.Operation `json:"operation"`
		}
		if err := json.Unmarshal(h.data, &loose); err != nil {
			return err
		}
		h.op = loose.Operation
		code, message := contract.CodeOK, ""
		if h.subject == subjects.WorkRefuse {
			if err := json.Unmarshal(h.data, &h.refusal); err != nil {
				return err
			}
			code, message = h.refusal.Code, h.refusal.Message
		}
		if !r.held.Load() {
			r.finish(ctx, t, h.op, code, message)
		}
		r.handed <- h
		if err := msg.Ack(); err != nil {
			return err
		}
	}
}

// finish ends an operation as provider-dispatch does.
func (r *rig) finish(ctx context.Context, t *testing.T, op handover.Operation, code contract.Code, message string) {
	t.Helper()
	if !subjects.ValidToken(op.System) {
		op.System = "unknown"
	}
	err := r.db.Update(ctx, func(tx *store.Tx) error {
		return r.journal.Append(ctx, tx, journal.Event{
			Chain: journal.OperationChain(op.Key), Type: contract.EventOperationDone, Customer: op.Customer, System: op.System,
			Subject: op.ExternalID, OperationID: op.ID,
			Data: contract.OperationDone{ID: op.ID, Command: contract.Command(op.Command), ExtID: op.ExternalID, ReturnStatus: code.ReturnStatus(message)},
		})
	})
	if err != nil && ctx.Err() == nil {
		t.Errorf("operation %s is not ended: %v", op.ID, err)
	}
	r.journal.Nudge()
}

// next waits for what is handed over next.
func (r *rig) next(t *testing.T) handed {
	t.Helper()
	select {
	case h := <-r.handed:
		return h
	case <-time.After(bustest.Patience):
		require.Fail(t, "nothing is handed over")
		return handed{}
	}
}

// quiet requires that nothing more is handed over, now that the queue is empty.
func (r *rig) quiet(t *testing.T) {
	t.Helper()
	bustest.Eventually(t, func() bool {
		for _, name := range []string{subjects.StreamCommands, subjects.StreamWork} {
			stream, err := r.JS.Stream(t.Context(), name)
			if err != nil || stream.CachedInfo().State.Msgs > 0 {
				return false
			}
		}
		return true
	}, "the queues are empty")
	require.Empty(t, r.handed)
}

// publish puts a command on the queue, as an external system does.
func (r *rig) publish(t *testing.T, subject, operationID string, data []byte) {
	t.Helper()
	msg := nats.NewMsg(subject)
	if operationID != "" {
		msg.Header.Set(subjects.HeaderOperationID, operationID)
	}
	msg.Data = data
	_, err := r.JS.PublishMsg(t.Context(), msg)
	require.NoError(t, err)
}

// done waits for the outcome of an operation in its own stream of events.
func (r *rig) done(t *testing.T, customer, id string) contract.OperationDone {
	t.Helper()
	consumer, err := r.JS.OrderedConsumer(t.Context(), subjects.StreamEvents, jetstream.OrderedConsumerConfig{FilterSubjects: []string{"evt." + customer + ".>"}})
	require.NoError(t, err)
	iter, err := consumer.Messages()
	require.NoError(t, err)
	defer iter.Stop()
	timer := time.AfterFunc(bustest.Patience, iter.Stop)
	defer timer.Stop()
	for {
		msg, err := iter.Next()
		require.NoError(t, err, "no outcome of operation %s", id)
		var done contract.OperationDone
		require.NoError(t, json.Unmarshal(msg.Data(), &done))
		if done.ID == id {
			return done
		}
	}
}

// answer is what came over HTTP.
type answer struct {
	contract.Outcome
	status int
	header http.Header
	body   []byte
}

// send calls the service over HTTP; a *strings.Reader goes with its length, any other
// reader in chunks.
func (r *rig) send(t *testing.T, method, path string, body io.Reader, headers ...string) answer {
	t.Helper()
	a, err := r.do(t.Context(), method, path, body, headers...)
	require.NoError(t, err)
	return a
}

// putAside is put while the test goes on.
func (r *rig) putAside(t *testing.T, path string, body []byte, headers ...string) <-chan answer {
	t.Helper()
	answers := make(chan answer, 1)
	go func() {
		a, err := r.do(t.Context(), http.MethodPut, path, strings.NewReader(string(body)), headers...)
		if err != nil {
			t.Errorf("put %s: %v", path, err)
		}
		answers <- a
	}()
	return answers
}

func (r *rig) do(ctx context.Context, method, path string, body io.Reader, headers ...string) (a answer, err error) {
	req, err := http.NewRequestWithContext(ctx, method, r.url+path, body)
	if err != nil {
		return a, err
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	a = answer{status: resp.StatusCode, header: resp.Header}
	a.body, err = io.ReadAll(resp.Body)
	_ = json.Unmarshal(a.body, &a.Outcome) // not every answer is one
	return a, err
}

func (r *rig) put(t *testing.T, path string, body []byte, headers ...string) answer {
	t.Helper()
	return r.send(t, http.MethodPut, path, strings.NewReader(string(body)), headers...)
}

// chunked sends without saying the length, so that the documents are taken out on the way.
func (r *rig) chunked(t *testing.T, path string, body []byte, headers ...string) answer {
	t.Helper()
	return r.send(t, http.MethodPut, path, io.MultiReader(bytes.NewReader(body)), headers...)
}

// refusedWith requires a refusal with a status, a code and a sentence.
func (a answer) refusedWith(t *testing.T, code contract.Code, sentence string) {
	t.Helper()
	require.Equal(t, code.API(), a.Code, string(a.body))
	require.Equal(t, code.HTTPStatus(), a.status)
	require.Contains(t, a.Message, sentence)
	require.Equal(t, "application/json", a.header.Get("Content-Type"))
}

// files lists every file in the blob store.
func (r *rig) files(t *testing.T) []string {
	t.Helper()
	var list []string
	require.NoError(t, fs.WalkDir(os.DirFS(r.root), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			list = append(list, path)
		}
		return err
	}))
	return list
}

// leavesNothing requires that neither a document nor a hand-over is left.
func (r *rig) leavesNothing(t *testing.T) {
	t.Helper()
	require.Empty(t, r.files(t))
	scopes, err := filepath.Glob(filepath.Join(r.root, "*", "*"))
	require.NoError(t, err)
	require.Empty(t, scopes)
	r.quiet(t)
}

const (
	proxy  = "/legalbus/services/v1"
	direct = "/gosign/services/v1"
	bearer = "Bearer demo-secret"
)

// pdf is the content of every document here; intake does not look into it.
var pdf = []byte("%PDF-1.6 contract")

type tree = map[string]any

// insert is a valid request to insert an envelope.
func insert(extID string, change ...func(request, envelope, document tree)) tree {
	document := tree{
		"externalId": "D-1", "title": "Contract", "mimeType": "application/pdf", "originalFname": "contract.pdf",
		"bytes": base64.StdEncoding.EncodeToString(pdf),
	}
	envelope := tree{
		"externalId": extID, "subject": "Contract", "loadedByExtId": "segr", "trustLevelCode": "DIGITAL_PDF",
		"sendingMode": "IMD", "sysGenerator": "ERP", "documents": []any{document},
		"commonMessage": tree{"subject": "Please sign", "text": "The contract"},
		"procDef": tree{"tasks": []any{tree{
			"type": "T", "order": 1, "actorExpr": "annaU", "action": "WRK", "howMany": 1, "certType": "I",
			"actionDefs": []any{tree{
				"docExternalId": "D-1", "type": "S", "mandatory": true,
				"appearance": tree{"compassAppearance": tree{"page": 1, "position": 1}},
			}},
		}}},
	}
	request := tree{"customerCode": "demo-secret", "externalSystemCode": "ERP", "envelope": envelope}
	for _, f := range change {
		f(request, envelope, document)
	}
	return request
}

// on is a command on an envelope.
func on(extID string) tree {
	return tree{"customerCode": "demo-secret", "usrExtId": "segr", "enveExtId": extID}
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return data
}

func decode[T any](t *testing.T, data []byte) (v T) {
	t.Helper()
	require.NoError(t, json.Unmarshal(data, &v), string(data))
	return v
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
