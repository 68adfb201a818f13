package signaturebook

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/bus/bustest"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/store/storetest"
)

// mailRow reads what is kept of the only mail; nothing while there is none.
func mailRow(t *testing.T, b *book) (content []byte, outcome string, due time.Time) {
	t.Helper()
	var at int64
	err := b.DB.QueryRow(t.Context(), `SELECT content, outcome, due_at FROM signature_mail`, nil, &content, &outcome, &at)
	if !errors.Is(err, store.ErrNotFound) {
		require.NoError(t, err)
	}
	return content, outcome, store.Time(at)
}

func TestMailsAreTriedUntilTheyAreTaken(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *store.DB) {
		failing := &failingMailer{failures: 2}
		b := newBook(t, db, func(o *Options) { failing.next, o.Mailer = o.Mailer, failing })
		b.give(job("a1", b.keep("D1", sample())))
		for n := range 2 {
			bustest.Eventually(t, func() bool {
				_, _, due := mailRow(t, b)
				return failing.tried() == n+1 && due.Equal(b.clock.Now().Add(mailBackoff(n+1)))
			}, "the mail was not postponed")
			content, outcome, _ := mailRow(t, b)
			require.Empty(t, outcome)
			require.NotContains(t, string(content), "anna", "a waiting mail is encrypted")
			b.clock.pass(mailBackoff(n + 1))
			b.post.nudge()
		}
		b.mail("a1", Invitation, 1)
		bustest.Eventually(t, func() bool {
			content, outcome, _ := mailRow(t, b)
			return outcome == mailSent && len(content) == 0
		}, "a sent mail is erased")

		require.NoError(t, b.post.forget(t.Context(), b.clock.Now().Add(time.Second)))
		var n int
		require.NoError(t, b.DB.QueryRow(t.Context(), `SELECT COUNT(*) FROM signature_mail`, nil, &n))
		require.Zero(t, n)
	})
}

func TestMailIsGivenUpWhenNobodyNeedsItAnyMore(t *testing.T) {
	t.Parallel()
	failing := &failingMailer{failures: 1000}
	b := newBook(t, storetest.Open(t, storetest.SQLite(t)), func(o *Options) { failing.next, o.Mailer = o.Mailer, failing })
	b.give(job("a1", b.keep("D1", sample())))
	bustest.Eventually(t, func() bool { return failing.tried() == 1 }, "the mail was not tried")
	b.clock.pass(invitationLife)
	b.post.nudge()
	bustest.Eventually(t, func() bool {
		content, outcome, _ := mailRow(t, b)
		return outcome == mailFailed && len(content) == 0
	}, "the mail is not given up")
	require.Equal(t, 1, failing.tried())
}

func TestWithdrawalDropsWaitingMails(t *testing.T) {
	t.Parallel()
	failing := &failingMailer{failures: 1000}
	b := newBook(t, storetest.Open(t, storetest.SQLite(t)), func(o *Options) { failing.next, o.Mailer = o.Mailer, failing })
	j := job("a1", b.keep("D1", sample()))
	b.give(j)
	bustest.Eventually(t, func() bool { return failing.tried() == 1 }, "the mail was not tried")
	b.give(withdraw(j, "cancelled"))
	b.status("a1", "closed")
	content, outcome, _ := mailRow(t, b)
	require.Equal(t, mailDropped, outcome)
	require.Empty(t, content)
}

// A process was killed between taking a mail and sending it.
func TestMailOfAKilledProcessIsSentByTheNext(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *store.DB) {
		failing := &failingMailer{failures: 1}
		b := newBook(t, db, func(o *Options) { failing.next, o.Mailer = o.Mailer, failing })
		b.give(job("a1", b.keep("D1", sample())))
		bustest.Eventually(t, func() bool {
			_, _, due := mailRow(t, b)
			return failing.tried() == 1 && due.Equal(b.clock.Now().Add(mailBackoff(1)))
		}, "the mail was not tried")
		b.stop()
		b.clock.pass(mailBackoff(1))
		taken, err := b.post.claim(t.Context())
		require.NoError(t, err)
		require.Len(t, taken, 1)
		again, err := b.post.claim(t.Context())
		require.NoError(t, err)
		require.Empty(t, again, "a mail was taken twice")

		b.clock.pass(postClaim)
		next, err := New(b.Options)
		require.NoError(t, err)
		bustest.Go(t, next.Run)
		b.mail("a1", Invitation, 1)
	})
}

func TestDevMailsAreServed(t *testing.T) {
	t.Parallel()
	d := NewDevMailer(io.Discard)
	for range devMails {
		require.NoError(t, d.Send(t.Context(), Mail{Kind: Invitation, User: "brunoU", Envelope: "E-0"}))
	}
	require.NoError(t, d.Send(t.Context(), Mail{Kind: Invitation, User: "annaU", Envelope: "E-1", Link: "https://x/sign/t"}))
	require.NoError(t, d.Send(t.Context(), Mail{Kind: OneTimeCode, User: "annaU", Envelope: "E-1", Code: "123456"}))
	ask := func(query string) []Mail {
		w := httptest.NewRecorder()
		d.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/dev/mails"+query, nil))
		var mails []Mail
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &mails))
		return mails
	}
	require.Len(t, ask(""), devMails)
	require.Len(t, ask("?user=annaU&envelope=E-1"), 2)
	require.Equal(t, "123456", ask("?user=annaU&kind=code")[0].Code)
	require.Empty(t, ask("?assignment=a9"))
}

