package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"signbus.dev/pkg/contract"
)

// Calls between services: request and reply for questions that want an answer now. A
// call has no durability, so it never accepts work; what must not be lost goes through a
// stream.

// callSubject is where a verb of a service is asked for.
func callSubject(service, verb string) string { return "svc." + service + "." + verb }

// callTimeout bounds a call when the caller's context does not.
const callTimeout = 10 * time.Second

// Verb answers one kind of call. An error that is a [contract.Error] reaches the caller
// with its code; any other becomes the code error, and its text stays in the log.
type Verb func(ctx context.Context, request []byte) (any, error)

// Answer makes a [Verb] of a function with a typed request.
func Answer[Request any](fn func(context.Context, Request) (any, error)) Verb {
	return func(ctx context.Context, data []byte) (any, error) {
		var request Request
		if err := json.Unmarshal(data, &request); err != nil {
			return nil, &contract.Error{Code: contract.CodeIllegalArgument, Message: "the request is not readable"}
		}
		return fn(ctx, request)
	}
}

// reply is what travels back.
type reply struct {
	Result json.RawMessage `json:"result,omitempty"`
	Code   contract.Code   `json:"code,omitempty"`
	Path   string          `json:"path,omitempty"`
	Text   string          `json:"message,omitempty"`
}

// Serve answers calls to a service until ctx ends. Several processes share the calls.
func Serve(ctx context.Context, nc *nats.Conn, service string, log *slog.Logger, verbs map[string]Verb) error {
	subjects := map[string]Verb{}
	for verb, answer := range verbs {
		subjects[callSubject(service, verb)] = func(ctx context.Context, data []byte) (any, error) {
			result, err := answer(ctx, data)
			out := reply{}
			var known *contract.Error
			switch {
			case errors.As(err, &known):
				out.Code, out.Path, out.Text = known.Code, known.Path, known.Message
			case err != nil:
				log.Error("call failed", "service", service, "verb", verb, "error", err)
				out.Code, out.Text = contract.CodeError, "the service could not answer; try again later"
			default:
				if out.Result, err = json.Marshal(result); err != nil {
					return nil, err
				}
			}
			return out, nil
		}
	}
	return ServeSubjects(ctx, nc, service, subjects, log)
}

// ServeSubjects answers requests on full subjects, wildcards included, until ctx ends;
// the answer is the JSON of what the verb returns. A [contract.Error] is answered with
// the headers Nats-Service-Error and Nats-Service-Error-Code and a [contract.Outcome].
// It is the base of [Serve], and serves the public queries. The verb finds the subject with [RequestSubject].
func ServeSubjects(ctx context.Context, nc *nats.Conn, name string, verbs map[string]Verb, log *slog.Logger) error {
	service, err := micro.AddService(nc, micro.Config{
		Name: name, Version: "1.0.0", Description: "Signbus " + name,
		ErrorHandler: func(_ micro.Service, e *micro.NATSError) {
			log.Warn("call is not answered", "subject", e.Subject, "error", e.Description)
		},
	})
	if err != nil {
		return fmt.Errorf("serve %s: %w", name, err)
	}
	i := 0
	slots := make(chan struct{}, callsAtOnce)
	for subject, verb := range verbs {
		handler := func(request micro.Request) {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			go func() {
				defer func() { <-slots }()
				respond(ctx, nc, request, verb, log)
			}()
		}
		i++
		if err := service.AddEndpoint(fmt.Sprintf("e%d", i), micro.HandlerFunc(handler), micro.WithEndpointSubject(subject)); err != nil {
			return errors.Join(fmt.Errorf("serve %s: %w", subject, err), service.Stop())
		}
	}
	<-ctx.Done()
	err = service.Stop()
	for range callsAtOnce { // the answers under way, which ctx has cancelled too
		slots <- struct{}{}
	}
	return err
}

// callsAtOnce bounds the calls that one service answers at a time; more wait their turn
// in NATS, so that a flood of questions takes neither memory nor the database from work.
const callsAtOnce = 256

type requestSubject struct{}

// RequestSubject returns the subject of the request that a [Verb] answers.
func RequestSubject(ctx context.Context) string {
	subject, _ := ctx.Value(requestSubject{}).(string)
	return subject
}

// respond asks the verb and publishes what it says. The request's own Respond and Error
// are not for here: they note the error for the service's figures, which it reads when the
// handler returns, and that was before this answer.
func respond(ctx context.Context, nc *nats.Conn, request micro.Request, verb Verb, log *slog.Logger) {
	ctx = Extract(context.WithValue(ctx, requestSubject{}, request.Subject()), nats.Header(request.Headers()))
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	msg := nats.NewMsg(request.Reply())
	msg.Data, msg.Header = result(ctx, request, verb, log)
	if err := nc.PublishMsg(msg); err != nil {
		log.Warn("answer is not sent", "subject", request.Subject(), "error", err)
	}
}

// result is the answer of the verb to a request: its JSON, or the headers of an error.
func result(ctx context.Context, request micro.Request, verb Verb, log *slog.Logger) (data []byte, header nats.Header) {
	refusal := func(code, text string) nats.Header {
		return nats.Header{micro.ErrorHeader: {text}, micro.ErrorCodeHeader: {code}}
	}
	defer func() {
		if r := recover(); r != nil {
			log.Error("call panicked", "subject", request.Subject(), "panic", r)
			data, header = nil, refusal("500", "internal error")
		}
	}()
	said, err := verb(ctx, request.Data())
	if problem, ok := errors.AsType[*contract.Error](err); ok {
		outcome, _ := json.Marshal(problem.Code.Outcome(contract.Sentence(err))) //nolint:errchkjson // two texts
		return outcome, refusal(problem.Code.API(), contract.Sentence(err))
	}
	if err == nil {
		data, err = json.Marshal(said)
	}
	if err != nil {
		log.Error("call failed", "subject", request.Subject(), "error", err)
		return nil, refusal("500", "internal error")
	}
	return data, nil
}

// Call asks a service and reads its answer into result, which may be nil. A refusal
// comes back as a [contract.Error].
func Call(ctx context.Context, nc *nats.Conn, service, verb string, request, result any) error {
	data, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("call %s %s: %w", service, verb, err)
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callTimeout)
		defer cancel()
	}
	msg := nats.NewMsg(callSubject(service, verb))
	msg.Data = data
	Inject(ctx, msg.Header)
	answer, err := nc.RequestMsgWithContext(ctx, msg)
	if err != nil {
		return fmt.Errorf("call %s %s: %w", service, verb, err)
	}
	var out reply
	if err := json.Unmarshal(answer.Data, &out); err != nil {
		return fmt.Errorf("call %s %s: the answer is not readable: %w", service, verb, err)
	}
	if out.Code != "" {
		return &contract.Error{Code: out.Code, Path: out.Path, Message: out.Text}
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(out.Result, result)
}
