package providerdispatch

import (
	"context"

	"signbus.dev/pkg/journal"
	"signbus.dev/pkg/service"
	"signbus.dev/pkg/subjects"
)

// Wire builds the service on a platform.
func Wire(ctx context.Context, p *service.Platform) (service.Unit, error) {
	if err := journal.Migrate(ctx, p.DB); err != nil {
		return service.Unit{}, err
	}
	if err := Migrate(ctx, p.DB); err != nil {
		return service.Unit{}, err
	}
	s, err := New(Options{
		DB: p.DB, Conn: p.Conn, JS: p.JS, Publisher: p.Publisher, Log: p.Log, Metrics: p.Metrics, Registerer: p.Registry,
	})
	if err != nil {
		return service.Unit{}, err
	}
	return service.Unit{Name: subjects.ProviderDispatch, Run: s.Run}, nil
}
