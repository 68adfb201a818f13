package documentstore

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/pdf"
)

// maxProblems bounds how many problems one refusal tells.
const maxProblems = 5

// plan says where the actions of an envelope show and which fields they fill.
type plan struct {
	// placements are indexed like the tasks and their actions.
	placements [][]handover.Placement
	// fields are the new signature fields of each document.
	fields map[string][]handover.Field
}

// place makes the plan of an envelope. It goes on after a problem, so that the caller
// hears of several at once; the error is made of contract errors.
func place(envelope contract.Envelope, infos map[string]*pdf.Info, maxPlaces int) (plan, error) {
	if envelope.ProcDef == nil {
		return plan{}, nil
	}
	tasks, trust := envelope.ProcDef.Tasks, envelope.TrustLevelCode
	p := placer{trust: trust, infos: infos, left: maxPlaces, used: map[fieldKey]bool{}, certified: map[string]contract.Certification{}}
	all := make([][]handover.Placement, len(tasks))
	for _, i := range byOrder(tasks) {
		task := tasks[i]
		all[i] = make([]handover.Placement, len(task.ActionDefs))
		for j, action := range task.ActionDefs {
			p.path = fmt.Sprintf("envelope.procDef.tasks[%d].actionDefs[%d]", i, j)
			all[i][j] = p.action(task, action)
			p.certify(i, task, action)
		}
	}
	if len(p.problems) == 0 {
		out := plan{placements: all, fields: p.newFields(tasks, all)}
		p.permit(tasks, all)
		if len(p.problems) == 0 {
			return out, nil
		}
	}
	return plan{}, errors.Join(p.problems...)
}

// byOrder returns the indexes of the tasks in the order in which they run.
func byOrder(tasks []contract.Task) []int {
	list := make([]int, len(tasks))
	for i := range tasks {
		list[i] = i
	}
	slices.SortStableFunc(list, func(a, b int) int { return cmp.Compare(tasks[a].Order, tasks[b].Order) })
	return list
}

// newFields names a field for every place that has none, by the order of the steps, so
// that the numbers are those of the signatures where these come one after the other.
func (p *placer) newFields(tasks []contract.Task, all [][]handover.Placement) map[string][]handover.Field {
	made := map[string][]handover.Field{}
	last := map[string]int{}
	for _, i := range byOrder(tasks) {
		for j, action := range tasks[i].ActionDefs {
			if all[i][j].Field != "" || !p.fills(action) {
				continue
			}
			id := action.DocExternalID
			for at := range places(&all[i][j]) {
				last[id], at.Field = nextName(p.infos[id], last[id])
				field := handover.Field{Name: at.Field}
				if len(at.Boxes) > 0 {
					field.Box = &at.Boxes[0]
				}
				made[id] = append(made[id], field)
			}
		}
	}
	return made
}

// places are that of the first actor and those of the further ones.
func places(first *handover.Placement) iter.Seq[*handover.Placement] {
	return func(yield func(*handover.Placement) bool) {
		if !yield(first) {
			return
		}
		for i := range first.Further {
			if !yield(&first.Further[i]) {
				return
			}
		}
	}
}

// locker is a field of a document that locks others when it is signed.
type locker struct {
	fieldKey
	order int
	lock  *pdf.Lock
}

// permit refuses actions whose field will be locked when their turn comes: by a signature
// that the document came with, or by one of a step before or beside.
func (p *placer) permit(tasks []contract.Task, all [][]handover.Placement) {
	var lockers []locker
	for i, task := range tasks {
		for j, action := range task.ActionDefs {
			for _, f := range p.infos[action.DocExternalID].Fields {
				if f.Name == all[i][j].Field && f.Lock != nil {
					lockers = append(lockers, locker{fieldKey{action.DocExternalID, f.Name}, task.Order, f.Lock})
				}
			}
		}
	}
	for i, task := range tasks {
		for j, action := range task.ActionDefs {
			p.path = fmt.Sprintf("envelope.procDef.tasks[%d].actionDefs[%d]", i, j)
			for at := range places(&all[i][j]) {
				if at.Field != "" && !p.permitted(task, action, at, lockers) {
					break
				}
			}
		}
	}
}

