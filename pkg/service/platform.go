// Package service runs services: it opens what they stand on in order, runs them, serves
// their HTTP handlers on one port, and stops everything in reverse within one deadline.
// One process may hold one service or all of them. The package does not know any of them.
package service

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"signbus.dev/pkg/blob"
	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/config"
	"signbus.dev/pkg/embednats"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/telemetry"
)

// Platform is what services stand on. A service takes from it what it needs.
type Platform struct {
	Config    config.Config
	Log       *slog.Logger
	Registry  *prometheus.Registry
	Metrics   *bus.Metrics
	DB        *store.DB
	Conn      *nats.Conn
	JS        jetstream.JetStream
	Publisher *bus.Publisher
	Blobs     blob.Store
	// Secret protects keys and links; the same in every process of an installation.
	Secret []byte
	// Out is where development mails are printed.
	Out io.Writer

	server *embednats.Server
}

// Open opens the platform: the embedded NATS server unless an outside one is configured,
// the database, the connection, the streams, the blob store.
func Open(ctx context.Context, cfg config.Config, log *slog.Logger, out io.Writer) (p *Platform, err error) {
	p = &Platform{Config: cfg, Log: log, Registry: telemetry.NewRegistry(), Out: out}
	p.Metrics = bus.NewMetrics(p.Registry)
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
			p = nil
		}
	}()
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return p, fmt.Errorf("open data folder: %w", err)
	}
	if p.DB, err = store.Open(ctx, cfg.DB); err != nil {
		return p, err
	}
	if err := bus.Migrate(ctx, p.DB); err != nil {
		return p, err
	}
	if p.Blobs, err = blob.NewDir(filepath.Join(cfg.Data, "blobs")); err != nil {
		return p, err
	}
	if p.Secret, err = secret(cfg); err != nil {
		return p, err
	}
	if err := p.connect(ctx); err != nil {
		return p, err
	}
	p.Publisher = bus.NewPublisher(p.JS)
	return p, p.createStreams(ctx)
}

func (p *Platform) connect(ctx context.Context) (err error) {
	url, opts := p.Config.NATS, []nats.Option{}
	if p.Config.NATSCreds != "" {
		opts = append(opts, nats.UserCredentials(p.Config.NATSCreds))
	}
	if !p.Config.OutsideNATS() {
		if p.server, err = p.startNATS(ctx); err != nil {
			return err
		}
		opts = append(opts, p.server.InProcess()...)
		url = nats.DefaultURL // not dialled: the connection stays inside the process
	}
	if p.Conn, err = bus.Connect(url, "signbus", p.Log, opts...); err != nil {
		return err
	}
	p.JS, err = jetstream.New(p.Conn)
	return err
}

// createStreams waits for NATS for as long as it takes: services may start in any order.
func (p *Platform) createStreams(ctx context.Context) error {
	limits := bus.Limits{
		Replicas: p.Config.Replicas, EventsAge: p.Config.EventsAge,
		EventsBytes: p.Config.StreamBytes, QueueBytes: p.Config.StreamBytes,
	}
	for {
		tryCtx, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := bus.CreateStreams(tryCtx, p.JS, limits)
		cancel()
		var refused *jetstream.APIError
		switch {
		case err == nil:
			return p.checkServer()
		case ctx.Err() != nil, errors.As(err, &refused) && refused.Code < 500:
			return err
		}
		p.Log.Warn("waiting for JetStream", "error", err)
		timer := time.NewTimer(time.Second)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

func (p *Platform) startNATS(ctx context.Context) (*embednats.Server, error) {
	opts := embednats.Options{Dir: filepath.Join(p.Config.Data, "nats"), Log: p.Log, Config: p.Config.NATSConfig}
	if p.Config.Dev || p.Config.NATSConfig != "" {
		opts.Listen = p.Config.NATS
	} else {
		p.Log.Info("NATS does not listen: set SIGNBUS_NATS_CONFIG to let external systems use the queue")
	}
	return embednats.Start(ctx, opts)
}

// minServer is the oldest NATS server that keeps what it acknowledged: earlier ones lose
// work-queue messages at max-deliver or corrupt compressed blocks.
var minServer = [3]int{2, 14, 3}

// checkServer refuses a server on which the promises of the bus do not hold.
func (p *Platform) checkServer() error {
	var have [3]int
	version := p.Conn.ConnectedServerVersion()
	if _, err := fmt.Sscanf(version, "%d.%d.%d", &have[0], &have[1], &have[2]); err != nil {
		return fmt.Errorf("NATS server: version %q is not understood", version)
	}
	if slices.Compare(have[:], minServer[:]) < 0 {
		return fmt.Errorf("NATS server: version %s loses messages; 2.14.3 or newer is needed", version)
	}
	if limit := p.Conn.MaxPayload(); limit < embednats.MaxPayload {
		return fmt.Errorf("NATS server: max_payload is %d; %d (8MB) is needed", limit, embednats.MaxPayload)
	}
	return nil
}

// secret returns the configured secret, or makes a random one and keeps it.
func secret(cfg config.Config) ([]byte, error) {
	if cfg.Secret != "" {
		return []byte(cfg.Secret), nil
	}
	path := filepath.Join(cfg.Data, "secret")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // in the data folder
	if errors.Is(err, fs.ErrExist) {
		data, err := os.ReadFile(path) //nolint:gosec // in the data folder
		if err != nil {
			return nil, fmt.Errorf("read secret: %w", err)
		}
		if text := strings.TrimSpace(string(data)); len(text) >= 26 {
			return []byte(text), nil
		}
		return nil, fmt.Errorf("read secret: %s is cut off; restore it from a backup, or remove it when nothing was signed yet", path)
	}
	if err != nil {
		return nil, fmt.Errorf("make secret: %w", err)
	}
	text := rand.Text() + rand.Text()
	_, err = f.WriteString(text + "\n")
	return []byte(text), errors.Join(err, f.Sync(), f.Close())
}

// ClientURL is where external systems connect to the embedded server; empty when they
// cannot, or when the server is an outside one.
func (p *Platform) ClientURL() string {
	if p.server == nil || (!p.Config.Dev && p.Config.NATSConfig == "") {
		return ""
	}
	return p.server.ClientURL()
}

// Close closes what Open opened, in reverse.
func (p *Platform) Close() error {
	if p.Conn != nil {
		p.Conn.Close()
	}
	if p.server != nil {
		p.server.Stop()
	}
	if p.DB != nil {
		return p.DB.Close()
	}
	return nil
}
