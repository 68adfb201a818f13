package bus_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/bus/bustest"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/store/storetest"
	"signbus.dev/pkg/subjects"
)

func openDB(t *testing.T, address string) *store.DB {
	t.Helper()
	db := storetest.Open(t, address)
	require.NoError(t, bus.Migrate(t.Context(), db))
	return db
}

func TestPublisherSharesBatchesAndKeepsOrder(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t)
	var group errgroup.Group
	for caller := range 20 {
		group.Go(func() error {
			var msgs []bus.Message
			for i := range 5 {
				msgs = append(msgs, bus.Message{Subject: fmt.Sprintf("evt.c%d", caller), Data: []byte(strconv.Itoa(i))})
			}
			return b.Publisher.Publish(t.Context(), msgs...)
		})
	}
	require.NoError(t, group.Wait())
	for caller := range 20 {
		for i, msg := range b.Next(t, subjects.StreamEvents, fmt.Sprintf("evt.c%d", caller), 5) {
			require.Equal(t, strconv.Itoa(i), string(msg.Data()))
		}
	}
}

func TestPublisherStoresABatchWithOneKnownIdOnce(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t)
	known := bus.Message{Subject: "evt.x", ID: "7", Data: []byte("7")}
	require.NoError(t, b.Publisher.Publish(t.Context(), known))
	var msgs []bus.Message
	for i := range 30 {
		msgs = append(msgs, bus.Message{Subject: "evt.x", ID: strconv.Itoa(i), Data: []byte(strconv.Itoa(i))})
	}
	require.NoError(t, b.Publisher.Publish(t.Context(), msgs...))
	stream, err := b.JS.Stream(t.Context(), subjects.StreamEvents)
	require.NoError(t, err)
	info, err := stream.Info(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 30, info.State.Msgs)
}

func TestTheSameIdOnAnotherSubjectIsAnotherMessage(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t)
	require.NoError(t, b.Publisher.Publish(t.Context(), bus.Message{Subject: "evt.a", ID: "1"}, bus.Message{Subject: "evt.b", ID: "1"}))
	b.Next(t, subjects.StreamEvents, "evt.a", 1)
	b.Next(t, subjects.StreamEvents, "evt.b", 1)
}

func TestPublishToNowhereIsAnError(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t)
	require.ErrorIs(t, b.Publisher.Publish(t.Context(), bus.Message{Subject: "nowhere.x"}), bus.ErrNoStream)
}

type fixture struct {
	*bustest.Bus
	db     *store.DB
	outbox *bus.Outbox
}

func newFixture(t *testing.T, db *store.DB) *fixture {
	t.Helper()
	b := bustest.Start(t)
	require.NoError(t, bus.Migrate(t.Context(), db))
	f := &fixture{Bus: b, db: db, outbox: bus.NewOutbox(db, "echo", b.Publisher, b.Log)}
	bustest.Go(t, f.outbox.Run)
	return f
}

func (f *fixture) stage() *bus.Stage {
	return &bus.Stage{
		Service: "echo", Name: "echo", Stream: subjects.StreamWork, Subjects: []string{"work.echo.>"},
		DB: f.db, JS: f.JS, Outbox: f.outbox, Log: f.Log,
		Apply: func(ctx context.Context, tx *store.Tx, m *bus.Incoming, _ any) error {
			return f.outbox.Send(ctx, tx, bus.Message{Subject: "evt.echo", Data: m.Data})
		},
	}
}

func (f *fixture) publish(t *testing.T, n int) {
	t.Helper()
	var msgs []bus.Message
	for i := range n {
		msgs = append(msgs, bus.Message{Subject: "work.echo.say", ID: strconv.Itoa(i), Data: []byte(strconv.Itoa(i))})
	}
	require.NoError(t, f.Publisher.Publish(t.Context(), msgs...))
}

func (f *fixture) count(t *testing.T, stream string) uint64 {
	t.Helper()
	s, err := f.JS.Stream(t.Context(), stream)
	require.NoError(t, err)
	info, err := s.Info(t.Context())
	require.NoError(t, err)
	return info.State.Msgs
}

func (f *fixture) drained(t *testing.T) {
	t.Helper()
	bustest.Eventually(t, func() bool { return f.count(t, subjects.StreamWork) == 0 }, "the work queue is empty")
}

