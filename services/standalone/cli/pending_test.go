package cli_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf/pdftest"
	"signbus.dev/pkg/sign/signtest"
)

// away is a key that is elsewhere: the command gets its certificate, OpenSSL its private part.
type away struct {
	*desk
	scheme string
}

func newAway(t *testing.T, key crypto.Signer, scheme string) away {
	t.Helper()
	d := away{newDesk(t), scheme}
	d.write(t, "chain.pem", signtest.CertificatePEM(certify("anna", key.Public())...))
	d.write(t, "away.pem", signtest.KeyPEM(key))
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
	signtest.Run(t, "openssl", command...)
}

func TestTwoPhasesForFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		key    crypto.Signer
		scheme string
		args   []string
	}{
		{p256(), "ECDSA", nil},
		{signtest.Key("RSA-2048"), "RSASSA-PKCS1-v1_5", []string{"--detached"}},
		{signtest.Key("RSA-2048"), "RSASSA-PSS", []string{"--pss"}},
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

func TestTwoPhasesForPDF(t *testing.T) {
	t.Parallel()
	c := newCircle(t)
	for _, r := range []struct {
		key    crypto.Signer
		scheme string
		level  string
		args   []string
	}{
		{p256(), "ECDSA", "B-B", []string{"--rect", "1,60,60,260,120", "--reason", "Agreed"}},
		{signtest.Key("RSA-2048"), "RSASSA-PSS", "B-LTA", []string{"--pss"}},
		{ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), "Ed25519", "B-T", nil},
	} {
		d := newAway(t, r.key, r.scheme)
		d.write(t, "chain.pem", signtest.CertificatePEM(c.certify("Anna Example", r.key.Public())...))
		original := pdftest.Sample(1, "A contract")
		d.write(t, "in.pdf", original)
		d.begin(t, append([]string{"@in.pdf", "--level", r.level}, r.args...)...)
		finish := []string{"sign", "@in.pdf", "-o", "@out.pdf", "--resume", "@pending", "--signature", "@value"}
		if r.level != "B-B" {
			require.Equal(t, 2, d.run(t, slices.Clone(finish)...).code, "the authority is named in the second phase")
			finish = append(finish, "--tsa", c.url+"/tsa", "--trust", "@ca.pem")
		}
		require.Equal(t, r.level, d.must(t, finish...).Level)
		require.Equal(t, r.level, d.levelOf(t, "out.pdf"))
		require.True(t, bytes.HasPrefix(d.read(t, "out.pdf"), original))
		if r.scheme != "Ed25519" { // poppler does not know it
			require.Contains(t, signtest.Run(t, "pdfsig", d.path("out.pdf")), "Signature is Valid.")
		}

		before := d.left(t)
		d.write(t, "in.pdf", pdftest.Sample(2, "Another contract"))
		for _, wrong := range [][]string{
			{"sign", "@in.pdf", "-o", "@x.pdf", "--resume", "@pending", "--signature", "@value", "--trust", "@ca.pem"},
			{"sign", "@in.pdf", "-o", "@x.pdf", "--resume", "@value", "--signature", "@value"},
			{"sign", "@in.pdf", "-o", "@x.p7m", "--format", "cades", "--resume", "@pending", "--signature", "@value", "--tsa", c.url + "/tsa"},
		} {
			if r.level != "B-B" {
				wrong = append(wrong, "--tsa", c.url+"/tsa")
			}
			got := d.run(t, wrong...)
			require.Equal(t, 1, got.code, wrong)
			require.Contains(t, got.errs, "signbus: PENDING: ", wrong)
		}
		require.Equal(t, before, d.left(t))
	}
}
