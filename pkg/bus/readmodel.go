package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/nats-io/nats.go/jetstream"
)

// OpenBucket opens a key-value bucket, which is created when missing.
func OpenBucket(ctx context.Context, js jetstream.JetStream, bucket string, replicas int) (jetstream.KeyValue, error) {
	kv, err := js.KeyValue(ctx, bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		kv, err = js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: bucket, History: 1, Replicas: max(1, replicas)})
	}
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", bucket, err)
	}
	return kv, nil
}

// ReadModel is a copy, in memory and kept up to date, of the values of a bucket below a
// key prefix. The owner of the bucket writes it; everybody else reads it so.
type ReadModel[T any] struct {
	js     jetstream.JetStream
	bucket string
	prefix string
	log    *slog.Logger
	ready  chan struct{}

	mutex    sync.RWMutex
	values   map[string]T
	onChange func()
}

// NewReadModel returns a read model of the keys that begin with prefix, such as
// "customer."; it fills when Run runs. onChange, which may be nil, is called after changes.
func NewReadModel[T any](js jetstream.JetStream, bucket, prefix string, log *slog.Logger, onChange func()) *ReadModel[T] {
	return &ReadModel[T]{
		js: js, bucket: bucket, prefix: prefix, log: log.With("bucket", bucket, "keys", prefix),
		ready: make(chan struct{}), values: map[string]T{}, onChange: onChange,
	}
}

// Ready is closed once everything that was in the bucket has been read.
func (r *ReadModel[T]) Ready() <-chan struct{} { return r.ready }

// Get returns the value of a key, given without the prefix.
func (r *ReadModel[T]) Get(key string) (T, bool) {
	r.mutex.RLock()
	defer r.mutex.RUnlock()
	value, ok := r.values[key]
	return value, ok
}

// All returns every value, in no particular order.
func (r *ReadModel[T]) All() []T {
	r.mutex.RLock()
	defer r.mutex.RUnlock()
	all := make([]T, 0, len(r.values))
	for _, value := range r.values {
		all = append(all, value)
	}
	return all
}

// Run follows the bucket until ctx ends.
func (r *ReadModel[T]) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := r.follow(ctx); err != nil && ctx.Err() == nil {
			r.log.Warn("read model starts again", "error", err)
			sleep(ctx, pumpPause)
		}
	}
	return nil
}

func (r *ReadModel[T]) follow(ctx context.Context) error {
	kv, err := r.js.KeyValue(ctx, r.bucket) // its owner creates it
	if err != nil {
		return fmt.Errorf("open bucket %s: %w", r.bucket, err)
	}
	watcher, err := kv.Watch(ctx, r.prefix+">")
	if err != nil {
		return fmt.Errorf("watch bucket %s: %w", r.bucket, err)
	}
	defer func() { _ = watcher.Stop() }()
	fresh := map[string]T{} // until the first nil, what is in the bucket now
	initial := true
	for {
		select {
		case <-ctx.Done():
			return nil
		case entry, ok := <-watcher.Updates():
			switch {
			case !ok:
				return errors.New("watcher ended")
			case entry == nil:
				initial = false
				r.replace(fresh)
			case initial:
				r.set(fresh, entry)
			default:
				r.mutex.Lock()
				r.set(r.values, entry)
				r.mutex.Unlock()
				r.changed()
			}
		}
	}
}

func (r *ReadModel[T]) set(values map[string]T, entry jetstream.KeyValueEntry) {
	key := strings.TrimPrefix(entry.Key(), r.prefix)
	if entry.Operation() != jetstream.KeyValuePut {
		delete(values, key)
		return
	}
	var value T
	if err := json.Unmarshal(entry.Value(), &value); err != nil {
		r.log.Error("value is not readable", "key", entry.Key(), "error", err)
		return
	}
	values[key] = value
}

func (r *ReadModel[T]) replace(values map[string]T) {
	r.mutex.Lock()
	r.values = values
	r.mutex.Unlock()
	select {
	case <-r.ready:
	default:
		close(r.ready)
	}
	r.changed()
}

func (r *ReadModel[T]) changed() {
	if r.onChange != nil {
		r.onChange()
	}
}
