package signaturebook

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/store/storetest"
	"signbus.dev/pkg/subjects"
	"signbus.dev/services/signature-book/pages"
)

func TestInvitation(t *testing.T) {
	t.Parallel()
	b := newBook(t, storetest.Open(t, storetest.SQLite(t)), nil)
	j := job("a1", b.keep("D1", sample()))
	j.Subject = "Supply\r\nBcc: x@example.com"
	b.give(j)
	m := b.mail("a1", Invitation, 1)
	require.Equal(t, "anna@example.com", m.To)
	require.Equal(t, "Anna Alpha", m.Name)
	require.Equal(t, "Please sign: Supply Bcc: x@example.com", m.Subject)
	require.Contains(t, m.Text, m.Link)
	require.Contains(t, m.Text, "ERP asks you to sign")
	require.Contains(t, m.Text, "  Please sign\n  this week")
	require.True(t, strings.HasPrefix(m.Link, "https://sign.example.com/sign/"), m.Link)
	token := m.Link[strings.LastIndex(m.Link, "/")+1:]
	require.Len(t, token, tokenLength)
	require.Contains(t, b.printed.String(), m.Link)

	var kept string
	require.NoError(t, b.DB.QueryRow(t.Context(), `SELECT token_hash FROM signature_session`, nil, &kept))
	require.Equal(t, hashToken(token), kept, "the token itself is not stored")
	require.Equal(t, http.StatusOK, b.visit(m.Link).get("").StatusCode)
	other := b.visit(strings.Replace(m.Link, token, strings.Repeat("A", tokenLength), 1))
	require.Equal(t, http.StatusNotFound, other.get("").StatusCode)

	var quiet = job("a2", b.keep("D1", sample()))
	quiet.Actions = []handover.Action{action("D1", contract.ActionView, contract.VisibilityNone)}
	quiet.Actor.Language = "it"
	b.give(quiet)
	require.Equal(t, "Da esaminare: Supply contract", b.mail("a2", Invitation, 1).Subject)
}

func TestAssignmentWithoutMailAddress(t *testing.T) {
	t.Parallel()
	b := newBook(t, storetest.Open(t, storetest.SQLite(t)), nil)
	j := job("a1", b.keep("D1", sample()))
	j.Actor.Email = ""
	b.give(j)
	b.status("a1", "open")
	var answer handover.SigningURL
	require.NoError(t, bus.Call(t.Context(), b.Conn, subjects.SignatureBook, handover.CallSigningURL, handover.SigningURLQuery{Customer: "demo", Assignment: "a1"}, &answer))
	v := b.visit(answer.URL)
	r := v.post("", "/consent", url.Values{"accept": {"1"}, "name": {"Anna"}})
	require.Equal(t, http.StatusUnprocessableEntity, r.StatusCode)
	require.Contains(t, body(t, r), "no mail address")
	require.Empty(t, b.mailer.mails)
}

func TestConsentIsKeptAsEvidence(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *store.DB) {
		b := newBook(t, db, nil)
		d := b.keep("D1", sample())
		j := job("a1", d)
		b.give(j)
		v := b.visit(b.mail("a1", Invitation, 1).Link)
		v.agree()
		// A moment later the actor changes his mind about how to sign; the code stays.
		b.clock.pass(5 * time.Second)
		r := v.post("", "/consent", url.Values{
			"accept": {"1"}, "autograph": {"drawn"}, "strokes": {`{"ratio":2.5,"strokes":[[[0.1,0.2],[0.3,0.4]]]}`},
		})
		require.Equal(t, http.StatusSeeOther, r.StatusCode)
		code := b.mail("a1", OneTimeCode, 1).Code
		require.Regexp(t, `^\d{6}$`, code)
		require.Contains(t, b.printed.String(), code)
		given := b.clock.Now()
		b.clock.pass(time.Minute)
		require.Equal(t, http.StatusSeeOther, v.confirm(code).StatusCode)
		require.Equal(t, handover.Confirmed, b.answer().Kind)

		kept, err := findConsent(t.Context(), b.DB, "a1")
		require.NoError(t, err)
		require.True(t, given.Equal(kept.GivenAt))
		require.True(t, b.clock.Now().Equal(kept.ConfirmedAt))
		require.Equal(t, "192.0.2.7", kept.Client.IP)
		require.Equal(t, "test browser", kept.Client.UserAgent)
		require.Equal(t, []acceptedDocument{{DocExternalID: "D1", SHA256: d.SHA256, Version: 1, Actions: []contract.ActionType{contract.ActionSign}}}, kept.Accepted)
		require.Len(t, kept.Autograph.Strokes, 1)

		b.give(grant(j, 1))
		b.signedBytes(b.answer().Documents[0], 1)

		require.Equal(t, http.StatusSeeOther, v.get("/decline").StatusCode, "it is too late to decline")
	})
}

func TestRecordedActionsAreDoneWhenConfirmed(t *testing.T) {
	t.Parallel()
	b := newBook(t, storetest.Open(t, storetest.SQLite(t)), nil)
	j := job("a1", b.keep("D1", sample()))
	j.Actions = []handover.Action{action("D1", contract.ActionApprove, contract.VisibilityNone)}
	v := b.consented(j)
	b.status("a1", "signed")
	require.Contains(t, body(t, v.get("/done")), "Your confirmation is recorded")
}

