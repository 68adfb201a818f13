package signaturebook

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/blob"
	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/bus/bustest"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/pdf/pdftest"
	"signbus.dev/pkg/pki"
	"signbus.dev/pkg/sign/pades"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/store/storetest"
	"signbus.dev/pkg/subjects"
)

// clock is a time that only the test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// book is a running service with everything around it.
type book struct {
	*Service
	t         *testing.T
	bus       *bustest.Bus
	clock     *clock
	mailer    *DevMailer
	authority *pki.Authority
	blobs     blob.Store
	progress  jetstream.Consumer
	printed   *bytes.Buffer
	stop      func()
}

var anna = handover.Actor{
	ExternalID: "annaU", Name: "Anna", Surname: "Alpha", Email: "anna@example.com", Title: "Engineer", Company: "Works",
}

// newBook starts a service on a database. change may replace options.
func newBook(t *testing.T, db *store.DB, change func(*Options)) *book {
	t.Helper()
	require.NoError(t, bus.Migrate(t.Context(), db))
	require.NoError(t, Migrate(t.Context(), db))
	dir, err := blob.NewDir(filepath.Join(t.TempDir(), "blobs"))
	require.NoError(t, err)
	b := &book{t: t, bus: bustest.Start(t), clock: &clock{at: time.Now().Truncate(time.Second)}, blobs: dir, printed: &bytes.Buffer{}}
	b.mailer = NewDevMailer(b.printed)
	b.authority, err = pki.Open(t.Context(), NewKeeper(db), pki.Options{Passphrase: []byte("passphrase of the test")})
	require.NoError(t, err)
	o := Options{
		DB: db, Conn: b.bus.Conn, JS: b.bus.JS, Publisher: b.bus.Publisher, Blobs: dir, Keys: b.authority, Register: b.authority, Mailer: b.mailer,
		Log: b.bus.Log, Secret: bytes.Repeat([]byte("s"), 32), PublicURL: "https://sign.example.com/", Now: b.clock.Now,
	}
	if change != nil {
		change(&o)
	}
	b.Service, err = New(o)
	require.NoError(t, err)
	b.progress, err = b.bus.JS.CreateOrUpdateConsumer(t.Context(), subjects.StreamWork, jetstream.ConsumerConfig{
		Durable: "test-progress", FilterSubject: subjects.WorkProgress, AckPolicy: jetstream.AckExplicitPolicy,
	})
	require.NoError(t, err)
	b.stop = bustest.Go(t, b.Run)
	return b
}

// each runs a test on both database engines.
func each(t *testing.T, test func(t *testing.T, db *store.DB)) {
	t.Helper()
	storetest.Run(t, test)
}

// give publishes a job.
func (b *book) give(job handover.Job) {
	b.t.Helper()
	data, err := json.Marshal(job)
	require.NoError(b.t, err)
	require.NoError(b.t, b.bus.Publisher.Publish(b.t.Context(), bus.Message{Subject: subjects.WorkJob, ID: bus.NewID(), Data: data}))
}

// answer waits for the next progress.
func (b *book) answer() handover.Progress {
	b.t.Helper()
	msgs, err := b.progress.Fetch(1, jetstream.FetchMaxWait(30*time.Second))
	require.NoError(b.t, err)
	msg, ok := <-msgs.Messages()
	require.True(b.t, ok, "no progress came: %v", msgs.Error())
	require.NoError(b.t, msg.DoubleAck(b.t.Context()))
	var p handover.Progress
	require.NoError(b.t, json.Unmarshal(msg.Data(), &p))
	return p
}

// settled waits until every job that was given is done, so that what is not there will
// not come any more.
func (b *book) settled() {
	b.t.Helper()
	bustest.Eventually(b.t, func() bool {
		c, err := b.bus.JS.Consumer(b.t.Context(), subjects.StreamWork, subjects.SignatureBook)
		if err != nil {
			return false
		}
		info, err := c.Info(b.t.Context())
		return err == nil && info.NumPending == 0 && info.NumAckPending == 0
	}, "jobs are not done")
}

// silent requires that nothing more was reported.
func (b *book) silent() {
	b.t.Helper()
	b.settled()
	bustest.Eventually(b.t, func() bool {
		var n int
		require.NoError(b.t, b.DB.QueryRow(b.t.Context(), `SELECT COUNT(*) FROM bus_outbox`, nil, &n))
		return n == 0
	}, "outbox is not empty")
	info, err := b.progress.Info(b.t.Context())
	require.NoError(b.t, err)
	require.Zero(b.t, info.NumPending, "a progress was reported")
}

