// Package subjects names everything that travels over NATS: streams, subjects and
// headers. It promises that a subject is only ever built from valid tokens and that
// reading a subject never fails silently: what is missing is said. It does not know
// what the messages contain, nor how they are published.
package subjects

import (
	"errors"
	"fmt"
	"strings"

	"signbus.dev/pkg/contract"
)

// The streams.
const (
	// StreamCommands holds what external systems publish.
	StreamCommands = "COMMANDS"
	// StreamWork holds the hand-over between services.
	StreamWork = "WORK"
	// StreamEvents holds the public events.
	StreamEvents = "EVENTS"
	// StreamDead holds what could not be handled.
	StreamDead = "DEAD"
)

// The first tokens and the subjects that the streams bind.
const (
	prefixCommand = "cmd"
	prefixWork    = "work"
	prefixEvent   = "evt"
	prefixDead    = "dead"
	prefixQuery   = "qry"

	// AllCommands is what COMMANDS binds.
	AllCommands = prefixCommand + ".>"
	// AllWork is what WORK binds.
	AllWork = prefixWork + ".>"
	// AllEvents is what EVENTS binds.
	AllEvents = prefixEvent + ".>"
	// AllDead is what DEAD binds.
	AllDead = prefixDead + ".>"
	// AllQueries is what the query services listen to.
	AllQueries = prefixQuery + ".>"
)

// The services, as they appear in work and dead subjects.
const (
	Intake            = "intake"
	DocumentStore     = "document-store"
	Directory         = "directory"
	ProviderDispatch  = "provider-dispatch"
	SignatureBook     = "signature-book"
	NotificationRelay = "notification-relay"
)

// Services returns every service.
func Services() []string {
	return []string{Intake, DocumentStore, Directory, ProviderDispatch, SignatureBook, NotificationRelay}
}

// The work subjects: what one service hands to another.
const (
	// WorkAccepted carries handover.Pack.
	WorkAccepted = prefixWork + "." + Intake + ".accepted"
	// WorkIngest carries handover.Ingest.
	WorkIngest = prefixWork + "." + DocumentStore + ".ingest"
	// WorkVersion carries handover.NewVersion.
	WorkVersion = prefixWork + "." + DocumentStore + ".version"
	// WorkDiscard carries handover.Discard.
	WorkDiscard = prefixWork + "." + DocumentStore + ".discard"
	// WorkResolve carries handover.Prepared.
	WorkResolve = prefixWork + "." + Directory + ".resolve"
	// WorkStart carries handover.Resolved.
	WorkStart = prefixWork + "." + ProviderDispatch + ".start"
	// WorkRefuse carries handover.Refusal.
	WorkRefuse = prefixWork + "." + ProviderDispatch + ".refuse"
	// WorkCommand carries handover.Command.
	WorkCommand = prefixWork + "." + ProviderDispatch + ".command"
	// WorkProgress carries handover.Progress.
	WorkProgress = prefixWork + "." + ProviderDispatch + ".progress"
	// WorkJob carries handover.Job.
	WorkJob = prefixWork + "." + SignatureBook + ".job"
)

// WorkSubjects returns every work subject.
func WorkSubjects() []string {
	return []string{
		WorkAccepted, WorkIngest, WorkVersion, WorkDiscard, WorkResolve, WorkStart, WorkRefuse,
		WorkCommand, WorkProgress, WorkJob,
	}
}

// WorkOf returns the subjects of everything handed to one service, for its consumer's filter.
func WorkOf(service string) string { return prefixWork + "." + service + ".>" }

// ErrSubject is what every refusal to read or build a subject wraps.
var ErrSubject = errors.New("subject")

// maxToken bounds a token; customer ids and system names are short names, not texts.
const maxToken = 64

