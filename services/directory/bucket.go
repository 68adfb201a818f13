package directory

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/store"
)

// The bucket is a copy of the tables for the other services. A change is put into it
// after its commit; a reconciliation at the start and every minute makes good what a
// crash in between or an absent NATS left out.
//
// Every write names the revision that was read before the tables were. So whoever
// writes has read the tables after the last write, and an old value cannot replace a
// newer one, whichever process is slow.

const (
	bucketTimeout = 30 * time.Second
	// publishTimeout bounds how long a change waits for NATS.
	publishTimeout = 5 * time.Second
	// bucketPause is the wait after an error.
	bucketPause = time.Second
	// bucketTries bounds how often a publication meets another one of the same key.
	bucketTries = 5
)

// current is a value of the bucket; revision 0 means that there is none.
type current struct {
	value    []byte
	revision uint64
}

// publish puts one key after a change that was committed. It only logs what fails: the
// change is made, and the reconciliation repeats this.
func (s *Service) publish(ctx context.Context, customer, key string) {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if err := s.publishKey(ctx, customer, key); err != nil {
		s.Log.Warn("directory copy waits for the next reconciliation", "customer", customer, "error", err)
		select {
		case s.nudge <- struct{}{}:
		default:
		}
	}
}

func (s *Service) publishKey(ctx context.Context, customer, key string) error {
	kv, err := bus.OpenBucket(ctx, s.JS, handover.BucketDirectory, s.Replicas)
	if err != nil {
		return err
	}
	for range bucketTries {
		var now current
		entry, err := kv.Get(ctx, key)
		switch {
		case errors.Is(err, jetstream.ErrKeyNotFound):
		case err != nil:
			return fmt.Errorf("read key %s: %w", key, err)
		default:
			now = current{entry.Value(), entry.Revision()}
		}
		wanted, err := s.snapshot(ctx, customer)
		if err != nil {
			return err
		}
		if err := settle(ctx, kv, key, wanted[key], now); !errors.Is(err, jetstream.ErrKeyExists) {
			return err
		}
	}
	return nil // so many others wrote the key meanwhile, each after this change
}

// settle makes one key what it should be; wanted nil means absent. It returns
// [jetstream.ErrKeyExists] when somebody else wrote since.
func settle(ctx context.Context, kv jetstream.KeyValue, key string, wanted []byte, now current) error {
	var err error
	switch {
	case wanted == nil && now.revision == 0:
	case wanted == nil:
		err = kv.Delete(ctx, key, jetstream.LastRevision(now.revision))
	case now.revision == 0:
		_, err = kv.Create(ctx, key, wanted)
	case !bytes.Equal(wanted, now.value):
		_, err = kv.Update(ctx, key, wanted, now.revision)
	}
	if err != nil {
		return fmt.Errorf("write key %s: %w", key, err)
	}
	return nil
}

// keepBucket reconciles until ctx ends.
func (s *Service) keepBucket(ctx context.Context) error {
	for {
		pause := s.ReconcileEvery
		if err := s.Reconcile(ctx); err != nil && ctx.Err() == nil {
			s.Log.Warn("directory copy is not reconciled", "error", err)
			pause = bucketPause
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		case <-s.nudge:
			timer.Stop()
		}
	}
}

// Reconcile makes the bucket agree with the tables: what differs is written, what the
// tables do not know is removed.
func (s *Service) Reconcile(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bucketTimeout)
	defer cancel()
	kv, err := bus.OpenBucket(ctx, s.JS, handover.BucketDirectory, s.Replicas)
	if err != nil {
		return err
	}
	have, err := contents(ctx, kv)
	if err != nil {
		return fmt.Errorf("read bucket %s: %w", handover.BucketDirectory, err)
	}
	wanted, err := s.snapshot(ctx, "")
	if err != nil {
		return err
	}
	for key := range have {
		if _, ok := wanted[key]; !ok {
			wanted[key] = nil
		}
	}
	for key, value := range wanted {
		if err := settle(ctx, kv, key, value, have[key]); err != nil && !errors.Is(err, jetstream.ErrKeyExists) {
			return err
		}
	}
	return nil
}

