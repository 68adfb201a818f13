package process_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/services/provider-dispatch/process"
)

// line is one input and what it must lead to, as outcome writes it.
type line struct{ in, want string }

func TestScripts(t *testing.T) {
	t.Parallel()
	view := []handover.Action{action("d1", contract.ActionView, contract.VisibilityNone)}
	for _, tc := range []struct {
		name   string
		insert process.Insert
		first  string
		lines  []line
		status contract.EnvelopeStatus
	}{
		{
			name: "one step", insert: insert(true, human(1, 1, anna)), first: "sent:segr | open:a0",
			lines: []line{
				{"confirm a0", "| sign:a0#1"},
				{"sign a0", "closed:0+anna:last PGS>WKD ended |"},
			},
			status: contract.StatusWorked,
		},
		{
			name: "series, tasks not in order", insert: insert(true, human(5, 1, bruno), human(2, 1, anna)), first: "sent:segr | open:a0",
			lines: []line{
				{"confirm a1", "void: not open"},
				{"reject a1", "void: not open"},
				{"fail a1", "void: not open"},
				{"confirm a0", "| sign:a0#1"},
				{"sign a0", "closed:0+anna | open:a1"},
				{"confirm a1", "| sign:a1#2"},
				{"sign a1", "closed:1+bruno:last PGS>WKD ended |"},
			},
			status: contract.StatusWorked,
		},
		{
			name: "parallel signs one at a time in the order of consent", insert: insert(true, human(1, 1, anna), human(1, 1, bruno), human(1, 1, carla)),
			first: "sent:segr | open:a0 open:a1 open:a2",
			lines: []line{
				{"confirm a2", "| sign:a2#1"},
				{"confirm a0", "|"},
				{"confirm a1", "|"},
				{"sign a0", "void: stale epoch"},
				{"sign a2", "closed:2+carla | sign:a0#2"},
				{"sign a0", "closed:0+anna | sign:a1#3"},
				{"sign a1", "closed:1+bruno:last PGS>WKD ended |"},
			},
			status: contract.StatusWorked,
		},
		{
			name: "mixed: two in parallel, then a seal", insert: insert(true, human(1, 1, anna), human(1, 1, bruno), task(2, handover.Seal, 1, []handover.Action{sign})),
			first: "sent:segr | open:a0 open:a1",
			lines: []line{
				{"confirm a1", "| sign:a1#1"},
				{"sign a1", "closed:1+bruno |"},
				{"confirm a0", "| sign:a0#2"},
				{"sign a0", "closed:0+anna | sign:a2#3"},
				{"confirm a2", "void: duplicate"},
				{"sign a2", "closed:2:last PGS>WKD ended |"},
			},
			status: contract.StatusWorked,
		},
		{
			name: "two of three, the third still waiting", insert: insert(true, human(1, 2, anna, bruno, carla)), first: "sent:segr | open:a0 open:a1 open:a2",
			lines: []line{
				{"confirm a0", "| sign:a0#1"},
				{"sign a0", "|"},
				{"confirm a2", "| sign:a2#2"},
				{"sign a2", "closed:0+anna+carla:last PGS>WKD ended | withdraw:a1:completed"},
				{"confirm a1", "void: ended"},
			},
			status: contract.StatusWorked,
		},
		{
			name: "two of three, the third queued", insert: insert(true, human(1, 2, anna, bruno, carla), human(2, 1, anna)), first: "sent:segr | open:a0 open:a1 open:a2",
			lines: []line{
				{"confirm a0", "| sign:a0#1"},
				{"confirm a1", "|"},
				{"confirm a2", "|"},
				{"sign a0", "| sign:a1#2"},
				{"sign a1", "closed:0+anna+bruno | withdraw:a2:completed open:a3"},
				{"reject a2", "void: ended"},
				{"confirm a3", "| sign:a3#3"},
				{"sign a3", "closed:1+anna:last PGS>WKD ended |"},
			},
			status: contract.StatusWorked,
		},
		{
			name: "role expanded to actors, one is enough", insert: insert(true, human(1, 1, anna, bruno, anna)), first: "sent:segr | open:a0 open:a1",
			lines: []line{
				{"confirm a1", "| sign:a1#1"},
				{"sign a1", "closed:0+bruno:last PGS>WKD ended | withdraw:a0:completed"},
			},
			status: contract.StatusWorked,
		},
		{
			name: "automatic signature", insert: insert(true, task(1, handover.AutoSign, 1, []handover.Action{sign}, anna)), first: "sent:segr | sign:a0#1",
			lines: []line{
				{"reject a0", "void: not human"},
				{"sign a0", "closed:0+anna:last PGS>WKD ended |"},
				{"sign a0 #1", "void: duplicate"},
			},
			status: contract.StatusWorked,
		},
		{
			name: "automatic signature of two takes the spare when one fails", insert: insert(true, task(1, handover.AutoSign, 2, []handover.Action{sign}, anna, bruno, carla)),
			first: "sent:segr | sign:a0#1",
			lines: []line{
				{"confirm a2", "void: not human"},
				{"fail a0", "| sign:a1#2"},
				{"fail a0 #1", "void: duplicate"},
				{"sign a1", "| sign:a2#3"},
				{"sign a2", "closed:0+bruno+carla:last PGS>WKD ended |"},
			},
			status: contract.StatusWorked,
		},
		{
			name: "a spare that the engine never used is withdrawn without a job", insert: insert(true, task(1, handover.AutoSign, 1, []handover.Action{sign}, anna, bruno)),
			first:  "sent:segr | sign:a0#1",
			lines:  []line{{"sign a0", "closed:0+anna:last PGS>WKD ended |"}, {"sign a1 #2", "void: ended"}},
			status: contract.StatusWorked,
		},
		{
			name: "seal fails", insert: insert(true, task(1, handover.Seal, 1, []handover.Action{sign})), first: "sent:segr | sign:a0#1",
			lines:  []line{{"fail a0", "PGS>STP cancelled::product_expired:broken |"}, {"sign a0 #1", "void: ended"}},
			status: contract.StatusCancelled,
		},
		{
			name: "nothing to sign: consent is enough", insert: insert(true, task(1, handover.Human, 1, view, anna), human(2, 1, bruno)), first: "sent:segr | open:a0",
			lines: []line{
				{"confirm a0", "closed:0+anna | open:a1"},
				{"confirm a1", "| sign:a1#1"},
				{"sign a1", "closed:1+bruno:last PGS>WKD ended |"},
			},
			status: contract.StatusWorked,
		},
		{
			name: "automatic steps with nothing to sign end at once", insert: insert(true, task(1, handover.AutoSign, 2, view, anna, bruno, carla), task(2, handover.Seal, 1, view)),
			first:  "sent:segr closed:0+anna+bruno closed:1:last PGS>WKD ended |",
			status: contract.StatusWorked,
		},
		{
			name: "draft", insert: insert(false, human(1, 1, anna)), first: "|",
			lines: []line{
				{"confirm a0", "void: not open"},
				{"send", "sent:segr DRF>PGS | open:a0"},
				{"send", "refused: illegal_argument"},
				{"confirm a0", "| sign:a0#1"},
				{"sign a0", "closed:0+anna:last PGS>WKD ended |"},
				{"send", "refused: illegal_argument"},
			},
			status: contract.StatusWorked,
		},
		{
			name: "draft without tasks", insert: insert(false), first: "|",
			lines:  []line{{"send", "refused: return_status_process_definition_error"}, {"delete", "DRF>DEL |"}, {"send", "refused: envelope_not_found"}},
			status: contract.StatusDeleted,
		},
		{
			name: "draft cancelled", insert: insert(false, human(1, 1, anna)), first: "|",
			lines:  []line{{"cancel", "DRF>STP cancelled:segr::wrong |"}, {"send", "refused: illegal_argument"}, {"confirm a0", "void: ended"}},
			status: contract.StatusCancelled,
		},
		{
			name: "draft expired", insert: insert(false, human(1, 1, anna)), first: "|",
			lines:  []line{{"expire", "DRF>EXP expired |"}, {"expire", "void: ended"}},
			status: contract.StatusExpired,
		},
		{
			name: "rejected by one who waits", insert: insert(true, human(1, 2, anna, bruno, carla), human(2, 1, anna)), first: "sent:segr | open:a0 open:a1 open:a2",
			lines: []line{
				{"confirm a0", "| sign:a0#1"},
				{"reject a1", "PGS>REJ rejected:bruno:0:no | withdraw:a0:rejected withdraw:a2:rejected"},
				{"reject a1", "void: duplicate"},
				{"reject a2", "void: ended"},
				{"sign a0 #1", "void: ended"},
				{"cancel", "refused: illegal_argument"},
				{"expire", "void: ended"},
			},
			status: contract.StatusRejected,
		},
		{
			name: "rejected after consent, but not once signing is granted", insert: insert(true, human(1, 2, anna, bruno)), first: "sent:segr | open:a0 open:a1",
			lines: []line{
				{"confirm a0", "| sign:a0#1"},
				{"confirm a1", "|"},
				{"reject a0", "void: signing"},
				{"reject a1", "PGS>REJ rejected:bruno:0:no | withdraw:a0:rejected"},
			},
			status: contract.StatusRejected,
		},
		{
			name: "cancelled between the signatures", insert: insert(true, human(1, 1, anna), human(2, 1, bruno), human(3, 1, carla)), first: "sent:segr | open:a0",
			lines: []line{
				{"confirm a0", "| sign:a0#1"},
				{"sign a0", "closed:0+anna | open:a1"},
				{"cancel", "PGS>STP cancelled:segr::wrong | withdraw:a1:cancelled"},
				{"cancel", "refused: illegal_argument"},
				{"confirm a1", "void: ended"},
				{"delete", "STP>DEL |"},
				{"delete", "refused: envelope_not_found"},
				{"cancel", "refused: envelope_not_found"},
			},
			status: contract.StatusDeleted,
		},
		{
			name: "deleted while a signature is being made", insert: insert(true, human(1, 1, anna), task(1, handover.Seal, 1, []handover.Action{sign})), first: "sent:segr | open:a0 sign:a1#1",
			lines: []line{
				{"confirm a0", "|"},
				{"delete", "PGS>DEL cancelled:segr::gone | withdraw:a0:deleted withdraw:a1:deleted"},
				{"sign a1 #1", "void: ended"},
				{"expire", "void: ended"},
			},
			status: contract.StatusDeleted,
		},
		{
			name: "deleted when worked", insert: insert(true, task(1, handover.Seal, 1, view)), first: "sent:segr closed:0:last PGS>WKD ended |",
			lines:  []line{{"expire", "void: ended"}, {"delete", "WKD>DEL |"}},
			status: contract.StatusDeleted,
		},
		{
			name: "expired", insert: insert(true, human(1, 1, anna, bruno)), first: "sent:segr | open:a0 open:a1",
			lines: []line{
				{"confirm a1", "| sign:a1#1"},
				{"expire", "PGS>EXP expired | withdraw:a0:expired withdraw:a1:expired"},
				{"sign a1 #1", "void: ended"},
			},
			status: contract.StatusExpired,
		},
		{
			name: "failures while others can still do the step", insert: insert(true, human(1, 1, anna, bruno, carla)), first: "sent:segr | open:a0 open:a1 open:a2",
			lines: []line{
				{"fail a0", "|"},
				{"confirm a0", "void: ended"},
				{"confirm a1", "| sign:a1#1"},
				{"confirm a2", "|"},
				{"fail a1 #0", "void: stale epoch"},
				{"fail a2 #1", "void: stale epoch"},
				{"fail a1", "| sign:a2#2"},
				{"sign a2 #1", "void: stale epoch"},
				{"sign a2 #3", "void: stale epoch"},
				{"sign a2", "closed:0+carla:last PGS>WKD ended |"},
			},
			status: contract.StatusWorked,
		},
		{
			name: "a queued one fails", insert: insert(true, human(1, 2, anna, bruno, carla)), first: "sent:segr | open:a0 open:a1 open:a2",
			lines: []line{
				{"confirm a0", "| sign:a0#1"},
				{"confirm a1", "|"},
				{"fail a1", "|"},
				{"sign a0", "|"},
				{"fail a2", "PGS>STP cancelled::product_expired:broken |"},
			},
			status: contract.StatusCancelled,
		},
		{
			name: "one failure too many withdraws the others", insert: insert(true, human(1, 2, anna, bruno), human(1, 1, carla)), first: "sent:segr | open:a0 open:a1 open:a2",
			lines: []line{
				{"confirm a2", "| sign:a2#1"},
				{"fail a0", "PGS>STP cancelled::product_expired:broken | withdraw:a1:cancelled withdraw:a2:cancelled"},
			},
			status: contract.StatusCancelled,
		},
		{
			name: "repeated answers", insert: insert(true, human(1, 1, anna), human(1, 1, bruno)), first: "sent:segr | open:a0 open:a1",
			lines: []line{
				{"confirm a0", "| sign:a0#1"},
				{"confirm a0", "void: duplicate"},
				{"confirm a1", "|"},
				{"confirm a1", "void: duplicate"},
				{"sign a0", "closed:0+anna | sign:a1#2"},
				{"confirm a0", "void: duplicate"},
				{"sign a0 #1", "void: duplicate"},
				{"fail a0 #1", "void: ended"},
				{"confirm stranger", "void: unknown"},
			},
			status: contract.StatusInProgress,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			require.Equal(t, tc.first, outcome(b.apply(tc.insert)))
			for i, l := range tc.lines {
				require.Equal(t, l.want, outcome(b.apply(b.parse(l.in))), "line %d: %s", i, l.in)
			}
			require.Equal(t, tc.status, b.state.Status)
			require.Equal(t, "refused: return_status_envelope_already_exists", outcome(b.apply(tc.insert)))
		})
	}
}

func TestNothingFitsAnEnvelopeThatDoesNotExist(t *testing.T) {
	t.Parallel()
	for _, l := range []line{
		{"send", "refused: envelope_not_found"},
		{"cancel", "refused: envelope_not_found"},
		{"delete", "refused: envelope_not_found"},
		{"expire", "void: unknown"},
		{"confirm a0", "void: unknown"},
		{"reject a0", "void: unknown"},
		{"sign a0", "void: unknown"},
		{"fail a0", "void: unknown"},
	} {
		b := newBench(t)
		require.Equal(t, l.want, outcome(b.apply(b.parse(l.in))), l.in)
	}
}
