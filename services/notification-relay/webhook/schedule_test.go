package webhook_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/services/notification-relay/webhook"
)

func TestDefaultScheduleIsThePublishedOne(t *testing.T) {
	t.Parallel()
	s := webhook.DefaultSchedule()
	require.NoError(t, s.Validate())
	require.Equal(t, `| try | after the one before | after the event |
|---|---|---|
| 1 | immediately | immediately |
| 2 | 5 s | 5 s |
| 3 | 5 min | 5 min 5 s |
| 4 | 30 min | 35 min 5 s |
| 5 | 2 h | 2 h 35 min 5 s |
| 6 | 5 h | 7 h 35 min 5 s |
| 7 | 10 h | 17 h 35 min 5 s |
| 8 | 14 h | 31 h 35 min 5 s |
| 9 | 20 h | 51 h 35 min 5 s |
| 10 | 24 h | 75 h 35 min 5 s |
`, s.Markdown())
}

func TestScheduleNext(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2)).Float64
	s := webhook.DefaultSchedule()
	spread := map[time.Duration]bool{}
	for range 200 {
		for failed, base := range s {
			delay, ok := s.Next(failed, random)
			require.True(t, ok)
			require.GreaterOrEqual(t, delay, base, "never earlier than published")
			require.LessOrEqual(t, delay, base+time.Duration(float64(base)*webhook.Jitter))
			if failed == 4 {
				spread[delay] = true
			}
		}
	}
	require.Greater(t, len(spread), 100, "jitter spreads the tries")
	for _, failed := range []int{-1, len(s), len(s) + 1} {
		_, ok := s.Next(failed, random)
		require.False(t, ok, "%d", failed)
	}
}

func TestScheduleValidate(t *testing.T) {
	t.Parallel()
	require.NoError(t, webhook.Schedule{0, 10 * time.Millisecond}.Validate())
	require.ErrorIs(t, webhook.Schedule{}.Validate(), webhook.ErrSchedule)
	require.ErrorIs(t, webhook.Schedule{0, -1}.Validate(), webhook.ErrSchedule)
}

func TestScheduleInWords(t *testing.T) {
	t.Parallel()
	require.Contains(t, webhook.Schedule{1500 * time.Millisecond, time.Hour}.Markdown(), "| 2 | 1 h | 1 h 1 s 500 ms |")
}
