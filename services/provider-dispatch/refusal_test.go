package providerdispatch_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/journal"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/store/storetest"
	"signbus.dev/pkg/subjects"
)

func TestAnInsertionIsRefused(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		r := newRig(t, db)
		r.give(t, start(r.draft("e1", "E-1")), start(r.draft("e2", "E-2")))
		r.give(t, command(r.command(contract.CommandDeleteEnvelope, "op-delete", "E-2")))
		r.quiet(t)
		elsewhere := human(1, anna)
		elsewhere.Provider = "elsewhere"
		crowd := human(1)
		for i := range 1001 {
			crowd.Actors = append(crowd.Actors, handover.Actor{ExternalID: "user" + strings.Repeat("x", i)})
		}
		tooMany := human(1, anna)
		tooMany.HowMany = 2
		cases := map[string]struct {
			resolved handover.Resolved
			code     contract.Code
			message  string
		}{
			"taken":        {r.draft("n1", "E-1"), contract.CodeEnvelopeAlreadyExists, "envelope.externalId"},
			"was taken":    {r.draft("n2", "E-2"), contract.CodeEnvelopeAlreadyExists, "envelope.externalId"},
			"no tasks":     {r.resolved("n3", "N-3"), contract.CodeProcessDefinitionError, "envelope.procDef.tasks"},
			"how many":     {r.resolved("n4", "N-4", tooMany), contract.CodeProcessDefinitionError, "howMany"},
			"provider":     {r.resolved("n5", "N-5", elsewhere), contract.CodeNotSupported, "envelope.procDef.tasks[0]"},
			"many shares":  {r.resolved("n6", "N-6", crowd), contract.CodeProcessDefinitionError, "at most 1000"},
			"other system": {r.draft("n7", "E-1"), contract.CodeEnvelopeAlreadyExists, "envelope.externalId"},
		}
		for _, c := range cases {
			r.give(t, start(c.resolved))
		}
		r.quiet(t)
		_, discards := r.neighbour.kept()
		for name, c := range cases {
			op := c.resolved.Operation
			entries := r.journal(t, journal.OperationChain(op.Key))
			require.Len(t, entries, 1, name)
			var data contract.OperationDone
			require.NoError(t, json.Unmarshal(entries[0].Data, &data))
			require.Equal(t, string(c.code), data.ReturnStatus.Code, name)
			require.Contains(t, data.ReturnStatus.Message, c.message, name)
			require.Contains(t, discards, handover.Discard{OperationKey: op.Key, Customer: "demo", EnvelopeID: c.resolved.EnvelopeID}, name)
			require.Empty(t, r.journal(t, c.resolved.EnvelopeID), name)
		}
		require.Len(t, discards, len(cases))
		require.Equal(t, "insertEnvelope=OK", r.words(t, "e1"))
		require.Equal(t, "insertEnvelope=OK deleteEnvelope=OK DRF>DEL", r.words(t, "e2"))
	})
}

func TestTheSameNameIsFreeForAnotherCustomer(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.Open(t, storetest.SQLite(t)))
	other := r.draft("e2", "E-1")
	other.Operation.Customer = "other"
	r.give(t, start(r.draft("e1", "E-1")), start(other))
	r.quiet(t)
	require.Equal(t, "insertEnvelope=OK", r.words(t, "e1"))
	require.Equal(t, "insertEnvelope=OK", r.words(t, "e2"))
}