func TestCodesAreGuarded(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *store.DB) {
		b := newBook(t, db, nil)
		b.give(job("a1", b.keep("D1", sample())))
		v := b.visit(b.mail("a1", Invitation, 1).Link)
		v.agree()
		code := b.mail("a1", OneTimeCode, 1).Code
		wrong := "000000"
		if code == wrong {
			wrong = "000001"
		}
		for left := codeTries - 1; left > 0; left-- {
			r := v.confirm(wrong)
			require.Equal(t, http.StatusUnprocessableEntity, r.StatusCode)
			if left > 1 {
				require.Contains(t, body(t, r), "tries left")
			}
		}
		r := v.confirm(wrong)
		require.Equal(t, http.StatusTooManyRequests, r.StatusCode)
		require.Contains(t, body(t, r), "Wait 15 minutes")
		require.Equal(t, http.StatusTooManyRequests, v.confirm(code).StatusCode, "the right code works while locked")
		require.Equal(t, http.StatusTooManyRequests, v.post("/code", "/resend", nil).StatusCode)
		b.clock.pass(codeLock)
		r = v.confirm(code)
		require.Equal(t, http.StatusUnprocessableEntity, r.StatusCode)
		require.Contains(t, body(t, r), "too old")

		require.Equal(t, http.StatusSeeOther, v.post("/code", "/resend", nil).StatusCode)
		second := b.mail("a1", OneTimeCode, 2).Code
		require.Equal(t, http.StatusTooManyRequests, v.post("/code", "/resend", nil).StatusCode, "another at once")
		b.clock.pass(codeLife)
		require.Contains(t, body(t, v.confirm(second)), "too old")
		require.Equal(t, http.StatusSeeOther, v.post("/code", "/resend", nil).StatusCode)
		third := b.mail("a1", OneTimeCode, 3).Code
		require.Equal(t, http.StatusSeeOther, v.confirm(third).StatusCode)
		require.Equal(t, handover.Confirmed, b.answer().Kind)
		require.Equal(t, http.StatusSeeOther, v.get("/code").StatusCode)
	})
}

func TestCodesAreNotSentWithoutEnd(t *testing.T) {
	t.Parallel()
	s, err := newSecrets([]byte(strings.Repeat("s", 32)))
	require.NoError(t, err)
	now := time.Unix(1_800_000_000, 0)
	var c oneTimeCode
	codes := map[string]bool{}
	for range codesInWindow {
		code, err := c.draw(s, "a1", now)
		require.NoError(t, err)
		codes[code] = true
		require.NoError(t, c.try(s, "a1", code, now))
		if c.sent == 1 {
			require.ErrorContains(t, c.try(s, "a2", code, now), "wrong", "the code is bound to its assignment")
		}
		now = now.Add(codeGap)
	}
	require.Greater(t, len(codes), 1, "codes are drawn")
	_, err = c.draw(s, "a1", now)
	require.ErrorContains(t, err, "too often")
	_, err = c.draw(s, "a1", c.windowAt.Add(codeWindow))
	require.NoError(t, err)
}

// Asking for another code before the last try once gave five new tries, 25 in a window.
func TestANewCodeGivesNoNewTries(t *testing.T) {
	t.Parallel()
	s, err := newSecrets([]byte(strings.Repeat("s", 32)))
	require.NoError(t, err)
	now := time.Unix(1_800_000_000, 0)
	var c oneTimeCode
	_, err = c.draw(s, "a1", now)
	require.NoError(t, err)
	for range codeTries - 1 {
		require.ErrorContains(t, c.try(s, "a1", "no code", now), "wrong one-time code")
	}
	now = now.Add(codeGap)
	_, err = c.draw(s, "a1", now)
	require.NoError(t, err)
	locked := new(pages.LockedError)
	require.ErrorAs(t, c.try(s, "a1", "no code", now), &locked)
	now = locked.Until
	code, err := c.draw(s, "a1", now)
	require.NoError(t, err)
	require.Equal(t, codeTries, c.triesLeft)
	require.NoError(t, c.try(s, "a1", code, now))
}

func TestDecline(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *store.DB) {
		b := newBook(t, db, nil)
		j := job("a1", b.keep("D1", sample()))
		b.give(j)
		v := b.visit(b.mail("a1", Invitation, 1).Link)
		v.agree()
		r := v.post("/decline", "/decline", url.Values{"reason": {"The price is wrong."}})
		require.Equal(t, http.StatusSeeOther, r.StatusCode)
		p := b.answer()
		require.Equal(t, handover.Rejected, p.Kind)
		require.Equal(t, "The price is wrong.", p.Note)
		require.Contains(t, body(t, v.get("")), "You declined")
		b.give(grant(j, 1))
		b.give(withdraw(j, "rejected"))
		b.silent()
		require.Contains(t, body(t, v.get("")), "You declined", "his own answer stays")
		var reason string
		require.NoError(t, b.DB.QueryRow(t.Context(), `SELECT reason FROM signature_decline`, nil, &reason))
		require.Equal(t, "The price is wrong.", reason)
	})
}

