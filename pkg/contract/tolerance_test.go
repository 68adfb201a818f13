package contract_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/contract"
)

// rename moves a value to another key of the same object.
func rename(from, to string) func(obj) {
	return func(o obj) {
		o[to] = o[from]
		delete(o, from)
	}
}

// wrap puts a list of one under the XML element's name.
func wrap(field, element string) func(obj) {
	return func(o obj) { o[field] = obj{element: o[field].(list)[0]} }
}

// same checks that the changed request is read exactly as the plain one.
func same(path string, f func(obj)) func(*testing.T) {
	return func(t *testing.T) {
		want, err := judge(encode(t, request()))
		require.NoError(t, err)
		got, err := judge(change(t, path, f))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

// reads checks one thing about what a changed request is read as. The request may be
// refused as not supported, which comes after reading, but not for its form.
func reads(path string, f func(obj), check func(*testing.T, contract.Envelope)) func(*testing.T) {
	return func(t *testing.T) {
		in, err := contract.DecodeInsertEnvelope(change(t, path, f))
		require.NoError(t, err)
		check(t, in.Envelope)
	}
}

func appearanceOf(e contract.Envelope) *contract.Appearance {
	return e.ProcDef.Tasks[0].ActionDefs[0].Appearance
}

// newUser is the user that chapter 6.2 adds.
func newUser() obj {
	return obj{
		"username": "anna", "name": "Anna", "surname": "A", "email": "anna@example.com", "externalId": "anna",
		"newUserStrategy": "ACCEPT_ALWAYS", "userAuthorities": list{obj{"username": "anna", "authority": "ROLE_MGR"}},
	}
}

func oneNewUser(t *testing.T, e contract.Envelope) {
	t.Helper()
	require.Len(t, e.ProcDef.NewUsers, 1)
	require.Equal(t, "anna", e.ProcDef.NewUsers[0].ExternalID)
	require.Equal(t, "ROLE_MGR", e.ProcDef.NewUsers[0].UserAuthorities[0].Authority)
}

func withAuthorities(v any) func(obj) {
	return func(o obj) {
		u := newUser()
		u["userAuthorities"] = v
		o["newUsers"] = list{u}
	}
}

// toleranceTests has the tests of every tolerance, by its name.
func toleranceTests() map[string][]func(*testing.T) {
	confObject := func(t *testing.T, e contract.Envelope) {
		require.Equal(t, contract.ConfString{"visibilityStatus": "H"}, e.ProcDef.Tasks[0].ActionDefs[0].ConfString)
	}
	recipients := func(t *testing.T, e contract.Envelope) {
		require.Equal(t, []contract.SendMailRecipient{{UserExternalID: "anna", TypeRecipient: "TO"}},
			e.ProcDef.Tasks[0].SendMailMessage.SendMailRecipientList)
	}
	recipient := obj{"userExternalId": "anna", "typeRecipient": "TO"}
	return map[string][]func(*testing.T){
		"insertEnvelopeRequest": {testRequestWrapper},
		"usersInCC": {func(t *testing.T) {
			in, err := contract.DecodeInsertEnvelope(change(t, "", set("usersInCC", list{obj{"externalId": "anna"}})))
			require.NoError(t, err)
			require.Equal(t, "anna", in.AddUsersInCC[0].ExternalID)
		}},
		"addUsersInCC-single": {func(t *testing.T) {
			in, err := contract.DecodeInsertEnvelope(change(t, "", set("addUsersInCC", obj{"externalId": "anna"})))
			require.NoError(t, err)
			require.Equal(t, "anna", in.AddUsersInCC[0].ExternalID)
		}},
		"processDef": {same(env, rename("procDef", "processDef"))},
		"commonMessages": {
			same(env, rename("commonMessage", "commonMessages")),
			reads(env, func(o obj) {
				delete(o, "commonMessage")
				o["commonMessages"] = obj{"text": "The contract", "userMessages": nil}
			}, func(t *testing.T, e contract.Envelope) {
				require.Equal(t, &contract.CommonMessage{Subject: "Contract", Text: "The contract"}, e.CommonMessage)
				require.NoError(t, e.Validate())
			}),
		},
		"expiresAt": {reads(env, set("expiresAt", 1577746800000), func(t *testing.T, e contract.Envelope) {
			require.Equal(t, contract.Millis(1577746800000), e.ExpireAt)
		})},
		"useType": {
			reads(env, set("UseType", "CORPORATE"), useTypeIs(contract.UseCorporate)),
			reads(env, set("useType", "PUBLIC"), useTypeIs(contract.UsePublic)),
			reads(env, set("useType", "X"), useTypeIs(contract.UseRestricted)),
		},
		"sendingModeFlags": {
			same(env, func(o obj) { o["sendingModeImmediate"], o["sendingModeDraft"] = true, false }),
			same(env, func(o obj) { delete(o, "sendingMode"); o["sendingModeImmediate"] = true }),
			reads(env, func(o obj) { delete(o, "sendingMode"); o["sendingModeDraft"] = "true" },
				func(t *testing.T, e contract.Envelope) { require.Equal(t, contract.SendDraft, e.SendingMode) }),
		},
		"documents-document":   {same(env, wrap("documents", "document"))},
		"tasks-taskDef":        {same(proc, wrap("tasks", "taskDef"))},
		"actionDefs-actionDef": {same(task0, wrap("actionDefs", "actionDef"))},
		"newUsers-insertUser": {
			reads(proc, set("newUsers", obj{"insertUser": newUser()}), oneNewUser),
			reads(proc, set("newUsers", obj{"insertUser": list{newUser()}}), oneNewUser),
			reads(proc, set("newUsers", newUser()), oneNewUser),
			reads(proc, set("newUsers", list{newUser()}), oneNewUser),
		},
		"revision-number": {reads(proc, set("revision", 2), func(t *testing.T, e contract.Envelope) {
			require.Equal(t, "2", e.ProcDef.Revision)
		})},
		"docClass-id-number": {reads(env, set("docClass", obj{"id": 377, "name": "C"}), func(t *testing.T, e contract.Envelope) {
			require.Equal(t, "377", e.DocClass.ID)
		})},
		"field-id-number": {reads(env, set("docClass", obj{"name": "C", "fields": list{obj{"id": 1000, "name": "F", "numericValue": "546798"}}}),
			func(t *testing.T, e contract.Envelope) {
				require.Equal(t, "1000", e.DocClass.Fields[0].ID)
				require.InDelta(t, 546798, *e.DocClass.Fields[0].NumericValue, 0)
			})},
		"task-type-H": {same(task0, set("type", "H"))},
		"recipients-single": {
			reads(task0, set("sendMailMessage", obj{"sendMailRecipientList": recipient}), recipients),
			reads(task0, set("sendMailMessage", obj{"sendMailRecipientList": obj{"sendMailRecipient": list{recipient}}}), recipients),
		},
		"flat-compass": {
			same(act0, set("appearance", obj{"compassPage": "1", "compassPosition": "1"})),
			testSoapPositions,
		},
		"flat-coordinates": {reads(act0, set("appearance", obj{"page": 1, "llx": 50.0, "lly": "50.0", "urx": 150.0, "ury": 80.5}),
			func(t *testing.T, e contract.Envelope) {
				require.Equal(t, &contract.Appearance{CoordAppearance: &contract.CoordAppearance{Page: 1, LLX: 50, LLY: 50, URX: 150, URY: 80.5}}, appearanceOf(e))
				require.NoError(t, e.Validate())
			})},
		"flat-tag": {reads(act0, set("appearance", obj{"startTagPattern": "@ABC123", "tagXOffset": 0.5, "tagYOffset": "-100", "tagCornerType": "SBL"}),
			func(t *testing.T, e contract.Envelope) {
				require.Equal(t, &contract.TagAppearance{StartTagPattern: "@ABC123", XOffset: 0.5, YOffset: -100, CornerType: "SBL"}, appearanceOf(e).TagAppearance)
			})},
		"userAuthorities": {
			reads(proc, withAuthorities("ROLE_MGR"), oneNewUser),
			reads(proc, withAuthorities(list{"ROLE_MGR"}), oneNewUser),
			reads(proc, withAuthorities(obj{"authority": "ROLE_MGR"}), oneNewUser),
			reads(proc, withAuthorities(list{obj{"authority": "ROLE_MGR"}}), oneNewUser),
		},
		"found-expiresAt": {func(t *testing.T) {
			f, err := contract.DecodeFoundEnvelope([]byte(`{"externalId":"E","expiresAt":1577746800000,"expiresAtTimezoneID":"Europe/Rome","later":1}`))
			require.NoError(t, err)
			require.Equal(t, contract.Millis(1577746800000), *f.ExpireAt)
			require.Equal(t, "Europe/Rome", *f.ExpireAtTimezoneID)
		}},
		"found-actionResume": {func(t *testing.T) {
			f, err := contract.DecodeFoundEnvelope([]byte(`{"externalId":"E","actionResume":{"actions":3}}`))
			require.NoError(t, err)
			require.Equal(t, 3, f.ActionsResume.Actions)
		}},
		"actionResume": {func(t *testing.T) {
			for _, name := range []string{"actionResume", "actionsResume"} {
				steps, err := contract.DecodeLiveStatus([]byte(`[{"mgrName":"Anna","stepNumber":0,"` + name + `":{"actions":2}}]`))
				require.NoError(t, err)
				require.Equal(t, 2, steps[0].ActionsResume.Actions)
			}
		}},
		"number-as-text": {same(task0, func(o obj) { o["order"], o["howMany"] = "1", "1" })},
		"boolean-as-text": {
			same(env, set("starred", "false")),
			same(act0, set("mandatory", "true")),
		},
		"confString-object": {
			reads(act0, set("confString", obj{"visibilityStatus": "H"}), confObject),
			reads(act0, set("confString", `{"visibilityStatus":"H"}`), confObject),
			reads(act0, set("confString", obj{"actionInTCF": true}), func(t *testing.T, e contract.Envelope) {
				conf, err := contract.ParseActionConf(e.ProcDef.Tasks[0].ActionDefs[0].ConfString)
				require.NoError(t, err)
				require.True(t, conf.Confirmed)
			}),
		},
		"requireIdentification": {reads(task0, set("confString", obj{"requireIdentification": true}), func(t *testing.T, e contract.Envelope) {
			require.Equal(t, contract.ConfString{"requiredIdentification": "true"}, e.ProcDef.Tasks[0].ConfString)
		})},
	}
}

func useTypeIs(want contract.UseType) func(*testing.T, contract.Envelope) {
	return func(t *testing.T, e contract.Envelope) { require.Equal(t, want, e.CorporateUseType) }
}

func testRequestWrapper(t *testing.T) {
	tree := request()
	want, err := judge(encode(t, tree))
	require.NoError(t, err)
	got, err := judge(encode(t, obj{"insertEnvelopeRequest": tree}))
	require.NoError(t, err)
	require.Equal(t, want, got)

	delete(tree, "externalSystemCode") // chapter 6.6 has none
	got, err = judge(encode(t, obj{"insertEnvelopeRequest": tree}))
	require.NoError(t, err)
	require.Equal(t, "ERP", got.ExternalSystemCode)
}

func testSoapPositions(t *testing.T) {
	for soap, rest := range map[int]int{
		-1: contract.PositionInvisible, 1: contract.PositionTopLeft, 2: contract.PositionTop, 3: contract.PositionTopRight,
		4: contract.PositionCenter, 5: contract.PositionRight, 6: contract.PositionLeft,
		7: contract.PositionBottom, 8: contract.PositionBottomLeft, 9: contract.PositionBottomRight,
	} {
		in, err := contract.DecodeInsertEnvelope(change(t, act0, set("appearance", obj{"compassPage": 1, "compassPosition": soap})))
		require.NoError(t, err)
		require.Equal(t, rest, appearanceOf(in.Envelope).CompassAppearance.Position, soap)
	}
}

func TestEveryToleranceIsTested(t *testing.T) {
	t.Parallel()
	tests := toleranceTests()
	for _, tolerance := range contract.Tolerances() {
		require.NotEmpty(t, tolerance.Chapters, tolerance.Name)
		require.NotEmpty(t, tests[tolerance.Name], "no test for tolerance %s", tolerance.Name)
		for _, test := range tests[tolerance.Name] {
			t.Run(tolerance.Name, test)
		}
		delete(tests, tolerance.Name)
	}
	require.Empty(t, tests, "tests without a tolerance")
}

func TestBothSpellingsAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path string
		f    func(obj)
		want string
	}{
		"procDef":     {env, func(o obj) { o["processDef"] = o["procDef"] }, "envelope.procDef: is given twice, also as processDef; give one"},
		"expireAt":    {env, func(o obj) { o["expireAt"], o["expiresAt"] = 5, 6 }, "envelope.expireAt: is given twice, also as expiresAt; give one"},
		"appearance":  {appear, func(o obj) { o["compassPage"] = 1 }, "envelope.procDef.tasks[0].actionDefs[0].appearance.compassAppearance: is given twice, also as flat fields; give one"},
		"mode":        {env, func(o obj) { o["sendingModeDraft"] = true }, "envelope.sendingMode: contradicts sendingModeImmediate or sendingModeDraft"},
		"mode flags":  {env, func(o obj) { o["sendingModeDraft"], o["sendingModeImmediate"] = true, true }, "envelope.sendingModeDraft: must be the opposite of sendingModeImmediate"},
		"mode's type": {env, func(o obj) { o["sendingModeDraft"] = 3 }, "envelope.sendingModeDraft: must be true or false"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := contract.DecodeInsertEnvelope(change(t, c.path, c.f))
			require.EqualError(t, err, c.want)
		})
	}
}

