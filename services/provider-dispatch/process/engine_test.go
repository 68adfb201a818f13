package process_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/services/provider-dispatch/process"
)

func TestInsertRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(*process.Insert)
		code   contract.Code
		path   string
	}{
		{"no tasks with IMD", func(in *process.Insert) { in.Tasks = nil }, contract.CodeProcessDefinitionError, "envelope.procDef.tasks"},
		{"no documents", func(in *process.Insert) { in.Documents = nil }, contract.CodeIllegalArgument, "envelope.documents"},
		{"a document twice", func(in *process.Insert) { in.Documents[1].ExternalID = "d1" }, contract.CodeMultipleDocsSameExtID, "envelope.documents"},
		{"howMany zero", func(in *process.Insert) { in.Tasks[1].HowMany = 0 }, contract.CodeProcessDefinitionError, "envelope.procDef.tasks[1].howMany"},
		{"howMany above the distinct actors", func(in *process.Insert) {
			in.Tasks[1].HowMany = 3
			in.Tasks[1].Actors = []handover.Actor{anna, bruno, anna}
		}, contract.CodeProcessDefinitionError, "envelope.procDef.tasks[1].howMany"},
		{"no actors", func(in *process.Insert) { in.Tasks[0].Actors = nil }, contract.CodeProcessDefinitionError, "envelope.procDef.tasks[0].actorExpr"},
		{"two seals in one task", func(in *process.Insert) {
			in.Tasks[0].Kind = handover.Seal
			in.Tasks[0].HowMany = 2
		}, contract.CodeProcessDefinitionError, "envelope.procDef.tasks[0].howMany"},
		{"unknown kind", func(in *process.Insert) { in.Tasks[0].Kind = "magic" }, contract.CodeProcessDefinitionError, "envelope.procDef.tasks[0].action"},
		{"no actions", func(in *process.Insert) { in.Tasks[0].Actions = nil }, contract.CodeProcessDefinitionError, "envelope.procDef.tasks[0].actionDefs"},
		{"a document that is not there", func(in *process.Insert) {
			in.Tasks[0].Actions = []handover.Action{sign, action("d3", contract.ActionView, contract.VisibilityNone)}
		}, contract.CodeProcessDefinitionError, "envelope.procDef.tasks[0].actionDefs[1].docExternalId"},
		{"a signature that signs nothing", func(in *process.Insert) {
			in.Tasks[0].Actions = []handover.Action{action("d1", contract.ActionSign, contract.VisibilityNone)}
		}, contract.CodeProcessDefinitionError, "envelope.procDef.tasks[0].actionDefs[0].confString"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			in := insert(true, human(1, 1, anna), human(2, 1, bruno, carla))
			tc.change(&in)
			result, err := process.Apply(process.State{}, in, begin)
			var refused *contract.Error
			require.ErrorAs(t, err, &refused)
			require.Equal(t, tc.code, refused.Code)
			require.Equal(t, tc.path, refused.Path)
			require.NotEmpty(t, refused.Message)
			require.Equal(t, process.NoEnvelope, result.State.Status)
		})
	}
}

func TestUnusableInputs(t *testing.T) {
	t.Parallel()
	short := insert(true, human(1, 1, anna, bruno))
	short.IDs = short.IDs[:1]
	repeated := insert(true, human(1, 1, anna, bruno))
	repeated.IDs[1] = repeated.IDs[0]
	blank := insert(true, human(1, 1, anna))
	blank.IDs[0] = ""
	for _, in := range []process.Input{short, repeated, blank, nil} {
		_, err := process.Apply(process.State{}, in, begin)
		require.ErrorIs(t, err, process.ErrInput)
	}
	_, err := process.FromProgress(handover.Progress{Kind: "guess", Assignment: "a0"})
	require.ErrorIs(t, err, process.ErrInput)
}

func TestSignedMakesNewVersions(t *testing.T) {
	t.Parallel()
	both := []handover.Action{
		sign,
		action("d2", contract.ActionApprove, contract.VisibilityVisible),
		action("d1", contract.ActionView, contract.VisibilityNone),
	}
	b := newBench(t)
	b.do(insert(true, task(1, handover.Human, 1, both, anna), human(2, 1, bruno)))
	granted := b.do(process.Confirmed{Assignment: "a0"}).Jobs[0]
	require.Equal(t, int64(1), granted.Epoch)
	require.Equal(t, "signature-book", granted.Provider)
	require.Equal(t, anna, granted.Actor)
	require.Equal(t, both, granted.Actions)
	require.Equal(t, b.state.Documents, granted.Documents)

	result := b.do(signedBy(b.state, "a0", 1))
	require.Equal(t, []handover.NewVersion{
		{Customer: "demo", EnvelopeID: "e1", Version: 2, At: b.at, Document: handover.SignedDocument{
			DocExternalID: "d1", BaseSHA256: "d1-v1", SHA256: "d1-v2", Size: 11, Signatures: 1,
		}},
		{Customer: "demo", EnvelopeID: "e1", Version: 2, At: b.at, Document: handover.SignedDocument{
			DocExternalID: "d2", BaseSHA256: "d2-v1", SHA256: "d2-v2", Size: 21, Signatures: 1,
		}},
	}, result.Versions)
	require.Equal(t, "d1-v1", granted.Documents[0].SHA256, "a job that went out must not change")

	next := b.do(process.Confirmed{Assignment: "a1"}).Jobs[0]
	require.Equal(t, "d1-v2", next.Documents[0].SHA256)
	ended := b.do(signedBy(b.state, "a1", 2)).Events[2].(process.ProcessEnded)
	require.True(t, ended.WithSignature)
	require.Equal(t, 3, ended.Documents[0].Version)
	require.Equal(t, handover.Document{
		ExternalID: "d2", Title: "second", Order: 2, Version: 2, SHA256: "d2-v2", Size: 21, Pages: 1, Signatures: 1,
	}, ended.Documents[1])
}