// status waits until the session of an assignment has a status.
func (b *book) status(assignment string, want string) {
	b.t.Helper()
	bustest.Eventually(b.t, func() bool {
		s, err := findSession(b.t.Context(), b.DB, assignment)
		return err == nil && string(s.Status) == want
	}, "session of "+assignment+" is not "+want)
}

// mail waits for the nth mail of a kind, from 1, to an assignment.
func (b *book) mail(assignment string, kind MailKind, n int) Mail {
	b.t.Helper()
	var found []Mail
	bustest.Eventually(b.t, func() bool {
		b.mailer.mu.Lock()
		defer b.mailer.mu.Unlock()
		found = nil
		for _, m := range b.mailer.mails {
			if m.Assignment == assignment && m.Kind == kind {
				found = append(found, m)
			}
		}
		return len(found) >= n
	}, "no "+string(kind)+" mail")
	return found[n-1]
}

// keep stores the bytes of a document of envelope e1 and describes it.
func (b *book) keep(id string, data []byte) handover.Document {
	b.t.Helper()
	ref, err := b.blobs.Put(b.t.Context(), scope, bytes.NewReader(data), 1<<30)
	require.NoError(b.t, err)
	return handover.Document{
		ExternalID: id, Title: "Contract " + id, MimeType: "application/pdf", FileName: id + ".pdf", Order: 1, Version: 1,
		SHA256: ref.SHA256, Size: ref.Size, Pages: 2,
	}
}

var scope = blob.Scope{Customer: "demo", ID: "e1"}

func sample() []byte { return pdftest.Sample(2, "Supply contract") }

// job is the opening of an assignment of anna with a signature on each document.
func job(assignment string, documents ...handover.Document) handover.Job {
	j := handover.Job{
		Kind: handover.JobOpen, Assignment: assignment, EnvelopeID: "e1", Customer: "demo", System: "ERP", ExternalID: "E-1",
		Subject: "Supply contract", MessageText: "Please sign\nthis week", TaskKind: handover.Human, Actor: anna,
		SignatureLevel: contract.LevelBB, Documents: documents,
	}
	for _, d := range documents {
		j.Actions = append(j.Actions, action(d.ExternalID, contract.ActionSign, contract.VisibilityVisible))
	}
	return j
}

func action(document string, kind contract.ActionType, visibility contract.Visibility) handover.Action {
	a := handover.Action{DocExternalID: document, Type: kind, Visibility: string(visibility)}
	if visibility == contract.VisibilityVisible {
		a.Placement.Boxes = []handover.Box{{Page: 1, LLX: 60, LLY: 80, URX: 260, URY: 140}}
	}
	return a
}

// grant is the right to sign now.
func grant(j handover.Job, epoch int64) handover.Job {
	j.Kind, j.Epoch = handover.JobSign, epoch
	return j
}

func withdraw(j handover.Job, reason string) handover.Job {
	j.Kind, j.Reason = handover.JobWithdraw, reason
	return j
}

// signedBytes returns the bytes of a signed document, after outside programs and our own
// check have judged it.
func (b *book) signedBytes(d handover.SignedDocument, signatures int) []byte {
	b.t.Helper()
	data, err := blob.ReadAll(b.t.Context(), b.blobs, scope, d.SHA256)
	require.NoError(b.t, err)
	require.EqualValues(b.t, len(data), d.Size)
	require.Equal(b.t, signatures, d.Signatures)
	reports, err := pades.Verify(b.t.Context(), bytes.NewReader(data), d.Size, b.authority.Roots(), b.clock.Now())
	require.NoError(b.t, err)
	require.Len(b.t, reports, signatures)
	for _, r := range reports {
		require.True(b.t, r.Valid(), r.Problem)
	}
	path := filepath.Join(b.t.TempDir(), "signed.pdf")
	require.NoError(b.t, os.WriteFile(path, data, 0o600))
	said := b.outside("pdfsig", "poppler-utils", "-nocert", path)
	require.Equal(b.t, signatures, strings.Count(said, "Signature is Valid."), said)
	require.Contains(b.t, b.outside("qpdf", "qpdf", "--check", path), "No syntax or stream encoding errors found")
	return data
}

