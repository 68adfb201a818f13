package relay

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"signbus.dev/pkg/guard"
	"signbus.dev/pkg/service"
	"signbus.dev/pkg/subjects"
	"signbus.dev/services/notification-relay/webhook"
)

var errNotReady = errors.New("the subscriptions are not read yet")

// Wire builds the service on a platform.
func Wire(ctx context.Context, p *service.Platform) (service.Unit, error) {
	if err := Migrate(ctx, p.DB); err != nil {
		return service.Unit{}, err
	}
	var allow []netip.Prefix
	for _, cidr := range p.Config.WebhookAllow {
		prefix, err := netip.ParsePrefix(cidr)
		if err != nil {
			return service.Unit{}, fmt.Errorf("SIGNBUS_WEBHOOK_ALLOW: %w", err)
		}
		allow = append(allow, prefix)
	}
	cfg := Default()
	// The first attempt follows the event at once; the configuration names the pauses after it.
	cfg.Schedule = append(webhook.Schedule{time.Duration(0)}, p.Config.WebhookSchedule...)
	s := New(Options{
		DB: p.DB, Conn: p.Conn, JS: p.JS, Publisher: p.Publisher, Log: p.Log, Config: &cfg,
		Client: webhook.NewClient(webhook.Options{
			Guard: guard.New(allow...), AllowHTTP: p.Config.WebhookHTTP, IdlePerHost: cfg.PerEndpoint,
		}),
		Metrics: p.Metrics, Registerer: p.Registry,
	})
	return service.Unit{
		Name: subjects.NotificationRelay, Run: s.Run,
		Ready: func(context.Context) error {
			if !s.Ready() {
				return errNotReady
			}
			return nil
		},
	}, nil
}
