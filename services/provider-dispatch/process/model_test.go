package process_test

import (
	"cmp"
	"slices"
	"sort"
	"strconv"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/services/provider-dispatch/process"
)

// model is a slow and obvious description of a process. It keeps nothing but the
// inputs that had effect, and says of any moment (the first n of them) what was true
// then, by definitions: a step is done when enough of its assignments are, and so on.
// Only who holds the lease depends on the moment before.
type model struct {
	steps   []modelStep
	started bool // at insertion
	history []process.Input
}

type modelStep struct {
	order, howMany int
	kind           handover.TaskKind
	ids            []string
	signs          map[string]bool // documents
}

// newModel reads an Insert; the ids go to the assignments in the order of the steps.
func newModel(in process.Insert) *model {
	m := &model{started: in.Start, history: []process.Input{in}}
	tasks := slices.Clone(in.Tasks)
	sort.SliceStable(tasks, func(i, j int) bool { return tasks[i].Order < tasks[j].Order })
	next := 0
	for _, task := range tasks {
		step := modelStep{order: task.Order, howMany: task.HowMany, kind: task.Kind, signs: map[string]bool{}}
		people := map[string]bool{}
		for _, actor := range task.Actors {
			people[actor.ExternalID] = true
		}
		n := len(people)
		if task.Kind == handover.Seal {
			n = 1
		}
		for range n {
			step.ids = append(step.ids, in.IDs[next])
			next++
		}
		for _, action := range task.Actions {
			if action.Visibility != "N" {
				step.signs[action.DocExternalID] = true
			}
		}
		m.steps = append(m.steps, step)
	}
	return m
}

// moment is what was true after the first n inputs.
type moment struct {
	facts     facts
	status    contract.EnvelopeStatus
	process   contract.ProcessStatus
	steps     []contract.StepStatus
	shares    map[string]process.AssignmentStatus
	consented map[string]bool
	holder    string
	queue     []string
	epoch     int64
	versions  map[string]int
}

// facts are the inputs, sorted by what they say.
type facts struct {
	sent, cancelled, deleted, expired   bool
	confirmed, rejected, signed, failed map[string]bool
	signatures                          map[string]int // by document
}

func (m *model) factsAt(n int) facts {
	f := facts{
		sent: m.started, signatures: map[string]int{},
		confirmed: map[string]bool{}, rejected: map[string]bool{}, signed: map[string]bool{}, failed: map[string]bool{},
	}
	for _, input := range m.history[:n] {
		switch in := input.(type) {
		case process.Send:
			f.sent = true
		case process.Cancel:
			f.cancelled = true
		case process.Delete:
			f.deleted = true
		case process.Expire:
			f.expired = true
		case process.Confirmed:
			f.confirmed[in.Assignment] = true
		case process.Rejected:
			f.rejected[in.Assignment] = true
		case process.Failed:
			f.failed[in.Assignment] = true
		case process.Signed:
			f.signed[in.Assignment] = true
			for _, d := range in.Documents {
				f.signatures[d.DocExternalID]++
			}
		}
	}
	return f
}

// consented: people by their answer, machines when their step has started and they
// are among the first that can still do it.
func (f facts) consented(step modelStep, id string, started bool) bool {
	if step.kind == handover.Human {
		return f.confirmed[id]
	}
	rank := 0
	for _, other := range step.ids {
		if other == id {
			break
		}
		if !f.failed[other] {
			rank++
		}
	}
	return started && !f.failed[id] && rank < step.howMany
}

func (f facts) done(step modelStep, id string, started bool) bool {
	return f.signed[id] || len(step.signs) == 0 && f.consented(step, id, started)
}

// progressAt says which steps have started and which have enough.
func (m *model) progressAt(f facts) (started, enough []bool) {
	started, enough = make([]bool, len(m.steps)), make([]bool, len(m.steps))
	for i, step := range m.steps {
		started[i] = f.sent
		for j, before := range m.steps[:i] {
			started[i] = started[i] && (before.order == step.order || enough[j])
		}
		done := 0
		for _, id := range step.ids {
			if f.done(step, id, started[i]) {
				done++
			}
		}
		enough[i] = started[i] && done >= step.howMany
	}
	return started, enough
}

