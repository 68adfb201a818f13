package intake_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/store/storetest"
	"signbus.dev/pkg/subjects"
)

// Commands that come at the same time share a message; each has its own outcome.
func TestConcurrentCommandsAreAllTaken(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		r := newRig(t, db, nil)
		var answers []<-chan answer
		for i := range 40 {
			id := fmt.Sprintf("E-%d", i)
			answers = append(answers, r.putAside(t, direct+"/envelopes/"+id, encode(t, insert(id))))
		}
		operations := map[string]bool{}
		for _, a := range answers {
			got := <-a
			require.Equal(t, http.StatusOK, got.status, string(got.body))
			operations[got.Message] = true
		}
		require.Len(t, operations, 40)
		envelopes := map[string]bool{}
		for range 40 {
			envelopes[r.next(t).op.ExternalID] = true
		}
		require.Len(t, envelopes, 40)
		r.quiet(t)
	})
}

// A command that can never be handled does not take the others of its pack with it.
func TestAPackWithABadCommandIsTakenApart(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		r := newRig(t, db, nil)
		pack := handover.Pack{Commands: []handover.Accepted{
			{Subject: "cmd.nobody.ERP.insertEnvelope", OperationID: "one", Data: encode(t, insert("E-1"))},
			{Subject: "cmd.demo.ERP.insertEnvelope", OperationID: "two", Data: []byte(`{"cut`)},
			{Subject: "cmd.demo.ERP.insertEnvelope", OperationID: "three", Data: encode(t, insert("E-3"))},
		}}
		require.NoError(t, r.Publisher.Publish(t.Context(), bus.Message{Subject: subjects.WorkAccepted, Data: encode(t, pack)}))
		handed := map[string]string{}
		for range 2 {
			h := r.next(t)
			handed[h.op.ID] = h.subject
		}
		require.Equal(t, map[string]string{"two": subjects.WorkRefuse, "three": subjects.WorkIngest}, handed)
		require.Equal(t, string(contract.CodeIllegalArgument), r.done(t, "demo", "two").ReturnStatus.Code)
		r.Next(t, subjects.StreamDead, subjects.Dead(subjects.Intake), 1)
	})
}