func TestARefusalOfAnEarlierStageEndsItsOperation(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		r := newRig(t, db)
		refusal := handover.Refusal{
			Operation: r.operation(contract.CommandInsertEnvelope, "op-1", "E-1"), EnvelopeID: "e1",
			Code: contract.CodeBadDocFormat, Message: "document d1 is not a PDF; send one",
		}
		again := refusal
		again.Code = contract.CodeError // whoever gave the message up afterwards
		unread := handover.Refusal{
			Operation: r.operation("no such\ncommand", "op-2", "E\x00-2"), Code: contract.CodeIllegalArgument, Message: "the payload is not JSON",
		}
		unread.Operation.System = "a.b"
		r.give(t, refuse(refusal), refuse(again), refuse(unread))
		r.quiet(t)

		require.Equal(t, "insertEnvelope=bad_doc_format", r.words(t, journal.OperationChain("key-op-1")))
		_, discards := r.neighbour.kept()
		require.Equal(t, []handover.Discard{{OperationKey: "key-op-1", Customer: "demo", EnvelopeID: "e1"}}, discards)
		events := r.Next(t, subjects.StreamEvents, "evt.demo.ERP.operation.done", 1)
		require.Empty(t, events[0].Headers().Get(subjects.HeaderCESequence))

		events = r.Next(t, subjects.StreamEvents, "evt.demo.unknown.operation.done", 1)
		var data contract.OperationDone
		require.NoError(t, json.Unmarshal(events[0].Data(), &data))
		require.Equal(t, contract.OperationDone{
			ID: "op-2", Command: "no such\ncommand",
			ReturnStatus: contract.Outcome{Code: "illegal_argument", Message: "the payload is not JSON"},
		}, data)
	})
}

func TestDocumentsOfAnInsertedEnvelopeAreNeverDiscarded(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		r := newRig(t, db)
		r.give(t, start(r.draft("e1", "E-1")))
		r.quiet(t)
		late := handover.Refusal{
			Operation: r.operation(contract.CommandInsertEnvelope, "op-e1", "E-1"), EnvelopeID: "e1", Code: contract.CodeError, Message: "late",
		}
		stranger := late
		stranger.Operation = r.operation(contract.CommandInsertEnvelope, "op-2", "E-1")
		r.give(t, refuse(late), refuse(stranger))
		r.quiet(t)
		require.Equal(t, 1, r.ends(t, "op-e1"))
		require.Equal(t, 1, r.ends(t, "op-2"))
		_, discards := r.neighbour.kept()
		require.Empty(t, discards)
	})
}

// A dead letter of a stage before that is handed over again brings documents along for an
// operation that was given up; they once stayed for ever.
func TestDocumentsOfARedrivenOperationAreDiscarded(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		r := newRig(t, db)
		redriven := r.resolved("e1", "E-1", human(1, anna))
		r.give(t, refuse(handover.Refusal{Operation: redriven.Operation, Code: contract.CodeError, Message: "given up"}))
		r.quiet(t)
		r.give(t, start(redriven))
		r.quiet(t)
		require.Equal(t, 1, r.ends(t, "op-e1"))
		_, discards := r.neighbour.kept()
		require.Equal(t, []handover.Discard{{OperationKey: redriven.Operation.Key, Customer: "demo", EnvelopeID: "e1"}}, discards)
	})
}

func TestPoisonEndsItsOperationWithAnError(t *testing.T) {
	t.Parallel()
	broken := func(operation handover.Operation) map[string]any {
		return map[string]any{"operation": operation, "envelopeId": "e1", "envelope": "no object", "code": 7, "user": 7}
	}
	for name, subject := range map[string]string{
		"start": subjects.WorkStart, "refuse": subjects.WorkRefuse, "command": subjects.WorkCommand,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t *testing.T, db *store.DB) {
				r := newRig(t, db)
				op := r.operation(contract.CommandInsertEnvelope, "op-1", "E-1")
				r.give(t, message(subject, broken(op)))
				require.Contains(t, r.dead(t), "unreadable work")
				r.quiet(t)
				require.Equal(t, "insertEnvelope=error", r.words(t, journal.OperationChain(op.Key)))
				_, discards := r.neighbour.kept()
				require.Equal(t, []handover.Discard{{OperationKey: op.Key, Customer: "demo", EnvelopeID: "e1"}}, discards)
			})
		})
	}
}

