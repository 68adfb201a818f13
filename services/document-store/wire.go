package documentstore

import (
	"context"

	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/service"
	"signbus.dev/pkg/subjects"
)

// Wire builds the service on a platform.
func Wire(ctx context.Context, p *service.Platform) (service.Unit, error) {
	if err := Migrate(ctx, p.DB); err != nil {
		return service.Unit{}, err
	}
	s := New(Options{
		DB: p.DB, Conn: p.Conn, JS: p.JS, Publisher: p.Publisher, Blobs: p.Blobs, Log: p.Log, Metrics: p.Metrics,
		Limits: pdf.Limits{Bytes: p.Config.MaxBody, Pages: p.Config.MaxPages},
	})
	return service.Unit{Name: subjects.DocumentStore, Run: s.Run}, nil
}
