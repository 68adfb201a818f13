// Package storetest runs store tests on both engines. PostgreSQL is required, not
// skipped: the package starts a private server from the machine's installed binaries,
// as a user who is not root, reached through a Unix socket only, and it stops with the
// test process however that ends.
package storetest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/store"
)

// Run runs test as two subtests, one with a fresh SQLite database and one with a fresh
// PostgreSQL database. address can be given to [store.Open] again after db is closed.
func Run(t *testing.T, test func(t *testing.T, db *store.DB)) {
	t.Helper()
	RunAddress(t, func(t *testing.T, address string) {
		t.Helper()
		test(t, Open(t, address))
	})
}

// RunAddress is [Run] for tests that open, close and open the database themselves.
func RunAddress(t *testing.T, test func(t *testing.T, address string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, Postgres(t)) })
}

// SQLite returns the address of a fresh SQLite database.
func SQLite(t testing.TB) string {
	t.Helper()
	return "sqlite:" + filepath.Join(t.TempDir(), "test.db")
}

// Open opens a database and closes it when the test ends.
func Open(t testing.TB, address string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// Postgres returns the address of a fresh database on the private server.
func Postgres(t testing.TB) string {
	t.Helper()
	server.once.Do(func() { server.dir, server.err = startPostgres() })
	require.NoError(t, server.err, "PostgreSQL is needed: install Debian's package postgresql (make tools)")
	name := "t" + randomHex()
	admin := openAdmin(t, server.dir)
	_, err := admin.ExecContext(t.Context(), "CREATE DATABASE "+name)
	require.NoError(t, err)
	require.NoError(t, admin.Close())
	return address(server.dir, name)
}

var (
	errNoBin = errors.New("no PostgreSQL binaries below /usr/lib/postgresql or in PATH")
	server   privateServer
)

// privateServer is the server of this test process.
type privateServer struct {
	once sync.Once
	dir  string
	err  error
	// input is kept so that the pipe stays open until this process ends.
	input io.Closer
}

func address(dir, database string) string {
	return "postgres://app@/" + database + "?host=" + url.QueryEscape(dir)
}

func openAdmin(t testing.TB, dir string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", address(dir, "postgres"))
	require.NoError(t, err)
	return db
}

func randomHex() string {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// startPostgres makes a cluster in a temporary folder and starts a server on it. The
// shell that holds the server waits for the end of its standard input, which comes when
// this process ends, whether it stops in order or is killed.
func startPostgres() (dir string, err error) {
	bin, err := binaries()
	if err != nil {
		return "", err
	}
	if dir, err = os.MkdirTemp("", "signbus-pg"); err != nil {
		return "", err
	}
	cred, err := unprivileged(dir)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", filepath.Join(dir, "data"),
		"-U", "app", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C")
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	initdb.Dir = dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return "", fmt.Errorf("initdb: %w: %s", err, out)
	}
	script := `"$0/postgres" -D "$1/data" -k "$1" -c listen_addresses= -c fsync=off -c max_connections=200 >"$1/log" 2>&1 & pid=$!
read _; kill -INT $pid; wait $pid; rm -rf "$1"`
	shell := exec.Command("sh", "-c", script, bin, dir)
	shell.SysProcAttr = &syscall.SysProcAttr{Credential: cred, Setpgid: true}
	shell.Dir = dir
	if server.input, err = shell.StdinPipe(); err != nil {
		return "", err
	}
	if err := shell.Start(); err != nil {
		return "", err
	}
	return dir, waitReady(ctx, dir)
}

func waitReady(ctx context.Context, dir string) error {
	db, err := sql.Open("pgx", address(dir, "postgres"))
	if err != nil {
		return err
	}
	defer db.Close()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if err = db.PingContext(ctx); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			return fmt.Errorf("PostgreSQL did not start: %w: %s", err, log)
		case <-tick.C:
		}
	}
}

func binaries() (string, error) {
	dirs, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	sort.Slice(dirs, func(i, j int) bool { return version(dirs[i]) > version(dirs[j]) })
	if len(dirs) > 0 {
		return dirs[0], nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", errNoBin
	}
	return filepath.Dir(path), nil
}

func version(bin string) int {
	n, _ := strconv.Atoi(filepath.Base(strings.TrimSuffix(bin, "/bin")))
	return n
}

// unprivileged returns the user to run the server as and gives him the folder: initdb
// refuses root.
func unprivileged(dir string) (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil //nolint:nilnil // no change of user is needed
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chown(dir, int(uid), int(gid))
}
