package providerdispatch_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/bus/bustest"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/store/storetest"
	providerdispatch "signbus.dev/services/provider-dispatch"
)

func TestNewNeedsItsDependencies(t *testing.T) {
	t.Parallel()
	_, err := providerdispatch.New(providerdispatch.Options{})
	require.ErrorContains(t, err, "required")
}

// lines is a log that can be read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func TestEndsAreCountedAndLogged(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.Open(t, storetest.SQLite(t)))
	r.stop()
	reg, log := prometheus.NewRegistry(), &lines{}
	service, err := providerdispatch.New(providerdispatch.Options{
		DB: r.db, Conn: r.Conn, JS: r.JS, Publisher: r.Publisher, Log: slog.New(slog.NewJSONHandler(log, nil)),
		Now: r.clock.now, Registerer: reg,
	})
	require.NoError(t, err)
	bustest.Go(t, service.Run)
	insult := r.command("callHimNames", "op-x", "E-1")
	insult.User = "carla"
	r.give(t, start(r.resolved("e1", "E-1", human(1, anna))), start(r.draft("e2", "E-2")),
		command(r.command(contract.CommandDeleteEnvelope, "op-d", "E-9")), command(insult))
	r.quiet(t)
	require.NoError(t, r.neighbour.say(t.Context(), handover.Progress{
		Kind: handover.Rejected, Customer: "demo", EnvelopeID: "e1", Note: "too late",
		Assignment: r.neighbour.job(t, "e1", handover.JobOpen, "anna").Assignment,
	}))
	r.quiet(t)
	want := `# HELP signbus_envelopes_total Envelopes that have ended, by their last status.
# TYPE signbus_envelopes_total counter
signbus_envelopes_total{status="WKD"} 1
# HELP signbus_operations_total Operations that have ended, by command and outcome.
# TYPE signbus_operations_total counter
signbus_operations_total{code="OK",command="insertEnvelope"} 2
signbus_operations_total{code="envelope_not_found",command="deleteEnvelope"} 1
signbus_operations_total{code="not_supported",command="other"} 1
# HELP signbus_void_progress_total Reports of providers without effect, by reason.
# TYPE signbus_void_progress_total counter
signbus_void_progress_total{reason="ended"} 1
`
	names := []string{"signbus_envelopes_total", "signbus_operations_total", "signbus_void_progress_total"}
	bustest.Eventually(t, func() bool { // the report follows the commit
		return testutil.GatherAndCompare(reg, strings.NewReader(want), names...) == nil
	}, "everything is counted")

	text := log.String()
	for _, secret := range []string{"Anna", "Arno", "a contract", "too late", "callHimNames", "tomorrow"} {
		require.NotContains(t, text, secret)
	}
	ended := 0
	for line := range strings.Lines(text) {
		var entry map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &entry))
		if entry["msg"] == "envelope ended" {
			ended++
			require.Equal(t, "e1", entry["envelope"])
			require.Equal(t, "WKD", entry["status"])
		}
	}
	require.Equal(t, 1, ended)
	require.Equal(t, 4, strings.Count(text, `"msg":"operation done"`))
}

func TestOpenEnvelopesAreCountedAtTheStart(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.Open(t, storetest.SQLite(t)))
	r.give(t, start(r.resolved("e1", "E-1", human(1, carla))), start(r.resolved("e2", "E-2", human(1, anna))), start(r.draft("e3", "E-3")))
	r.quiet(t)
	r.stop()
	reg := prometheus.NewRegistry()
	service, err := providerdispatch.New(providerdispatch.Options{DB: r.db, Conn: r.Conn, JS: r.JS, Publisher: r.Publisher, Log: r.Log, Registerer: reg})
	require.NoError(t, err)
	bustest.Go(t, service.Run)
	want := `# HELP signbus_envelopes_open Envelopes that have not ended, by status; of all processes that share the database.
# TYPE signbus_envelopes_open gauge
signbus_envelopes_open{status="DRF"} 1
signbus_envelopes_open{status="PGS"} 1
`
	bustest.Eventually(t, func() bool {
		return testutil.GatherAndCompare(reg, strings.NewReader(want), "signbus_envelopes_open") == nil
	}, "the open envelopes are counted")
}
