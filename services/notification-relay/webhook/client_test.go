package webhook_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/guard"
	"signbus.dev/services/notification-relay/webhook"
)

func devOptions() webhook.Options {
	return webhook.Options{
		Guard:     guard.New(netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")),
		AllowHTTP: true,
	}
}

func newClient(t *testing.T, opts webhook.Options) *webhook.Client {
	t.Helper()
	c := webhook.NewClient(opts)
	t.Cleanup(c.Close)
	return c
}

func message(t *testing.T) webhook.Message {
	t.Helper()
	return webhook.Message{Event: sampleEvent(t), Mode: webhook.Structured, Attempt: 1, At: time.Now()}
}

func TestSendClassifiesAnswers(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC)
	opts := devOptions()
	opts.Now = func() time.Time { return now }
	client := newClient(t, opts)
	for name, c := range map[string]struct {
		status     int
		retryAfter string
		want       webhook.Outcome
	}{
		"200":                    {200, "", webhook.Outcome{Reason: webhook.Accepted}},
		"204":                    {204, "", webhook.Outcome{Reason: webhook.Accepted}},
		"299 with Retry-After":   {299, "60", webhook.Outcome{Reason: webhook.Accepted}},
		"301":                    {301, "", webhook.Outcome{Reason: webhook.Redirected}},
		"308":                    {308, "", webhook.Outcome{Reason: webhook.Redirected}},
		"304":                    {304, "", webhook.Outcome{Reason: webhook.Redirected}},
		"400":                    {400, "", webhook.Outcome{Reason: webhook.Refused}},
		"404":                    {404, "", webhook.Outcome{Reason: webhook.Refused}},
		"410":                    {410, "60", webhook.Outcome{Reason: webhook.Gone}},
		"429 seconds":            {429, "120", webhook.Outcome{Reason: webhook.Throttled, RetryAfter: 2 * time.Minute}},
		"429 none":               {429, "", webhook.Outcome{Reason: webhook.Throttled}},
		"503 date":               {503, now.Add(time.Hour).Format(http.TimeFormat), webhook.Outcome{Reason: webhook.Throttled, RetryAfter: time.Hour}},
		"503 date gone by":       {503, now.Add(-time.Hour).Format(http.TimeFormat), webhook.Outcome{Reason: webhook.Throttled}},
		"503 too far":            {503, "99999999", webhook.Outcome{Reason: webhook.Throttled, RetryAfter: 24 * time.Hour}},
		"503 overflow":           {503, "99999999999999999999999", webhook.Outcome{Reason: webhook.Throttled, RetryAfter: 24 * time.Hour}},
		"503 date too far":       {503, now.Add(1000 * time.Hour).Format(http.TimeFormat), webhook.Outcome{Reason: webhook.Throttled, RetryAfter: 24 * time.Hour}},
		"503 nonsense":           {503, "-5", webhook.Outcome{Reason: webhook.Throttled}},
		"500":                    {500, "", webhook.Outcome{Reason: webhook.ServerError}},
		"502 honoured as well":   {502, "7", webhook.Outcome{Reason: webhook.ServerError, RetryAfter: 7 * time.Second}},
		"999 is no success":      {999, "", webhook.Outcome{Reason: webhook.ServerError}},
		"418 with a long answer": {418, "", webhook.Outcome{Reason: webhook.Refused}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if c.retryAfter != "" {
					w.Header().Set("Retry-After", c.retryAfter)
				}
				w.WriteHeader(c.status)
				if c.status == 418 {
					_, _ = w.Write(bytes.Repeat([]byte("x"), 1<<20))
				}
			}))
			t.Cleanup(server.Close)
			got := client.Send(t.Context(), server.URL, secrets(t, oldSecret), message(t))
			c.want.Status = c.status
			require.Equal(t, c.want, got)
			require.Equal(t, c.want.Reason == webhook.Accepted, got.Delivered())
			require.Equal(t, c.want.Reason == webhook.Gone, got.Disables())
			require.True(t, got.Counts())
		})
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	var followed atomic.Bool
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Store(true) }))
	t.Cleanup(target.Close)
	server := httptest.NewServer(http.RedirectHandler(target.URL, http.StatusTemporaryRedirect))
	t.Cleanup(server.Close)
	got := newClient(t, devOptions()).Send(t.Context(), server.URL, secrets(t, oldSecret), message(t))
	require.Equal(t, webhook.Redirected, got.Reason)
	require.False(t, followed.Load())
}

func TestGuardHoldsAtConnectTime(t *testing.T) {
	t.Parallel()
	var reached atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	client := newClient(t, webhook.Options{AllowHTTP: true})
	// "localhost" is a public-looking name that resolves to loopback; the others are ways
	// to write 127.0.0.1 that a check of the text would miss.
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::1]"} {
		got := client.Send(t.Context(), fmt.Sprintf("http://%s/", net.JoinHostPort(strings.Trim(host, "[]"), port)), secrets(t, oldSecret), message(t))
		require.Equal(t, webhook.NotAllowed, got.Reason, host)
	}
	require.False(t, reached.Load())
}

