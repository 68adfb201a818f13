package process_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/services/provider-dispatch/process"
)

// drawInsert makes any valid envelope of up to four tasks.
func drawInsert(t *rapid.T) process.Insert {
	var tasks []handover.Task
	for range rapid.IntRange(0, 4).Draw(t, "tasks") {
		kind := rapid.SampledFrom([]handover.TaskKind{handover.Human, handover.Human, handover.AutoSign, handover.Seal}).Draw(t, "kind")
		people := rapid.Permutation([]handover.Actor{anna, bruno, carla, segr}).Draw(t, "people")
		people = people[:rapid.IntRange(1, 4).Draw(t, "actors")]
		howMany := 1
		if kind == handover.Seal {
			people = nil
		} else {
			howMany = rapid.IntRange(1, len(people)).Draw(t, "howMany")
		}
		var actions []handover.Action
		for range rapid.IntRange(1, 3).Draw(t, "actions") {
			actions = append(actions, rapid.SampledFrom([]handover.Action{
				sign,
				action("d2", contract.ActionSign, contract.VisibilityHidden),
				action("d1", contract.ActionView, contract.VisibilityNone),
				action("d2", contract.ActionApprove, contract.VisibilityNone),
				{DocExternalID: "d2", Type: contract.ActionApprove, Visibility: "V", Confirmed: true},
			}).Draw(t, "action"))
		}
		tasks = append(tasks, task(rapid.IntRange(1, 3).Draw(t, "order"), kind, howMany, actions, people...))
	}
	start := len(tasks) > 0 && rapid.IntRange(0, 3).Draw(t, "start") > 0
	return insert(start, tasks...)
}

// drawInput makes an input that may fit, be late, repeated, stale or nonsense.
func drawInput(t *rapid.T, s process.State, first process.Insert) process.Input {
	ids := append([]string{"stranger"}, first.IDs...)
	id := rapid.SampledFrom(ids).Draw(t, "assignment")
	epoch := s.Epoch
	if s.Lease != nil && rapid.Bool().Draw(t, "holder") {
		id = s.Lease.Assignment
	}
	verb := rapid.SampledFrom([]string{
		"confirm", "confirm", "confirm", "confirm", "sign", "sign", "sign", "sign", "fail", "fail", "stale sign", "wrong documents",
		"send", "rare",
	}).Draw(t, "verb")
	if verb == "rare" {
		verb = rapid.SampledFrom([]string{"reject", "cancel", "delete", "expire", "insert", "fail with epoch"}).Draw(t, "rare")
	}
	switch verb {
	case "confirm":
		return process.Confirmed{Assignment: id}
	case "sign":
		return signedBy(s, id, epoch)
	case "stale sign":
		return signedBy(s, id, epoch+rapid.Int64Range(-2, 2).Draw(t, "off"))
	case "wrong documents":
		in := signedBy(s, id, epoch)
		if len(in.Documents) == 0 {
			return in
		}
		switch rapid.IntRange(0, 2).Draw(t, "wrong") {
		case 0:
			in.Documents[0].BaseSHA256 = "other"
		case 1:
			in.Documents = in.Documents[1:]
		case 2:
			in.Documents = append(in.Documents, in.Documents[0])
		}
		return in
	case "fail":
		if s.Lease == nil || s.Lease.Assignment != id {
			epoch = 0
		}
		return process.Failed{Assignment: id, Epoch: epoch, Code: contract.CodeError, Note: "broken"}
	case "fail with epoch":
		return process.Failed{Assignment: id, Epoch: rapid.Int64Range(0, 4).Draw(t, "epoch"), Code: contract.CodeError}
	case "reject":
		return process.Rejected{Assignment: id, Note: "no"}
	case "cancel":
		return process.Cancel{By: "segr"}
	case "delete":
		return process.Delete{By: "segr"}
	case "expire":
		return process.Expire{}
	case "insert":
		return first
	default:
		return process.Send{By: "segr"}
	}
}

// run is one envelope beside its model.
type run struct {
	t       *rapid.T
	model   *model
	state   process.State
	past    []process.State // every state so far, and their JSON when they were new
	written []string
	events  []string
	jobs    []process.Job
	at      time.Time
}

