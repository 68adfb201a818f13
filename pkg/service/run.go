package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"signbus.dev/pkg/config"
	"signbus.dev/pkg/telemetry"
)

// Version is that of the program; the build sets it.
var Version = "dev"

// Unit is a service ready to run.
type Unit struct {
	// Name is the service's name.
	Name string
	// Run runs until its context ends.
	Run func(context.Context) error
	// Ready says whether the service can do its work. Optional.
	Ready func(context.Context) error
	// Routes are served on the process's HTTP port, by pattern of [http.ServeMux].
	Routes map[string]http.Handler
}

// Wire builds a service on a platform and brings its tables up to date.
type Wire func(ctx context.Context, p *Platform) (Unit, error)

// Main is the main function of a service that has a process of its own: it reads the
// configuration from the environment, runs until SIGINT or SIGTERM, and exits.
func Main(wires ...Wire) {
	cfg, err := config.Load(os.Environ())
	if err == nil {
		err = cfg.Complete()
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		err = Run(ctx, cfg, os.Stdout, os.Stderr, nil, wires...)
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:gocritic // the deferred stop only unregisters signals
	}
}

// Run opens the platform and runs the services until ctx ends. Log lines go to errors,
// development mails to out. started, which may be nil, is called once everything runs.
func Run(ctx context.Context, cfg config.Config, out, errs io.Writer, started func(*Platform), wires ...Wire) error {
	log, err := telemetry.NewLogger(errs, cfg.LogFormat, cfg.LogLevel)
	if err != nil {
		return err
	}
	telemetry.StartTracing()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.HTTP)
	if err != nil {
		return fmt.Errorf("HTTP server: %w", err)
	}
	defer func() { _ = listener.Close() }()
	p, err := Open(ctx, cfg, log, out)
	if err != nil {
		return err
	}
	publisher := start(p.Publisher.Run, log) //nolint:contextcheck // stopped in order, after the services
	units, err := wireAll(ctx, p, wires)
	if err != nil {
		publisher.stop()
		return errors.Join(err, publisher.wait(time.Now().Add(cfg.StopAfter)), p.Close())
	}
	until, err := runUnits(ctx, p, listener, units, started)
	publisher.stop()
	return errors.Join(err, publisher.wait(until.Add(publisherGrace)), p.Close())
}

// publisherGrace is left to the publisher when the services took all the time to stop.
const publisherGrace = time.Second

func wireAll(ctx context.Context, p *Platform, wires []Wire) ([]Unit, error) {
	units := make([]Unit, 0, len(wires))
	for _, wire := range wires {
		unit, err := wire(ctx, p)
		if err != nil {
			return nil, err
		}
		units = append(units, unit)
	}
	return units, nil
}

// runUnits runs services and the HTTP server until ctx ends or one of them does. It
// returns when the time to stop is over.
func runUnits(ctx context.Context, p *Platform, listener net.Listener, units []Unit, started func(*Platform)) (time.Time, error) {
	ended := make(chan error, len(units)+1)
	var running []*task
	for _, unit := range units {
		t := start(func(ctx context.Context) error { //nolint:contextcheck // stopped in order, after HTTP
			err := unit.Run(ctx)
			if ctx.Err() == nil {
				err = errors.Join(fmt.Errorf("service %s ended by itself", unit.Name), err)
				ended <- err
			}
			return err
		}, p.Log)
		running = append(running, t)
	}
	stopping := make(chan struct{})
	server := &http.Server{
		Handler: handler(p, units, stopping), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		// A body of the largest size must come through on a slow line; a stuck one must end.
		ReadTimeout: 10 * time.Minute, WriteTimeout: 10 * time.Minute,
		ErrorLog: slog.NewLogLogger(p.Log.Handler(), slog.LevelDebug),
	}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			ended <- fmt.Errorf("HTTP server: %w", err)
		}
	}()
	p.Log.Info("signbus runs", "http", "http://"+listener.Addr().String(), "nats", p.ClientURL(), "data", p.Config.Data)
	if started != nil {
		started(p)
	}
	var err error
	select {
	case <-ctx.Done():
		p.Log.Info("signbus stops")
	case err = <-ended:
	}
	close(stopping)
	until := time.Now().Add(p.Config.StopAfter)
	// HTTP calls need the services to end, so they come first, but leave time to these: a
	// call may wait for its outcome for longer than all of the stop may take.
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.Config.StopAfter/3)
	defer cancel()
	if stopErr := server.Shutdown(deadline); stopErr != nil {
		p.Log.Warn("HTTP calls are cut off", "error", stopErr)
		_ = server.Close()
	}
	for _, t := range running {
		t.stop()
	}
	for _, t := range running {
		err = errors.Join(err, t.wait(until))
	}
	return until, err
}

// task is a goroutine with an owner.
type task struct {
	stop func()
	done chan struct{}
	err  error
}

func start(run func(context.Context) error, log *slog.Logger) *task {
	ctx, cancel := context.WithCancel(context.Background()) //nolint:forbidigo // stopped in order by its owner, not by the process's context
	t := &task{stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(t.done)
		if err := run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			log.Error("component ended", "error", err)
			t.err = err
		}
	}()
	return t
}

var errSlowStop = errors.New("a component did not stop in time")

// wait waits for the end of the task, but no longer than until.
func (t *task) wait(until time.Time) error {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-t.done:
		return t.err
	case <-timer.C:
	}
	select { // both may be true
	case <-t.done:
		return t.err
	default:
		return errSlowStop
	}
}

// readyTimeout bounds the checks behind /readyz.
const readyTimeout = 3 * time.Second

func handler(p *Platform, units []Unit, stopping <-chan struct{}) http.Handler {
	mux := http.NewServeMux()
	for _, unit := range units {
		for pattern, h := range unit.Routes {
			mux.Handle(pattern, h)
		}
	}
	mux.Handle("GET /metrics", telemetry.MetricsHandler(p.Registry))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		report(w, nil)
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		report(w, ready(ctx, p, units, stopping))
	})
	return telemetry.Trace(mux)
}

// ready returns what keeps each service from its work; empty: nothing.
func ready(ctx context.Context, p *Platform, units []Unit, stopping <-chan struct{}) map[string]string {
	problems := map[string]string{}
	select {
	case <-stopping:
		problems["process"] = "stopping"
	default:
	}
	if !p.Conn.IsConnected() {
		problems["nats"] = "not connected"
	}
	if err := p.DB.Ping(ctx); err != nil {
		problems["database"] = "does not answer"
	}
	var mutex sync.Mutex
	var wait sync.WaitGroup
	for _, unit := range units {
		if unit.Ready == nil {
			continue
		}
		wait.Go(func() {
			if err := unit.Ready(ctx); err != nil {
				mutex.Lock()
				defer mutex.Unlock()
				problems[unit.Name] = err.Error()
			}
		})
	}
	wait.Wait()
	return problems
}

func report(w http.ResponseWriter, problems map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	answer := map[string]any{"status": "ok"}
	if len(problems) > 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		answer = map[string]any{"status": "not ready", "problems": problems}
	}
	_ = json.NewEncoder(w).Encode(answer) //nolint:errchkjson // strings only; the caller may be gone
}
