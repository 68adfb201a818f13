package cms_test

import (
	"bytes"
	"crypto/x509"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/sign/cms"
	"signbus.dev/pkg/sign/signtest"
)

func openMessage(t testing.TB, der []byte) *cms.Message {
	t.Helper()
	m, err := cms.Open(bytes.NewReader(der), int64(len(der)))
	require.NoError(t, err)
	return m
}

// encode is a whole message with its content in memory; nil for a detached one.
func encode(m *cms.Message, content []byte) []byte {
	size := int64(len(content))
	if content == nil {
		size = -1
	}
	head, tail := m.Encode(size)
	return append(append(head, content...), tail...)
}

// The outer lengths of a message grow with its content; DER gives each the fewest bytes.
func TestEncodeGivesEveryLengthItsSize(t *testing.T) {
	t.Parallel()
	root, key := signtest.NewAuthority(), signtest.Key("P-256")
	chain := root.Issue(key.Public())
	for _, size := range []int{0, 1, 127, 128, 255, 256, 65_535, 65_536, 1 << 24} {
		data := bytes.Repeat([]byte{'x'}, size)
		info, err := cms.NewSignerInfo(t.Context(), cms.Request{Digest: hashed(cms.HashFor(key.Public()), data), Signer: key, Chain: chain, Now: signtest.Clock})
		require.NoError(t, err)
		m := cms.NewMessage()
		m.Add(info)
		der := encode(m, data)
		again := openMessage(t, der)
		require.Equal(t, int64(size), again.ContentSize())
		read, err := io.ReadAll(again.Content())
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, read))
		require.True(t, bytes.Equal(der, encode(again, data)))
		_, err = again.Verify(0, digestOf(data), root.Roots, now)
		require.NoError(t, err)
		if size < 1<<16 {
			signtest.OpenSSL(t, "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", signtest.Write(t, "message", der),
				"-CAfile", signtest.WriteCertificates(t, root.Certificate), "-out", "/dev/null")
		}
	}
}

// hostile are messages made to exhaust, or to be read differently by different programs.
func hostile(t testing.TB) map[string][]byte {
	root, key := signtest.NewAuthority(), signtest.Key("P-256")
	chain := root.Issue(key.Public())
	signed := openMessage(t, sign(t, key, chain))
	many := func(count int, add func(m *cms.Message, i int)) []byte {
		m := openMessage(t, sign(t, key, chain))
		for i := range count {
			add(m, i)
		}
		return encode(m, nil)
	}
	// An open OCTET STRING of a million empty pieces.
	pieces := append([]byte{0x30, 0x80, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2, 0xa0, 0x80, 0x30, 0x80, 2, 1, 1, 0x31, 0, 0x30, 0x80,
		6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1, 0xa0, 0x80, 0x24, 0x80}, bytes.Repeat([]byte{4, 0}, 1<<20)...)
	return map[string][]byte{
		"revocation lists without end": many(300, func(m *cms.Message, i int) {
			m.AddCRL([]byte{0x30, 3, 2, 1, byte(i), byte(i >> 8)}[:5])
			m.AddOCSP([]byte{0x30, 4, 2, 2, byte(i >> 8), byte(i)})
		}),
		"certificates without end": many(300, func(m *cms.Message, i int) {
			m.AddCertificate(&x509.Certificate{Raw: []byte{0x30, 4, 2, 2, byte(i >> 8), byte(i)}})
		}),
		"pieces without end":     pieces,
		"strings in strings":     append(pieces[:36:36], bytes.Repeat([]byte{0x24, 0x80}, 1<<19)...),
		"sequences in sequences": bytes.Repeat([]byte{0x30, 0x80}, 1<<20),
		"a length of 2^55":       {0x30, 0x87, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 6, 1, 1},
		"a length of 2^63":       {0x30, 0x88, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 6, 1, 1},
		"a tail of 20 MB":        append(bytes.Clone(encode(signed, nil)), make([]byte, 20<<20)...),
		"an open primitive":      append([]byte{0x30, 0x80, 6, 0x80}, make([]byte, 100)...),
	}
}

func TestHostileMessagesEndSoon(t *testing.T) {
	for name, der := range hostile(t) {
		t.Run(name, func(t *testing.T) {
			require.Less(t, testing.AllocsPerRun(1, func() {
				_, err := cms.Open(bytes.NewReader(der), int64(len(der)))
				require.ErrorIs(t, err, cms.ErrMalformed)
			}), 100.0)
		})
	}
}

// Certificates that lead nowhere are not followed for ever.
func TestMazeOfCertificatesIsLeftSoon(t *testing.T) {
	root, key := signtest.NewAuthority(), signtest.Key("P-256")
	chain := root.Issue(key.Public())
	timestamps := stamper(t, root, now)
	m := cms.NewMessage()
	for range 2 {
		info, err := cms.NewSignerInfo(t.Context(), cms.Request{
			Digest: hashed(cms.HashFor(key.Public()), content), Signer: key, Chain: chain[:1], Now: signtest.Clock, Timestamp: timestamps.Timestamp,
		})
		require.NoError(t, err)
		m.Add(info)
	}
	// Certificates that could all be the issuer: same name, another key.
	for range 150 {
		m.AddCertificate(signtest.NewAuthority().Certificate)
	}
	der := encode(m, nil)
	stranger := signtest.NewAuthority()
	require.Less(t, testing.AllocsPerRun(1, func() {
		m = openMessage(t, der)
		for i := range m.Signers() {
			info, err := m.Verify(i, digestOf(content), stranger.Roots, now)
			require.ErrorIs(t, err, cms.ErrUntrusted)
			require.NotNil(t, info)
		}
	}), 50_000.0)
}

func TestArchiveTimestampsAreFound(t *testing.T) {
	t.Parallel()
	root, key := signtest.NewAuthority(), signtest.Key("P-256")
	der := sign(t, key, root.Issue(key.Public()), stamped(stamper(t, root, now)))
	require.False(t, openMessage(t, der).HasArchiveTimestamp())
	// The same token under the name of archive-time-stamp, version 2.
	name := []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 2, 14}
	at := bytes.LastIndex(der, name) + len(name) - 1
	der[at] = 48
	require.True(t, openMessage(t, der).HasArchiveTimestamp())
}
