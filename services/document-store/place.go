package documentstore

import (
	"errors"
	"fmt"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/pdf"
)

// maxProblems bounds how many problems one refusal tells.
const maxProblems = 5

// place works out where the actions of an envelope show, indexed like its tasks and
// their actions. It goes on after a problem, so that the caller hears of several at
// once; the error is made of contract errors.
func place(envelope contract.Envelope, infos map[string]*pdf.Info, maxPlaces int) ([][]handover.Placement, error) {
	if envelope.ProcDef == nil {
		return nil, nil
	}
	p := placer{infos: infos, left: maxPlaces, used: map[fieldKey]bool{}}
	all := make([][]handover.Placement, len(envelope.ProcDef.Tasks))
	for i, task := range envelope.ProcDef.Tasks {
		all[i] = make([]handover.Placement, len(task.ActionDefs))
		for j, action := range task.ActionDefs {
			p.path = fmt.Sprintf("envelope.procDef.tasks[%d].actionDefs[%d]", i, j)
			all[i][j] = p.action(task, action)
		}
	}
	return all, errors.Join(p.problems...)
}

// fieldKey names a signature field of a document.
type fieldKey struct{ document, field string }

type placer struct {
	infos map[string]*pdf.Info
	// left is how many places may still be given out.
	left int
	// used are the blank fields that an action has taken already.
	used     map[fieldKey]bool
	path     string // of the action at hand
	problems []error
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
	visibility := a.Visibility()
	if visibility == contract.VisibilityNone {
		return handover.Placement{} // the PDF is not changed
	}
	if info.Certification == 1 {
		p.problem(contract.CodeBadDocFormat, ".docExternalId", "the document %q is certified against every change; use an uncertified copy", a.DocExternalID)
		return handover.Placement{}
	}
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
	if info.Certification == 2 && len(out.Boxes) > 1 {
		p.problem(contract.CodeIllegalArgument, ".appearance", "the document %q is certified against annotations; place the action on one page only", a.DocExternalID)
	}
	return out
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
