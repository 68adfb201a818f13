package sign

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// opinion is what a judge says of one signature.
type opinion struct {
	// signer is the common name in the signer's certificate, as far as the judge tells.
	signer string
	// good: the signature fits the bytes that it covers and, where the judge knows trust,
	// its certificate leads to the trusted one.
	good bool
	why  string
}

// verdict is what a judge says of a file.
type verdict struct {
	// signatures are those of people; stamps are document time-stamps.
	signatures, stamps []opinion
	// whole: the file ends where its last signature ends.
	whole bool
	said  string
}

// good says whether all signatures are.
func (v verdict) good() bool {
	for _, o := range append(v.signatures, v.stamps...) {
		if !o.good {
			return false
		}
	}
	return v.whole && len(v.signatures)+len(v.stamps) > 0
}

// judge is a program that nobody here wrote and that judges PDF signatures.
type judge struct {
	name string
	// trust: it can be told whom to trust. stamps: it judges document time-stamps.
	trust, stamps bool
	judge         func(t testing.TB, file, root string) verdict
}

var judges = []judge{
	{"poppler", true, false, poppler},
	{"MuPDF", false, false, mupdf},
	{"pdfcpu", true, true, pdfcpu},
	{"OpenSSL", true, true, openssl},
	{"Bouncy Castle", true, true, bouncyCastle},
}

// blocks cuts what a judge says into one text for each signature.
func blocks(text string, begin *regexp.Regexp) []string {
	var list []string
	places := begin.FindAllStringIndex(text, -1)
	for i, place := range places {
		end := len(text)
		if i+1 < len(places) {
			end = places[i+1][0]
		}
		list = append(list, text[place[0]:end])
	}
	return list
}

// after returns the rest of the line that has a label.
func after(text, label string) string {
	_, rest, _ := strings.Cut(text, label)
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}

// commonName takes the name of the holder from a distinguished name.
func commonName(distinguished string) string {
	for part := range strings.SplitSeq(distinguished, ",") {
		if name, ok := strings.CutPrefix(strings.TrimSpace(part), "CN="); ok {
			return name
		}
	}
	return distinguished
}

// trustStores are the databases of trusted certificates of poppler and pdfcpu.
var trustStores = struct {
	list map[string]string
	lock chan struct{}
}{map[string]string{}, make(chan struct{}, 1)}

// trustStore makes a database of trusted certificates once for each root.
func trustStore(t testing.TB, kind, root string, build func(folder string)) string {
	t.Helper()
	trustStores.lock <- struct{}{}
	defer func() { <-trustStores.lock }()
	folder, ok := trustStores.list[kind+root]
	if !ok {
		folder = filepath.Join(scratch, kind+strconv.Itoa(len(trustStores.list)))
		require.NoError(t, os.Mkdir(folder, 0o700))
		build(folder)
		trustStores.list[kind+root] = folder
	}
	return folder
}

var popplerSignature = regexp.MustCompile(`(?m)^Signature #\d+:`)

// poppler judges with pdfsig, which asks the OCSP responder too.
func poppler(t testing.TB, file, root string) verdict {
	t.Helper()
	folder := trustStore(t, "nss", root, func(folder string) {
		ask(t, "certutil", "-N", "-d", "sql:"+folder, "--empty-password")
		ask(t, "certutil", "-A", "-d", "sql:"+folder, "-n", "trusted", "-t", "CT,C,C", "-i", root)
	})
	s := hear(t, "pdfsig", "-nssdir", "sql:"+folder, file)
	v := verdict{said: s.all(), whole: strings.Count(s.out, "Total document signed") == 1}
	for _, text := range blocks(s.out, popplerSignature) {
		if strings.Contains(text, "Signature Type: unknown") {
			continue // it lists document time-stamps and does not judge them
		}
		if strings.Contains(text, "The signature form field is not signed.") {
			continue
		}
		signature, certificate := after(text, "Signature Validation:"), after(text, "Certificate Validation:")
		v.signatures = append(v.signatures, opinion{
			signer: after(text, "Signer Certificate Common Name:"),
			good:   signature == "Signature is Valid." && certificate == "Certificate is Trusted.",
			why:    signature + " " + certificate,
		})
	}
	return v
}

var mupdfSignature = regexp.MustCompile(`(?m)^Verifying signature \d+:`)

