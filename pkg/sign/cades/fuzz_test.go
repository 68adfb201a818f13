package cades_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/sign/cades"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden are files signed once, so that every process that fuzzes has the same root.
type golden struct {
	roots                    *x509.CertPool
	at                       time.Time
	attached, detached, open []byte
}

func readGolden(t testing.TB) golden {
	t.Helper()
	if *update {
		writeGolden(t)
	}
	root, err := x509.ParseCertificate(read(t, "testdata/root.der"))
	require.NoError(t, err)
	g := golden{roots: x509.NewCertPool(), at: root.NotBefore.AddDate(1, 0, 0)}
	g.roots.AddCert(root)
	g.attached, g.detached, g.open = read(t, "testdata/attached.p7m"), read(t, "testdata/detached.p7s"), read(t, "testdata/open.p7m")
	return g
}

func writeGolden(t testing.TB) {
	t.Helper()
	c := newCircle(t)
	key, chain := c.person("Anna", "P-256")
	attached, detached := cades.New(source(content), false), cades.New(source(content), true)
	for range 2 {
		require.NoError(t, attached.Sign(t.Context(), c.params(t, cades.LevelBLT, key, chain)))
	}
	require.NoError(t, detached.Sign(t.Context(), c.params(t, cades.LevelBT, key, chain)))
	for name, data := range map[string][]byte{
		"root.der": c.root.Certificate.Raw, "attached.p7m": bytesOf(t, attached), "detached.p7s": bytesOf(t, detached),
		"open.p7m": c.bySomebodyElse(t, content, "DER", "-nodetach", "-stream"),
	} {
		require.NoError(t, os.WriteFile(filepath.Join("testdata", name), data, 0o600))
	}
}

func TestOldSignaturesStayValid(t *testing.T) {
	g := readGolden(t)
	for name, test := range map[string]struct {
		signed   []byte
		detached bool
		level    cades.Level
	}{
		"attached": {g.attached, false, cades.LevelBLT}, "detached": {g.detached, true, cades.LevelBT}, "of OpenSSL": {g.open, false, cades.LevelBB},
	} {
		reports, err := open(t, test.signed, test.detached).Verify(t.Context(), g.roots, g.at)
		require.NoError(t, err)
		require.NotEmpty(t, reports, name)
		for _, r := range reports {
			require.True(t, r.Valid(), "%s: %s", name, r.Problem)
			require.Equal(t, test.level, r.Level)
		}
	}
}

// Of any bytes, a valid signature is one by somebody whom the root certified, over the content that comes out.
func FuzzVerify(f *testing.F) {
	g := readGolden(f)
	f.Add(g.attached, false)
	f.Add(g.detached, true)
	f.Add(g.open, false)
	f.Add([]byte(base64.StdEncoding.EncodeToString(g.detached)), true)
	f.Add([]byte("-----BEGIN CMS-----\n"+base64.StdEncoding.EncodeToString(g.open)+"\n-----END CMS-----\n"), false)
	f.Fuzz(func(t *testing.T, signed []byte, detached bool) {
		beside := digest.Source{}
		if detached {
			beside = source(content)
		}
		m, err := cades.Open(source(signed), beside)
		if err != nil {
			return
		}
		reports, err := m.Verify(t.Context(), g.roots, g.at)
		require.NoError(t, err)
		require.Len(t, reports, m.Signers())
		var out bytes.Buffer
		require.NoError(t, m.Extract(t.Context(), &out))
		for _, r := range reports {
			if r.Valid() {
				require.Contains(t, []string{"Anna", "Bruno"}, r.Certificate.Subject.CommonName)
				require.Equal(t, string(content), out.String())
			}
		}
	})
}
