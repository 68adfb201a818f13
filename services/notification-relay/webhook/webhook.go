// Package webhook carries one CloudEvent to one HTTP endpoint, once.
//
// It promises that the request follows the CloudEvents HTTP binding (binary or
// structured mode), that it is signed as the Standard Webhooks specification says,
// that no connection is ever made to a private, local or otherwise special address
// unless the configuration allows it (checked on the resolved address at connect
// time), that no redirect is followed, and that every try ends in an [Outcome] with
// a stable reason code. It also holds the published retry [Schedule].
//
// It does not store anything, does not decide when to try, and never reads the
// environment or a proxy setting from it.
package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Headers that the relay adds to those of Standard Webhooks.
const (
	// HeaderAttempt is the number of this try, starting at 1.
	HeaderAttempt = "webhook-attempt"
	// HeaderNextAttempt says in RFC 3339 when the next try follows if this one
	// fails; it is absent on the last try.
	HeaderNextAttempt = "webhook-next-attempt"
)

const userAgent = "Signbus-Webhook/1"

// ErrEvent means that an event can't be sent as it is: it is incomplete, or its id is
// no safe header value.
var ErrEvent = errors.New("event can not be sent")

// ErrURL means that an endpoint address is no absolute http or https URL.
var ErrURL = errors.New("not an absolute http or https url")

// Message is one try to be made.
type Message struct {
	Event event.Event
	Mode  Mode
	// Attempt is the number of this try, starting at 1.
	Attempt int
	// At is the time of this try; it is signed as webhook-timestamp.
	At time.Time
	// NextAttempt is when the next try follows if this one fails; zero on the last try.
	NextAttempt time.Time
}

// NewRequest makes the signed HTTP request for a message. The webhook-id is the
// event's id, so every try of an event carries the same one.
func NewRequest(ctx context.Context, endpoint string, secrets Secrets, msg Message) (*http.Request, error) {
	target, err := ParseURL(endpoint)
	if err != nil {
		return nil, err
	}
	if err := checkEvent(msg.Event); err != nil {
		return nil, err
	}
	header := make(http.Header)
	body, err := encode(msg.Mode, msg.Event, header)
	if err != nil {
		return nil, err
	}
	signature, err := secrets.sign(msg.Event.ID(), msg.At, body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, ErrURL
	}
	header.Set(standardwebhooks.HeaderWebhookID, msg.Event.ID())
	header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(msg.At.Unix(), 10))
	header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	header.Set(HeaderAttempt, strconv.Itoa(msg.Attempt))
	if !msg.NextAttempt.IsZero() {
		header.Set(HeaderNextAttempt, msg.NextAttempt.UTC().Format(time.RFC3339))
	}
	if trace, ok := msg.Event.Extensions()["traceparent"].(string); ok {
		header.Set("traceparent", escape(trace))
	}
	header.Set("User-Agent", userAgent)
	req.Header = header
	return req, nil
}

// ParseURL checks the address of an endpoint. The error never repeats the address,
// which may carry credentials.
func ParseURL(endpoint string) (*url.URL, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Hostname() == "" || u.Opaque != "" {
		return nil, ErrURL
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		return nil, ErrURL
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

// checkEvent refuses what could not be signed without ambiguity: the id stands in the
// signed text and in a header.
func checkEvent(ev event.Event) error {
	if err := ev.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrEvent, err)
	}
	if strings.IndexFunc(ev.ID(), func(r rune) bool { return r <= ' ' || r > '~' }) >= 0 {
		return fmt.Errorf("%w: its id has characters that a header can't carry", ErrEvent)
	}
	return nil
}
