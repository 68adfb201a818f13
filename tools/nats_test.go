package tools

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

const (
	busPassword    = "b1f0c2"
	systemPassword = "s7d9e4"
)

// outsideServer starts the pinned nats-server with deploy/nats.conf, on a free port and in
// a folder of its own, and returns its address.
func outsideServer(t *testing.T) string {
	t.Helper()
	program := filepath.Join(root(t), ".tools/bin/nats-server")
	require.FileExistsf(t, program, "the pinned nats-server is missing: run make tools")

	dir := t.TempDir()
	config := read(t, "deploy/nats.conf")
	for _, change := range [][2]string{
		{"\nport: 4222\n", "\nlisten: 127.0.0.1:-1\nports_file_dir: " + quote(dir) + "\n"},
		{"\nhttp: 127.0.0.1:8222\n", "\n"},
		{"store_dir: /data", "store_dir: " + quote(filepath.Join(dir, "data"))},
		{"max_file_store: 50GB", "max_file_store: 1GB"},
	} {
		require.Contains(t, config, change[0])
		config = strings.Replace(config, change[0], change[1], 1)
	}
	path := filepath.Join(dir, "nats.conf")
	require.NoError(t, os.WriteFile(path, []byte(config), 0o600))

	cmd := exec.CommandContext(t.Context(), program, "-c", path)
	cmd.Env = append(os.Environ(), "SIGNBUS_NATS_PASSWORD="+busPassword, "SIGNBUS_NATS_DEMO_ERP_PASSWORD="+systemPassword)
	log, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		_ = log.Close()
	})

	var ports struct {
		NATS []string `json:"nats"`
	}
	require.Eventuallyf(t, func() bool {
		names, err := filepath.Glob(filepath.Join(dir, "*.ports"))
		if err != nil || len(names) == 0 {
			return false
		}
		text, err := os.ReadFile(names[0])
		return err == nil && json.Unmarshal(text, &ports) == nil && len(ports.NATS) > 0
	}, 20*time.Second, 20*time.Millisecond, "nats-server did not start; its log is %s", log.Name())
	return ports.NATS[0]
}

func quote(s string) string { return `"` + s + `"` }

func connect(t *testing.T, url, user, password string) *nats.Conn {
	t.Helper()
	conn, err := nats.Connect(url, nats.UserInfo(user, password))
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	return conn
}

// TestServerAcceptsConfiguration asks the pinned server itself about deploy/nats.conf.
func TestServerAcceptsConfiguration(t *testing.T) {
	program := filepath.Join(root(t), ".tools/bin/nats-server")
	require.FileExistsf(t, program, "the pinned nats-server is missing: run make tools")
	cmd := exec.CommandContext(t.Context(), program, "-t", "-c", filepath.Join(root(t), "deploy/nats.conf"))
	cmd.Env = append(os.Environ(), "SIGNBUS_NATS_PASSWORD="+busPassword, "SIGNBUS_NATS_DEMO_ERP_PASSWORD="+systemPassword)
	out, err := cmd.CombinedOutput()
	require.NoErrorf(t, err, "%s", out)
}

