package providerdispatch_test

import (
	"encoding/json"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/bus/bustest"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/journal"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/store/storetest"
	"signbus.dev/pkg/subjects"
)

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestAnEnvelopeGoesFromInsertionToItsEnd(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		r := newRig(t, db)
		msg := start(r.resolved("e1", "E-1", human(1, anna), task(2, handover.AutoSign, bruno), task(3, handover.Seal)))
		msg.Header = nats.Header{subjects.HeaderTraceParent: {parent}}
		r.give(t, msg)
		r.quiet(t)

		require.Equal(t, "insertEnvelope=OK sent closed:0 closed:1 closed:2 PGS>WKD process.ended", r.words(t, "e1"))
		require.Equal(t, []string{"open:anna", "sign:anna#1:e1-v1", "sign:bruno#2:e1-v2", "sign:#3:e1-v3"}, r.neighbour.given("e1"))
		versions, discards := r.neighbour.kept()
		require.Empty(t, discards)
		require.Len(t, versions, 3)
		for i, v := range versions {
			require.Equal(t, i+2, v.Version)
			require.Equal(t, "demo", v.Customer)
			require.Equal(t, "e1-v"+strconv.Itoa(i+2), v.Document.SHA256)
		}

		entries := r.journal(t, "e1")
		published := r.Next(t, subjects.StreamEvents, "evt.demo.ERP.>", len(entries))
		for i, e := range entries {
			require.Equal(t, "op-e1", e.OperationID, "the insertion is the cause")
			require.Equal(t, parent, e.TraceParent)
			require.Equal(t, e.ID, published[i].Headers().Get(subjects.HeaderCEID))
			require.Equal(t, strconv.Itoa(i+1), published[i].Headers().Get(subjects.HeaderCESequence))
			require.Equal(t, "E-1", journal.Attribute(published[i].Headers(), subjects.HeaderCESubject))
		}
		var ended contract.EnvelopeProcessEnded
		require.NoError(t, json.Unmarshal(entries[6].Data, &ended))
		require.Equal(t, "E-1", ended.EnveExtID)
		require.Equal(t, contract.NotifySignProcessEnded, ended.NotificationType)
		require.Equal(t, []contract.EndedDocument{{
			DocExternalID: "d1", Title: "Contract", OriginalFname: "contract.pdf", MimeType: "application/pdf",
			SHA256: "e1-v4", Size: 1300, Version: 4, Signatures: 3,
		}}, ended.Documents)
		require.Len(t, ended.LiveStatus, 3)
		for _, share := range ended.LiveStatus {
			require.Equal(t, contract.LiveWorked, share.Status)
		}
		var closed contract.EnvelopeStepClosed
		require.NoError(t, json.Unmarshal(entries[2].Data, &closed))
		require.Equal(t, []contract.LiveStatus{contract.LiveWorked, contract.LiveToConfirm, contract.LiveNew},
			[]contract.LiveStatus{closed.LiveStatus[0].Status, closed.LiveStatus[1].Status, closed.LiveStatus[2].Status},
			"the live status is that after the whole input")
	})
}

func TestARejectionEndsTheEnvelope(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		r := newRig(t, db)
		r.neighbour.set("bruno", handover.Rejected)
		r.give(t, start(r.resolved("e1", "E-1", human(1, carla), human(1, bruno), human(2, anna))))
		r.quiet(t)
		require.Equal(t, "insertEnvelope=OK sent PGS>REJ rejected", r.words(t, "e1"))
		require.Equal(t, []string{"open:carla", "open:bruno", "withdraw:carla:rejected"}, r.neighbour.given("e1"))
		var rejected contract.EnvelopeRejected
		require.NoError(t, json.Unmarshal(r.journal(t, "e1")[3].Data, &rejected))
		require.Equal(t, "bruno", rejected.UsrExtID)
		require.Equal(t, "I do not agree", rejected.Note)
	})
}

