package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"signbus.dev/pkg/client"
)

// process is a server that runs for a measurement.
type process struct {
	cmd  *exec.Cmd
	dir  string
	http string
	nats string
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // returns at once
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// startBus starts a bus with everything it keeps in a fresh folder.
func startBus(ctx context.Context, bin string) (*process, error) {
	httpAddr, err := freePort()
	if err != nil {
		return nil, err
	}
	natsAddr, err := freePort()
	if err != nil {
		return nil, err
	}
	p, err := start(bin, func(dir string) []string {
		return []string{"run", "--dev", "--http", httpAddr, "--nats", natsAddr, "--data", dir}
	})
	if err != nil {
		return nil, err
	}
	p.http, p.nats = "http://"+httpAddr, "nats://"+natsAddr
	return p, p.await(ctx, func() error {
		resp, err := http.Get(p.http + "/readyz") //nolint:noctx // bounded by await
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		return nil
	})
}

// startNATS starts a plain nats-server with the same durability as the bus.
func startNATS(ctx context.Context, bin string) (*process, error) {
	addr, err := freePort()
	if err != nil {
		return nil, err
	}
	p, err := start(bin, func(dir string) []string {
		conf := filepath.Join(dir, "nats.conf")
		text := fmt.Sprintf("listen: %q\nmax_payload: 8MB\njetstream { store_dir: %q, sync_interval: always }\n", addr, dir)
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			return nil
		}
		return []string{"-c", conf}
	})
	if err != nil {
		return nil, err
	}
	p.nats = "nats://" + addr
	return p, p.await(ctx, func() error {
		nc, err := nats.Connect(p.nats)
		if err != nil {
			return err
		}
		nc.Close()
		return nil
	})
}

func start(bin string, args func(dir string) []string) (*process, error) {
	dir, err := os.MkdirTemp("", "signbus-bench-")
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log")) //nolint:gosec // a fresh folder
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	p := &process{dir: dir, cmd: exec.Command(bin, args(dir)...)} //nolint:gosec,noctx // the programs that are measured
	p.cmd.Env = append(os.Environ(), "SIGNBUS_LOG_LEVEL=warn", "SIGNBUS_WAIT=5m")
	p.cmd.Stdout, p.cmd.Stderr = io.Discard, log
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", bin, err)
	}
	return p, nil
}

func (p *process) await(ctx context.Context, check func() error) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			text, _ := os.ReadFile(filepath.Join(p.dir, "log"))
			p.stop()
			return fmt.Errorf("%s does not get ready: %w\n%s", p.cmd.Path, err, text)
		case <-ticker.C:
		}
	}
}

func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.cmd.Wait()
	_ = os.RemoveAll(p.dir)
}

// client connects to the bus.
func (p *process) client() (*client.Client, *nats.Conn, error) {
	nc, err := nats.Connect(p.nats)
	if err != nil {
		return nil, nil, err
	}
	c, err := client.New(client.Options{URL: p.http, Conn: nc, Customer: "demo", System: "ERP", Code: "demo-secret", HTTP: &http.Client{Timeout: 5 * time.Minute}})
	return c, nc, err
}

// memory returns the resident memory of the process in bytes, now and at its peak.
func (p *process) memory() (now, peak int64, err error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	for scan := bufio.NewScanner(f); scan.Scan(); {
		fields := strings.Fields(scan.Text())
		if len(fields) < 2 {
			continue
		}
		kb, _ := strconv.ParseInt(fields[1], 10, 64)
		switch fields[0] {
		case "VmRSS:":
			now = kb << 10
		case "VmHWM:":
			peak = kb << 10
		}
	}
	return now, peak, nil
}

// metric reads one counter or sum from the bus's metrics.
func (p *process) metrics() (map[string]float64, error) {
	resp, err := http.Get(p.http + "/metrics") //nolint:noctx // a local call of the benchmark
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	values := map[string]float64{}
	for scan := bufio.NewScanner(resp.Body); scan.Scan(); {
		name, text, ok := strings.Cut(scan.Text(), " ")
		if value, err := strconv.ParseFloat(text, 64); ok && err == nil {
			values[name] = value
		}
	}
	return values, nil
}
