// Package signaturebook is the signature provider of Signbus itself: it invites people,
// shows them the documents, takes their consent, proves by a one-time code that it is
// theirs, and signs.
//
// It promises that nothing is signed in a person's name without a consent of that person
// that a one-time code confirmed; that a signature is an incremental update, so that
// earlier ones stay valid; that a job is signed once for each epoch, and an older epoch
// never after a newer one; that mail is not lost once it was promised; and that links,
// codes and what a mail says are kept hashed or encrypted, never readable.
//
// It does not decide who signs when: provider-dispatch does, and its epoch fences what
// this service signs. It proves who somebody is no better than his mailbox does.
package signaturebook

import (
	"context"
	"crypto/x509"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"signbus.dev/pkg/blob"
	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/pki"
	"signbus.dev/pkg/sign/revocation"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/subjects"
	"signbus.dev/services/signature-book/catalogue"
	"signbus.dev/services/signature-book/pages"
)

//go:embed migrations/*.sql
var migrations embed.FS

//go:embed messages/*.json
var messages embed.FS

// Migrate creates the tables of this service.
func Migrate(ctx context.Context, db *store.DB) error {
	// The version table carries the service's name; a dash would need quoting in SQL.
	return db.Migrate(ctx, "signature_book", migrations)
}

// Keys gives the keys and certificates to sign with; *pki.Authority does.
type Keys interface {
	// User returns those of a person.
	User(ctx context.Context, user pki.User) (*pki.Identity, error)
	// Seal returns those of a customer's seals.
	Seal(ctx context.Context, organisation pki.Organisation) (*pki.Identity, error)
	// Roots are the certificates that they lead to.
	Roots() *x509.CertPool
}

// Options are what the service works with. All are required except where a default is
// named.
type Options struct {
	DB        *store.DB
	Conn      *nats.Conn
	JS        jetstream.JetStream
	Publisher *bus.Publisher
	Blobs     blob.Store
	Keys      Keys
	// Register is what operators list and revoke.
	Register Register
	Mailer   Mailer
	Log      *slog.Logger
	// Secret, 32 bytes or more, is what links, codes and waiting mails are derived from
	// and encrypted with. Every process has the same one, also after a restart.
	Secret []byte
	// PublicURL is where people reach the pages, such as https://sign.example.com.
	PublicURL string
	// Timestamp gets an RFC 3161 token over a SHA-256 digest, for every level but B-B;
	// without it such jobs fail as not supported.
	Timestamp func(ctx context.Context, digest []byte) (token []byte, err error)
	// Revocation gives what levels B-LT and B-LTA keep about certificates.
	Revocation revocation.Source
	// Escrow are the certificates that graphometric recordings are encrypted for; without any
	// such signatures fail as not supported.
	Escrow []*x509.Certificate
	// Zone is that of dates in signature tags; default UTC.
	Zone *time.Location
	// ClientIP finds the address kept as evidence; default the peer's. Behind a proxy it
	// reads the header that the proxy sets.
	ClientIP func(*http.Request) string
	// Limits bounds what a PDF may cost; zero values are the defaults.
	Limits pdf.Limits
	// Registerer takes the metrics; default none.
	Registerer prometheus.Registerer
	// Metrics counts the stage's work; default none.
	Metrics *bus.Metrics
	// Now and NewID default to the real ones.
	Now   func() time.Time
	NewID func() string
}

// Service is the signature book.
type Service struct {
	Options
	secrets *secrets
	texts   catalogue.Set
	outbox  *bus.Outbox
	post    *post
	pages   *pages.Handler
	metrics *metrics
}

// New returns the service; its tables must exist (see [Migrate]), and Run runs it.
func New(o Options) (*Service, error) {
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.NewID == nil {
		o.NewID = bus.NewID
	}
	o.PublicURL = strings.TrimSuffix(o.PublicURL, "/")
	o.Log = o.Log.With("service", subjects.SignatureBook)
	s := &Service{Options: o, metrics: newMetrics(o.Registerer)}
	var err error
	if s.secrets, err = newSecrets(o.Secret); err != nil {
		return nil, fmt.Errorf("signature book: %w", err)
	}
	if s.texts, err = catalogue.Read(messages, "messages"); err != nil {
		return nil, fmt.Errorf("signature book: %w", err)
	}
	s.outbox = bus.NewOutbox(o.DB, subjects.SignatureBook, o.Publisher, o.Log)
	s.post = newPost(o, s.secrets, s.metrics)
	s.pages, err = pages.New(pages.Options{
		Sessions: &ceremony{s}, Verifier: s.verify, FormKey: s.secrets.forms, Logger: o.Log, Now: o.Now, ClientIP: o.ClientIP,
	})
	if err != nil {
		return nil, fmt.Errorf("signature book: %w", err)
	}
	return s, nil
}

// Run runs the service until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.outbox.Run(ctx) })
	group.Go(func() error { return s.stage().Run(ctx) })
	group.Go(func() error { return s.post.run(ctx) })
	group.Go(func() error {
		return bus.Every(ctx, time.Hour, s.Log, "forget sent mails", func(ctx context.Context) error {
			return s.post.forget(ctx, s.Now().Add(-keepMails))
		})
	})
	group.Go(func() error {
		return bus.Serve(ctx, s.Conn, subjects.SignatureBook, s.Log, map[string]bus.Verb{
			handover.CallSigningURL:   bus.Answer(s.signingURL),
			handover.CallCertificates: bus.Answer(s.certificates),
			handover.CallRevoke:       bus.Answer(s.revoke),
		})
	})
	return group.Wait()
}

// Handler serves the signing pages below /sign/.
func (s *Service) Handler() http.Handler { return s.pages }

// Ready says whether the service can work.
func (s *Service) Ready(ctx context.Context) error {
	if !s.Conn.IsConnected() {
		return errors.New("signature book: not connected to NATS")
	}
	return s.DB.Ping(ctx)
}

// keepMails is how long it stays visible that a mail was sent.
const keepMails = 30 * 24 * time.Hour

// metrics counts what the service does.
type metrics struct {
	answers *prometheus.CounterVec
	seconds prometheus.Histogram
	mails   *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signbus_signature_book_progress_total", Help: "What the signature book reported about assignments, by kind.",
		}, []string{"kind"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "signbus_signature_book_sign_seconds", Help: "Time to sign the documents of one assignment.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}),
		mails: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signbus_signature_book_mails_total", Help: "Mails of the signature book, by what became of them.",
		}, []string{"outcome"}),
	}
	if reg != nil {
		reg.MustRegister(m.answers, m.seconds, m.mails)
	}
	return m
}
