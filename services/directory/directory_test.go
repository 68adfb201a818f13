package directory_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/bus/bustest"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/provider"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/store/storetest"
	"signbus.dev/pkg/subjects"
	"signbus.dev/services/directory"
)

// fixture is a directory with the demo customer on a bus of its own.
type fixture struct {
	*bustest.Bus
	db      *store.DB
	service *directory.Service
}

func newFixture(t *testing.T, db *store.DB, change ...func(*directory.Options)) *fixture {
	t.Helper()
	b := bustest.Start(t)
	require.NoError(t, directory.Migrate(t.Context(), db))
	options := directory.Options{
		DB: db, Conn: b.Conn, JS: b.JS, Publisher: b.Publisher, Log: b.Log,
		ReconcileEvery: time.Hour, // so that a test sees what it causes itself
	}
	for _, c := range change {
		c(&options)
	}
	f := &fixture{Bus: b, db: db, service: directory.New(options)}
	require.NoError(t, directory.Seed(t.Context(), f.service))
	return f
}

func (f *fixture) run(t *testing.T) {
	t.Helper()
	bustest.Go(t, f.service.Run)
}

// send hands a prepared envelope to the directory.
func (f *fixture) send(t *testing.T, p handover.Prepared) {
	t.Helper()
	data, err := json.Marshal(p)
	require.NoError(t, err)
	require.NoError(t, f.Publisher.Publish(t.Context(), bus.Message{Subject: subjects.WorkResolve, Data: data}))
}

func (f *fixture) resolved(t *testing.T, p handover.Prepared) handover.Resolved {
	t.Helper()
	f.send(t, p)
	return only[handover.Resolved](t, f, subjects.WorkStart)
}

func (f *fixture) refused(t *testing.T, p handover.Prepared) handover.Refusal {
	t.Helper()
	f.send(t, p)
	r := only[handover.Refusal](t, f, subjects.WorkRefuse)
	require.Equal(t, p.Operation.Key, r.Operation.Key)
	require.Equal(t, p.EnvelopeID, r.EnvelopeID)
	return r
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

func prepared(change func(*handover.Prepared)) handover.Prepared {
	p := handover.Prepared{
		Operation: handover.Operation{
			ID: "op1", Key: "key1", Customer: "demo", System: "ERP", Command: "insertEnvelope",
			ExternalID: "contract-1", AcceptedAt: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC),
		},
		EnvelopeID: "01envelope",
		Envelope: contract.Envelope{
			ExternalID: "contract-1", Subject: "A contract", LoadedByExtID: "segr",
			TrustLevelCode: contract.TrustInternalPDF, SendingMode: contract.SendImmediate,
			ProcDef: &contract.ProcDef{Tasks: []contract.Task{task("annaU")}},
		},
		Documents:  []handover.Document{{ExternalID: "d1", Version: 1, Pages: 2}},
		Placements: [][]handover.Placement{{{Boxes: []handover.Box{{Page: 2, LLX: 1, LLY: 2, URX: 3, URY: 4}}}}},
	}
	if change != nil {
		change(&p)
	}
	return p
}

func task(actors string) contract.Task {
	return contract.Task{
		Type: contract.TaskHuman, Action: contract.TaskWork, Order: 1, HowMany: 1, CertType: contract.CertInternal, ActorExpr: actors,
		ActionDefs: []contract.ActionDef{{DocExternalID: "d1", Type: contract.ActionSign, Mandatory: true}},
	}
}

// tasks replaces the tasks of an envelope, with a place for each action.
func tasks(list ...contract.Task) func(*handover.Prepared) {
	return func(p *handover.Prepared) {
		p.Envelope.ProcDef.Tasks = list
		p.Placements = make([][]handover.Placement, len(list))
		for i, task := range list {
			p.Placements[i] = make([]handover.Placement, len(task.ActionDefs))
		}
	}
}