// The request of chapter 6.6, as it is printed but for its bytes.
func TestChapter66IsAccepted(t *testing.T) {
	t.Parallel()
	const text = `{
"insertEnvelopeRequest": {
"customerCode": "customerCodeCC",
"envelope": {
"externalId": "EXTID_0011579014885584",
"subject": "Oggetto:Tue Jan 14 16:14:45 CET2020",
"starred": "false",
"loadedByExtId": "usrSgrMgrCC",
"sysGenerator": "EXT",
"corporateUseType": "P",
"sendingMode": "IMD",
"commonMessage": {"subject": "Test CC-CC", "text": "testo"},
"processDef": {"tasks": {"taskDef": {
"order": "1", "type": "T", "actorExpr": "usrSgrMgrCCU", "action": "WRK", "certType": "I", "howMany": "1",
"actionDefs": {"actionDef": {
"docExternalId": "extDocId1579014885584", "mandatory": "true", "type": "G",
"appearance": {"compassPage": "1", "compassPosition": "1"},
"confString": {"visibilityStatus": "V"}
}}}}},
"trustLevelCode": "GRAPHO_FEA",
"documents": {"document": {
"title": "titolo doc1", "mimeType": "application/pdf", "originalFname": "test-tag.pdf",
"externalId": "extDocId1579014885584", "bytes": "JVBERi0xLjUNCiW1tbW1DQox"
}}}}}`
	in, err := judge([]byte(text))
	require.NoError(t, err)
	require.Equal(t, contract.ActionGraphometric, in.Envelope.ProcDef.Tasks[0].ActionDefs[0].Type)
}

