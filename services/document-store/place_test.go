package documentstore

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/pdf/pdftest"
)

func inspected(t *testing.T, file []byte) *pdf.Info {
	t.Helper()
	info, err := pdf.Inspect(t.Context(), bytes.NewReader(file), int64(len(file)), pdf.Limits{})
	require.NoError(t, err)
	return info
}

func compass(page, position int) *contract.Appearance {
	return &contract.Appearance{CompassAppearance: &contract.CompassAppearance{Page: page, Position: position}}
}

func coordinates(page int, llx, lly, urx, ury float64) *contract.Appearance {
	return &contract.Appearance{CoordAppearance: &contract.CoordAppearance{Page: page, LLX: llx, LLY: lly, URX: urx, URY: ury}}
}

func blankField(name string) *contract.Appearance {
	return &contract.Appearance{BlankSignatureFieldName: name}
}

func sign(a *contract.Appearance) contract.ActionDef {
	return contract.ActionDef{DocExternalID: "d", Type: contract.ActionSign, Appearance: a}
}

func with(a contract.ActionDef, change func(*contract.ActionDef)) contract.ActionDef {
	change(&a)
	return a
}

func visibility(v string) func(*contract.ActionDef) {
	return func(a *contract.ActionDef) { a.ConfString = contract.ConfString{"visibilityStatus": v} }
}

func envelope(howMany int, actions ...contract.ActionDef) contract.Envelope {
	return contract.Envelope{ProcDef: &contract.ProcDef{Tasks: []contract.Task{
		{Type: contract.TaskHuman, Action: contract.TaskWork, HowMany: howMany, ActionDefs: actions},
	}}}
}

// certified is a document whose one signature certifies it.
func certified(t *testing.T, level int) []byte {
	t.Helper()
	data := pdftest.Sample(3, "x")
	update, err := pdf.Prepare(t.Context(), bytes.NewReader(data), int64(len(data)), pdf.Limits{}, pdf.Request{Certify: level, Reserve: 64})
	require.NoError(t, err)
	return append(data, update.Tail...)
}

// tasks is an envelope with tasks in series, of one action each or as they are given.
func tasks(list ...any) contract.Envelope {
	e := contract.Envelope{ProcDef: &contract.ProcDef{}}
	for i, one := range list {
		task, ok := one.(contract.Task)
		if !ok {
			task = envelope(1, one.(contract.ActionDef)).ProcDef.Tasks[0]
		}
		task.Order = i + 1
		e.ProcDef.Tasks = append(e.ProcDef.Tasks, task)
	}
	return e
}

func certifying(a contract.ActionDef, certification string) contract.Task {
	task := envelope(1, a).ProcDef.Tasks[0]
	task.ConfString = contract.ConfString{"certification": certification}
	return task
}