func ids(actors []handover.Actor) []string {
	list := []string{}
	for _, a := range actors {
		list = append(list, a.ExternalID)
	}
	return list
}

func TestResolveDecidesEverything(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		f.run(t)
		auto := task("carlaU")
		auto.Type, auto.Action, auto.Order, auto.CertType = contract.TaskAutomatic, contract.TaskAutoSign, 2, ""
		auto.ConfString = contract.ConfString{"signatureLevel": "B-B", "provider": "signature-book"}
		seal := task("")
		seal.Type, seal.Action, seal.Order, seal.CertType = contract.TaskAutomatic, contract.TaskSeal, 3, ""
		human := task("annaU")
		human.ActionDefs[0].ConfString = contract.ConfString{
			"actionInTCF": "true", "customSignatureText": "Signed by #nnss#", "customSignatureTextL1": "TOC", "customSignatureTextL2": "OPD",
		}
		in := prepared(tasks(human, auto, seal))
		in.Placements[0][0].Boxes = []handover.Box{{Page: 2, LLX: 1, LLY: 2, URX: 3, URY: 4}}
		got := f.resolved(t, in)
		require.Equal(t, in.Operation, got.Operation)
		require.Equal(t, in.EnvelopeID, got.EnvelopeID)
		require.Equal(t, in.Envelope, got.Envelope)
		require.Equal(t, in.Documents, got.Documents)
		require.Equal(t, handover.Actor{
			ExternalID: "segr", Name: "Demo", Surname: "Secretary", Email: "segr@example.com", Language: "en",
			Organization: "Board", Company: "Demo Company",
		}, got.LoadedBy)
		require.Equal(t, []handover.Task{
			{
				Order: 1, Kind: handover.Human, HowMany: 1, Provider: "signature-book", SignatureLevel: provider.DefaultLevel, Format: contract.PAdES,
				Actors: []handover.Actor{{
					ExternalID: "anna", Name: "Anna", Surname: "Alpha", Email: "anna@example.com", Language: "en",
					Title: "Director", Organization: "Board", Company: "Demo Company",
				}},
				Actions: []handover.Action{{
					DocExternalID: "d1", Type: contract.ActionSign, Confirmed: true, Visibility: "V",
					Text: []string{"Signed by #nnss#", "TOC", "OPD"}, Placement: in.Placements[0][0],
				}},
			},
			{
				Order: 2, Kind: handover.AutoSign, HowMany: 1, Provider: "signature-book", SignatureLevel: "B-B", Format: contract.PAdES,
				Actors: []handover.Actor{{
					ExternalID: "carla", Name: "Carla", Surname: "Gamma", Email: "carla@example.com", Language: "en",
					Title: "Manager", Organization: "Board", Company: "Demo Company",
				}},
				Actions: []handover.Action{{DocExternalID: "d1", Type: contract.ActionSign, Visibility: "V"}},
			},
			{
				Order: 3, Kind: handover.Seal, HowMany: 1, Provider: "signature-book", SignatureLevel: provider.DefaultLevel, Format: contract.PAdES,
				Actions: []handover.Action{{DocExternalID: "d1", Type: contract.ActionSign, Visibility: "V"}},
			},
		}, got.Tasks)
	})
}

func TestSignatureLevelOfTheTaskOfTheCustomerOfTheBus(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		f.run(t)
		level := func(named string) string {
			one := task("annaU")
			if named != "" {
				one.ConfString = contract.ConfString{"signatureLevel": named}
			}
			return f.resolved(t, prepared(tasks(one))).Tasks[0].SignatureLevel
		}
		require.Equal(t, provider.DefaultLevel, level(""))
		demo := directory.Customer{ID: "demo", Name: "Demo", SignatureLevel: contract.LevelBB}
		require.NoError(t, f.service.EnsureCustomer(t.Context(), demo))
		require.Equal(t, contract.LevelBB, level(""))
		require.Equal(t, contract.LevelBT, level(contract.LevelBT))
		demo.SignatureLevel = contract.LevelBLTA
		require.NoError(t, f.service.EnsureCustomer(t.Context(), demo))
		require.Equal(t, contract.LevelBLTA, level(""))
		files := prepared(tasks(task("annaU")))
		files.Envelope.TrustLevelCode = contract.TrustDigitalP7M
		require.Equal(t, contract.LevelBLT, f.resolved(t, files).Tasks[0].SignatureLevel, "the highest around a file")
		demo.SignatureLevel = ""
		require.NoError(t, f.service.EnsureCustomer(t.Context(), demo))
		require.Equal(t, provider.DefaultLevel, level(""))
	})
}

