package e2e

import (
	"net/http"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// testStop stops every process in the middle of the work and starts them again: they end
// well and in time, and everything goes on.
func testStop(t *testing.T, b *bus) {
	const envelopes = 30
	waiting := newID("stop")
	b.insert(t, waitsForAnna(waiting))
	anna := b.visitor(t, waiting, "anna")
	var extIDs []string
	for range envelopes {
		extID := newID("stop")
		extIDs = append(extIDs, extID)
		require.Equal(t, "OK", b.put(t, proxy, signedByBruno(extID)).outcome(t, http.StatusOK).Code)
	}
	b.ended(t, extIDs[0])
	var services []*process
	for _, p := range b.processes {
		if p.name != "nats-server" {
			services = append(services, p)
			require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
		}
	}
	for _, p := range services {
		p.gone(t)
	}
	for _, p := range services {
		p.start(t)
	}
	for _, p := range services {
		p.ready(t)
	}
	for _, extID := range extIDs {
		b.ended(t, extID)
		require.Equal(t, "WKD", b.status(t, extID))
	}
	anna.sign(t)
	b.ended(t, waiting)
}
