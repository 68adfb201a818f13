package relay

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// TestNobodyIsTakenForUnknownBeforeTheDirectoryIsRead: an event that is taken while the
// subscriptions are not read yet would be lost to them.
func TestNobodyIsTakenForUnknownBeforeTheDirectoryIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoster(nil, nil, slog.New(slog.DiscardHandler))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.run(ctx) }()
		r.lookAgain()
		synctest.Wait()
		select {
		case <-r.filled:
			require.FailNow(t, "the roster is filled from nothing")
		default:
		}
		stop()
		require.NoError(t, <-ended)
	})
}
