package cms_test

import (
	"bytes"
	"crypto/x509"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/sign/cms"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden are signatures made once, so that every process that fuzzes has the same root.
type golden struct {
	roots          *x509.CertPool
	at             time.Time
	plain, stamped []byte
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
	g.plain, g.stamped = read(t, "testdata/plain.p7s"), read(t, "testdata/stamped.p7s")
	return g
}

func writeGolden(t testing.TB) {
	t.Helper()
	root, key := newAuthority(t), newKey(t, "P-256")
	chain := root.issue(t, key.Public())
	for name, der := range map[string][]byte{
		"root.der": root.certificate.Raw, "plain.p7s": sign(t, key, chain),
		"stamped.p7s": sign(t, key, chain, stamped(stamper(t, root, now)), func(r *cms.Request) { r.SigningTime = now }),
	} {
		require.NoError(t, os.WriteFile(filepath.Join("testdata", name), der, 0o600))
	}
}

func TestOldSignaturesStayValid(t *testing.T) {
	g := readGolden(t)
	info, err := cms.Verify(g.plain, digestOf(content), g.roots, g.at)
	require.NoError(t, err)
	require.Nil(t, info.Timestamp)
	info, err = cms.Verify(g.stamped, digestOf(content), g.roots, g.at)
	require.NoError(t, err)
	require.Equal(t, info.SigningTime, info.Timestamp.Time)
}

// What Verify accepts of any bytes is a signature by the one person whom the root certified.
func FuzzVerify(f *testing.F) {
	g := readGolden(f)
	f.Add(g.plain)
	f.Add(append(bytes.Clone(g.plain), 0, 0, 0))
	f.Add(g.stamped)
	f.Add(bytes.Repeat([]byte{0x30, 0x80}, 200))
	f.Add(append([]byte{0x30, 0x80, 0x24, 0x80, 0x04, 0x01, 'x', 0, 0, 0, 0}, g.plain...))
	f.Fuzz(func(t *testing.T, der []byte) {
		info, err := cms.Verify(der, digestOf(content), g.roots, g.at)
		if err == nil {
			require.Equal(t, "Anna", info.Certificate.Subject.CommonName)
		}
		_, err = cms.VerifyToken(der, digestOf(content), g.roots, g.at)
		require.Error(t, err)
	})
}
