package cli

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"os"
	"path/filepath"
	"strings"

	"signbus.dev/pkg/digest"
	"signbus.dev/pkg/sign/cades"
	"signbus.dev/pkg/sign/keys"
)

// file signs a file of any type with CAdES, or adds a signature to a signed message.
func (s *signing) file(ctx context.Context) error {
	var (
		k     kept
		value []byte
		err   error
	)
	if s.resume != "" {
		if k, value, err = s.keptFile("cades"); err != nil {
			return err
		}
	}
	if err := s.usageOfFile(); err != nil {
		return usage(err)
	}
	reading := s.app.progress(s.in, s.size)
	defer reading.end()
	message, closeContent, err := s.message(digest.Source{ReaderAt: reading, Size: s.size})
	if err != nil {
		return err
	}
	defer closeContent()
	switch {
	case s.prepare != "":
		return s.beginFile(ctx, message)
	case s.resume != "":
		err = s.finishFile(ctx, message, k, value)
	default:
		err = s.addSignature(ctx, message)
	}
	if err != nil {
		return err
	}
	reading.end()
	return s.writeMessage(ctx, message)
}

// addSignature signs with a key at hand.
func (s *signing) addSignature(ctx context.Context, message *cades.Message) error {
	if err := free(s.out, s.force, s.info); err != nil {
		return err
	}
	key, err := s.open(ctx, s.app)
	if err != nil {
		return err
	}
	defer func() { _ = key.Close() }()
	params, err := s.cadesParams(key)
	if err != nil {
		return err
	}
	return message.Sign(ctx, params)
}

// usageOfFile refuses what only PDF files have.
func (s *signing) usageOfFile() error {
	for _, flag := range []struct {
		given bool
		name  string
	}{
		{s.field != "", "--field"},
		{s.rect != "", "--rect"},
		{len(s.text) > 0, "--text"},
		{s.image != "", "--image"},
		{s.qr != "", "--qr"},
		{s.autograph != "", "--autograph"},
		{s.date, "--date"},
		{s.preview != "", "--preview"},
		{s.name != "", "--name"},
		{s.reason != "", "--reason"},
		{s.location != "", "--location"},
		{s.contact != "", "--contact"},
		{s.certify != "", "--certify"},
		{s.lock != "", "--lock"},
		{len(s.addField) > 0, "--add-field"},
	} {
		if flag.given {
			return fmt.Errorf("%s is for PAdES, and %s gets a CAdES signature", flag.name, s.path)
		}
	}
	extension := strings.ToLower(filepath.Ext(s.out))
	switch {
	case s.out == "" && s.prepare == "":
		return errors.New("name the file to write with -o")
	case s.at == "B-LTA":
		return errors.New("CAdES is made up to level B-LT; ask for that")
	case looksLikeMessage(s.path) && s.detached:
		return fmt.Errorf("%s has its content inside or beside it already; leave --detached out", s.path)
	case looksLikeMessage(s.path), s.prepare != "":
	case s.detached && extension == ".p7m":
		return errors.New("a detached signature ends in .p7s; name OUT so, or leave --detached out")
	case !s.detached && extension == ".p7s":
		return errors.New("a signature with its content inside ends in .p7m; name OUT so, or add --detached")
	}
	return nil
}

// message is a new one around the file, or the one that the file is.
func (s *signing) message(in digest.Source) (*cades.Message, func(), error) {
	if !looksLikeMessage(s.path) {
		return cades.New(in, s.detached), func() {}, nil
	}
	return openMessage(in, s.path, s.content)
}

// openMessage opens a signed message. A detached one has its content in the file of that
// name, or in the one whose name the message has with .p7s behind it.
func openMessage(in digest.Source, path, content string) (*cades.Message, func(), error) {
	message, err := cades.Open(in, digest.Source{})
	if content == "" && errors.Is(err, cades.ErrContent) {
		content = strings.TrimSuffix(path, filepath.Ext(path))
	}
	if content == "" {
		return message, func() {}, err
	}
	file, err := os.Open(content) //nolint:gosec // the user's own file
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", cades.ErrContent, err)
	}
	closeContent := func() { _ = file.Close() }
	info, err := file.Stat()
	if err == nil {
		message, err = cades.Open(in, digest.Source{ReaderAt: file, Size: info.Size()})
	}
	if err != nil {
		closeContent()
		return nil, nil, err
	}
	return message, closeContent, nil
}

func (s *signing) cadesParams(key *keys.Key) (cades.Params, error) {
	p := cades.Params{Level: cades.Level(s.at), Signer: key.Signer, Chain: key.Chain, PSS: s.pss, MIMEType: s.contentType()}
	client, err := s.authority()
	if err != nil {
		return p, err
	}
	if client != nil {
		p.Timestamp = client.Timestamp
	}
	p.Revocation, err = s.revocations(key.Chain)
	return p, err
}

// contentType is the MIME type of a file by its name; that of a message's content is not known.
func (s *signing) contentType() string {
	if looksLikeMessage(s.path) {
		return ""
	}
	return mime.TypeByExtension(filepath.Ext(s.path))
}
