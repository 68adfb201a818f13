package providerdispatch_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/store/storetest"
	"signbus.dev/pkg/subjects"
)

// TestEverythingTwiceIsOnce sends everything that the service was ever handed again, as
// after lost acknowledgements: first with the same message ids, twice, then as new
// messages with the same content, as after a sender that forgot what it had sent.
func TestEverythingTwiceIsOnce(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		r := newRig(t, db)
		refusal := handover.Refusal{
			Operation: r.operation(contract.CommandInsertEnvelope, "op-r", "E-9"), EnvelopeID: "e9", Code: contract.CodeBadDocFormat, Message: "send a PDF",
		}
		r.give(t,
			start(r.resolved("e1", "E-1", human(1, anna), task(2, handover.AutoSign, bruno), task(3, handover.Seal))),
			start(r.draft("e2", "E-2", human(1, anna, bruno))), start(r.draft("e3", "E-1")), refuse(refusal),
			start(r.resolved("e4", "E-4", human(1, carla))), message(subjects.WorkStart, map[string]any{"operation": r.operation("insertEnvelope", "op-p", "E-5"), "tasks": 1}),
			command(r.command(contract.CommandSendEnvelope, "op-s", "E-2")), command(r.command(contract.CommandCancelEnvelope, "op-c", "E-4")),
			command(r.command(contract.CommandDeleteEnvelope, "op-d", "E-8")),
		)
		r.quiet(t)
		before := r.everything(t)
		require.Contains(t, before, "op-e1 insertEnvelope=OK")
		require.Contains(t, before, "WKD")

		handed := slices.Concat(r.sent, r.neighbour.said())
		jobs := len(r.neighbour.given("e1"))
		for range 2 {
			r.stop()
			require.NoError(t, r.JS.DeleteStream(t.Context(), subjects.StreamWork)) // and with it the stream's own memory of ids
			require.NoError(t, bus.CreateStreams(t.Context(), r.JS, bus.Limits{QueueBytes: 64 << 20, EventsBytes: 64 << 20}))
			r.service, r.stop = r.start(t)
			require.NoError(t, r.Publisher.Publish(t.Context(), handed...))
			r.quiet(t)
			require.Equal(t, before, r.everything(t))
		}
		for i := range handed {
			handed[i].ID = "new-" + strconv.Itoa(i)
		}
		require.NoError(t, r.Publisher.Publish(t.Context(), handed...))
		r.quiet(t)
		require.Equal(t, before, r.everything(t))
		require.Len(t, r.neighbour.given("e1"), jobs, "no job was given again")
		for _, operation := range []string{"op-e1", "op-e2", "op-e3", "op-e4", "op-r", "op-p", "op-s", "op-c", "op-d"} {
			require.Equal(t, 1, r.ends(t, operation), operation)
		}
	})
}

// everything writes the journal and the states of all envelopes, to be compared.
func (r *rig) everything(t *testing.T) string {
	t.Helper()
	chains, err := r.db.Query(t.Context(), `SELECT DISTINCT chain FROM journal_entry ORDER BY chain`)
	names, err := store.Collect(chains, err, func(name *string, scan func(...any) error) error { return scan(name) })
	require.NoError(t, err)
	text := ""
	for _, name := range names {
		for _, e := range r.journal(t, name) {
			text += fmt.Sprintf("%s %d %s %s %s %x\n", name, e.Sequence, e.ID, e.OperationID, word(t, e), e.Hash)
		}
	}
	states, err := r.db.Query(t.Context(), `SELECT state FROM dispatch_envelopes ORDER BY id`)
	list, err := store.Collect(states, err, func(state *[]byte, scan func(...any) error) error { return scan(state) })
	require.NoError(t, err)
	for _, state := range list {
		text += string(state) + "\n"
	}
	return text
}