func TestTheFirstSignatureOfATaskCertifies(t *testing.T) {
	t.Parallel()
	f := newFixture(t, storetest.Open(t, storetest.SQLite(t)))
	f.run(t)
	one := task("annaU")
	one.ConfString = contract.ConfString{"certification": "annotations"}
	one.ActionDefs = append(one.ActionDefs, one.ActionDefs[0], contract.ActionDef{DocExternalID: "d2", Type: contract.ActionSign, Mandatory: true})
	var got []int
	for _, a := range f.resolved(t, prepared(tasks(one, task("brunoU")))).Tasks[0].Actions {
		got = append(got, a.Certify)
	}
	require.Equal(t, []int{3, 0, 3}, got)
}

func TestResolveFindsTheActorsOfAnExpression(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		ensure := func(id string, disabled bool, a ...directory.Authority) {
			require.NoError(t, f.service.EnsureUser(t.Context(), directory.User{
				Customer: "demo", ExternalID: id, Username: "u-" + id, Authorities: a, Disabled: disabled,
			}))
		}
		ensure("Anna", false, directory.Manager) // not the anna of the seed: case counts
		ensure("_bruno", false, directory.Manager, directory.Secretary)
		ensure("away", true, directory.Manager)
		ensure("guest", false, directory.Stranger)
		require.NoError(t, f.service.EnsureRole(t.Context(), directory.Role{
			Customer: "demo", ID: "board", Name: "Board", Members: []string{"carla", "away", "guest", "anna", "_bruno", "Anna"},
		}))
		f.run(t)
		for expr, want := range map[string][]string{
			"carlaU|annaU":        {"carla", "anna"},
			"1R":                  {"anna", "bruno"},
			"brunoU|1R|brunoU":    {"bruno", "anna"},
			"boardR":              {"Anna", "_bruno", "anna", "carla"},
			"boardR | brunoU |1R": {"Anna", "_bruno", "anna", "carla", "bruno"},
			"guestU":              {"guest"},
		} {
			got := f.resolved(t, prepared(tasks(task(expr))))
			require.Equal(t, want, ids(got.Tasks[0].Actors), expr)
		}
	})
}

func TestResolveAcceptsADraftWithoutProcess(t *testing.T) {
	t.Parallel()
	f := newFixture(t, storetest.Open(t, storetest.SQLite(t)))
	f.run(t)
	got := f.resolved(t, prepared(func(p *handover.Prepared) {
		p.Envelope.SendingMode, p.Envelope.ProcDef, p.Placements = contract.SendDraft, nil, nil
	}))
	require.Empty(t, got.Tasks)
	require.Equal(t, "segr", got.LoadedBy.ExternalID)
}

