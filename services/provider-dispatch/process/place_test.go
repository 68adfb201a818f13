package process_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/services/provider-dispatch/process"
)

// places is a signature with a field for each of three actors.
func places() []handover.Action {
	a := sign
	a.Placement = handover.Placement{Field: "F1", Further: []handover.Placement{{Field: "F2"}, {Field: "F3"}}}
	return []handover.Action{a, action("d2", contract.ActionView, contract.VisibilityNone)}
}

// field is where the last job lets its actor sign.
func field(t *testing.T, jobs []process.Job) string {
	t.Helper()
	require.NotEmpty(t, jobs)
	last := jobs[len(jobs)-1].Actions
	require.Empty(t, last[0].Placement.Further, "a job has the place of its actor only")
	require.Empty(t, last[1].Placement)
	return last[0].Placement.Field
}

func TestEachOfAllActorsHasHisOwnField(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	opened, err := b.apply(insert(true, task(1, handover.Human, 3, places(), anna, bruno, carla)))
	require.NoError(t, err)
	for i, want := range []string{"F1", "F2", "F3"} {
		require.Equal(t, want, field(t, opened.Jobs[i:i+1]), "the page shows where he will sign")
	}
	for i, id := range []string{"a2", "a0", "a1"} {
		granted, err := b.apply(process.Confirmed{Assignment: id})
		require.NoError(t, err)
		require.Equal(t, []string{"F3", "F1", "F2"}[i], field(t, granted.Jobs))
		_, err = b.apply(signedBy(b.state, id, b.state.Epoch))
		require.NoError(t, err)
	}
	require.Equal(t, contract.StatusWorked, b.state.Status)
}

func TestWhoComesTakesTheNextField(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, err := b.apply(insert(true, task(1, handover.Human, 2, places(), anna, bruno, carla)))
	require.NoError(t, err)
	granted, err := b.apply(process.Confirmed{Assignment: "a2"})
	require.NoError(t, err)
	require.Equal(t, "F1", field(t, granted.Jobs))
	_, err = b.apply(process.Confirmed{Assignment: "a1"})
	require.NoError(t, err)
	granted, err = b.apply(process.Failed{Assignment: "a2", Epoch: b.state.Epoch, Code: contract.CodeError})
	require.NoError(t, err)
	require.Equal(t, "F1", field(t, granted.Jobs), "who fails leaves his field to the next")
	_, err = b.apply(signedBy(b.state, "a1", b.state.Epoch))
	require.NoError(t, err)
	granted, err = b.apply(process.Confirmed{Assignment: "a0"})
	require.NoError(t, err)
	require.Equal(t, "F2", field(t, granted.Jobs))
}