// hopeless says whether some started step can never have enough.
func (m *model) hopeless(f facts, started []bool) bool {
	for i, step := range m.steps {
		able := 0
		for _, id := range step.ids {
			if !f.failed[id] {
				able++
			}
		}
		if started[i] && able < step.howMany {
			return true
		}
	}
	return false
}

func (m *model) statusAt(f facts, started, enough []bool) (contract.EnvelopeStatus, contract.ProcessStatus) {
	complete := f.sent && !slices.Contains(enough, false)
	status := contract.StatusDraft
	switch {
	case complete:
		status = contract.StatusWorked
	case len(f.rejected) > 0:
		status = contract.StatusRejected
	case f.cancelled || m.hopeless(f, started):
		status = contract.StatusCancelled
	case f.expired:
		status = contract.StatusExpired
	case f.sent:
		status = contract.StatusInProgress
	}
	var run contract.ProcessStatus
	switch {
	case complete:
		run = contract.ProcessClosed
	case f.sent && status == contract.StatusInProgress && !f.deleted:
		run = contract.ProcessOpen
	case f.sent:
		run = contract.ProcessCancelled
	}
	if f.deleted {
		status = contract.StatusDeleted
	}
	return status, run
}

// moments describes every moment from the insertion on.
func (m *model) moments() []moment {
	var all []moment
	since := map[string]int{} // the moment of consent
	for n := 1; n <= len(m.history); n++ {
		f := m.factsAt(n)
		started, enough := m.progressAt(f)
		now := moment{facts: f, shares: map[string]process.AssignmentStatus{}, consented: map[string]bool{}, versions: f.signatures}
		now.status, now.process = m.statusAt(f, started, enough)
		running := now.process == contract.ProcessOpen
		place := map[string]int{}
		for i, step := range m.steps {
			now.steps = append(now.steps, stepStatus(now.status, started[i], enough[i]))
			for _, id := range step.ids {
				place[id] = len(place)
				now.shares[id] = shareStatus(f, step, id, started[i], enough[i], now.status)
				if f.consented(step, id, started[i]) {
					now.consented[id] = true
					if _, known := since[id]; !known {
						since[id] = n
					}
				}
			}
		}
		var ready []string
		for id, share := range now.shares {
			if running && share == process.Consented {
				ready = append(ready, id)
			}
		}
		slices.SortFunc(ready, func(a, b string) int {
			return cmp.Or(cmp.Compare(since[a], since[b]), cmp.Compare(place[a], place[b]))
		})
		if n > 1 {
			before := all[n-2]
			now.epoch = before.epoch
			if slices.Contains(ready, before.holder) {
				now.holder = before.holder
			}
		}
		if now.holder == "" && len(ready) > 0 {
			now.holder = ready[0]
			now.epoch++
		}
		for _, id := range ready {
			if id == now.holder {
				now.shares[id] = process.Signing
			} else {
				now.queue = append(now.queue, id)
			}
		}
		all = append(all, now)
	}
	return all
}

func stepStatus(status contract.EnvelopeStatus, started, enough bool) contract.StepStatus {
	switch {
	case enough:
		return contract.StepDone
	case status != contract.StatusDraft && status != contract.StatusInProgress:
		return contract.StepCancelled
	case started:
		return contract.StepWorking
	default:
		return contract.StepNotStarted
	}
}

func shareStatus(f facts, step modelStep, id string, started, enough bool, status contract.EnvelopeStatus) process.AssignmentStatus {
	switch {
	case f.failed[id]:
		return process.Broken
	case f.rejected[id]:
		return process.Declined
	case f.done(step, id, started):
		return process.Done
	case enough, status != contract.StatusDraft && status != contract.StatusInProgress:
		return process.Withdrawn
	case f.consented(step, id, started):
		return process.Consented
	default:
		return process.Waiting
	}
}

func (m *model) step(id string) (modelStep, int, bool) {
	for i, step := range m.steps {
		if slices.Contains(step.ids, id) {
			return step, i, true
		}
	}
	return modelStep{}, 0, false
}

// verdict is what becomes of an input.
type verdict string

const (
	takes   verdict = "takes effect"
	voids   verdict = "is void"
	refuses verdict = "is refused"
)