func TestResolveRefusesWhatTheCallerCanPutRight(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		for _, u := range []directory.User{
			{ExternalID: "boss", Authorities: []directory.Authority{directory.Secretary}, Disabled: true},
			{ExternalID: "guest", Authorities: []directory.Authority{directory.Stranger}},
		} {
			u.Customer, u.Username = "demo", u.ExternalID
			require.NoError(t, f.service.EnsureUser(t.Context(), u))
		}
		require.NoError(t, f.service.EnsureRole(t.Context(), directory.Role{Customer: "demo", ID: "empty", Members: []string{"guest"}}))
		require.NoError(t, f.service.EnsureCustomer(t.Context(), directory.Customer{ID: "gone", Disabled: true}))
		f.run(t)
		auto := task("annaU|guestU")
		auto.Type, auto.Action = contract.TaskAutomatic, contract.TaskAutoSign
		for name, c := range map[string]struct {
			change  func(*handover.Prepared)
			code    contract.Code
			message string
		}{
			"unknown customer": {
				func(p *handover.Prepared) { p.Operation.Customer = "nobody" },
				contract.CodeCustNotFound, "there is no such customer",
			},
			"disabled customer": {
				func(p *handover.Prepared) { p.Operation.Customer = "gone" },
				contract.CodeProductExpired, "the customer is disabled; ask the operator of the bus",
			},
			"unknown secretary": {
				func(p *handover.Prepared) { p.Envelope.LoadedByExtID = "Segr" },
				contract.CodeUserNotFound, `envelope.loadedByExtId: there is no user with the external id "Segr"`,
			},
			"disabled secretary": {
				func(p *handover.Prepared) { p.Envelope.LoadedByExtID = "boss" },
				contract.CodeAccessDenied, `envelope.loadedByExtId: the user "boss" is disabled; name another secretary`,
			},
			"no secretary": {
				func(p *handover.Prepared) { p.Envelope.LoadedByExtID = "anna" },
				contract.CodeAccessDenied, `envelope.loadedByExtId: the user "anna" is no secretary; only secretaries and administrators load envelopes`,
			},
			"unknown user": {
				tasks(task("annaU"), task("brunoU|nobodyU")),
				contract.CodeUserNotFound, `envelope.procDef.tasks[1].actorExpr: there is no user with the external id "nobody"`,
			},
			"disabled user": {
				tasks(task("bossU")),
				contract.CodeUserNotFound, `envelope.procDef.tasks[0].actorExpr: the user "boss" is disabled; name another one`,
			},
			"unknown role": {
				tasks(task("7R|annaU")),
				contract.CodeUserNotFound, `envelope.procDef.tasks[0].actorExpr: there is no role with the id "7"`,
			},
			"two problems": {
				tasks(task("7R"), task("nobodyU")),
				contract.CodeUserNotFound, `envelope.procDef.tasks[0].actorExpr: there is no role with the id "7"; ` +
					`envelope.procDef.tasks[1].actorExpr: there is no user with the external id "nobody"`,
			},
			"malformed expression": {
				tasks(task("anna")),
				contract.CodeIllegalArgument, "envelope.procDef.tasks[0].actorExpr: has a part that ends neither in U (user) nor in R (role)",
			},
			"howMany above the members of a role": {
				tasks(func() contract.Task { one := task("1R"); one.HowMany = 3; return one }()),
				contract.CodeProcessDefinitionError, "envelope.procDef.tasks[0].howMany: is 3, but actorExpr gives 2 who can act; make it fit",
			},
			"role without managers": {
				tasks(task("emptyR")),
				contract.CodeProcessDefinitionError, "envelope.procDef.tasks[0].howMany: is 1, but actorExpr gives 0 who can act; make it fit",
			},
			"automatic signature of a stranger": {
				tasks(auto),
				contract.CodeProcessDefinitionError, `envelope.procDef.tasks[0].actorExpr: the user "guest" is no manager; only managers sign automatically`,
			},
			"unknown provider": {
				tasks(func() contract.Task {
					one := task("annaU")
					one.ConfString = contract.ConfString{"provider": "other"}
					return one
				}()),
				contract.CodeIllegalArgument, "envelope.procDef.tasks[0].confString.provider: is not one of the providers of this bus: signature-book",
			},
			"no escrow certificate": {
				func(p *handover.Prepared) { p.Envelope.TrustLevelCode = contract.TrustGraphoFEA },
				contract.CodeNotSupported, "envelope.trustLevelCode: the provider signature-book lacks an escrow certificate for graphometric signatures; the operator names it in SIGNBUS_ESCROW_CERT",
			},
			"what the provider cannot do": {
				func(p *handover.Prepared) { p.Envelope.TrustLevelCode = contract.TrustFEA },
				contract.CodeNotSupported, "envelope.trustLevelCode: the provider signature-book works on envelopes of trust level INTERNAL_PDF, DIGITAL_PDF or DIGITAL_P7M",
			},
			"hidden approval": {
				tasks(func() contract.Task {
					one := task("annaU")
					one.ActionDefs[0].Type, one.ActionDefs[0].ConfString = contract.ActionApprove, contract.ConfString{"visibilityStatus": "H"}
					return one
				}()),
				contract.CodeIllegalArgument, "envelope.procDef.tasks[0].actionDefs[0].confString.visibilityStatus: must be V or N for an approval or a view; H is for signatures",
			},
			"signature that leaves no trace": {
				tasks(func() contract.Task {
					one := task("annaU")
					one.ActionDefs[0].ConfString = contract.ConfString{"visibilityStatus": "N"}
					return one
				}()),
				contract.CodeIllegalArgument, "envelope.procDef.tasks[0].actionDefs[0].confString.visibilityStatus: must be V or H for a signature; N is for approvals and views",
			},
		} {
			r := f.refused(t, prepared(c.change))
			require.Equal(t, c.code, r.Code, name)
			require.Equal(t, c.message, r.Message, name)
		}
	})
}

