package sign

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// startBus runs the whole bus and returns its HTTP address and its root certificate.
func startBus(t *testing.T) (url, nats, root string) {
	t.Helper()
	var addresses [2]string
	for i := range addresses {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		addresses[i] = l.Addr().String()
		require.NoError(t, l.Close())
	}
	folder := t.TempDir()
	cmd := exec.Command(filepath.Join(bin, "signbus"), "run", "--dev", "--data", filepath.Join(folder, "data"), "--http", addresses[0], "--nats", addresses[1])
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")} // it refuses settings that it does not know
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	url, root = "http://"+addresses[0], filepath.Join(folder, "ca.pem")
	var pem []byte
	require.Eventually(t, func() bool {
		resp, err := http.Get(url + "/pki/ca.pem")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		pem, err = io.ReadAll(resp.Body)
		return err == nil && resp.StatusCode == http.StatusOK
	}, 3*time.Minute, 50*time.Millisecond)
	require.NoError(t, os.WriteFile(root, pem, 0o600))
	return url, "nats://" + addresses[1], root
}

// requireAccepted requires that every judge accepts every signature that it can judge.
func requireAccepted(t *testing.T, file, root string, signatures, stamps int) {
	t.Helper()
	qpdf(t, file, false)
	for _, j := range judges {
		v := j.judge(t, file, root)
		require.Len(t, v.signatures, signatures, v.said)
		if j.stamps {
			require.Len(t, v.stamps, stamps, v.said)
		}
		for _, o := range append(v.signatures, v.stamps...) {
			require.Truef(t, o.good || !knows(j.name, o), "%s on %s: %s", j.name, o.signer, o.why)
		}
	}
	s := signbus(t, "verify", file, "--ca", root)
	require.Zero(t, s.code, s.out+s.errs)
}

// TestBus: what the bus signs, with its own certificates and time-stamps, stands before the
// same judges, at every level; its time-stamp authority serves files that others certify.
func TestBus(t *testing.T) {
	a, w := pki(t), files(t)
	url, nats, root := startBus(t)
	for _, level := range levels {
		t.Run(level, func(t *testing.T) {
			id, folder := "proof-"+level, t.TempDir()
			at := []string{"--url", url, "--server", nats}
			s := signbus(t, append([]string{"send", w.file("latex"), "--auto", "bruno", "--level", level, "--id", id, "--watch"}, at...)...)
			require.Zero(t, s.code, s.errs)
			s = signbus(t, append([]string{"get", id, "-o", folder}, at...)...)
			require.Zero(t, s.code, s.errs)
			signed := filepath.Join(folder, "latex.pdf")
			requirePrefix(t, w.file("latex"), signed)
			stamps := 0
			if level == "B-LTA" {
				stamps = 1
			}
			requireAccepted(t, signed, root, 1, stamps)
			var found javaPDF
			java(t).ask(t, &found, "pdf", signed, root)
			for _, s := range found.Signatures {
				if len(s.Signers) == 1 {
					requireSigner(t, s.Signers[0], level)
				}
			}
		})
	}
	t.Run("renewal", func(t *testing.T) {
		both := filepath.Join(t.TempDir(), "both.pem")
		var all []byte
		for _, name := range []string{a.root(), root} {
			pem, err := os.ReadFile(name)
			require.NoError(t, err)
			all = append(all, pem...)
		}
		require.NoError(t, os.WriteFile(both, all, 0o600))
		last := filepath.Join(t.TempDir(), "signed.pdf")
		s := signbus(t, "sign", w.file("chromium"), "-o", last, "--key", a.file("P-256.p12"), "--level", "B-LT", "--tsa", a.tsa(), "--trust", a.root())
		require.Zero(t, s.code, s.errs)
		for n := range 3 {
			out := filepath.Join(t.TempDir(), fmt.Sprintf("renewed-%d.pdf", n))
			s := signbus(t, "timestamp", last, "-o", out, "--tsa", url+"/pki/tsa", "--trust", both)
			require.Zero(t, s.code, s.errs)
			requirePrefix(t, last, out)
			last = out
		}
		var found javaPDF
		java(t).ask(t, &found, "pdf", last, both)
		stamps := 0
		for _, s := range found.Signatures {
			if s.Timestamp != nil {
				stamps++
				require.True(t, s.Timestamp.opinion().good, s.Timestamp.Problem)
			}
		}
		require.Equal(t, 3, stamps)
		require.Empty(t, found.Store.Problems)
		requireSamePages(t, w.file("chromium"), last, nil)
		v := signbus(t, "verify", last, "--ca", both)
		require.Zero(t, v.code, v.out+v.errs)
	})
}
