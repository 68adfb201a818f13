package pages_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/sign/graphometric"
	"signbus.dev/services/signature-book/pages"
)

const token = "the-token-of-anna"

var now = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// sessions is a fake with one function per method; a nil one fails the test.
type sessions struct {
	find     func() (pages.View, error)
	consent  func(pages.Consent) error
	resend   func() error
	confirm  func(code string, client pages.Client) error
	decline  func(reason string) error
	document func(n int) (pages.File, error)
}

func (s *sessions) Find(_ context.Context, got string) (pages.View, error) {
	if got != token {
		return pages.View{}, pages.ErrNotFound
	}
	return s.find()
}

func (s *sessions) Consent(_ context.Context, _ string, c pages.Consent) error { return s.consent(c) }
func (s *sessions) Resend(context.Context, string) error                       { return s.resend() }
func (s *sessions) Confirm(_ context.Context, _, code string, client pages.Client) error {
	return s.confirm(code, client)
}

func (s *sessions) Decline(_ context.Context, _, reason string, _ pages.Client) error {
	return s.decline(reason)
}

func (s *sessions) Document(_ context.Context, _ string, n int) (pages.File, error) {
	return s.document(n)
}

// checkedBy tells what a file begins with, as if that were a signer.
func checkedBy(_ context.Context, file io.ReaderAt, size int64) ([]pages.Checked, error) {
	head := make([]byte, min(size, 5))
	if _, err := file.ReadAt(head, 0); err != nil || size == 0 {
		return nil, pages.ErrNotReadable
	}
	return []pages.Checked{{Verdict: pages.Valid, Name: string(head), Time: now, Proven: true, Level: "B-LT"}}, nil
}

type readSeekCloser struct{ *bytes.Reader }

func (readSeekCloser) Close() error { return nil }

// contractView is a session of anna with two documents.
func contractView(status pages.Status) pages.View {
	return pages.View{
		Session:     "session-1",
		Status:      status,
		Subject:     "Supply <contract>",
		MessageText: "Please sign\nthis week",
		Name:        "Anna A",
		MailHint:    "a•••@example.com",
		Documents: []pages.Document{
			{
				Title: "Contract", FileName: "contract.pdf", MimeType: "application/pdf", Pages: 3, Size: 50_000,
				Actions: []pages.Action{
					{Kind: pages.Sign, Visible: true, Boxes: []handover.Box{{Page: 3, LLX: 72, LLY: 100, URX: 262, URY: 160}}},
					{Kind: pages.Approve, Approved: true},
				},
			},
			{Title: "Annex", FileName: "annex.pdf", MimeType: "application/pdf", Pages: 1, Size: 3_000_000, Actions: []pages.Action{{Kind: pages.Seen}}},
		},
	}
}

// showing returns a fake whose session is as given.
func showing(v pages.View) *sessions {
	return &sessions{find: func() (pages.View, error) { return v, nil }}
}

func newHandler(t *testing.T, s pages.Sessions) http.Handler {
	t.Helper()
	h, err := pages.New(pages.Options{
		Verifier: checkedBy,
		Sessions: s,
		FormKey:  bytes.Repeat([]byte("k"), 32),
		Logger:   slog.New(slog.DiscardHandler),
		Now:      func() time.Time { return now },
	})
	require.NoError(t, err)
	return h
}

