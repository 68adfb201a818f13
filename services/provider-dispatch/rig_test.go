package providerdispatch_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/bus/bustest"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/journal"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/subjects"
	providerdispatch "signbus.dev/services/provider-dispatch"
	"signbus.dev/services/provider-dispatch/process"
)

var (
	anna  = handover.Actor{ExternalID: "anna", Name: "Anna", Surname: "Arno"}
	bruno = handover.Actor{ExternalID: "bruno", Name: "Bruno", Surname: "Brenta"}
	carla = handover.Actor{ExternalID: "carla", Name: "Carla", Surname: "Cecina"}
	segr  = handover.Actor{ExternalID: "segr", Name: "Secretary", Surname: "Demo"}
)

// rig is a running service between a fake of its neighbours.
type rig struct {
	*bustest.Bus
	db    *store.DB
	clock *clock
	// service is the first one; more share the database.
	service   *providerdispatch.Service
	stop      func()
	neighbour *neighbour
	sent      []bus.Message
}

// clock is a time that tests set.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func newRig(t *testing.T, db *store.DB) *rig {
	t.Helper()
	require.NoError(t, bus.Migrate(t.Context(), db))
	require.NoError(t, journal.Migrate(t.Context(), db))
	require.NoError(t, providerdispatch.Migrate(t.Context(), db))
	r := &rig{Bus: bustest.Start(t), db: db, clock: &clock{at: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}}
	r.neighbour = newNeighbour(t, r.Bus)
	r.service, r.stop = r.start(t)
	return r
}

// start runs one more service on the same database.
func (r *rig) start(t *testing.T) (*providerdispatch.Service, func()) {
	t.Helper()
	service, err := providerdispatch.New(providerdispatch.Options{
		DB: r.db, Conn: r.Conn, JS: r.JS, Publisher: r.Publisher, Log: r.Log,
		Now: r.clock.now, ExpiryInterval: 5 * time.Millisecond,
	})
	require.NoError(t, err)
	return service, bustest.Go(t, service.Run)
}

// give hands work to the service, in order.
func (r *rig) give(t *testing.T, msgs ...bus.Message) {
	t.Helper()
	r.sent = append(r.sent, msgs...)
	require.NoError(t, r.Publisher.Publish(t.Context(), msgs...))
}

// message is work with an id by its content, so that the same work is the same message.
func message(subject string, work any) bus.Message {
	data, err := json.Marshal(work)
	if err != nil {
		panic(err)
	}
	digest := sha256.Sum256(data)
	return bus.Message{Subject: subject, ID: hex.EncodeToString(digest[:8]), Data: data}
}

// quiet waits until nothing is under way any more.
func (r *rig) quiet(t *testing.T) {
	t.Helper()
	stream, err := r.JS.Stream(t.Context(), subjects.StreamWork)
	require.NoError(t, err)
	work := func() (waiting, last uint64) {
		info, err := stream.Info(t.Context())
		require.NoError(t, err)
		return info.State.Msgs, info.State.LastSeq
	}
	bustest.Eventually(t, func() bool {
		waiting, before := work()
		var leaving int
		require.NoError(t, r.db.QueryRow(t.Context(),
			`SELECT (SELECT COUNT(*) FROM bus_outbox) + (SELECT COUNT(*) FROM journal_pending)`, nil, &leaving))
		still, after := work()
		return waiting == 0 && leaving == 0 && still == 0 && before == after
	}, "nothing is under way")
}

// journal reads the entries of a chain and checks it.
func (r *rig) journal(t *testing.T, chain string) []journal.Entry {
	t.Helper()
	entries, err := journal.Read(t.Context(), r.db, chain, 0, 1000)
	require.NoError(t, err)
	require.NoError(t, journal.Verify(entries))
	return entries
}

// words writes a chain in one short word for each entry.
func (r *rig) words(t *testing.T, chain string) string {
	t.Helper()
	var words []string
	for _, e := range r.journal(t, chain) {
		words = append(words, word(t, e))
	}
	return strings.Join(words, " ")
}

func word(t *testing.T, e journal.Entry) string {
	t.Helper()
	short := strings.TrimPrefix(e.Type.Short(), "envelope.")
	switch e.Type {
	case contract.EventOperationDone:
		var data contract.OperationDone
		require.NoError(t, json.Unmarshal(e.Data, &data))
		require.Equal(t, e.OperationID, data.ID)
		require.Equal(t, e.Subject, data.ExtID)
		require.Empty(t, data.Details)
		require.NotEmpty(t, data.ReturnStatus.Message)
		return fmt.Sprintf("%s=%s", data.Command, data.ReturnStatus.Code)
	case contract.EventEnvelopeStepClosed:
		var data contract.EnvelopeStepClosed
		require.NoError(t, json.Unmarshal(e.Data, &data))
		return fmt.Sprintf("closed:%d", data.StepNumber)
	case contract.EventEnvelopeStatusChanged:
		var data contract.EnvelopeStatusChanged
		require.NoError(t, json.Unmarshal(e.Data, &data))
		return fmt.Sprintf("%s>%s", data.OldStatus, data.NewStatus)
	default:
		return short
	}
}

