// Package client is what an external system written in Go uses to talk to the bus: it
// sends commands through the queue, asks over HTTP, and follows events. It needs no
// more than the public contract; clients in other languages do the same with a NATS and
// an HTTP library.
package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/subjects"
)

// Options say who the client is and where the bus is.
type Options struct {
	// URL is the bus's HTTP address.
	URL string
	// Conn is a connection to the bus's NATS; needed for commands and events only.
	Conn *nats.Conn
	// Customer and System name the external system; Code is the customerCode.
	Customer, System, Code string
	// HTTP is the client for calls; default: one with a timeout of a minute.
	HTTP *http.Client
}

// Client talks to the bus. It is safe for concurrent use.
type Client struct {
	Options
	js jetstream.JetStream
}

// New returns a client.
func New(o Options) (*Client, error) {
	if o.HTTP == nil {
		o.HTTP = &http.Client{Timeout: time.Minute}
	}
	o.URL = strings.TrimSuffix(o.URL, "/")
	c := &Client{Options: o}
	if o.Conn != nil {
		js, err := jetstream.New(o.Conn)
		if err != nil {
			return nil, fmt.Errorf("use NATS: %w", err)
		}
		c.js = js
	}
	return c, nil
}

// errNoConn says that a call needs NATS.
var errNoConn = errors.New("not connected to NATS")

// inline is the size up to which documents travel inside the command.
const inline = 2 << 20

// Insert sends an envelope through the queue and returns the operation id once the bus
// has taken it in charge. An empty operationID is chosen. Large documents are uploaded
// over HTTP first. Sending the same request with the same id again is harmless.
func (c *Client) Insert(ctx context.Context, request contract.InsertEnvelope, operationID string) (string, error) {
	request.CustomerCode = c.Code
	if request.ExternalSystemCode == "" {
		request.ExternalSystemCode = c.System
	}
	total := 0
	for _, doc := range request.Envelope.Documents {
		total += len(doc.Bytes)
	}
	if total > inline {
		docs := make([]contract.Document, len(request.Envelope.Documents))
		copy(docs, request.Envelope.Documents)
		for i := range docs {
			uploaded, err := c.Upload(ctx, bytes.NewReader(docs[i].Bytes))
			if err != nil {
				return "", fmt.Errorf("upload document %s: %w", docs[i].ExternalID, err)
			}
			docs[i].Bytes, docs[i].URI = nil, uploaded.URI
		}
		request.Envelope.Documents = docs
	}
	return c.command(ctx, contract.CommandInsertEnvelope, operationID, request)
}

// Delete sends deleteEnvelope for a secretary.
func (c *Client) Delete(ctx context.Context, extID, user string) (string, error) {
	return c.command(ctx, contract.CommandDeleteEnvelope, "", contract.DeleteEnvelope{CustomerCode: c.Code, UsrExtID: user, EnveExtID: extID})
}

// Cancel sends cancelEnvelope for a secretary, with a note for the signers.
func (c *Client) Cancel(ctx context.Context, extID, user, note string) (string, error) {
	return c.command(ctx, contract.CommandCancelEnvelope, "", contract.CancelEnvelope{CustomerCode: c.Code, UsrExtID: user, EnveExtID: extID, Note: note})
}

// Start sends sendEnvelope, which starts the process of a draft, for a secretary.
func (c *Client) Start(ctx context.Context, extID, user string) (string, error) {
	return c.command(ctx, contract.CommandSendEnvelope, "", contract.SendEnvelope{CustomerCode: c.Code, UsrExtID: user, EnveExtID: extID})
}

func (c *Client) command(ctx context.Context, command contract.Command, operationID string, payload any) (string, error) {
	if c.js == nil {
		return "", errNoConn
	}
	subject, err := subjects.Command(c.Customer, c.System, command)
	if err != nil {
		return "", err
	}
	data, err := json.Marshal(payload)
	if err != nil {
		return "", fmt.Errorf("send %s: %w", command, err)
	}
	return c.Publish(ctx, subject, operationID, data)
}

// Publish puts a command on its subject as it is and returns the operation id once the
// bus has it on disk.
func (c *Client) Publish(ctx context.Context, subject, operationID string, data []byte) (string, error) {
	if c.js == nil {
		return "", errNoConn
	}
	if operationID == "" {
		operationID = strings.ToLower(rand.Text())
	}
	msg := nats.NewMsg(subject)
	msg.Header.Set(subjects.HeaderOperationID, operationID)
	msg.Data = data
	if _, err := c.js.PublishMsg(ctx, msg, jetstream.WithRetryAttempts(5), jetstream.WithRetryWait(500*time.Millisecond)); err != nil {
		return "", fmt.Errorf("send to %s: %w", subject, err)
	}
	return operationID, nil
}

// Upload keeps the bytes of a document for a later command.
func (c *Client) Upload(ctx context.Context, doc io.Reader) (contract.Uploaded, error) {
	var uploaded contract.Uploaded
	return uploaded, c.call(ctx, http.MethodPost, "/documents", doc, "application/pdf", &uploaded)
}

// Find returns an envelope, with the bytes of its documents when asked.
func (c *Client) Find(ctx context.Context, extID string, withBytes bool) (contract.FoundEnvelope, error) {
	var found contract.FoundEnvelope
	return found, c.post(ctx, "/envelopes/"+url.PathEscape(extID), contract.FindEnvelope{
		CustomerCode: c.Code, ExternalSystemCode: c.System, EnveExtID: extID, WithDocBytes: withBytes,
	}, &found)
}