func get(t *testing.T, h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func send(t *testing.T, h http.Handler, path string, form url.Values) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("User-Agent", "test\x00browser")
	r.RemoteAddr = "192.0.2.7:1234"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

var formTokenField = regexp.MustCompile(`name="form-token" value="([^"]+)"`)

// formToken reads the token that the review page gave out.
func formToken(t *testing.T) string {
	t.Helper()
	page := get(t, newHandler(t, showing(contractView(pages.Open))), "/sign/"+token).Body.String()
	found := formTokenField.FindStringSubmatch(page)
	require.Len(t, found, 2, page)
	return found[1]
}

func consentForm(t *testing.T) url.Values {
	t.Helper()
	return url.Values{
		"form-token": {formToken(t)}, "accept": {"1", "2"}, "autograph": {"typed"}, "name": {" Anna   A "},
	}
}

func TestReviewShowsWhatIsAsked(t *testing.T) {
	t.Parallel()
	w := get(t, newHandler(t, showing(contractView(pages.Open))), "/sign/"+token)
	require.Equal(t, http.StatusOK, w.Code)
	body := w.Body.String()
	for _, want := range []string{
		"Supply &lt;contract&gt;", "Hello Anna A", "contract.pdf", "3 pages", "1 page", "49 KB", "2.9 MB",
		"on page 3", "Already approved for you", "not shown in the document", "a•••@example.com",
		`"url":"/sign/the-token-of-anna/documents/1"`, `"page":3,"llx":72,"lly":100,"urx":262,"ury":160`,
		`href="/sign/the-token-of-anna/documents/2"`,
	} {
		require.Contains(t, body, want)
	}
	require.NotContains(t, body, "session-1", "the id of the session is not shown")
}

func TestReviewAsksForNoSignatureWhereNothingIsSigned(t *testing.T) {
	t.Parallel()
	v := contractView(pages.Open)
	v.Documents = v.Documents[1:]
	var got pages.Consent
	s := showing(v)
	s.consent = func(c pages.Consent) error { got = c; return nil }
	h := newHandler(t, s)
	require.NotContains(t, get(t, h, "/sign/"+token).Body.String(), "data-signature")
	w := send(t, h, "/sign/"+token+"/consent", url.Values{"form-token": {formToken(t)}, "accept": {"1"}})
	require.Equal(t, http.StatusSeeOther, w.Code)
	require.Equal(t, pages.NoAutograph, got.Autograph.Kind)
}

func TestEveryAnswerIsClosedToTheOutside(t *testing.T) {
	t.Parallel()
	h := newHandler(t, showing(contractView(pages.Open)))
	for _, path := range []string{"/sign/" + token, "/sign/unknown", "/sign/" + token + "/decline", "/sign/" + token + "/state", "/sign/"} {
		header := get(t, h, path).Header()
		policy := header.Get("Content-Security-Policy")
		require.Contains(t, policy, "default-src 'none'", path)
		require.Contains(t, policy, "frame-ancestors 'none'", path)
		require.Contains(t, policy, "form-action 'self'", path)
		require.NotContains(t, policy, "unsafe", path)
		require.Equal(t, "no-referrer", header.Get("Referrer-Policy"), path)
		require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"), path)
		require.Equal(t, "no-store", header.Get("Cache-Control"), path)
	}
}

func TestWhereTheSessionIs(t *testing.T) {
	t.Parallel()
	const base = "/sign/" + token
	for _, c := range []struct {
		status pages.Status
		reason string
		path   string
		code   int
		goes   string
		says   string
	}{
		{pages.AwaitingCode, "", "", 200, "", "We sent you a code already"},
		{pages.AwaitingCode, "", "/code", 200, "", "a code of 6 digits to a•••@example.com"},
		{pages.AwaitingCode, "", "/done", 303, base + "/code", ""},
		{pages.Open, "", "/code", 303, base, ""},
		{pages.Open, "", "/done", 303, base, ""},
		{pages.Open, "", "/decline", 200, "", "Why do you decline?"},
		{pages.Confirmed, "", "", 200, "", "Your signature is being applied"},
		{pages.Confirmed, "", "/done", 200, "", `http-equiv="refresh"`},
		{pages.Confirmed, "", "/code", 303, base + "/done", ""},
		{pages.Confirmed, "", "/decline", 303, base + "/done", ""},
		{pages.Signed, "", "", 200, "", base + "/documents/1?save"},
		{pages.Signed, "", "/done", 200, "", "Signed. Thank you, Anna A"},
		{pages.Declined, "", "", 200, "", "You declined"},
		{pages.Failed, "", "", 200, "", "could not be signed"},
		{pages.Closed, "completed", "", 410, "", "Enough people have signed already"},
		{pages.Closed, "rejected", "", 410, "", "Somebody else declined"},
		{pages.Closed, "cancelled", "", 410, "", "cancelled this request"},
		{pages.Closed, "deleted", "", 410, "", "withdrew the documents"},
		{pages.Closed, "expired", "/code", 410, "", "has expired"},
		{pages.Closed, "something new", "/done", 410, "", "no longer needed"},
		{pages.Closed, "expired", "/decline", 410, "", "has expired"},
		{pages.Closed, "deleted", "/documents/1", 410, "", "withdrew the documents"},
	} {
		v := contractView(c.status)
		v.Reason = c.reason
		w := get(t, newHandler(t, showing(v)), base+c.path)
		require.Equal(t, c.code, w.Code, "%v", c)
		require.Equal(t, c.goes, w.Header().Get("Location"), "%v", c)
		require.Contains(t, w.Body.String(), c.says, "%v", c)
	}
}

func TestUnknownLink(t *testing.T) {
	t.Parallel()
	h := newHandler(t, showing(contractView(pages.Open)))
	for _, path := range []string{"/sign/other", "/sign/other/code", "/sign/other/documents/1", "/sign/other/state", "/sign/", "/sign/a/b/c/d"} {
		w := get(t, h, path)
		require.Equal(t, http.StatusNotFound, w.Code, path)
		require.Contains(t, w.Body.String(), "We do not know this link", path)
	}
	require.Equal(t, http.StatusNotFound, send(t, h, "/sign/other/consent", nil).Code)
}

func TestConsent(t *testing.T) {
	t.Parallel()
	var got pages.Consent
	s := showing(contractView(pages.Open))
	s.consent = func(c pages.Consent) error { got = c; return nil }
	h := newHandler(t, s)

	w := send(t, h, "/sign/"+token+"/consent", consentForm(t))
	require.Equal(t, http.StatusSeeOther, w.Code)
	require.Equal(t, "/sign/"+token+"/code", w.Header().Get("Location"))
	require.Equal(t, pages.Consent{
		Accepted:  []int{1, 2},
		Autograph: pages.Autograph{Kind: pages.Typed, Text: "Anna A"},
		Client:    pages.Client{IP: "192.0.2.7", UserAgent: "test browser"},
	}, got)

	form := consentForm(t)
	form.Del("accept")
	form.Set("accept-all", "yes")
	form.Set("autograph", "drawn")
	form.Set("strokes", `{"ratio":2.5,"strokes":[[[0.1,0.5],[0.2,0.25]],[[1,0]]]}`)
	require.Equal(t, http.StatusSeeOther, send(t, h, "/sign/"+token+"/consent", form).Code)
	require.Equal(t, []int{1, 2}, got.Accepted)
	require.Equal(t, pages.Autograph{
		Kind: pages.Drawn, Ratio: 2.5, Strokes: [][]pages.Point{{{X: 0.1, Y: 0.5}, {X: 0.2, Y: 0.25}}, {{X: 1, Y: 0}}},
	}, got.Autograph)
}

func TestConsentSaysWhatMisses(t *testing.T) {
	t.Parallel()
	points := "[0.5,0.5]" + strings.Repeat(",[0.5,0.5]", 4000)
	for name, c := range map[string]struct {
		change func(url.Values)
		says   string
	}{
		"nothing ticked":   {func(f url.Values) { f.Del("accept") }, "Tick the boxes for the 2 documents that are left"},
		"one ticked":       {func(f url.Values) { f["accept"] = []string{"2", "2", "9"} }, "Tick the box for the 1 document that is left"},
		"no name":          {func(f url.Values) { f.Set("name", " \x00 ") }, "Type your name as your signature"},
		"long name":        {func(f url.Values) { f.Set("name", strings.Repeat("a", 101)) }, "too long for a signature"},
		"nothing drawn":    {func(f url.Values) { f.Set("autograph", "drawn") }, "Draw your signature in the box"},
		"one dot":          {drawn(`{"ratio":2,"strokes":[[[0.5,0.5]]]}`), "Draw your signature in the box"},
		"broken drawing":   {drawn(`{"ratio":2,"strokes":[[[0.5]]]}`), "could not be read"},
		"outside":          {drawn(`{"ratio":2,"strokes":[[[0.5,1.5],[0,0]]]}`), "could not be read"},
		"odd ratio":        {drawn(`{"ratio":2e9,"strokes":[[[0.5,0.5],[0,0]]]}`), "could not be read"},
		"unknown field":    {drawn(`{"ratio":2,"x":1,"strokes":[[[0.5,0.5],[0,0]]]}`), "could not be read"},
		"two values":       {drawn(`{"ratio":2,"strokes":[[[0.5,0.5],[0,0]]]}{}`), "could not be read"},
		"too many points":  {drawn(`{"ratio":2,"strokes":[[` + points + `]]}`), "too many lines"},
		"too many strokes": {drawn(`{"ratio":2,"strokes":[[[0,0]]` + strings.Repeat(`,[[0,0]]`, 100) + `]}`), "too many lines"},
	} {
		form := consentForm(t)
		c.change(form)
		w := send(t, newHandler(t, showing(contractView(pages.Open))), "/sign/"+token+"/consent", form)
		require.Equal(t, http.StatusUnprocessableEntity, w.Code, name)
		require.Contains(t, w.Body.String(), c.says, name)
		require.Contains(t, w.Body.String(), `role="alert"`, name)
	}
}

func drawn(strokes string) func(url.Values) {
	return func(f url.Values) {
		f.Set("autograph", "drawn")
		f.Set("strokes", strokes)
	}
}

func TestConsentKeepsWhatWasEntered(t *testing.T) {
	t.Parallel()
	form := consentForm(t)
	form["accept"] = []string{"2"}
	form.Set("name", "Anna of A")
	body := send(t, newHandler(t, showing(contractView(pages.Open))), "/sign/"+token+"/consent", form).Body.String()
	require.Contains(t, body, `name="accept" value="2" checked`)
	require.NotContains(t, body, `name="accept" value="1" checked`)
	require.Contains(t, body, `value="Anna of A"`)
}

func TestFormsAreBoundToTheSession(t *testing.T) {
	t.Parallel()
	v := contractView(pages.Open)
	v.Session = "another session"
	h := newHandler(t, showing(v))
	for _, path := range []string{"/consent", "/confirm", "/resend", "/decline"} {
		form := consentForm(t)
		w := send(t, h, "/sign/"+token+path, form)
		require.Equal(t, http.StatusForbidden, w.Code, path)
		require.Contains(t, w.Body.String(), "This form is out of date", path)
		form.Del("form-token")
		require.Equal(t, http.StatusForbidden, send(t, h, "/sign/"+token+path, form).Code, path)
	}
}

func TestFormsAreBounded(t *testing.T) {
	t.Parallel()
	h := newHandler(t, showing(contractView(pages.Open)))
	form := consentForm(t)
	form.Set("name", strings.Repeat("a", 300_000))
	w := send(t, h, "/sign/"+token+"/consent", form)
	require.Equal(t, http.StatusRequestEntityTooLarge, w.Code)
	require.Contains(t, w.Body.String(), "That was too much")
}

func TestCodeIsSentTooOften(t *testing.T) {
	t.Parallel()
	s := showing(contractView(pages.Open))
	s.consent = func(pages.Consent) error { return &pages.TooSoonError{Until: now.Add(90 * time.Second)} }
	w := send(t, newHandler(t, s), "/sign/"+token+"/consent", consentForm(t))
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Equal(t, "90", w.Header().Get("Retry-After"))
	require.Contains(t, w.Body.String(), "Wait 2 minutes")
}

func TestConfirm(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		typed string
		err   error
		code  int
		goes  string
		says  string
		asked string
	}{
		"right":           {"123456", nil, 303, "/done", "", "123456"},
		"right, spaced":   {" 123 456 ", nil, 303, "/done", "", "123456"},
		"too short":       {"12345", nil, 422, "", "The code has 6 digits", ""},
		"letters":         {"12345a", nil, 422, "", "The code has 6 digits", ""},
		"wrong":           {"000000", &pages.WrongCodeError{TriesLeft: 3}, 422, "", "You have 3 tries left", "000000"},
		"wrong, one left": {"000000", &pages.WrongCodeError{TriesLeft: 1}, 422, "", "You have 1 try left", "000000"},
		"too old":         {"000000", pages.ErrCodeExpired, 422, "", "too old", "000000"},
		"locked":          {"000000", &pages.LockedError{Until: now.Add(15 * time.Minute)}, 429, "", "Wait 15 minutes", "000000"},
		"fault":           {"000000", errors.New("the secret cause"), 500, "", "The fault is on our side", "000000"},
	} {
		asked := ""
		s := showing(contractView(pages.AwaitingCode))
		s.confirm = func(code string, client pages.Client) error {
			require.Equal(t, "192.0.2.7", client.IP)
			asked = code
			return c.err
		}
		w := send(t, newHandler(t, s), "/sign/"+token+"/confirm", url.Values{"form-token": {formToken(t)}, "code": {c.typed}})
		require.Equal(t, c.code, w.Code, name)
		require.Equal(t, c.asked, asked, name)
		require.Contains(t, w.Body.String(), c.says, name)
		require.NotContains(t, w.Body.String(), "secret cause", name)
		if c.goes != "" {
			require.Equal(t, "/sign/"+token+c.goes, w.Header().Get("Location"), name)
		}
	}
}

