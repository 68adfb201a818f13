package relay

import (
	"fmt"
	"os"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"signbus.dev/services/notification-relay/webhook"
)

// The README says what the code does.
func TestReadmeTellsTheDefaults(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("README.md")
	require.NoError(t, err)
	readme := string(raw)
	require.Contains(t, readme, webhook.DefaultSchedule().Markdown())
	cfg := Default()
	require.Equal(t, webhook.DefaultSchedule(), cfg.Schedule)
	for _, row := range []struct {
		setting string
		value   any
	}{
		{"tries under way to one endpoint", cfg.PerEndpoint},
		{"tries under way to all endpoints of a customer", cfg.PerCustomer},
		{"tries under way in one process", cfg.Total},
		{"failures in a row that open the breaker", cfg.Breaker.Failures},
		{"first pause", cfg.Breaker.Pause},
		{"longest pause", cfg.Breaker.MaxPause},
		{"failing time after which an endpoint is disabled", cfg.Breaker.DisableAfter},
		{"claim of a process without a sign of life", cfg.Lease},
		{"grace for tries under way at the stop", cfg.Grace},
		{"search for work of other processes", cfg.Poll},
		{"ended deliveries are kept", cfg.Retention},
	} {
		require.Contains(t, readme, fmt.Sprintf("| %s | %v |\n", row.setting, row.value))
	}
	for _, reason := range webhook.Reasons() {
		require.Contains(t, readme, "`"+string(reason)+"`")
	}
}

func TestReadmeTellsTheMetrics(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("README.md")
	require.NoError(t, err)
	reg := prometheus.NewPedanticRegistry()
	m := newMetrics(reg)
	m.attempted(webhook.Outcome{Reason: webhook.Accepted}, verdict{status: Delivered, disabled: disabledGone, stale: true})
	m.ended.WithLabelValues(string(Delivered)).Inc()
	families, err := reg.Gather()
	require.NoError(t, err)
	require.Len(t, families, 9)
	for _, family := range families {
		require.Contains(t, string(raw), "`"+family.GetName())
	}
}

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	require.NoError(t, Default().Validate())
	err := Config{Schedule: webhook.Schedule{-1}}.Validate()
	require.ErrorIs(t, err, webhook.ErrSchedule)
	for _, part := range []string{"concurrency", "at least 1 failure", "longest pause", "disabled", "retention"} {
		require.ErrorContains(t, err, part, "every problem at once")
	}
}