// Operation returns how an operation stands.
func (c *Client) Operation(ctx context.Context, id string) (contract.OperationStatus, error) {
	var status contract.OperationStatus
	return status, c.call(ctx, http.MethodGet, "/operations/"+url.PathEscape(id), nil, "", &status)
}

// SigningURL returns the address of the signing page of a user. It is a secret.
func (c *Client) SigningURL(ctx context.Context, extID, user string) (string, error) {
	var answer struct {
		URL string `json:"url"`
	}
	err := c.call(ctx, http.MethodGet, "/envelopes/"+url.PathEscape(extID)+"/signing-url?usrExtId="+url.QueryEscape(user), nil, "", &answer)
	return answer.URL, err
}

// Subscribe registers a webhook; the answer holds its secret, which is shown only now.
func (c *Client) Subscribe(ctx context.Context, s contract.Subscribe) (contract.Subscription, error) {
	var subscription contract.Subscription
	return subscription, c.post(ctx, "/subscriptions", s, &subscription)
}

// Subscriptions lists the webhooks of the customer.
func (c *Client) Subscriptions(ctx context.Context) ([]contract.Subscription, error) {
	var list contract.Subscriptions
	err := c.call(ctx, http.MethodGet, "/subscriptions", nil, "", &list)
	return list.Subscriptions, err
}

// Unsubscribe removes a webhook.
func (c *Client) Unsubscribe(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/subscriptions/"+url.PathEscape(id), nil, "", nil)
}

func (c *Client) post(ctx context.Context, path string, payload, answer any) error {
	data, err := json.Marshal(payload)
	if err != nil {
		return err
	}
	return c.call(ctx, http.MethodPost, path, bytes.NewReader(data), "application/json", answer)
}

// call does one HTTP call. An error answer comes back as a [contract.Error].
func (c *Client) call(ctx context.Context, method, path string, body io.Reader, contentType string, answer any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.URL+"/legalbus/services/v1"+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.Code)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("ask the bus: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusMultipleChoices {
		var outcome contract.Outcome
		if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&outcome); err != nil || outcome.Code == "" {
			return fmt.Errorf("ask the bus: unexpected answer %s", resp.Status)
		}
		code, known := contract.ParseCode(outcome.Code)
		if !known {
			code = contract.CodeError
		}
		return &contract.Error{Code: code, Message: outcome.Message}
	}
	if answer == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}

// Event is a CloudEvent of the bus.
type Event struct {
	ID          string             `json:"id"`
	Type        contract.EventType `json:"type"`
	Time        time.Time          `json:"time"`
	ExternalID  string             `json:"subject"`
	OperationID string             `json:"operationid,omitempty"`
	// Sequence counts the events of an envelope, from 1; 0: the event has no envelope.
	Sequence int64           `json:"sequence,omitempty"`
	Data     json.RawMessage `json:"data"`
	// Position is the place in the stream of events, to go on from later.
	Position uint64 `json:"position"`
}

// Follow says which events are wanted.
type Follow struct {
	// ExternalID limits to one envelope; empty means all.
	ExternalID string
	// After is the position after which to begin; 0: from the beginning. New: only what
	// comes from now on.
	After uint64
	New   bool
}

// Events calls visit for each event in order until it returns an error, which is
// returned, or ctx ends. It outlives reconnections without a gap.
func (c *Client) Events(ctx context.Context, follow Follow, visit func(Event) error) error {
	if c.js == nil {
		return errNoConn
	}
	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: []string{"evt." + c.Customer + ".>"}}
	switch {
	case follow.New:
		cfg.DeliverPolicy = jetstream.DeliverNewPolicy
	case follow.After > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, follow.After+1
	}
	consumer, err := c.js.OrderedConsumer(ctx, subjects.StreamEvents, cfg)
	if err != nil {
		return fmt.Errorf("follow events: %w", err)
	}
	iter, err := consumer.Messages()
	if err != nil {
		return fmt.Errorf("follow events: %w", err)
	}
	defer iter.Stop()
	stop := context.AfterFunc(ctx, iter.Stop)
	defer stop()
	for {
		msg, err := iter.Next()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("follow events: %w", err)
		}
		event, err := readEvent(msg)
		if err != nil {
			return err
		}
		if follow.ExternalID != "" && event.ExternalID != follow.ExternalID {
			continue
		}
		if err := visit(event); err != nil {
			return err
		}
	}
}

func readEvent(msg jetstream.Msg) (Event, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return Event{}, fmt.Errorf("read event: %w", err)
	}
	h := func(name string) string {
		value := msg.Headers().Get(name)
		if decoded, err := url.PathUnescape(value); err == nil {
			return decoded
		}
		return value
	}
	e := Event{
		ID: h(subjects.HeaderCEID), Type: contract.EventType(h(subjects.HeaderCEType)), ExternalID: h(subjects.HeaderCESubject),
		OperationID: h(subjects.HeaderCEOperationID), Data: msg.Data(), Position: meta.Sequence.Stream,
	}
	if e.Time, err = time.Parse(time.RFC3339Nano, h(subjects.HeaderCETime)); err != nil {
		return e, fmt.Errorf("read event %s: %w", e.ID, err)
	}
	if text := h(subjects.HeaderCESequence); text != "" {
		if e.Sequence, err = strconv.ParseInt(text, 10, 64); err != nil {
			return e, fmt.Errorf("read event %s: %w", e.ID, err)
		}
	}
	return e, nil
}
