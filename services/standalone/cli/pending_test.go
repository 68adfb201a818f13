package cli_test

import (
	"crypto"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// away is a key that is elsewhere: the command gets its certificate, OpenSSL its private part.
type away struct {
	*desk
	scheme string
}

func newAway(t *testing.T, key crypto.Signer, scheme string) away {
	t.Helper()
	d := away{newDesk(t), scheme}
	leaf := authority().certify("anna", key.Public(), time.Now().Add(-time.Hour), time.Now().AddDate(1, 0, 0))
	d.write(t, "chain.pem", certificatePEM(leaf, authority().root))
	d.write(t, "away.pem", keyPEM(key))
	return d
}

// begin runs the first phase and lets OpenSSL sign what it prints.
func (d away) begin(t *testing.T, args ...string) {
	t.Helper()
	got := d.run(t, append([]string{"sign", "--cert", "@chain.pem", "--prepare", "@pending", "--json"}, args...)...)
	require.Zero(t, got.code, got.errs)
	var wanted struct{ Pending, Scheme, Hash, Digest, Message string }
	require.NoError(t, json.Unmarshal([]byte(got.out), &wanted))
	require.Equal(t, wanted.Scheme, d.scheme)
	d.write(t, "tosign", must(hex.DecodeString(wanted.Digest+wanted.Message)))
	command := []string{"pkeyutl", "-sign", "-inkey", d.path("away.pem"), "-in", d.path("tosign"), "-out", d.path("value")}
	switch d.scheme {
	case "Ed25519":
		command = append(command, "-rawin")
	case "RSASSA-PSS":
		command = append(command, "-pkeyopt", "digest:sha256", "-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:digest")
	default:
		command = append(command, "-pkeyopt", "digest:sha256")
	}
	judge(t, "openssl", command...)
}

func TestTwoPhasesForFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		key    crypto.Signer
		scheme string
		args   []string
	}{
		{p256(), "ECDSA", nil},
		{rsa2048(), "RSASSA-PKCS1-v1_5", []string{"--detached"}},
		{rsa2048(), "RSASSA-PSS", []string{"--pss"}},
		{ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), "Ed25519", nil},
	} {
		d := newAway(t, c.key, c.scheme)
		d.write(t, "order.xml", []byte(data))
		d.begin(t, append([]string{"@order.xml"}, c.args...)...)
		out, content := "order.xml.p7m", ""
		if len(c.args) > 0 && c.args[0] == "--detached" {
			out, content = "order.xml.p7s", "order.xml"
		}
		d.must(t, "sign", "@order.xml", "-o", "@"+out, "--resume", "@pending", "--signature", "@value")
		if c.scheme != "Ed25519" { // OpenSSL 3.0 does not check it in CMS
			d.requireOpenSSL(t, out, content)
		}
		require.Zero(t, d.run(t, "verify", "@"+out, "--ca", "@ca.pem").code)
	}
}

func TestTwoPhasesRefuse(t *testing.T) {
	t.Parallel()
	d := newAway(t, p256(), "ECDSA")
	d.write(t, "order.xml", []byte(data))
	d.write(t, "other.xml", []byte("<other/>"))
	d.begin(t, "@order.xml")
	d.write(t, "wrong", []byte("not a signature value"))
	before := d.left(t)
	for _, c := range []struct {
		args []string
		exit int
		says string
	}{
		{[]string{"@order.xml", "-o", "@x.p7m", "--resume", "@pending", "--signature", "@wrong"}, 1, "SIGNATURE_VALUE"},
		{[]string{"@other.xml", "-o", "@x.p7m", "--resume", "@pending", "--signature", "@value"}, 1, "CONTENT_CHANGED"},
		{[]string{"@order.xml", "-o", "@x.p7m", "--resume", "@wrong", "--signature", "@value"}, 1, "PENDING"},
		{[]string{"@order.xml", "-o", "@x.p7m", "--resume", "@pending", "--signature", "@value", "--tsa", "http://127.0.0.1:1/"}, 1, "PENDING"},
		{[]string{"@order.xml", "-o", "@x.p7m", "--resume", "@pending"}, 2, "--signature"},
		{[]string{"@order.xml", "-o", "@x.p7m", "--prepare", "@p", "--cert", "@chain.pem"}, 2, "--resume"},
		{[]string{"@order.xml", "--prepare", "@p"}, 2, "--cert"},
		{[]string{"@order.xml", "--prepare", "@p", "--cert", "@chain.pem", "--key", "@anna.pem"}, 2, "--key"},
	} {
		got := d.run(t, append([]string{"sign"}, c.args...)...)
		require.Equal(t, c.exit, got.code, c.args)
		require.Contains(t, got.errs, c.says, c.args)
		require.Equal(t, before, d.left(t), c.args)
	}
}
