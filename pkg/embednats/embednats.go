// Package embednats runs a NATS server inside the process, with JetStream on disk and
// every publish synced before it is acknowledged. It promises durability on one
// machine; it does not cluster: a cluster is an outside nats-server.
package embednats

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// MaxPayload is the largest message in bytes; a larger command refers to documents
// uploaded before.
const MaxPayload = 8 << 20

// Options of a server.
type Options struct {
	// Listen is host:port for external systems; port 0 picks a free one. Empty: the
	// server is reached from inside the process only.
	Listen string
	// Dir is the folder of the streams.
	Dir string
	// Config is a file of nats-server's own form with the accounts of the customers and
	// what else an operator wants to set; what the bus needs overrides it. Without one the
	// port is open, which is meant for loopback in development.
	Config string
	// Log receives the server's warnings and errors.
	Log *slog.Logger
}

// Account is the account of the bus itself, in a configuration with accounts.
const Account = "BUS"

// Server is a running server.
type Server struct {
	srv            *server.Server
	user, password string
}

// readyTimeout bounds the start; recovering large streams from disk may take a while.
const readyTimeout = 60 * time.Second

// Start starts a server and waits until it takes connections.
func Start(ctx context.Context, opts Options) (*Server, error) {
	s := &Server{}
	so, err := s.options(opts)
	if err != nil {
		return nil, err
	}
	if err := listenOn(ctx, so, opts.Listen); err != nil {
		return nil, err
	}
	srv, err := server.NewServer(so)
	if err != nil {
		return nil, fmt.Errorf("start embedded NATS: %w", err)
	}
	log := &logger{log: opts.Log}
	if opts.Log == nil {
		log.log = slog.New(slog.DiscardHandler)
	}
	srv.SetLoggerV2(log, false, false, false)
	go srv.Start()
	deadline, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for !srv.ReadyForConnections(50 * time.Millisecond) {
		if deadline.Err() != nil {
			srv.Shutdown()
			return nil, fmt.Errorf("start embedded NATS on %s: not ready: is the port in use? %w", opts.Listen, deadline.Err())
		}
		if fatal := log.fatal.Load(); fatal != nil {
			srv.Shutdown()
			return nil, fmt.Errorf("start embedded NATS: %s", *fatal)
		}
	}
	s.srv = srv
	return s, nil
}

// options joins what the operator configured with what the bus needs.
func (s *Server) options(opts Options) (*server.Options, error) {
	so := &server.Options{}
	if opts.Config != "" {
		var err error
		if so, err = server.ProcessConfigFile(opts.Config); err != nil {
			return nil, fmt.Errorf("configure embedded NATS: %w", err)
		}
		if err := s.login(so); err != nil {
			return nil, err
		}
	}
	if so.ServerName == "" {
		so.ServerName = "signbus"
	}
	so.JetStream, so.StoreDir, so.SyncAlways = true, opts.Dir, true
	so.MaxPayload = max(so.MaxPayload, MaxPayload)
	so.NoSigs, so.DontListen = true, opts.Listen == ""
	// Pings find a dead peer within half a minute instead of minutes.
	so.PingInterval = 10 * time.Second
	return so, nil
}

// login adds a user for the bus itself, with a password that only this process knows.
func (s *Server) login(so *server.Options) error {
	if len(so.Accounts) == 0 {
		return fmt.Errorf("configure embedded NATS: the file needs accounts: one named %s for the bus, and one for each customer", Account)
	}
	for _, account := range so.Accounts {
		if account.Name == Account {
			s.user, s.password = "signbus-"+rand.Text(), rand.Text()
			so.Users = append(so.Users, &server.User{Username: s.user, Password: s.password, Account: account})
			return nil
		}
	}
	return fmt.Errorf("configure embedded NATS: the file has no account named %s", Account)
}

func listenOn(ctx context.Context, so *server.Options, listen string) error {
	if listen == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("start embedded NATS: listen address %q: %w", listen, err)
	}
	so.Host = host
	if so.Port, err = strconv.Atoi(port); err != nil {
		return fmt.Errorf("start embedded NATS: listen address %q: %w", listen, err)
	}
	if so.Port == 0 {
		so.Port = server.RANDOM_PORT
	}
	// A taken port would end the whole process in the server's own accept loop: try it first.
	probe, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("start embedded NATS: %w", err)
	}
	return probe.Close()
}

// ClientURL is where external systems connect; empty without a listener.
func (s *Server) ClientURL() string { return s.srv.ClientURL() }

// InProcess returns the options with which this process connects, without a socket.
func (s *Server) InProcess() []nats.Option {
	opts := []nats.Option{nats.InProcessServer(s.srv)}
	if s.user != "" {
		opts = append(opts, nats.UserInfo(s.user, s.password))
	}
	return opts
}

// Stop ends the server after what it has acknowledged is on disk.
func (s *Server) Stop() {
	s.srv.Shutdown()
	s.srv.WaitForShutdown()
}

// logger passes on what an operator must see, and keeps why a start failed.
type logger struct {
	log   *slog.Logger
	fatal atomic.Pointer[string]
}

func (l *logger) say(level slog.Level, format string, v []any) {
	l.log.Log(context.Background(), level, "embedded NATS", "text", fmt.Sprintf(format, v...)) //nolint:forbidigo // the server's logger has no context
}

func (l *logger) Noticef(format string, v ...any) { l.say(slog.LevelDebug, format, v) }
func (l *logger) Warnf(format string, v ...any)   { l.say(slog.LevelWarn, format, v) }
func (l *logger) Errorf(format string, v ...any)  { l.say(slog.LevelError, format, v) }
func (l *logger) Debugf(format string, v ...any)  { l.say(slog.LevelDebug, format, v) }
func (l *logger) Tracef(format string, v ...any)  { l.say(slog.LevelDebug, format, v) }

// Fatalf implements the server's logger; unlike the server's own it does not exit.
func (l *logger) Fatalf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.fatal.Store(&text)
	l.say(slog.LevelError, format, v)
}
