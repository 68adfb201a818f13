package webhook_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"signbus.dev/services/notification-relay/webhook"
)

const (
	oldSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	newSecret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
)

func sampleEvent(t *testing.T) event.Event {
	t.Helper()
	ev := event.New()
	ev.SetID("01jd3v9k4q8r5m2n7p6s1t0w3x")
	ev.SetSource("signbus/demo/ERP")
	ev.SetType("dev.signbus.envelope.sent")
	ev.SetSubject(`Contratto "49%" è`)
	ev.SetTime(time.Date(2026, 11, 22, 18, 0, 0, 123456000, time.UTC))
	ev.SetExtension("sequence", "00000000000000000003")
	ev.SetExtension("customer", "demo")
	ev.SetExtension("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	require.NoError(t, ev.SetData(event.ApplicationJSON, map[string]string{"extId": "C-1"}))
	return ev
}

func secrets(t *testing.T, texts ...string) webhook.Secrets {
	t.Helper()
	s, err := webhook.ParseSecrets(texts...)
	require.NoError(t, err)
	return s
}

func body(t *testing.T, req *http.Request) []byte {
	t.Helper()
	b, err := io.ReadAll(req.Body)
	require.NoError(t, err)
	return b
}

func TestRequestIsVerifiedByTheStandardLibraryOfTheSpecification(t *testing.T) {
	t.Parallel()
	for _, mode := range []webhook.Mode{webhook.Structured, webhook.Binary} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			now := time.Now()
			req, err := webhook.NewRequest(t.Context(), "https://erp.example/hook", secrets(t, oldSecret, newSecret), webhook.Message{
				Event: sampleEvent(t), Mode: mode, Attempt: 2, At: now, NextAttempt: now.Add(5 * time.Minute),
			})
			require.NoError(t, err)
			payload := body(t, req)
			require.Equal(t, http.MethodPost, req.Method)
			require.Equal(t, int64(len(payload)), req.ContentLength)
			require.Len(t, strings.Fields(req.Header.Get("webhook-signature")), 2)
			require.Equal(t, "01jd3v9k4q8r5m2n7p6s1t0w3x", req.Header.Get("webhook-id"))
			require.Equal(t, "2", req.Header.Get("webhook-attempt"))
			require.Equal(t, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", req.Header.Get("traceparent"))
			require.Equal(t, now.Add(5*time.Minute).UTC().Format(time.RFC3339), req.Header.Get("webhook-next-attempt"))

			for _, secret := range []string{oldSecret, newSecret} {
				verifier, err := standardwebhooks.NewWebhook(secret)
				require.NoError(t, err)
				require.NoError(t, verifier.Verify(payload, req.Header))
				require.ErrorIs(t, verifier.Verify(append(payload, ' '), req.Header), standardwebhooks.ErrNoMatchingSignature)
			}
			stranger, err := standardwebhooks.NewWebhook("whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 32)))
			require.NoError(t, err)
			require.ErrorIs(t, stranger.Verify(payload, req.Header), standardwebhooks.ErrNoMatchingSignature)
		})
	}
}

