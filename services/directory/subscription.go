package directory

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/store"
)

const (
	secretPrefix = "whsec_" // of the Standard Webhooks specification
	secretBytes  = 32
	// maxSubscriptions bounds what one customer's event costs.
	maxSubscriptions = 100
)

// Subscribe is a wish for events by webhook.
type Subscribe struct {
	Customer string `json:"customer"`
	// System limits it to one external system; empty means all.
	System string `json:"system,omitempty"`
	URL    string `json:"url"`
	// Types limits it to event types; empty means all.
	Types []contract.EventType `json:"types,omitempty"`
	// Mode is binary, the default, or structured.
	Mode contract.SubscriptionMode `json:"mode,omitempty"`
	// Secret signs the deliveries; one is made when it is empty.
	Secret string `json:"secret,omitempty"`
}

// Unsubscribe names a subscription to remove.
type Unsubscribe struct {
	Customer string `json:"customer"`
	ID       string `json:"id"`
}

// Subscriptions names the customer whose subscriptions are wanted.
type Subscriptions struct {
	Customer string `json:"customer"`
}

func (s *Service) verbs() map[string]bus.Verb {
	return map[string]bus.Verb{
		handover.CallSubscribe: bus.Answer(func(ctx context.Context, r handover.SubscribeRequest) (any, error) {
			return s.Subscribe(ctx, Subscribe{
				Customer: r.Customer, System: r.Subscribe.ExternalSystemCode, URL: r.Subscribe.URL,
				Types: r.Subscribe.Types, Mode: r.Subscribe.Mode, Secret: r.Subscribe.Secret,
			})
		}),
		handover.CallUnsubscribe: bus.Answer(func(ctx context.Context, r handover.SubscriptionQuery) (any, error) {
			return struct{}{}, s.Unsubscribe(ctx, Unsubscribe{Customer: r.Customer, ID: r.ID})
		}),
		handover.CallSubscriptions: bus.Answer(func(ctx context.Context, r handover.SubscriptionQuery) (any, error) {
			return s.Subscriptions(ctx, Subscriptions{Customer: r.Customer})
		}),
	}
}

// Subscribe registers a webhook. The secret of the answer is shown this once.
func (s *Service) Subscribe(ctx context.Context, r Subscribe) (contract.Subscription, error) {
	if err := s.validateSubscribe(r); err != nil {
		return contract.Subscription{}, err
	}
	if r.Mode == "" {
		r.Mode = contract.ModeBinary
	}
	if r.Secret == "" {
		secret := make([]byte, secretBytes)
		if _, err := io.ReadFull(s.Random, secret); err != nil {
			return contract.Subscription{}, fmt.Errorf("make a secret: %w", err)
		}
		r.Secret = secretPrefix + base64.StdEncoding.EncodeToString(secret)
	}
	id := s.NewID()
	if err := s.DB.Update(ctx, func(tx *store.Tx) error { return s.insertSubscription(ctx, tx, id, r) }); err != nil {
		return contract.Subscription{}, fmt.Errorf("subscribe for %s: %w", r.Customer, err)
	}
	s.publish(ctx, r.Customer, handover.KeySubscription+r.Customer+"."+id)
	return contract.Subscription{
		ID: id, ExternalSystemCode: r.System, URL: r.URL, Types: allWhenEmpty(r.Types), Mode: r.Mode, Secret: r.Secret,
	}, nil
}

func (s *Service) validateSubscribe(r Subscribe) error {
	err := contract.Subscribe{
		ExternalSystemCode: r.System, URL: r.URL, Types: r.Types, Mode: r.Mode, Secret: r.Secret,
	}.Validate()
	if err != nil {
		return err
	}
	if !s.AllowHTTP && !strings.HasPrefix(strings.ToLower(r.URL), "https://") {
		return &contract.Error{Code: contract.CodeIllegalArgument, Path: "url", Message: "must be an https address"}
	}
	return nil
}

func (s *Service) insertSubscription(ctx context.Context, tx *store.Tx, id string, r Subscribe) error {
	if err := checkCustomer(ctx, tx, r.Customer); err != nil {
		return err
	}
	if r.System != "" {
		var known int
		if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM directory_systems WHERE customer = $1 AND name = $2`,
			[]any{r.Customer, r.System}, &known); err != nil {
			return err
		}
		if known == 0 {
			return &contract.Error{Code: contract.CodeIllegalArgument, Path: "externalSystemCode", Message: "is not an external system of the customer"}
		}
	}
	var count int
	if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM directory_subscriptions WHERE customer = $1`, []any{r.Customer}, &count); err != nil {
		return err
	}
	if count >= maxSubscriptions {
		return &contract.Error{Code: contract.CodeIllegalArgument, Message: fmt.Sprintf("the customer has %d subscriptions; remove one first", count)}
	}
	types, err := json.Marshal(slices.Concat([]contract.EventType{}, r.Types))
	if err != nil {
		return err
	}
	secrets, err := json.Marshal([]string{r.Secret})
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO directory_subscriptions (id, customer, system, url, types, mode, secrets, disabled, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, '', $8, $8)`,
		id, r.Customer, r.System, r.URL, string(types), string(r.Mode), string(secrets), store.Micros(s.Now()))
	return err
}

// Unsubscribe removes a webhook.
func (s *Service) Unsubscribe(ctx context.Context, r Unsubscribe) error {
	var n int64
	err := s.DB.Update(ctx, func(tx *store.Tx) (err error) {
		n, err = tx.Exec(ctx, `DELETE FROM directory_subscriptions WHERE customer = $1 AND id = $2`, r.Customer, r.ID)
		return err
	})
	if err != nil {
		return fmt.Errorf("unsubscribe for %s: %w", r.Customer, err)
	}
	if n == 0 {
		return &contract.Error{Code: contract.CodeNotFound, Message: "the customer has no such subscription"}
	}
	s.publish(ctx, r.Customer, handover.KeySubscription+r.Customer+"."+r.ID)
	return nil
}

// Subscriptions lists the webhooks of a customer, oldest first.
func (s *Service) Subscriptions(ctx context.Context, r Subscriptions) (contract.Subscriptions, error) {
	out := contract.Subscriptions{Subscriptions: []contract.Subscription{}}
	if err := checkCustomer(ctx, s.DB, r.Customer); err != nil {
		return out, err
	}
	list, err := readSubscriptions(ctx, s.DB, r.Customer)
	if err != nil {
		return out, fmt.Errorf("list subscriptions of %s: %w", r.Customer, err)
	}
	for _, sub := range list {
		out.Subscriptions = append(out.Subscriptions, contract.Subscription{
			ID: sub.ID, ExternalSystemCode: sub.System, URL: sub.URL, Types: allWhenEmpty(sub.Types), Mode: contract.SubscriptionMode(sub.Mode),
		})
	}
	return out, nil
}

func allWhenEmpty(types []contract.EventType) []contract.EventType {
	if len(types) == 0 {
		return contract.EventTypes()
	}
	return types
}

// checkCustomer refuses a customer who does not exist or is disabled.
func checkCustomer(ctx context.Context, q store.Querier, customer string) error {
	_, err := readSettings(ctx, q, customer)
	return err
}
