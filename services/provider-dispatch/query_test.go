package providerdispatch_test

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/bus/bustest"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/journal"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/store/storetest"
	"signbus.dev/pkg/subjects"
)

var update = flag.Bool("update", false, "write the golden files anew")

// call asks the service as other services do.
func (r *rig) call(t *testing.T, verb string, request, result any) error {
	t.Helper()
	var err error
	bustest.Eventually(t, func() bool { // until the service listens
		err = bus.Call(t.Context(), r.Conn, subjects.ProviderDispatch, verb, request, result)
		var refused *contract.Error
		return err == nil || errors.As(err, &refused)
	}, "the call is answered")
	return err
}

// requireRefused requires that a call is refused with a code and a sentence.
func requireRefused(t *testing.T, err error, code contract.Code, sentence string) {
	t.Helper()
	var refused *contract.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, code, refused.Code)
	require.Contains(t, refused.Message, sentence)
}

func TestFindTellsEverything(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		r := newRig(t, db)
		resolved := r.resolved("e1", "E-1", human(1, anna), human(2, carla, bruno), task(3, handover.Seal))
		resolved.Envelope.Tag, resolved.Envelope.Note, resolved.Envelope.Starred = "urgent", "a note", true
		resolved.Envelope.CorporateUseType = contract.UseCorporate
		resolved.Envelope.ExpireAt = contract.MillisOf(r.clock.now().Add(50 * time.Hour))
		resolved.Envelope.Documents[0].Bytes = []byte("must not be kept")
		r.give(t, start(resolved))
		r.neighbour.set("bruno", "")
		r.quiet(t)
		r.clock.add(90 * time.Minute)
		var found handover.Found
		require.NoError(t, r.call(t, handover.CallFind, handover.EnvelopeQuery{Customer: "demo", ExternalID: "E-1"}, &found))
		require.Equal(t, "e1", found.EnvelopeID)
		require.Equal(t, "e1-v2", found.Documents[0].SHA256)
		require.Equal(t, 2, found.Documents[0].Version)
		require.Regexp(t, `^[0-9A-HJKMNP-TV-Z]{9}$`, found.Envelope.Code)
		requireGolden(t, "found.json", found.Envelope)

		var request string
		require.NoError(t, db.QueryRow(t.Context(), `SELECT request FROM dispatch_envelopes WHERE id = 'e1'`, nil, &request))
		require.NotContains(t, request, "bytes")
	})
}

func requireGolden(t *testing.T, name string, value any) {
	t.Helper()
	got, err := json.MarshalIndent(value, "", "  ")
	require.NoError(t, err)
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, append(got, '\n'), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got)+"\n")
}

func TestFindOfASparseDraft(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.Open(t, storetest.SQLite(t)))
	draft := r.draft("e1", "E-1")
	draft.Envelope.CommonMessage = nil
	draft.Envelope.SysGenerator = "EXT"
	r.give(t, start(draft))
	r.quiet(t)
	found, err := r.service.Find(t.Context(), handover.EnvelopeQuery{Customer: "demo", ExternalID: "E-1"})
	require.NoError(t, err)
	f := found.Envelope
	require.True(t, f.Draft && f.SendingModeDraft)
	require.False(t, f.HasProcessDef || f.HasProcessInstance || f.AvailableToWork)
	require.Nil(t, f.Process)
	require.Nil(t, f.Tag)
	require.Nil(t, f.Note)
	require.Nil(t, f.CorporateUseType)
	require.Nil(t, f.ExpireAt)
	require.Nil(t, f.CommonMessage)
	require.Nil(t, f.PreviousStatus)
	require.Equal(t, "EXT", f.SysGenerator)
	data, err := json.Marshal(f)
	require.NoError(t, err)
	for _, list := range []string{`"details":[]`, `"messages":[]`, `"usersInCC":[]`, `"notes":[]`} {
		require.Contains(t, string(data), list)
	}
}

func TestQueriesForWhatIsNotThere(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		r := newRig(t, db)
		r.give(t, start(r.draft("e1", "E-1")), start(r.draft("e2", "E-2")))
		r.give(t, command(r.command(contract.CommandDeleteEnvelope, "op-d", "E-2")))
		r.quiet(t)
		for name, q := range map[string]handover.AssignmentQuery{
			"never inserted": {Customer: "demo", ExternalID: "E-3", User: "anna"},
			"other case":     {Customer: "demo", ExternalID: "e-1", User: "anna"},
			"deleted":        {Customer: "demo", ExternalID: "E-2", User: "anna"},
			"other customer": {Customer: "other", ExternalID: "E-1", User: "anna"},
		} {
			for _, verb := range []string{handover.CallFind, handover.CallStatus, handover.CallAssignment, handover.CallJournal} {
				err := r.call(t, verb, q, nil)
				requireRefused(t, err, contract.CodeEnvelopeNotFound, "never inserted or is deleted")
				require.Error(t, err, name)
			}
		}
	})
}