// ValidToken reports whether s may be a customer id or a system name in a subject:
// letters, digits, - and _, 1 to 64 of them, the first a letter or a digit.
func ValidToken(s string) bool {
	if s == "" || len(s) > maxToken || s[0] == '-' || s[0] == '_' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
		digit := c >= '0' && c <= '9'
		if !letter && !digit && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

func build(prefix, customer, system, last string) (string, error) {
	if !ValidToken(customer) {
		return "", fmt.Errorf("%w %s: customer id is not a valid token", ErrSubject, prefix)
	}
	if !ValidToken(system) {
		return "", fmt.Errorf("%w %s: external system is not a valid token", ErrSubject, prefix)
	}
	return prefix + "." + customer + "." + system + "." + last, nil
}

// Command returns the subject on which an external system publishes a command.
func Command(customer, system string, name contract.Command) (string, error) {
	if !ValidToken(string(name)) {
		return "", fmt.Errorf("%w %s: command is not a valid token", ErrSubject, prefixCommand)
	}
	return build(prefixCommand, customer, system, string(name))
}

// ParsedCommand is what a command subject names. A token that is absent or not valid
// is empty here.
type ParsedCommand struct {
	Customer string
	System   string
	Command  contract.Command
}

// ParseCommand reads a command subject. It always gives back as much as could be read,
// so that a command which at least names its customer can be answered; the error says
// what is missing or wrong.
func ParseCommand(subject string) (ParsedCommand, error) {
	tokens := strings.Split(subject, ".")
	if tokens[0] != prefixCommand {
		return ParsedCommand{}, fmt.Errorf("%w: does not begin with %s", ErrSubject, prefixCommand)
	}
	var problems []string
	token := func(i int, what string) string {
		switch {
		case i >= len(tokens):
			problems = append(problems, what+" is missing")
		case !ValidToken(tokens[i]):
			problems = append(problems, what+" is not a valid token")
		default:
			return tokens[i]
		}
		return ""
	}
	parsed := ParsedCommand{
		Customer: token(1, "customer id"),
		System:   token(2, "external system"),
		Command:  contract.Command(token(3, "command")),
	}
	if len(tokens) > 4 {
		problems = append(problems, "there are tokens after the command")
	}
	if len(problems) > 0 {
		return parsed, fmt.Errorf("%w %s: %s", ErrSubject, prefixCommand, strings.Join(problems, ", "))
	}
	return parsed, nil
}

// Event returns the subject of an event: the type without its prefix ends it, so
// `evt.demo.ERP.envelope.>` selects what happens to envelopes.
func Event(customer, system string, eventType contract.EventType) (string, error) {
	if !eventType.Known() {
		return "", fmt.Errorf("%w %s: unknown event type", ErrSubject, prefixEvent)
	}
	return build(prefixEvent, customer, system, eventType.Short())
}

// ParsedEvent is what an event subject names.
type ParsedEvent struct {
	Customer string
	System   string
	Type     contract.EventType
}

// ParseEvent reads an event subject.
func ParseEvent(subject string) (ParsedEvent, error) {
	tokens := strings.SplitN(subject, ".", 4)
	if len(tokens) != 4 || tokens[0] != prefixEvent {
		return ParsedEvent{}, fmt.Errorf("%w: is not evt.<customer>.<system>.<type>", ErrSubject)
	}
	parsed := ParsedEvent{Customer: tokens[1], System: tokens[2], Type: contract.EventType(contract.EventPrefix + tokens[3])}
	if !ValidToken(parsed.Customer) || !ValidToken(parsed.System) || !parsed.Type.Known() {
		return ParsedEvent{}, fmt.Errorf("%w: is not evt.<customer>.<system>.<type>", ErrSubject)
	}
	return parsed, nil
}

// EventsOf returns the subjects of every event of one customer, for a consumer's filter.
func EventsOf(customer string) (string, error) {
	if !ValidToken(customer) {
		return "", fmt.Errorf("%w %s: customer id is not a valid token", ErrSubject, prefixEvent)
	}
	return prefixEvent + "." + customer + ".>", nil
}

// Dead returns the subject under which a service buries what it could not handle.
func Dead(service string) string { return prefixDead + "." + service }

// ServiceOfDead returns the service that buried a message.
func ServiceOfDead(subject string) (string, error) {
	service, found := strings.CutPrefix(subject, prefixDead+".")
	if !found || !ValidToken(service) {
		return "", fmt.Errorf("%w: is not dead.<service>", ErrSubject)
	}
	return service, nil
}

// Query returns the subject of a query.
func Query(customer, system string, query contract.Query) (string, error) {
	if !ValidToken(string(query)) {
		return "", fmt.Errorf("%w %s: query is not a valid token", ErrSubject, prefixQuery)
	}
	return build(prefixQuery, customer, system, string(query))
}

// QueriesNamed returns the subject that answers one query for every customer and system.
func QueriesNamed(query contract.Query) string { return prefixQuery + ".*.*." + string(query) }

// ParsedQuery is what a query subject names.
type ParsedQuery struct {
	Customer string
	System   string
	Query    contract.Query
}

// ParseQuery reads a query subject.
func ParseQuery(subject string) (ParsedQuery, error) {
	tokens := strings.Split(subject, ".")
	if len(tokens) != 4 || tokens[0] != prefixQuery ||
		!ValidToken(tokens[1]) || !ValidToken(tokens[2]) || !ValidToken(tokens[3]) {
		return ParsedQuery{}, fmt.Errorf("%w: is not qry.<customer>.<system>.<query>", ErrSubject)
	}
	return ParsedQuery{Customer: tokens[1], System: tokens[2], Query: contract.Query(tokens[3])}, nil
}