// The session moves on between the page and its form: what was first looked up is no
// longer true when the form arrives.
func TestFormComesTooLate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status pages.Status
		code   int
		says   string
	}{
		{pages.Signed, 409, "You had already signed"},
		{pages.Confirmed, 409, "You had already confirmed"},
		{pages.Declined, 409, "You had already declined"},
		{pages.Failed, 409, "has already ended"},
		{pages.Closed, 410, "no longer needed"},
		{pages.Open, 409, "Read the documents and agree first"},
	} {
		for _, path := range []string{"/consent", "/confirm", "/resend", "/decline"} {
			calls := 0
			s := &sessions{find: func() (pages.View, error) {
				calls++
				if calls == 1 {
					return contractView(pages.AwaitingCode), nil
				}
				return contractView(c.status), nil
			}}
			s.consent = func(pages.Consent) error { return pages.ErrWrongStatus }
			s.confirm = func(string, pages.Client) error { return pages.ErrWrongStatus }
			s.resend = func() error { return pages.ErrWrongStatus }
			s.decline = func(string) error { return pages.ErrWrongStatus }
			form := consentForm(t)
			form.Set("code", "123456")
			form.Set("reason", "no")
			w := send(t, newHandler(t, s), "/sign/"+token+path, form)
			require.Equal(t, c.code, w.Code, "%v %s", c, path)
			require.Contains(t, w.Body.String(), c.says, "%v %s", c, path)
		}
	}
}

