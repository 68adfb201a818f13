package signaturebook

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// devMails is how many mails a DevMailer remembers.
const devMails = 200

// DevMailer is the mailer of development: it prints links and codes where the developer
// sees them, and keeps the last mails for GET /dev/mails. It is no place for real people.
type DevMailer struct {
	mu    sync.Mutex
	out   io.Writer
	mails []Mail
}

var _ Mailer = (*DevMailer)(nil)

// NewDevMailer returns a mailer that prints to out.
func NewDevMailer(out io.Writer) *DevMailer { return &DevMailer{out: out} }

// Send implements [Mailer].
func (d *DevMailer) Send(_ context.Context, m Mail) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	said := m.Link
	if m.Kind == OneTimeCode {
		said = m.Code
	}
	if _, err := fmt.Fprintf(d.out, "mail to %s: %s: %s\n", m.To, m.Subject, said); err != nil {
		return fmt.Errorf("print mail: %w", err)
	}
	d.mails = append(d.mails, m)
	if len(d.mails) > devMails {
		d.mails = d.mails[1:]
	}
	return nil
}

// ServeHTTP answers with the last mails as JSON, oldest first. The query may name user,
// envelope, assignment or kind to choose among them.
func (d *DevMailer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	found := []Mail{}
	d.mu.Lock()
	for _, m := range d.mails {
		if fits(query.Get("user"), m.User) && fits(query.Get("envelope"), m.Envelope) &&
			fits(query.Get("assignment"), m.Assignment) && fits(query.Get("kind"), string(m.Kind)) {
			found = append(found, m)
		}
	}
	d.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(found) //nolint:errchkjson // plain values; the reader may be gone
}

func fits(wanted, got string) bool { return wanted == "" || wanted == got }