func TestCustomersDoNotSeeOneAnothersUsers(t *testing.T) {
	t.Parallel()
	f := newFixture(t, storetest.Open(t, storetest.SQLite(t)))
	require.NoError(t, f.service.EnsureCustomer(t.Context(), directory.Customer{ID: "other"}))
	require.NoError(t, f.service.EnsureUser(t.Context(), directory.User{
		Customer: "other", ExternalID: "segr", Username: "segr", Authorities: []directory.Authority{directory.Admin},
	}))
	f.run(t)
	r := f.refused(t, prepared(func(p *handover.Prepared) {
		tasks(task("annaU"), task("1R"))(p)
		p.Operation.Customer = "other"
	}))
	require.Equal(t, contract.CodeUserNotFound, r.Code)
	require.Equal(t, `envelope.procDef.tasks[0].actorExpr: there is no user with the external id "anna"; `+
		`envelope.procDef.tasks[1].actorExpr: there is no role with the id "1"`, r.Message)
}

func TestTextsFollowTheTrustLevel(t *testing.T) {
	t.Parallel()
	f := newFixture(t, storetest.Open(t, storetest.SQLite(t)))
	f.run(t)
	one := task("annaU")
	conf := contract.ConfString{"customSignatureText": "#nnss#", "customSignatureTextL1": "CMP", "customSignatureTextL2": "ORG"}
	one.ActionDefs = []contract.ActionDef{
		{DocExternalID: "d1", Type: contract.ActionSign, ConfString: conf},
		{DocExternalID: "d1", Type: contract.ActionApprove, ConfString: conf},
		{DocExternalID: "d1", Type: contract.ActionView},
	}
	got := f.resolved(t, prepared(func(p *handover.Prepared) {
		tasks(one)(p)
		p.Envelope.TrustLevelCode = contract.TrustDigitalPDF
	}))
	require.Equal(t, []string{"#nnss#", "NAN", "NAN"}, got.Tasks[0].Actions[0].Text)
	require.Equal(t, []string{"#nnss#", "CMP", "ORG"}, got.Tasks[0].Actions[1].Text)
	require.Nil(t, got.Tasks[0].Actions[2].Text)
}