func TestPlace(t *testing.T) {
	t.Parallel()
	sample := inspected(t, pdftest.Sample(3, "x")) // A4, 595 by 842 points
	turned := inspected(t, pdftest.Document{Pages: []pdftest.Page{{Rotate: 90}}, Text: "x"}.Bytes())
	form := inspected(t, pdftest.WithBlankField("sign here"))
	bottomRight := func(page int) handover.Box {
		b, err := pdf.Compass(sample.Pages[page-1], contract.PositionBottomRight)
		require.NoError(t, err)
		return wire(b)
	}
	shown := form.Fields[0].Box
	for name, c := range map[string]struct {
		info   *pdf.Info
		action contract.ActionDef
		want   handover.Placement
	}{
		"compass":          {sample, sign(compass(2, 9)), handover.Placement{Boxes: []handover.Box{bottomRight(2)}}},
		"compass default":  {sample, sign(compass(1, 0)), handover.Placement{Boxes: []handover.Box{bottomRight(1)}}},
		"last page":        {sample, sign(compass(-1, 9)), handover.Placement{Boxes: []handover.Box{bottomRight(3)}}},
		"all pages":        {sample, sign(compass(-2, 9)), handover.Placement{Boxes: []handover.Box{bottomRight(1), bottomRight(2), bottomRight(3)}}},
		"first and last":   {sample, sign(compass(-3, 9)), handover.Placement{Boxes: []handover.Box{bottomRight(1), bottomRight(3)}}},
		"coordinates":      {sample, sign(coordinates(1, 75, 665, 205, 705)), handover.Placement{Boxes: []handover.Box{{Page: 1, LLX: 75, LLY: 665, URX: 205, URY: 705}}}},
		"corners swapped":  {sample, sign(coordinates(1, 75, 705, 205, 665)), handover.Placement{Boxes: []handover.Box{{Page: 1, LLX: 75, LLY: 665, URX: 205, URY: 705}}}},
		"on a turned page": {turned, sign(coordinates(1, 700, 10, 800, 60)), handover.Placement{Boxes: []handover.Box{{Page: 1, LLX: 700, LLY: 10, URX: 800, URY: 60}}}},
		"blank field":      {form, sign(blankField("sign here")), handover.Placement{Field: "sign here", Boxes: []handover.Box{wire(shown)}}},
		"hidden in a field": {
			form, with(sign(blankField("sign here")), visibility("H")),
			handover.Placement{Field: "sign here"},
		},
		"compass invisible":     {sample, sign(compass(1, -1)), handover.Placement{}},
		"flag invisible":        {sample, sign(&contract.Appearance{Invisible: true}), handover.Placement{}},
		"hidden":                {sample, with(sign(coordinates(1, 75, 665, 205, 705)), visibility("H")), handover.Placement{}},
		"hidden, place ignored": {sample, with(sign(compass(9, 1)), visibility("H")), handover.Placement{}},
		"approval without trace": {
			sample, with(with(sign(compass(1, 9)), visibility("N")), func(a *contract.ActionDef) { a.Type = contract.ActionApprove }),
			handover.Placement{},
		},
		"visible approval": {
			sample, with(sign(compass(1, 9)), func(a *contract.ActionDef) { a.Type = contract.ActionApprove }),
			handover.Placement{Boxes: []handover.Box{bottomRight(1)}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := place(envelope(1, c.action), map[string]*pdf.Info{"d": c.info}, 100)
			require.NoError(t, err)
			if c.want.Field == "" && c.action.Visibility(contract.TrustDigitalPDF) != contract.VisibilityNone {
				c.want.Field = "Signature1"
				field := handover.Field{Name: "Signature1"}
				if len(c.want.Boxes) > 0 {
					field.Box = &c.want.Boxes[0]
				}
				require.Equal(t, map[string][]handover.Field{"d": {field}}, got.fields)
			} else {
				require.Empty(t, got.fields, "nothing is to be added to the document")
			}
			require.Equal(t, [][]handover.Placement{{c.want}}, got.placements)
		})
	}
}

// Fields are planned for all steps at once: one for each signature, by the order of the
// steps, under names that are free.
func TestPlacePlansAFieldForEverySignature(t *testing.T) {
	t.Parallel()
	info := *inspected(t, pdftest.Document{Pages: make([]pdftest.Page, 3), Text: "x", Fields: []string{"Signature2.x", "Buyer"}}.Bytes())
	task := func(order, howMany int, actions ...contract.ActionDef) contract.Task {
		return contract.Task{Type: contract.TaskHuman, Action: contract.TaskWork, Order: order, HowMany: howMany, ActionDefs: actions}
	}
	seal := task(3, 1, with(sign(compass(1, 1)), visibility("H")))
	seal.Action, seal.HowMany = contract.TaskSeal, 3 // what it says there does not count
	in := contract.Envelope{ProcDef: &contract.ProcDef{Tasks: []contract.Task{
		seal,
		task(2, 3, sign(compass(1, 9)), with(sign(compass(1, 9)), func(a *contract.ActionDef) { a.Type, a.DocExternalID = contract.ActionApprove, "e" })),
		task(1, 1, sign(blankField("Buyer")), sign(coordinates(2, 100, 700, 300, 800)),
			with(with(sign(nil), visibility("N")), func(a *contract.ActionDef) { a.Type = contract.ActionView })),
	}}}
	got, err := place(in, map[string]*pdf.Info{"d": &info, "e": inspected(t, pdftest.Sample(1, "y"))}, 100)
	require.NoError(t, err)
	names := func(at handover.Placement) (list []string) {
		for _, p := range append([]handover.Placement{at}, at.Further...) {
			list = append(list, p.Field)
		}
		return list
	}
	p := got.placements
	require.Equal(t, []string{"Buyer"}, names(p[2][0]))
	require.Equal(t, []string{"Signature1"}, names(p[2][1]))
	require.Equal(t, handover.Placement{}, p[2][2])
	require.Equal(t, []string{"Signature3", "Signature4", "Signature5"}, names(p[1][0]))
	require.Equal(t, []string{"Signature1", "Signature2", "Signature3"}, names(p[1][1]))
	require.Equal(t, []string{"Signature6"}, names(p[0][0]))
	require.Len(t, got.fields["d"], 5)
	require.Len(t, got.fields["e"], 3)
	require.Equal(t, handover.Field{Name: "Signature1", Box: &handover.Box{Page: 2, LLX: 100, LLY: 700, URX: 300, URY: 800}}, got.fields["d"][0])
	require.Equal(t, handover.Field{Name: "Signature6"}, got.fields["d"][4])

	places := append([]handover.Placement{p[1][0]}, p[1][0].Further...)
	for i, one := range places {
		require.Equal(t, one.Boxes[0], *got.fields["d"][1+i].Box)
		_, err := info.Pages[0].Place(pdf.Box(one.Boxes[0]))
		require.NoError(t, err, "the place is on the page")
		for _, other := range places[:i] {
			require.False(t, overlap(one.Boxes[0], other.Boxes[0]), "%v covers %v", one, other)
		}
	}
}