func TestSignedWithWrongDocumentsIsVoid(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*process.Signed){
		"none":          func(in *process.Signed) { in.Documents = nil },
		"one missing":   func(in *process.Signed) { in.Documents = in.Documents[:1] },
		"one twice":     func(in *process.Signed) { in.Documents[1] = in.Documents[0] },
		"a stranger":    func(in *process.Signed) { in.Documents[1].DocExternalID = "d3" },
		"one too many":  func(in *process.Signed) { in.Documents = append(in.Documents, in.Documents[0]) },
		"old version":   func(in *process.Signed) { in.Documents[0].BaseSHA256 = "d1-v0" },
		"not signed":    func(in *process.Signed) { in.Documents[0].SHA256 = "d1-v1" },
		"without bytes": func(in *process.Signed) { in.Documents[0].SHA256 = "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			both := []handover.Action{sign, action("d2", contract.ActionSign, contract.VisibilityHidden)}
			b := newBench(t)
			b.do(insert(true, task(1, handover.Seal, 1, both)))
			in := signedBy(b.state, "a0", 1)
			change(&in)
			result, err := b.apply(in)
			require.NoError(t, err)
			require.Equal(t, process.VoidDocuments, result.Void)
			b.do(signedBy(b.state, "a0", 1))
			require.Equal(t, contract.StatusWorked, b.state.Status)
		})
	}
}

func TestOneFailureTakesOneSpare(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.do(insert(true, task(1, handover.AutoSign, 2, []handover.Action{sign}, anna, bruno, carla, segr)))
	b.do(process.Failed{Assignment: "a0", Epoch: 1, Code: contract.CodeError})
	require.Equal(t, "a1", b.state.Lease.Assignment)
	require.Equal(t, []string{"a2"}, b.state.Queue)
	require.Equal(t, process.Waiting, b.state.Steps[0].Assignments[3].Status)
}

func TestProcessEndedWithoutSignature(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.do(insert(true, task(1, handover.Human, 1, []handover.Action{action("d1", contract.ActionApprove, contract.VisibilityVisible)}, anna)))
	b.do(process.Confirmed{Assignment: "a0"})
	events := b.do(signedBy(b.state, "a0", 1)).Events
	require.False(t, events[len(events)-1].(process.ProcessEnded).WithSignature)
}

func TestDates(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	second := func(n int) time.Time { return begin.Add(time.Duration(n) * time.Second) }
	b.do(insert(false, human(1, 1, anna), human(2, 1, bruno)))
	b.do(process.Send{By: "carla"})
	b.do(process.Confirmed{Assignment: "a0"})
	b.do(signedBy(b.state, "a0", 1))
	b.do(process.Rejected{Assignment: "a1", Note: "no"})
	b.do(process.Delete{By: "segr"})
	s := b.state
	require.Equal(t, second(1), s.CreatedAt)
	require.Equal(t, second(2), s.StartedAt)
	require.Equal(t, "carla", s.StartedBy)
	require.Equal(t, second(3), s.Steps[0].Assignments[0].ConfirmedAt)
	require.Equal(t, second(4), s.Steps[0].Assignments[0].EndedAt)
	require.Equal(t, second(4), s.Steps[0].FinishedAt)
	require.Equal(t, second(4), s.Steps[1].StartedAt)
	require.Equal(t, second(5), s.FinishedAt)
	require.Equal(t, second(5), s.CompletedAt)
	require.Equal(t, second(6), s.DeletedAt)
	require.Equal(t, contract.StatusRejected, s.PreviousStatus)
}

func TestStateSurvivesJSON(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := insert(true, human(1, 1, anna, bruno), human(1, 1, carla))
	in.Envelope.ExpireAt = time.Date(2031, 1, 1, 1, 0, 0, 1234567, time.FixedZone("CET", 3600))
	b.at = time.Now()
	b.do(in)
	b.do(process.Confirmed{Assignment: "a1"})
	b.do(process.Confirmed{Assignment: "a2"})
	loaded, err := process.Load([]byte(encode(t, b.state)))
	require.NoError(t, err)
	require.Equal(t, b.state, loaded)
	require.NotNil(t, loaded.Lease)
	require.Equal(t, []string{"a2"}, loaded.Queue)
}

func TestLoadRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	_, err := process.Load([]byte(`{"schema":2}`))
	require.ErrorIs(t, err, process.ErrSchema)
	_, err = process.Load([]byte(`{"schema":`))
	var syntax *json.SyntaxError
	require.ErrorAs(t, err, &syntax)
}

func TestFromResolved(t *testing.T) {
	t.Parallel()
	resolved := handover.Resolved{
		Operation:  handover.Operation{Customer: "demo", System: "ERP"},
		EnvelopeID: "e1",
		Envelope: contract.Envelope{
			ExternalID: "X-1", Subject: "contract", ExpireAt: contract.MillisOf(begin.Add(time.Hour)),
			CommonMessage: &contract.CommonMessage{Subject: "please", Text: "sign"},
		},
		Documents: insert(true).Documents,
		LoadedBy:  segr,
		Tasks:     []handover.Task{human(1, 1, anna)},
	}
	for mode, started := range map[contract.SendingMode]bool{"": true, contract.SendImmediate: true, contract.SendDraft: false} {
		resolved.Envelope.SendingMode = mode
		in := process.FromResolved(resolved, []string{"a0"})
		require.Equal(t, started, in.Start, "sending mode %q", mode)
		require.Equal(t, process.Envelope{
			ID: "e1", Customer: "demo", System: "ERP", ExternalID: "X-1", Subject: "contract",
			MessageSubject: "please", MessageText: "sign", LoadedBy: segr, ExpireAt: begin.Add(time.Hour),
		}, in.Envelope)
		require.Equal(t, resolved.Tasks, in.Tasks)
		require.Equal(t, resolved.Documents, in.Documents)
	}
}

func TestFromProgress(t *testing.T) {
	t.Parallel()
	documents := []handover.SignedDocument{{DocExternalID: "d1"}}
	for _, tc := range []struct {
		progress handover.Progress
		want     process.Input
	}{
		{handover.Progress{Kind: handover.Confirmed, Assignment: "a0"}, process.Confirmed{Assignment: "a0"}},
		{handover.Progress{Kind: handover.Rejected, Assignment: "a0", Note: "no"}, process.Rejected{Assignment: "a0", Note: "no"}},
		{handover.Progress{Kind: handover.Signed, Assignment: "a0", Epoch: 3, Documents: documents}, process.Signed{Assignment: "a0", Epoch: 3, Documents: documents}},
		{handover.Progress{Kind: handover.Failed, Assignment: "a0", Epoch: 3, Note: "x", Code: contract.CodeTimeout}, process.Failed{Assignment: "a0", Epoch: 3, Note: "x", Code: contract.CodeTimeout}},
		{handover.Progress{Kind: handover.Failed, Assignment: "a0"}, process.Failed{Assignment: "a0", Code: contract.CodeError}},
	} {
		in, err := process.FromProgress(tc.progress)
		require.NoError(t, err)
		require.Equal(t, tc.want, in)
	}
}

// TestCheckSeesBrokenStates shows that Check, on which the other tests lean, can fail.
func TestCheckSeesBrokenStates(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*process.State){
		"two leases":         func(s *process.State) { s.Steps[0].Assignments[1].Status = process.Signing },
		"lost lease":         func(s *process.State) { s.Lease = nil },
		"old epoch":          func(s *process.State) { s.Epoch++ },
		"lost queue":         func(s *process.State) { s.Queue = nil },
		"queued twice":       func(s *process.State) { s.Queue = append(s.Queue, s.Queue[0]) },
		"open step, closed":  func(s *process.State) { s.Steps[0].Status = contract.StepDone },
		"next step too soon": func(s *process.State) { s.Steps[2].Status = contract.StepWorking },
		"ended with a lease": func(s *process.State) { s.Status = contract.StatusWorked },
		"waits for nobody":   func(s *process.State) { s.Steps = s.Steps[2:] },
		"same id twice":      func(s *process.State) { s.Steps[2].Assignments[0].ID = "a0" },
		"no such step":       func(s *process.State) { s.Steps[0].Status = "?" },
		"document twice":     func(s *process.State) { s.Documents[1].ExternalID = "d1" },
		"schema":             func(s *process.State) { s.Schema = 0 },
		"not there":          func(s *process.State) { s.Status = process.NoEnvelope },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.do(insert(true, human(1, 1, anna, bruno), human(1, 1, carla), human(2, 1, anna)))
			b.do(process.Confirmed{Assignment: "a0"})
			b.do(process.Confirmed{Assignment: "a2"})
			change(&b.state)
			require.ErrorIs(t, process.Check(b.state), process.ErrInvariant)
		})
	}
}
