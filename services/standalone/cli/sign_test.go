package cli_test

import (
	"bytes"
	"image"
	"image/png"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf/pdftest"
	"signbus.dev/pkg/sign/signtest"
)

func TestSignAndVerify(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	original := pdftest.Sample(2, "A contract")
	d.write(t, "in.pdf", original)
	got := d.must(t, "sign", "@in.pdf", "-o", "@out.pdf", "--key", "@anna.pem", "--reason", "Agreed")
	require.Equal(t, signed{File: d.path("out.pdf"), Level: "B-B", Field: "Signature1", Signatures: 1, SHA256: got.SHA256}, got)
	out := d.read(t, "out.pdf")
	require.True(t, bytes.HasPrefix(out, original))
	require.Equal(t, original, d.read(t, "in.pdf"))
	require.Zero(t, d.run(t, "verify", "@out.pdf", "--ca", "@ca.pem").code)
	require.Contains(t, signtest.Run(t, "pdfsig", d.path("out.pdf")), "Signature is Valid.")
	signtest.Run(t, "qpdf", "--check", d.path("out.pdf"))

	// The second signature is over the first.
	second := d.must(t, "sign", "@out.pdf", "-o", "@both.pdf", "--key", "@anna.pem", "--rect", "2,300,60,520,120", "--text", "Anna", "--autograph", "Anna")
	require.Equal(t, 2, second.Signatures)
	require.Equal(t, 2, strings.Count(signtest.Run(t, "pdfsig", d.path("both.pdf")), "Signature is Valid."))
	require.ElementsMatch(t, []string{"anna.pem", "both.pdf", "ca.pem", "in.pdf", "out.pdf"}, d.left(t), "nothing is left behind")
}

func TestSealNamesTheOrganisation(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.write(t, "in.pdf", pdftest.WithBlankField("Seal"))
	got := d.must(t, "seal", "@in.pdf", "-o", "@out.pdf", "--key", "@anna.pem", "--field", "Seal")
	require.Equal(t, "Seal", got.Field)
	report := d.run(t, "verify", "@out.pdf", "--ca", "@ca.pem", "--json")
	require.Zero(t, report.code, report.errs)
	require.Contains(t, report.out, `"name":"Example Ltd"`)
	require.Contains(t, report.out, `"reason":"Sealed"`)
}

// TestCertifyAndLock: the first signature places the fields of all and certifies, each later one fills its own.
func TestCertifyAndLock(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.write(t, "in.pdf", pdftest.Sample(1, "A contract"))
	d.must(t, "sign", "@in.pdf", "-o", "@1.pdf", "--key", "@anna.pem", "--certify", "forms", "--field", "Buyer",
		"--add-field", "Buyer=1,50,60,200,110", "--add-field", "Seller=1,220,60,370,110", "--add-field", "Witness=1,390,60,540,110")
	d.must(t, "sign", "@1.pdf", "-o", "@2.pdf", "--key", "@anna.pem", "--field", "Seller", "--lock", "include=Witness")
	require.Equal(t, 2, strings.Count(signtest.Run(t, "pdfsig", d.path("2.pdf")), "Signature is Valid."))
	checked := d.run(t, "verify", "@2.pdf", "--ca", "@ca.pem")
	require.Zero(t, checked.code, checked.out)
	for _, c := range []struct {
		args []string
		code string
	}{
		{[]string{"@2.pdf", "--field", "Witness"}, "NOT_PERMITTED"},
		{[]string{"@2.pdf", "--field", "Seller"}, "FIELD_SIGNED"},
		{[]string{"@1.pdf", "--field", "Seller", "--certify", "forms"}, "NOT_PERMITTED"},
	} {
		before := d.left(t)
		got := d.run(t, append([]string{"sign", "-o", "@out.pdf", "--key", "@anna.pem"}, c.args...)...)
		require.Equal(t, 1, got.code, c.args)
		require.Contains(t, got.errs, "signbus: "+c.code+": ", c.args)
		require.Equal(t, before, d.left(t))
	}
	d.must(t, "sign", "@in.pdf", "-o", "@closed.pdf", "--key", "@anna.pem", "--certify", "no-changes")
	closed := d.run(t, "sign", "@closed.pdf", "-o", "@out.pdf", "--key", "@anna.pem")
	require.Equal(t, 1, closed.code)
	require.Contains(t, closed.errs, "NOT_PERMITTED")
}

