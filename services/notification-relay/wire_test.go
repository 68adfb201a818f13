package relay

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/config"
	"signbus.dev/services/notification-relay/webhook"
)

// The configuration names the pauses after the first attempt, which follows the event at once.
func TestConfiguredScheduleIsThePublishedOne(t *testing.T) {
	t.Parallel()
	require.Equal(t, []time.Duration(webhook.DefaultSchedule()[1:]), config.Default().WebhookSchedule)
}
