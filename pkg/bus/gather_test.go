package bus_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/bus"
)

func TestGather(t *testing.T) {
	t.Parallel()
	all := func(int) bool { return true }
	queue := func(waiting ...int) chan int {
		ch := make(chan int, 10)
		for _, n := range waiting {
			ch <- n
		}
		return ch
	}
	require.Equal(t, []int{1}, bus.Gather(queue(), 1, 0, time.Hour, all), "one alone waits for nobody")
	require.Equal(t, []int{1, 2, 3}, bus.Gather(queue(2, 3), 1, 0, time.Hour, all))
	require.Equal(t, []int{1, 2, 3}, bus.Gather(queue(2, 3), 1, 3, time.Hour, all), "nobody more is expected")
	require.Equal(t, []int{1, 2}, bus.Gather(queue(2), 1, 5, time.Millisecond, all), "those who do not come are not waited for long")

	room := 2
	limited := func(int) bool { room--; return room > 0 }
	rest := queue(2, 3)
	require.Equal(t, []int{1, 2}, bus.Gather(rest, 1, 0, time.Hour, limited))
	require.Equal(t, 3, <-rest, "what has no room stays")

	late := make(chan int)
	go func() { late <- 2 }()
	require.Equal(t, []int{1, 2}, bus.Gather(late, 1, 2, time.Minute, all), "who is expected is waited for")
}