func TestOutputIsKept(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.write(t, "in.pdf", pdftest.Sample(1, "A contract"))
	d.write(t, "out.pdf", []byte("precious"))
	got := d.run(t, "sign", "@in.pdf", "-o", "@out.pdf", "--key", "@anna.pem")
	require.Equal(t, 1, got.code)
	require.Contains(t, got.errs, "OUTPUT_EXISTS")
	require.Equal(t, "precious", string(d.read(t, "out.pdf")))
	d.must(t, "sign", "@in.pdf", "-o", "@out.pdf", "--key", "@anna.pem", "--force")
	require.True(t, bytes.HasPrefix(d.read(t, "out.pdf"), []byte("%PDF-")))
}

func TestAppearanceAndPreview(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.write(t, "in.pdf", pdftest.Sample(1, "A contract"))
	var logo bytes.Buffer
	require.NoError(t, png.Encode(&logo, image.NewGray(image.Rect(0, 0, 20, 10))))
	d.write(t, "logo.png", logo.Bytes())
	look := []string{"--rect", "1,60,60,360,160", "--text", "Anna Example", "--date", "--autograph", "Anna", "--image", "@logo.png", "--qr", "https://sign.example/v/1"}

	// The preview alone signs nothing.
	got := d.run(t, append([]string{"sign", "@in.pdf", "--key", "@anna.pem", "--preview", "@alone.png"}, look...)...)
	require.Zero(t, got.code, got.errs)
	picture, err := png.Decode(bytes.NewReader(d.read(t, "alone.png")))
	require.NoError(t, err)
	require.Equal(t, image.Pt(800, 267), picture.Bounds().Size(), "300 by 100 points at 192 dpi")

	d.must(t, append([]string{"sign", "@in.pdf", "-o", "@out.pdf", "--key", "@anna.pem", "--preview", "@with.png"}, look...)...)
	require.FileExists(t, d.path("with.png"))
	require.Contains(t, signtest.Run(t, "pdftotext", d.path("out.pdf"), "-"), "Anna Example")
	require.Contains(t, signtest.Run(t, "pdfsig", d.path("out.pdf")), "Signature is Valid.")

	d.write(t, "field.pdf", pdftest.WithBlankField("Buyer"))
	before := d.left(t)
	for _, c := range []struct {
		args []string
		code string
	}{
		{[]string{"@in.pdf", "-o", "@x.pdf", "--preview", "@x.png"}, "PLACE"},
		{[]string{"@in.pdf", "-o", "@x.pdf", "--rect", "1,60,60,360,160", "--image", "@ca.pem"}, "APPEARANCE"},
		{[]string{"@in.pdf", "-o", "@x.pdf", "--rect", "1,60,60,64,64", "--qr", "https://sign.example/v/1"}, "APPEARANCE"},
		{[]string{"@in.pdf", "-o", "@x.pdf", "--rect", "7,60,60,360,160", "--preview", "@x.png"}, "PLACE"},
	} {
		refused := d.run(t, append([]string{"sign", "--key", "@anna.pem"}, c.args...)...)
		require.Equal(t, 1, refused.code, c.args)
		require.Contains(t, refused.errs, c.code)
		require.Equal(t, before, d.left(t))
	}
	field := d.run(t, "sign", "@field.pdf", "--key", "@anna.pem", "--field", "Buyer", "--preview", "@field.png")
	require.Zero(t, field.code, field.errs)
}

// TestEncryptedForItsOwner: a file that opens without a password is signed where its permissions allow.
func TestEncryptedForItsOwner(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.write(t, "in.pdf", pdftest.Sample(1, "A contract"))
	signtest.Run(t, "qpdf", "--encrypt", "", "owner", "256", "--", d.path("in.pdf"), d.path("owner.pdf"))
	signtest.Run(t, "qpdf", "--encrypt", "", "owner", "256", "--modify=none", "--", d.path("in.pdf"), d.path("closed.pdf"))
	signtest.Run(t, "qpdf", "--encrypt", "user", "owner", "256", "--", d.path("in.pdf"), d.path("user.pdf"))
	d.must(t, "sign", "@owner.pdf", "-o", "@out.pdf", "--key", "@anna.pem", "--rect", "1,60,60,260,120")
	require.Contains(t, signtest.Run(t, "pdfsig", d.path("out.pdf")), "Signature is Valid.")
	before := d.left(t)
	for name, code := range map[string]string{"closed.pdf": "NOT_PERMITTED", "user.pdf": "PDF_ENCRYPTED"} {
		got := d.run(t, "sign", "@"+name, "-o", "@none.pdf", "--key", "@anna.pem")
		require.Equal(t, 1, got.code, name)
		require.Contains(t, got.errs, "signbus: "+code+": ", name)
	}
	require.Equal(t, before, d.left(t))
}