// inbox is a mail server in the clear that keeps what it gets.
type inbox struct {
	mu     sync.Mutex
	from   string
	to     []string
	data   []byte
	refuse bool
}

func startSMTP(t *testing.T, i *inbox) (port int) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wait.Go(func() {
				defer conn.Close()
				i.serve(textproto.NewConn(conn))
			})
		}
	})
	t.Cleanup(func() {
		require.NoError(t, listener.Close())
		wait.Wait()
	})
	address, ok := listener.Addr().(*net.TCPAddr)
	require.True(t, ok)
	return address.Port
}

// serve speaks as much of RFC 5321 as one mail needs.
func (i *inbox) serve(c *textproto.Conn) {
	say := func(line string) bool { return c.PrintfLine("%s", line) == nil }
	for ok := say("220 localhost"); ok; {
		line, err := c.ReadLine()
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			ok = say("250-localhost") && say("250 8BITMIME")
		case "MAIL":
			i.keep(func() { i.from = address(rest) })
			ok = say("250 2.1.0 fine")
		case "RCPT":
			i.mu.Lock()
			refuse := i.refuse
			i.mu.Unlock()
			if refuse {
				ok = say("550 5.1.1 no such user " + address(rest))
				continue
			}
			i.keep(func() { i.to = append(i.to, address(rest)) })
			ok = say("250 2.1.5 fine")
		case "DATA":
			ok = say("354 go on")
			data, err := c.ReadDotBytes()
			if err != nil {
				return
			}
			i.keep(func() { i.data = data })
			ok = ok && say("250 2.0.0 kept")
		case "QUIT":
			say("221 2.0.0 bye")
			return
		default:
			ok = say("250 2.0.0 fine")
		}
	}
}

func (i *inbox) keep(what func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	what()
}

// address takes what stands between < and >.
func address(s string) string {
	_, s, _ = strings.Cut(s, "<")
	s, _, _ = strings.Cut(s, ">")
	return s
}

func TestSMTPMailer(t *testing.T) {
	t.Parallel()
	i := &inbox{}
	port := startSMTP(t, i)
	m, err := NewSMTPMailer(SMTPOptions{Host: "127.0.0.1", Port: port, From: "Signbus <signbus@example.com>", Security: SMTPPlain})
	require.NoError(t, err)
	letter := Mail{
		ID: "m1", To: "anna@example.com", Name: "Anna Álpha", Subject: "Da firmare: perché no", Text: "Buongiorno\nperché no\n", At: time.Now(),
	}
	require.NoError(t, m.Send(t.Context(), letter))
	require.Equal(t, "signbus@example.com", i.from)
	require.Equal(t, []string{"anna@example.com"}, i.to)
	msg, err := mail.ReadMessage(bytes.NewReader(i.data))
	require.NoError(t, err)
	require.Equal(t, "<m1@example.com>", msg.Header.Get("Message-ID"))
	require.Equal(t, "auto-generated", msg.Header.Get("Auto-Submitted"))
	require.Contains(t, msg.Header.Get("Subject"), "=?UTF-8?")
	to, err := msg.Header.AddressList("To")
	require.NoError(t, err)
	require.Equal(t, "Anna Álpha", to[0].Name)

	i.mu.Lock()
	i.refuse = true
	i.mu.Unlock()
	err = m.Send(t.Context(), letter)
	require.ErrorContains(t, err, "refused")
	require.NotContains(t, err.Error(), "anna", "an error carries an address")
	letter.To = "not an address"
	err = m.Send(t.Context(), letter)
	require.ErrorContains(t, err, "receiver's address")
	require.NotContains(t, err.Error(), "not an address")
}

func TestSMTPMailerInsistsOnEncryption(t *testing.T) {
	t.Parallel()
	i := &inbox{}
	port := startSMTP(t, i)
	m, err := NewSMTPMailer(SMTPOptions{Host: "127.0.0.1", Port: port, From: "signbus@example.com"})
	require.NoError(t, err)
	require.Error(t, m.Send(t.Context(), Mail{ID: "m1", To: "anna@example.com", Text: "x"}))
	require.Empty(t, i.data)

	_, err = NewSMTPMailer(SMTPOptions{Host: "127.0.0.1", From: "signbus@example.com", Security: "maybe"})
	require.ErrorContains(t, err, "unknown security")
	_, err = NewSMTPMailer(SMTPOptions{Host: "127.0.0.1", From: "nobody"})
	require.ErrorContains(t, err, "sender's address")
}

func TestSMTPAddress(t *testing.T) {
	t.Parallel()
	for address, wrong := range map[string]bool{
		"smtp://u:p@mail.example.com":             false,
		"smtps://u:p@mail.example.com:465":        false,
		"smtp://127.0.0.1:2525?tls=none":          false,
		"smtp://mail.example.com:0x":              true,
		"smtp://u:secret%zz@mail.example.com:587": true,
	} {
		_, err := smtpMailerFor(address, "signbus@example.com")
		require.Equal(t, wrong, err != nil, address)
		if err != nil {
			require.NotContains(t, err.Error(), "secret")
		}
	}
}