func (p *placer) permitted(task contract.Task, a contract.ActionDef, at *handover.Placement, lockers []locker) bool {
	info, stamps := p.infos[a.DocExternalID], len(at.Boxes) > 1
	if err := info.Permit(at.Field, stamps); err != nil {
		if stamps && info.Permit(at.Field, false) == nil {
			p.problem(contract.CodeIllegalArgument, ".appearance", "the document %q is certified against annotations; place the action on one page only", a.DocExternalID)
			return false
		}
		p.problem(contract.CodeBadDocFormat, ".docExternalId", "the document %q cannot be signed so: %s", a.DocExternalID, err)
		return false
	}
	for _, l := range lockers {
		if l.document != a.DocExternalID || l.field == at.Field || l.order > task.Order {
			continue
		}
		if l.lock.P == 1 || l.lock.P == 2 && stamps || l.lock.Covers(at.Field) {
			p.problem(contract.CodeIllegalArgument, ".appearance",
				"the field %q of the document %q locks this signature, and is signed before or beside it; sign that field last", l.field, a.DocExternalID)
			return false
		}
	}
	return true
}

// nextName returns the first name after the nth that no field of the document has.
func nextName(info *pdf.Info, n int) (int, string) {
	for {
		n++
		name := fmt.Sprintf("Signature%d", n)
		if !info.Taken(name) {
			return n, name
		}
	}
}

// fieldKey names a signature field of a document.
type fieldKey struct{ document, field string }

type placer struct {
	trust contract.TrustLevel
	infos map[string]*pdf.Info
	// left is how many places may still be given out.
	left int
	// used are the blank fields that an action has taken already.
	used map[fieldKey]bool
	// certified are the documents that an action before the one at hand certifies.
	certified map[string]contract.Certification
	path      string // of the action at hand
	problems  []error
}

func (p *placer) problem(code contract.Code, field, format string, args ...any) {
	if len(p.problems) < maxProblems {
		p.problems = append(p.problems, &contract.Error{Code: code, Path: p.path + field, Message: fmt.Sprintf(format, args...)})
	}
}

// action places one action. The place of an action that does not show is not looked at,
// except for the field that a hidden signature goes into.
func (p *placer) action(task contract.Task, a contract.ActionDef) handover.Placement {
	info := p.infos[a.DocExternalID]
	if info == nil {
		p.problem(contract.CodeProcessDefinitionError, ".docExternalId", "is not the externalId of a document of this envelope")
		return handover.Placement{}
	}
	if !p.fills(a) {
		return handover.Placement{} // no PDF is changed
	}
	visibility := a.Visibility(p.trust)
	var out handover.Placement
	switch ap := a.Appearance; {
	case ap != nil && ap.BlankSignatureFieldName != "":
		out = p.field(info, task, a, visibility)
	case visibility == contract.VisibilityHidden:
	case ap != nil && ap.CompassAppearance != nil:
		out.Boxes = p.boxes(info, a, ".appearance.compassAppearance", ap.CompassAppearance.Page, func(page pdf.PageInfo) (pdf.Box, error) {
			return pdf.Compass(page, ap.CompassAppearance.Zone())
		})
	case ap != nil && ap.CoordAppearance != nil:
		c := *ap.CoordAppearance
		out.Boxes = p.boxes(info, a, ".appearance.coordAppearance", c.Page, func(page pdf.PageInfo) (pdf.Box, error) {
			return page.Place(pdf.Box{Page: page.Number, LLX: c.LLX, LLY: c.LLY, URX: c.URX, URY: c.URY})
		})
	default:
		p.problem(contract.CodeIllegalArgument, ".appearance", "must place the action: by compassAppearance, coordAppearance or blankSignatureFieldName")
	}
	if len(out.Boxes) > 1 && p.certified[a.DocExternalID] == contract.CertifyForms {
		p.problem(contract.CodeIllegalArgument, ".appearance", "the first signature certifies the document %q against annotations; place the action on one page only", a.DocExternalID)
	}
	for n := 1; n < seats(task) && out.Field == ""; n++ {
		out.Further = append(out.Further, handover.Placement{Boxes: p.beside(info, out.Boxes, n)})
	}
	return out
}

// certify records that the action certifies its document.
func (p *placer) certify(i int, task contract.Task, a contract.ActionDef) {
	conf, err := contract.ParseTaskConf(task.ConfString)
	if err != nil || conf.Certification.Permission() == 0 || !a.Type.Signature() || p.certified[a.DocExternalID] != "" {
		return
	}
	p.certified[a.DocExternalID] = conf.Certification
	if info := p.infos[a.DocExternalID]; info != nil && info.Signatures > 0 {
		p.path = fmt.Sprintf("envelope.procDef.tasks[%d]", i)
		p.problem(contract.CodeIllegalArgument, ".confString.certification",
			"the document %q is signed already, and only the first signature of a document can certify it; leave it out", a.DocExternalID)
	}
}

