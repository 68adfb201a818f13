package cades_test

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/sign/cades"
	"signbus.dev/pkg/sign/cms"
	"signbus.dev/pkg/sign/signtest"
)

// bySomebodyElse makes a message with OpenSSL; with its content inside and streamed it is BER, the content in pieces.
func (c *circle) bySomebodyElse(t testing.TB, data []byte, form string, arguments ...string) []byte {
	t.Helper()
	key, chain := c.person("Bruno", "RSA-2048")
	return c.byOpenSSL(t, key, chain, data, form, arguments...)
}

func (c *circle) byOpenSSL(t testing.TB, key crypto.Signer, chain []*x509.Certificate, data []byte, form string, arguments ...string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	signtest.OpenSSL(t, append([]string{
		"cms", "-sign", "-cades", "-binary", "-md", "sha256", "-in", signtest.Write(t, "content", data), "-outform", form, "-out", out,
		"-signer", signtest.WriteCertificates(t, chain[0]), "-inkey", signtest.WriteKey(t, key), "-certfile", signtest.WriteCertificates(t, chain[1], chain[2]),
	}, arguments...)...)
	return read(t, out)
}

// signerInfos are the bytes of each signature in a message, as OpenSSL finds them.
func signerInfos(t testing.TB, signed []byte) [][]byte {
	t.Helper()
	m, err := cms.Open(bytes.NewReader(signed), int64(len(signed)))
	require.NoError(t, err)
	var infos [][]byte
	for i := range m.Signers() {
		infos = append(infos, m.Raw(i))
	}
	return infos
}

func TestSignaturesOfOtherSoftwareAreExtended(t *testing.T) {
	t.Parallel()
	c := newCircle(t)
	large := bytes.Repeat(content, 5000)
	for name, test := range map[string]struct {
		arguments []string
		form      string
		data      []byte
		detached  bool
	}{
		"attached":            {[]string{"-nodetach"}, "DER", content, false},
		"attached, open":      {[]string{"-nodetach", "-stream"}, "DER", content, false},
		"attached, in pieces": {[]string{"-nodetach", "-stream"}, "DER", large, false},
		"attached, PEM":       {[]string{"-nodetach"}, "PEM", large, false},
		"attached, open, PEM": {[]string{"-nodetach", "-stream"}, "PEM", large, false},
		"detached":            {nil, "DER", content, true},
		"detached, PEM":       {nil, "PEM", content, true},
		"detached, by key":    {[]string{"-keyid"}, "DER", content, true},
		"attached, empty":     {[]string{"-nodetach"}, "DER", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			theirs := c.bySomebodyElse(t, test.data, test.form, test.arguments...)
			beside := digest.Source{}
			if test.detached {
				beside = source(test.data)
			}
			m, err := cades.Open(source(theirs), beside)
			require.NoError(t, err)
			require.Equal(t, test.detached, m.Detached())
			for i, name := range []string{"Anna", "Carla"} {
				key, chain := c.person(name, "P-256")
				require.NoError(t, m.Sign(t.Context(), c.params(t, cades.LevelBLT, key, chain)))
				require.Equal(t, i+2, m.Signers())
			}
			signed := bytesOf(t, m)

			before := theirs
			if test.form == "PEM" {
				block, rest := pem.Decode(theirs)
				require.Empty(t, rest)
				before = block.Bytes
			}
			require.Contains(t, signerInfos(t, signed), signerInfos(t, before)[0])

			var extracted bytes.Buffer
			m, err = cades.Open(source(signed), beside)
			require.NoError(t, err)
			require.NoError(t, m.Extract(t.Context(), &extracted))
			require.Equal(t, string(test.data), extracted.String())
			reports, err := m.Verify(t.Context(), c.root.Roots, now)
			require.NoError(t, err)
			require.Len(t, reports, 3)
			for _, r := range reports {
				require.True(t, r.Valid(), r.Problem)
			}
			out := filepath.Join(t.TempDir(), "out")
			arguments := []string{"cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", signtest.Write(t, "signed", signed), "-CAfile", signtest.WriteCertificates(t, c.root.Certificate), "-out", out}
			if test.detached {
				arguments = append(arguments, "-content", signtest.Write(t, "content", test.data))
			}
			require.Contains(t, signtest.OpenSSL(t, arguments...), "CAdES Verification successful")
			require.Equal(t, string(test.data), string(read(t, out)))
		})
	}
}

