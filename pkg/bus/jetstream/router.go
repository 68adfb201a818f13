package jetstream

import (
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
)

// routerTimeout bounds how long a router waits for its handlers; a process has 10 s to stop.
const routerTimeout = 8 * time.Second

// NewRouter returns a router for handlers. What a handler publishes carries the
// correlation id and the trace of what it handled, and a panic is an error of that one
// message. Its Run ends with its context. The router's own chatter is logged as debug.
func NewRouter(log *slog.Logger) (*message.Router, error) {
	levels := map[slog.Level]slog.Level{
		slog.LevelInfo: slog.LevelDebug, slog.LevelDebug: watermill.LevelTrace, watermill.LevelTrace: watermill.LevelTrace,
	}
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: routerTimeout}, watermill.NewSlogLoggerWithLevelMapping(log, levels))
	if err != nil {
		return nil, err
	}
	router.AddMiddleware(middleware.CorrelationID, keepTrace, middleware.Recoverer)
	return router, nil
}

// keepTrace gives what a handler publishes the context, and so the trace, of what it
// handled.
func keepTrace(h message.HandlerFunc) message.HandlerFunc {
	return func(in *message.Message) ([]*message.Message, error) {
		produced, err := h(in)
		for _, out := range produced {
			out.SetContext(in.Context())
		}
		return produced, err
	}
}
