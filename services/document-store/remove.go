package documentstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"signbus.dev/pkg/blob"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/subjects"
)

const (
	// removeEvery finds what another process wrote, or what failed before.
	removeEvery = time.Minute
	// removePause is the wait after an error.
	removePause = time.Second
	removeBatch = 256
)

// wakeRemovals runs after the commit of a batch.
func (s *Service) wakeRemovals() {
	if !s.discarded.Swap(false) {
		return
	}
	select {
	case s.removals <- struct{}{}:
	default:
	}
}

// remove removes the bytes of discarded envelopes until ctx ends.
func (s *Service) remove(ctx context.Context) error {
	for ctx.Err() == nil {
		n, err := s.removeOnce(ctx)
		pause := removeEvery
		switch {
		case err != nil:
			s.Log.Warn("removing documents waits", "error", err)
			pause = removePause
		case n == removeBatch:
			continue
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-s.removals:
		}
		timer.Stop()
	}
	return nil
}

// removeOnce removes a batch of scopes and returns how many it found. The request for a
// removal is deleted after the removal, so that a crash in between only repeats it.
func (s *Service) removeOnce(ctx context.Context) (int, error) {
	rows, err := s.DB.Query(ctx, `SELECT customer, envelope_id FROM document_removals ORDER BY requested_at, envelope_id LIMIT $1`, removeBatch)
	scopes, err := store.Collect(rows, err, func(scope *blob.Scope, scan func(...any) error) error {
		return scan(&scope.Customer, &scope.ID)
	})
	if err != nil {
		return 0, fmt.Errorf("find removals: %w", err)
	}
	var errs []error // of one scope; the others go on
	for _, scope := range scopes {
		errs = append(errs, s.removeScope(ctx, scope))
	}
	return len(scopes), errors.Join(errs...)
}

func (s *Service) removeScope(ctx context.Context, scope blob.Scope) error {
	kept, err := s.versions(ctx, scope)
	if err != nil {
		return err
	}
	if len(kept) == 0 { // another operation may have documents in the same envelope
		if err := s.Blobs.RemoveScope(ctx, scope); err != nil {
			return err
		}
	}
	err = s.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM document_removals WHERE customer = $1 AND envelope_id = $2`, scope.Customer, scope.ID)
		return err
	})
	if err != nil {
		return fmt.Errorf("finish removal of %s: %w", scope.ID, err)
	}
	return nil
}

// versions returns the digests of all versions of an envelope.
func (s *Service) versions(ctx context.Context, scope blob.Scope) (map[string]bool, error) {
	rows, err := s.DB.Query(ctx, `SELECT v.sha256 FROM document_documents d
		JOIN document_versions v ON v.envelope_id = d.envelope_id AND v.external_id = d.external_id
		WHERE d.envelope_id = $1 AND d.customer = $2`, scope.ID, scope.Customer)
	list, err := store.Collect(rows, err, func(digest *string, scan func(...any) error) error { return scan(digest) })
	if err != nil {
		return nil, fmt.Errorf("find versions of %s: %w", scope.ID, err)
	}
	set := make(map[string]bool, len(list))
	for _, digest := range list {
		set[digest] = true
	}
	return set, nil
}

// Sweep removes bytes that crashes and abandoned uploads left behind: whole scopes
// without documents, and blobs that are no version of a document, once they are old.
//
// Bytes are written before the message that will refer to them. So nothing is swept
// while messages wait for long: after an outage they may refer to old bytes.
func (s *Service) Sweep(ctx context.Context) error {
	waiting, err := s.waiting(ctx)
	if err != nil || waiting {
		return err
	}
	var errs []error
	err = s.Blobs.Scopes(ctx, func(scope blob.Scope, changed time.Time) error {
		if age := s.Now().Sub(changed); age >= min(s.BlobAge, s.ScopeAge) {
			errs = append(errs, s.sweepScope(ctx, scope, age))
		}
		return ctx.Err()
	})
	return errors.Join(append(errs, err)...)
}

func (s *Service) sweepScope(ctx context.Context, scope blob.Scope, age time.Duration) error {
	kept, err := s.versions(ctx, scope)
	if err != nil {
		return err
	}
	if len(kept) == 0 {
		if age < s.ScopeAge {
			return nil
		}
		s.Log.Info("bytes without documents are swept", "customer", scope.Customer, "scope", scope.ID)
		return s.Blobs.RemoveScope(ctx, scope)
	}
	if age < s.BlobAge {
		return nil
	}
	if err := s.Blobs.Clean(ctx, scope, s.Now().Add(-s.BlobAge)); err != nil {
		return err
	}
	refs, err := s.Blobs.List(ctx, scope)
	if err != nil {
		return err
	}
	for _, ref := range refs {
		if kept[ref.SHA256] {
			continue
		}
		s.Log.Info("blob without version is swept", "customer", scope.Customer, "scope", scope.ID, "sha256", ref.SHA256)
		if err := s.Blobs.Remove(ctx, scope, ref.SHA256); err != nil {
			return err
		}
	}
	return nil
}

// longWait is longer than any message waits while all services work.
const longWait = time.Hour

// waiting says that a command or a message between services has waited for long.
func (s *Service) waiting(ctx context.Context) (bool, error) {
	for _, name := range []string{subjects.StreamCommands, subjects.StreamWork} {
		stream, err := s.JS.Stream(ctx, name)
		if err != nil {
			return false, fmt.Errorf("look into stream %s: %w", name, err)
		}
		state := stream.CachedInfo().State
		if state.Msgs > 0 && s.Now().Sub(state.FirstTime) > longWait {
			s.Log.Warn("nothing is swept while messages wait", "stream", name, "oldest", state.FirstTime)
			return true, nil
		}
	}
	return false, nil
}
