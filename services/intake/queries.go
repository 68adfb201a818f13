package intake

import (
	"context"
	"strings"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/subjects"
)

// maxAnswer bounds the documents in an answer over NATS: in base64 and with the rest of
// the envelope it must fit one message.
const maxAnswer = 5 << 20

// serveQueries answers qry.<customer>.<system>.<query> by request and reply.
func (s *Service) serveQueries(ctx context.Context) error {
	verbs := map[string]bus.Verb{}
	for query, answer := range map[contract.Query]func(context.Context, string, []byte) (any, error){
		contract.QueryFindEnvelope: s.queryFind,
		contract.QueryStatus:       s.queryStatus,
		contract.QueryURL:          s.queryURL,
	} {
		verbs[subjects.QueriesNamed(query)] = func(ctx context.Context, data []byte) (any, error) {
			customer := strings.Split(bus.RequestSubject(ctx), ".")[1]
			result, err := answer(ctx, customer, data)
			if err == nil {
				return result, nil
			}
			if len(contract.Problems(err)) == 0 {
				s.Log.Error("query failed", "query", string(query), "error", err)
				err = &contract.Error{Code: contract.CodeUnavailable, Message: "the bus could not answer; try again"}
			}
			return nil, err
		}
	}
	return bus.ServeSubjects(ctx, s.Conn, "signbus-queries", verbs, s.Log)
}

func (s *Service) queryFind(ctx context.Context, customer string, data []byte) (any, error) {
	q, err := contract.DecodeFindEnvelope(data)
	if err := s.mayAsk(err, q.Validate, q.CustomerCode, customer); err != nil {
		return nil, err
	}
	return s.find(ctx, customer, q.EnveExtID, q.WithDocBytes, maxAnswer)
}

func (s *Service) queryStatus(ctx context.Context, customer string, data []byte) (any, error) {
	q, err := contract.DecodeGetStatus(data)
	if err := s.mayAsk(err, q.Validate, q.CustomerCode, customer); err != nil {
		return nil, err
	}
	return s.status(ctx, customer, q.EnveExtID)
}

func (s *Service) queryURL(ctx context.Context, customer string, data []byte) (any, error) {
	q, err := contract.DecodeGetURL(data)
	if err := s.mayAsk(err, q.Validate, q.CustomerCode, customer); err != nil {
		return nil, err
	}
	return s.signingURL(ctx, customer, q.EnveExtID, q.UsrExtID)
}

// mayAsk checks a query and that its customerCode is one of the subject's customer.
func (s *Service) mayAsk(err error, validate func() error, code, customer string) error {
	if err := firstOf(err, validate); err != nil {
		return err
	}
	if problem := s.belongs(code, customer); problem != nil {
		return problem
	}
	return nil
}