// ends counts the OperationDone of an operation in the whole journal.
func (r *rig) ends(t *testing.T, operation string) (n int) {
	t.Helper()
	require.NoError(t, r.db.QueryRow(t.Context(), `SELECT COUNT(*) FROM journal_entry WHERE operation_id = $1 AND event_type = $2`,
		[]any{operation, string(contract.EventOperationDone)}, &n))
	return n
}

// state reads the state of an envelope and checks it.
func (r *rig) state(t *testing.T, id string) process.State {
	t.Helper()
	var data []byte
	require.NoError(t, r.db.QueryRow(t.Context(), `SELECT state FROM dispatch_envelopes WHERE id = $1`, []any{id}, &data))
	state, err := process.Load(data)
	require.NoError(t, err)
	require.NoError(t, process.Check(state))
	return state
}

// dead waits for the only dead letter and returns its reason.
func (r *rig) dead(t *testing.T) string {
	t.Helper()
	return r.Next(t, subjects.StreamDead, subjects.Dead(subjects.ProviderDispatch), 1)[0].Headers().Get(subjects.HeaderDeadReason)
}

// operation is one of the demo customer, accepted a second ago.
func (r *rig) operation(command contract.Command, id, externalID string) handover.Operation {
	return handover.Operation{
		ID: id, Key: "key-" + id, Customer: "demo", System: "ERP", Command: string(command), ExternalID: externalID,
		AcceptedAt: r.clock.now().Add(-time.Second),
	}
}

// resolved is an envelope of one document, sent at once, with its operation op-<id>.
func (r *rig) resolved(id, externalID string, tasks ...handover.Task) handover.Resolved {
	return handover.Resolved{
		Operation:  r.operation(contract.CommandInsertEnvelope, "op-"+id, externalID),
		EnvelopeID: id,
		Envelope: contract.Envelope{
			ExternalID: externalID, Subject: "a contract", LoadedByExtID: segr.ExternalID, TrustLevelCode: contract.TrustDigitalPDF,
			Documents:     []contract.Document{{ExternalID: "d1", Title: "Contract", MimeType: "application/pdf", OriginalFname: "contract.pdf"}},
			CommonMessage: &contract.CommonMessage{Subject: "please sign", Text: "by \x07tomorrow"},
		},
		Documents: []handover.Document{{
			ExternalID: "d1", Title: "Contract", MimeType: "application/pdf", FileName: "contract.pdf",
			Order: 1, Version: 1, SHA256: id + "-v1", Size: 1000, Pages: 3,
		}},
		LoadedBy: segr,
		Tasks:    tasks,
	}
}

func (r *rig) draft(id, externalID string, tasks ...handover.Task) handover.Resolved {
	resolved := r.resolved(id, externalID, tasks...)
	resolved.Envelope.SendingMode = contract.SendDraft
	return resolved
}

func (r *rig) command(command contract.Command, operation, externalID string) handover.Command {
	return handover.Command{Operation: r.operation(command, operation, externalID), User: segr.ExternalID, Note: "no longer needed"}
}

func task(order int, kind handover.TaskKind, actors ...handover.Actor) handover.Task {
	return handover.Task{
		Order: order, Kind: kind, HowMany: 1, Actors: actors, Provider: subjects.SignatureBook, SignatureLevel: "B-B",
		Actions: []handover.Action{{DocExternalID: "d1", Type: contract.ActionSign, Visibility: string(contract.VisibilityVisible)}},
	}
}

func human(order int, actors ...handover.Actor) handover.Task {
	return task(order, handover.Human, actors...)
}

func start(r handover.Resolved) bus.Message  { return message(subjects.WorkStart, r) }
func refuse(r handover.Refusal) bus.Message  { return message(subjects.WorkRefuse, r) }
func command(c handover.Command) bus.Message { return message(subjects.WorkCommand, c) }

// neighbour plays signature-book and document-store: it answers jobs and keeps what it
// was handed.
type neighbour struct {
	bus *bustest.Bus

	mu sync.Mutex
	// answers says what an actor does when a job opens for him; nothing when he is missing.
	answers map[string]handover.ProgressKind
	// silent is a provider that signs nothing.
	silent   bool
	jobs     []handover.Job
	versions []handover.NewVersion
	discards []handover.Discard
	sent     []bus.Message
}

func newNeighbour(t *testing.T, b *bustest.Bus) *neighbour {
	t.Helper()
	n := &neighbour{bus: b, answers: map[string]handover.ProgressKind{"anna": handover.Confirmed, "bruno": handover.Confirmed}}
	bustest.Go(t, n.run)
	return n
}

// run takes jobs until ctx ends, also when the stream is made anew.
func (n *neighbour) run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := n.consume(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, errAgain) {
			return err
		}
	}
	return nil
}

