package process_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/services/provider-dispatch/process"
)

// statuses lists the live status of every assignment.
func statuses(s process.State) []contract.LiveStatus {
	var list []contract.LiveStatus
	for _, event := range s.LiveStatus() {
		list = append(list, event.Status)
	}
	return list
}

func TestLiveStatusAndCounters(t *testing.T) {
	t.Parallel()
	approved := action("d1", contract.ActionApprove, contract.VisibilityVisible)
	approved.Confirmed = true
	actions := []handover.Action{sign, approved, action("d2", contract.ActionView, contract.VisibilityNone)}
	b := newBench(t)
	b.do(insert(true,
		task(1, handover.Human, 2, actions, anna, bruno, carla),
		task(2, handover.Human, 1, []handover.Action{approved}, anna),
		task(3, handover.Seal, 1, []handover.Action{sign})))

	require.Equal(t, []contract.LiveStatus{"NEW", "NEW", "NEW", "NEW", "NEW"}, statuses(b.state))
	require.Equal(t, contract.ActionsResume{
		Actions: 11, SignActions: 4, ApprovedActions: 4, ViewActions: 3, ConfirmedActions: 4,
	}, b.state.ActionsResume())

	b.do(process.Confirmed{Assignment: "a0"})
	require.Equal(t, []contract.LiveStatus{"TCF", "NEW", "NEW", "NEW", "NEW"}, statuses(b.state))
	require.Equal(t, &contract.ActionsResume{
		Actions: 3, SignedActions: 1, ApprovedActions: 1, ViewedActions: 1, ConfirmedActions: 3,
	}, b.state.LiveStatus()[0].ActionsResume)

	b.do(signedBy(b.state, "a0", 1))
	b.do(process.Confirmed{Assignment: "a2"})
	b.do(signedBy(b.state, "a2", 2))
	require.Equal(t, []contract.LiveStatus{"WKD", "PCD", "WKD", "TCF", "NEW"}, statuses(b.state),
		"the second step holds only an action inserted as approved")
	require.Equal(t, contract.ActionsResume{
		Actions: 8, SignActions: 1, SignedActions: 2, ApprovedActions: 3, ViewedActions: 2, ConfirmedActions: 7,
	}, b.state.ActionsResume())

	b.do(process.Rejected{Assignment: "a3", Note: "no"})
	require.Equal(t, []contract.LiveStatus{"WKD", "PCD", "WKD", "ERJ", "PCD"}, statuses(b.state))
}

func TestLiveStatusNamesPeopleAndDates(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.do(insert(true, human(1, 1, anna), task(2, handover.Seal, 1, []handover.Action{sign})))
	started := contract.MillisOf(b.at)
	b.do(process.Confirmed{Assignment: "a0"})
	b.do(signedBy(b.state, "a0", 1))
	ended := contract.MillisOf(b.at)
	require.Equal(t, []contract.StepEvent{
		{
			MgrExternalID: "anna", MgrName: "Anna", MgrSurname: "Arno", AssignedTo: "Arno Anna",
			Status: contract.LiveWorked, StartedAt: &started, EndedAt: &ended, StepNumber: 0,
			ActionsResume: &contract.ActionsResume{Actions: 1, SignedActions: 1, ConfirmedActions: 1},
		},
		{
			Status: contract.LiveToConfirm, StartedAt: &ended, StepNumber: 1,
			ActionsResume: &contract.ActionsResume{Actions: 1, SignedActions: 1, ConfirmedActions: 1},
		},
	}, b.state.LiveStatus())
}

func TestProcessView(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.do(insert(false, human(1, 2, anna, bruno), human(2, 1, carla)))
	require.Nil(t, b.state.Process(b.at))
	b.do(process.Send{By: "segr"})
	started := contract.MillisOf(b.at)
	b.do(process.Confirmed{Assignment: "a0"})
	b.do(signedBy(b.state, "a0", 1))

	open := b.state.Process(b.state.StartedAt.Add(90 * time.Minute))
	require.Equal(t, contract.FoundProcess{
		StartedByUserExtID: "segr", Status: contract.ProcessOpen, StartedAt: started, Open: true,
		Steps: []contract.FoundStep{
			{StepNum: 0, StartedAt: &started, Status: contract.StepWorking, HowMany: 1, First: true},
			{StepNum: 1, Status: contract.StepNotStarted},
		},
		LiveStatus: b.state.LiveStatus(), TimeElapsedInHour: 1.5,
	}, *open)

	b.do(process.Confirmed{Assignment: "a1"})
	b.do(signedBy(b.state, "a1", 2))
	closed := contract.MillisOf(b.at)
	b.do(process.Cancel{By: "segr"})
	finished := contract.MillisOf(b.at)
	ended := b.state.Process(b.at.Add(time.Hour))
	require.Equal(t, []contract.FoundStep{
		{StepNum: 0, StartedAt: &started, FinishedAt: &closed, Status: contract.StepDone, HowMany: 2, Ended: true, First: true},
		{StepNum: 1, StartedAt: &closed, FinishedAt: &finished, Status: contract.StepCancelled},
	}, ended.Steps)
	require.True(t, ended.Ended)
	require.True(t, ended.Cancelled)
	require.False(t, ended.Open)
	require.Equal(t, 1, ended.EndedStepsCount)
	require.Equal(t, &finished, ended.FinishedAt)
	require.InDelta(t, 5.0/3600, ended.TimeElapsedInHour, 1e-9, "the time stops with the process")
}

func TestDetails(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.do(insert(true, human(1, 1, anna, bruno), human(2, 1, carla)))
	require.Len(t, b.state.Details(), 2, "what has not started is hidden")
	b.do(process.Confirmed{Assignment: "a0"})
	require.Equal(t, contract.FoundDetail{Status: contract.LiveToConfirm, Action: contract.TaskWork, StatusToConfirm: true}, b.state.Details()[0])
	b.do(signedBy(b.state, "a0", 1))
	worked := contract.MillisOf(b.at)
	require.Equal(t, []contract.FoundDetail{
		{Status: contract.LiveWorked, Action: contract.TaskWork, WorkedAt: &worked, StatusWorked: true},
		{Status: contract.LiveNew, Action: contract.TaskWork, StatusNew: true, StatusDeleted: true},
		{Status: contract.LiveNew, Action: contract.TaskWork, StatusNew: true, ToWork: true},
	}, b.state.Details())
}
