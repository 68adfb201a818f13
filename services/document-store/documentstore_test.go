package documentstore_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/blob"
	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/bus/bustest"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/pdf/pdftest"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/store/storetest"
	"signbus.dev/pkg/subjects"
	documentstore "signbus.dev/services/document-store"
)

// fixture is a document store on a bus of its own.
type fixture struct {
	*bustest.Bus
	db      *store.DB
	blobs   *blobs
	service *documentstore.Service
	// now is what the service takes for the time, in microseconds.
	now atomic.Int64
}

// blobs is a real store that can be made to fail.
type blobs struct {
	*blob.Dir
	failing atomic.Int32
}

var errAway = errors.New("the blob store is away")

func (b *blobs) Open(ctx context.Context, scope blob.Scope, sha256 string) (blob.Reader, error) {
	if b.failing.Add(-1) >= 0 {
		return nil, errAway
	}
	return b.Dir.Open(ctx, scope, sha256)
}

func newFixture(t *testing.T, db *store.DB, change ...func(*documentstore.Options)) *fixture {
	t.Helper()
	dir, err := blob.NewDir(t.TempDir())
	require.NoError(t, err)
	f := &fixture{Bus: bustest.Start(t), db: db, blobs: &blobs{Dir: dir}}
	f.now.Store(time.Now().UnixMicro())
	require.NoError(t, documentstore.Migrate(t.Context(), db))
	options := documentstore.Options{
		DB: db, Conn: f.Conn, JS: f.JS, Publisher: f.Publisher, Blobs: f.blobs, Log: f.Log,
		Now: func() time.Time { return store.Time(f.now.Load()) },
	}
	for _, c := range change {
		c(&options)
	}
	f.service = documentstore.New(options)
	return f
}

func (f *fixture) run(t *testing.T) {
	t.Helper()
	bustest.Go(t, f.service.Run)
}

var scope = blob.Scope{Customer: "demo", ID: "01envelope"}

// ingest puts files into the blob store and returns the message for them, in which each
// document, named d1, d2 and so on, is signed on its first page.
func (f *fixture) ingest(t *testing.T, files ...[]byte) handover.Ingest {
	t.Helper()
	in := handover.Ingest{
		Operation: handover.Operation{
			ID: "op1", Key: "key1", Customer: scope.Customer, System: "ERP", Command: "insertEnvelope",
			ExternalID: "contract-1", AcceptedAt: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC),
		},
		EnvelopeID: scope.ID,
		Envelope: contract.Envelope{
			ExternalID: "contract-1", Subject: "A contract", LoadedByExtID: "segr", TrustLevelCode: contract.TrustInternalPDF,
			ProcDef: &contract.ProcDef{Tasks: []contract.Task{{
				Type: contract.TaskHuman, Action: contract.TaskWork, Order: 1, HowMany: 1, ActorExpr: "annaU",
			}}},
		},
	}
	task := &in.Envelope.ProcDef.Tasks[0]
	for i, file := range files {
		ref, err := f.blobs.Put(t.Context(), scope, bytes.NewReader(file), 64<<20)
		require.NoError(t, err)
		id := "d" + string(rune('1'+i))
		in.Blobs = append(in.Blobs, handover.Blob{DocExternalID: id, SHA256: ref.SHA256, Size: ref.Size})
		in.Envelope.Documents = append(in.Envelope.Documents, contract.Document{
			ExternalID: id, Title: "Contract " + id, MimeType: "application/pdf", OriginalFname: id + ".pdf",
		})
		task.ActionDefs = append(task.ActionDefs, contract.ActionDef{
			DocExternalID: id, Type: contract.ActionSign, Mandatory: true,
			Appearance: &contract.Appearance{CompassAppearance: &contract.CompassAppearance{Page: 1, Position: 9}},
		})
	}
	return in
}

func (f *fixture) send(t *testing.T, subject string, value any) {
	t.Helper()
	data, err := json.Marshal(value)
	require.NoError(t, err)
	require.NoError(t, f.Publisher.Publish(t.Context(), bus.Message{Subject: subject, Data: data}))
}

// only takes the next message of a subject off the stream.
func only[T any](t *testing.T, f *fixture, subject string) T {
	t.Helper()
	consumer, err := f.JS.CreateOrUpdateConsumer(t.Context(), subjects.StreamWork, jetstream.ConsumerConfig{
		Durable: "test-" + strings.ReplaceAll(subject, ".", "-"), FilterSubject: subject, AckPolicy: jetstream.AckExplicitPolicy,
	})
	require.NoError(t, err)
	msg, err := consumer.Next(jetstream.FetchMaxWait(bustest.Patience))
	require.NoError(t, err, "no message on %s", subject)
	require.NoError(t, msg.DoubleAck(t.Context()))
	var value T
	require.NoError(t, json.Unmarshal(msg.Data(), &value))
	return value
}