// mupdf judges with `mutool sign -v`. It cannot be told whom to trust, so that its opinion
// is about the signed bytes.
func mupdf(t testing.TB, file, _ string) verdict {
	t.Helper()
	s := hear(t, "mutool", "sign", "-v", file)
	v := verdict{said: s.all()}
	for _, text := range blocks(s.all(), mupdfSignature) {
		if strings.Contains(text, "Signature is not signed.") {
			continue
		}
		unchanged := strings.Contains(text, "The document is unchanged since signing.")
		v.whole = v.whole || unchanged
		name, _, _ := strings.Cut(after(text, "cn="), ",")
		v.signatures = append(v.signatures, opinion{
			signer: name,
			good:   unchanged || strings.Contains(text, "The signature is valid but there have been edits since signing."),
			why:    strings.TrimSpace(text),
		})
	}
	return v
}

var pdfcpuSignature = regexp.MustCompile(`(?m)^\d+:$`)

// pdfcpu judges with `pdfcpu signatures validate`. It asks nobody on loopback, so that a
// signature without revocation data in the file has an unknown revocation state for it.
func pdfcpu(t testing.TB, file, root string) verdict {
	t.Helper()
	folder := trustStore(t, "pdfcpu", root, func(folder string) {
		ask(t, pdfcpuPath(t), "-c", folder, "certificates", "import", root)
	})
	s := hear(t, pdfcpuPath(t), "-c", folder, "-o", "signatures", "validate", "--all", "--full", file)
	v := verdict{said: s.all(), whole: true}
	for _, text := range blocks(s.all(), pdfcpuSignature) {
		status, reason := after(text, "Status: "), after(text, "Reason: ")
		o := opinion{
			signer: after(text, "SignerIdentity:"),
			good:   status == "signature is valid" || reason == "signer's certificate revocation status is unknown",
			why:    status + ": " + reason + "\n" + text,
		}
		if strings.Contains(after(text, "Type:"), "timestamp") {
			v.stamps = append(v.stamps, o)
		} else {
			v.signatures = append(v.signatures, o)
		}
	}
	return v
}

// pdfcpuPath returns the path of the program that the Makefile installs.
func pdfcpuPath(t testing.TB) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", ".tools", "bin", "pdfcpu"))
	require.NoError(t, err)
	require.FileExists(t, path, "pdfcpu is missing: run make tools")
	return path
}

// qpdf judges the structure of a PDF; it may warn only where it did so before the signatures.
func qpdf(t testing.TB, file string, warned bool) {
	t.Helper()
	const warning = 3
	s := hear(t, "qpdf", "--check", file)
	require.Truef(t, s.code == 0 || warned && s.code == warning, "qpdf --check %s:\n%s", filepath.Base(file), s.all())
}

// openssl judges the CMS of each signature with `cms -verify -cades`, and each time-stamp
// with `ts -verify`. PDFBox finds them; it does the rest.
func openssl(t testing.TB, file, root string) verdict {
	t.Helper()
	var found javaPDF
	java(t).ask(t, &found, "pdf", file, root)
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	var v verdict
	for _, s := range found.Signatures {
		if !s.RangeSound {
			v.signatures = append(v.signatures, opinion{why: "it leaves out more than itself: " + s.Problem})
			continue
		}
		v.whole = v.whole || s.Whole
		signed := append(bytes.Clone(data[:s.Range[1]]), data[s.Range[2]:s.Range[2]+s.Range[3]]...)
		if s.Timestamp != nil {
			v.stamps = append(v.stamps, opensslStamp(t, s.Timestamp.Token, signed, root))
			continue
		}
		der, err := hex.DecodeString(string(bytes.Trim(data[s.Range[1]:s.Range[2]], "<>")))
		require.NoError(t, err)
		o := opensslCMS(t, der, signed, root)
		v.said += o.why
		if len(s.Signers) == 1 {
			o.signer = commonName(s.Signers[0].Subject)
			if o.good && s.Signers[0].Timestamp != nil {
				stamp := opensslStamp(t, s.Signers[0].Timestamp.Token, s.Signers[0].Value, root)
				o.good, o.why = stamp.good, stamp.why
			}
		}
		v.signatures = append(v.signatures, o)
	}
	return v
}

