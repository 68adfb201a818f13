package service

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Each component once had the whole time to stop for itself, one after the other.
func TestComponentsShareTheTimeToStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		stuck := func(context.Context) error { <-release; return nil }
		begin := time.Now()
		until := begin.Add(10 * time.Second)
		log := slog.New(slog.DiscardHandler)
		tasks := []*task{start(stuck, log), start(stuck, log), start(stuck, log)}
		for _, one := range tasks {
			one.stop()
		}
		for _, one := range tasks {
			require.ErrorIs(t, one.wait(until), errSlowStop)
		}
		require.Equal(t, 10*time.Second, time.Since(begin))
		close(release)
		synctest.Wait()
		for _, one := range tasks {
			require.NoError(t, one.wait(until), "it has ended, if late")
		}
	})
}