func (f *fixture) prepared(t *testing.T, in handover.Ingest) handover.Prepared {
	t.Helper()
	f.send(t, subjects.WorkIngest, in)
	return only[handover.Prepared](t, f, subjects.WorkResolve)
}

// count returns the number of rows in a table.
func (f *fixture) count(t *testing.T, table string) int {
	t.Helper()
	var n int
	require.NoError(t, f.db.QueryRow(t.Context(), "SELECT COUNT(*) FROM "+table, nil, &n))
	return n
}

// kept returns the digests that the blob store holds for the envelope.
func (f *fixture) kept(t *testing.T, scope blob.Scope) []string {
	t.Helper()
	refs, err := f.blobs.List(t.Context(), scope)
	require.NoError(t, err)
	list := []string{}
	for _, ref := range refs {
		list = append(list, ref.SHA256)
	}
	return list
}

func (f *fixture) requireNothingLeft(t *testing.T) {
	t.Helper()
	bustest.Eventually(t, func() bool {
		return f.count(t, "document_documents")+f.count(t, "document_versions")+
			f.count(t, "document_placements")+f.count(t, "document_removals") == 0
	}, "no rows are left")
	require.NoError(t, f.blobs.Scopes(t.Context(), func(scope blob.Scope, _ time.Time) error {
		return errors.New("a scope is left: " + scope.ID)
	}))
}

func TestIngestInspectsAndKeeps(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		f.run(t)
		in := f.ingest(t, pdftest.Sample(3, "One"), pdftest.WithBlankField("sign here"))
		in.Envelope.ProcDef.Tasks[0].ActionDefs[0].Appearance.CompassAppearance.Page = -3
		in.Envelope.ProcDef.Tasks[0].ActionDefs[1].Appearance = &contract.Appearance{BlankSignatureFieldName: "sign here"}
		got := f.prepared(t, in)
		require.Equal(t, in.Operation, got.Operation)
		require.Equal(t, in.EnvelopeID, got.EnvelopeID)
		require.Equal(t, in.Envelope, got.Envelope)
		want := []handover.Document{
			{
				ExternalID: "d1", Title: "Contract d1", MimeType: "application/pdf", FileName: "d1.pdf", Order: 1,
				Version: 1, SHA256: in.Blobs[0].SHA256, Size: in.Blobs[0].Size, Pages: 3,
			},
			{
				ExternalID: "d2", Title: "Contract d2", MimeType: "application/pdf", FileName: "d2.pdf", Order: 2,
				Version: 1, SHA256: in.Blobs[1].SHA256, Size: in.Blobs[1].Size, Pages: 1,
			},
		}
		require.Len(t, got.Placements, 1)
		planned := slices.Clone(want)
		planned[0].Fields = []handover.Field{{Name: "Signature1", Box: &got.Placements[0][0].Boxes[0]}}
		require.Equal(t, planned, got.Documents)
		require.Len(t, got.Placements[0], 2)
		require.Len(t, got.Placements[0][0].Boxes, 2)
		require.Equal(t, "sign here", got.Placements[0][1].Field)

		list, err := f.service.Documents(t.Context(), documentstore.Documents{Customer: "demo", EnvelopeID: scope.ID})
		require.NoError(t, err)
		madeAt := store.Time(f.now.Load())
		require.Equal(t, []documentstore.Version{{Document: want[0], MadeAt: madeAt}, {Document: want[1], MadeAt: madeAt}}, list.Documents)
		var stored string
		require.NoError(t, db.QueryRow(t.Context(), `SELECT placements FROM document_placements WHERE envelope_id = $1`, []any{scope.ID}, &stored))
		sent, err := json.Marshal(got.Placements)
		require.NoError(t, err)
		require.JSONEq(t, string(sent), stored)
		require.Len(t, f.kept(t, scope), 2)
	})
}