// opensslCMS judges a CMS signature over content.
func opensslCMS(t testing.TB, der, content []byte, root string) opinion {
	t.Helper()
	folder := t.TempDir()
	signature, signed := filepath.Join(folder, "signature"), filepath.Join(folder, "content")
	require.NoError(t, os.WriteFile(signature, der, 0o600)) // OpenSSL reads one value and leaves the padding
	require.NoError(t, os.WriteFile(signed, content, 0o600))
	s := hear(t, "openssl", "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-purpose", "any",
		"-in", signature, "-content", signed, "-CAfile", root, "-out", os.DevNull)
	return opinion{good: s.code == 0 && strings.Contains(s.errs, "CAdES Verification successful"), why: s.errs}
}

// opensslStamp judges a time-stamp over data.
func opensslStamp(t testing.TB, token, data []byte, root string) opinion {
	t.Helper()
	folder := t.TempDir()
	stamp, stamped := filepath.Join(folder, "stamp"), filepath.Join(folder, "data")
	require.NoError(t, os.WriteFile(stamp, token, 0o600))
	require.NoError(t, os.WriteFile(stamped, data, 0o600))
	s := hear(t, "openssl", "ts", "-verify", "-in", stamp, "-token_in", "-data", stamped, "-CAfile", root)
	return opinion{good: s.code == 0 && strings.Contains(s.all(), "Verification: OK"), why: s.all()}
}

// bouncyCastle judges with PDFBox and Bouncy Castle: signature, chain, the certificate in
// the signed attributes, and time-stamps.
func bouncyCastle(t testing.TB, file, root string) verdict {
	t.Helper()
	var found javaPDF
	java(t).ask(t, &found, "pdf", file, root)
	var v verdict
	for _, s := range found.Signatures {
		v.whole = v.whole || s.Whole
		if s.Timestamp != nil {
			v.stamps = append(v.stamps, s.Timestamp.opinion())
			continue
		}
		o := opinion{why: s.Problem}
		if s.RangeSound && len(s.Signers) == 1 {
			o = s.Signers[0].opinion()
		}
		v.signatures = append(v.signatures, o)
	}
	v.said = fmt.Sprintf("%+v", v)
	return v
}

func (s *javaSigner) opinion() opinion {
	o := opinion{signer: commonName(s.Subject), good: s.Valid && s.Trusted, why: s.Problem}
	if s.Timestamp != nil {
		stamp := s.Timestamp.opinion()
		o.good, o.why = o.good && stamp.good, o.why+stamp.why
	}
	return o
}

func (s *javaTimestamp) opinion() opinion {
	return opinion{signer: commonName(s.Subject), good: s.Valid && s.Imprint && s.Trusted, why: s.Problem}
}

// gap is something that a judge cannot judge.
type gap struct {
	judge string
	// signer matches the name of a signer; the name has the key type in it.
	signer *regexp.Regexp
	// says is what the judge says instead of a judgement.
	says string
	why  string
}

// gaps are all that a judge cannot judge, with the reason. Every other judgement counts.
var gaps = []gap{
	{"poppler", regexp.MustCompile("Ed25519"), "Document isn't signed or corrupted data.", "NSS 3.87 has no Ed25519 in CMS"},
	{"MuPDF", regexp.MustCompile("Ed25519|PSS"), "Digest error: Unknown error.", "it verifies as PKCS #7, which knows neither Ed25519 nor RSASSA-PSS"},
	{"OpenSSL", regexp.MustCompile("Ed25519"), "Verification failure", "OpenSSL 3.0 hands a digest to Ed25519, which takes none"},
	{"OpenSSL", regexp.MustCompile("^Carla"), "missing signing certificate attribute", "other software leaves the certificate out of the signed attributes, so that it makes no CAdES"},
	{"pdfcpu", regexp.MustCompile(""), "DSS dict entry VRI: unsupported", "pdfcpu 0.15 gives no judgement where a security store has VRI entries"},
	{"pdfcpu", regexp.MustCompile("^$"), "V: missing signature dict reference", "pdfcpu 0.15 gives up at a blank signature field"},
}

// knows says whether the opinion of a judge counts.
func knows(judge string, o opinion) bool {
	return !slices.ContainsFunc(gaps, func(g gap) bool {
		return g.judge == judge && g.signer.MatchString(o.signer) && strings.Contains(o.why, g.says)
	})
}

// producer is the Java program that makes and signs files.
var producer = sync.OnceValues(func() (string, error) { return compile(filepath.Join("..", "inputs")) })

func produce(ctx context.Context, args ...string) error {
	path, err := producer()
	if err != nil {
		return err
	}
	_, err = must(ctx, "", "java", append([]string{"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", path, "Produce"}, args...)...)
	return err
}