// TestInputIsNeverAltered: whatever name the output has for it, the input is not replaced.
func TestInputIsNeverAltered(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	original := pdftest.Sample(1, "A contract")
	d.write(t, "in.pdf", original)
	require.NoError(t, os.Symlink(d.path("in.pdf"), d.path("link.pdf")))
	require.NoError(t, os.Link(d.path("in.pdf"), d.path("hard.pdf")))
	before := d.left(t)
	for _, out := range []string{"@in.pdf", "@link.pdf", "@hard.pdf"} {
		for _, command := range [][]string{{"sign", "@in.pdf", "--key", "@anna.pem"}, {"sign", "@in.pdf", "--key", "@anna.pem", "--format", "cades"}} {
			got := d.run(t, append(slices.Clone(command), "-o", out, "--force")...)
			require.Equal(t, 1, got.code)
			require.Contains(t, got.errs, "OUTPUT_IS_INPUT")
		}
	}
	require.Equal(t, before, d.left(t))
	require.Equal(t, original, d.read(t, "in.pdf"))
}

// TestRefusals gives wrong input: each says what is wrong, writes nothing and leaves the input as it is.
func TestRefusals(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, c := range []struct {
		name   string
		input  []byte
		args   []string
		exit   int
		code   string
		expect string
	}{
		{name: "no key named", args: []string{"--key", ""}, exit: 2, expect: "--key"},
		{name: "key file missing", args: []string{"--key", "@nobody.pem"}, exit: 1, expect: "no such file"},
		{name: "file without key", args: []string{"--key", "@ca.pem"}, exit: 1, code: "KEY_NOT_FOUND", expect: "no private key"},
		{name: "expired", args: []string{"--key", "@old.pem"}, exit: 1, code: "CERTIFICATE_EXPIRED", expect: "valid until"},
		{name: "not yet valid", args: []string{"--key", "@early.pem"}, exit: 1, code: "CERTIFICATE_NOT_YET_VALID", expect: "valid from"},
		{name: "other certificate", args: []string{"--key", "@bare.pem", "--cert", "@other.pem"}, exit: 1, code: "KEY_MISMATCH", expect: "no certificate belongs to the key"},
		{name: "no certificate", args: []string{"--key", "@bare.pem"}, exit: 1, code: "KEY_CERTIFICATE", expect: "--cert"},
		{name: "no such field", args: []string{"--field", "Buyer"}, exit: 1, code: "FIELD_NOT_FOUND", expect: `"Buyer"`},
		{name: "no such page", args: []string{"--rect", "9,10,10,90,40"}, exit: 1, code: "PLACE", expect: "page 9 of 1"},
		{name: "off the page", args: []string{"--rect", "1,5000,10,5900,40"}, exit: 1, code: "PLACE", expect: "outside"},
		{name: "no place", args: []string{"--rect", "1,5"}, exit: 2, expect: "PAGE,LLX"},
		{name: "unknown certification", args: []string{"--certify", "all"}, exit: 2, expect: "no-changes"},
		{name: "unknown lock", args: []string{"--lock", "include="}, exit: 2, expect: "exclude"},
		{name: "field without place", args: []string{"--add-field", "Buyer"}, exit: 2, expect: "NAME=PAGE"},
		{name: "encrypted", input: pdftest.Encrypted(), exit: 1, code: "PDF_ENCRYPTED", expect: "encrypted"},
		{name: "unknown level", args: []string{"--level", "B-X"}, exit: 2, expect: "B-LTA"},
		{name: "level without authority", args: []string{"--level", "B-T"}, exit: 2, expect: "--tsa"},
		{name: "not a PDF", input: []byte("plain text"), args: []string{"--format", "pades"}, exit: 1, code: "PDF_FORMAT", expect: "not a pdf"},
		{name: "cut off", input: pdftest.Truncated(), exit: 1, code: "PDF_FORMAT", expect: "cut off"},
		{name: "unreachable authority", args: []string{"--tsa", "http://127.0.0.1:1/", "--trust", "@ca.pem"}, exit: 1, code: "TSA_UNAVAILABLE", expect: "not available"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.key(t, "old", p256(), now.AddDate(-2, 0, 0), now.AddDate(-1, 0, 0))
			d.key(t, "early", p256(), now.AddDate(1, 0, 0), now.AddDate(2, 0, 0))
			d.key(t, "other", signtest.Key("RSA-2048"), now.Add(-time.Hour), now.AddDate(1, 0, 0))
			d.write(t, "bare.pem", signtest.KeyPEM(p256()))
			if c.input == nil {
				c.input = pdftest.Sample(1, "A contract")
			}
			d.write(t, "in.pdf", c.input)
			before := d.left(t)
			args := append([]string{"sign", "@in.pdf", "-o", "@out.pdf", "--key", "@anna.pem"}, c.args...)
			got := d.run(t, args...)
			require.Equal(t, c.exit, got.code, got.errs)
			require.Contains(t, got.errs, c.expect)
			if c.code != "" {
				require.Contains(t, got.errs, "signbus: "+c.code+": ")
			}
			require.Empty(t, got.out)
			require.Equal(t, before, d.left(t), "nothing is written, nothing is left behind")
			require.Equal(t, c.input, d.read(t, "in.pdf"))
		})
	}
}