func TestPoisonEndsInARefusalAndADeadLetter(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		f.run(t)
		p := prepared(nil)
		p.Placements = nil // does not fit the tasks
		r := f.refused(t, p)
		require.Equal(t, contract.CodeError, r.Code)
		require.NoError(t, f.Publisher.Publish(t.Context(),
			bus.Message{Subject: subjects.WorkResolve, Data: []byte("no json")},
			bus.Message{Subject: "work.directory.unknown", Data: []byte("{}")},
		))
		dead := f.Next(t, subjects.StreamDead, subjects.Dead(subjects.Directory), 3)
		require.Equal(t, "the message is not a readable prepared envelope", dead[0].Headers().Get(subjects.HeaderDeadReason))
		// Who sends what can be read is still served.
		require.Equal(t, "op1", f.resolved(t, prepared(nil)).Operation.ID)
	})
}

func TestCustomerCodesAreKeptAsDigests(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		require.NoError(t, directory.Seed(t.Context(), f.service), "a second seed changes nothing")
		demo := f.customer(t, "demo")
		require.Equal(t, handover.Customer{
			ID: "demo", Systems: []string{"ERP"},
			Keys: []string{"cd577fe2561ebff23505db0bb006300c7cdecbd46bc0e03c449afafaca2c25bf"},
		}, demo)
		err := f.service.EnsureCustomer(t.Context(), directory.Customer{ID: "other", Codes: []string{"demo-secret"}})
		require.ErrorIs(t, err, directory.ErrKeyTaken)
		require.NoError(t, f.service.RevokeCode(t.Context(), "demo", "demo-secret"))
		require.Empty(t, f.customer(t, "demo").Keys)
		require.ErrorIs(t, directory.Seed(t.Context(), f.service), directory.ErrKeyTaken, "a revoked code does not come back")
		require.ErrorIs(t, f.service.RevokeCode(t.Context(), "demo", "never"), store.ErrNotFound)
	})
}

// customer reads what the other services would see.
func (f *fixture) customer(t *testing.T, id string) handover.Customer {
	t.Helper()
	var c handover.Customer
	require.NoError(t, json.Unmarshal(f.key(t, handover.KeyCustomer+id), &c))
	return c
}

func (f *fixture) bucket(t *testing.T) jetstream.KeyValue {
	t.Helper()
	kv, err := bus.OpenBucket(t.Context(), f.JS, handover.BucketDirectory, 1)
	require.NoError(t, err)
	return kv
}

// key returns a value of the bucket, nil when there is none.
func (f *fixture) key(t *testing.T, key string) []byte {
	t.Helper()
	entry, err := f.bucket(t).Get(t.Context(), key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil
	}
	require.NoError(t, err)
	return entry.Value()
}

func TestEnsureRefusesWhatCannotBeKept(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		for _, c := range []directory.Customer{
			{ID: ""}, {ID: "a.b"}, {ID: "x", Systems: []string{"a b"}}, {ID: "x", Codes: []string{""}}, {ID: "x", SignatureLevel: "B-X"},
		} {
			require.ErrorIs(t, f.service.EnsureCustomer(t.Context(), c), directory.ErrInvalid)
		}
		for _, u := range []directory.User{
			{ExternalID: "", Username: "x"}, {ExternalID: "a|b", Username: "x"}, {ExternalID: " a", Username: "x"},
			{ExternalID: "x"}, {ExternalID: "x", Username: "x", Authorities: []directory.Authority{"king"}},
		} {
			u.Customer = "demo"
			require.ErrorIs(t, f.service.EnsureUser(t.Context(), u), directory.ErrInvalid)
		}
		require.ErrorIs(t, f.service.EnsureUser(t.Context(), directory.User{Customer: "demo", ExternalID: "anna2", Username: "anna"}), store.ErrConflict)
		require.ErrorIs(t, f.service.EnsureUser(t.Context(), directory.User{Customer: "nobody", ExternalID: "x", Username: "x"}), store.ErrConflict)
		require.ErrorIs(t, f.service.EnsureRole(t.Context(), directory.Role{Customer: "demo", ID: "a|b"}), directory.ErrInvalid)
		require.ErrorIs(t, f.service.EnsureRole(t.Context(), directory.Role{Customer: "demo", ID: "2", Members: []string{"nobody"}}), store.ErrConflict)
	})
}

