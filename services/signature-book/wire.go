package signaturebook

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"signbus.dev/pkg/config"
	"signbus.dev/pkg/guard"
	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/pki"
	"signbus.dev/pkg/service"
	"signbus.dev/pkg/sign/graphometric"
	"signbus.dev/pkg/sign/keys"
	"signbus.dev/pkg/sign/revocation"
	"signbus.dev/pkg/sign/tsp"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/subjects"
	"signbus.dev/services/signature-book/pages"
)

// Wire builds the service on a platform: the key store in the service's own tables, the
// built-in time-stamp authority unless another is configured, and a mailer.
func Wire(ctx context.Context, p *service.Platform) (service.Unit, error) {
	if err := Migrate(ctx, p.DB); err != nil {
		return service.Unit{}, err
	}
	authority, err := OpenAuthority(ctx, p.DB, p.Config, p.Secret)
	if err != nil {
		return service.Unit{}, fmt.Errorf("signature book: %w", err)
	}
	signers, err := withSealKey(ctx, authority, p.Config)
	if err != nil {
		return service.Unit{}, fmt.Errorf("signature book: %w", err)
	}
	answers, err := revocationSource(p, authority)
	if err != nil {
		return service.Unit{}, fmt.Errorf("signature book: %w", err)
	}
	tsa, err := ownTSA(p, authority)
	if err != nil {
		return service.Unit{}, fmt.Errorf("signature book: %w", err)
	}
	stamp, err := timestamper(p, authority, tsa)
	if err != nil {
		return service.Unit{}, fmt.Errorf("signature book: %w", err)
	}
	mailer, err := mailerFor(p)
	if err != nil {
		return service.Unit{}, fmt.Errorf("signature book: %w", err)
	}
	escrow, err := escrowCertificates(p.Config.EscrowCert, p.Log)
	if err != nil {
		return service.Unit{}, fmt.Errorf("signature book: %w", err)
	}
	s, err := New(Options{
		DB: p.DB, Conn: p.Conn, JS: p.JS, Publisher: p.Publisher, Blobs: p.Blobs, Keys: signers, Register: authority, Mailer: mailer,
		Log: p.Log, Secret: p.Secret, PublicURL: p.Config.PublicURL, Timestamp: stamp, Revocation: answers, Escrow: escrow,
		Limits: pdf.Limits{Pages: p.Config.MaxPages}, Registerer: p.Registry, Metrics: p.Metrics,
	})
	if err != nil {
		return service.Unit{}, err
	}
	routes := map[string]http.Handler{pages.Prefix: s.Handler(), "/pki/": authority.Handler(s.Log), "/pki/tsa": tsa}
	if dev, ok := mailer.(*DevMailer); ok {
		routes["GET /dev/mails"] = dev
	}
	return service.Unit{Name: subjects.SignatureBook, Run: s.Run, Ready: s.Ready, Routes: routes}, nil
}

// OpenAuthority opens the built-in certificate authority of a configuration, whose key store
// is in the database and whose passphrase is the secret.
func OpenAuthority(ctx context.Context, db *store.DB, cfg config.Config, secret []byte) (*pki.Authority, error) {
	return pki.Open(ctx, NewKeeper(db), pki.Options{Passphrase: secret, PublicURL: cfg.PublicURL, UserLife: cfg.CertificateLife})
}

// sealKey takes the place of the seals that the built-in authority certifies.
type sealKey struct {
	Keys

	identity *pki.Identity
}

// Seal implements [Keys].
func (k sealKey) Seal(context.Context, pki.Organisation) (*pki.Identity, error) {
	return k.identity, nil
}

// withSealKey returns the authority's keys, with the operator's own for seals when one is
// configured. That key stays open as long as the process lives.
func withSealKey(ctx context.Context, authority Keys, cfg config.Config) (Keys, error) {
	if cfg.SealKey == "" {
		return authority, nil
	}
	var options keys.Options
	if cfg.SealPassphrase != "" {
		options.Passphrase = func(context.Context) ([]byte, error) {
			text, err := os.ReadFile(cfg.SealPassphrase)
			if err != nil {
				return nil, fmt.Errorf("SIGNBUS_SEAL_PASSPHRASE_FILE: %w", err)
			}
			return bytes.TrimRight(text, "\r\n"), nil
		}
	}
	key, err := keys.Open(ctx, cfg.SealKey, options)
	if err != nil {
		return nil, fmt.Errorf("SIGNBUS_SEAL_KEY: %w", err)
	}
	return sealKey{Keys: authority, identity: &pki.Identity{Signer: key.Signer, Chain: key.Chain}}, nil
}