func TestAlreadySignedIsSaidBeforeAnythingIsAsked(t *testing.T) {
	t.Parallel()
	h := newHandler(t, showing(contractView(pages.Signed)))
	for _, path := range []string{"/consent", "/decline"} {
		w := send(t, h, "/sign/"+token+path, consentForm(t))
		require.Equal(t, http.StatusConflict, w.Code, path)
		require.Contains(t, w.Body.String(), "You had already signed", path)
	}
}

func TestResend(t *testing.T) {
	t.Parallel()
	s := showing(contractView(pages.AwaitingCode))
	var err error
	s.resend = func() error { return err }
	h := newHandler(t, s)
	form := url.Values{"form-token": {formToken(t)}}

	w := send(t, h, "/sign/"+token+"/resend", form)
	require.Equal(t, http.StatusSeeOther, w.Code)
	require.Contains(t, get(t, h, w.Header().Get("Location")).Body.String(), "We sent a new code")

	err = &pages.TooSoonError{Until: now.Add(20 * time.Second)}
	w = send(t, h, "/sign/"+token+"/resend", form)
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Contains(t, w.Body.String(), "Wait 1 minute")
}

func TestDecline(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		typed string
		code  int
		says  string
		got   string
	}{
		"empty":    {" \r\n\x00 ", 422, "Write a reason", ""},
		"too long": {strings.Repeat("x", 1001), 422, "Shorten it to 1000 characters", ""},
		"given":    {" The price\r\nis wrong. ", 303, "", "The price\nis wrong."},
	} {
		got := ""
		s := showing(contractView(pages.Open))
		s.decline = func(reason string) error { got = reason; return nil }
		w := send(t, newHandler(t, s), "/sign/"+token+"/decline", url.Values{"form-token": {formToken(t)}, "reason": {c.typed}})
		require.Equal(t, c.code, w.Code, name)
		require.Contains(t, w.Body.String(), c.says, name)
		require.Equal(t, c.got, got, name)
	}
}

