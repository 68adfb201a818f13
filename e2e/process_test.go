package e2e

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// startTime and stopTime bound the start and the orderly stop of a process.
	startTime = 2 * time.Minute
	stopTime  = time.Minute
	// pollEvery is how often a condition is looked at that cannot be waited for otherwise.
	pollEvery = 20 * time.Millisecond
)

// process is a program of the bus, or beside it, that is started, stopped and killed.
type process struct {
	name string
	path string
	args []string
	env  []string
	// readiness is the address that answers 200 once the process can work.
	readiness string
	logPath   string
	cmd       *exec.Cmd
	ended     chan struct{}
	err       error
}

// newProcess describes a process; start starts it.
func newProcess(t *testing.T, logs, name, path string, args, env []string, readiness string) *process {
	t.Helper()
	p := &process{name: name, path: path, args: args, env: env, readiness: readiness, logPath: filepath.Join(logs, name+".log")}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("the end of the log of %s:\n%s", name, p.tail(12))
		}
	})
	return p
}

// start starts the process; ready waits for it.
func (p *process) start(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(p.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	defer log.Close()
	cmd := exec.Command(p.path, p.args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, p.env...)
	cmd.Stdout, cmd.Stderr = log, log
	// Whatever becomes of the tests, nothing is left running.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	p.cmd, p.ended = cmd, ended
	go func() {
		p.err = cmd.Wait()
		close(ended)
	}()
}

// ready waits until the process can work.
func (p *process) ready(t testing.TB) {
	t.Helper()
	until(t, startTime, p.name+" is ready", func() bool {
		select {
		case <-p.ended:
			require.FailNow(t, p.name+" ended instead of getting ready", "%v\n%s", p.err, p.tail(40))
		default:
		}
		return answers(t.Context(), p.readiness)
	})
}

// stop asks the process to stop: it must end well, in time.
func (p *process) stop(t testing.TB) {
	t.Helper()
	if !p.running() {
		return
	}
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	p.gone(t)
}

// gone waits for the end of a process that was asked to stop.
func (p *process) gone(t testing.TB) {
	t.Helper()
	select {
	case <-p.ended:
		require.NoErrorf(t, p.err, "%s did not exit with 0\n%s", p.name, p.tail(40))
	case <-time.After(stopTime):
		require.FailNowf(t, "slow stop", "%s did not stop within %s\n%s", p.name, stopTime, p.tail(40))
	}
}

// kill ends the process at once, as a power cut would.
func (p *process) kill() {
	if p.running() {
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

func (p *process) running() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// tail returns the last lines of the log.
func (p *process) tail(n int) string {
	data, err := os.ReadFile(p.logPath)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// probe is the client for questions that may go unanswered.
var probe = &http.Client{Timeout: 2 * time.Second}

// answers says whether an address answers 200.
func answers(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := probe.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// until waits for a condition.
func until(t testing.TB, limit time.Duration, what string, condition func() bool) {
	t.Helper()
	timeout := time.After(limit)
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for !condition() {
		select {
		case <-timeout:
			require.FailNowf(t, "waited in vain", "for %s: %s", limit, what)
		case <-tick.C:
		}
	}
}

// lastPort is where freePort goes on looking, so that tests of one run never share one.
var lastPort atomic.Int32

// freePort returns the address of a loopback port that nobody listens on. It lies below
// the ports that the system gives to outgoing connections, so that none takes it while
// its process is down.
func freePort(t testing.TB) string {
	t.Helper()
	const first, count = 20000, 10000
	lastPort.CompareAndSwap(0, int32(os.Getpid()%count))
	for range count {
		port := first + int(lastPort.Add(1))%count
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:"+itoa(port))
		if err == nil {
			require.NoError(t, listener.Close())
			return listener.Addr().String()
		}
	}
	require.FailNow(t, "no free port")
	return ""
}