// The vector is the one that the documentation of Standard Webhooks' reference
// implementations carries.
func TestSignatureOfThePublishedVector(t *testing.T) {
	t.Parallel()
	ev := sampleEvent(t)
	ev.SetID("msg_p5jXN8AQM9LWM0D4loKWxJek")
	require.NoError(t, ev.SetData(event.ApplicationJSON, []byte(`{"test": 2432232314}`)))
	req, err := webhook.NewRequest(t.Context(), "https://erp.example/", secrets(t, oldSecret),
		webhook.Message{Event: ev, Mode: webhook.Binary, Attempt: 1, At: time.Unix(1614265330, 0)})
	require.NoError(t, err)
	require.Equal(t, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", req.Header.Get("webhook-signature"))
	require.Equal(t, "1614265330", req.Header.Get("webhook-timestamp"))
	require.Empty(t, req.Header.Values("webhook-next-attempt"), "the last try announces no other")
}

func TestStructuredModeIsReadBackByTheSDK(t *testing.T) {
	t.Parallel()
	want := sampleEvent(t)
	req, err := webhook.NewRequest(t.Context(), "https://erp.example/", secrets(t, oldSecret),
		webhook.Message{Event: want, Mode: webhook.Structured, Attempt: 1, At: time.Now()})
	require.NoError(t, err)
	got, err := binding.ToEvent(t.Context(), cehttp.NewMessageFromHttpRequest(req))
	require.NoError(t, err)
	require.Equal(t, want.String(), got.String())
	for name := range req.Header {
		require.False(t, strings.HasPrefix(strings.ToLower(name), "ce-"), "%s", name)
	}
}

func TestBinaryModeIsReadBackByTheSDKAfterDecodingTheHeaders(t *testing.T) {
	t.Parallel()
	want := sampleEvent(t)
	req, err := webhook.NewRequest(t.Context(), "https://erp.example/", secrets(t, oldSecret),
		webhook.Message{Event: want, Mode: webhook.Binary, Attempt: 1, At: time.Now()})
	require.NoError(t, err)
	require.Equal(t, "Contratto%20%2249%25%22%20%C3%A8", req.Header.Get("ce-subject"))
	require.Equal(t, "signbus/demo/ERP", req.Header.Get("ce-source"))
	require.Equal(t, "application/json", req.Header.Get("Content-Type"))
	for name, values := range req.Header {
		if strings.HasPrefix(name, "Ce-") {
			decoded, err := url.PathUnescape(values[0])
			require.NoError(t, err)
			req.Header.Set(name, decoded)
		}
	}
	got, err := binding.ToEvent(t.Context(), cehttp.NewMessageFromHttpRequest(req))
	require.NoError(t, err)
	require.Equal(t, want.String(), got.String())
}

func TestNewRequestRefuses(t *testing.T) {
	t.Parallel()
	good := webhook.Message{Event: sampleEvent(t), Mode: webhook.Structured, Attempt: 1, At: time.Now()}
	spaced := good
	spaced.Event = sampleEvent(t)
	spaced.Event.SetID("a b")
	incomplete := good
	incomplete.Event = event.New()
	modeless := good
	modeless.Mode = "batched"
	for name, c := range map[string]struct {
		url     string
		secrets webhook.Secrets
		msg     webhook.Message
		want    error
	}{
		"no secret":        {"https://erp.example/", webhook.Secrets{}, good, webhook.ErrNoSecret},
		"id with a space":  {"https://erp.example/", secrets(t, oldSecret), spaced, webhook.ErrEvent},
		"incomplete event": {"https://erp.example/", secrets(t, oldSecret), incomplete, webhook.ErrEvent},
		"unknown mode":     {"https://erp.example/", secrets(t, oldSecret), modeless, webhook.ErrMode},
		"other scheme":     {"ftp://erp.example/", secrets(t, oldSecret), good, webhook.ErrURL},
		"relative":         {"/hook", secrets(t, oldSecret), good, webhook.ErrURL},
		"no host":          {"https://:443/", secrets(t, oldSecret), good, webhook.ErrURL},
		"broken":           {"https://user:pa ss@erp.example/%zz", secrets(t, oldSecret), good, webhook.ErrURL},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := webhook.NewRequest(t.Context(), c.url, c.secrets, c.msg)
			require.ErrorIs(t, err, c.want)
			require.NotContains(t, err.Error(), "erp.example", "an address may carry credentials")
		})
	}
}

func TestParseSecrets(t *testing.T) {
	t.Parallel()
	encode := func(n int) string { return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"24 bytes":   {encode(24), true},
		"64 bytes":   {encode(64), true},
		"23 bytes":   {encode(23), false},
		"65 bytes":   {encode(65), false},
		"no prefix":  {strings.TrimPrefix(oldSecret, "whsec_"), false},
		"not base64": {"whsec_????????????????????????????????", false},
		"empty":      {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := webhook.ParseSecrets(newSecret, c.text)
			if c.ok {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, webhook.ErrSecret)
			require.Contains(t, err.Error(), "secret 2")
			if c.text != "" {
				require.NotContains(t, err.Error(), strings.TrimPrefix(c.text, "whsec_"))
			}
		})
	}
	_, err := webhook.ParseSecrets()
	require.ErrorIs(t, err, webhook.ErrNoSecret)
}

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	s := secrets(t, oldSecret, newSecret)
	require.Equal(t, "2 secrets", s.String())
	require.Equal(t, "2 secrets", s.GoString())
	require.Equal(t, "2 secrets", s.LogValue().String())
}

func TestParseMode(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]webhook.Mode{"": webhook.Binary, "structured": webhook.Structured, "binary": webhook.Binary} {
		got, err := webhook.ParseMode(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := webhook.ParseMode("Binary")
	require.ErrorIs(t, err, webhook.ErrMode)
}

func FuzzBinaryHeadersSurviveTheWire(f *testing.F) {
	f.Add("C-1")
	f.Add("è \" % \r\n\x00")
	f.Add("%41")
	parsed, err := webhook.ParseSecrets(oldSecret)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, subject string) {
		ev := sampleEvent(t)
		ev.SetSubject(subject)
		req, err := webhook.NewRequest(t.Context(), "https://erp.example/", parsed,
			webhook.Message{Event: ev, Mode: webhook.Binary, Attempt: 1, At: time.Now()})
		if err != nil {
			require.ErrorIs(t, err, webhook.ErrEvent)
			return
		}
		got := req.Header.Get("ce-subject")
		for _, c := range []byte(got) {
			require.True(t, c > ' ' && c < 0x7f && c != '"', "%q", got)
		}
		decoded, err := url.PathUnescape(got)
		require.NoError(t, err)
		require.Equal(t, ev.Subject(), decoded)
	})
}
