package store

import (
	"database/sql/driver"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// A connection that was lost inside a transaction once looked like a fault of the message.
func TestALostConnectionIsUnavailable(t *testing.T) {
	t.Parallel()
	for _, e := range []engine{sqliteEngine{}, postgresEngine{}} {
		require.ErrorIs(t, e.interpret(fmt.Errorf("exec: %w", driver.ErrBadConn)), ErrUnavailable)
	}
}
