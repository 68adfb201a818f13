package relay

import (
	"context"
	"errors"
	"time"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/store"
)

// ListRequest asks for deliveries of a customer, the newest first.
type ListRequest struct {
	Customer string `json:"customer"`
	// Subscription, Status and ExternalID narrow the list; empty means all.
	Subscription string `json:"subscription,omitempty"`
	Status       Status `json:"status,omitempty"`
	ExternalID   string `json:"externalId,omitempty"`
	// Before continues a list: only deliveries older than the one with this id.
	Before string `json:"before,omitempty"`
	// Limit bounds the answer; default 100, at most 1000.
	Limit int `json:"limit,omitempty"`
}

// List is the answer to [ListRequest].
type List struct {
	Deliveries []Delivery `json:"deliveries"`
	// Endpoints are those of the customer that have failed lately or are disabled.
	Endpoints []Endpoint `json:"endpoints"`
}

// Delivery is one event for one subscription.
type Delivery struct {
	ID           string `json:"id"`
	Subscription string `json:"subscription"`
	EventID      string `json:"eventId"`
	EventType    string `json:"eventType"`
	ExternalID   string `json:"externalId"`
	Sequence     int64  `json:"sequence,omitempty"`
	Status       Status `json:"status"`
	// Reason says how the last try ended, or why the delivery ended without one.
	Reason   string `json:"reason,omitempty"`
	Attempts int64  `json:"attempts"`
	// NextAttempt is set while the delivery is pending. The endpoint's pause and earlier
	// events of the envelope can put it off.
	NextAttempt *time.Time `json:"nextAttempt,omitempty"`
	CreatedAt   time.Time  `json:"createdAt"`
	EndedAt     *time.Time `json:"endedAt,omitempty"`
	Tries       []Try      `json:"tries,omitempty"`
}

// Try is one attempt of a delivery.
type Try struct {
	Number    int64     `json:"number"`
	StartedAt time.Time `json:"startedAt"`
	// Reason is empty while the try is under way.
	Reason         string `json:"reason,omitempty"`
	Status         int    `json:"status,omitempty"`
	DurationMillis int64  `json:"durationMillis,omitempty"`
}

// Endpoint is the health of a subscription's endpoint.
type Endpoint struct {
	Subscription string `json:"subscription"`
	// Failures are those in a row.
	Failures     int64      `json:"failures"`
	FailingSince *time.Time `json:"failingSince,omitempty"`
	PausedUntil  *time.Time `json:"pausedUntil,omitempty"`
	// Disabled says why nothing is sent any more: gone or failing.
	Disabled string `json:"disabled,omitempty"`
}

// ResendRequest asks to try a delivery again, now and from the start of the schedule. It
// also gives the endpoint a new chance, if it pauses or is disabled.
type ResendRequest struct {
	Customer string `json:"customer"`
	Delivery string `json:"delivery"`
}

const (
	defaultLimit = 100
	maxLimit     = 1000
	// triesInList bounds the list to what a person reads; with one delivery asked for by
	// subscription and externalId all its tries matter.
	triesInList = 20
)

// verbs are the calls that the relay answers.
func (s *Service) verbs() map[string]bus.Verb {
	return map[string]bus.Verb{
		handover.CallDeliveries: bus.Answer(func(ctx context.Context, r ListRequest) (any, error) { return s.List(ctx, r) }),
		handover.CallResend:     bus.Answer(func(ctx context.Context, r ResendRequest) (any, error) { return s.Resend(ctx, r) }),
	}
}

// List tells how deliveries stand.
func (s *Service) List(ctx context.Context, r ListRequest) (List, error) {
	switch {
	case r.Customer == "":
		return List{}, illegal("customer", "give the customer's id")
	case r.Limit < 0 || r.Limit > maxLimit:
		return List{}, illegal("limit", "give a number between 1 and 1000")
	}
	switch r.Status {
	case "", Pending, Delivered, Exhausted, Discarded:
	default:
		return List{}, illegal("status", "give pending, delivered, exhausted or discarded")
	}
	if r.Limit == 0 {
		r.Limit = defaultLimit
	}
	deliveries, err := s.ledger.list(ctx, r)
	if err != nil {
		return List{}, err
	}
	endpoints, err := s.ledger.ailing(ctx, r.Customer, r.Subscription)
	return List{Deliveries: deliveries, Endpoints: endpoints}, err
}

// Resend tries a delivery again, whatever its status.
func (s *Service) Resend(ctx context.Context, r ResendRequest) (Delivery, error) {
	if r.Customer == "" || r.Delivery == "" {
		return Delivery{}, illegal("delivery", "give the customer's and the delivery's id")
	}
	err := s.ledger.resend(ctx, r, func(key endpointKey) bool { _, ok := s.roster.get(key); return ok })
	switch {
	case errors.Is(err, store.ErrNotFound):
		return Delivery{}, &contract.Error{Code: contract.CodeNotFound, Path: "delivery", Message: "there is no such delivery"}
	case errors.Is(err, errNoSubscription):
		return Delivery{}, &contract.Error{Code: contract.CodeNotFound, Path: "delivery", Message: "its subscription was deleted"}
	case err != nil:
		return Delivery{}, err
	}
	s.dispatcher.nudge()
	return s.ledger.delivery(ctx, r.Customer, r.Delivery)
}

func illegal(path, message string) error {
	return &contract.Error{Code: contract.CodeIllegalArgument, Path: path, Message: message}
}

