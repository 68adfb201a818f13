package e2e

import (
	_ "github.com/cloudevents/sdk-go/v2/event"
	_ "github.com/nats-io/nats.go/jetstream"
	_ "github.com/stretchr/testify/require"
)