func TestDocument(t *testing.T) {
	t.Parallel()
	s := showing(contractView(pages.Open))
	s.document = func(n int) (pages.File, error) {
		if n == 2 {
			return pages.File{}, pages.ErrDocumentGone
		}
		return pages.File{Content: readSeekCloser{bytes.NewReader([]byte("%PDF-1.7 bytes"))}, Name: "Verträge\n1.pdf", MimeType: "Application/PDF", Tag: "abc"}, nil
	}
	h := newHandler(t, s)
	const base = "/sign/" + token + "/documents/"

	w := get(t, h, base+"1")
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "%PDF-1.7 bytes", w.Body.String())
	require.Equal(t, "application/pdf", w.Header().Get("Content-Type"))
	require.Contains(t, w.Header().Get("Content-Disposition"), "inline; filename*=utf-8''Vertr%C3%A4ge")
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))

	w = get(t, h, base+"1?save", "Range", "bytes=0-3", "If-Range", `"abc"`)
	require.Equal(t, http.StatusPartialContent, w.Code)
	require.Equal(t, "%PDF", w.Body.String())
	require.Contains(t, w.Header().Get("Content-Disposition"), "attachment")

	require.Equal(t, http.StatusGone, get(t, h, base+"2").Code)
	for _, n := range []string{"0", "3", "-1", "x"} {
		require.Equal(t, http.StatusNotFound, get(t, h, base+n).Code, n)
	}
}

