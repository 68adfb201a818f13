package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"signbus.dev/pkg/guard"
)

// maxAnswer bounds what is read of an answer's body. It is read only so that the connection can be used again, and thrown away.
const maxAnswer = 64 << 10

var errInsecure = errors.New("http is not allowed by configuration")

// Options configure a [Client]. The zero value is the strict default: https to public
// addresses only.
type Options struct {
	// Guard decides which addresses may be connected to.
	Guard guard.Guard
	// AllowHTTP permits endpoints without TLS, for development.
	AllowHTTP bool
	// ConnectTimeout bounds connecting and the TLS handshake each; 5 s when zero.
	ConnectTimeout time.Duration
	// Timeout bounds the whole try; 20 s when zero.
	Timeout time.Duration
	// IdlePerHost is how many connections to one host are kept open; 16 when zero. Fewer
	// than are used at once means new handshakes, which cost far more than the request.
	IdlePerHost int
	// TLS is the client configuration, for private certificate authorities; at least
	// TLS 1.2 is required whatever it says.
	TLS *tls.Config
	// Now is the clock; time.Now when nil.
	Now func() time.Time
}

// Client makes single tries. It is safe for concurrent use.
type Client struct {
	http      *http.Client
	transport *http.Transport
	allowHTTP bool
	now       func() time.Time
}

// NewClient makes a client; the zero [Options] are safe.
func NewClient(opts Options) *Client {
	if opts.ConnectTimeout == 0 {
		opts.ConnectTimeout = 5 * time.Second
	}
	if opts.Timeout == 0 {
		opts.Timeout = 20 * time.Second
	}
	if opts.IdlePerHost == 0 {
		opts.IdlePerHost = 16
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	transport := opts.Guard.Transport(opts.ConnectTimeout)
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 1024, opts.IdlePerHost
	if opts.TLS != nil {
		transport.TLSClientConfig = opts.TLS.Clone()
		transport.TLSClientConfig.MinVersion = max(opts.TLS.MinVersion, tls.VersionTLS12)
	}
	return &Client{
		transport: transport,
		allowHTTP: opts.AllowHTTP,
		now:       opts.Now,
		http: &http.Client{
			Transport: transport,
			Timeout:   opts.Timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse
			},
		},
	}
}

// Send makes one try. It never fails otherwise than by its [Outcome]: a failing receiver
// is an expected answer, and cancelling ctx ends in [Interrupted].
func (c *Client) Send(ctx context.Context, endpoint string, secrets Secrets, msg Message) Outcome {
	start := c.now()
	out := c.send(ctx, endpoint, secrets, msg)
	out.Duration = c.now().Sub(start)
	return out
}

func (c *Client) send(ctx context.Context, endpoint string, secrets Secrets, msg Message) Outcome {
	req, err := NewRequest(ctx, endpoint, secrets, msg)
	if err != nil {
		return Outcome{Reason: Invalid}
	}
	if req.URL.Scheme != "https" && !c.allowHTTP {
		return fromError(errInsecure, false)
	}
	var tlsFailed atomic.Bool
	trace := &httptrace.ClientTrace{TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
		tlsFailed.Store(err != nil)
	}}
	resp, err := c.http.Do(req.WithContext(httptrace.WithClientTrace(ctx, trace)))
	if err != nil {
		return fromError(err, tlsFailed.Load())
	}
	// The status decides. What the body does, even breaking off, changes nothing.
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	_ = resp.Body.Close()
	return fromStatus(resp.StatusCode, resp.Header, c.now())
}

// Close closes the connections that are kept open.
func (c *Client) Close() { c.transport.CloseIdleConnections() }
