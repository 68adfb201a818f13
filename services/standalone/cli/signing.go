package cli

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"signbus.dev/pkg/sign/keys"
	"signbus.dev/pkg/sign/revocation"
	"signbus.dev/pkg/sign/tsp"
)

// The levels of the command line, in rising order.
var levels = []string{"B-B", "B-T", "B-LT", "B-LTA"}

// signed is what sign, seal and timestamp print of their result.
type signed struct {
	File       string `json:"file"`
	Level      string `json:"level,omitempty"`
	Field      string `json:"field,omitempty"`
	Signatures int    `json:"signatures"`
	SHA256     string `json:"sha256"`
}

// tell prints a result.
func (a *app) tell(s signed) error {
	what := "signed at level " + s.Level
	if s.Level == "" {
		what = "time-stamped"
	}
	if s.Field != "" {
		what += " in field " + s.Field
	}
	return a.print(s, "%s: %s, %d signature(s)\n", s.File, what, s.Signatures)
}

// signing is one run of sign or seal.
type signing struct {
	*signFlags
	app  *app
	path string
	in   *os.File
	size int64
	info os.FileInfo
	at   string // the level to reach
}

func (a *app) signFile(ctx context.Context, path string, f *signFlags) error {
	s := &signing{signFlags: f, app: a, path: path}
	err := s.run(ctx)
	if _, usage := errors.AsType[usageError](err); usage || err == nil {
		return err
	}
	return explain(fmt.Errorf("%s: %w", path, err))
}

func (s *signing) run(ctx context.Context) error {
	var err error
	if s.at, err = s.wanted(); err != nil {
		return usage(err)
	}
	if err := s.usage(); err != nil {
		return usage(err)
	}
	if s.in, err = os.Open(s.path); err != nil {
		return err
	}
	defer func() { _ = s.in.Close() }()
	if s.info, err = s.in.Stat(); err != nil {
		return err
	}
	s.size = s.info.Size()
	isPDF, err := looksLikePDF(s.in)
	if err != nil {
		return err
	}
	if s.format == "pades" || s.format == "" && (isPDF || namedPDF(s.path)) {
		if looksLikeMessage(s.out) {
			return usage(fmt.Errorf("a signed PDF file is no message: call %s .pdf, or ask for one with --format cades", s.out))
		}
		return s.pdf(ctx)
	}
	return s.file(ctx)
}

func usage(err error) error { return usageError{fmt.Errorf("%w; see `signbus sign --help`", err)} }

// looksLikePDF finds the header, which readers accept within the first kilobyte.
func looksLikePDF(in io.ReaderAt) (bool, error) {
	var start [1024]byte
	n, err := in.ReadAt(start[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	if n > 1 && start[0] == 0x30 && start[1] >= 0x80 { // a signed message, which may be around a PDF file
		return false, nil
	}
	return bytes.Contains(start[:n], []byte("%PDF-")), nil
}

// namedPDF tells whether a file is called a PDF. One that is none is refused as such, and
// not signed as any other file would be, which its owner does not expect.
func namedPDF(path string) bool { return strings.EqualFold(filepath.Ext(path), ".pdf") }

// looksLikeMessage goes by the name: any file may be signed, a signed one too.
func looksLikeMessage(path string) bool {
	extension := strings.ToLower(filepath.Ext(path))
	return extension == ".p7m" || extension == ".p7s"
}

// usage checks the flags among themselves.
func (s *signing) usage() error {
	if s.prepare != "" || s.resume != "" {
		if err := s.usageOfPending(); err != nil {
			return err
		}
	} else if s.key == "" {
		return errors.New("name the key to sign with by --key")
	}
	switch {
	case s.out == "" && s.preview == "" && s.prepare == "":
		return errors.New("name the file to write with -o")
	case s.out != "" && s.preview != "" && samePath(s.out, s.preview):
		return errors.New("-o and --preview name the same file; name two")
	case s.shown() && s.field == "" && s.rect == "" && s.preview == "":
		return errors.New("what the signature shows needs a place; give --rect or --field")
	case s.field != "" && s.rect != "":
		return errors.New("--field signs in a field that has its place, --rect makes a new one; give one of them")
	case s.format != "" && s.format != "pades" && s.format != "cades":
		return fmt.Errorf("--format is pades or cades, not %q", s.format)
	case s.at != levels[0] && len(s.tsa) == 0 && s.prepare == "":
		return fmt.Errorf("level %s needs a time-stamp authority; name one with --tsa", s.at)
	}
	return nil
}

// shown tells whether the flags say what the signature shows.
func (f *signFlags) shown() bool {
	return len(f.text) > 0 || f.image != "" || f.qr != "" || f.autograph != "" || f.date
}

// samePath tells whether two paths name the same file, which need not exist.
func samePath(one, other string) bool {
	a, err1 := filepath.Abs(one)
	b, err2 := filepath.Abs(other)
	return err1 == nil && err2 == nil && a == b
}

// wanted is the level asked for.
func (f *signFlags) wanted() (string, error) {
	level := strings.ToUpper(f.level)
	switch {
	case level == "" && len(f.tsa) > 0:
		return levels[1], nil
	case level == "":
		return levels[0], nil
	case slices.Contains(levels, level):
		return level, nil
	}
	return "", fmt.Errorf("--level is B-B, B-T, B-LT or B-LTA, not %q", f.level)
}

// timestamper gives RFC 3161 tokens over signature values and over SHA-256 digests.
type timestamper interface {
	Timestamp(ctx context.Context, signatureValue []byte) ([]byte, error)
	TimestampDigest(ctx context.Context, digest []byte) ([]byte, error)
}

// authority is that of --tsa; nil when the level needs none.
func (s *signing) authority() (timestamper, error) {
	if s.at == levels[0] {
		return nil, nil //nolint:nilnil // none is needed
	}
	return authorities(s.tsa, s.trust)
}

// authorities asks the addresses in their order; trusted certificates vouch for them.
func authorities(addresses, trust []string) (timestamper, error) {
	roots, err := trusted(trust)
	if err != nil {
		return nil, err
	}
	var all []tsp.ClientOptions
	for _, address := range addresses {
		all = append(all, tsp.ClientOptions{URL: address, Roots: roots})
	}
	if len(all) == 1 { // whose own error says most
		return tsp.NewClient(all[0])
	}
	return tsp.NewPool(tsp.PoolOptions{Authorities: all})
}

// revocations asks the authorities that the certificates name; nil when the level needs none.
func (s *signing) revocations(known []*x509.Certificate) (revocation.Source, error) {
	if s.at == levels[0] || s.at == levels[1] {
		return nil, nil
	}
	return collector(known, s.trust)
}

// collector completes chains from known certificates and those of the files.
func collector(known []*x509.Certificate, trust []string) (revocation.Source, error) {
	for _, file := range trust {
		certificates, err := keys.CertificateFile(file)
		if err != nil {
			return nil, err
		}
		known = append(slices.Clip(known), certificates...)
	}
	return revocation.NewCollector(revocation.Options{Known: known}), nil
}

// holder is the name in a certificate; for a seal that of the organisation.
func holder(c *x509.Certificate, seal bool) string {
	if seal && len(c.Subject.Organization) > 0 {
		return c.Subject.Organization[0]
	}
	return c.Subject.CommonName
}