func TestState(t *testing.T) {
	t.Parallel()
	w := get(t, newHandler(t, showing(contractView(pages.Signed))), "/sign/"+token+"/state")
	require.JSONEq(t, `{"status":"signed"}`, w.Body.String())
}

func TestLanguage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ language, accept, want string }{
		{"", "", `lang="en"`},
		{"it_IT", "es", `lang="it"`},
		{"IT", "", `lang="it"`},
		{"", "fr;q=0.9, es-MX;q=0.8, it;q=0.1", `lang="es"`},
		{"", "it;q=0, en", `lang="en"`},
		{"fr", "it;q=x, de", `lang="en"`},
	} {
		v := contractView(pages.Open)
		v.Language = c.language
		w := get(t, newHandler(t, showing(v)), "/sign/"+token, "Accept-Language", c.accept)
		require.Contains(t, w.Body.String(), c.want, "%v", c)
	}
}

func TestStaticFiles(t *testing.T) {
	t.Parallel()
	h := newHandler(t, showing(contractView(pages.Open)))
	page := get(t, h, "/sign/"+token).Body.String()
	script := regexp.MustCompile(`src="(/sign/static/[0-9a-f]{16}/)app\.js"`).FindStringSubmatch(page)
	require.Len(t, script, 2)
	for name, kind := range map[string]string{
		"app.js": "text/javascript", "app.css": "text/css", "icon.svg": "image/svg+xml",
		"vendor/pdfjs/build/pdf.min.mjs":        "text/javascript",
		"vendor/pdfjs/build/pdf.worker.min.mjs": "text/javascript",
		"vendor/pdfjs/wasm/openjpeg.wasm":       "application/wasm",
	} {
		w := get(t, h, script[1]+name)
		require.Equal(t, http.StatusOK, w.Code, name)
		require.Contains(t, w.Header().Get("Content-Type"), kind, name)
		require.Contains(t, w.Header().Get("Cache-Control"), "immutable", name)
		zipped := get(t, h, script[1]+name, "Accept-Encoding", "gzip")
		require.LessOrEqual(t, zipped.Body.Len(), w.Body.Len(), name)
	}
	for _, path := range []string{script[1] + "vendor/pdfjs/README.md", script[1] + "../messages/en.json", "/sign/static/0000000000000000/app.js"} {
		require.Equal(t, http.StatusNotFound, get(t, h, path).Code, path)
	}
}