// contents reads the whole bucket.
func contents(ctx context.Context, kv jetstream.KeyValue) (map[string]current, error) {
	watcher, err := kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, err
	}
	defer func() { _ = watcher.Stop() }()
	all := map[string]current{}
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case entry, ok := <-watcher.Updates():
			switch {
			case !ok:
				return nil, errors.New("watcher ended")
			case entry == nil:
				return all, nil
			}
			all[entry.Key()] = current{entry.Value(), entry.Revision()}
		}
	}
}

// snapshot returns what the bucket should hold, for one customer or, when it is empty, for all.
func (s *Service) snapshot(ctx context.Context, customer string) (map[string][]byte, error) {
	customers, err := readCustomers(ctx, s.DB, customer)
	if err != nil {
		return nil, fmt.Errorf("read customers: %w", err)
	}
	subscriptions, err := readSubscriptions(ctx, s.DB, customer)
	if err != nil {
		return nil, fmt.Errorf("read subscriptions: %w", err)
	}
	all := make(map[string][]byte, len(customers)+len(subscriptions))
	for _, c := range customers {
		if all[handover.KeyCustomer+c.ID], err = json.Marshal(c); err != nil {
			return nil, err
		}
	}
	for _, sub := range subscriptions {
		if all[handover.KeySubscription+sub.Customer+"."+sub.ID], err = json.Marshal(sub); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// readCustomers reads with the order fixed, so that equal contents give equal bytes.
func readCustomers(ctx context.Context, q store.Querier, customer string) ([]*handover.Customer, error) {
	rows, err := q.Query(ctx, `SELECT id, disabled FROM directory_customers WHERE id = $1 OR $1 = ''`, customer)
	list, err := store.Collect(rows, err, func(c **handover.Customer, scan func(...any) error) error {
		*c = &handover.Customer{Systems: []string{}, Keys: []string{}}
		return scan(&(*c).ID, &(*c).Disabled)
	})
	if err != nil {
		return nil, err
	}
	byID := make(map[string]*handover.Customer, len(list))
	for _, c := range list {
		byID[c.ID] = c
	}
	type pair struct{ customer, value string }
	scanPair := func(p *pair, scan func(...any) error) error { return scan(&p.customer, &p.value) }
	rows, err = q.Query(ctx, `SELECT customer, name FROM directory_systems WHERE customer = $1 OR $1 = '' ORDER BY created_at, name`, customer)
	systems, err := store.Collect(rows, err, scanPair)
	if err != nil {
		return nil, err
	}
	for _, p := range systems {
		if c := byID[p.customer]; c != nil {
			c.Systems = append(c.Systems, p.value)
		}
	}
	rows, err = q.Query(ctx, `SELECT customer, digest FROM directory_keys WHERE (customer = $1 OR $1 = '') AND revoked_at = 0 ORDER BY digest`, customer)
	keys, err := store.Collect(rows, err, scanPair)
	if err != nil {
		return nil, err
	}
	for _, p := range keys {
		if c := byID[p.customer]; c != nil {
			c.Keys = append(c.Keys, p.value)
		}
	}
	return list, nil
}

func readSubscriptions(ctx context.Context, q store.Querier, customer string) ([]handover.Subscription, error) {
	rows, err := q.Query(ctx, `SELECT id, customer, system, url, types, mode, secrets, disabled FROM directory_subscriptions
		WHERE customer = $1 OR $1 = '' ORDER BY customer, id`, customer)
	return store.Collect(rows, err, func(sub *handover.Subscription, scan func(...any) error) error {
		var types, secrets string
		if err := scan(&sub.ID, &sub.Customer, &sub.System, &sub.URL, &types, &sub.Mode, &secrets, &sub.Disabled); err != nil {
			return err
		}
		sub.Types = []contract.EventType{}
		return errors.Join(json.Unmarshal([]byte(types), &sub.Types), json.Unmarshal([]byte(secrets), &sub.Secrets))
	})
}
