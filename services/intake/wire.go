package intake

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"signbus.dev/pkg/service"
	"signbus.dev/pkg/subjects"
	"signbus.dev/schemas"
)

// Wire builds the service on a platform.
func Wire(ctx context.Context, p *service.Platform) (service.Unit, error) {
	if err := Migrate(ctx, p.DB); err != nil {
		return service.Unit{}, err
	}
	s := New(Options{
		DB: p.DB, Conn: p.Conn, JS: p.JS, Publisher: p.Publisher, Blobs: p.Blobs, Log: p.Log,
		MaxBody: p.Config.MaxBody, Wait: p.Config.Wait, Registerer: p.Registry, Metrics: p.Metrics,
	})
	api := s.Handler()
	routes := map[string]http.Handler{"/gosign/": api, "/legalbus/": api}
	for path, read := range map[string]func() ([]byte, error){"openapi.yaml": schemas.OpenAPI, "asyncapi.yaml": schemas.AsyncAPI} {
		text, err := read()
		if err != nil {
			return service.Unit{}, fmt.Errorf("read %s: %w", path, err)
		}
		routes["GET /"+path] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/yaml")
			http.ServeContent(w, r, path, time.Time{}, bytes.NewReader(text))
		})
	}
	return service.Unit{Name: subjects.Intake, Run: s.Run, Ready: s.Ready, Routes: routes}, nil
}