func TestStageAppliesEachMessageOnce(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		f.publish(t, 100)
		bustest.Go(t, f.stage().Run)
		f.drained(t)
		f.Next(t, subjects.StreamEvents, "evt.echo", 100)
		// The same messages again, as after a lost acknowledgement and a forgotten window.
		stream, err := f.JS.Stream(t.Context(), subjects.StreamWork)
		require.NoError(t, err)
		require.NoError(t, stream.Purge(t.Context()))
		for i := range 100 {
			msg := nats.NewMsg("work.echo.say")
			msg.Header.Set(bus.HeaderMessageID, "work.echo.say:"+strconv.Itoa(i))
			msg.Header.Set("x-again", "yes")
			msg.Data = []byte("again")
			require.NoError(t, f.Conn.PublishMsg(msg))
		}
		require.NoError(t, f.Conn.Flush())
		f.drained(t)
		require.EqualValues(t, 100, f.count(t, subjects.StreamEvents))
	})
}

func TestStageKeepsGoodMessagesOfABatchWithABadOne(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		f.publish(t, 10)
		stage := f.stage()
		var gaveUp atomic.Int32
		apply := stage.Apply
		stage.Apply = func(ctx context.Context, tx *store.Tx, m *bus.Incoming, p any) error {
			switch string(m.Data) {
			case "3":
				require.NoError(t, apply(ctx, tx, m, p))
				return bus.Reject(errors.New("three is\nno number"))
			case "5":
				panic("five")
			}
			return apply(ctx, tx, m, p)
		}
		stage.MaxAttempts = 2
		stage.GiveUp = func(context.Context, *store.Tx, *bus.Incoming, error) error { gaveUp.Add(1); return nil }
		bustest.Go(t, stage.Run)
		f.drained(t)
		f.Next(t, subjects.StreamEvents, "evt.echo", 8)
		dead := f.Next(t, subjects.StreamDead, "dead.echo", 2)
		require.EqualValues(t, 2, gaveUp.Load())
		require.EqualValues(t, 8, f.count(t, subjects.StreamEvents))
		require.Equal(t, "3", string(dead[0].Data()))
		require.Equal(t, "three is no number", dead[0].Headers().Get(subjects.HeaderDeadReason))
		require.Equal(t, "work.echo.say", dead[0].Headers().Get(subjects.HeaderDeadSubject))
	})
}

func TestStageTriesPassingErrorsAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t, openDB(t, storetest.SQLite(t)))
	f.publish(t, 1)
	stage := f.stage()
	stage.MaxAttempts = 1
	var tries atomic.Int32
	stage.Prepare = func(context.Context, *bus.Incoming) (any, error) {
		if tries.Add(1) < 3 {
			return nil, bus.Retry(errors.New("not yet"))
		}
		return nil, nil //nolint:nilnil // nothing to hand over
	}
	bustest.Go(t, stage.Run)
	f.Next(t, subjects.StreamEvents, "evt.echo", 1)
	require.EqualValues(t, 3, tries.Load())
	require.Zero(t, f.count(t, subjects.StreamDead))
}

func TestNothingLeavesWithoutItsCommit(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		boom := errors.New("boom")
		require.ErrorIs(t, db.Update(t.Context(), func(tx *store.Tx) error {
			require.NoError(t, f.outbox.Send(t.Context(), tx, bus.Message{Subject: "evt.lost"}))
			return boom
		}), boom)
		require.NoError(t, db.Update(t.Context(), func(tx *store.Tx) error {
			return f.outbox.Send(t.Context(), tx, bus.Message{Subject: "evt.kept"})
		}))
		f.outbox.Nudge()
		f.Next(t, subjects.StreamEvents, "evt.kept", 1)
		require.EqualValues(t, 1, f.count(t, subjects.StreamEvents))
	})
}

func TestOutboxSurvivesARestart(t *testing.T) {
	t.Parallel()
	address := storetest.SQLite(t)
	db := openDB(t, address)
	b := bustest.Start(t)
	outbox := bus.NewOutbox(db, "echo", b.Publisher, b.Log) // its pump never runs
	require.NoError(t, db.Update(t.Context(), func(tx *store.Tx) error {
		return outbox.Send(t.Context(), tx, bus.Message{Subject: "evt.kept"})
	}))
	require.NoError(t, db.Close())
	db = openDB(t, address)
	bustest.Go(t, bus.NewOutbox(db, "echo", b.Publisher, b.Log).Run)
	b.Next(t, subjects.StreamEvents, "evt.kept", 1)
}

