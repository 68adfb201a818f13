package sign

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// jars are what the Java programs need, all from Debian packages.
var jars = []string{
	"pdfbox2", "fontbox2", "preflight", "xmpbox", "commons-logging", // libpdfbox2-java
	"bcprov", "bcpkix", "bcutil", // libbcprov-java, libbcpkix-java
	"javax.activation", "jaxb-api", // libactivation-java, libjaxb-api-java: preflight needs them
}

// classPath returns where Java finds the jars and the classes of a folder.
func classPath(classes string) (string, error) {
	paths := []string{classes}
	for _, jar := range jars {
		path := "/usr/share/java/" + jar + ".jar"
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("a Java library is missing (make tools installs it): %w", err)
		}
		paths = append(paths, path)
	}
	return strings.Join(paths, ":"), nil
}

// compile compiles the Java programs of a folder and returns the class path to run them with.
func compile(folder string) (string, error) {
	path, err := classPath(filepath.Join(scratch, "classes-"+filepath.Base(folder)))
	if err != nil {
		return "", err
	}
	sources, err := filepath.Glob(filepath.Join(folder, "*.java"))
	if err != nil {
		return "", err
	}
	classes, _, _ := strings.Cut(path, ":")
	_, err = must(context.Background(), "", "javac", append([]string{"-Xlint:all,-path", "-Werror", "-cp", path, "-d", classes}, sources...)...)
	return path, err
}

// bench is a program that judges; it runs as long as the tests, because starting one costs
// more than what it does.
type bench struct {
	mu  sync.Mutex
	in  io.Writer
	out *bufio.Reader
}

// java is the program of PDFBox and Bouncy Castle.
var java = once(func() (*bench, error) {
	path, err := compile(filepath.Join("..", "judges"))
	if err != nil {
		return nil, err
	}
	return serve(exec.Command("java", "-XX:+UseSerialGC", "-Xmx512m", "-cp", path, "Judge"))
})

// serve starts a program that answers each line with a line.
func serve(cmd *exec.Cmd) (*bench, error) {
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	atEnd(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	return &bench{in: in, out: bufio.NewReader(out)}, nil
}

// ask puts a question and reads the answer.
func (b *bench) ask(t testing.TB, answer any, words ...string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	_, err := io.WriteString(b.in, strings.Join(words, "\t")+"\n")
	require.NoError(t, err)
	line, err := b.out.ReadBytes('\n')
	require.NoError(t, err, "what it needs may be missing: run make tools")
	var failed struct{ Error string }
	require.NoError(t, json.Unmarshal(line, &failed))
	require.Emptyf(t, failed.Error, "%s", strings.Join(words, " "))
	require.NoErrorf(t, json.Unmarshal(line, answer), "%s", line)
}

// covered says what covers a certificate: an OCSP answer, a list, or nothing.
type covered struct{ Subject, By string }

// javaTimestamp is a time-stamp as Bouncy Castle sees it.
type javaTimestamp struct {
	Token                   []byte
	Subject, Problem        string
	Time                    int64
	Imprint, Valid, Trusted bool
	Revocation              []covered
}

// javaSigner is a signer as Bouncy Castle sees it.
type javaSigner struct {
	Subject, Problem                    string
	SignatureAlgorithm, DigestAlgorithm string
	Value, Certificate                  []byte
	Valid, Trusted                      bool
	SigningCertificate, SigningTime     bool
	Timestamp                           *javaTimestamp
	Revocation                          []covered
}

// javaStore is what lies with signatures for their validation later.
type javaStore struct {
	Certificates, OCSPs, CRLs [][]byte
	Problems                  []string
}

// javaSignature is a signature field as PDFBox sees it.
type javaSignature struct {
	Field, SubFilter, Problem string
	RangeSound, Whole         bool
	Range                     [4]int64
	Signers                   []javaSigner
	Timestamp                 *javaTimestamp
}

// javaPDF is a signed PDF as PDFBox and Bouncy Castle see it.
type javaPDF struct {
	Signatures        []javaSignature
	Store             *javaStore
	VRI, VRIStrangers []string
	Certification     int
}

// javaCMS is a CMS file as Bouncy Castle sees it.
type javaCMS struct {
	Attached bool
	Content  string
	Signers  []javaSigner
	Store    javaStore
}

// content is what a signature must not change.
type content struct {
	Fields, Attachments map[string]string
	// SignatureFields are the names of the signature fields, and whether they are signed.
	SignatureFields                         map[string]bool
	Tags, Marked, Language, Title, Metadata string
	Outline, Encrypted                      bool
	Pages                                   []struct {
		Media, Crop, Content string
		Rotation             int
		Unit                 float64
		Annotations          int
	}
}

func contentOf(t testing.TB, file string) content {
	t.Helper()
	var c content
	java(t).ask(t, &c, "content", file)
	return c
}

// pdfaErrors are what PDFBox's preflight holds against a file as PDF/A-1b.
func pdfaErrors(t testing.TB, file string) []string {
	t.Helper()
	var answer struct{ Errors []string }
	java(t).ask(t, &answer, "pdfa", file)
	return answer.Errors
}