// seats is how many actors of a task sign.
func seats(task contract.Task) int {
	if task.Action == contract.TaskSeal {
		return 1
	}
	return task.HowMany
}

// beside returns the places of the nth actor after the first one, so that the signatures
// of several do not cover one another: above or below it, towards the middle of the page,
// else to its side. On a page without room they share the place.
func (p *placer) beside(info *pdf.Info, boxes []handover.Box, n int) []handover.Box {
	if !p.take(len(boxes)) {
		return nil
	}
	moved := make([]handover.Box, len(boxes))
	for i, b := range boxes {
		page := info.Pages[b.Page-1]
		switch dx, dy := shift(b.LLX, b.URX, page.Width, n), shift(b.LLY, b.URY, page.Height, n); {
		case dy != 0:
			b.LLY, b.URY = b.LLY+dy, b.URY+dy
		case dx != 0:
			b.LLX, b.URX = b.LLX+dx, b.URX+dx
		}
		moved[i] = b
	}
	return moved
}

// besideGap is the space between the places of two actors of one task, in points.
const besideGap = 6

// shift moves n times the length of a span towards the middle; 0 when that leaves the page.
func shift(from, to, size float64, n int) float64 {
	by := float64(n) * (to - from + besideGap)
	switch {
	case from+to <= size && to+by <= size:
		return by
	case from+to > size && from-by >= 0:
		return -by
	}
	return 0
}

// fills reports whether the action goes into a field of a PDF.
func (p *placer) fills(a contract.ActionDef) bool {
	return p.trust.Format() == contract.PAdES && a.Visibility(p.trust) != contract.VisibilityNone
}

// boxes gives one box for each page that the page number stands for.
func (p *placer) boxes(info *pdf.Info, a contract.ActionDef, field string, spec int, box func(pdf.PageInfo) (pdf.Box, error)) []handover.Box {
	pages, err := pdf.Resolve(len(info.Pages), spec)
	if err != nil {
		p.problem(contract.CodeIllegalArgument, field+".page", "document %q: %s", a.DocExternalID, err)
		return nil
	}
	if !p.take(len(pages)) {
		return nil
	}
	boxes := make([]handover.Box, 0, len(pages))
	for _, number := range pages {
		b, err := box(info.Pages[number-1])
		if err != nil {
			p.problem(contract.CodeIllegalArgument, field, "document %q: %s", a.DocExternalID, err)
			return nil
		}
		boxes = append(boxes, wire(b))
	}
	return boxes
}

// take counts places, so that a small request cannot become a huge message.
func (p *placer) take(n int) bool {
	if p.left < n {
		p.left = 0
		p.problem(contract.CodeIllegalArgument, ".appearance", "the actions of the envelope show in too many places; use fewer pages or split the envelope")
		return false
	}
	p.left -= n
	return true
}

// field places an action in a blank field. A field can be signed once only.
func (p *placer) field(info *pdf.Info, task contract.Task, a contract.ActionDef, visibility contract.Visibility) handover.Placement {
	const at = ".appearance.blankSignatureFieldName"
	name := a.Appearance.BlankSignatureFieldName
	key := fieldKey{a.DocExternalID, name}
	var found *pdf.Field
	for i := range info.Fields {
		if info.Fields[i].Name == name {
			found = &info.Fields[i]
			break
		}
	}
	switch {
	case found == nil:
		p.problem(contract.CodeIllegalArgument, at, "the document %q has no signature field of that name", a.DocExternalID)
	case found.Signed:
		p.problem(contract.CodeIllegalArgument, at, "that field of the document %q is signed already; name a blank one", a.DocExternalID)
	case p.used[key]:
		p.problem(contract.CodeIllegalArgument, at, "another action signs that field of the document %q; give each action a field of its own", a.DocExternalID)
	case task.HowMany > 1 && task.Action != contract.TaskSeal:
		p.problem(contract.CodeIllegalArgument, at, "takes one signature, but howMany is %d; place the action by compass or coordinates", task.HowMany)
	case visibility == contract.VisibilityHidden:
		p.used[key] = true
		return handover.Placement{Field: name}
	case found.Box.Empty():
		p.problem(contract.CodeIllegalArgument, at, "that field of the document %q does not show; set visibilityStatus H or name another field", a.DocExternalID)
	case p.take(1):
		p.used[key] = true
		return handover.Placement{Field: name, Boxes: []handover.Box{wire(found.Box)}}
	}
	return handover.Placement{}
}

func wire(b pdf.Box) handover.Box {
	return handover.Box{Page: b.Page, LLX: b.LLX, LLY: b.LLY, URX: b.URX, URY: b.URY}
}
