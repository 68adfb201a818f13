package bus

import "time"

// Gather takes what waits in a queue behind first, as long as room says that more fits.
// It waits for nobody, except that it lingers once for those who are likely to come back:
// while there are fewer than expected. With expected at 0 it never lingers.
func Gather[T any](queue <-chan T, first T, expected int, linger time.Duration, room func(next T) bool) []T {
	list := []T{first}
	var late <-chan time.Time
	for more := room(first); more; {
		var next T
		select {
		case next = <-queue:
		default:
			if len(list) >= expected {
				return list
			}
			if late == nil {
				timer := time.NewTimer(linger)
				defer timer.Stop()
				late = timer.C
			}
			select {
			case next = <-queue:
			case <-late:
				return list
			}
		}
		list = append(list, next)
		more = room(next)
	}
	return list
}
