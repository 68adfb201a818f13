package intake_test

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/store/storetest"
	"signbus.dev/pkg/subjects"
)

// A publisher named the digest of its payload; another payload under the same digest was
// taken for a repetition and swallowed, and a digest that is no text could not be stored.
func TestRegressionDigestsOfPublishersAreNotBelieved(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		r := newRig(t, db, nil)
		for i, digest := range []string{strings.Repeat("a", 64), strings.Repeat("a", 64), strings.Repeat("\xff", 64)} {
			msg := nats.NewMsg("cmd.demo.ERP.deleteEnvelope")
			msg.Header.Set(subjects.HeaderOperationID, []string{"op", "op", "other"}[i])
			msg.Header.Set("Signbus-Payload-Digest", digest)
			msg.Data = encode(t, on([]string{"E-1", "E-2", "E-3"}[i]))
			_, err := r.JS.PublishMsg(t.Context(), msg)
			require.NoError(t, err)
		}
		outcomes := map[string]int{}
		for range 3 {
			h := r.next(t)
			outcomes[h.subject+" "+string(h.refusal.Code)]++
		}
		require.Equal(t, map[string]int{
			subjects.WorkCommand + " ": 2,
			subjects.WorkRefuse + " " + string(contract.CodeOperationIDReused): 1,
		}, outcomes)
	})
}

// Two commands with the same JSON and the same operation id were taken for one.
func TestRegressionTheCommandIsPartOfTheOperation(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.Open(t, storetest.SQLite(t)), nil)
	r.publish(t, "cmd.demo.ERP.sendEnvelope", "op", encode(t, on("E-1")))
	require.Equal(t, subjects.WorkCommand, r.next(t).subject)
	r.publish(t, "cmd.demo.ERP.deleteEnvelope", "op", encode(t, on("E-1")))
	require.Equal(t, contract.CodeOperationIDReused, r.next(t).refusal.Code)
}

// A command overtook the insertion of its envelope when that was tried again, or was in
// the hands of another process.
func TestRegressionCommandsDoNotOvertakeTheInsertion(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		r := newRig(t, db, nil)
		r.publish(t, "cmd.demo.ERP.deleteEnvelope", "2", encode(t, on("E-1")))
		r.publish(t, "cmd.demo.ERP.insertEnvelope", "1", encode(t, insert("E-1")))
		first, second := r.next(t), r.next(t)
		require.Equal(t, []string{"1", "2"}, []string{first.op.ID, second.op.ID})
	})
}

// The examples of chapter 4.3 name another code than the subject they are sent on.
func TestRegressionTheSubjectNamesTheSystemOnTheQueue(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.Open(t, storetest.SQLite(t)), nil)
	request := insert("E-1")
	request["externalSystemCode"] = "ZZZ"
	r.publish(t, "cmd.demo.ERP.insertEnvelope", "op", encode(t, request))
	h := r.next(t)
	require.Equal(t, subjects.WorkIngest, h.subject)
	require.Equal(t, "ERP", h.op.System)
}