// revocationSource asks the built-in authority in process, and those of other certificates
// where these say, with the guard that webhooks have too: who brings a certificate chooses
// the addresses in it.
func revocationSource(p *service.Platform, authority *pki.Authority) (revocation.Source, error) {
	var allow []netip.Prefix
	for _, cidr := range p.Config.RevocationAllow {
		prefix, err := netip.ParsePrefix(cidr)
		if err != nil {
			return nil, fmt.Errorf("SIGNBUS_REVOCATION_ALLOW: %w", err)
		}
		allow = append(allow, prefix)
	}
	client := &http.Client{Transport: guard.New(allow...).Transport(connectTimeout)}
	return revocation.First{
		revocation.Local(authority.Revocation), revocation.NewCollector(revocation.Options{HTTP: client}),
	}, nil
}

// connectTimeout is how long connecting to an authority may take.
const connectTimeout = 5 * time.Second

// ownTSA is the built-in time-stamp authority: it serves others at /pki/tsa, and this bus in
// process unless another is configured.
func ownTSA(p *service.Platform, authority *pki.Authority) (*tsp.Authority, error) {
	return tsp.NewAuthority(tsp.AuthorityOptions{
		Log: p.Log, Rate: p.Config.TSARate,
		Identity: func(ctx context.Context) (crypto.Signer, []*x509.Certificate, error) {
			identity, err := authority.TSA(ctx)
			if err != nil {
				return nil, nil, err
			}
			return identity.Signer, identity.Chain, nil
		},
	})
}

// timestamper asks the configured time-stamp authorities, or the built-in one.
func timestamper(p *service.Platform, authority *pki.Authority, own *tsp.Authority) (func(context.Context, []byte) ([]byte, error), error) {
	if len(p.Config.TSA) == 0 {
		return own.TimestampDigest, nil
	}
	roots, err := timestampRoots(p.Config.TSATrust)
	if err != nil {
		return nil, err
	}
	roots.AddCert(authority.Certificate())
	pool := tsp.PoolOptions{Observe: newStampMetrics(p.Registry).observe}
	for _, address := range p.Config.TSA {
		pool.Authorities = append(pool.Authorities, tsp.ClientOptions{URL: address, Roots: roots, Timeout: p.Config.TSATimeout})
	}
	asked, err := tsp.NewPool(pool)
	if err != nil {
		return nil, err
	}
	return asked.TimestampDigest, nil
}

// timestampRoots are the certificates of a PEM file, or those that this machine trusts.
func timestampRoots(path string) (*x509.CertPool, error) {
	if path == "" {
		roots, err := x509.SystemCertPool()
		if err != nil {
			return nil, fmt.Errorf("certificates of this machine: %w", err)
		}
		return roots, nil
	}
	text, err := os.ReadFile(path) //nolint:gosec // The operator names it.
	if err != nil {
		return nil, fmt.Errorf("SIGNBUS_TSA_TRUST: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, errors.New("SIGNBUS_TSA_TRUST: the file has no certificate in PEM")
	}
	return roots, nil
}

// escrowCertificates are the certificates of a PEM file, for which graphometric recordings are
// encrypted; none when path is empty. One that has ended still encrypts, with a warning.
func escrowCertificates(path string, log *slog.Logger) ([]*x509.Certificate, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path) //nolint:gosec // The operator names it.
	if err != nil {
		return nil, fmt.Errorf("SIGNBUS_ESCROW_CERT: %w", err)
	}
	var certificates []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("SIGNBUS_ESCROW_CERT: the file holds a %s; only certificates belong on this machine", block.Type)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("SIGNBUS_ESCROW_CERT: %w", err)
		}
		if time.Now().After(certificate.NotAfter) {
			log.Warn("an escrow certificate has ended; replace it", "serial", fmt.Sprintf("%x", certificate.SerialNumber), "ended", certificate.NotAfter)
		}
		certificates = append(certificates, certificate)
	}
	if err := graphometric.CheckRecipients(certificates); err != nil {
		return nil, fmt.Errorf("SIGNBUS_ESCROW_CERT: %w", err)
	}
	return certificates, nil
}

// stampMetrics counts the requests to outside time-stamp authorities.
type stampMetrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newStampMetrics(reg prometheus.Registerer) *stampMetrics {
	m := &stampMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signbus_tsa_requests_total", Help: "Requests to outside time-stamp authorities, by host and how they ended.",
		}, []string{"host", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "signbus_tsa_request_seconds", Help: "Duration of requests to outside time-stamp authorities.",
			Buckets: prometheus.ExponentialBuckets(0.01, 2, 12),
		}, []string{"host"}),
	}
	if reg != nil {
		reg.MustRegister(m.requests, m.seconds)
	}
	return m
}

func (m *stampMetrics) observe(host string, took time.Duration, err error) {
	outcome := "ok"
	if _, refused := errors.AsType[*tsp.RejectedError](err); refused {
		outcome = "refused"
	} else if errors.Is(err, tsp.ErrClock) {
		outcome = "clock"
	} else if errors.Is(err, tsp.ErrReply) {
		outcome = "nonsense"
	} else if err != nil {
		outcome = "unavailable"
	}
	m.requests.WithLabelValues(host, outcome).Inc()
	m.seconds.WithLabelValues(host).Observe(took.Seconds())
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
