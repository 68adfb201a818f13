package cli

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"signbus.dev/pkg/sign/cades"
	"signbus.dev/pkg/sign/cms"
	"signbus.dev/pkg/sign/keys"
)

// kept is the file of a pending signature. It holds no secret.
type kept struct {
	Version int `json:"version"`
	// Format is pades or cades.
	Format string `json:"format"`
	Level  string `json:"level"`
	// Detached is for cades.
	Detached bool `json:"detached,omitempty"`
	// Signature is what the engine needs to go on.
	Signature []byte `json:"signature"`
}

// keptVersion is that of the format; another one is refused.
const keptVersion = 1

// errPending means that the file of a pending signature is none, or is used in a wrong way.
var errPending = errors.New("not a pending signature of this version and kind")

// toSign is what is printed for the holder of the key.
type toSign struct {
	Pending string `json:"pending"`
	// Scheme is ECDSA, Ed25519, RSASSA-PKCS1-v1_5 or RSASSA-PSS, with a salt as long as the hash.
	Scheme string `json:"scheme"`
	// Hash made the digest; Ed25519 has none and signs the message.
	Hash    string `json:"hash,omitempty"`
	Digest  string `json:"digest,omitempty"`
	Message string `json:"message,omitempty"`
}

// usageOfPending checks the flags of the two phases.
func (s *signing) usageOfPending() error {
	switch {
	case s.prepare != "" && s.resume != "":
		return errors.New("--prepare begins a signature and --resume ends it; give one of them")
	case s.key != "":
		return errors.New("--prepare and --resume are for a key that is elsewhere; leave --key out")
	case s.preview != "":
		return errors.New("--preview is not for two phases; draw it by itself")
	case s.prepare != "" && s.cert == "":
		return errors.New("name the certificate of the key and its chain with --cert")
	case s.prepare != "" && s.out != "":
		return errors.New("--prepare writes the pending signature only; give -o with --resume")
	case s.resume != "" && s.out == "":
		return errors.New("name the file to write with -o")
	case s.resume != "" && (s.shown() || s.field != "" || s.rect != "" || s.reason != "" || s.name != "" || s.location != "" || s.contact != "" || s.certify != "" || s.lock != "" || len(s.addField) > 0 || s.pss || s.detached):
		return errors.New("what is signed and how was settled with --prepare; leave those flags out with --resume")
	case s.resume != "" && s.signature == "":
		return errors.New("name the file with the signature value by --signature")
	}
	return nil
}

// certificates are those of the key that is elsewhere.
func (s *signing) certificates() ([]*x509.Certificate, error) {
	certificates, err := keys.CertificateFile(s.cert)
	if err != nil {
		return nil, err
	}
	return keys.Chain(certificates)
}

// keep writes a pending signature and prints what is to be signed.
func (s *signing) keep(format string, pending interface {
	ToSign() ([]byte, crypto.SignerOpts)
}, state []byte, leaf *x509.Certificate) error {
	out, err := create(s.prepare, s.force, input{s.in, s.info})
	if err != nil {
		return err
	}
	defer out.discard()
	k := kept{Version: keptVersion, Format: format, Level: s.at, Detached: s.detached, Signature: state}
	if err := json.NewEncoder(out).Encode(k); err != nil {
		return err
	}
	if err := out.commit(); err != nil {
		return err
	}
	message, options := pending.ToSign()
	t := toSign{Pending: s.prepare, Hash: options.HashFunc().String(), Digest: hex.EncodeToString(message)}
	_, pss := options.(*rsa.PSSOptions)
	_, elliptic := leaf.PublicKey.(*ecdsa.PublicKey)
	switch {
	case options.HashFunc() == 0:
		t.Scheme, t.Message, t.Hash, t.Digest = "Ed25519", t.Digest, "", ""
	case elliptic:
		t.Scheme = "ECDSA"
	case pss:
		t.Scheme = "RSASSA-PSS"
	default:
		t.Scheme = "RSASSA-PKCS1-v1_5"
	}
	return s.app.tellPending(s.path, t)
}

func (a *app) tellPending(path string, t toSign) error {
	a.note("Sign this with %s %s, then finish with `signbus sign %s -o OUT --resume %s --signature VALUE`:", t.Scheme, t.Hash, path, t.Pending)
	return a.print(t, "%s%s\n", t.Digest, t.Message)
}

// keptFile reads a pending signature and the value that the key gave.
func (s *signing) keptFile(format string) (k kept, value []byte, err error) {
	data, err := readBounded(s.resume)
	if err != nil {
		return k, nil, err
	}
	if json.Unmarshal(data, &k) != nil || k.Version != keptVersion || k.Format != format {
		return k, nil, fmt.Errorf("%s: %w", s.resume, errPending)
	}
	if s.level != "" && s.at != k.Level {
		return k, nil, fmt.Errorf("%w: it was begun for level %s; leave --level out", errPending, k.Level)
	}
	if k.Level == levels[0] && len(s.tsa) > 0 {
		return k, nil, fmt.Errorf("%w: it was begun for level %s; leave --tsa out, or begin anew", errPending, k.Level)
	}
	s.at, s.detached = k.Level, k.Detached
	if s.at != levels[0] && len(s.tsa) == 0 {
		return k, nil, usage(fmt.Errorf("level %s needs a time-stamp authority; name one with --tsa", s.at))
	}
	value, err = readBounded(s.signature)
	return k, value, err
}

// readBounded reads a small file: a signature with its chain, or the room that a PDF file takes for it.
func readBounded(path string) ([]byte, error) {
	file, err := os.Open(path) //nolint:gosec // the user's own file
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	const most = 64 << 20
	data, err := io.ReadAll(io.LimitReader(file, most+1))
	if err == nil && len(data) > most {
		err = fmt.Errorf("%s: %w: more than %d bytes", path, errPending, most)
	}
	return data, err
}

// beginFile is the first phase for any file.
func (s *signing) beginFile(ctx context.Context, message *cades.Message) error {
	chain, err := s.certificates()
	if err != nil {
		return err
	}
	pending, err := message.Begin(ctx, cades.Params{Level: cades.LevelBB, Chain: chain, PSS: s.pss, MIMEType: s.contentType()})
	if err != nil {
		return err
	}
	state, err := pending.MarshalBinary()
	if err != nil {
		return err
	}
	return s.keep("cades", pending, state, chain[0])
}

// finishFile is the second phase for any file.
func (s *signing) finishFile(ctx context.Context, message *cades.Message, k kept, value []byte) error {
	pending, err := cms.UnmarshalPending(k.Signature)
	if err != nil {
		return fmt.Errorf("%s: %w", s.resume, errPending)
	}
	p := cades.Params{Level: cades.Level(s.at)}
	client, err := s.authority()
	if err != nil {
		return err
	}
	if client != nil {
		p.Timestamp = client.Timestamp
	}
	if p.Revocation, err = s.revocations(nil); err != nil {
		return err
	}
	return message.Finish(ctx, pending, value, p)
}

// writeMessage writes a signed message.
func (s *signing) writeMessage(ctx context.Context, message *cades.Message) error {
	out, err := create(s.out, s.force, input{s.in, s.info})
	if err != nil {
		return err
	}
	defer out.discard()
	whole := sha256.New()
	if err := message.WriteTo(ctx, io.MultiWriter(out, whole)); err != nil {
		return err
	}
	if err := out.commit(); err != nil {
		return err
	}
	return s.app.tell(signed{File: s.out, Level: s.at, Signatures: message.Signers(), SHA256: hex.EncodeToString(whole.Sum(nil))})
}
