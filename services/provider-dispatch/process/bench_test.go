package process_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/services/provider-dispatch/process"
)

var (
	anna  = handover.Actor{ExternalID: "anna", Name: "Anna", Surname: "Arno"}
	bruno = handover.Actor{ExternalID: "bruno", Name: "Bruno", Surname: "Brenta"}
	carla = handover.Actor{ExternalID: "carla", Name: "Carla", Surname: "Cecina"}
	segr  = handover.Actor{ExternalID: "segr", Name: "Secretary", Surname: "Demo"}
)

// begin is when every test starts; each input comes one second after the one before.
var begin = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

func action(doc string, kind contract.ActionType, visibility contract.Visibility) handover.Action {
	return handover.Action{DocExternalID: doc, Type: kind, Visibility: string(visibility)}
}

var sign = action("d1", contract.ActionSign, contract.VisibilityVisible)

func task(order int, kind handover.TaskKind, howMany int, actions []handover.Action, actors ...handover.Actor) handover.Task {
	return handover.Task{
		Order: order, Kind: kind, HowMany: howMany, Actors: actors,
		Provider: "signature-book", SignatureLevel: "B-B", Actions: actions,
	}
}

// human is a task of one visible signature by howMany of the actors.
func human(order, howMany int, actors ...handover.Actor) handover.Task {
	return task(order, handover.Human, howMany, []handover.Action{sign}, actors...)
}

func insert(start bool, tasks ...handover.Task) process.Insert {
	in := process.Insert{
		Envelope: process.Envelope{
			ID: "e1", Customer: "demo", System: "ERP", ExternalID: "X-1", Subject: "contract", LoadedBy: segr,
		},
		Start: start,
		Documents: []handover.Document{
			{ExternalID: "d1", Title: "first", Order: 1, Version: 1, SHA256: "d1-v1", Size: 10, Pages: 2},
			{ExternalID: "d2", Title: "second", Order: 2, Version: 1, SHA256: "d2-v1", Size: 20, Pages: 1},
		},
		Tasks: tasks,
	}
	for i := range process.CountAssignments(tasks) {
		in.IDs = append(in.IDs, "a"+strconv.Itoa(i))
	}
	return in
}

// signedBy answers for an assignment with new versions of what it has to sign.
func signedBy(s process.State, id string, epoch int64) process.Signed {
	in := process.Signed{Assignment: id, Epoch: epoch}
	number, _, ok := s.Find(id)
	if !ok {
		return in
	}
	for _, d := range s.Documents {
		for _, action := range s.Steps[number].Actions {
			if action.DocExternalID == d.ExternalID && action.Visibility != string(contract.VisibilityNone) {
				in.Documents = append(in.Documents, handover.SignedDocument{
					DocExternalID: d.ExternalID,
					BaseSHA256:    d.SHA256,
					SHA256:        fmt.Sprintf("%s-v%d", d.ExternalID, d.Version+1),
					Size:          d.Size + 1,
					Signatures:    d.Signatures + 1,
				})
				break
			}
		}
	}
	return in
}

// encode is the JSON of a state, by which tests compare states.
func encode(t require.TestingT, s process.State) string {
	data, err := json.Marshal(s)
	require.NoError(t, err)
	return string(data)
}

// eventWords and jobWords write results in one short word each, to be read in tables.
func eventWords(events []process.Event) []string {
	words := []string{}
	for _, event := range events {
		switch e := event.(type) {
		case process.EnvelopeSent:
			words = append(words, "sent:"+e.By)
		case process.StepClosed:
			word := "closed:" + strconv.Itoa(e.Step)
			for _, actor := range e.Actors {
				word += "+" + actor.ExternalID
			}
			if e.Last {
				word += ":last"
			}
			words = append(words, word)
		case process.StatusChanged:
			words = append(words, string(e.Old)+">"+string(e.New))
		case process.ProcessEnded:
			words = append(words, "ended")
		case process.EnvelopeRejected:
			words = append(words, fmt.Sprintf("rejected:%s:%d:%s", e.By.ExternalID, e.Step, e.Note))
		case process.EnvelopeCancelled:
			words = append(words, fmt.Sprintf("cancelled:%s:%s:%s", e.By, e.Code, e.Note))
		case process.EnvelopeExpired:
			words = append(words, "expired")
		}
	}
	return words
}

func jobWords(jobs []process.Job) []string {
	words := []string{}
	for _, job := range jobs {
		word := string(job.Kind) + ":" + job.Assignment
		switch job.Kind {
		case handover.JobSign:
			word += "#" + strconv.FormatInt(job.Epoch, 10)
		case handover.JobWithdraw:
			word += ":" + job.Reason
		}
		words = append(words, word)
	}
	return words
}

// bench runs one envelope and checks after each input what must always hold.
type bench struct {
	t     *testing.T
	state process.State
	at    time.Time
}

func newBench(t *testing.T) *bench { return &bench{t: t, at: begin} }

func (b *bench) apply(in process.Input) (process.Result, error) {
	b.t.Helper()
	before := encode(b.t, b.state)
	b.at = b.at.Add(time.Second)
	result, err := process.Apply(b.state, in, b.at)
	require.Equal(b.t, before, encode(b.t, b.state), "Apply changed its argument")
	require.NoError(b.t, process.Check(result.State))
	if err != nil || result.Void != process.Effective {
		require.Equal(b.t, before, encode(b.t, result.State), "an input without effect changed the state")
		require.Empty(b.t, result.Events)
		require.Empty(b.t, result.Jobs)
		require.Empty(b.t, result.Versions)
	}
	b.state = result.State
	return result, err
}

// do applies an input that must have effect.
func (b *bench) do(in process.Input) process.Result {
	b.t.Helper()
	result, err := b.apply(in)
	require.NoError(b.t, err)
	require.Equal(b.t, process.Effective, result.Void)
	return result
}

// parse reads an input from a line of a script: a verb and its words.
func (b *bench) parse(line string) process.Input {
	b.t.Helper()
	words := strings.Fields(line)
	word := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	var epoch int64
	if b.state.Lease != nil && b.state.Lease.Assignment == word(1) {
		epoch = b.state.Lease.Epoch
	}
	if strings.HasPrefix(word(2), "#") {
		n, err := strconv.ParseInt(word(2)[1:], 10, 64)
		require.NoError(b.t, err)
		epoch = n
	}
	switch words[0] {
	case "send":
		return process.Send{By: "segr"}
	case "confirm":
		return process.Confirmed{Assignment: word(1)}
	case "reject":
		return process.Rejected{Assignment: word(1), Note: "no"}
	case "sign":
		return signedBy(b.state, word(1), epoch)
	case "fail":
		return process.Failed{Assignment: word(1), Epoch: epoch, Code: contract.CodeProductExpired, Note: "broken"}
	case "cancel":
		return process.Cancel{By: "segr", Note: "wrong"}
	case "delete":
		return process.Delete{By: "segr", Note: "gone"}
	case "expire":
		return process.Expire{}
	}
	require.Fail(b.t, "no such verb", line)
	return nil
}

// outcome writes a result in one line: the events, a bar, the jobs; or why there are none.
func outcome(result process.Result, err error) string {
	var refused *contract.Error
	switch {
	case errors.As(err, &refused):
		return "refused: " + string(refused.Code)
	case err != nil:
		return "error: " + err.Error()
	case result.Void != process.Effective:
		return "void: " + string(result.Void)
	}
	return strings.TrimSpace(strings.Join(eventWords(result.Events), " ") + " | " + strings.Join(jobWords(result.Jobs), " "))
}
