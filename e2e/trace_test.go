package e2e

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// testTraces: the trace that a caller began is in every event, and goes on to the webhooks.
func testTraces(t *testing.T, b *bus) {
	r := b.receive(t, "binary", nil)
	queued, overREST := newID("trace"), newID("trace")
	const first, second = "4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c"
	b.publish(t, queueInsert, signedByBruno(queued), "traceparent", "00-"+first+"-00f067aa0ba902b7-01")
	a := b.put(t, direct, signedByBruno(overREST), "traceparent", "00-"+second+"-b7ad6b7169203331-01")
	require.Equal(t, "OK", a.outcome(t, http.StatusOK).Code)
	for extID, trace := range map[string]string{queued: first, overREST: second} {
		b.ended(t, extID)
		events := b.trail.all(t, of(extID))
		require.Len(t, events, 5)
		for _, e := range events {
			require.Regexpf(t, "^00-"+trace+"-[0-9a-f]{16}-01$", e.Header["ce-traceparent"], "%s", e.Type)
		}
		for _, m := range r.wait(t, extID, 5) {
			require.Regexp(t, "^00-"+trace+"-[0-9a-f]{16}-01$", m.Headers["traceparent"])
		}
	}
}
