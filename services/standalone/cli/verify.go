package cli

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/sign/cades"
	"signbus.dev/pkg/sign/pades"
)

func (a *app) verify() *cobra.Command {
	var ca []string
	var content, recordings string
	c := &cobra.Command{
		Use: "verify FILE...", Short: "Check the signatures of PDF, .p7m and .p7s files; exit code 0 when all are valid", GroupID: "sign", Args: args(cobra.MinimumNArgs(1)),
		Long: `Check every signature of PDF files and of signed messages (.p7m, .p7s): is the document unchanged since, does
the certificate lead to a trusted authority, what level is reached. Trusted are the certificates in the files of
--ca; without it the authority that the bus at --url serves at /pki/ca.pem, which also certifies its time-stamps.
A .p7s is checked against the file of --content, or else the file that has its name without .p7s.

A signature of a PDF may hold how the hand moved, encrypted for the holder of the escrow key. With
--extract-graphometric each of those, where the signature is intact, becomes a file of its own, named
FILE.signature-1.p7m, which "openssl cms -decrypt" opens with that key.`,
		Example: `  signbus verify signed.pdf --ca ca.pem
  signbus verify data.xml.p7m --ca ca.pem
  signbus verify data.sig.p7s --content data.xml --ca ca.pem
  signbus verify signed.pdf --ca ca.pem --extract-graphometric expert/`,
		RunE: func(c *cobra.Command, files []string) error {
			roots, err := a.roots(c.Context(), ca)
			if err != nil {
				return err
			}
			var bad error
			for _, file := range files {
				if err := a.verifyFile(c.Context(), file, content, recordings, roots); err != nil {
					bad = err
				}
			}
			return bad
		},
	}
	c.Flags().StringArrayVar(&ca, "ca", nil, "PEM file of trusted certificates; may be repeated")
	c.Flags().StringVar(&content, "content", "", "the signed file of a detached signature")
	c.Flags().StringVar(&recordings, "extract-graphometric", "", "folder for the sealed graphometric recordings of the signatures")
	return c
}

// roots returns the certificates to trust.
func (a *app) roots(ctx context.Context, files []string) (*x509.CertPool, error) {
	roots := x509.NewCertPool()
	for _, file := range files {
		data, err := os.ReadFile(file) //nolint:gosec // the user's own file
		if err != nil {
			return nil, err
		}
		if !roots.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("%s holds no certificate", file)
		}
	}
	if len(files) > 0 {
		return roots, nil
	}
	data, err := a.fetch(ctx, "/pki/ca.pem")
	if err != nil {
		return nil, fmt.Errorf("%w; name trusted certificates with --ca", err)
	}
	if !roots.AppendCertsFromPEM(data) {
		return nil, errors.New("the bus serves no certificate; name trusted certificates with --ca")
	}
	return roots, nil
}

func (a *app) fetch(ctx context.Context, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(a.url, "/")+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := a.web().Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch %s: %s", path, resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, 1<<20))
}

// verified is what verify prints of a file.
type verified struct {
	File       string `json:"file"`
	Valid      bool   `json:"valid"`
	Signatures any    `json:"signatures"`
}

// checked is what people read of one signature.
type checked struct {
	valid                   bool
	time                    time.Time
	subject, level, problem string
	stamp                   bool // a document time-stamp: nobody signed
	// recording is the sealed graphometric recording of a signature that is intact.
	recording []byte
}

// counted says how many signatures and document time-stamps there are.
func counted(found []checked) string {
	stamps := 0
	for _, c := range found {
		if c.stamp {
			stamps++
		}
	}
	out := fmt.Sprintf("%d signature(s)", len(found)-stamps)
	if stamps > 0 {
		out += fmt.Sprintf(", %d document time-stamp(s)", stamps)
	}
	return out
}