const deliveryColumns = `id, subscription, event_id, event_type, external_id, sequence, status, reason, attempts, next_at, created_at, ended_at`

func scanDelivery(d *Delivery, scan func(...any) error) error {
	var next, created, ended int64
	if err := scan(&d.ID, &d.Subscription, &d.EventID, &d.EventType, &d.ExternalID, &d.Sequence, &d.Status, &d.Reason, &d.Attempts,
		&next, &created, &ended); err != nil {
		return err
	}
	d.CreatedAt = store.Time(created)
	if d.Status == Pending {
		d.NextAttempt = timeOrNil(next)
	}
	d.EndedAt = timeOrNil(ended)
	return nil
}

func timeOrNil(micros int64) *time.Time {
	if micros == 0 {
		return nil
	}
	t := store.Time(micros)
	return &t
}

func (l *ledger) list(ctx context.Context, r ListRequest) ([]Delivery, error) {
	rows, err := l.db.Query(ctx, `SELECT `+deliveryColumns+` FROM relay_deliveries
		WHERE customer = $1 AND ($2 = '' OR subscription = $2) AND ($3 = '' OR status = $3) AND ($4 = '' OR external_id = $4)
			AND ($5 = '' OR id < $5) ORDER BY id DESC LIMIT $6`,
		r.Customer, r.Subscription, string(r.Status), r.ExternalID, r.Before, int64(r.Limit))
	list, err := store.Collect(rows, err, scanDelivery)
	if err != nil {
		return nil, err
	}
	if len(list) <= triesInList {
		for i := range list {
			if list[i].Tries, err = l.tries(ctx, list[i].ID); err != nil {
				return nil, err
			}
		}
	}
	return append([]Delivery{}, list...), nil
}

func (l *ledger) delivery(ctx context.Context, customer, id string) (Delivery, error) {
	rows, err := l.db.Query(ctx, `SELECT `+deliveryColumns+` FROM relay_deliveries WHERE customer = $1 AND id = $2`, customer, id)
	list, err := store.Collect(rows, err, scanDelivery)
	if err != nil {
		return Delivery{}, err
	}
	if len(list) == 0 {
		return Delivery{}, store.ErrNotFound
	}
	list[0].Tries, err = l.tries(ctx, id)
	return list[0], err
}

func (l *ledger) tries(ctx context.Context, delivery string) ([]Try, error) {
	rows, err := l.db.Query(ctx, `SELECT attempt, started_at, reason, status, duration FROM relay_attempts WHERE delivery = $1 ORDER BY attempt`, delivery)
	return store.Collect(rows, err, func(t *Try, scan func(...any) error) error {
		var started, micros int64
		err := scan(&t.Number, &started, &t.Reason, &t.Status, &micros)
		t.StartedAt, t.DurationMillis = store.Time(started), micros/1000
		return err
	})
}

func (l *ledger) ailing(ctx context.Context, customer, subscription string) ([]Endpoint, error) {
	rows, err := l.db.Query(ctx, `SELECT subscription, failures, failing_since, paused_until, disabled FROM relay_endpoints
		WHERE customer = $1 AND ($2 = '' OR subscription = $2) AND (failures > 0 OR disabled <> '') ORDER BY subscription`, customer, subscription)
	list, err := store.Collect(rows, err, func(e *Endpoint, scan func(...any) error) error {
		var since, paused int64
		err := scan(&e.Subscription, &e.Failures, &since, &paused, &e.Disabled)
		e.FailingSince, e.PausedUntil = timeOrNil(since), timeOrNil(paused)
		return err
	})
	return append([]Endpoint{}, list...), err
}

var errNoSubscription = errors.New("the subscription is gone")

// resend makes a delivery pending again with the whole schedule before it. Earlier
// attempts stay recorded and numbers go on.
func (l *ledger) resend(ctx context.Context, r ResendRequest, exists func(endpointKey) bool) error {
	return l.db.Update(ctx, func(tx *store.Tx) error {
		ln := lane{endpointKey: endpointKey{customer: r.Customer}}
		if err := tx.QueryRow(ctx, `SELECT subscription, envelope FROM relay_deliveries WHERE customer = $1 AND id = $2`,
			[]any{r.Customer, r.Delivery}, &ln.subscription, &ln.envelope); err != nil {
			return err
		}
		if !exists(ln.endpointKey) {
			return errNoSubscription
		}
		now := store.Micros(l.now())
		if _, err := tx.Exec(ctx, `UPDATE relay_endpoints SET failures = 0, failing_since = 0, pauses = 0, paused_until = 0, probe_until = 0, disabled = ''
			WHERE customer = $1 AND subscription = $2`, ln.customer, ln.subscription); err != nil {
			return err
		}
		var claim string
		if err := tx.QueryRow(ctx, `INSERT INTO relay_lanes (customer, subscription, envelope, due_at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (customer, subscription, envelope) DO UPDATE SET due_at = relay_lanes.due_at RETURNING claim`,
			[]any{ln.customer, ln.subscription, ln.envelope, now}, &claim); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE relay_deliveries SET status = 'pending', reason = '', failures = 0, next_at = $1, ended_at = 0
			WHERE id = $2`, now, r.Delivery); err != nil {
			return err
		}
		if claim != "" {
			return nil // a try of this lane is under way; its end sets what comes next
		}
		return l.settle(ctx, tx, ln)
	})
}
