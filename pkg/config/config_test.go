package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/config"
)

func load(t *testing.T, environ ...string) config.Config {
	t.Helper()
	cfg, err := config.Load(environ)
	require.NoError(t, err)
	require.NoError(t, cfg.Complete())
	return cfg
}

func TestZeroConfigurationRuns(t *testing.T) {
	t.Parallel()
	cfg := load(t)
	require.Equal(t, "sqlite:data/signbus.db", cfg.DB)
	require.Equal(t, "http://127.0.0.1:8080", cfg.PublicURL)
	require.False(t, cfg.OutsideNATS())
	require.Equal(t, config.Default().WebhookSchedule, cfg.WebhookSchedule)
}

func TestEnvironmentReplacesDefaults(t *testing.T) {
	t.Parallel()
	cfg := load(t, "SIGNBUS_HTTP=0.0.0.0:80", "SIGNBUS_NATS=nats://a:4222,nats://b:4222", "SIGNBUS_WEBHOOK_SCHEDULE=1s,2m",
		"SIGNBUS_PUBLIC_URL=https://sign.example.com/", "SIGNBUS_WEBHOOK_ALLOW=10.1.0.0/16,::1/128", "SIGNBUS_CLIENT_CODE=x", "SIGNBUS_KEY_PASSPHRASE=x", "PATH=/bin")
	require.True(t, cfg.OutsideNATS())
	require.Equal(t, []time.Duration{time.Second, 2 * time.Minute}, cfg.WebhookSchedule)
	require.Equal(t, "https://sign.example.com", cfg.PublicURL)
	require.Equal(t, []string{"10.1.0.0/16", "::1/128"}, cfg.WebhookAllow)
}

func TestUnknownVariablesAreRefused(t *testing.T) {
	t.Parallel()
	_, err := config.Load([]string{"SIGNBUS_HTPP=x", "SIGNBUS_DATABASE=y"})
	require.ErrorContains(t, err, "SIGNBUS_HTPP")
	require.ErrorContains(t, err, "SIGNBUS_DATABASE")
}

func TestEveryProblemIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	cfg, err := config.Load([]string{
		"SIGNBUS_HTTP=nowhere", "SIGNBUS_NATS=0.0.0.0:4222", "SIGNBUS_DEV=true", "SIGNBUS_NATS_REPLICAS=7", "SIGNBUS_SECRET=short",
		"SIGNBUS_MAX_BODY=0", "SIGNBUS_MAX_PAGES=-1", "SIGNBUS_WAIT=0s", "SIGNBUS_STOP_AFTER=0s", "SIGNBUS_PUBLIC_URL=ftp://x",
		"SIGNBUS_SMTP=mail.example.com", "SIGNBUS_WEBHOOK_ALLOW=10.1.0.0", "SIGNBUS_WEBHOOK_SCHEDULE=-1s", "SIGNBUS_STREAM_BYTES=-1",
	})
	require.NoError(t, err)
	err = cfg.Complete()
	for _, name := range []string{
		"HTTP", "NATS:", "NATS_REPLICAS", "SECRET", "MAX_BODY", "MAX_PAGES", "WAIT", "STOP_AFTER", "PUBLIC_URL", "SMTP",
		"WEBHOOK_ALLOW", "WEBHOOK_SCHEDULE", "STREAM_BYTES",
	} {
		require.ErrorContains(t, err, "SIGNBUS_"+name)
	}
	require.NotContains(t, err.Error(), "short", "a secret is not repeated")
}

func TestSecretFromFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret")
	secret := strings.Repeat("s", 32)
	require.NoError(t, os.WriteFile(path, []byte(secret+"\n"), 0o600))
	require.Equal(t, secret, load(t, "SIGNBUS_SECRET_FILE="+path).Secret)
}

func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	cfg := load(t, "SIGNBUS_SECRET="+strings.Repeat("s", 32), "SIGNBUS_SMTP=smtp://u:hidden@h:25",
		"SIGNBUS_DB=postgres://app:hidden@db/signbus", "SIGNBUS_NATS=nats://u:hidden@n:4222")
	for _, v := range cfg.Describe() {
		require.NotContains(t, v.Value, "hidden", v.Env)
		require.NotContains(t, v.Value, "sss", v.Env)
	}
}

func TestEveryVariableIsDescribed(t *testing.T) {
	t.Parallel()
	for _, v := range config.Reference() {
		require.True(t, strings.HasPrefix(v.Env, "SIGNBUS_"), v.Env)
		require.NotEmpty(t, v.Since, v.Env)
		require.True(t, strings.HasSuffix(v.Description, "."), v.Env)
	}
}

func TestDevelopmentAllowsThisMachineOnly(t *testing.T) {
	t.Parallel()
	cfg := load(t, "SIGNBUS_DEV=true")
	require.True(t, cfg.WebhookHTTP)
	require.Equal(t, []string{"127.0.0.0/8", "::1/128"}, cfg.WebhookAllow)
}