func TestBase64IsRead(t *testing.T) {
	t.Parallel()
	c := newCircle(t)
	key, chain := c.person("Anna", "P-256")
	data := bytes.Repeat([]byte("0123456789abcdef"), 40_000) // More than one stride.
	m := cades.New(source(data), false)
	require.NoError(t, m.Sign(t.Context(), c.params(t, cades.LevelBB, key, chain)))
	signed := bytesOf(t, m)
	plain := base64.StdEncoding.EncodeToString(signed)
	var lines strings.Builder
	for rest := plain; rest != ""; rest = rest[min(76, len(rest)):] {
		lines.WriteString(rest[:min(76, len(rest))] + "\r\n")
	}
	for name, text := range map[string]string{
		"one line":          plain,
		"lines":             lines.String(),
		"no padding":        strings.TrimRight(plain, "="),
		"white space first": " \r\n\t" + plain + "\n\n",
		"PEM":               "-----BEGIN PKCS7-----\r\n" + lines.String() + "-----END PKCS7-----\r\n",
		"old PEM":           "-----BEGIN PKCS #7 SIGNED DATA-----\n" + lines.String() + "-----END PKCS #7 SIGNED DATA-----\n",
	} {
		t.Run(name, func(t *testing.T) {
			m, err := cades.Open(source([]byte(text)), digest.Source{})
			require.NoError(t, err)
			var out bytes.Buffer
			require.NoError(t, m.Extract(t.Context(), &out))
			require.True(t, bytes.Equal(data, out.Bytes()))
			require.True(t, bytes.Equal(signed, bytesOf(t, m)))
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	c := newCircle(t)
	key, chain := c.person("Anna", "P-256")
	attached := cades.New(source(content), false)
	require.NoError(t, attached.Sign(t.Context(), c.params(t, cades.LevelBB, key, chain)))
	detached := cades.New(source(content), true)
	require.NoError(t, detached.Sign(t.Context(), c.params(t, cades.LevelBB, key, chain)))
	token, err := c.tsa.Timestamp(t.Context(), content)
	require.NoError(t, err)
	p7m := bytesOf(t, attached)
	encrypted := filepath.Join(t.TempDir(), "encrypted")
	recipient, person := c.person("Bruno", "RSA-2048")
	require.NotNil(t, recipient)
	signtest.OpenSSL(t, "cms", "-encrypt", "-aes256", "-outform", "DER", "-in", signtest.Write(t, "content", content), "-out", encrypted, signtest.WriteCertificates(t, person[0]))
	for name, test := range map[string]struct {
		signed  []byte
		content digest.Source
		want    error
		says    string
	}{
		"nothing":                  {nil, digest.Source{}, cms.ErrMalformed, "empty"},
		"a PDF":                    {[]byte("%PDF-1.7\n"), digest.Source{}, cms.ErrMalformed, "neither DER nor PEM nor base64"},
		"a certificate":            {chain[0].Raw, digest.Source{}, cms.ErrMalformed, "not a signed message"},
		"a certificate in PEM":     {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: chain[0].Raw}), digest.Source{}, cms.ErrMalformed, "PEM"},
		"an encrypted message":     {read(t, encrypted), digest.Source{}, cms.ErrMalformed, "encrypted"},
		"a time-stamp":             {token, digest.Source{}, cms.ErrUnsupported, "time-stamp"},
		"cut":                      {p7m[:len(p7m)-1], digest.Source{}, cms.ErrMalformed, ""},
		"bytes after it":           {append(bytes.Clone(p7m), 1), digest.Source{}, cms.ErrMalformed, "bytes after"},
		"text that is no base64":   {[]byte("MIIB*"), digest.Source{}, cms.ErrMalformed, "base64"},
		"base64 of something else": {[]byte(base64.StdEncoding.EncodeToString(chain[0].Raw)), digest.Source{}, cms.ErrMalformed, "not a signed message"},
		"nested without end":       {bytes.Repeat([]byte{0x30, 0x80}, 1<<20), digest.Source{}, cms.ErrMalformed, ""},
		"detached without content": {bytesOf(t, detached), digest.Source{}, cades.ErrContent, "detached"},
		"attached with content":    {p7m, source(content), cades.ErrContent, "inside"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := cades.Open(source(test.signed), test.content)
			require.ErrorIs(t, err, test.want)
			require.ErrorContains(t, err, test.says)
			require.Nil(t, m)
		})
	}
	gone := errors.New("disk is gone")
	_, err = cades.Open(digest.Source{ReaderAt: broken{gone}, Size: 1000}, digest.Source{})
	require.ErrorIs(t, err, gone)
}

type broken struct{ err error }

func (b broken) ReadAt([]byte, int64) (int, error) { return 0, b.err }

func TestVerifyFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	c := newCircle(t)
	m := cades.New(source(content), false)
	for _, name := range []string{"Anna", "Bruno"} {
		key, chain := c.person(name, "P-256")
		require.NoError(t, m.Sign(t.Context(), c.params(t, cades.LevelBT, key, chain)))
	}
	signed := bytesOf(t, m)
	verify := func(signed []byte) []cades.Report {
		reports, err := open(t, signed, false).Verify(t.Context(), c.root.Roots, now)
		require.NoError(t, err)
		require.Len(t, reports, 2)
		return reports
	}
	changed := bytes.Replace(signed, content, bytes.ToUpper(content), 1)
	for _, r := range verify(changed) {
		require.False(t, r.Valid())
		require.Equal(t, "The content was changed after signing, or is not the content that was signed.", r.Problem)
	}
	key, chain := c.person("Carla", "P-256")
	require.ErrorIs(t, open(t, changed, false).Sign(t.Context(), c.params(t, cades.LevelBB, key, chain)), cms.ErrDigestMismatch)

	// One wrong signature leaves the other as it is.
	broken := bytes.Clone(signed)
	broken[len(broken)-1] ^= 1 // In the token of the second.
	reports := verify(broken)
	require.True(t, reports[0].Valid())
	require.Equal(t, cades.LevelBT, reports[0].Level)
	require.Equal(t, cades.LevelBB, reports[1].Level)
	require.Equal(t, "The time-stamp of the signature is wrong or not trusted.", reports[1].Problem)
	require.False(t, reports[1].Valid())

	reports, err := open(t, signed, false).Verify(t.Context(), newCircle(t).root.Roots, now)
	require.NoError(t, err)
	for _, r := range reports {
		require.True(t, r.Intact)
		require.False(t, r.Trusted)
		require.NotEmpty(t, r.Problem)
	}
}

func TestACertificateThatIsNotForSigningIsNotTrusted(t *testing.T) {
	t.Parallel()
	c := newCircle(t)
	key, chain := c.person("Carla", "RSA-2048", func(template *x509.Certificate) { template.KeyUsage = x509.KeyUsageKeyEncipherment })
	reports, err := open(t, c.byOpenSSL(t, key, chain, content, "DER", "-nodetach"), false).Verify(t.Context(), c.root.Roots, now)
	require.NoError(t, err)
	require.Len(t, reports, 1)
	require.True(t, reports[0].Intact)
	require.False(t, reports[0].Valid())
}

// Acrobat once gave the certificates that it made for its users such numbers.
func TestNegativeSerialNumbersAreRead(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	key, certificate, out := filepath.Join(folder, "key.pem"), filepath.Join(folder, "cert.pem"), filepath.Join(folder, "out")
	signtest.OpenSSL(t, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-subj", "/CN=Anna", "-set_serial", "-4711")
	signtest.OpenSSL(t, "cms", "-sign", "-cades", "-binary", "-md", "sha256", "-nodetach", "-in", signtest.Write(t, "content", content),
		"-outform", "DER", "-out", out, "-signer", certificate, "-inkey", key)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(read(t, certificate)))
	reports, err := open(t, read(t, out), false).Verify(t.Context(), roots, time.Now())
	require.NoError(t, err)
	require.Len(t, reports, 1)
	require.True(t, reports[0].Valid(), "%+v", reports[0])
}

func TestATimestampIsWorthWhatItsAuthorityIs(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		reason  int
		revoked time.Duration // after the time-stamp
		valid   bool
	}{
		"closed later":              {5, time.Minute, true},
		"closed before":             {5, -time.Minute, false},
		"key in other hands":        {1, time.Minute, false},
		"key in other hands before": {1, -time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCircle(t)
			list := c.root.CRL(now.Add(2*time.Minute), now.Add(time.Hour), x509.RevocationListEntry{
				SerialNumber: c.stamper[0].SerialNumber, RevocationTime: now.Add(test.revoked), ReasonCode: test.reason,
			})
			key, chain := c.person("Anna", "P-256")
			m := cades.New(source(content), false)
			require.NoError(t, m.Sign(t.Context(), c.params(t, cades.LevelBT, key, chain)))
			signed := bytesOf(t, m)
			message, err := cms.Open(bytes.NewReader(signed), int64(len(signed)))
			require.NoError(t, err)
			message.AddCRL(list)
			head, tail := message.Encode(int64(len(content)))
			reports, err := open(t, slices.Concat(head, content, tail), false).Verify(t.Context(), c.root.Roots, now.Add(3*time.Minute))
			require.NoError(t, err)
			require.Equal(t, test.valid, reports[0].Valid(), "%+v", reports[0])
		})
	}
}

// zeros is a file of any size that takes no place.
type zeros int64

func (z zeros) ReadAt(p []byte, off int64) (int, error) {
	n := int(min(int64(len(p)), int64(z)-off))
	clear(p[:n])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Content of any size passes through in little memory.
func TestMemoryDoesNotGrowWithTheContent(t *testing.T) {
	c := newCircle(t)
	key, chain := c.person("Anna", "P-256")
	const size = 200 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m := cades.New(digest.Source{ReaderAt: zeros(size), Size: size}, false)
	require.NoError(t, m.Sign(t.Context(), c.params(t, cades.LevelBT, key, chain)))
	sum := sha256.New()
	require.NoError(t, m.WriteTo(t.Context(), sum))
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4<<20))
}
