package cli

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"signbus.dev/pkg/sign/pades"
)

func (a *app) verify() *cobra.Command {
	var ca string
	c := &cobra.Command{
		Use: "verify FILE...", Short: "Check the signatures of PDF files; exit code 0 when all are valid", GroupID: "client", Args: args(cobra.MinimumNArgs(1)),
		Long: `Check every signature of PDF files: is the document unchanged since, does the certificate lead to a trusted
authority, what level is reached. Trusted are the certificates in the file of --ca; without it the authority
that the bus at --url serves at /pki/ca.pem, which also certifies its time-stamps.`,
		RunE: func(c *cobra.Command, files []string) error {
			roots, err := a.roots(c.Context(), ca)
			if err != nil {
				return err
			}
			var bad error
			for _, file := range files {
				if err := a.verifyFile(c.Context(), file, roots); err != nil {
					bad = err
				}
			}
			return bad
		},
	}
	c.Flags().StringVar(&ca, "ca", "", "PEM file of trusted certificates")
	return c
}

// roots returns the certificates to trust.
func (a *app) roots(ctx context.Context, file string) (*x509.CertPool, error) {
	roots := x509.NewCertPool()
	if file != "" {
		data, err := os.ReadFile(file) //nolint:gosec // the user's own file
		if err != nil {
			return nil, err
		}
		if !roots.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("%s holds no certificate", file)
		}
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
	File       string         `json:"file"`
	Valid      bool           `json:"valid"`
	Signatures []pades.Report `json:"signatures"`
}

func (a *app) verifyFile(ctx context.Context, path string, roots *x509.CertPool) error {
	f, err := os.Open(path) //nolint:gosec // the user's own file
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	reports, err := pades.Verify(ctx, f, info.Size(), roots, time.Now())
	if err != nil {
		return failedError{fmt.Errorf("%s: %w", path, err)}
	}
	result := verified{File: path, Valid: len(reports) > 0, Signatures: reports}
	for _, r := range reports {
		result.Valid = result.Valid && r.Valid()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d signature(s)\n", path, len(reports))
	for _, r := range reports {
		mark := "valid"
		if !r.Valid() {
			mark = "NOT VALID"
		}
		fmt.Fprintf(&b, "  %-9s  %s  %s", mark, r.Time.Local().Format(time.DateTime), r.Subject)
		if r.Level != pades.LevelNone {
			fmt.Fprintf(&b, "  PAdES %s", r.Level)
		}
		if r.Problem != "" {
			fmt.Fprintf(&b, "\n             %s", r.Problem)
		}
		b.WriteByte('\n')
	}
	if err := a.print(result, "%s", b.String()); err != nil {
		return err
	}
	switch {
	case len(reports) == 0:
		return failedError{errors.New(path + " has no signature")}
	case !result.Valid:
		return failedError{errors.New(path + " is not validly signed")}
	}
	return nil
}
