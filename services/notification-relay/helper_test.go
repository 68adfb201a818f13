package relay_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/bus/bustest"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/guard"
	"signbus.dev/pkg/journal"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/store/storetest"
	relay "signbus.dev/services/notification-relay"
	"signbus.dev/services/notification-relay/webhook"
)

const (
	secret      = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	otherSecret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
)

// world is a bus, a database and the directory's bucket for one test.
type world struct {
	t       *testing.T
	bus     *bustest.Bus
	address string
	db      *store.DB
	kv      jetstream.KeyValue
	logs    *logBuffer
	cfg     relay.Config
}

// quick is a schedule for tests: five tries within a moment.
func quick() relay.Config {
	cfg := relay.Default()
	cfg.Schedule = webhook.Schedule{0, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond, 40 * time.Millisecond}
	cfg.Breaker.Failures = 1000
	cfg.Poll = 50 * time.Millisecond
	cfg.Lease = 5 * time.Minute // no machine is so busy that a try outlasts it
	return cfg
}

// each runs a test on both engines.
func each(t *testing.T, test func(w *world)) {
	t.Helper()
	t.Parallel()
	storetest.RunAddress(t, func(t *testing.T, address string) {
		t.Helper()
		t.Parallel()
		test(newWorld(t, address))
	})
}

func newWorld(t *testing.T, address string) *world {
	t.Helper()
	w := &world{t: t, bus: bustest.Start(t), address: address, logs: &logBuffer{}, cfg: quick()}
	w.open()
	kv, err := bus.OpenBucket(t.Context(), w.bus.JS, handover.BucketDirectory, 1)
	require.NoError(t, err)
	w.kv = kv
	return w
}

func (w *world) open() {
	w.t.Helper()
	w.db = storetest.Open(w.t, w.address)
	require.NoError(w.t, bus.Migrate(w.t.Context(), w.db))
	require.NoError(w.t, relay.Migrate(w.t.Context(), w.db))
}

// service makes a relay that may reach loopback over http.
func (w *world) service(instance string) *relay.Service {
	w.t.Helper()
	cfg := w.cfg
	return relay.New(relay.Options{
		DB: w.db, Conn: w.bus.Conn, JS: w.bus.JS, Publisher: w.bus.Publisher,
		Log:    slog.New(slog.NewJSONHandler(w.logs, nil)),
		Config: &cfg, Instance: instance,
		Client: webhook.NewClient(webhook.Options{
			Guard: guard.New(netip.MustParsePrefix("127.0.0.0/8")), AllowHTTP: true,
			ConnectTimeout: bustest.Patience, Timeout: bustest.Patience,
		}),
	})
}

// start runs a relay and waits until it knows the subscriptions.
func (w *world) start(instance string) (s *relay.Service, stop func()) {
	w.t.Helper()
	s = w.service(instance)
	stop = bustest.Go(w.t, s.Run)
	bustest.Eventually(w.t, s.Ready, "relay is ready")
	bustest.Eventually(w.t, func() bool {
		var l relay.List
		return bus.Call(w.t.Context(), w.bus.Conn, "notification-relay", "deliveries", relay.ListRequest{Customer: "demo"}, &l) == nil
	}, "relay answers calls")
	return s, stop
}

// subscribe publishes a subscription as the directory does.
func (w *world) subscribe(sub handover.Subscription) handover.Subscription {
	w.t.Helper()
	if sub.Customer == "" {
		sub.Customer = "demo"
	}
	if sub.Secrets == nil {
		sub.Secrets = []string{secret}
	}
	if sub.Mode == "" {
		sub.Mode = "structured"
	}
	data, err := json.Marshal(sub)
	require.NoError(w.t, err)
	_, err = w.kv.Put(w.t.Context(), subscriptionKey(sub), data)
	require.NoError(w.t, err)
	return sub
}

func subscriptionKey(sub handover.Subscription) string {
	return handover.KeySubscription + sub.Customer + "." + sub.ID
}

// entry is the n-th event of an envelope.
func entry(envelope string, n int64) journal.Entry {
	eventType := contract.EventEnvelopeStatusChanged
	if n == 1 {
		eventType = contract.EventEnvelopeSent
	}
	return journal.Entry{
		Chain: envelope, Sequence: n, ID: fmt.Sprintf("%s-%d", envelope, n), Type: eventType,
		Customer: "demo", System: "ERP", Subject: "C " + envelope, OperationID: "op-1",
		TraceParent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		RecordedAt:  time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC), Data: json.RawMessage(`{"enveExtId":"C"}`),
	}
}

// emit publishes events.
func (w *world) emit(entries ...journal.Entry) {
	w.t.Helper()
	msgs := make([]bus.Message, 0, len(entries))
	for i := range entries {
		msg, err := journal.Message(&entries[i])
		require.NoError(w.t, err)
		msgs = append(msgs, msg)
	}
	require.NoError(w.t, w.bus.Publisher.Publish(w.t.Context(), msgs...))
}

// count counts deliveries.
func (w *world) count(status relay.Status) int {
	w.t.Helper()
	var n int
	require.NoError(w.t, w.db.QueryRow(w.t.Context(), `SELECT COUNT(*) FROM relay_deliveries WHERE status = $1`, []any{string(status)}, &n))
	return n
}

func (w *world) waitFor(status relay.Status, n int) {
	w.t.Helper()
	bustest.Eventually(w.t, func() bool { return w.count(status) == n }, fmt.Sprintf("%d deliveries %s", n, status))
}

// number reads one number.
func (w *world) number(query string, args ...any) int64 {
	w.t.Helper()
	var n int64
	require.NoError(w.t, w.db.QueryRow(w.t.Context(), query, args, &n))
	return n
}

// list asks the relay over the bus, as the command does.
func (w *world) list(r relay.ListRequest) relay.List {
	w.t.Helper()
	if r.Customer == "" {
		r.Customer = "demo"
	}
	var list relay.List
	require.NoError(w.t, bus.Call(w.t.Context(), w.bus.Conn, "notification-relay", "deliveries", r, &list))
	return list
}

// got is a request that a receiver has seen.
type got struct {
	header http.Header
	body   []byte
}

func (g got) id() string { return g.header.Get("webhook-id") }

// receiver is an endpoint. Answer decides what it answers to its n-th request, from 1;
// 0 means 204.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	seen   []got
	answer func(n int, g got, w http.ResponseWriter)
}

func newReceiver(t *testing.T, answer func(n int, g got, w http.ResponseWriter)) *receiver {
	t.Helper()
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		g := got{header: req.Header.Clone(), body: body}
		r.mu.Lock()
		r.seen = append(r.seen, g)
		n := len(r.seen)
		r.mu.Unlock()
		if r.answer == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		r.answer(n, g, w)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) all() []got {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]got(nil), r.seen...)
}

func (r *receiver) ids() []string {
	var ids []string
	for _, g := range r.all() {
		ids = append(ids, g.id())
	}
	return ids
}

// logBuffer collects log lines.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