// step applies an input and compares everything with the model.
func (r *run) step(in process.Input) {
	r.at = r.at.Add(time.Second)
	var before moment
	want := takes
	if moments := r.model.moments(); r.state.Status != process.NoEnvelope {
		before = moments[len(moments)-1]
		want = r.model.judge(before, in)
	}
	result, err := process.Apply(r.state, in, r.at)
	again, err2 := process.Apply(r.state, in, r.at)
	require.Equal(r.t, result, again, "Apply gave two results")
	require.Equal(r.t, err, err2, "Apply gave two errors")

	got := takes
	var refused *contract.Error
	switch {
	case errors.As(err, &refused):
		got = refuses
	case result.Void != process.Effective:
		got = voids
	}
	require.Equal(r.t, want, got, "%T %+v: %v %s", in, in, err, result.Void)
	if got != takes {
		require.Equal(r.t, process.Result{State: r.state, Void: result.Void}, result, "an input without effect had one")
		return
	}
	require.NoError(r.t, err)
	require.NoError(r.t, process.Check(result.State))
	if _, isInsert := in.(process.Insert); !isInsert {
		r.model.history = append(r.model.history, in)
	}
	moments := r.model.moments()
	now := moments[len(moments)-1]
	r.compare(now, result.State)

	var words []string
	for _, word := range eventWords(result.Events) {
		if kind, rest, ok := strings.Cut(word, ":"); ok && kind == "closed" {
			word = kind + ":" + rest[:1]
		} else {
			word = kind
		}
		words = append(words, word)
	}
	require.ElementsMatch(r.t, r.model.jobsBetween(before, now), jobWords(result.Jobs))
	require.Equal(r.t, r.model.eventsBetween(before, now), append([]string{}, words...))

	r.state = result.State
	r.past = append(r.past, r.state)
	r.written = append(r.written, encode(r.t, r.state))
	r.events = append(r.events, eventWords(result.Events)...)
	r.jobs = append(r.jobs, result.Jobs...)
}

func (r *run) compare(now moment, s process.State) {
	require.Equal(r.t, now.status, s.Status)
	require.Equal(r.t, now.process, s.ProcessStatus)
	require.Equal(r.t, now.epoch, s.Epoch)
	require.Equal(r.t, now.queue, s.Queue)
	holder := ""
	if s.Lease != nil {
		holder = s.Lease.Assignment
	}
	require.Equal(r.t, now.holder, holder)
	for i, step := range s.Steps {
		require.Equal(r.t, now.steps[i], step.Status, "step %d", i)
		for _, a := range step.Assignments {
			require.Equal(r.t, now.shares[a.ID], a.Status, "assignment %s", a.ID)
		}
	}
	for _, d := range s.Documents {
		require.Equal(r.t, 1+now.versions[d.ExternalID], d.Version)
	}
}

// repeat applies an input that had effect before: nothing may change.
func (r *run) repeat(in process.Input) {
	result, err := process.Apply(r.state, in, r.at.Add(time.Minute))
	require.True(r.t, err != nil || result.Void != process.Effective, "%T had effect twice", in)
	require.Equal(r.t, r.state, result.State)
	require.Empty(r.t, result.Events)
	require.Empty(r.t, result.Jobs)
	require.Empty(r.t, result.Versions)
}

// finishable shows that the state is not stuck: answers of those for whom it waits, and
// nothing else, bring it to its end.
func (r *run) finishable() {
	s := r.state
	for range 2 * (len(s.Steps) + 1) * 4 {
		if s.Status != contract.StatusInProgress {
			break
		}
		in := process.Input(process.Confirmed{Assignment: waitingHuman(s)})
		if s.Lease != nil {
			in = signedBy(s, s.Lease.Assignment, s.Lease.Epoch)
		}
		result, err := process.Apply(s, in, r.at)
		require.NoError(r.t, err)
		require.Equal(r.t, process.Effective, result.Void, "stuck at %s", encode(r.t, s))
		require.NoError(r.t, process.Check(result.State))
		s = result.State
	}
	require.Equal(r.t, contract.StatusWorked, s.Status)
}

func waitingHuman(s process.State) string {
	for _, step := range s.Steps {
		for _, a := range step.Assignments {
			if step.Status == contract.StepWorking && step.Kind == handover.Human && a.Status == process.Waiting {
				return a.ID
			}
		}
	}
	return ""
}

