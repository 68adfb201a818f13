package cms_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/sign/cms"
	"signbus.dev/pkg/sign/signtest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden are signatures made once, so that every process that fuzzes has the same root.
type golden struct {
	roots                *x509.CertPool
	at                   time.Time
	plain, stamped, open []byte
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
	g.plain, g.stamped, g.open = read(t, "testdata/plain.p7s"), read(t, "testdata/stamped.p7s"), read(t, "testdata/open.p7m")
	return g
}

func writeGolden(t testing.TB) {
	t.Helper()
	root, key := signtest.NewAuthority(), signtest.Key("P-256")
	chain := root.Issue(key.Public())
	for name, der := range map[string][]byte{
		"root.der": root.Certificate.Raw, "plain.p7s": sign(t, key, chain),
		"stamped.p7s": sign(t, key, chain, stamped(stamper(t, root, now)), func(r *cms.Request) { r.SigningTime = now }),
	} {
		require.NoError(t, os.WriteFile(filepath.Join("testdata", name), der, 0o600))
	}
	signtest.OpenSSL(t, "cms", "-sign", "-cades", "-binary", "-nodetach", "-stream", "-in", signtest.Write(t, "content", content), "-outform", "DER", "-out", "testdata/open.p7m",
		"-signer", signtest.WriteCertificates(t, chain[0]), "-inkey", signtest.WriteKey(t, key))
}

func TestOldSignaturesStayValid(t *testing.T) {
	g := readGolden(t)
	info, err := cms.Verify(g.plain, digestOf(content), g.roots, g.at)
	require.NoError(t, err)
	require.Nil(t, info.Timestamp)
	info, err = cms.Verify(g.stamped, digestOf(content), g.roots, g.at)
	require.NoError(t, err)
	require.Equal(t, info.SigningTime, info.Timestamp.Time)
	_, err = openMessage(t, g.open).Verify(0, digestOf(content), g.roots, g.at)
	require.NoError(t, err)
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

// What Open reads comes out of Encode with every signature and all of the content as they were.
func FuzzOpen(f *testing.F) {
	g := readGolden(f)
	f.Add(g.plain)
	f.Add(g.stamped)
	f.Add(g.open)
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := cms.Open(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		var content []byte
		if !m.Detached() {
			content, err = io.ReadAll(m.Content())
			require.NoError(t, err)
			require.Len(t, content, int(m.ContentSize()))
		}
		for i := range m.Signers() {
			if info, err := m.Verify(i, digestOf(content), g.roots, g.at); err == nil {
				require.Equal(t, "Anna", info.Certificate.Subject.CommonName)
			}
		}
		_, _ = m.Revocations()
		_ = m.HasArchiveTimestamp()
		der := encode(m, content)
		again, err := cms.Open(bytes.NewReader(der), int64(len(der)))
		require.NoError(t, err)
		require.Equal(t, m.Signers(), again.Signers())
		require.Equal(t, m.Detached(), again.Detached())
		require.Equal(t, m.ContentSize(), again.ContentSize())
		require.True(t, bytes.Equal(der, encode(again, content)))
	})
}

// A kept signature that can be read asks for what it would ask again, and no value of nobody's key completes it.
func FuzzUnmarshalPending(f *testing.F) {
	g := readGolden(f)
	certificates, err := cms.Certificates(g.plain)
	require.NoError(f, err)
	pending, err := cms.Begin(cms.Request{Digest: hashed(crypto.SHA256, content), Chain: certificates, Now: func() time.Time { return g.at }})
	require.NoError(f, err)
	kept, err := pending.MarshalBinary()
	require.NoError(f, err)
	f.Add(kept)
	f.Fuzz(func(t *testing.T, data []byte) {
		pending, err := cms.UnmarshalPending(data)
		if err != nil {
			return
		}
		pending.Now = func() time.Time { return g.at }
		again, err := pending.MarshalBinary()
		require.NoError(t, err)
		require.Equal(t, data, again)
		_, err = pending.Complete(t.Context(), make([]byte, 64), nil)
		require.Error(t, err)
	})
}
