package directory

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/provider"
	"signbus.dev/pkg/store"
)

const (
	// maxProblems bounds how many problems one refusal tells.
	maxProblems = 5
	// maxActors bounds the assignments that one task can open: each is an invitation.
	maxActors = 1000
)

// resolve decides who takes part in an envelope. Its error is made of contract errors
// when the caller can put it right.
func (s *Service) resolve(ctx context.Context, q store.Querier, p handover.Prepared) (handover.Resolved, error) {
	settings, err := readSettings(ctx, q, p.Operation.Customer)
	if err != nil {
		return handover.Resolved{}, err
	}
	tasks := tasksOf(p.Envelope)
	r := resolution{prepared: p, providers: s.Providers, settings: settings, refs: make([][]contract.ActorRef, len(tasks))}
	users, roles := []string{p.Envelope.LoadedByExtID}, []string(nil)
	for i, task := range tasks {
		if task.Action == contract.TaskSeal { // the customer's own certificate signs, nobody else
			continue
		}
		refs, err := contract.ParseActorExpr(task.ActorExpr)
		if err != nil {
			r.problem(contract.CodeIllegalArgument, taskPath(i)+".actorExpr", "%s", contract.Problems(err)[0].Message)
			continue
		}
		r.refs[i] = refs
		for _, ref := range refs {
			if ref.Kind == contract.ActorRole {
				roles = append(roles, ref.ID)
			} else {
				users = append(users, ref.ID)
			}
		}
	}
	if r.people, err = readPeople(ctx, q, p.Operation.Customer, users, roles); err != nil {
		return handover.Resolved{}, err
	}
	return r.envelope()
}

// resolution is the work on one envelope. It goes on after a problem, so that the caller
// hears of several at once.
type resolution struct {
	prepared  handover.Prepared
	providers []provider.Capabilities
	settings  settings
	people    people
	refs      [][]contract.ActorRef
	problems  []error
}

func (r *resolution) problem(code contract.Code, path, format string, args ...any) {
	r.add(&contract.Error{Code: code, Path: path, Message: fmt.Sprintf(format, args...)})
}

func (r *resolution) add(err error) {
	if err != nil && len(r.problems) < maxProblems {
		r.problems = append(r.problems, err)
	}
}

func (r *resolution) envelope() (handover.Resolved, error) {
	p := r.prepared
	out := handover.Resolved{
		Operation: p.Operation, EnvelopeID: p.EnvelopeID, Envelope: p.Envelope, Documents: p.Documents,
		LoadedBy: r.secretary(),
	}
	for i, task := range tasksOf(p.Envelope) {
		out.Tasks = append(out.Tasks, r.task(i, task))
	}
	return out, errors.Join(r.problems...)
}

// secretary checks who loads the envelope.
func (r *resolution) secretary() handover.Actor {
	const path = "envelope.loadedByExtId"
	id := r.prepared.Envelope.LoadedByExtID
	user := r.people.users[id]
	switch {
	case user == nil:
		r.problem(contract.CodeUserNotFound, path, "there is no user with the external id %q", id)
		return handover.Actor{}
	case !user.enabled:
		r.problem(contract.CodeAccessDenied, path, "the user %q is disabled; name another secretary", id)
	case !user.may(Secretary, Admin):
		r.problem(contract.CodeAccessDenied, path, "the user %q is no secretary; only secretaries and administrators load envelopes", id)
	}
	return user.Actor
}

func (r *resolution) task(i int, task contract.Task) handover.Task {
	path := taskPath(i)
	out := handover.Task{Order: task.Order, HowMany: task.HowMany, Kind: kindOf(task), SignatureLevel: r.settings.level, Format: r.prepared.Envelope.TrustLevelCode.Format()}
	if out.Kind == "" {
		r.problem(contract.CodeNotSupported, path+".action", "tasks are of type T with action WRK, or of type A with action ASI or SEA")
		return out
	}
	conf, err := contract.ParseTaskConf(task.ConfString)
	if err != nil {
		r.problem(contract.CodeOf(err), path+".confString", "%s", contract.Sentence(err))
		return out
	}
	switch {
	case conf.SignatureLevel != "":
		out.SignatureLevel = conf.SignatureLevel
	case out.SignatureLevel == contract.LevelBLTA && out.Format == contract.CAdES:
		out.SignatureLevel = contract.LevelBLT // the highest that there is around a file; who asks for more by name is refused
	}
	out.QR = r.settings.qr
	if conf.QR != nil {
		out.QR = *conf.QR
	}
	out.Provider = r.provider(path, conf, out.SignatureLevel, task)
	if out.Kind == handover.Seal {
		out.HowMany = 1
	} else {
		out.Actors = r.actors(path, i, out)
	}
	certify := conf.Certification.Permission()
	certified := map[string]bool{}
	for j, action := range task.ActionDefs {
		out.Actions = append(out.Actions, r.action(fmt.Sprintf("%s.actionDefs[%d]", path, j), action, r.prepared.Placements[i][j]))
		if action.Type.Signature() && !certified[action.DocExternalID] {
			out.Actions[j].Certify, certified[action.DocExternalID] = certify, true
		}
	}
	return out
}

