// Package service runs services: it opens what they stand on in order, runs them, serves
// their HTTP handlers on one port, and stops everything in reverse within one deadline.
// One process may hold one service or all of them. The package does not know any of them.
package service

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
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
		opts = append(opts, p.server.InProcess())
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
		if err == nil || ctx.Err() != nil || (errors.As(err, &refused) && refused.Code < 500) {
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

// natsUser is an entry of the file SIGNBUS_NATS_USERS.
type natsUser struct {
	User     string   `json:"user"`
	Password string   `json:"password"`
	Customer string   `json:"customer"`
	Systems  []string `json:"systems"`
}

func (p *Platform) startNATS(ctx context.Context) (*embednats.Server, error) {
	opts := embednats.Options{Dir: filepath.Join(p.Config.Data, "nats"), Log: p.Log}
	switch {
	case p.Config.Dev:
		opts.Listen = p.Config.NATS
	case p.Config.NATSUsers != "":
		users, err := readUsers(p.Config.NATSUsers)
		if err != nil {
			return nil, err
		}
		opts.Listen, opts.Users = p.Config.NATS, users
	default:
		p.Log.Info("NATS does not listen: set SIGNBUS_NATS_USERS to let external systems use the queue")
	}
	return embednats.Start(ctx, opts)
}

// readUsers gives each external system the subjects of its customer and nothing else.
func readUsers(path string) ([]embednats.User, error) {
	data, err := os.ReadFile(path) //nolint:gosec // the operator's own file
	if err != nil {
		return nil, fmt.Errorf("SIGNBUS_NATS_USERS: %w", err)
	}
	var list []natsUser
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("SIGNBUS_NATS_USERS: %w", err)
	}
	var users []embednats.User
	for i, u := range list {
		if u.User == "" || u.Password == "" || u.Customer == "" || len(u.Systems) == 0 {
			return nil, fmt.Errorf("SIGNBUS_NATS_USERS: entry %d needs user, password, customer and systems", i)
		}
		users = append(users, systemUser(u))
	}
	return users, nil
}

// systemUser may publish commands and queries of its systems, and make consumers on the
// events of its customer: a consumer's subject carries its filter, so that nobody can
// consume another's events.
func systemUser(u natsUser) embednats.User {
	user := embednats.User{Name: u.User, Password: u.Password, Subscribe: []string{"_INBOX.>"}}
	for _, system := range u.Systems {
		user.Publish = append(user.Publish, "cmd."+u.Customer+"."+system+".>", "qry."+u.Customer+"."+system+".>")
	}
	user.Publish = append(user.Publish,
		"$JS.API.CONSUMER.CREATE.EVENTS.*.evt."+u.Customer+".>",
		"$JS.API.CONSUMER.MSG.NEXT.EVENTS."+u.User+"-*", "$JS.API.CONSUMER.INFO.EVENTS."+u.User+"-*",
		"$JS.API.CONSUMER.DELETE.EVENTS."+u.User+"-*", "$JS.API.STREAM.INFO.EVENTS", "$JS.API.INFO", "$JS.ACK.EVENTS."+u.User+"-*.>")
	return user
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
	if p.server == nil || (!p.Config.Dev && p.Config.NATSUsers == "") {
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
