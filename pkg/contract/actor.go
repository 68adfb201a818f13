package contract

import (
	"strings"
	"unicode"
)

// ActorKind tells a user from a role.
type ActorKind string

// The kinds of actor references.
const (
	// ActorRole is a role, written <id>R.
	ActorRole ActorKind = "R"
	// ActorUser is a user, written <id>U.
	ActorUser ActorKind = "U"
)

// ActorRef is one part of an actor expression.
type ActorRef struct {
	Kind ActorKind
	// ID is the external id of the user or the id of the role.
	ID string
}

// maxActorRefs bounds one expression: a task closes after at most four actors, so a
// longer list than this is a mistake or an attack.
const maxActorRefs = 256

// ParseActorExpr reads an actor expression such as `1R|annaU`: parts joined by `|`
// (or), each an id followed by R for a role or U for a user. The last letter of a part
// decides; the id may hold anything but `|`. Spaces around a part do not count. The
// same part twice is given back once.
func ParseActorExpr(expr string) ([]ActorRef, error) {
	return parseActorExpr(expr, "actorExpr")
}

func parseActorExpr(expr, path string) ([]ActorRef, error) {
	parts := strings.Split(expr, "|")
	if len(parts) > maxActorRefs {
		return nil, illegal(path, "names more than 256 actors; use a role")
	}
	refs := make([]ActorRef, 0, len(parts))
	seen := make(map[ActorRef]bool, len(parts))
	for _, part := range parts {
		part = strings.TrimSpace(part)
		if part == "" {
			return nil, illegal(path, "has an empty part; write <id>U or <id>R, joined by |")
		}
		if strings.ContainsFunc(part, unicode.IsControl) {
			return nil, illegal(path, "has a control character")
		}
		ref := ActorRef{Kind: ActorKind(part[len(part)-1:]), ID: strings.TrimSpace(part[:len(part)-1])}
		if ref.Kind != ActorRole && ref.Kind != ActorUser {
			return nil, illegal(path, "has a part that ends neither in U (user) nor in R (role)")
		}
		if ref.ID == "" {
			return nil, illegal(path, "has a part without an id before U or R")
		}
		if !seen[ref] {
			seen[ref] = true
			refs = append(refs, ref)
		}
	}
	return refs, nil
}
