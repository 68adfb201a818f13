package providerdispatch_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/bus/bustest"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/store/storetest"
	"signbus.dev/pkg/subjects"
)

// TestTwoProcessesOnOneDatabase works on fifty envelopes of all kinds with two services
// at once, several senders, names that collide and envelopes that expire meanwhile.
func TestTwoProcessesOnOneDatabase(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, storetest.Postgres(t))
	r := newRig(t, db)
	r.start(t)
	const envelopes = 50
	// Commands on an envelope come in the round after its insertion, as intake would have it.
	var rounds [3][]bus.Message
	for i := range envelopes {
		id, name, round := fmt.Sprintf("e%02d", i), "E-"+strconv.Itoa(i), i%2
		resolved := r.resolved(id, name,
			human(1, anna, bruno), human(1, bruno), task(2, handover.AutoSign, carla), task(2, handover.Seal), human(3, anna))
		switch i % 5 {
		case 1:
			resolved.Tasks = []handover.Task{human(1, carla)} // waits for ever
			resolved.Envelope.ExpireAt = contract.MillisOf(r.clock.now().Add(time.Minute))
		case 2:
			resolved.Envelope.SendingMode = contract.SendDraft
			rounds[round+1] = append(rounds[round+1], command(r.command(contract.CommandSendEnvelope, "send-"+id, name)))
		case 3:
			rounds[round+1] = append(rounds[round+1], command(r.command(contract.CommandDeleteEnvelope, "delete-"+id, name)))
		case 4:
			rounds[round] = append(rounds[round], start(r.resolved("twin-"+id, name, human(1, anna))))
		}
		rounds[round] = append(rounds[round], start(resolved))
	}
	operations := 0
	for _, round := range rounds {
		var senders errgroup.Group
		for part := range slices.Chunk(round, 4) {
			operations += len(part)
			senders.Go(func() error { return r.Publisher.Publish(t.Context(), part...) })
		}
		require.NoError(t, senders.Wait())
		r.quiet(t)
	}
	r.clock.add(time.Hour)
	bustest.Eventually(t, func() bool { return r.count(t, `status = 'EXP'`) == envelopes/5 }, "envelopes have expired")
	r.quiet(t)

	require.Equal(t, envelopes, r.count(t, `1 = 1`))
	require.Zero(t, r.count(t, `status IN ('DRF', 'PGS')`))
	ids, err := db.Query(t.Context(), `SELECT id FROM dispatch_envelopes ORDER BY id`)
	names, err := store.Collect(ids, err, func(id *string, scan func(...any) error) error { return scan(id) })
	require.NoError(t, err)
	total := 0
	for _, id := range names {
		r.state(t, id)
		entries := r.journal(t, id)
		total += len(entries)
		require.Equal(t, contract.EventOperationDone, entries[0].Type, id)
	}
	r.requireOneEndEach(t, operations)
	r.requireStreamInOrder(t)
}

func (r *rig) count(t *testing.T, where string) (n int) {
	t.Helper()
	require.NoError(t, r.db.QueryRow(t.Context(), `SELECT COUNT(*) FROM dispatch_envelopes WHERE `+where, nil, &n))
	return n
}

// requireOneEndEach requires that the events tell exactly one end of so many operations.
func (r *rig) requireOneEndEach(t *testing.T, operations int) {
	t.Helper()
	ended := map[string]int{}
	for _, msg := range r.Next(t, subjects.StreamEvents, "evt.demo.ERP.operation.done", operations) {
		var data contract.OperationDone
		require.NoError(t, json.Unmarshal(msg.Data(), &data))
		ended[data.ID]++
		require.Equal(t, 1, ended[data.ID], data.ID)
	}
	require.Len(t, ended, operations)
	var told int
	require.NoError(t, r.db.QueryRow(t.Context(), `SELECT COUNT(*) FROM journal_entry WHERE event_type = $1`,
		[]any{string(contract.EventOperationDone)}, &told))
	require.Equal(t, operations, told)
}

// requireStreamInOrder requires that all journal entries are in the stream, each once and
// in the order of its envelope.
func (r *rig) requireStreamInOrder(t *testing.T) {
	t.Helper()
	var entries int
	require.NoError(t, r.db.QueryRow(t.Context(), `SELECT COUNT(*) FROM journal_entry`, nil, &entries))
	next := map[string]int{}
	for _, msg := range r.Next(t, subjects.StreamEvents, "evt.>", entries) {
		if sequence := msg.Headers().Get(subjects.HeaderCESequence); sequence != "" {
			envelope := msg.Headers().Get(subjects.HeaderEnvelope)
			next[envelope]++
			require.Equal(t, strconv.Itoa(next[envelope]), sequence, envelope)
		}
	}
	stream, err := r.JS.Stream(t.Context(), subjects.StreamEvents)
	require.NoError(t, err)
	info, err := stream.Info(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, entries, info.State.Msgs)
}