func TestOutboxRefusesWhatNatsCannotCarry(t *testing.T) {
	t.Parallel()
	f := newFixture(t, openDB(t, storetest.SQLite(t)))
	require.ErrorIs(t, f.db.Update(t.Context(), func(tx *store.Tx) error {
		return f.outbox.Send(t.Context(), tx, bus.Message{Subject: "evt.big", Data: make([]byte, 9<<20)})
	}), bus.ErrTooLarge)
}

// The dead letter of a message that fills the server's limit once could not be written,
// so the message was tried for ever.
func TestADeadLetterOfTheLargestSizeIsCut(t *testing.T) {
	t.Parallel()
	f := newFixture(t, openDB(t, storetest.SQLite(t)))
	largest := nats.NewMsg("work.echo.say")
	largest.Data = make([]byte, f.Conn.MaxPayload())
	_, err := f.JS.PublishMsg(t.Context(), largest)
	require.NoError(t, err)
	stage := f.stage()
	stage.Apply = func(context.Context, *store.Tx, *bus.Incoming, any) error {
		return bus.Reject(errors.New("not readable"))
	}
	bustest.Go(t, stage.Run)
	dead := f.Next(t, subjects.StreamDead, "dead.echo", 1)[0]
	require.Equal(t, "not readable", dead.Headers().Get(subjects.HeaderDeadReason))
	require.Equal(t, "work.echo.say", dead.Headers().Get(subjects.HeaderDeadSubject))
	require.Empty(t, dead.Data())
	f.drained(t)
	stream, err := f.JS.Stream(t.Context(), subjects.StreamDead)
	require.NoError(t, err)
	raw, err := stream.GetMsg(t.Context(), 1)
	require.NoError(t, err)
	require.ErrorContains(t, bus.Redrive(t.Context(), f.JS, raw), "too large to be kept")
}

// A COMMANDS stream that was lost counts from 1 again: its messages once were taken for
// those that the inbox knew, and dropped.
func TestCommandsOfANewStreamAreNotTakenForOldOnes(t *testing.T) {
	t.Parallel()
	f := newFixture(t, openDB(t, storetest.SQLite(t)))
	stage := func() *bus.Stage {
		s := f.stage()
		s.Stream, s.Subjects = subjects.StreamCommands, []string{subjects.AllCommands}
		return s
	}
	command := bus.Message{Subject: "cmd.demo.ERP.say", Data: []byte("1")}
	require.NoError(t, f.Publisher.Publish(t.Context(), command))
	stop := bustest.Go(t, stage().Run)
	f.Next(t, subjects.StreamEvents, "evt.echo", 1)
	stop()
	require.NoError(t, f.JS.DeleteStream(t.Context(), subjects.StreamCommands))
	require.NoError(t, bus.CreateStreams(t.Context(), f.JS, bus.Limits{QueueBytes: 64 << 20, EventsBytes: 64 << 20}))
	require.NoError(t, f.Publisher.Publish(t.Context(), command))
	bustest.Go(t, stage().Run)
	f.Next(t, subjects.StreamEvents, "evt.echo", 2)
}

// A message that comes again because its stage is late is not prepared again: that would
// make the stage later still.
func TestWhatIsAppliedIsNotPreparedAgain(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		stage := f.stage()
		var prepared atomic.Int32
		stage.Prepare = func(ctx context.Context, m *bus.Incoming) (any, error) {
			prepared.Add(1)
			// Meanwhile another process applies the message.
			return nil, errors.Join(bus.Retry(errors.New("not now")), db.Update(ctx, func(tx *store.Tx) error {
				_, err := tx.Exec(ctx, `INSERT INTO bus_inbox (service, message_id, applied_at) VALUES ('echo', $1, $2)`, m.ID, store.Micros(time.Now()))
				return err
			}))
		}
		f.publish(t, 1)
		bustest.Go(t, stage.Run)
		f.drained(t)
		require.EqualValues(t, 1, prepared.Load())
	})
}