func TestWhatNamesNoOperationGoesToTheDeadLettersOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.Open(t, storetest.SQLite(t)))
	noCustomer, noKey, noCode := r.draft("e1", "E-1"), r.draft("e2", "E-2"), handover.Refusal{Operation: r.operation("x", "op-3", "E-3")}
	noCustomer.Operation.Customer = "a customer"
	noKey.Operation.Key = ""
	noCode.Code = contract.CodeOK
	r.give(t, start(noCustomer), start(noKey), bus.Message{Subject: subjects.WorkStart, Data: []byte("{")},
		bus.Message{Subject: "work.provider-dispatch.sing", Data: []byte("{}")}, refuse(noCode))
	reasons := ""
	for _, msg := range r.Next(t, subjects.StreamDead, subjects.Dead(subjects.ProviderDispatch), 5) {
		reasons += msg.Headers().Get(subjects.HeaderDeadReason) + "\n"
	}
	for _, reason := range []string{"names no customer", "no key", "unexpected end of JSON", "nobody works on", "no code of an error"} {
		require.Contains(t, reasons, reason)
	}
	r.quiet(t)
	var entries int
	require.NoError(t, r.db.QueryRow(t.Context(), `SELECT COUNT(*) FROM journal_entry`, nil, &entries))
	require.Equal(t, 1, entries)
	require.Equal(t, "x=error", r.words(t, journal.OperationChain("key-op-3")), "a refusal without a reason still ends its operation")
}

func TestProgressThatCannotBeGoesToTheDeadLetters(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		r := newRig(t, db)
		r.neighbour.silence()
		r.give(t, start(r.resolved("e1", "E-1", task(1, handover.AutoSign, bruno), human(2, carla))))
		r.quiet(t)
		job := r.neighbour.job(t, "e1", handover.JobSign, "bruno")
		good := handover.Progress{
			Kind: handover.Signed, Customer: "demo", EnvelopeID: "e1", Assignment: job.Assignment, Epoch: job.Epoch, Documents: signed(job),
		}
		cases := map[string]func(*handover.Progress){
			"no envelope e9":       func(p *handover.Progress) { p.EnvelopeID = "e9" },
			"no envelope e1":       func(p *handover.Progress) { p.Customer = "other" },
			"progress \"laughed\"": func(p *handover.Progress) { p.Kind = "laughed" },
			"a9: unknown":          func(p *handover.Progress) { p.Assignment = "a9" },
			"wrong documents":      func(p *handover.Progress) { p.Documents = nil },
		}
		for _, change := range cases {
			bad := good
			change(&bad)
			require.NoError(t, r.neighbour.say(t.Context(), bad))
		}
		reasons := ""
		for _, msg := range r.Next(t, subjects.StreamDead, subjects.Dead(subjects.ProviderDispatch), len(cases)) {
			reasons += msg.Headers().Get(subjects.HeaderDeadReason) + "\n"
		}
		for reason := range cases {
			require.Contains(t, reasons, reason)
		}
		r.quiet(t)
		require.Equal(t, "insertEnvelope=OK sent", r.words(t, "e1"))

		stale := good
		stale.Epoch++
		require.NoError(t, r.neighbour.say(t.Context(), stale))
		r.quiet(t)
		require.Equal(t, "insertEnvelope=OK sent", r.words(t, "e1"), "a signature without its grant is void")
		require.NoError(t, r.neighbour.say(t.Context(), good))
		r.quiet(t)
		require.Equal(t, "insertEnvelope=OK sent closed:0", r.words(t, "e1"), "the envelope still takes the right answer")
	})
}

