package signaturebook

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/pki"
	"signbus.dev/pkg/service"
	"signbus.dev/pkg/sign/tsp"
	"signbus.dev/pkg/subjects"
	"signbus.dev/services/signature-book/pages"
)

// Wire builds the service on a platform: the key store in the service's own tables, the
// built-in time-stamp authority unless another is configured, and a mailer.
func Wire(ctx context.Context, p *service.Platform) (service.Unit, error) {
	if err := Migrate(ctx, p.DB); err != nil {
		return service.Unit{}, err
	}
	authority, err := pki.Open(ctx, NewKeeper(p.DB), pki.Options{Passphrase: p.Secret})
	if err != nil {
		return service.Unit{}, fmt.Errorf("signature book: %w", err)
	}
	stamp, err := timestamper(p, authority)
	if err != nil {
		return service.Unit{}, fmt.Errorf("signature book: %w", err)
	}
	mailer, err := mailerFor(p)
	if err != nil {
		return service.Unit{}, fmt.Errorf("signature book: %w", err)
	}
	s, err := New(Options{
		DB: p.DB, Conn: p.Conn, JS: p.JS, Publisher: p.Publisher, Blobs: p.Blobs, Keys: authority, Mailer: mailer,
		Log: p.Log, Secret: p.Secret, PublicURL: p.Config.PublicURL, Timestamp: stamp,
		Limits: pdf.Limits{Pages: p.Config.MaxPages}, Registerer: p.Registry, Metrics: p.Metrics,
	})
	if err != nil {
		return service.Unit{}, err
	}
	routes := map[string]http.Handler{pages.Prefix: s.Handler(), "GET /pki/": authority.Handler(s.Log)}
	if dev, ok := mailer.(*DevMailer); ok {
		routes["GET /dev/mails"] = dev
	}
	return service.Unit{Name: subjects.SignatureBook, Run: s.Run, Ready: s.Ready, Routes: routes}, nil
}

// timestamper returns the configured time-stamp authority, or the built-in one.
func timestamper(p *service.Platform, authority *pki.Authority) (func(context.Context, []byte) ([]byte, error), error) {
	if p.Config.TSA == "" {
		own, err := tsp.NewAuthority(tsp.AuthorityOptions{
			Log: p.Log,
			Identity: func(ctx context.Context) (crypto.Signer, []*x509.Certificate, error) {
				identity, err := authority.TSA(ctx)
				if err != nil {
					return nil, nil, err
				}
				return identity.Signer, identity.Chain, nil
			},
		})
		if err != nil {
			return nil, err
		}
		return own.Timestamp, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("certificates of this machine: %w", err)
	}
	roots.AddCert(authority.Certificate())
	client, err := tsp.NewClient(tsp.ClientOptions{URL: p.Config.TSA, Roots: roots})
	if err != nil {
		return nil, err
	}
	return client.Timestamp, nil
}

// mailerFor returns the mailer that the configuration names. Without any, invitations and
// codes wait until there is one.
func mailerFor(p *service.Platform) (Mailer, error) {
	switch {
	case p.Config.SMTP != "":
		return smtpMailerFor(p.Config.SMTP, p.Config.MailFrom)
	case p.Config.Dev:
		return NewDevMailer(p.Out), nil
	}
	p.Log.Warn("no mail server is configured: signers get neither invitations nor codes; set SIGNBUS_SMTP")
	return noMailer{}, nil
}

// smtpMailerFor reads smtp://user:password@host:port, which is encrypted by STARTTLS
// unless it ends in ?tls=none, or smtps://.
func smtpMailerFor(address, from string) (Mailer, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("SIGNBUS_SMTP is not an address") // the error would quote the password
	}
	o := SMTPOptions{Host: u.Hostname(), From: from, Username: u.User.Username()}
	o.Password, _ = u.User.Password()
	switch {
	case u.Scheme == "smtps":
		o.Security = SMTPTLS
	case u.Query().Get("tls") == "none":
		o.Security = SMTPPlain
	}
	if u.Port() != "" {
		if o.Port, err = strconv.Atoi(u.Port()); err != nil {
			return nil, errors.New("SIGNBUS_SMTP: the port is not a number")
		}
	}
	return NewSMTPMailer(o)
}

// noMailer stands where no mail server is configured.
type noMailer struct{}

// Send implements [Mailer]: the mail waits.
func (noMailer) Send(context.Context, Mail) error {
	return errors.New("no mail server is configured; set SIGNBUS_SMTP")
}