func (a *app) verifyFile(ctx context.Context, path, content, recordings string, roots *x509.CertPool) error {
	f, err := os.Open(path) //nolint:gosec // the user's own file
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	check := verifyPDF
	if looksLikeMessage(path) {
		check = func(ctx context.Context, in *os.File, size int64, roots *x509.CertPool) (any, []checked, error) {
			return verifyMessage(ctx, digest.Source{ReaderAt: in, Size: size}, path, content, roots)
		}
	}
	reports, found, err := check(ctx, f, info.Size(), roots)
	if err != nil {
		return failedError{fmt.Errorf("%s: %w", path, err)}
	}
	if recordings != "" {
		if err := extract(recordings, filepath.Base(path), found); err != nil {
			return err
		}
	}
	result := verified{File: path, Valid: len(found) > 0, Signatures: reports}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", path, counted(found))
	for _, c := range found {
		result.Valid = result.Valid && c.valid
		mark := "valid"
		if !c.valid {
			mark = "NOT VALID"
		}
		when, who := "time unknown       ", "signer unknown"
		if !c.time.IsZero() {
			when = c.time.Local().Format(time.DateTime)
		}
		if c.subject != "" {
			who = c.subject
		}
		fmt.Fprintf(&b, "  %-9s  %s  %s", mark, when, who)
		if c.level != "" {
			fmt.Fprintf(&b, "  %s", c.level)
		}
		if c.problem != "" {
			fmt.Fprintf(&b, "\n             %s", c.problem)
		}
		b.WriteByte('\n')
	}
	if err := a.print(result, "%s", b.String()); err != nil {
		return err
	}
	switch {
	case len(found) == 0:
		return failedError{errors.New(path + " has no signature")}
	case !result.Valid:
		return failedError{errors.New(path + " is not validly signed")}
	}
	return nil
}

// extract writes the sealed recordings of a file into a folder. One that is there already stays.
func extract(dir, name string, found []checked) error {
	for i, c := range found {
		if len(c.recording) == 0 {
			continue
		}
		path := filepath.Join(dir, fmt.Sprintf("%s.signature-%d.p7m", name, i+1))
		out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // in a folder that the user names
		if err != nil {
			return err
		}
		_, err = out.Write(c.recording)
		if err := errors.Join(err, out.Close()); err != nil {
			return err
		}
	}
	return nil
}

func verifyPDF(ctx context.Context, in *os.File, size int64, roots *x509.CertPool) (any, []checked, error) {
	reports, err := pades.Verify(ctx, in, size, roots, time.Now())
	if reports == nil {
		reports = []pades.Report{} // in JSON it is a list
	}
	found := make([]checked, len(reports))
	for i, r := range reports {
		found[i] = checked{valid: r.Valid(), time: r.Time, subject: r.Subject, problem: r.Problem, stamp: r.DocTimestamp}
		switch {
		case r.DocTimestamp:
			found[i].time, found[i].subject, found[i].level = r.TimestampTime, r.TimestampAuthority, "document time-stamp"
		case r.Level != pades.LevelNone:
			found[i].level = "PAdES " + string(r.Level)
		}
		if r.Certification > 0 {
			found[i].level += ", certifies the document"
		}
		if r.Intact && r.GraphometricBytes > 0 {
			found[i].level += ", with a graphometric recording"
			found[i].recording = r.Graphometric
		}
	}
	return reports, found, err
}

func verifyMessage(ctx context.Context, in digest.Source, path, content string, roots *x509.CertPool) (any, []checked, error) {
	message, closeContent, err := openMessage(in, path, content)
	if err != nil {
		return nil, nil, err
	}
	defer closeContent()
	reports, err := message.Verify(ctx, roots, time.Now())
	found := make([]checked, len(reports))
	for i, r := range reports {
		found[i] = checked{valid: r.Valid(), time: r.Time, subject: r.Subject, problem: r.Problem}
		if r.Level != cades.LevelNone {
			found[i].level = "CAdES " + string(r.Level)
		}
	}
	return reports, found, err
}