func overlap(a, b handover.Box) bool {
	return a.Page == b.Page && a.LLX < b.URX && b.LLX < a.URX && a.LLY < b.URY && b.LLY < a.URY
}

func TestPlaceInADocumentThatLocks(t *testing.T) {
	t.Parallel()
	locking := inspected(t, pdftest.Document{
		Pages: make([]pdftest.Page, 1), Fields: []string{"last", "other"}, FieldEntries: "/Lock<</Type/SigFieldLock/Action/All>>",
	}.Bytes())
	_, err := place(tasks(sign(compass(1, 9)), sign(blankField("last"))), map[string]*pdf.Info{"d": locking}, 10)
	require.NoError(t, err, "the field that locks the others is signed last")
	for level, makes := range map[int]bool{2: true, 3: true} {
		info := inspected(t, certified(t, level))
		_, err := place(tasks(sign(compass(1, 9))), map[string]*pdf.Info{"d": info}, 10)
		require.Equal(t, makes, err == nil, "%v", err)
	}
}

func TestBesideStaysOnThePage(t *testing.T) {
	t.Parallel()
	info := &pdf.Info{Pages: []pdf.PageInfo{{Number: 1, Width: 300, Height: 100}}}
	move := func(b handover.Box, n int) handover.Box {
		b.Page = 1
		return (&placer{left: 9}).beside(info, []handover.Box{b}, n)[0]
	}
	require.Equal(t, handover.Box{Page: 1, LLX: 10, LLY: 36, URX: 60, URY: 66}, move(handover.Box{LLX: 10, LLY: 0, URX: 60, URY: 30}, 1))
	require.Equal(t, handover.Box{Page: 1, LLX: 10, LLY: 34, URX: 60, URY: 64}, move(handover.Box{LLX: 10, LLY: 70, URX: 60, URY: 100}, 1))
	require.Equal(t, handover.Box{Page: 1, LLX: 76, LLY: 0, URX: 136, URY: 80}, move(handover.Box{LLX: 10, LLY: 0, URX: 70, URY: 80}, 1), "to the side where there is no room above")
	require.Equal(t, handover.Box{Page: 1, LLX: 0, LLY: 0, URX: 300, URY: 100}, move(handover.Box{URX: 300, URY: 100}, 1), "no room at all")
}