// text returns the words that a PDF reader finds on the first page, annotations included.
func (b *book) text(data []byte) string {
	b.t.Helper()
	path := filepath.Join(b.t.TempDir(), "signed.pdf")
	require.NoError(b.t, os.WriteFile(path, data, 0o600))
	return strings.Join(strings.Fields(b.outside("mutool", "mupdf-tools", "draw", "-q", "-F", "txt", path, "1")), " ")
}

func (b *book) outside(tool, debian string, args ...string) string {
	b.t.Helper()
	path, err := exec.LookPath(tool)
	require.NoError(b.t, err, "%s is missing: install the Debian package %s", tool, debian)
	out, err := exec.CommandContext(b.t.Context(), path, args...).CombinedOutput()
	require.NoError(b.t, err, "%s: %s", tool, out)
	return string(out)
}

// blobNames lists the bytes kept for envelope e1.
func (b *book) blobNames() []string {
	b.t.Helper()
	refs, err := b.blobs.List(b.t.Context(), scope)
	require.NoError(b.t, err)
	var names []string
	for _, r := range refs {
		names = append(names, r.SHA256)
	}
	slices.Sort(names)
	return names
}

// visitor is a browser on a signing page, without JavaScript.
type visitor struct {
	*book
	base string
}

// visit opens the link of an invitation.
func (b *book) visit(link string) *visitor {
	b.t.Helper()
	u, err := url.Parse(link)
	require.NoError(b.t, err)
	require.Equal(b.t, "sign.example.com", u.Host)
	return &visitor{book: b, base: u.Path}
}

func (v *visitor) get(path string) *http.Response {
	v.t.Helper()
	return v.do(httptest.NewRequestWithContext(v.t.Context(), http.MethodGet, v.base+path, nil))
}

var formToken = regexp.MustCompile(`name="form-token" value="([^"]+)"`)

// post fills the form of a page and sends it.
func (v *visitor) post(page, path string, values url.Values) *http.Response {
	v.t.Helper()
	found := formToken.FindStringSubmatch(body(v.t, v.get(page)))
	require.Len(v.t, found, 2, "the page has no form")
	if values == nil {
		values = url.Values{}
	}
	values.Set("form-token", found[1])
	r := httptest.NewRequestWithContext(v.t.Context(), http.MethodPost, v.base+path, strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("User-Agent", "test browser")
	r.RemoteAddr = "192.0.2.7:4711"
	return v.do(r)
}

func (v *visitor) do(r *http.Request) *http.Response {
	v.t.Helper()
	w := httptest.NewRecorder()
	v.Handler().ServeHTTP(w, r)
	response := w.Result()
	v.t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	data, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return string(data)
}

// agree fills the first page.
func (v *visitor) agree() {
	v.t.Helper()
	r := v.post("", "/consent", url.Values{"accept-all": {"yes"}, "autograph": {"typed"}, "name": {"Anna Alpha"}})
	require.Equal(v.t, http.StatusSeeOther, r.StatusCode, "%s", body(v.t, r))
}

// confirm enters a code.
func (v *visitor) confirm(code string) *http.Response {
	v.t.Helper()
	return v.post("/code", "/confirm", url.Values{"code": {code}})
}

// consented opens an assignment and agrees to it as its actor would.
func (b *book) consented(j handover.Job) *visitor {
	b.t.Helper()
	b.give(j)
	v := b.visit(b.mail(j.Assignment, Invitation, 1).Link)
	v.agree()
	r := v.confirm(b.mail(j.Assignment, OneTimeCode, 1).Code)
	require.Equal(b.t, http.StatusSeeOther, r.StatusCode, "%s", body(b.t, r))
	p := b.answer()
	require.Equal(b.t, handover.Confirmed, p.Kind)
	require.Equal(b.t, j.Assignment, p.Assignment)
	return v
}

// failingMailer fails as often as told, then hands on.
type failingMailer struct {
	mu       sync.Mutex
	failures int
	tries    int
	next     Mailer
}

func (f *failingMailer) Send(ctx context.Context, m Mail) error {
	f.mu.Lock()
	f.tries++
	fail := f.failures > 0
	if fail {
		f.failures--
	}
	f.mu.Unlock()
	if fail {
		return context.DeadlineExceeded
	}
	return f.next.Send(ctx, m)
}

func (f *failingMailer) tried() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tries
}
