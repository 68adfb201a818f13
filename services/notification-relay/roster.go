package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/contract/handover"
)

// roster is the relay's index of the subscriptions, kept equal to the directory's read
// model, and what keeps the ledger in step with it: a subscription that was deleted
// loses its pending deliveries, one whose address has changed starts afresh.
type roster struct {
	model  *bus.ReadModel[handover.Subscription]
	ledger *ledger
	// deleted says whether the directory has deleted a subscription, as opposed to not
	// having published it (yet). What it has not published is held back, not discarded.
	deleted func(ctx context.Context, key endpointKey) (bool, error)
	nudge   func()
	log     *slog.Logger

	changes chan struct{}
	filled  chan struct{}

	mu         sync.RWMutex
	byKey      map[endpointKey]subscription
	byCustomer map[string][]subscription
}

func newRoster(js jetstream.JetStream, l *ledger, log *slog.Logger) *roster {
	r := &roster{
		ledger: l, log: log, nudge: func() {},
		changes: make(chan struct{}, 1), filled: make(chan struct{}),
	}
	r.model = bus.NewReadModel[handover.Subscription](js, handover.BucketDirectory, handover.KeySubscription, log, r.lookAgain)
	r.deleted = func(ctx context.Context, key endpointKey) (bool, error) {
		return deletedIn(ctx, js, handover.BucketDirectory, handover.KeySubscription+key.customer+"."+key.subscription)
	}
	return r
}

// lookAgain makes the roster compare itself with the read model and the ledger.
func (r *roster) lookAgain() {
	select {
	case r.changes <- struct{}{}:
	default:
	}
}

// deletedIn looks for the mark that a deletion leaves in a bucket.
func deletedIn(ctx context.Context, js jetstream.JetStream, bucket, key string) (bool, error) {
	kv, err := js.KeyValue(ctx, bucket)
	if err != nil {
		return false, fmt.Errorf("open bucket %s: %w", bucket, err)
	}
	history, err := kv.History(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) || errors.Is(err, jetstream.ErrInvalidKey) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for the deletion of %s: %w", key, err)
	}
	last := history[len(history)-1]
	return last.Operation() != jetstream.KeyValuePut, nil
}

// get finds the subscription of an endpoint.
func (r *roster) get(key endpointKey) (subscription, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	s, ok := r.byKey[key]
	return s, ok
}

// any says whether a customer has a subscription at all.
func (r *roster) any(customer string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.byCustomer[customer]) > 0
}

// matching lists the subscriptions that want an event.
func (r *roster) matching(ev event) []subscription {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var list []subscription
	for _, s := range r.byCustomer[ev.customer] {
		if s.wants(ev.system, ev.eventType) {
			list = append(list, s)
		}
	}
	return list
}

// run follows the read model until ctx ends. Before the model is read as a whole it says
// nothing: an event that is taken as nobody's is lost to its subscribers.
func (r *roster) run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-r.model.Ready():
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.changes:
		}
		changed := r.rebuild()
		select {
		case <-r.filled:
		default:
			close(r.filled)
		}
		for r.reconcile(ctx, changed) != nil {
			if !r.wait(ctx) {
				return nil
			}
		}
		r.nudge()
	}
}

// wait pauses before another try; false when ctx has ended.
func (r *roster) wait(ctx context.Context) bool {
	timer := time.NewTimer(r.ledger.cfg.Poll)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// rebuild takes over the read model and returns the subscriptions that are new or have
// another address.
func (r *roster) rebuild() []subscription {
	var changed []subscription
	byKey, byCustomer := map[endpointKey]subscription{}, map[string][]subscription{}
	for _, published := range r.model.All() {
		s, err := readSubscription(published)
		if err != nil {
			r.log.Warn("subscription is not usable: its deliveries will fail", "customer", s.customer, "subscription", s.subscription, "error", err)
		}
		byKey[s.endpointKey] = s
		byCustomer[s.customer] = append(byCustomer[s.customer], s)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, s := range byKey {
		if before, ok := r.byKey[key]; !ok || before.url != s.url {
			changed = append(changed, s)
		}
	}
	r.byKey, r.byCustomer = byKey, byCustomer
	return changed
}

// reconcile brings the ledger in step.
func (r *roster) reconcile(ctx context.Context, changed []subscription) (err error) {
	defer func() {
		if err != nil && ctx.Err() == nil {
			r.log.Warn("following the subscriptions waits", "error", err)
		}
	}()
	for _, s := range changed {
		if err := r.ledger.readdress(ctx, s); err != nil {
			return err
		}
	}
	keys, err := r.ledger.endpoints(ctx)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if _, ok := r.get(key); ok {
			continue
		}
		gone, err := r.deleted(ctx, key)
		if err != nil {
			return err
		}
		if !gone {
			r.log.Warn("subscription is not in the directory: its deliveries wait", "customer", key.customer, "subscription", key.subscription)
			continue
		}
		if err := r.ledger.forget(ctx, key); err != nil {
			return err
		}
		r.log.Info("subscription deleted: its pending deliveries are discarded", "customer", key.customer, "subscription", key.subscription)
	}
	return nil
}
