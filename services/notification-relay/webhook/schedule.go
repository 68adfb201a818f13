package webhook

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Jitter is the largest part of a delay that is added to it at random, so that
// deliveries which failed together do not come back together.
const Jitter = 0.2

// MaxRetryAfter bounds how long a receiver may put off the next try by Retry-After.
const MaxRetryAfter = 24 * time.Hour

// ErrSchedule means that a retry schedule is empty or has a negative delay.
var ErrSchedule = errors.New("retry schedule needs at least one delay, none negative")

// Schedule lists the delay before each try; the first follows the event, each other
// one the try before it. A delivery has as many tries as the schedule has delays.
type Schedule []time.Duration

// DefaultSchedule is the published schedule: ten tries in a little over three days.
func DefaultSchedule() Schedule {
	return Schedule{
		0,
		5 * time.Second,
		5 * time.Minute,
		30 * time.Minute,
		2 * time.Hour,
		5 * time.Hour,
		10 * time.Hour,
		14 * time.Hour,
		20 * time.Hour,
		24 * time.Hour,
	}
}

// Validate returns [ErrSchedule] for a schedule that can't be used.
func (s Schedule) Validate() error {
	if len(s) == 0 {
		return ErrSchedule
	}
	for _, delay := range s {
		if delay < 0 {
			return ErrSchedule
		}
	}
	return nil
}

// Next returns the delay before the next try when so many tries have failed, with
// jitter of up to a fifth added, and false when the schedule has ended. A try is never
// earlier than published. random returns numbers in [0,1).
func (s Schedule) Next(failed int, random func() float64) (time.Duration, bool) {
	if failed < 0 || failed >= len(s) {
		return 0, false
	}
	delay := s[failed]
	return delay + time.Duration(float64(delay)*Jitter*random()), true
}

// Markdown is the schedule as the table that the documentation shows.
func (s Schedule) Markdown() string {
	var b strings.Builder
	b.WriteString("| try | after the one before | after the event |\n|---|---|---|\n")
	var total time.Duration
	for i, delay := range s {
		total += delay
		fmt.Fprintf(&b, "| %d | %s | %s |\n", i+1, words(delay), words(total))
	}
	return b.String()
}

func words(d time.Duration) string {
	if d == 0 {
		return "immediately"
	}
	var parts []string
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if d >= unit.size {
			parts = append(parts, fmt.Sprintf("%d %s", int64(d/unit.size), unit.name))
			d %= unit.size
		}
	}
	return strings.Join(parts, " ")
}

// retryAfter reads the Retry-After header, in seconds or as a date, bounded to
// [MaxRetryAfter]; zero when there is none or it can't be read.
func retryAfter(header http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(header.Get("Retry-After"))
	if value == "" {
		return 0
	}
	if strings.Trim(value, "0123456789") == "" {
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil || seconds > int64(MaxRetryAfter/time.Second) {
			return MaxRetryAfter
		}
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), MaxRetryAfter)
}