// A flood of questions waits in NATS instead of in this process, and a service that stops
// leaves no answer behind.
func TestCallsAreBounded(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t)
	const flood = 600
	var underWay, most atomic.Int32
	release := make(chan struct{})
	stop := bustest.Go(t, func(ctx context.Context) error {
		return bus.ServeSubjects(ctx, b.Conn, "echo", map[string]bus.Verb{
			"qry.demo.ERP.*": func(ctx context.Context, _ []byte) (any, error) {
				if bus.RequestSubject(ctx) == "qry.demo.ERP.ready" {
					return "ready", nil
				}
				defer underWay.Add(-1)
				for n := underWay.Add(1); ; {
					if before := most.Load(); n <= before || most.CompareAndSwap(before, n) {
						break
					}
				}
				<-release
				return "said", nil
			},
		}, b.Log)
	})
	bustest.Eventually(t, func() bool {
		_, err := b.Conn.Request("qry.demo.ERP.ready", nil, time.Second)
		return err == nil
	}, "the service answers")
	answers, err := b.Conn.SubscribeSync(nats.NewInbox())
	require.NoError(t, err)
	for range flood {
		require.NoError(t, b.Conn.PublishRequest("qry.demo.ERP.say", answers.Subject, nil))
	}
	bustest.Eventually(t, func() bool { return underWay.Load() == 256 }, "every place is taken")
	close(release)
	for range flood {
		_, err := answers.NextMsg(bustest.Patience)
		require.NoError(t, err)
	}
	require.EqualValues(t, 256, most.Load())
	stop()
	require.Zero(t, underWay.Load())
}

// Many are refused, do not answer, or fail at a time; each asker is told. The race
// detector watches: an answer is sent after the service's handler has returned.
func TestCallsAreAnswered(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t)
	bustest.Go(t, func(ctx context.Context) error {
		return bus.ServeSubjects(ctx, b.Conn, "answers", map[string]bus.Verb{
			"qry.demo.ERP.*": func(ctx context.Context, _ []byte) (any, error) {
				switch subject := bus.RequestSubject(ctx); subject {
				case "qry.demo.ERP.refuse":
					return nil, &contract.Error{Code: contract.CodeEnvelopeNotFound, Message: "no envelope has this name"}
				case "qry.demo.ERP.fail":
					return nil, errors.New("a secret of the database")
				case "qry.demo.ERP.panic":
					panic("a secret of the program")
				default:
					return subject, nil
				}
			},
		}, b.Log)
	})
	bustest.Eventually(t, func() bool {
		_, err := b.Conn.Request("qry.demo.ERP.ready", nil, time.Second)
		return err == nil
	}, "the service answers")
	for verb, want := range map[string]struct{ code, text, data string }{
		"refuse": {contract.CodeEnvelopeNotFound.API(), "no envelope has this name", `"ENVELOPE_NOT_FOUND"`},
		"fail":   {"500", "internal error", ""},
		"panic":  {"500", "internal error", ""},
		"say":    {"", "", `"qry.demo.ERP.say"`},
	} {
		answers, err := b.Conn.SubscribeSync(nats.NewInbox())
		require.NoError(t, err)
		for range 100 {
			require.NoError(t, b.Conn.PublishRequest("qry.demo.ERP."+verb, answers.Subject, nil))
		}
		for range 100 {
			answer, err := answers.NextMsg(bustest.Patience)
			require.NoError(t, err)
			require.Equal(t, want.code, answer.Header.Get(micro.ErrorCodeHeader))
			require.Equal(t, want.text, answer.Header.Get(micro.ErrorHeader))
			require.Contains(t, string(answer.Data), want.data)
		}
	}
}

func TestTraceContextTravels(t *testing.T) {
	t.Parallel()
	f := newFixture(t, openDB(t, storetest.SQLite(t)))
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	require.NoError(t, f.Publisher.Publish(t.Context(), bus.Message{Subject: "work.echo.say", Header: nats.Header{"traceparent": {parent}}}))
	bustest.Go(t, f.stage().Run)
	msg := f.Next(t, subjects.StreamEvents, "evt.echo", 1)[0]
	require.Equal(t, parent, msg.Headers().Get("traceparent"))
}

func TestLeaseHasOneHolder(t *testing.T) {
	t.Parallel()
	db := openDB(t, storetest.Postgres(t))
	a, b := bus.NewLease(db, "x"), bus.NewLease(db, "x")
	held, err := a.Hold(t.Context())
	require.NoError(t, err)
	require.True(t, held)
	held, err = b.Hold(t.Context())
	require.NoError(t, err)
	require.False(t, held)
	require.NoError(t, a.Release(t.Context()))
	held, err = b.Hold(t.Context())
	require.NoError(t, err)
	require.True(t, held)
	require.Greater(t, b.Epoch(), a.Epoch())
}

