package embednats_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/embednats"
)

func start(t *testing.T, dir, config string) *embednats.Server {
	t.Helper()
	path := ""
	if config != "" {
		path = filepath.Join(t.TempDir(), "nats.conf")
		require.NoError(t, os.WriteFile(path, []byte(config), 0o600))
	}
	srv, err := embednats.Start(t.Context(), embednats.Options{Listen: "127.0.0.1:0", Dir: dir, Config: path})
	require.NoError(t, err)
	t.Cleanup(srv.Stop)
	return srv
}

func TestMessagesSurviveARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for round := range 2 {
		srv := start(t, dir, "")
		nc, err := nats.Connect("", srv.InProcess()...)
		require.NoError(t, err)
		js, err := jetstream.New(nc)
		require.NoError(t, err)
		stream, err := js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
		require.NoError(t, err)
		info, err := stream.Info(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, round, info.State.Msgs)
		_, err = js.Publish(t.Context(), "s", []byte("x"))
		require.NoError(t, err)
		nc.Close()
		srv.Stop()
	}
}

func TestAccountsOfTheFileHold(t *testing.T) {
	t.Parallel()
	srv := start(t, t.TempDir(), `
		accounts {
			BUS: { jetstream: enabled, exports: [ { service: "cmd.demo.>", accounts: [DEMO] } ] }
			DEMO: { users: [ { user: erp, password: pw } ], imports: [ { service: { account: BUS, subject: "cmd.demo.>" } } ] }
		}`)
	own, err := nats.Connect("", srv.InProcess()...)
	require.NoError(t, err)
	defer own.Close()
	js, err := jetstream.New(own)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "COMMANDS", Subjects: []string{"cmd.>"}})
	require.NoError(t, err)

	_, err = nats.Connect(srv.ClientURL())
	require.ErrorIs(t, err, nats.ErrAuthorization)

	erp, err := nats.Connect(srv.ClientURL(), nats.UserInfo("erp", "pw"))
	require.NoError(t, err)
	defer erp.Close()
	_, err = erp.RequestWithContext(t.Context(), "cmd.demo.ERP.x", []byte("x"))
	require.NoError(t, err, "the acknowledgement of JetStream comes back")
	require.NoError(t, erp.Publish("cmd.other.ERP.x", []byte("x")))
	require.NoError(t, erp.Flush())
	stream, err := js.Stream(t.Context(), "COMMANDS")
	require.NoError(t, err)
	info, err := stream.Info(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, info.State.Msgs, "another customer's subject is out of reach")
}

func TestAFileWithoutTheBusIsRefused(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]string{"no accounts": `port: 1`, "no account BUS": `accounts { DEMO: {} }`} {
		path := filepath.Join(t.TempDir(), "nats.conf")
		require.NoError(t, os.WriteFile(path, []byte(config), 0o600))
		_, err := embednats.Start(t.Context(), embednats.Options{Dir: t.TempDir(), Config: path})
		require.ErrorContains(t, err, "account", name)
	}
}

func TestATakenPortIsSaid(t *testing.T) {
	t.Parallel()
	first := start(t, t.TempDir(), "")
	_, err := embednats.Start(t.Context(), embednats.Options{Listen: first.ClientURL()[len("nats://"):], Dir: t.TempDir()})
	require.ErrorContains(t, err, "address already in use")
}