func TestNewChecksItsOptions(t *testing.T) {
	t.Parallel()
	_, err := pages.New(pages.Options{})
	require.ErrorContains(t, err, "required")
	_, err = pages.New(pages.Options{Sessions: &sessions{}, Verifier: checkedBy, Logger: slog.New(slog.DiscardHandler), FormKey: []byte("short")})
	require.ErrorContains(t, err, "form key has 5 bytes")
}

// A graphometric signature is drawn, never typed, and comes with pressure and time; what the
// browser says about whose it is does not count.
func TestGraphometricConsent(t *testing.T) {
	t.Parallel()
	v := contractView(pages.Open)
	v.Documents[0].Actions[0].Graphometric = true
	var got pages.Consent
	s := showing(v)
	s.consent = func(c pages.Consent) error { got = c; return nil }
	h := newHandler(t, s)
	page := get(t, h, "/sign/"+token).Body.String()
	require.Contains(t, page, "data-hand")
	require.Contains(t, page, "strokes, pressure and time")
	require.NotContains(t, page, `name="name"`, "there is no name to type")

	send1 := func(strokes string) *httptest.ResponseRecorder {
		form := consentForm(t)
		form.Set("strokes", strokes)
		return send(t, h, "/sign/"+token+"/consent", form)
	}
	const drawing = `{"ratio":2.5,"signerName":"Mallory","strokes":[{"pointer":"pen","points":[[0.1,0.5,0.3,0],[0.2,0.25,0.9,8]]},{"pointer":"touch","points":[[1,0,0.5,300]]}]}`
	require.Equal(t, http.StatusSeeOther, send1(drawing).Code)
	require.Equal(t, pages.Autograph{
		Kind: pages.Drawn, Ratio: 2.5, Strokes: [][]pages.Point{{{X: 0.1, Y: 0.5}, {X: 0.2, Y: 0.25}}, {{X: 1, Y: 0}}},
	}, got.Autograph)
	require.Equal(t, &graphometric.Recording{Ratio: 2.5, Strokes: []graphometric.Stroke{
		{Pointer: graphometric.Pen, Points: []graphometric.Point{{X: 0.1, Y: 0.5, Pressure: 0.3}, {X: 0.2, Y: 0.25, Pressure: 0.9, Time: 8}}},
		{Pointer: graphometric.Touch, Points: []graphometric.Point{{X: 1, Pressure: 0.5, Time: 300}}},
	}}, got.Recording)

	for strokes, says := range map[string]string{
		"": "Draw your signature in the box.",
		`{"ratio":2.5,"strokes":[{"pointer":"pen","points":[[0.1,0.5,0.3,0]]}]}`:                  "Draw your signature in the box.",
		`{"ratio":2.5,"strokes":[[[0.1,0.5],[0.2,0.25]]]}`:                                        "could not be read",
		`{"ratio":2.5,"strokes":[{"pointer":"pen","points":[[0.1,0.5,0.3,9],[0.2,0.25,0.9,8]]}]}`: "could not be read",
		`{"ratio":2.5,"strokes":[{"pointer":"pen","points":[[0.1,0.5,1.3,0],[0.2,0.25,0.9,8]]}]}`: "could not be read",
	} {
		got = pages.Consent{}
		w := send1(strokes)
		require.Equal(t, http.StatusUnprocessableEntity, w.Code, strokes)
		require.Contains(t, w.Body.String(), says, strokes)
		require.Nil(t, got.Recording)
	}
}