// judge says what must become of an input after the moment.
func (m *model) judge(now moment, input process.Input) verdict {
	when := func(ok bool, otherwise verdict) verdict {
		if ok {
			return takes
		}
		return otherwise
	}
	alive := now.status == contract.StatusDraft || now.status == contract.StatusInProgress
	working := func(id string) (modelStep, bool) {
		step, i, ok := m.step(id)
		return step, ok && now.steps[i] == contract.StepWorking
	}
	switch in := input.(type) {
	case process.Send:
		return when(now.status == contract.StatusDraft && len(m.steps) > 0, refuses)
	case process.Cancel:
		return when(alive, refuses)
	case process.Delete:
		return when(now.status != contract.StatusDeleted, refuses)
	case process.Expire:
		return when(alive, voids)
	case process.Confirmed:
		step, ok := working(in.Assignment)
		return when(ok && step.kind == handover.Human && now.shares[in.Assignment] == process.Waiting, voids)
	case process.Rejected:
		step, ok := working(in.Assignment)
		share := now.shares[in.Assignment]
		return when(ok && step.kind == handover.Human && (share == process.Waiting || share == process.Consented), voids)
	case process.Failed:
		_, ok := working(in.Assignment)
		switch now.shares[in.Assignment] {
		case process.Signing:
			return when(ok && in.Epoch == now.epoch, voids)
		case process.Waiting, process.Consented:
			return when(ok && in.Epoch == 0, voids)
		}
		return voids
	case process.Signed:
		step, _ := working(in.Assignment)
		documents := map[string]bool{}
		for _, d := range in.Documents {
			if d.BaseSHA256 == d.DocExternalID+"-v"+strconv.Itoa(1+now.versions[d.DocExternalID]) && d.SHA256 != d.BaseSHA256 {
				documents[d.DocExternalID] = true
			}
		}
		right := len(in.Documents) == len(step.signs)
		for d := range step.signs {
			right = right && documents[d]
		}
		return when(in.Assignment == now.holder && in.Epoch == now.epoch && right, voids)
	}
	return refuses // Insert
}

// eventsBetween says which events lead from one moment to the next, in the words of
// eventWords without what follows the first colon; before has no steps at insertion.
func (m *model) eventsBetween(before, now moment) []string {
	words := []string{}
	status := before.status
	if now.facts.sent && !before.facts.sent {
		words = append(words, "sent")
		if status == contract.StatusDraft {
			words = append(words, "DRF>PGS")
		}
		status = contract.StatusInProgress
	} else if status == process.NoEnvelope {
		status = contract.StatusDraft
	}
	for i := range m.steps {
		if now.steps[i] == contract.StepDone && (before.steps == nil || before.steps[i] != contract.StepDone) {
			words = append(words, "closed:"+strconv.Itoa(i))
		}
	}
	if now.status != status {
		words = append(words, string(status)+">"+string(now.status))
	}
	switch {
	case now.status == status:
	case now.status == contract.StatusWorked:
		words = append(words, "ended")
	case now.status == contract.StatusRejected:
		words = append(words, "rejected")
	case now.status == contract.StatusExpired:
		words = append(words, "expired")
	case now.status == contract.StatusCancelled, now.status == contract.StatusDeleted && before.process == contract.ProcessOpen:
		words = append(words, "cancelled")
	}
	return words
}

// jobsBetween says which jobs lead from one moment to the next, sorted.
func (m *model) jobsBetween(before, now moment) []string {
	words := []string{}
	reasons := map[contract.EnvelopeStatus]string{
		contract.StatusRejected: "rejected", contract.StatusCancelled: "cancelled",
		contract.StatusDeleted: "deleted", contract.StatusExpired: "expired",
	}
	was := func(i int) contract.StepStatus {
		if before.steps == nil {
			return contract.StepNotStarted
		}
		return before.steps[i]
	}
	for i, step := range m.steps {
		for _, id := range step.ids {
			opened := was(i) == contract.StepNotStarted && now.steps[i] == contract.StepWorking
			if opened && step.kind == handover.Human {
				words = append(words, "open:"+id)
			}
			told := step.kind == handover.Human && was(i) == contract.StepWorking || before.holder == id
			if told && now.shares[id] == process.Withdrawn && before.shares[id] != process.Withdrawn {
				reason := "completed"
				if now.steps[i] != contract.StepDone {
					reason = reasons[now.status]
				}
				words = append(words, "withdraw:"+id+":"+reason)
			}
		}
	}
	if now.epoch > before.epoch {
		words = append(words, "sign:"+now.holder+"#"+strconv.FormatInt(now.epoch, 10))
	}
	slices.Sort(words)
	return words
}