func TestIngestRefusesBadFilesAndLeavesNothing(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		f.run(t)
		good := pdftest.Sample(1, "Good")
		for name, c := range map[string]struct {
			file   []byte
			reason string
		}{
			"no PDF":           {[]byte("hello"), "not a pdf file"},
			"empty":            {[]byte{}, "not a pdf file"},
			"truncated":        {pdftest.Truncated(), "the pdf file is cut off"},
			"encrypted":        {pdftest.Encrypted(), "the pdf file is encrypted"},
			"bomb":             {pdftest.Bomb(), "the pdf file is too complex"},
			"bomb on a page":   {pdftest.BombPage(), "the pdf file is too complex"},
			"zero pages":       {pdftest.ZeroPages(), "the pdf file has no pages"},
			"deep pages":       {pdftest.DeepPages(1000), "the pdf file is too complex"},
			"pages in circles": {pdftest.CircularPages(), "the pdf file is broken"},
			"nested values":    {pdftest.Nested(100_000), "the pdf file is too complex"},
		} {
			in := f.ingest(t, good, c.file)
			f.send(t, subjects.WorkIngest, in)
			r := only[handover.Refusal](t, f, subjects.WorkRefuse)
			require.Equal(t, in.Operation, r.Operation, name)
			require.Equal(t, scope.ID, r.EnvelopeID, name)
			require.Equal(t, contract.CodeBadDocFormat, r.Code, name)
			require.True(t, strings.HasPrefix(r.Message, `envelope.documents[1]: the document "d2" cannot be used: `+c.reason), "%s: %s", name, r.Message)
			require.Zero(t, f.count(t, "document_documents"), name)
			f.send(t, subjects.WorkDiscard, handover.Discard{OperationKey: "key1", Customer: "demo", EnvelopeID: scope.ID})
			bustest.Eventually(t, func() bool { return len(f.kept(t, scope)) == 0 }, "the bytes are removed")
			f.requireNothingLeft(t)
		}
	})
}

func TestIngestRefusesBadPlaces(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		f.run(t)
		for name, c := range map[string]struct {
			change  func(*handover.Ingest, *contract.ActionDef)
			code    contract.Code
			message string
		}{
			"page out of range": {
				func(_ *handover.Ingest, a *contract.ActionDef) { a.Appearance.CompassAppearance.Page = 2 },
				contract.CodeIllegalArgument,
				`envelope.procDef.tasks[0].actionDefs[0].appearance.compassAppearance.page: document "d1": page out of range: ` +
					`page 2 was asked for; use 1 to 1, -1 (last), -2 (all) or -3 (first and last)`,
			},
			"field that is not there": {
				func(_ *handover.Ingest, a *contract.ActionDef) {
					a.Appearance = &contract.Appearance{BlankSignatureFieldName: "x"}
				},
				contract.CodeIllegalArgument,
				`envelope.procDef.tasks[0].actionDefs[0].appearance.blankSignatureFieldName: the document "d1" has no signature field of that name`,
			},
			"document that is not there": {
				func(_ *handover.Ingest, a *contract.ActionDef) { a.DocExternalID = "d7" },
				contract.CodeProcessDefinitionError,
				`envelope.procDef.tasks[0].actionDefs[0].docExternalId: is not the externalId of a document of this envelope`,
			},
			"text that a database cannot keep": {
				func(in *handover.Ingest, _ *contract.ActionDef) { in.Envelope.Documents[0].Title = "a\x00b" },
				contract.CodeIllegalArgument,
				`envelope.documents[0]: its texts must not contain the character NUL`,
			},
		} {
			in := f.ingest(t, pdftest.Sample(1, "One"))
			c.change(&in, &in.Envelope.ProcDef.Tasks[0].ActionDefs[0])
			f.send(t, subjects.WorkIngest, in)
			r := only[handover.Refusal](t, f, subjects.WorkRefuse)
			require.Equal(t, c.code, r.Code, name)
			require.Equal(t, c.message, r.Message, name)
			require.Zero(t, f.count(t, "document_documents"), name)
		}
	})
}

func TestIngestHoldsToTheLimits(t *testing.T) {
	t.Parallel()
	f := newFixture(t, storetest.Open(t, storetest.SQLite(t)), func(o *documentstore.Options) {
		o.Limits = pdf.Limits{Pages: 2}
		o.Inspections = 1
	})
	f.run(t)
	f.send(t, subjects.WorkIngest, f.ingest(t, pdftest.Sample(3, "One")))
	r := only[handover.Refusal](t, f, subjects.WorkRefuse)
	require.Equal(t, contract.CodeBadDocFormat, r.Code)
	require.Contains(t, r.Message, "it has more than 2 pages")
	require.Len(t, f.prepared(t, f.ingest(t, pdftest.Sample(2, "One"), pdftest.Sample(1, "Two"))).Documents, 2)
}

func TestIngestWaitsForTheBlobStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		in := f.ingest(t, pdftest.Sample(1, "One"))
		f.blobs.failing.Store(4) // as many as the tries of an error that does not pass
		f.run(t)
		require.Equal(t, in.Operation, f.prepared(t, in).Operation)
		require.Negative(t, f.blobs.failing.Load())
	})
}