// sane checks the events and epochs of the whole run.
func (r *run) sane() {
	started, ends, last := false, 0, int64(0)
	closed := map[string]bool{}
	for i, word := range r.events {
		kind, rest, _ := strings.Cut(word, ":")
		switch kind {
		case "sent":
			require.False(r.t, started, "sent twice: %v", r.events)
			require.Zero(r.t, i, "sent is not the first: %v", r.events)
			started = true
		case "closed":
			number := rest[:1]
			require.True(r.t, started && ends == 0, "a step closed outside the process: %v", r.events)
			require.False(r.t, closed[number], "a step closed twice: %v", r.events)
			closed[number] = true
			require.Equal(r.t, len(closed) == len(r.state.Steps), strings.HasSuffix(word, ":last"), "last: %v", r.events)
		case "ended", "rejected", "cancelled", "expired":
			ends++
		}
	}
	ran := r.state.ProcessStatus == contract.ProcessClosed || r.state.ProcessStatus == contract.ProcessCancelled
	require.Equal(r.t, started, r.state.ProcessStatus != process.NotStarted)
	if ran {
		require.Equal(r.t, 1, ends, "end events: %v", r.events)
	} else {
		require.LessOrEqual(r.t, ends, 1, "end events: %v", r.events)
	}
	for _, job := range r.jobs {
		if job.Kind == handover.JobSign {
			require.Greater(r.t, job.Epoch, last, "epochs do not increase")
			last = job.Epoch
		}
	}
}

// TestEngineAgreesWithModel runs several rounds because the rare mixes, such as a spare
// in a step of four, need more than rapid's hundred examples.
func TestEngineAgreesWithModel(t *testing.T) {
	t.Parallel()
	for round := range 8 {
		t.Run(strconv.Itoa(round), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, agree)
		})
	}
}

func agree(t *rapid.T) {
	first := drawInsert(t)
	r := &run{t: t, model: newModel(first), at: begin}
	r.step(first)
	for range rapid.IntRange(0, 25).Draw(t, "inputs") {
		if r.state.Status == contract.StatusInProgress {
			r.finishable()
		}
		r.step(drawInput(t, r.state, first))
		for _, in := range r.model.history {
			r.repeat(in)
		}
	}
	r.sane()
	for i, s := range r.past {
		require.Equal(t, r.written[i], encode(t, s), "a later input changed state %d", i)
		loaded, err := process.Load([]byte(r.written[i]))
		require.NoError(t, err)
		require.Equal(t, s, loaded, "state %d did not survive JSON", i)
	}
}

// TestEngineReachesEveryEnd guards the generators: a property test that never got far
// would say nothing.
func TestEngineReachesEveryEnd(t *testing.T) {
	t.Parallel()
	seen := map[contract.EnvelopeStatus]bool{}
	voids := map[process.Void]bool{}
	spare := false
	for seed := range 400 {
		rapid.Custom(func(t *rapid.T) string {
			first := drawInsert(t)
			result, err := process.Apply(process.State{}, first, begin)
			require.NoError(t, err)
			s := result.State
			for range 25 {
				result, err = process.Apply(s, drawInput(t, s, first), begin)
				if err == nil {
					voids[result.Void] = true
					s = result.State
				}
			}
			seen[s.Status] = true
			spare = spare || slices.ContainsFunc(s.Steps, func(step process.Step) bool {
				return step.Kind == handover.AutoSign && step.Status == contract.StepDone &&
					slices.ContainsFunc(step.Assignments, func(a process.Assignment) bool { return a.Status == process.Broken })
			})
			return strconv.Itoa(seed)
		}).Example(seed)
	}
	for _, status := range []contract.EnvelopeStatus{"DRF", "PGS", "WKD", "REJ", "STP", "EXP", "DEL"} {
		require.True(t, seen[status], "no run ended in %s", status)
	}
	for _, void := range []process.Void{
		process.VoidUnknown, process.VoidDuplicate, process.VoidNotOpen, process.VoidNotHuman, process.VoidEnded,
		process.VoidSigning, process.VoidStale, process.VoidDocuments,
	} {
		require.True(t, voids[void], "no input was void for %q", fmt.Sprint(void))
	}
	require.True(t, spare, "no automatic step was done in spite of a failure")
}