func TestStatusFollowsTheEnvelope(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.Open(t, storetest.SQLite(t)))
	ask := func() contract.Status {
		var status contract.Status
		require.NoError(t, r.call(t, handover.CallStatus, handover.EnvelopeQuery{Customer: "demo", ExternalID: "E-1"}, &status))
		return status
	}
	r.give(t, start(r.draft("e1", "E-1", human(1, carla))))
	r.quiet(t)
	require.Equal(t, contract.Status{EnveExtID: "E-1", Status: contract.StatusDraft, Name: "DRAFT"}, ask())
	r.give(t, command(r.command(contract.CommandSendEnvelope, "op-s", "E-1")))
	r.quiet(t)
	require.Equal(t, contract.Status{EnveExtID: "E-1", Status: contract.StatusInProgress, Name: "IN_PROGRESS"}, ask())
}

func TestAssignmentOfAUser(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		r := newRig(t, db)
		ask := func(user string) (handover.AssignmentFound, error) {
			var share handover.AssignmentFound
			err := r.call(t, handover.CallAssignment, handover.AssignmentQuery{Customer: "demo", ExternalID: "E-1", User: user}, &share)
			return share, err
		}
		refused := func(user string, code contract.Code, sentence string) {
			t.Helper()
			_, err := ask(user)
			requireRefused(t, err, code, sentence)
		}
		r.neighbour.silence()
		r.neighbour.set("anna", "")
		r.neighbour.set("bruno", "")
		r.give(t, start(r.draft("e1", "E-1", human(1, anna, bruno), human(2, carla), task(3, handover.AutoSign, segr))))
		r.quiet(t)
		refused("anna", contract.CodeIllegalArgument, "is a draft")
		refused("dora", contract.CodeUserNotFound, "nothing to do")
		refused("segr", contract.CodeUserNotFound, "nothing to do") // an automatic signature needs nobody
		refused("", contract.CodeUserNotFound, "nothing to do")

		r.give(t, command(r.command(contract.CommandSendEnvelope, "op-s", "E-1")))
		r.quiet(t)
		share, err := ask("anna")
		require.NoError(t, err)
		require.Equal(t, r.neighbour.job(t, "e1", handover.JobOpen, "anna").Assignment, share.Assignment)
		require.Equal(t, subjects.SignatureBook, share.Provider)
		refused("carla", contract.CodeIllegalArgument, "not this user's turn")

		say := func(kind handover.ProgressKind, job handover.Job) {
			t.Helper()
			p := handover.Progress{Kind: kind, Customer: "demo", EnvelopeID: "e1", Assignment: job.Assignment, Epoch: job.Epoch}
			if kind == handover.Signed {
				p.Documents = signed(job)
			}
			require.NoError(t, r.neighbour.say(t.Context(), p))
			r.quiet(t)
		}
		say(handover.Confirmed, r.neighbour.job(t, "e1", handover.JobOpen, "anna"))
		refused("anna", contract.CodeIllegalArgument, "signature is being made")
		say(handover.Signed, r.neighbour.job(t, "e1", handover.JobSign, "anna"))
		refused("anna", contract.CodeIllegalArgument, "done his share")
		refused("bruno", contract.CodeIllegalArgument, "enough others")
		_, err = ask("carla")
		require.NoError(t, err)
		say(handover.Rejected, r.neighbour.job(t, "e1", handover.JobOpen, "carla"))
		refused("carla", contract.CodeIllegalArgument, "has declined")
		refused("bruno", contract.CodeIllegalArgument, "ended with status REJ")
	})
}

func TestJournalCanBeReadInPartsAndVerified(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		r := newRig(t, db)
		r.give(t, start(r.resolved("e1", `E<1>&"ü`, human(1, anna), task(2, handover.Seal))))
		r.quiet(t)
		var entries []journal.Entry
		query := handover.JournalQuery{Customer: "demo", ExternalID: `E<1>&"ü`, Limit: 4}
		for more := true; more; {
			var part handover.Journal
			require.NoError(t, r.call(t, handover.CallJournal, query, &part))
			require.Equal(t, "e1", part.EnvelopeID)
			require.LessOrEqual(t, len(part.Entries), 4)
			for _, e := range part.Entries {
				entries = append(entries, journal.Entry(e))
				query.After = e.Sequence
			}
			more = part.More
		}
		require.Len(t, entries, 6)
		require.NoError(t, journal.Verify(entries), "what arrives over the call can be checked by itself")
		require.Equal(t, r.journal(t, "e1"), entries)
		query.After = -1
		requireRefused(t, r.call(t, handover.CallJournal, query, nil), contract.CodeIllegalArgument, "negative")
	})
}