// What stands at a path may be more than a file.
func TestOutputIsAFile(t *testing.T) {
	d := newDesk(t)
	d.write(t, "in.pdf", pdftest.Sample(1, "A contract"))
	require.NoError(t, syscall.Mkfifo(d.path("pipe.pdf"), 0o600))
	got := d.run(t, "sign", "@in.pdf", "-o", "@pipe.pdf", "--force", "--key", "@anna.pem")
	require.Equal(t, 1, got.code)
	require.Contains(t, got.errs, "OUTPUT_EXISTS")
	info, err := os.Lstat(d.path("pipe.pdf"))
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&os.ModeNamedPipe)

	d.write(t, "target.pdf", []byte("old"))
	require.NoError(t, os.Symlink("target.pdf", d.path("link.pdf")))
	d.must(t, "sign", "@in.pdf", "-o", "@link.pdf", "--force", "--key", "@anna.pem")
	require.True(t, bytes.HasPrefix(d.read(t, "target.pdf"), []byte("%PDF-")), "what the link leads to is replaced")
	info, err = os.Lstat(d.path("link.pdf"))
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&os.ModeSymlink)

	require.Equal(t, 2, d.run(t, "sign", "@in.pdf", "-o", "@same.pdf", "--preview", "@./same.pdf", "--key", "@anna.pem").code)

	mask := syscall.Umask(0o077)
	defer syscall.Umask(mask)
	d.must(t, "sign", "@in.pdf", "-o", "@private.pdf", "--key", "@anna.pem")
	info, err = os.Stat(d.path("private.pdf"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

// The authority of the time-stamps is mostly another one.
func TestVerifyTrustsSeveralFiles(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.write(t, "in.pdf", pdftest.Sample(1, "A contract"))
	d.must(t, "sign", "@in.pdf", "-o", "@out.pdf", "--key", "@anna.pem")
	d.write(t, "other.pem", signtest.CertificatePEM(signtest.NewAuthority().Certificate))
	require.Equal(t, 1, d.run(t, "verify", "@out.pdf", "--ca", "@other.pem").code)
	require.Contains(t, d.run(t, "verify", "@in.pdf", "--ca", "@ca.pem", "--json").out, `"signatures":[]`)
	require.Zero(t, d.run(t, "verify", "@out.pdf", "--ca", "@ca.pem", "--ca", "@other.pem").code)
	require.Zero(t, d.run(t, "verify", "@out.pdf", "--ca", "@other.pem", "--ca", "@ca.pem").code)
}

// Who certifies a form and allows to fill it in has said which fields it has.
func TestCertifiedFormGetsNoBlankFields(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.write(t, "in.pdf", pdftest.Sample(1, "A contract"))
	d.must(t, "sign", "@in.pdf", "-o", "@form.pdf", "--key", "@anna.pem", "--certify", "forms", "--add-field", "Seller=1,60,60,200,110")
	got := d.run(t, "sign", "@form.pdf", "-o", "@out.pdf", "--key", "@anna.pem", "--field", "Seller", "--add-field", "X=1,60,160,200,210")
	require.Equal(t, 1, got.code)
	require.Contains(t, got.errs, "NOT_PERMITTED")
	d.must(t, "sign", "@form.pdf", "-o", "@out.pdf", "--key", "@anna.pem", "--field", "Seller")
}

// A flag that would have no effect is refused.
func TestFlagsWithoutEffect(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.write(t, "in.pdf", pdftest.Sample(1, "A contract"))
	d.write(t, "order.xml", []byte(data))
	d.must(t, "sign", "@order.xml", "-o", "@order.xml.p7m", "--key", "@anna.pem")
	before := d.left(t)
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"@in.pdf", "-o", "@out.pdf", "--key", "@anna.pem", "--text", "Hello"}, "--rect"},
		{[]string{"@in.pdf", "-o", "@out.pdf", "--resume", "@x", "--signature", "@y", "--reason", "Other"}, "--prepare"},
		{[]string{"@order.xml.p7m", "-o", "@out.p7s", "--key", "@anna.pem", "--detached"}, "--detached"},
	} {
		got := d.run(t, append([]string{"sign"}, c.args...)...)
		require.Equal(t, 2, got.code, got.errs)
		require.Contains(t, got.errs, c.says)
	}
	require.Equal(t, before, d.left(t))
}