func TestReconcileMakesTheBucketAgreeWithTheTables(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db)
		// As after crashes: one value is missing, one is old, one is of a row that is gone.
		require.NoError(t, f.bucket(t).Delete(t.Context(), "customer.demo"))
		require.NoError(t, f.service.EnsureCustomer(t.Context(), directory.Customer{ID: "other"}))
		_, err := f.bucket(t).Put(t.Context(), "customer.other", []byte(`{"id":"other","disabled":true}`))
		require.NoError(t, err)
		_, err = f.bucket(t).Put(t.Context(), "subscription.demo.gone", []byte(`{}`))
		require.NoError(t, err)
		f.run(t)
		bustest.Eventually(t, func() bool {
			return f.key(t, "customer.demo") != nil && f.key(t, "subscription.demo.gone") == nil &&
				bytes.Equal(f.key(t, "customer.other"), []byte(`{"id":"other","systems":[],"keys":[]}`))
		}, "the bucket holds what the tables say")
	})
}

func TestReconcileWritesNothingWhenAllAgrees(t *testing.T) {
	t.Parallel()
	f := newFixture(t, storetest.Open(t, storetest.SQLite(t)))
	before, err := f.bucket(t).Get(t.Context(), "customer.demo")
	require.NoError(t, err)
	require.NoError(t, f.service.Reconcile(t.Context()))
	after, err := f.bucket(t).Get(t.Context(), "customer.demo")
	require.NoError(t, err)
	require.Equal(t, before.Revision(), after.Revision())
}

func TestSubscriptionsByCall(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		f := newFixture(t, db, func(o *directory.Options) { o.Random = bytes.NewReader(bytes.Repeat([]byte{7}, 32)) })
		f.run(t)
		f.served(t)
		var made contract.Subscription
		require.NoError(t, bus.Call(t.Context(), f.Conn, subjects.Directory, handover.CallSubscribe, handover.SubscribeRequest{
			Customer: "demo", Subscribe: contract.Subscribe{
				ExternalSystemCode: "ERP", URL: "https://example.com/hook", Types: []contract.EventType{contract.EventOperationDone},
			},
		}, &made))
		const secret = "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="
		require.NotEmpty(t, made.ID)
		require.Equal(t, contract.Subscription{
			ID: made.ID, ExternalSystemCode: "ERP", URL: "https://example.com/hook",
			Types: []contract.EventType{contract.EventOperationDone}, Mode: contract.ModeBinary, Secret: secret,
		}, made)
		key := "subscription.demo." + made.ID
		var seen handover.Subscription
		require.NoError(t, json.Unmarshal(f.key(t, key), &seen))
		require.Equal(t, handover.Subscription{
			ID: made.ID, Customer: "demo", System: "ERP", URL: "https://example.com/hook",
			Types: []contract.EventType{contract.EventOperationDone}, Mode: "binary", Secrets: []string{secret},
		}, seen)

		var list contract.Subscriptions
		require.NoError(t, bus.Call(t.Context(), f.Conn, subjects.Directory, "subscriptions", directory.Subscriptions{Customer: "demo"}, &list))
		made.Secret = ""
		require.Equal(t, []contract.Subscription{made}, list.Subscriptions)

		other := directory.Unsubscribe{Customer: "other", ID: made.ID}
		require.Equal(t, contract.CodeNotFound, contract.CodeOf(bus.Call(t.Context(), f.Conn, subjects.Directory, "unsubscribe", other, nil)))
		own := directory.Unsubscribe{Customer: "demo", ID: made.ID}
		require.NoError(t, bus.Call(t.Context(), f.Conn, subjects.Directory, "unsubscribe", own, nil))
		require.Nil(t, f.key(t, key))
	})
}