var errAgain = errors.New("consume again")

func (n *neighbour) consume(ctx context.Context) error {
	consumer, err := n.bus.JS.CreateOrUpdateConsumer(ctx, subjects.StreamWork, jetstream.ConsumerConfig{
		Durable: "neighbour", AckPolicy: jetstream.AckExplicitPolicy,
		FilterSubjects: []string{subjects.WorkOf(subjects.SignatureBook), subjects.WorkOf(subjects.DocumentStore)},
	})
	if err != nil {
		return errAgain
	}
	iter, err := consumer.Messages()
	if err != nil {
		return errAgain
	}
	defer iter.Stop()
	defer context.AfterFunc(ctx, iter.Stop)()
	for {
		msg, err := iter.Next()
		if err != nil {
			return errAgain
		}
		if err := n.take(ctx, msg); err != nil {
			return err
		}
	}
}

func (n *neighbour) take(ctx context.Context, msg jetstream.Msg) error {
	var answer *handover.Progress
	switch msg.Subject() {
	case subjects.WorkVersion:
		if err := keep(n, &n.versions, msg); err != nil {
			return err
		}
	case subjects.WorkDiscard:
		if err := keep(n, &n.discards, msg); err != nil {
			return err
		}
	case subjects.WorkJob:
		if err := keep(n, &n.jobs, msg); err != nil {
			return err
		}
		answer = n.answer()
	default:
		return fmt.Errorf("nobody expects %s", msg.Subject())
	}
	if answer != nil {
		if err := n.say(ctx, *answer); err != nil {
			return err
		}
	}
	return msg.Ack()
}

func keep[T any](n *neighbour, list *[]T, msg jetstream.Msg) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var item T
	if err := json.Unmarshal(msg.Data(), &item); err != nil {
		return err
	}
	*list = append(*list, item)
	return nil
}

// answer is what the provider reports for the last job.
func (n *neighbour) answer() *handover.Progress {
	n.mu.Lock()
	defer n.mu.Unlock()
	job := n.jobs[len(n.jobs)-1]
	p := handover.Progress{Customer: job.Customer, EnvelopeID: job.EnvelopeID, Assignment: job.Assignment, Epoch: job.Epoch}
	switch job.Kind {
	case handover.JobOpen:
		p.Kind = n.answers[job.Actor.ExternalID]
		p.Note = "I do not agree"
	case handover.JobSign:
		if !n.silent {
			p.Kind = handover.Signed
		}
		p.Documents = signed(job)
	case handover.JobWithdraw:
	}
	if p.Kind == "" {
		return nil
	}
	return &p
}

func signed(job handover.Job) []handover.SignedDocument {
	var documents []handover.SignedDocument
	for _, d := range job.Documents {
		if slices.ContainsFunc(job.Actions, func(a handover.Action) bool { return a.DocExternalID == d.ExternalID && a.Visibility != "N" }) {
			documents = append(documents, handover.SignedDocument{
				DocExternalID: d.ExternalID, BaseSHA256: d.SHA256, Size: d.Size + 100, Signatures: d.Signatures + 1,
				SHA256: fmt.Sprintf("%s-v%d", job.EnvelopeID, d.Version+1),
			})
		}
	}
	return documents
}

// say reports to the service.
func (n *neighbour) say(ctx context.Context, p handover.Progress) error {
	msg := message(subjects.WorkProgress, p)
	n.mu.Lock()
	n.sent = append(n.sent, msg)
	n.mu.Unlock()
	return n.bus.Publisher.Publish(ctx, msg)
}

// said returns what was reported so far.
func (n *neighbour) said() []bus.Message {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.sent)
}

// given returns the jobs of an envelope in short words: kind, actor, then what tells more.
func (n *neighbour) given(envelope string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	words := []string{}
	for _, job := range n.jobs {
		if job.EnvelopeID != envelope {
			continue
		}
		word := string(job.Kind) + ":" + job.Actor.ExternalID
		switch job.Kind {
		case handover.JobSign:
			word += fmt.Sprintf("#%d:%s", job.Epoch, job.Documents[0].SHA256)
		case handover.JobWithdraw:
			word += ":" + job.Reason
		case handover.JobOpen:
		}
		words = append(words, word)
	}
	return words
}

// job returns the last job of a kind for an actor of an envelope.
func (n *neighbour) job(t *testing.T, envelope string, kind handover.JobKind, actor string) handover.Job {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, job := range slices.Backward(n.jobs) {
		if job.EnvelopeID == envelope && job.Kind == kind && job.Actor.ExternalID == actor {
			return job
		}
	}
	require.Fail(t, "there is no such job")
	return handover.Job{}
}

// kept returns copies of what document-store was told.
func (n *neighbour) kept() ([]handover.NewVersion, []handover.Discard) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.versions), slices.Clone(n.discards)
}

func (n *neighbour) silence() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.silent = true
}

func (n *neighbour) set(actor string, kind handover.ProgressKind) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answers[actor] = kind
}