func TestWhatTheBusLostIsNotBlamedOnTheCaller(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		f.run(t)
		for name, change := range map[string]func(*handover.Ingest){
			"bytes are missing":     func(in *handover.Ingest) { in.Blobs[0].SHA256 = strings.Repeat("0", 64) },
			"bytes are damaged":     func(in *handover.Ingest) { in.Blobs[0].Size++ },
			"digest is malformed":   func(in *handover.Ingest) { in.Blobs[0].SHA256 = "../../etc/passwd" },
			"parts do not fit":      func(in *handover.Ingest) { in.Blobs[0].DocExternalID = "other" },
			"documents are missing": func(in *handover.Ingest) { in.Blobs, in.Envelope.Documents = nil, nil },
		} {
			in := f.ingest(t, pdftest.Sample(1, "One"))
			change(&in)
			f.send(t, subjects.WorkIngest, in)
			r := only[handover.Refusal](t, f, subjects.WorkRefuse)
			require.Equal(t, contract.CodeError, r.Code, name)
			require.Equal(t, "the bus could not read the documents that it had accepted; try again, or ask the operator of the bus", r.Message, name)
		}
		f.Next(t, subjects.StreamDead, subjects.Dead(subjects.DocumentStore), 5)
		require.Zero(t, f.count(t, "document_documents"))
	})
}

func TestIngestAcceptsADraftWithoutProcess(t *testing.T) {
	t.Parallel()
	f := newFixture(t, storetest.Open(t, storetest.SQLite(t)))
	f.run(t)
	in := f.ingest(t, pdftest.Sample(1, "One"))
	in.Envelope.ProcDef, in.Envelope.SendingMode = nil, contract.SendDraft
	got := f.prepared(t, in)
	require.Empty(t, got.Placements)
	require.Len(t, got.Documents, 1)
}

func version(n int, digest string) handover.NewVersion {
	return handover.NewVersion{
		Customer: "demo", EnvelopeID: scope.ID, Version: n, At: time.Date(2026, 11, 22, 10, 0, n, 0, time.UTC),
		Document: handover.SignedDocument{DocExternalID: "d1", SHA256: strings.Repeat(digest, 64), Size: int64(1000 * n), Signatures: n - 1},
	}
}

func TestVersionsAreRecordedInAnyOrderOnce(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		f.run(t)
		f.prepared(t, f.ingest(t, pdftest.Sample(4, "One")))
		f.send(t, subjects.WorkVersion, version(3, "c"))
		f.send(t, subjects.WorkVersion, version(2, "b"))
		f.send(t, subjects.WorkVersion, version(3, "c"))
		foreign := version(4, "d")
		foreign.Customer = "other"
		unknown := version(4, "d")
		unknown.Document.DocExternalID = "d2"
		for _, bad := range []handover.NewVersion{version(3, "d"), foreign, unknown, version(1, "d"), {}} {
			f.send(t, subjects.WorkVersion, bad)
		}
		reasons := []string{}
		for _, dead := range f.Next(t, subjects.StreamDead, subjects.Dead(subjects.DocumentStore), 5) {
			reasons = append(reasons, dead.Headers().Get(subjects.HeaderDeadReason))
		}
		require.ElementsMatch(t, []string{
			"the version is recorded with other bytes", "the envelope has no such document", "the envelope has no such document",
			"the message is not readable or incomplete", "the message is not readable or incomplete",
		}, reasons)
		var list documentstore.Versions
		f.served(t)
		require.NoError(t, bus.Call(t.Context(), f.Conn, subjects.DocumentStore, "documents",
			documentstore.Documents{Customer: "demo", EnvelopeID: scope.ID}, &list))
		require.Len(t, list.Documents, 3)
		for i, v := range list.Documents {
			require.Equal(t, i+1, v.Version)
			require.Equal(t, 4, v.Pages)
			require.Equal(t, i, v.Signatures)
		}
		require.Equal(t, strings.Repeat("b", 64), list.Documents[1].SHA256)
		require.Equal(t, time.Date(2026, 11, 22, 10, 0, 3, 0, time.UTC), list.Documents[2].MadeAt)
	})
}

// served waits until calls are answered.
func (f *fixture) served(t *testing.T) {
	t.Helper()
	bustest.Eventually(t, func() bool {
		err := bus.Call(t.Context(), f.Conn, subjects.DocumentStore, "documents", documentstore.Documents{}, nil)
		return len(contract.Problems(err)) > 0
	}, "the document store answers calls")
}