// served waits until calls are answered.
func (f *fixture) served(t *testing.T) {
	t.Helper()
	bustest.Eventually(t, func() bool {
		return bus.Call(t.Context(), f.Conn, subjects.Directory, "subscriptions", directory.Subscriptions{Customer: "demo"}, nil) == nil
	}, "the directory answers calls")
}

func TestSubscribeRefuses(t *testing.T) {
	t.Parallel()
	f := newFixture(t, storetest.Open(t, storetest.SQLite(t)))
	for name, c := range map[string]struct {
		change func(*directory.Subscribe)
		code   contract.Code
		path   string
	}{
		"unknown customer": {func(r *directory.Subscribe) { r.Customer = "nobody" }, contract.CodeCustNotFound, ""},
		"unknown system":   {func(r *directory.Subscribe) { r.System = "CRM" }, contract.CodeIllegalArgument, "externalSystemCode"},
		"no address":       {func(r *directory.Subscribe) { r.URL = "" }, contract.CodeIllegalArgument, "url"},
		"relative address": {func(r *directory.Subscribe) { r.URL = "/hook" }, contract.CodeIllegalArgument, "url"},
		"plain http":       {func(r *directory.Subscribe) { r.URL = "http://example.com" }, contract.CodeIllegalArgument, "url"},
		"unknown type":     {func(r *directory.Subscribe) { r.Types = []contract.EventType{"x"} }, contract.CodeIllegalArgument, "types[0]"},
		"unknown mode":     {func(r *directory.Subscribe) { r.Mode = "batch" }, contract.CodeIllegalArgument, "mode"},
		"short secret":     {func(r *directory.Subscribe) { r.Secret = "whsec_c2hvcnQ=" }, contract.CodeIllegalArgument, "secret"},
		"bare secret":      {func(r *directory.Subscribe) { r.Secret = "c2hvcnQ=" }, contract.CodeIllegalArgument, "secret"},
	} {
		request := directory.Subscribe{Customer: "demo", URL: "https://example.com/hook"}
		c.change(&request)
		_, err := f.service.Subscribe(t.Context(), request)
		problems := contract.Problems(err)
		require.NotEmpty(t, problems, name)
		require.Equal(t, c.code, problems[0].Code, name)
		require.Equal(t, c.path, problems[0].Path, name)
	}
	list, err := f.service.Subscriptions(t.Context(), directory.Subscriptions{Customer: "demo"})
	require.NoError(t, err)
	require.Empty(t, list.Subscriptions)
}

func TestSubscribeTakesPlainHTTPWhenAllowed(t *testing.T) {
	t.Parallel()
	f := newFixture(t, storetest.Open(t, storetest.SQLite(t)), func(o *directory.Options) { o.AllowHTTP = true })
	sub, err := f.service.Subscribe(t.Context(), directory.Subscribe{Customer: "demo", URL: "http://127.0.0.1:9/hook", Mode: contract.ModeStructured})
	require.NoError(t, err)
	require.Equal(t, contract.EventTypes(), sub.Types)
	require.Regexp(t, `^whsec_[A-Za-z0-9+/]{43}=$`, sub.Secret)
}

func TestACustomerHasABoundedNumberOfSubscriptions(t *testing.T) {
	t.Parallel()
	f := newFixture(t, storetest.Open(t, storetest.SQLite(t)))
	require.NoError(t, f.service.EnsureCustomer(t.Context(), directory.Customer{ID: "other"}))
	request := directory.Subscribe{Customer: "demo", URL: "https://example.com/hook"}
	for range 100 {
		_, err := f.service.Subscribe(t.Context(), request)
		require.NoError(t, err)
	}
	_, err := f.service.Subscribe(t.Context(), request)
	require.Equal(t, contract.CodeIllegalArgument, contract.CodeOf(err))
	request.Customer = "other"
	_, err = f.service.Subscribe(t.Context(), request)
	require.NoError(t, err)
}