func TestAShareThatFailsForGoodCancelsTheEnvelope(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.Open(t, storetest.SQLite(t)))
	r.give(t, start(r.resolved("e1", "E-1", human(1, carla))))
	r.quiet(t)
	require.NoError(t, r.neighbour.say(t.Context(), handover.Progress{
		Kind: handover.Failed, Customer: "demo", EnvelopeID: "e1", Code: contract.CodeBadDocFormat, Note: "the field is gone",
		Assignment: r.neighbour.job(t, "e1", handover.JobOpen, "carla").Assignment,
	}))
	r.quiet(t)
	require.Equal(t, "insertEnvelope=OK sent PGS>STP cancelled", r.words(t, "e1"))
	var cancelled contract.EnvelopeCancelled
	require.NoError(t, json.Unmarshal(r.journal(t, "e1")[3].Data, &cancelled))
	require.Equal(t, contract.CodeBadDocFormat, cancelled.Code)
	require.Equal(t, "the field is gone", cancelled.Note)
	require.Empty(t, cancelled.UsrExtID)
}

func TestADraftIsInsertedAndSentLater(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		r := newRig(t, db)
		r.give(t, start(r.draft("e1", "E-1", human(1, anna))))
		r.quiet(t)
		require.Equal(t, "insertEnvelope=OK", r.words(t, "e1"))
		require.Empty(t, r.neighbour.given("e1"))
		r.give(t, command(r.command(contract.CommandSendEnvelope, "op-send", "E-1")))
		r.quiet(t)
		require.Equal(t, "insertEnvelope=OK sendEnvelope=OK sent DRF>PGS closed:0 PGS>WKD process.ended", r.words(t, "e1"))
		causes := []string{}
		for _, e := range r.journal(t, "e1") {
			causes = append(causes, e.OperationID)
		}
		require.Equal(t, []string{"op-e1", "op-send", "op-send", "op-send", "op-e1", "op-e1", "op-e1"}, causes)
	})
}

func TestAnEnvelopeExpires(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		r := newRig(t, db)
		at := contract.MillisOf(r.clock.now().Add(time.Hour))
		progress, draft, done, never := r.resolved("e1", "E-1", human(1, carla)), r.draft("e2", "E-2"), r.resolved("e3", "E-3", human(1, anna)), r.draft("e4", "E-4")
		for _, resolved := range []*handover.Resolved{&progress, &draft, &done} {
			resolved.Envelope.ExpireAt = at
		}
		first := start(progress)
		first.Header = nats.Header{subjects.HeaderTraceParent: {parent}}
		r.give(t, first, start(draft), start(done), start(never))
		r.quiet(t)
		r.clock.add(time.Hour - time.Millisecond)
		for _, id := range []string{"e5", "e6"} { // when the second has expired, the clock has been watched since
			late := r.draft(id, id)
			late.Envelope.ExpireAt = contract.MillisOf(r.clock.now())
			r.give(t, start(late))
			bustest.Eventually(t, func() bool { return r.words(t, id) == "insertEnvelope=OK DRF>EXP expired" }, "it expires at its moment")
		}
		require.Equal(t, "insertEnvelope=OK sent", r.words(t, "e1"), "not a millisecond early")
		r.clock.add(time.Millisecond)
		bustest.Eventually(t, func() bool {
			return r.words(t, "e1") != "insertEnvelope=OK sent" && r.words(t, "e2") != "insertEnvelope=OK"
		}, "both have expired")
		r.quiet(t)
		require.Equal(t, "insertEnvelope=OK sent PGS>EXP expired", r.words(t, "e1"))
		require.Equal(t, "insertEnvelope=OK DRF>EXP expired", r.words(t, "e2"))
		require.Equal(t, "insertEnvelope=OK sent closed:0 PGS>WKD process.ended", r.words(t, "e3"))
		require.Equal(t, "insertEnvelope=OK", r.words(t, "e4"))
		require.Equal(t, []string{"open:carla", "withdraw:carla:expired"}, r.neighbour.given("e1"))
		last := r.journal(t, "e1")[3]
		var expired contract.EnvelopeExpired
		require.NoError(t, json.Unmarshal(last.Data, &expired))
		require.Equal(t, at, expired.ExpireAt)
		require.Equal(t, "op-e1", last.OperationID)
		require.Equal(t, parent, last.TraceParent, "what the clock does belongs to the insertion's trace")
	})
}
