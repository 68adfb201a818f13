package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/store/storetest"
)

const (
	customerCode = "demo-secret"
	// maxBody is the limit of an HTTP body that the tests set.
	maxBody = 24 << 20
)

// bus is a running bus and what an external system needs to use it.
type bus struct {
	// api is the HTTP address of the APIs, book that of the signing pages.
	api, book string
	// natsURL is where external systems connect.
	natsURL string
	// data is the folder in which the bus keeps documents.
	data string
	// escrowCert and escrowKey are the files of who may open graphometric recordings.
	escrowCert, escrowKey string
	// processes are in the order in which they start.
	processes []*process
	conn      *nats.Conn
	js        jetstream.JetStream
	// trail holds every event since the start.
	trail *trail
}

// shape is a way to run the bus.
type shape struct {
	name string
	// prepare fills in the addresses and the processes.
	prepare func(t *testing.T, b *bus, logs string, env []string)
}

// shapes are the three ways to run the bus.
var shapes = []shape{
	{"one process on SQLite", func(t *testing.T, b *bus, logs string, env []string) { oneProcess(t, b, logs, env) }},
	{"one process on PostgreSQL", func(t *testing.T, b *bus, logs string, env []string) {
		oneProcess(t, b, logs, append(env, "SIGNBUS_DB="+storetest.Postgres(t)))
	}},
	{"six processes", sixProcesses},
}

// start starts a bus in a shape with further settings and stops it in order at the end
// of the test.
func (s shape) start(t *testing.T, settings ...string) *bus {
	t.Helper()
	b := &bus{data: filepath.Join(t.TempDir(), "data")}
	b.newEscrow(t)
	env := append([]string{
		"SIGNBUS_DEV=true", "SIGNBUS_DATA=" + b.data, "SIGNBUS_SECRET=0123456789abcdef0123456789abcdef",
		"SIGNBUS_MAX_BODY=" + strconv.Itoa(maxBody), "SIGNBUS_ESCROW_CERT=" + b.escrowCert,
		"SIGNBUS_WEBHOOK_SCHEDULE=" + strings.TrimSuffix(strings.Repeat("300ms,", 30), ","),
	}, settings...)
	s.prepare(t, b, t.ArtifactDir(), env)
	for _, p := range b.processes {
		p.start(t)
	}
	for _, p := range b.processes {
		p.ready(t)
	}
	t.Cleanup(func() { b.stop(t) })
	b.connect(t)
	return b
}

// oneProcess is `signbus run` with NATS inside.
func oneProcess(t *testing.T, b *bus, logs string, env []string) {
	http, listen := freePort(t), freePort(t)
	b.api, b.book, b.natsURL = "http://"+http, "http://"+http, "nats://"+listen
	b.processes = []*process{newProcess(t, logs, "signbus", program(t, "signbus"),
		[]string{"run", "--http", http, "--nats", listen}, env, b.api+"/readyz")}
}

// sixProcesses is a process for each service, on an outside NATS server and PostgreSQL.
func sixProcesses(t *testing.T, b *bus, logs string, env []string) {
	listen, monitor := freePort(t), freePort(t)
	b.natsURL = "nats://" + listen
	folder := t.TempDir()
	conf := filepath.Join(folder, "nats.conf")
	require.NoError(t, os.WriteFile(conf, fmt.Appendf(nil,
		"listen: %s\nhttp: %s\nmax_payload: 8MB\njetstream { store_dir: %q, sync_interval: always }\n", listen, monitor, folder), 0o600))
	b.processes = append(b.processes, newProcess(t, logs, "nats-server", natsServer(t), []string{"-c", conf}, nil,
		"http://"+monitor+"/healthz"))
	ports := map[string]string{}
	for _, name := range programs[1:] {
		ports[name] = freePort(t)
	}
	b.api, b.book = "http://"+ports["intake"], "http://"+ports["signature-book"]
	env = append(env, "SIGNBUS_NATS="+b.natsURL, "SIGNBUS_DB="+storetest.Postgres(t), "SIGNBUS_PUBLIC_URL="+b.book)
	for _, name := range programs[1:] {
		own := append(append([]string(nil), env...), "SIGNBUS_HTTP="+ports[name])
		b.processes = append(b.processes, newProcess(t, logs, name, program(t, name), nil, own, "http://"+ports[name]+"/readyz"))
	}
}

// connect connects to NATS as an external system does and begins to follow the events.
func (b *bus) connect(t *testing.T) {
	t.Helper()
	var err error
	b.conn, err = nats.Connect(b.natsURL, nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(b.conn.Close)
	b.js, err = jetstream.New(b.conn)
	require.NoError(t, err)
	b.trail = follow(t, b.js)
}

// stop stops the bus in reverse order.
func (b *bus) stop(t *testing.T) {
	t.Helper()
	if t.Failed() {
		return // what is left is killed
	}
	for _, p := range slices.Backward(b.processes) {
		p.stop(t)
	}
}