func TestCustomersDoNotSeeOneAnothersDocuments(t *testing.T) {
	t.Parallel()
	f := newFixture(t, storetest.Open(t, storetest.SQLite(t)))
	f.run(t)
	f.prepared(t, f.ingest(t, pdftest.Sample(1, "One")))
	f.served(t)
	for _, r := range []documentstore.Documents{{Customer: "other", EnvelopeID: scope.ID}, {Customer: "demo", EnvelopeID: "02envelope"}, {}} {
		err := bus.Call(t.Context(), f.Conn, subjects.DocumentStore, "documents", r, nil)
		require.Equal(t, contract.CodeEnvelopeNotFound, contract.CodeOf(err))
	}
}

func TestDiscardLeavesNothingOfOneOperation(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		f.run(t)
		f.prepared(t, f.ingest(t, pdftest.Sample(1, "One")))
		discard := handover.Discard{OperationKey: "other", Customer: "demo", EnvelopeID: scope.ID}
		f.send(t, subjects.WorkDiscard, discard)
		f.send(t, subjects.WorkDiscard, handover.Discard{OperationKey: "key1", Customer: "demo", EnvelopeID: "../x"})
		f.Next(t, subjects.StreamDead, subjects.Dead(subjects.DocumentStore), 1)
		bustest.Eventually(t, func() bool { return f.count(t, "document_removals") == 0 }, "the removal is done with")
		require.Equal(t, 1, f.count(t, "document_documents"))
		require.Len(t, f.kept(t, scope), 1, "bytes that a document refers to stay")

		discard.OperationKey = "key1"
		f.send(t, subjects.WorkDiscard, discard)
		bustest.Eventually(t, func() bool { return len(f.kept(t, scope)) == 0 }, "the bytes are removed")
		f.requireNothingLeft(t)
		f.send(t, subjects.WorkDiscard, discard)
		f.requireNothingLeft(t)
	})
}

func TestRemovalsGoOnAfterACrash(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		f.ingest(t, pdftest.Sample(1, "One"))
		// As after a crash between the commit of a discard and the removal.
		require.NoError(t, db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(t.Context(), `INSERT INTO document_removals (customer, envelope_id, requested_at) VALUES ('demo', $1, 1)`, scope.ID)
			return err
		}))
		f.run(t)
		f.requireNothingLeft(t)
	})
}

func TestSweepRemovesWhatNobodyRefersTo(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		stop := bustest.Go(t, f.service.Run)
		in := f.ingest(t, pdftest.Sample(1, "One"))
		f.prepared(t, in)
		stop()
		bustest.Eventually(t, func() bool { // an acknowledgement may still be on its way
			stream, err := f.JS.Stream(t.Context(), subjects.StreamWork)
			return err == nil && stream.CachedInfo().State.Msgs == 0
		}, "nothing waits")
		lost, err := f.blobs.Put(t.Context(), scope, strings.NewReader("a version that was never recorded"), 100)
		require.NoError(t, err)
		upload := blob.Scope{Customer: "demo", ID: "upload"}
		_, err = f.blobs.Put(t.Context(), upload, strings.NewReader("an abandoned upload"), 100)
		require.NoError(t, err)
		start := time.Now()
		at := func(age time.Duration) {
			f.now.Store(start.Add(age).UnixMicro())
			require.NoError(t, f.service.Sweep(t.Context()))
		}
		at(6 * 24 * time.Hour)
		require.ElementsMatch(t, []string{in.Blobs[0].SHA256, lost.SHA256}, f.kept(t, scope))
		require.Len(t, f.kept(t, upload), 1)
		at(8 * 24 * time.Hour)
		require.Equal(t, []string{in.Blobs[0].SHA256}, f.kept(t, scope))
		require.Empty(t, f.kept(t, upload))
		require.Equal(t, []string{in.Blobs[0].SHA256}, f.kept(t, scope), "documents stay")
	})
}

func TestNothingIsSweptWhileMessagesWait(t *testing.T) {
	t.Parallel()
	f := newFixture(t, storetest.Open(t, storetest.SQLite(t)))
	in := f.ingest(t, pdftest.Sample(1, "One"))
	f.send(t, subjects.WorkIngest, in) // nobody takes it
	f.now.Store(time.Now().Add(8 * 24 * time.Hour).UnixMicro())
	require.NoError(t, f.service.Sweep(t.Context()))
	require.Len(t, f.kept(t, scope), 1)
	f.run(t)
	require.Len(t, only[handover.Prepared](t, f, subjects.WorkResolve).Documents, 1)
	require.NoError(t, f.service.Sweep(t.Context()))
	require.Len(t, f.kept(t, scope), 1)
}
