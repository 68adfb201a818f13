package journal_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/bus/bustest"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/journal"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/store/storetest"
	"signbus.dev/pkg/subjects"
)

func open(t *testing.T, db *store.DB, b *bustest.Bus) *journal.Journal {
	t.Helper()
	require.NoError(t, bus.Migrate(t.Context(), db))
	require.NoError(t, journal.Migrate(t.Context(), db))
	return journal.New(db, b.Publisher, b.Log, time.Now, bus.NewID)
}

func event(chain string, n int) journal.Event {
	return journal.Event{
		Chain: chain, Type: contract.EventEnvelopeSent, Customer: "demo", System: "ERP", Subject: `Ünï "1" %`,
		OperationID: "op", Data: map[string]int{"n": n},
	}
}

func appendEvents(t *testing.T, db *store.DB, j *journal.Journal, events ...journal.Event) {
	t.Helper()
	require.NoError(t, db.Update(t.Context(), func(tx *store.Tx) error { return j.Append(t.Context(), tx, events...) }))
	j.Nudge()
}

func TestEventsComeOutInOrderAndVerify(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		b := bustest.Start(t)
		j := open(t, db, b)
		bustest.Go(t, j.Run)
		for i := range 20 {
			for _, chain := range []string{"a", "b"} {
				appendEvents(t, db, j, event(chain, 2*i), event(chain, 2*i+1))
			}
		}
		next := map[string]int{}
		for _, msg := range b.Next(t, subjects.StreamEvents, "evt.demo.ERP.envelope.sent", 80) {
			chain := msg.Headers().Get("Signbus-Envelope")
			require.Equal(t, fmt.Sprintf(`{"n":%d}`, next[chain]), string(msg.Data()))
			next[chain]++
			require.Equal(t, strconv.Itoa(next[chain]), msg.Headers().Get("ce-sequence"))
		}
		for _, chain := range []string{"a", "b"} {
			entries, err := journal.Read(t.Context(), db, chain, 0, 1000)
			require.NoError(t, err)
			require.Len(t, entries, 40)
			require.NoError(t, journal.Verify(entries))
		}
	})
}

func TestAChainIsReadInParts(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		j := open(t, db, bustest.Start(t))
		appendEvents(t, db, j, event("a", 0), event("a", 1), event("a", 2), event("a", 3))
		entries, err := journal.Read(t.Context(), db, "a", 1, 2)
		require.NoError(t, err)
		require.Len(t, entries, 2)
		require.EqualValues(t, 2, entries[0].Sequence)
		require.EqualValues(t, 3, entries[1].Sequence)
	})
}

func TestTamperingIsSeen(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		j := open(t, db, bustest.Start(t))
		appendEvents(t, db, j, event("a", 0), event("a", 1), event("a", 2))
		read := func() []journal.Entry {
			entries, err := journal.Read(t.Context(), db, "a", 0, 1000)
			require.NoError(t, err)
			return entries
		}
		require.NoError(t, journal.Verify(read()))
		for name, change := range map[string]func([]journal.Entry) []journal.Entry{
			"changed data":    func(e []journal.Entry) []journal.Entry { e[1].Data = json.RawMessage(`{"n":9}`); return e },
			"changed subject": func(e []journal.Entry) []journal.Entry { e[1].Subject = "x"; return e },
			"changed time":    func(e []journal.Entry) []journal.Entry { e[1].RecordedAt = e[1].RecordedAt.Add(time.Hour); return e },
			"moved boundary":  func(e []journal.Entry) []journal.Entry { e[1].Customer, e[1].System = "dem", "oERP"; return e },
			"missing":         func(e []journal.Entry) []journal.Entry { return append(e[:1], e[2:]...) },
			"missing first":   func(e []journal.Entry) []journal.Entry { return e[1:] },
			"swapped":         func(e []journal.Entry) []journal.Entry { e[0], e[1] = e[1], e[0]; return e },
		} {
			require.ErrorIs(t, journal.Verify(change(read())), journal.ErrBroken, name)
		}
	})
}

func TestAttributesAreEncodedAndDecoded(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, storetest.SQLite(t))
	b := bustest.Start(t)
	j := open(t, db, b)
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	ctx := bus.Extract(t.Context(), nats.Header{"traceparent": {parent}})
	require.NoError(t, db.Update(ctx, func(tx *store.Tx) error { return j.Append(ctx, tx, event("a", 0)) }))
	entries, err := journal.Read(t.Context(), db, "a", 0, 1000)
	require.NoError(t, err)
	msg, err := journal.Message(&entries[0])
	require.NoError(t, err)
	require.Equal(t, "%C3%9Cn%C3%AF%20%221%22%20%25", msg.Header.Get("ce-subject"))
	require.Equal(t, `Ünï "1" %`, journal.Attribute(msg.Header, "ce-subject"))
	require.Equal(t, parent, msg.Header.Get("ce-traceparent"))
	require.Equal(t, "op", msg.Header.Get("ce-operationid"))
}

func TestOperationsWithoutEnvelopeHaveNoSequence(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, storetest.SQLite(t))
	j := open(t, db, bustest.Start(t))
	chain := journal.OperationChain("k")
	appendEvents(t, db, j, event(chain, 0))
	entries, err := journal.Read(t.Context(), db, chain, 0, 1000)
	require.NoError(t, err)
	msg, err := journal.Message(&entries[0])
	require.NoError(t, err)
	require.Empty(t, msg.Header.Get("ce-sequence"))
}

func TestAppendIsPartOfTheTransaction(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		j := open(t, db, bustest.Start(t))
		require.ErrorIs(t, db.Update(t.Context(), func(tx *store.Tx) error {
			require.NoError(t, j.Append(t.Context(), tx, event("a", 0)))
			return context.Canceled
		}), context.Canceled)
		appendEvents(t, db, j, event("a", 1))
		entries, err := journal.Read(t.Context(), db, "a", 0, 1000)
		require.NoError(t, err)
		require.Len(t, entries, 1)
		require.EqualValues(t, 1, entries[0].Sequence)
	})
}