func kindOf(task contract.Task) handover.TaskKind {
	switch {
	case task.Type == contract.TaskHuman && task.Action == contract.TaskWork:
		return handover.Human
	case task.Type == contract.TaskAutomatic && task.Action == contract.TaskAutoSign:
		return handover.AutoSign
	case task.Type == contract.TaskAutomatic && task.Action == contract.TaskSeal:
		return handover.Seal
	}
	return ""
}

// provider finds who performs the task and checks that he can.
func (r *resolution) provider(path string, conf contract.TaskConf, level string, task contract.Task) string {
	names := make([]string, len(r.providers))
	for i, p := range r.providers {
		if p.Name == conf.Provider || conf.Provider == "" {
			r.add(p.Check(path, r.prepared.Envelope.TrustLevelCode, level, task))
			return p.Name
		}
		names[i] = p.Name
	}
	r.problem(contract.CodeIllegalArgument, path+".confString.provider", "is not one of the providers of this bus: %s", strings.Join(names, ", "))
	return ""
}

// actors lists the people of a task, each once: in the order of the expression, the
// members of a role by their external id.
func (r *resolution) actors(path string, i int, task handover.Task) []handover.Actor {
	before := len(r.problems)
	var actors []handover.Actor
	seen := map[string]bool{}
	take := func(user *person) {
		if !seen[user.ExternalID] {
			seen[user.ExternalID] = true
			actors = append(actors, user.Actor)
		}
	}
	for _, ref := range r.refs[i] {
		if ref.Kind == contract.ActorUser {
			if user := r.user(path, ref.ID, task.Kind); user != nil {
				take(user)
			}
			continue
		}
		members, ok := r.people.roles[ref.ID]
		if !ok {
			r.problem(contract.CodeUserNotFound, path+".actorExpr", "there is no role with the id %q", ref.ID)
		}
		for _, id := range members {
			if user := r.people.users[id]; user != nil && user.enabled && user.may(Manager) {
				take(user)
			}
		}
	}
	switch {
	case len(r.problems) > before || len(r.refs[i]) == 0: // told already
	case len(actors) > maxActors:
		r.problem(contract.CodeProcessDefinitionError, path+".actorExpr", "names %d people; at most %d can take part in a task", len(actors), maxActors)
	case task.HowMany < 1 || task.HowMany > len(actors):
		r.problem(contract.CodeProcessDefinitionError, path+".howMany", "is %d, but actorExpr gives %d who can act; make it fit", task.HowMany, len(actors))
	}
	return actors
}

// user returns an actor named by himself, nil with a problem when he cannot act.
func (r *resolution) user(path, id string, kind handover.TaskKind) *person {
	user := r.people.users[id]
	switch {
	case user == nil:
		r.problem(contract.CodeUserNotFound, path+".actorExpr", "there is no user with the external id %q", id)
		return nil
	case !user.enabled:
		r.problem(contract.CodeUserNotFound, path+".actorExpr", "the user %q is disabled; name another one", id)
		return nil
	case kind == handover.AutoSign && !user.may(Manager):
		r.problem(contract.CodeProcessDefinitionError, path+".actorExpr", "the user %q is no manager; only managers sign automatically", id)
		return nil
	}
	return user
}

// action settles how one action shows. H is for signatures, which exist without showing;
// N is for approvals and views, of which the PDF then holds no trace.
func (r *resolution) action(path string, a contract.ActionDef, placement handover.Placement) handover.Action {
	conf, err := contract.ParseActionConf(a.ConfString)
	if err != nil {
		r.problem(contract.CodeOf(err), path+".confString", "%s", contract.Sentence(err))
	}
	visibility := a.Visibility(r.prepared.Envelope.TrustLevelCode)
	switch {
	case visibility == contract.VisibilityHidden && !a.Type.Signature():
		r.problem(contract.CodeIllegalArgument, path+".confString.visibilityStatus", "must be V or N for an approval or a view; H is for signatures")
	case visibility == contract.VisibilityNone && a.Type.Signature():
		r.problem(contract.CodeIllegalArgument, path+".confString.visibilityStatus", "must be V or H for a signature; N is for approvals and views")
	}
	out := handover.Action{
		DocExternalID: a.DocExternalID, Type: a.Type, Confirmed: conf.Confirmed, Visibility: string(visibility),
		Text: conf.Lines(r.prepared.Envelope.TrustLevelCode, a.Type), Placement: placement,
	}
	if a.Type == contract.ActionGraphometric {
		out.Graphometric = &handover.Graphometric{
			FieldName: conf.GraphFieldName, FieldDescription: conf.GraphFieldDesc, SignerRole: conf.GraphSignerRole, SignerName: conf.GraphSignerName,
		}
	}
	return out
}

func taskPath(i int) string { return fmt.Sprintf("envelope.procDef.tasks[%d]", i) }