func TestPlaceRefuses(t *testing.T) {
	t.Parallel()
	sample := inspected(t, pdftest.Sample(3, "x"))
	form := inspected(t, pdftest.WithBlankField("sign here"))
	signed := *form
	signed.Fields = []pdf.Field{{Name: "sign here", Signed: true, Box: form.Fields[0].Box}}
	unseen := *form
	unseen.Fields = []pdf.Field{{Name: "sign here"}}
	before := *sample
	before.Signatures = 1
	locking := inspected(t, pdftest.Document{
		Pages: make([]pdftest.Page, 1), Fields: []string{"last", "other"}, FieldEntries: "/Lock<</Type/SigFieldLock/Action/Exclude/Fields[(other)]>>",
	}.Bytes())
	const at = "envelope.procDef.tasks[0].actionDefs[0]"
	for name, c := range map[string]struct {
		info    *pdf.Info
		in      contract.Envelope
		code    contract.Code
		message string
	}{
		"page above": {
			sample, envelope(1, sign(compass(4, 9))), contract.CodeIllegalArgument,
			at + `.appearance.compassAppearance.page: document "d": page out of range: page 4 was asked for; use 1 to 3, -1 (last), -2 (all) or -3 (first and last)`,
		},
		"page zero": {
			sample, envelope(1, sign(coordinates(0, 1, 1, 50, 50))), contract.CodeIllegalArgument,
			at + `.appearance.coordAppearance.page: document "d": page out of range: page 0 was asked for; use 1 to 3, -1 (last), -2 (all) or -3 (first and last)`,
		},
		"box outside": {
			sample, envelope(1, sign(coordinates(2, 500, 10, 700, 60))), contract.CodeIllegalArgument,
			at + `.appearance.coordAppearance: document "d": box outside of the page: page 2 is 595 by 842 points as shown, the box goes from (500, 10) to (700, 60)`,
		},
		"unknown field": {
			form, envelope(1, sign(blankField("Sign here"))), contract.CodeIllegalArgument,
			at + `.appearance.blankSignatureFieldName: the document "d" has no signature field of that name`,
		},
		"signed field": {
			&signed, envelope(1, sign(blankField("sign here"))), contract.CodeIllegalArgument,
			at + `.appearance.blankSignatureFieldName: that field of the document "d" is signed already; name a blank one`,
		},
		"field that does not show": {
			&unseen, envelope(1, sign(blankField("sign here"))), contract.CodeIllegalArgument,
			at + `.appearance.blankSignatureFieldName: that field of the document "d" does not show; set visibilityStatus H or name another field`,
		},
		"field for two": {
			form, envelope(2, sign(blankField("sign here"))), contract.CodeIllegalArgument,
			at + `.appearance.blankSignatureFieldName: takes one signature, but howMany is 2; place the action by compass or coordinates`,
		},
		"field twice": {
			form, envelope(1, sign(blankField("sign here")), with(sign(blankField("sign here")), visibility("H"))), contract.CodeIllegalArgument,
			`envelope.procDef.tasks[0].actionDefs[1].appearance.blankSignatureFieldName: another action signs that field of the document "d"; give each action a field of its own`,
		},
		"no place": {
			sample, envelope(1, sign(nil)), contract.CodeIllegalArgument,
			at + ".appearance: must place the action: by compassAppearance, coordAppearance or blankSignatureFieldName",
		},
		"unknown document": {
			sample, envelope(1, with(sign(compass(1, 9)), func(a *contract.ActionDef) { a.DocExternalID = "D" })), contract.CodeProcessDefinitionError,
			at + ".docExternalId: is not the externalId of a document of this envelope",
		},
		"certified document": {
			inspected(t, certified(t, 1)), envelope(1, with(sign(nil), visibility("H"))), contract.CodeBadDocFormat,
			at + `.docExternalId: the document "d" cannot be signed so: the document forbids this change: the document is certified against every change; use a copy without it`,
		},
		"document certified against annotations": {
			inspected(t, certified(t, 2)), envelope(1, sign(compass(-2, 9))), contract.CodeIllegalArgument,
			at + `.appearance: the document "d" is certified against annotations; place the action on one page only`,
		},
		"field that locks a later signature": {
			locking, tasks(sign(blankField("last")), sign(blankField("other")), sign(compass(1, 9))), contract.CodeIllegalArgument,
			`envelope.procDef.tasks[2].actionDefs[0].appearance: the field "last" of the document "d" locks this signature, and is signed before or beside it; sign that field last`,
		},
		"field that locks a signature beside it": {
			locking, envelope(1, sign(compass(1, 9)), sign(blankField("last"))), contract.CodeIllegalArgument,
			at + `.appearance: the field "last" of the document "d" locks this signature, and is signed before or beside it; sign that field last`,
		},
		"certified by the first signature": {
			sample, tasks(certifying(sign(compass(-2, 9)), "forms"), sign(compass(-2, 7))), contract.CodeIllegalArgument,
			`envelope.procDef.tasks[1].actionDefs[0].appearance: the first signature certifies the document "d" against annotations; place the action on one page only`,
		},
		"certified when it is signed already": {
			&before, tasks(certifying(sign(compass(1, 9)), "annotations")), contract.CodeIllegalArgument,
			`envelope.procDef.tasks[0].confString.certification: the document "d" is signed already, and only the first signature of a document can certify it; leave it out`,
		},
		"too many places": {
			sample, envelope(1, sign(compass(-2, 1)), sign(compass(-2, 2)), sign(compass(-2, 3)), sign(compass(-2, 4))), contract.CodeIllegalArgument,
			"envelope.procDef.tasks[0].actionDefs[3].appearance: the actions of the envelope show in too many places; use fewer pages or split the envelope",
		},
		"two problems": {
			sample, envelope(1, sign(compass(4, 9)), sign(compass(1, 9)), sign(blankField("x"))), contract.CodeIllegalArgument,
			at + `.appearance.compassAppearance.page: document "d": page out of range: page 4 was asked for; use 1 to 3, -1 (last), -2 (all) or -3 (first and last); ` +
				`envelope.procDef.tasks[0].actionDefs[2].appearance.blankSignatureFieldName: the document "d" has no signature field of that name`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := place(c.in, map[string]*pdf.Info{"d": c.info}, 10)
			require.Error(t, err)
			require.Equal(t, c.code, contract.CodeOf(err))
			require.Equal(t, c.message, contract.Sentence(err))
		})
	}
}

func TestPlaceOfADraftWithoutProcess(t *testing.T) {
	t.Parallel()
	got, err := place(contract.Envelope{}, nil, 10)
	require.NoError(t, err)
	require.Nil(t, got.placements)
}
