package relay

import (
	"log/slog"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// A customer with a hundred endpoints that answer slowly, and well, took every place.
func TestRegressionOneCustomerLeavesPlacesForOthers(t *testing.T) {
	t.Parallel()
	d := newDispatcher(&ledger{cfg: Default()}, nil, nil, slog.New(slog.DiscardHandler), newMetrics(nil))
	for i := range 100 {
		key := endpointKey{customer: "busy", subscription: strconv.Itoa(i)}
		for range d.free(due{endpointKey: key}) {
			d.occupy(attempt{lane: lane{endpointKey: key}, claim: strconv.Itoa(i)}, 1)
		}
	}
	require.Equal(t, Default().PerCustomer, d.total)
	require.Equal(t, Default().PerEndpoint, d.free(due{endpointKey: endpointKey{customer: "other", subscription: "s"}}))
}
