package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// receiver is the HTTP server of a subscriber.
type receiver struct {
	subscription subscription
	mutex        sync.Mutex
	got          []message
	changed      chan struct{}
	// answer chooses the status of an answer; nil: 204 for all.
	answer func(m message) int
}

// receive subscribes a server to every event until the test ends.
func (b *bus) receive(t *testing.T, mode string, answer func(message) int) *receiver {
	t.Helper()
	r := &receiver{answer: answer, changed: make(chan struct{})}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	made := r.subscription
	b.ask(t, http.MethodPost, "/subscriptions", object{"url": server.URL, "mode": mode}).decode(t, http.StatusCreated, &made)
	r.mutex.Lock()
	r.subscription = made
	r.mutex.Unlock()
	t.Cleanup(func() {
		_, _ = tryCall(t, http.MethodDelete, b.api+proxy+"/subscriptions/"+r.subscription.ID, nil, bearer...)
	})
	return r
}

// ServeHTTP keeps what comes and answers as chosen.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	m := message{Headers: map[string]string{}, Body: string(body)}
	for name, values := range req.Header {
		m.Headers[strings.ToLower(name)] = values[0]
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	m.Secret = r.subscription.Secret
	status := http.StatusNoContent
	if r.answer != nil {
		status = r.answer(m)
	}
	r.got = append(r.got, m)
	close(r.changed)
	r.changed = make(chan struct{})
	if status == http.StatusTemporaryRedirect {
		w.Header().Set("Location", "/elsewhere")
	}
	w.WriteHeader(status)
}

// of returns the deliveries about an envelope so far.
func (r *receiver) of(t testing.TB, extID string) []message {
	t.Helper()
	r.mutex.Lock()
	defer r.mutex.Unlock()
	var found []message
	for _, m := range r.got {
		if subjectOf(t, m) == extID {
			found = append(found, m)
		}
	}
	return found
}

// subjectOf returns the envelope that a delivery is about.
func subjectOf(t testing.TB, m message) string {
	t.Helper()
	if subject, ok := m.Headers["ce-subject"]; ok {
		return subject
	}
	var structured struct {
		Subject string `json:"subject"`
	}
	require.NoError(t, json.Unmarshal([]byte(m.Body), &structured))
	return structured.Subject
}

// wait waits until n deliveries about an envelope have come.
func (r *receiver) wait(t testing.TB, extID string, n int) []message {
	t.Helper()
	until(t, waitTime, itoa(n)+" deliveries about "+extID, func() bool { return len(r.of(t, extID)) >= n })
	return r.of(t, extID)
}

// requireSigned checks the signature by hand, as Standard Webhooks describes it.
func requireSigned(t testing.TB, m message) {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Secret, "whsec_"))
	require.NoError(t, err)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(m.Headers["webhook-id"] + "." + m.Headers["webhook-timestamp"] + "." + m.Body))
	require.Equal(t, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)), m.Headers["webhook-signature"])
}

// idsOf returns the ids of events in order, without repetitions.
func idsOf(messages []message) []string {
	var ids []string
	for _, m := range messages {
		if !slices.Contains(ids, m.Headers["webhook-id"]) {
			ids = append(ids, m.Headers["webhook-id"])
		}
	}
	return ids
}

// idsInTrail returns the ids of the events of an envelope in order.
func (b *bus) idsInTrail(t testing.TB, extID string) []string {
	t.Helper()
	var ids []string
	for _, e := range b.trail.all(t, of(extID)) {
		ids = append(ids, e.ID)
	}
	return ids
}

func testWebhooks(t *testing.T, b *bus) {
	t.Run("both modes", func(t *testing.T) {
		receivers := map[string]*receiver{"binary": b.receive(t, "binary", nil), "structured": b.receive(t, "structured", nil)}
		extID := newID("webhook")
		b.insert(t, signedByBruno(extID))
		b.ended(t, extID)
		for mode, r := range receivers {
			messages := r.wait(t, extID, 5)
			require.Equal(t, b.idsInTrail(t, extID), idsOf(messages), "in order")
			_, js := javaScript(t, nil, messages)
			for i, m := range messages {
				requireSigned(t, m)
				wanted := b.trail.all(t, of(extID))[i]
				for _, read := range []cloudEvent{js[i], golang(t, m)} {
					require.Equal(t, wanted.ID, read.ID)
					require.Equal(t, "dev.signbus."+wanted.Type, read.Type)
					require.JSONEq(t, string(wanted.Data), string(read.Data))
				}
				require.Equal(t, mode == "structured", strings.HasPrefix(m.Headers["content-type"], "application/cloudevents+json"))
			}
		}
	})
	t.Run("an outage", func(t *testing.T) { testWebhookOutage(t, b) })
	t.Run("a redirect", func(t *testing.T) { testWebhookRedirect(t, b) })
	t.Run("a dead neighbour", func(t *testing.T) {
		dead := httptest.NewServer(http.NotFoundHandler())
		var gone subscription
		b.ask(t, http.MethodPost, "/subscriptions", object{"url": dead.URL}).decode(t, http.StatusCreated, &gone)
		dead.Close()
		alive := b.receive(t, "binary", nil)
		for range 3 {
			extID := newID("webhook")
			b.insert(t, signedByBruno(extID))
			alive.wait(t, extID, 5)
		}
		require.Equal(t, http.StatusNoContent, b.ask(t, http.MethodDelete, "/subscriptions/"+gone.ID, nil).status)
	})
}

// testWebhookOutage: what fails is tried again, with the same id, and nothing overtakes it.
func testWebhookOutage(t *testing.T, b *bus) {
	extID := newID("webhook")
	failures := 0
	r := b.receive(t, "binary", func(m message) int {
		if m.Headers["ce-subject"] == extID && m.Headers["ce-sequence"] == "2" && failures < 3 {
			failures++
			return http.StatusServiceUnavailable
		}
		return http.StatusOK
	})
	b.insert(t, signedByBruno(extID))
	b.ended(t, extID)
	messages := r.wait(t, extID, 8)
	require.Equal(t, b.idsInTrail(t, extID), idsOf(messages))
	require.Len(t, messages, 8)
	for i, attempt := range []string{"1", "2", "3", "4"} {
		m := messages[1+i]
		require.Equal(t, attempt, m.Headers["webhook-attempt"])
		require.Equal(t, messages[1].Headers["webhook-id"], m.Headers["webhook-id"])
		requireSigned(t, m)
	}
}

// testWebhookRedirect: a redirect is a failure, and nobody goes where it leads.
func testWebhookRedirect(t *testing.T, b *bus) {
	extID := newID("webhook")
	redirects := 0
	r := b.receive(t, "binary", func(m message) int {
		if m.Headers["ce-subject"] == extID && redirects < 2 {
			redirects++
			return http.StatusTemporaryRedirect
		}
		return http.StatusOK
	})
	b.insert(t, signedByBruno(extID))
	messages := r.wait(t, extID, 7)
	// Had a redirect been followed, the same attempt had come twice.
	for i, attempt := range []string{"1", "2", "3"} {
		require.Equal(t, attempt, messages[i].Headers["webhook-attempt"])
	}
}
