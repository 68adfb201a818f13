package webhook

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"signbus.dev/pkg/guard"
)

// Reason is the stable code of how a try ended. It never contains anything that the
// receiver or the network said.
type Reason string

// The reasons.
const (
	// Accepted: the receiver answered 2xx.
	Accepted Reason = "accepted"
	// Gone: the receiver answered 410 and wants nothing more.
	Gone Reason = "gone"
	// Throttled: the receiver answered 429 or 503.
	Throttled Reason = "throttled"
	// Redirected: the receiver answered 3xx; redirects are never followed.
	Redirected Reason = "redirected"
	// Refused: the receiver answered with another 4xx.
	Refused Reason = "refused"
	// ServerError: the receiver answered with another 5xx, or with no status known.
	ServerError Reason = "server_error"
	// Timeout: connecting or answering took too long.
	Timeout Reason = "timeout"
	// NoName: the host name has no address.
	NoName Reason = "no_such_host"
	// NotAllowed: the address is private or local and not allowed by configuration.
	NotAllowed Reason = "address_not_allowed"
	// Insecure: the address is http and configuration demands https.
	Insecure Reason = "https_required"
	// BadTLS: the TLS handshake failed or the certificate is not trusted.
	BadTLS Reason = "tls_failed"
	// Unreachable: the connection was refused or broke.
	Unreachable Reason = "connection_failed"
	// Invalid: the subscription or the event can't be made into a request.
	Invalid Reason = "invalid_request"
	// Interrupted: the relay stopped in mid-try; whether it arrived is not known.
	Interrupted Reason = "interrupted"
)

// Reasons returns every reason.
func Reasons() []Reason {
	return []Reason{
		Accepted, Gone, Throttled, Redirected, Refused, ServerError, Timeout, NoName, NotAllowed, Insecure, BadTLS,
		Unreachable, Invalid, Interrupted,
	}
}

// Outcome says how one try ended.
type Outcome struct {
	Reason Reason
	// Status is the HTTP status code; zero when there was no answer.
	Status int
	// RetryAfter is how long the receiver asked to wait; zero when it did not.
	RetryAfter time.Duration
	Duration   time.Duration
}

// Delivered says whether the receiver has taken the event.
func (o Outcome) Delivered() bool { return o.Reason == Accepted }

// Disables says whether the endpoint wants nothing more.
func (o Outcome) Disables() bool { return o.Reason == Gone }

// Counts says whether the try uses up one of the schedule; an interrupted one does not.
func (o Outcome) Counts() bool { return o.Reason != Interrupted }

// LogValue shows the outcome in one group.
func (o Outcome) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("reason", string(o.Reason)),
		slog.Int("status", o.Status),
		slog.Duration("duration", o.Duration),
	)
}

// fromStatus classifies an answer.
func fromStatus(status int, header http.Header, now time.Time) Outcome {
	out := Outcome{Status: status}
	switch {
	case status >= 200 && status <= 299:
		out.Reason = Accepted
		return out
	case status == http.StatusGone:
		out.Reason = Gone
		return out
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		out.Reason = Throttled
	case status >= 300 && status <= 399:
		out.Reason = Redirected
	case status >= 400 && status <= 499:
		out.Reason = Refused
	default:
		out.Reason = ServerError
	}
	out.RetryAfter = retryAfter(header, now)
	return out
}

// fromError classifies a try without an answer. The error itself goes no further: it
// may repeat the endpoint's address. That the TLS handshake failed is told apart by the
// caller, because a refusal by the other side has no exported error type.
func fromError(err error, tlsFailed bool) Outcome {
	return Outcome{Reason: reasonOf(err, tlsFailed)}
}

func reasonOf(err error, tlsFailed bool) Reason {
	var (
		netErr net.Error
		dnsErr *net.DNSError
	)
	switch {
	case errors.Is(err, guard.ErrRefused):
		return NotAllowed
	case errors.Is(err, errInsecure):
		return Insecure
	case errors.Is(err, context.Canceled):
		return Interrupted
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return Timeout
	case errors.As(err, &dnsErr):
		return NoName
	case tlsFailed:
		return BadTLS
	}
	return Unreachable
}