// TestOutsideServer: with deploy/nats.conf an external system can send commands, ask,
// answer and read its own events, and nothing else.
func TestOutsideServer(t *testing.T) {
	address := outsideServer(t)
	bus := connect(t, address, "signbus", busPassword)
	streams, err := jetstream.New(bus)
	require.NoError(t, err)
	for name, subjects := range map[string]string{"COMMANDS": "cmd.>", "WORK": "work.>", "EVENTS": "evt.>"} {
		_, err = streams.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{subjects}})
		require.NoError(t, err)
	}
	_, err = streams.CreateConsumer(t.Context(), "EVENTS", jetstream.ConsumerConfig{
		Durable: "demo-ERP", FilterSubject: "evt.demo.ERP.>", AckPolicy: jetstream.AckExplicitPolicy,
	})
	require.NoError(t, err)

	_, err = nats.Connect(address)
	require.ErrorIs(t, err, nats.ErrAuthorization, "nobody is served without a name")
	system := connect(t, address, "demo-ERP", systemPassword)
	domain, err := jetstream.NewWithDomain(system, "bus")
	require.NoError(t, err)

	t.Run("commands are acknowledged", func(t *testing.T) {
		ack, err := domain.Publish(t.Context(), "cmd.demo.ERP.insertEnvelope", []byte("{}"))
		require.NoError(t, err)
		require.Equal(t, "COMMANDS", ack.Stream)
		_, err = domain.Publish(t.Context(), "cmd.demo.ERP.insertEnvelope", make([]byte, 2<<20))
		require.NoError(t, err, "a large command passes")
	})
	t.Run("commands of others are not taken", func(t *testing.T) {
		for _, subject := range []string{"cmd.other.ERP.insertEnvelope", "work.provider-dispatch.start", "evt.demo.ERP.operation.done"} {
			_, err := domain.Publish(t.Context(), subject, []byte("{}"))
			require.ErrorIs(t, err, jetstream.ErrNoStreamResponse, subject)
		}
	})
	t.Run("events are read", func(t *testing.T) {
		for _, subject := range []string{"evt.other.ERP.operation.done", "evt.demo.ERP.operation.done"} {
			_, err := streams.Publish(t.Context(), subject, []byte(subject))
			require.NoError(t, err)
		}
		consumer, err := domain.Consumer(t.Context(), "EVENTS", "demo-ERP")
		require.NoError(t, err)
		event, err := consumer.Next(jetstream.FetchMaxWait(5 * time.Second))
		require.NoError(t, err)
		require.Equal(t, "evt.demo.ERP.operation.done", event.Subject())
		require.NoError(t, event.DoubleAck(t.Context()))
		info, err := consumer.Info(t.Context())
		require.NoError(t, err)
		require.Zero(t, info.NumPending, "the event of the other customer is not for this consumer")
	})
	t.Run("consumers and streams are the operator's", func(t *testing.T) {
		_, err := domain.CreateConsumer(t.Context(), "EVENTS", jetstream.ConsumerConfig{Durable: "spy", FilterSubject: "evt.>"})
		require.Error(t, err)
		_, err = domain.Stream(t.Context(), "WORK")
		require.Error(t, err)
	})
	t.Run("questions go both ways", func(t *testing.T) {
		_, err := bus.Subscribe("qry.>", func(m *nats.Msg) { _ = m.Respond([]byte("answer")) })
		require.NoError(t, err)
		_, err = system.Subscribe("ask.demo.ERP.>", func(m *nats.Msg) { _ = m.Respond([]byte("yes")) })
		require.NoError(t, err)
		require.NoError(t, bus.Flush())
		require.NoError(t, system.Flush())
		answer, err := system.Request("qry.demo.ERP.status", nil, 5*time.Second)
		require.NoError(t, err)
		require.Equal(t, "answer", string(answer.Data))
		answer, err = bus.Request("ask.demo.ERP.workable", nil, 5*time.Second)
		require.NoError(t, err)
		require.Equal(t, "yes", string(answer.Data))
		_, err = system.Request("qry.other.ERP.status", nil, 5*time.Second)
		require.ErrorIs(t, err, nats.ErrNoResponders)
	})
	t.Run("a reply subject does not lead inside", func(t *testing.T) {
		forged := nats.NewMsg("cmd.demo.ERP.insertEnvelope")
		forged.Reply, forged.Data = "work.provider-dispatch.start", []byte("{}")
		require.NoError(t, system.PublishMsg(forged))
		forged = nats.NewMsg("$JS.bus.API.CONSUMER.MSG.NEXT.EVENTS.demo-ERP")
		forged.Reply, forged.Data = "work.provider-dispatch.start", []byte(`{"batch":1}`)
		require.NoError(t, system.PublishMsg(forged))
		// An honest command and an honest pull come after them: when those are served, the forged ones are.
		_, err := domain.Publish(t.Context(), "cmd.demo.ERP.insertEnvelope", []byte("{}"))
		require.NoError(t, err)
		for range 2 {
			_, err = streams.Publish(t.Context(), "evt.demo.ERP.operation.done", []byte("{}"))
			require.NoError(t, err)
		}
		consumer, err := domain.Consumer(t.Context(), "EVENTS", "demo-ERP")
		require.NoError(t, err)
		_, err = consumer.Next(jetstream.FetchMaxWait(5 * time.Second))
		require.NoError(t, err)
		work, err := streams.Stream(t.Context(), "WORK")
		require.NoError(t, err)
		require.Zero(t, work.CachedInfo().State.Msgs)
	})
	t.Run("others are not overheard", func(t *testing.T) {
		ear, err := system.SubscribeSync(">")
		require.NoError(t, err)
		require.NoError(t, system.Flush())
		for _, subject := range []string{"work.a.b", "_INBOX.abc", "evt.other.ERP.operation.done", "qry.other.ERP.status"} {
			require.NoError(t, bus.Publish(subject, []byte("secret")))
		}
		require.NoError(t, bus.Flush())
		// What comes after them in the system's own account is the first thing it hears.
		require.NoError(t, system.Publish("own", []byte("mine")))
		heard, err := ear.NextMsg(5 * time.Second)
		require.NoError(t, err)
		require.Equal(t, "own", heard.Subject)
	})
}