// The actions of chapter 6.6: the names may have space around them.
func TestGraphometricSettings(t *testing.T) {
	t.Parallel()
	conf, err := contract.ParseActionConf(contract.ConfString{
		"graphFieldName": " FEA_FIRMA_F_001", "graphFieldDesc": "Firmatario", "graphSignerRole": "Contraente", "graphSignerName": " ",
		"customSignatureText": "Firmato da Mario Rossi",
	})
	require.NoError(t, err)
	require.Equal(t, contract.ActionConf{
		Text: "Firmato da Mario Rossi", GraphFieldName: "FEA_FIRMA_F_001", GraphFieldDesc: "Firmatario", GraphSignerRole: "Contraente",
	}, conf)
}

// The services hand an envelope on as plain JSON.
func TestEnvelopeSurvivesTheStandardLibrary(t *testing.T) {
	t.Parallel()
	in, err := judge(change(t, act0, set("confString", obj{"visibilityStatus": "H", "customSignatureText": "a \"b\""})))
	require.NoError(t, err)
	data, err := json.Marshal(in)
	require.NoError(t, err)
	var std contract.InsertEnvelope
	require.NoError(t, json.Unmarshal(data, &std))
	require.Equal(t, in, std)
	again, err := judge(data)
	require.NoError(t, err)
	require.Equal(t, in, again)
}
