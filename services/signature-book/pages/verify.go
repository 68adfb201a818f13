package pages

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// VerifyPath is where anybody can check the signatures of a document.
const VerifyPath = Prefix + "verify"

// Limits of the page: it takes files from anybody.
const (
	maxChecked  = 32 << 20
	maxChecks   = 2
	checkTime   = 20 * time.Second
	checksEach  = 20 // of one address in a minute
	maxVisitors = 10_000
)

// ErrNotReadable means that a file is neither a PDF nor a signed message that can be read.
var ErrNotReadable = errors.New("file cannot be checked")

// Verdict is what a check found of one signature.
type Verdict string

// The verdicts.
const (
	// Valid: unchanged, and by a certificate of an authority that the bus knows.
	Valid Verdict = "valid"
	// Changed: valid, but something was added to the document that nobody signed.
	Changed Verdict = "changed"
	// Unknown: unchanged, but by a certificate of an authority that the bus does not know,
	// or one that was not valid.
	Unknown Verdict = "unknown"
	// Broken: the document was changed, or the signature is not what it says.
	Broken Verdict = "broken"
)

// Checked is what a check found of one signature or document time-stamp.
type Checked struct {
	Verdict Verdict
	// Name is that of the certificate.
	Name string
	// Reason is what the document says about it; it may be empty.
	Reason string
	// Time is when it was signed; Proven says that a time-stamp proves it.
	Time   time.Time
	Proven bool
	// Level is the baseline level, empty for none.
	Level string
	// Timestamp is true for a document time-stamp, by which nobody signed.
	Timestamp bool
}

// Verifier checks the signatures of a file that may be hostile; ErrNotReadable when it is
// none that it knows. It keeps nothing.
type Verifier func(ctx context.Context, file io.ReaderAt, size int64) ([]Checked, error)

// verifyBody is the body of the page.
type verifyBody struct {
	// FileName is what was checked; empty before anything was.
	FileName   string
	Signatures []Checked
	MegaBytes  int
}

// showVerify asks for a file.
func (h *Handler) showVerify(w http.ResponseWriter, r *http.Request) {
	h.renderVerify(w, r, http.StatusOK, verifyBody{})
}

func (h *Handler) renderVerify(w http.ResponseWriter, r *http.Request, status int, body verifyBody, problems ...string) {
	texts := h.texts(r, "")
	body.MegaBytes = maxChecked >> 20
	for i, key := range problems {
		problems[i] = texts.Text(key, "n", body.MegaBytes)
	}
	h.render(w, status, "verify", page{
		Lang: texts.Language, Title: texts.Text("verify.title"), Assets: h.assets.prefix, Errors: problems,
		Public: true, Body: body, texts: texts,
	})
}

// verify checks the file of the form. It is kept in a file without a name for as long as
// the check takes.
func (h *Handler) verify(w http.ResponseWriter, r *http.Request) {
	if !h.checks.enter(h.clientIP(r), h.now()) {
		w.Header().Set("Retry-After", "60")
		h.renderVerify(w, r, http.StatusTooManyRequests, verifyBody{}, "verify.tooMany")
		return
	}
	defer h.checks.leave()
	r.Body = http.MaxBytesReader(w, r.Body, maxChecked+1<<16) // the form around the file is small
	ctx, cancel := context.WithTimeout(r.Context(), checkTime)
	defer cancel()
	name, signatures, err := h.checkUpload(ctx, r)
	tooBig := new(http.MaxBytesError)
	switch {
	case err == nil:
		h.renderVerify(w, r, http.StatusOK, verifyBody{FileName: name, Signatures: signatures})
	case errors.As(err, &tooBig):
		h.renderVerify(w, r, http.StatusRequestEntityTooLarge, verifyBody{}, "verify.tooLarge")
	case errors.Is(err, errNoFile):
		h.renderVerify(w, r, http.StatusUnprocessableEntity, verifyBody{}, "verify.noFile")
	case errors.Is(err, ErrNotReadable), errors.Is(err, context.DeadlineExceeded):
		h.renderVerify(w, r, http.StatusUnprocessableEntity, verifyBody{}, "verify.notReadable")
	default:
		h.showFault(w, r, err, "")
	}
}

var errNoFile = errors.New("the form has no file")

// checkUpload streams the file of the form to the disk, checks it and removes it.
func (h *Handler) checkUpload(ctx context.Context, r *http.Request) (name string, signatures []Checked, err error) {
	form, err := r.MultipartReader()
	if err != nil {
		return "", nil, errNoFile
	}
	part, err := form.NextPart()
	for err == nil && part.FormName() != "file" {
		part, err = form.NextPart()
	}
	if tooBig := new(http.MaxBytesError); errors.As(err, &tooBig) {
		return "", nil, err
	}
	if err != nil || part.FileName() == "" {
		return "", nil, errNoFile
	}
	file, err := os.CreateTemp("", "signbus-check-")
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := os.Remove(file.Name()); err != nil { // its bytes go with the last who has it open
		return "", nil, err
	}
	size, err := io.Copy(file, part)
	if err != nil {
		return "", nil, err
	}
	signatures, err = h.verifier(ctx, file, size)
	return readReason(part.FileName()), signatures, err
}

// checks bounds what is checked at once, and how often one address asks in a minute.
type checks struct {
	slots  chan struct{}
	mu     sync.Mutex
	minute time.Time
	asked  map[string]int
}

func newChecks() *checks { return &checks{slots: make(chan struct{}, maxChecks)} }

// enter takes a slot, which leave gives back. It refuses an address that asks too often,
// and everybody while all slots are taken or too many addresses ask.
func (c *checks) enter(address string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if minute := now.Truncate(time.Minute); !minute.Equal(c.minute) {
		c.minute, c.asked = minute, map[string]int{}
	}
	if c.asked[address] >= checksEach || len(c.asked) >= maxVisitors {
		return false
	}
	c.asked[address]++
	select {
	case c.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

func (c *checks) leave() { <-c.slots }