// Two processes share the database: all messages arrive, in order, whoever pumps.
func TestTwoPumpsKeepOrder(t *testing.T) {
	t.Parallel()
	address := storetest.Postgres(t)
	b := bustest.Start(t)
	var outboxes []*bus.Outbox
	var stops []func()
	for range 2 {
		db := openDB(t, address)
		outbox := bus.NewOutbox(db, "echo", b.Publisher, b.Log)
		outboxes = append(outboxes, outbox)
		stops = append(stops, bustest.Go(t, outbox.Run))
	}
	db := openDB(t, address)
	for i := range 60 {
		require.NoError(t, db.Update(t.Context(), func(tx *store.Tx) error {
			return outboxes[i%2].Send(t.Context(), tx, bus.Message{Subject: "evt.n", Data: []byte(strconv.Itoa(i))})
		}))
		outboxes[i%2].Nudge()
		if i == 30 {
			stops[0]()
		}
	}
	for i, msg := range b.Next(t, subjects.StreamEvents, "evt.n", 60) {
		require.Equal(t, strconv.Itoa(i), string(msg.Data()))
	}
}

func TestStageOutlivesTheServer(t *testing.T) {
	t.Parallel()
	db := openDB(t, storetest.SQLite(t))
	f := newFixture(t, db)
	bustest.Go(t, f.stage().Run)
	f.publish(t, 1)
	f.drained(t)
	// A consumer that is gone is made again.
	require.NoError(t, f.JS.DeleteConsumer(t.Context(), subjects.StreamWork, "echo"))
	require.NoError(t, f.Publisher.Publish(t.Context(), bus.Message{Subject: "work.echo.say", ID: "after", Data: []byte("after")}))
	f.Next(t, subjects.StreamEvents, "evt.echo", 2)
}

// TestAStoppedStageGivesBackWhatItHolds: the next one need not wait until JetStream has
// given the stopped one up.
func TestAStoppedStageGivesBackWhatItHolds(t *testing.T) {
	t.Parallel()
	f := newFixture(t, openDB(t, storetest.SQLite(t)))
	f.publish(t, 100)
	first, begun, proceed := f.stage(), make(chan struct{}), make(chan struct{})
	first.Batch, first.AckWait = 8, time.Hour
	first.Prepare = func(context.Context, *bus.Incoming) (any, error) {
		select {
		case begun <- struct{}{}:
		default:
		}
		<-proceed
		return nil, nil //nolint:nilnil // nothing to hand over
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- first.Run(ctx) }()
	<-begun
	// A batch is under way and as much as the stage holds has come after it.
	bustest.Eventually(t, func() bool {
		consumer, err := f.JS.Consumer(t.Context(), subjects.StreamWork, first.Name)
		return err == nil && consumer.CachedInfo().NumAckPending >= 2*first.Batch
	}, "more than a batch is taken")
	stop()
	close(proceed)
	require.NoError(t, <-ended)
	second := f.stage()
	second.AckWait = first.AckWait
	bustest.Go(t, second.Run)
	f.drained(t)
}

func TestNewIDsAscend(t *testing.T) {
	t.Parallel()
	var (
		mutex sync.Mutex
		seen  = map[string]bool{}
		group errgroup.Group
	)
	for range 4 {
		group.Go(func() error {
			last := ""
			for range 1000 {
				id := bus.NewID()
				if id <= last {
					return fmt.Errorf("%s after %s", id, last)
				}
				last = id
				mutex.Lock()
				seen[id] = true
				mutex.Unlock()
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.Len(t, seen, 4000)
}

func TestPruneInboxForgetsOnlyTheOld(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		bustest.Go(t, f.stage().Run)
		f.publish(t, 3)
		f.drained(t)
		count := func() (n int) {
			require.NoError(t, db.QueryRow(t.Context(), `SELECT count(*) FROM bus_inbox`, nil, &n))
			return n
		}
		require.NoError(t, bus.PruneInbox(t.Context(), db, "echo", time.Now()))
		require.Equal(t, 3, count())
		require.NoError(t, bus.PruneInbox(t.Context(), db, "echo", time.Now().Add(365*24*time.Hour)))
		require.Zero(t, count())
	})
}