func TestWithdrawn(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *store.DB) {
		b := newBook(t, db, nil)
		j := job("a1", b.keep("D1", sample()))
		v := b.consented(j)
		b.give(withdraw(j, "completed"))
		b.status("a1", "closed")
		r := v.get("")
		require.Equal(t, http.StatusGone, r.StatusCode)
		require.Contains(t, body(t, r), "no longer needed")
		require.Equal(t, http.StatusGone, v.get("/documents/1").StatusCode)
		b.give(grant(j, 9))
		b.silent()

		// Withdrawn before it was opened, because the job came late.
		late := job("a2", b.keep("D1", sample()))
		b.give(withdraw(late, "cancelled"))
		b.status("a2", "closed")
		b.give(late)
		b.silent()
		b.status("a2", "closed")
		for _, m := range b.mailer.mails {
			require.NotEqual(t, "a2", m.Assignment)
		}
	})
}

func TestDeletedEnvelopeIsForgotten(t *testing.T) {
	t.Parallel()
	b := newBook(t, storetest.Open(t, storetest.SQLite(t)), nil)
	j := job("a1", b.keep("D1", sample()))
	v := b.consented(j)
	b.give(withdraw(j, "deleted"))
	b.status("a1", "closed")
	require.Contains(t, body(t, v.get("")), "withdrew the documents")
	kept, err := findSession(t.Context(), b.DB, "a1")
	require.NoError(t, err)
	require.Empty(t, kept.Job.Actor.Email)
	require.Empty(t, kept.Job.Subject)
	agreed, err := findConsent(t.Context(), b.DB, "a1")
	require.NoError(t, err)
	require.Nil(t, agreed)
}

func TestSigningURL(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *store.DB) {
		b := newBook(t, db, nil)
		j := job("a1", b.keep("D1", sample()))
		b.give(j)
		sent := b.mail("a1", Invitation, 1).Link
		ask := func(customer, assignment string) (handover.SigningURL, error) {
			var answer handover.SigningURL
			err := bus.Call(t.Context(), b.Conn, subjects.SignatureBook, handover.CallSigningURL,
				handover.SigningURLQuery{Customer: customer, Assignment: assignment}, &answer)
			return answer, err
		}
		answer, err := ask("demo", "a1")
		require.NoError(t, err)
		require.Equal(t, sent, answer.URL)

		known := new(contract.Error)
		_, err = ask("other", "a1")
		require.ErrorAs(t, err, &known)
		require.Equal(t, contract.CodeNotFound, known.Code)
		_, err = ask("demo", "a9")
		require.ErrorAs(t, err, &known)

		// A new secret: the link that was sent works until a new one is asked for.
		b.secrets, err = newSecrets([]byte(strings.Repeat("t", 32)))
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, b.visit(sent).get("").StatusCode)
		answer, err = ask("demo", "a1")
		require.NoError(t, err)
		require.NotEqual(t, sent, answer.URL)
		require.Equal(t, http.StatusOK, b.visit(answer.URL).get("").StatusCode)
		require.Equal(t, http.StatusNotFound, b.visit(sent).get("").StatusCode)

		b.give(withdraw(j, "cancelled"))
		b.status("a1", "closed")
		_, err = ask("demo", "a1")
		require.ErrorAs(t, err, &known)
	})
}

func TestUnreadableJobGoesToTheDeadLetters(t *testing.T) {
	t.Parallel()
	b := newBook(t, storetest.Open(t, storetest.SQLite(t)), nil)
	for _, data := range []string{`{`, `{}`, `{"kind":"dance","assignment":"a1","envelopeId":"e1","customer":"demo"}`} {
		require.NoError(t, b.bus.Publisher.Publish(t.Context(), bus.Message{Subject: subjects.WorkJob, ID: bus.NewID(), Data: []byte(data)}))
	}
	require.Len(t, b.bus.Next(t, subjects.StreamDead, subjects.Dead(subjects.SignatureBook), 3), 3)
}

func TestGivingUpTellsTheDispatcher(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *store.DB) {
		b := newBook(t, db, nil)
		for _, j := range []string{
			`{"kind":"sign","assignment":"a1","envelopeId":"e1","customer":"demo","epoch":7}`,
			`{"kind":"withdraw","assignment":"a2","envelopeId":"e1","customer":"demo"}`,
		} {
			require.NoError(t, b.DB.Update(t.Context(), func(tx *store.Tx) error {
				return b.giveUp(t.Context(), tx, &bus.Incoming{Data: []byte(j)}, errDisk)
			}))
		}
		b.outbox.Nudge()
		p := b.answer()
		require.Equal(t, handover.Failed, p.Kind)
		require.Equal(t, contract.CodeError, p.Code)
		require.EqualValues(t, 7, p.Epoch)
		require.NotContains(t, p.Note, errDisk.Error())
		b.silent()
		b.status("a1", "failed")
	})
}
