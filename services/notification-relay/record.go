package relay

import (
	"context"
	"time"
)

// recordTime bounds recording an attempt, so that a relay without its database still
// stops in time.
const recordTime = 3 * time.Second

// recordBatch bounds how many attempts are recorded in one transaction.
const recordBatch = 64

// recorder completes attempts in the ledger. On a database that only this process uses
// the attempts that end at the same time share a transaction, and so one sync of the
// disk. On a shared one each has its own: there transactions run in parallel, and those
// that lock several lanes could stop one another.
type recorder struct {
	ledger *ledger
	queue  chan waiting
}

// waiting is an ended attempt whose try waits for the verdict.
type waiting struct {
	landing
	done chan<- recorded
}

type recorded struct {
	verdict
	err error
}

func newRecorder(l *ledger) *recorder {
	return &recorder{ledger: l, queue: make(chan waiting)}
}

// run records until ctx ends; nobody may be waiting any more then.
func (r *recorder) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case first := <-r.queue:
			r.flush(ctx, r.gather(first))
		}
	}
}

// gather takes what is waiting, without waiting for more.
func (r *recorder) gather(first waiting) []waiting {
	batch := []waiting{first}
	for len(batch) < recordBatch {
		select {
		case next := <-r.queue:
			batch = append(batch, next)
		default:
			return batch
		}
	}
	return batch
}

// flush records a batch, or its parts one by one when it is refused as a whole.
func (r *recorder) flush(ctx context.Context, batch []waiting) {
	ctx, cancel := context.WithTimeout(ctx, recordTime)
	defer cancel()
	landings := make([]landing, len(batch))
	for i, w := range batch {
		landings[i] = w.landing
	}
	verdicts, err := r.ledger.complete(ctx, landings...)
	for i, w := range batch {
		switch {
		case err == nil:
			w.done <- recorded{verdicts[i], nil}
		case len(batch) == 1:
			w.done <- recorded{err: err}
		default:
			r.flush(ctx, batch[i:i+1])
		}
	}
}

// record completes an attempt and returns the verdict. It goes on trying for a while: a
// success that is not recorded is sent twice.
func (r *recorder) record(ctx context.Context, n landing) (verdict, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	for pause := 20 * time.Millisecond; ; pause *= 2 {
		v, err := r.once(ctx, n)
		if err == nil {
			return v, nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return v, err
		case <-timer.C:
		}
	}
}

func (r *recorder) once(ctx context.Context, n landing) (verdict, error) {
	if !r.ledger.db.Exclusive() {
		verdicts, err := r.ledger.complete(ctx, n)
		return verdicts[0], err
	}
	done := make(chan recorded, 1)
	select {
	case r.queue <- waiting{n, done}:
	case <-ctx.Done():
		return verdict{}, ctx.Err()
	}
	select {
	case answer := <-done:
		return answer.verdict, answer.err
	case <-ctx.Done():
		return verdict{}, ctx.Err()
	}
}
