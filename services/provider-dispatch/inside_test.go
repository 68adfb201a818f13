package providerdispatch

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/journal"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/store/storetest"
	"signbus.dev/services/provider-dispatch/process"
)

func TestEveryEventHasAPublicForm(t *testing.T) {
	t.Parallel()
	state := process.State{Envelope: process.Envelope{ExternalID: "E-1", ExpireAt: time.UnixMilli(1234)}}
	for want, event := range map[string]process.Event{
		`dev.signbus.envelope.sent {"enveExtId":"E-1"}`:                                                                               process.EnvelopeSent{By: "segr"},
		`dev.signbus.envelope.step.closed {"enveExtId":"E-1","stepNumber":2,"liveStatus":[]}`:                                         process.StepClosed{Step: 2, Last: true},
		`dev.signbus.envelope.status.changed {"enveExtId":"E-1","oldStatus":"PGS","newStatus":"WKD"}`:                                 process.StatusChanged{Old: "PGS", New: "WKD"},
		`dev.signbus.envelope.process.ended {"enveExtId":"E-1","notificationType":"VA_PROCESS_ENDED","documents":[],"liveStatus":[]}`: process.ProcessEnded{},
		`dev.signbus.envelope.rejected {"enveExtId":"E-1","usrExtId":"anna","note":"no","liveStatus":[]}`:                             process.EnvelopeRejected{By: handover.Actor{ExternalID: "anna"}, Note: "no"},
		`dev.signbus.envelope.cancelled {"enveExtId":"E-1","usrExtId":"segr","note":"wrong","code":"","liveStatus":[]}`:               process.EnvelopeCancelled{By: "segr", Note: "wrong"},
		`dev.signbus.envelope.cancelled {"enveExtId":"E-1","usrExtId":"","note":"broken","code":"bad_doc_format","liveStatus":[]}`:    process.EnvelopeCancelled{Note: "broken", Code: contract.CodeBadDocFormat},
		`dev.signbus.envelope.expired {"enveExtId":"E-1","expireAt":1234,"liveStatus":[]}`:                                            process.EnvelopeExpired{},
	} {
		kind, data, err := public(event, state)
		require.NoError(t, err)
		text, err := json.Marshal(data)
		require.NoError(t, err)
		require.Equal(t, want, string(kind)+" "+string(text))
	}
	_, _, err := public(nil, state)
	require.ErrorIs(t, err, errEvent)
}

func TestShortCodesAreShortAndDiffer(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		id := bus.NewID()
		for try := range 2 {
			code := shortCode(id, try)
			require.Len(t, code, 9)
			require.False(t, seen[code])
			require.Equal(t, code, shortCode(id, try))
			seen[code] = true
		}
	}
}

func TestATakenCodeIsNotGivenAgain(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		require.NoError(t, Migrate(t.Context(), db))
		insert := func(id, name string) (code string, inserted bool) {
			t.Helper()
			e := &envelope{ID: id, Customer: "demo", ExternalID: name, State: process.State{Schema: process.Schema}}
			require.NoError(t, db.Update(t.Context(), func(tx *store.Tx) (err error) {
				inserted, err = insertEnvelope(t.Context(), tx, e, contract.Envelope{})
				return err
			}))
			return e.Code, inserted
		}
		require.NoError(t, db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(t.Context(), `INSERT INTO dispatch_envelopes (id, customer, system, external_id, code, operation_id, trace_parent,
				request, state, status, expire_at, created_at, updated_at, revision) VALUES ('x', 'demo', '', 'X', $1, '', '', '{}', '{}', 'DRF', 0, 0, 0, 1)`, shortCode("e1", 0))
			return err
		}))
		code, inserted := insert("e1", "E-1")
		require.True(t, inserted)
		require.Equal(t, shortCode("e1", 1), code)
		_, inserted = insert("e2", "E-1")
		require.False(t, inserted)
	})
}

func TestAStateOfAnotherVersionIsLeftToIt(t *testing.T) {
	t.Parallel()
	e := envelope{ID: "e1"}
	err := e.decode([]byte(`{"schema":99}`))
	require.ErrorIs(t, err, process.ErrSchema)
	marked := reflect.TypeOf(errors.Unwrap(err))
	require.Equal(t, reflect.TypeOf(bus.Retry(nil)), marked, "tried for ever, never a dead letter")
	require.ErrorContains(t, err, "envelope e1")
}

func TestAJournalAnswerIsBounded(t *testing.T) {
	t.Parallel()
	entries := make([]journal.Entry, 5)
	for i := range entries {
		entries[i].Sequence, entries[i].Data = int64(i+1), make([]byte, journalBytes/2)
	}
	part := page("e1", entries, 0)
	require.Len(t, part.Entries, 2)
	require.True(t, part.More)
	part = page("e1", entries[4:], 0)
	require.Len(t, part.Entries, 1)
	require.False(t, part.More)
	entries[0].Data = make([]byte, 2*journalBytes)
	require.Len(t, page("e1", entries, 0).Entries, 1, "at least one, or the reader would never come to the end")
	require.Len(t, page("e1", entries[1:], 1).Entries, 1)
}
