package service_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/bus/bustest"
	"signbus.dev/pkg/config"
	"signbus.dev/pkg/service"
)

func configuration(t *testing.T) config.Config {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	cfg, err := config.Load([]string{"SIGNBUS_DEV=true", "SIGNBUS_HTTP=" + address, "SIGNBUS_NATS=127.0.0.1:0", "SIGNBUS_DATA=" + t.TempDir()})
	require.NoError(t, err)
	require.NoError(t, cfg.Complete())
	return cfg
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

// unit is a service that does what the test says.
func unit(run func(context.Context) error, ready func(context.Context) error) service.Wire {
	return func(context.Context, *service.Platform) (service.Unit, error) {
		return service.Unit{Name: "probe", Run: run, Ready: ready, Routes: map[string]http.Handler{
			"GET /probe": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") }),
		}}, nil
	}
}

func untilEnd(ctx context.Context) error { <-ctx.Done(); return nil }

func TestRunServesAndStopsInOrder(t *testing.T) {
	t.Parallel()
	cfg := configuration(t)
	notReady := make(chan error, 1)
	notReady <- errors.New("not yet")
	ready := func(context.Context) error {
		select {
		case err := <-notReady:
			return err
		default:
			return nil
		}
	}
	stop := bustest.Go(t, func(ctx context.Context) error {
		return service.Run(ctx, cfg, io.Discard, io.Discard, nil, unit(untilEnd, ready))
	})
	base := "http://" + cfg.HTTP
	bustest.Eventually(t, func() bool { status, _ := get(t, base+"/healthz"); return status == http.StatusOK }, "the process is alive")
	status, body := get(t, base+"/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, body, `"probe":"not yet"`)
	status, body = get(t, base+"/readyz")
	require.Equal(t, http.StatusOK, status, body)
	_, body = get(t, base+"/probe")
	require.Equal(t, "here", body)
	_, body = get(t, base+"/metrics")
	require.Contains(t, body, "go_goroutines")
	stop()
	status, _ = get(t, base+"/healthz")
	require.Zero(t, status)
}

func TestAServiceThatEndsByItselfEndsTheProcess(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	err := service.Run(t.Context(), configuration(t), io.Discard, io.Discard, nil,
		unit(func(context.Context) error { return boom }, nil))
	require.ErrorIs(t, err, boom)
	require.ErrorContains(t, err, "probe")
}

func TestAServiceThatCannotBeWiredEndsTheStart(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	cfg := configuration(t)
	wire := func(context.Context, *service.Platform) (service.Unit, error) { return service.Unit{}, boom }
	require.ErrorIs(t, service.Run(t.Context(), cfg, io.Discard, io.Discard, nil, wire), boom)
	// Nothing is left open: the same folder and port can be used at once.
	started := make(chan struct{})
	stop := bustest.Go(t, func(ctx context.Context) error {
		return service.Run(ctx, cfg, io.Discard, io.Discard, func(*service.Platform) { close(started) }, unit(untilEnd, nil))
	})
	<-started
	stop()
}

func TestTheSecretIsMadeOnceAndKept(t *testing.T) {
	t.Parallel()
	cfg := configuration(t)
	var secrets []string
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		require.NoError(t, service.Run(ctx, cfg, io.Discard, io.Discard, func(p *service.Platform) {
			secrets = append(secrets, string(p.Secret))
			cancel()
		}, unit(untilEnd, nil)))
		cancel()
	}
	require.Equal(t, secrets[0], secrets[1])
	require.GreaterOrEqual(t, len(secrets[0]), 32)
	info, err := os.Stat(filepath.Join(cfg.Data, "secret"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.NoError(t, os.WriteFile(filepath.Join(cfg.Data, "secret"), []byte("cut"), 0o600))
	require.ErrorContains(t, service.Run(t.Context(), cfg, io.Discard, io.Discard, nil, unit(untilEnd, nil)), "cut off")
}

func TestAStuckServiceDoesNotHoldUpTheStop(t *testing.T) {
	t.Parallel()
	cfg := configuration(t)
	cfg.StopAfter = 50 * time.Millisecond
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	ctx, cancel := context.WithCancel(t.Context())
	err := service.Run(ctx, cfg, io.Discard, io.Discard, func(*service.Platform) { cancel() },
		unit(func(context.Context) error { <-release; return nil }, nil))
	cancel()
	require.ErrorContains(t, err, "did not stop in time")
}