func TestCommandsOnEnvelopes(t *testing.T) {
	t.Parallel()
	const send, cancel, remove = contract.CommandSendEnvelope, contract.CommandCancelEnvelope, contract.CommandDeleteEnvelope
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		r := newRig(t, db)
		r.give(t,
			start(r.draft("d1", "D-1", human(1, carla))), start(r.draft("d2", "D-2", human(1, carla))), start(r.draft("d3", "D-3")),
			start(r.resolved("p1", "P-1", human(1, carla))), start(r.resolved("p2", "P-2", human(1, carla))),
			start(r.resolved("p3", "P-3", human(1, carla))), start(r.resolved("w1", "W-1", human(1, anna))),
		)
		r.quiet(t)
		const begun, worked = "insertEnvelope=OK sent", "insertEnvelope=OK sent closed:0 PGS>WKD process.ended"
		for i, c := range []struct {
			command  contract.Command
			id, name string
			user     string
			want     string
		}{
			{send, "d1", "D-1", "segr", "insertEnvelope=OK sendEnvelope=OK sent DRF>PGS"},
			{cancel, "d2", "D-2", "segr", "insertEnvelope=OK cancelEnvelope=OK DRF>STP cancelled"},
			{send, "d3", "D-3", "segr", "insertEnvelope=OK sendEnvelope=return_status_process_definition_error"},
			{send, "p1", "P-1", "segr", begun + " sendEnvelope=illegal_argument"},
			{cancel, "p1", "P-1", "segr", begun + " sendEnvelope=illegal_argument cancelEnvelope=OK PGS>STP cancelled"},
			{remove, "p2", "P-2", "segr", begun + " deleteEnvelope=OK PGS>DEL cancelled"},
			{remove, "p3", "P-3", "carla", begun + " deleteEnvelope=access_denied"},
			{remove, "p3", "P-3", "", begun + " deleteEnvelope=access_denied deleteEnvelope=access_denied"},
			{cancel, "w1", "W-1", "segr", worked + " cancelEnvelope=illegal_argument"},
			{remove, "w1", "W-1", "segr", worked + " cancelEnvelope=illegal_argument deleteEnvelope=OK WKD>DEL"},
		} {
			cmd := r.command(c.command, "op-"+c.name+"-"+string(c.command)+c.user, c.name)
			cmd.User = c.user
			r.give(t, command(cmd))
			r.quiet(t)
			require.Equal(t, c.want, r.words(t, c.id), "command %d", i)
		}
		require.Equal(t, []string{"open:carla", "withdraw:carla:cancelled"}, r.neighbour.given("p1"))
		require.Equal(t, []string{"open:carla", "withdraw:carla:deleted"}, r.neighbour.given("p2"))
		var cancelled contract.EnvelopeCancelled
		entries := r.journal(t, "p1")
		require.NoError(t, json.Unmarshal(entries[len(entries)-1].Data, &cancelled))
		require.Equal(t, "segr", cancelled.UsrExtID)
		require.Equal(t, "no longer needed", cancelled.Note)
		require.Empty(t, cancelled.Code)
	})
}

func TestCommandsWithoutAnEnvelope(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		r := newRig(t, db)
		r.give(t, start(r.draft("e1", "E-1")), command(r.command(contract.CommandDeleteEnvelope, "op-1", "E-1")),
			command(r.command(contract.CommandDeleteEnvelope, "op-2", "E-1")),
			command(r.command(contract.CommandCancelEnvelope, "op-3", "e-1")),
			command(r.command("sing", "op-4", "E-1")))
		other := r.command(contract.CommandDeleteEnvelope, "op-5", "E-1")
		other.Operation.Customer = "other"
		r.give(t, command(other))
		r.quiet(t)
		require.Equal(t, "insertEnvelope=OK deleteEnvelope=OK DRF>DEL", r.words(t, "e1"))
		for key, want := range map[string]string{
			"key-op-2": "deleteEnvelope=envelope_not_found", "key-op-3": "cancelEnvelope=envelope_not_found",
			"key-op-4": "sing=not_supported", "key-op-5": "deleteEnvelope=envelope_not_found",
		} {
			require.Equal(t, want, r.words(t, journal.OperationChain(key)))
		}
		r.Next(t, subjects.StreamEvents, "evt.other.ERP.operation.done", 1)
	})
}
