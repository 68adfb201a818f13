package signaturebook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/wneessen/go-mail"
)

// SMTPSecurity says how the connection to the mail server is protected.
type SMTPSecurity string

// The kinds of protection.
const (
	// SMTPStartTLS begins in the clear and must become encrypted; the default.
	SMTPStartTLS SMTPSecurity = "starttls"
	// SMTPTLS is encrypted from the first byte.
	SMTPTLS SMTPSecurity = "tls"
	// SMTPPlain is never encrypted: for a mail server on the same machine.
	SMTPPlain SMTPSecurity = "none"
)

// SMTPOptions name the mail server.
type SMTPOptions struct {
	// Host and Port are those of the server; the port's default fits Security.
	Host string
	Port int
	// Username and Password are left empty for a server that asks for none.
	Username, Password string
	// From is the address of the sender, with or without a name.
	From string
	// Security is SMTPStartTLS when empty.
	Security SMTPSecurity
	// TLS overrides how the server's certificate is checked; default by the system.
	TLS *tls.Config
	// Timeout bounds one delivery; default 30 s.
	Timeout time.Duration
}

// SMTPMailer gives mails to a mail server.
type SMTPMailer struct {
	options []mail.Option
	host    string
	from    string
	domain  string
}

var _ Mailer = (*SMTPMailer)(nil)

// NewSMTPMailer returns the mailer. It does not connect.
func NewSMTPMailer(o SMTPOptions) (*SMTPMailer, error) {
	m := &SMTPMailer{host: o.Host, from: o.From}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	m.options = []mail.Option{mail.WithTimeout(o.Timeout)}
	port := 587
	switch o.Security {
	case SMTPStartTLS, "":
		m.options = append(m.options, mail.WithTLSPolicy(mail.TLSMandatory))
	case SMTPTLS:
		port = 465
		m.options = append(m.options, mail.WithSSL())
	case SMTPPlain:
		port = 25
		m.options = append(m.options, mail.WithTLSPolicy(mail.NoTLS))
	default:
		return nil, fmt.Errorf("mail server: unknown security %q, use starttls, tls or none", o.Security)
	}
	if o.Port != 0 {
		port = o.Port
	}
	m.options = append(m.options, mail.WithPort(port))
	if o.TLS != nil {
		m.options = append(m.options, mail.WithTLSConfig(o.TLS))
	}
	if o.Username != "" {
		m.options = append(m.options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(o.Username), mail.WithPassword(o.Password))
	}
	probe := mail.NewMsg()
	if err := probe.From(o.From); err != nil {
		return nil, errors.New("mail server: the sender's address is not valid")
	}
	_, m.domain, _ = strings.Cut(strings.Trim(o.From[strings.LastIndexAny(o.From, " <")+1:], "<>"), "@")
	if _, err := mail.NewClient(o.Host, m.options...); err != nil {
		return nil, fmt.Errorf("mail server: %w", err)
	}
	return m, nil
}

// Send implements [Mailer].
func (m *SMTPMailer) Send(ctx context.Context, letter Mail) error {
	msg := mail.NewMsg()
	if err := msg.From(m.from); err != nil {
		return errors.New("the sender's address is not valid")
	}
	if err := msg.AddToFormat(letter.Name, letter.To); err != nil {
		return errors.New("the receiver's address is not valid")
	}
	msg.Subject(letter.Subject)
	msg.SetDateWithValue(letter.At)
	msg.SetMessageIDWithValue(letter.ID + "@" + m.domain)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // no vacation notes, please
	msg.SetBodyString(mail.TypeTextPlain, letter.Text)
	// A client holds one connection, and mails are sent in parallel.
	client, err := mail.NewClient(m.host, m.options...)
	if err != nil {
		return err
	}
	return withoutAddresses(client.DialAndSendWithContext(ctx, msg))
}

// withoutAddresses turns an error of the library, which may quote the receiver, into one
// that may be logged.
func withoutAddresses(err error) error {
	if err == nil {
		return nil
	}
	if refused := new(mail.SendError); errors.As(err, &refused) {
		return fmt.Errorf("mail server refused the mail: reason %d, code %d, temporary %t", refused.Reason, refused.ErrorCode(), refused.IsTemp())
	}
	if network := new(net.OpError); errors.As(err, &network) {
		return fmt.Errorf("mail server cannot be reached: %w", network)
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return fmt.Errorf("mail server did not answer: %w", err)
	}
	return errors.New("mail server could not be used: check host, port, security and login")
}
