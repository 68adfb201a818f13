package cli_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf/pdftest"
	"signbus.dev/pkg/sign/signtest"
)

const data = "<order><total>100</total></order>\r\n"

// openssl checks a CAdES message with every signer's signing-certificate attribute.
func (d *desk) requireOpenSSL(t *testing.T, name, content string) {
	t.Helper()
	args := []string{"cms", "-verify", "-cades", "-binary", "-inform", "DER", "-purpose", "any", "-in", d.path(name), "-CAfile", d.path("ca.pem"), "-out", d.path(name + ".content")}
	if content != "" {
		args = append(args, "-content", d.path(content))
	}
	require.Regexp(t, "(?i)verification successful", signtest.Run(t, "openssl", args...))
	require.Equal(t, data, string(d.read(t, name+".content")))
}

func TestAttachedWithParallelSignature(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.key(t, "bruno", signtest.Key("RSA-2048"), time.Now().Add(-time.Hour), time.Now().AddDate(1, 0, 0))
	d.write(t, "order.xml", []byte(data))
	got := d.must(t, "sign", "@order.xml", "-o", "@order.xml.p7m", "--key", "@anna.pem")
	require.Equal(t, signed{File: d.path("order.xml.p7m"), Level: "B-B", Signatures: 1, SHA256: got.SHA256}, got)
	d.requireOpenSSL(t, "order.xml.p7m", "")

	both := d.must(t, "sign", "@order.xml.p7m", "-o", "@both.p7m", "--key", "@bruno.pem", "--pss", "--format", "cades")
	require.Equal(t, 2, both.Signatures)
	d.requireOpenSSL(t, "both.p7m", "")
	report := d.run(t, "verify", "@both.p7m", "--ca", "@ca.pem", "--json")
	require.Zero(t, report.code, report.errs)
	var result struct {
		Valid      bool
		Signatures []struct{ Subject, Level string }
	}
	require.NoError(t, json.Unmarshal([]byte(report.out), &result))
	require.True(t, result.Valid)
	require.Len(t, result.Signatures, 2)
	require.Contains(t, d.run(t, "verify", "@both.p7m", "--ca", "@ca.pem").out, "CAdES B-B")

	damaged := d.read(t, "both.p7m")
	for i := range damaged {
		if string(damaged[i:i+5]) == "total" {
			damaged[i] ^= 1
			break
		}
	}
	d.write(t, "damaged.p7m", damaged)
	require.Equal(t, 1, d.run(t, "verify", "@damaged.p7m", "--ca", "@ca.pem").code)
	refused := d.run(t, "sign", "@damaged.p7m", "-o", "@more.p7m", "--key", "@anna.pem")
	require.Equal(t, 1, refused.code)
	require.Contains(t, refused.errs, "CONTENT_CHANGED")
	require.NoFileExists(t, d.path("more.p7m"))
}

func TestDetached(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.write(t, "order.xml", []byte(data))
	d.must(t, "seal", "@order.xml", "-o", "@order.xml.p7s", "--key", "@anna.pem", "--detached")
	d.requireOpenSSL(t, "order.xml.p7s", "order.xml")
	require.Zero(t, d.run(t, "verify", "@order.xml.p7s", "--ca", "@ca.pem").code, "the content is found by its name")
	d.must(t, "sign", "@order.xml.p7s", "-o", "@two.p7s", "--key", "@anna.pem")
	require.Zero(t, d.run(t, "verify", "@two.p7s", "--ca", "@ca.pem", "--content", "@order.xml").code)
	lost := d.run(t, "verify", "@two.p7s", "--ca", "@ca.pem")
	require.Equal(t, 1, lost.code)
	other := d.run(t, "verify", "@two.p7s", "--ca", "@ca.pem", "--content", "@ca.pem")
	require.Equal(t, 1, other.code)
	require.Contains(t, other.out, "NOT VALID")
}

// TestPDFAsCAdES: a PDF file may be signed as any other.
func TestPDFAsCAdES(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.write(t, "in.pdf", pdftest.Sample(1, "A contract"))
	d.must(t, "sign", "@in.pdf", "-o", "@in.pdf.p7m", "--key", "@anna.pem", "--format", "cades")
	require.Zero(t, d.run(t, "verify", "@in.pdf.p7m", "--ca", "@ca.pem").code)
}

func TestCAdESRefusals(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.write(t, "order.xml", []byte(data))
	d.write(t, "no.p7m", []byte("no message"))
	before := d.left(t)
	for _, c := range []struct {
		args []string
		exit int
		says string
	}{
		{[]string{"@order.xml", "-o", "@x.p7s"}, 2, "--detached"},
		{[]string{"@order.xml", "-o", "@x.p7m", "--detached"}, 2, ".p7s"},
		{[]string{"@order.xml", "-o", "@x.p7m", "--rect", "1,1,1,9,9"}, 2, "--rect"},
		{[]string{"@order.xml", "-o", "@x.p7m", "--tsa", "http://127.0.0.1:1", "--level", "B-LTA"}, 2, "B-LT"},
		{[]string{"@no.p7m", "-o", "@x.p7m"}, 1, "FILE_FORMAT"},
		{[]string{"@order.xml", "-o", "@order.xml", "--force"}, 1, "OUTPUT_IS_INPUT"},
	} {
		got := d.run(t, append([]string{"sign", "--key", "@anna.pem"}, c.args...)...)
		require.Equal(t, c.exit, got.code, c.args)
		require.Contains(t, got.errs, c.says)
		require.Equal(t, before, d.left(t))
	}
}

// A message around a PDF file is no PDF file, whatever stands in its first kilobyte.
func TestMessageAroundAPDFFile(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.write(t, "in.pdf", pdftest.Sample(1, "A contract"))
	d.must(t, "sign", "@in.pdf", "-o", "@in.pdf.p7m", "--key", "@anna.pem", "--format", "cades")
	signtest.Run(t, "openssl", "cms", "-sign", "-cades", "-binary", "-nodetach", "-stream", "-md", "sha256", "-in", d.path("in.pdf"), "-outform", "DER",
		"-out", d.path("theirs.p7m"), "-signer", d.path("anna.pem"), "-inkey", d.path("anna.pem"))
	for _, name := range []string{"in.pdf.p7m", "theirs.p7m"} {
		require.Equal(t, 2, d.must(t, "sign", "@"+name, "-o", "@both-"+name, "--key", "@anna.pem").Signatures)
		got := d.run(t, "verify", "@both-"+name, "--ca", "@ca.pem")
		require.Zero(t, got.code, got.errs)
	}
	refused := d.run(t, "sign", "@in.pdf", "-o", "@other.p7m", "--key", "@anna.pem")
	require.Equal(t, 2, refused.code)
	require.Contains(t, refused.errs, "--format cades")
	require.NoFileExists(t, d.path("other.p7m"))
}