func TestProxyOfTheEnvironmentIsIgnored(t *testing.T) {
	var proxied atomic.Bool
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { proxied.Store(true) }))
	t.Cleanup(proxy.Close)
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("HTTPS_PROXY", proxy.URL)
	got := newClient(t, devOptions()).Send(t.Context(), "http://receiver.invalid/", secrets(t, oldSecret), message(t))
	require.Equal(t, webhook.NoName, got.Reason)
	require.False(t, proxied.Load())
}

func TestHTTPOnlyWhereAllowed(t *testing.T) {
	t.Parallel()
	opts := devOptions()
	opts.AllowHTTP = false
	got := newClient(t, opts).Send(t.Context(), "http://127.0.0.1:1/", secrets(t, oldSecret), message(t))
	require.Equal(t, webhook.Insecure, got.Reason)
}

func TestTLS(t *testing.T) {
	t.Parallel()
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	server := httptest.NewUnstartedServer(ok)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())

	trusting := devOptions()
	trusting.TLS = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS10}
	client := newClient(t, trusting)
	require.Equal(t, webhook.Accepted, client.Send(t.Context(), server.URL, secrets(t, oldSecret), message(t)).Reason)
	require.Equal(t, webhook.BadTLS, newClient(t, devOptions()).Send(t.Context(), server.URL, secrets(t, oldSecret), message(t)).Reason)

	old := httptest.NewUnstartedServer(ok)
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	old.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	old.StartTLS()
	t.Cleanup(old.Close)
	require.Equal(t, webhook.BadTLS, client.Send(t.Context(), old.URL, secrets(t, oldSecret), message(t)).Reason)

	plain := httptest.NewServer(ok)
	t.Cleanup(plain.Close)
	require.Equal(t, webhook.BadTLS, client.Send(t.Context(), "https"+strings.TrimPrefix(plain.URL, "http"), secrets(t, oldSecret), message(t)).Reason)
}

func TestSendClassifiesFailures(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	client := newClient(t, devOptions())
	require.Equal(t, webhook.Unreachable, client.Send(t.Context(), "http://"+closed.Addr().String(), secrets(t, oldSecret), message(t)).Reason)
	require.Equal(t, webhook.NoName, client.Send(t.Context(), "http://receiver.invalid/", secrets(t, oldSecret), message(t)).Reason)
	require.Equal(t, webhook.Invalid, client.Send(t.Context(), "nonsense", secrets(t, oldSecret), message(t)).Reason)
	require.Equal(t, webhook.Invalid, client.Send(t.Context(), "http://127.0.0.1/", webhook.Secrets{}, message(t)).Reason)
}

func TestTimeoutAndCancellation(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	hanging := func(reached func()) string {
		server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			reached()
			<-release
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	hasty := devOptions()
	hasty.Timeout = 50 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	slow, left := hanging(func() {}), hanging(cancel)
	t.Cleanup(func() { close(release) })

	got := newClient(t, hasty).Send(t.Context(), slow, secrets(t, oldSecret), message(t))
	require.Equal(t, webhook.Timeout, got.Reason)
	require.True(t, got.Counts())

	got = newClient(t, devOptions()).Send(ctx, left, secrets(t, oldSecret), message(t))
	require.Equal(t, webhook.Interrupted, got.Reason)
	require.False(t, got.Counts(), "the receiver is not to blame")
}

func TestAnswerIsBounded(t *testing.T) {
	t.Parallel()
	var written atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			n, err := w.Write(make([]byte, 32<<10))
			written.Add(int64(n))
			if err != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	got := newClient(t, devOptions()).Send(t.Context(), server.URL, secrets(t, oldSecret), message(t))
	require.Equal(t, webhook.Accepted, got.Reason, "an endless body neither hangs nor fails the try")
	require.Less(t, written.Load(), int64(64<<20), "of which only the beginning is read")

	header := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("x", 1<<20))
	}))
	t.Cleanup(header.Close)
	got = newClient(t, devOptions()).Send(t.Context(), header.URL, secrets(t, oldSecret), message(t))
	require.Equal(t, webhook.Unreachable, got.Reason)
}

func TestConnectionsAreKept(t *testing.T) {
	t.Parallel()
	var connections atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("thank you"))
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	client := newClient(t, devOptions())
	for range 5 {
		require.Equal(t, webhook.Accepted, client.Send(t.Context(), server.URL, secrets(t, oldSecret), message(t)).Reason)
	}
	require.Equal(t, int64(1), connections.Load())
}

func TestOutcomeLogsNothingOfTheAnswer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "secret of the receiver", http.StatusInternalServerError)
	}))
	t.Cleanup(server.Close)
	got := newClient(t, devOptions()).Send(t.Context(), server.URL+"/private-path", secrets(t, oldSecret), message(t))
	var line bytes.Buffer
	slog.New(slog.NewJSONHandler(&line, nil)).Info("attempt", "outcome", got)
	require.Contains(t, line.String(), `"reason":"server_error","status":500`)
	require.NotContains(t, line.String(), "secret of the receiver")
	require.NotContains(t, line.String(), "private-path")
}
