package cli

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/sign/pades"
)

// timestampFlags are the flags of timestamp.
type timestampFlags struct {
	out        string
	force      bool
	tsa, trust []string
}

func (a *app) timestamp() *cobra.Command {
	var f timestampFlags
	c := &cobra.Command{
		Use: "timestamp FILE -o OUT --tsa URL", Short: "Add a document time-stamp to a PDF file, or renew it", GroupID: "sign", Args: args(cobra.ExactArgs(1)),
		Long: `Add a document time-stamp to a PDF file, so that its signatures outlive their certificates (PAdES B-LTA). First
comes what proves that no certificate of the file was revoked, as far as the file does not hold it; then the
time-stamp over all of it. Do it again before the certificate of the last time-stamp ends.`,
		Example: `  signbus timestamp signed.pdf -o archived.pdf --tsa https://tsa.example/ --trust tsa-ca.pem`,
		RunE:    func(c *cobra.Command, files []string) error { return a.timestampFile(c.Context(), files[0], &f) },
	}
	flags := c.Flags()
	flags.StringVarP(&f.out, "output", "o", "", "file to write; it must not be FILE")
	flags.BoolVar(&f.force, "force", false, "replace OUT where it exists")
	flags.StringArrayVar(&f.tsa, "tsa", nil, "address of a time-stamp authority (RFC 3161); repeat it for others to fall back on")
	flags.StringArrayVar(&f.trust, "trust", nil, "PEM file of trusted certificates, for the time-stamp authority and revocation answers (default: the system's)")
	return c
}

func (a *app) timestampFile(ctx context.Context, path string, f *timestampFlags) error {
	var missing error
	switch {
	case f.out == "":
		missing = errors.New("name the file to write with -o")
	case len(f.tsa) == 0:
		missing = errors.New("name a time-stamp authority with --tsa")
	}
	if missing != nil {
		return usageError{fmt.Errorf("%w; see `signbus timestamp --help`", missing)}
	}
	if err := a.stampFile(ctx, path, f); err != nil {
		return explain(fmt.Errorf("%s: %w", path, err))
	}
	return nil
}

func (a *app) stampFile(ctx context.Context, path string, f *timestampFlags) error {
	in, err := os.Open(path) //nolint:gosec // the user's own file
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if err := free(f.out, f.force, info); err != nil {
		return err
	}
	client, err := authorities(f.tsa, f.trust)
	if err != nil {
		return err
	}
	p := pades.Params{TimestampDigest: client.TimestampDigest}
	if p.Revocation, err = collector(nil, f.trust); err != nil {
		return err
	}
	reading := a.progress(in, info.Size())
	defer reading.end()
	addition, err := pades.Timestamp(ctx, digest.Source{ReaderAt: reading, Size: info.Size()}, p)
	if err != nil {
		return err
	}
	reading.end()
	return a.extend(ctx, addition, input{in, info}, f.out, f.force)
}

// extend writes a file with what was added to it, and tells so.
func (a *app) extend(ctx context.Context, addition *pades.Addition, in input, path string, force bool) error {
	out, err := create(path, force, in)
	if err != nil {
		return err
	}
	defer out.discard()
	if err := addition.WriteTo(ctx, out.File, digest.Source{ReaderAt: in.file, Size: in.info.Size()}); err != nil {
		return err
	}
	if err := out.commit(); err != nil {
		return err
	}
	sum := addition.Digest().Sum()
	return a.tell(signed{
		File: path, Level: string(addition.Level), Field: addition.FieldName, Signatures: addition.Signatures, SHA256: hex.EncodeToString(sum[:]),
	})
}
