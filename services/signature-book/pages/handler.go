package pages

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"signbus.dev/services/signature-book/catalogue"
)

// maxForm bounds the body of a form; the largest one carries a drawing of maxPoints.
const maxForm = 256 << 10

// minFormKey is the least length of the key that binds forms to sessions.
const minFormKey = 32

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed messages/*.json
var messageFiles embed.FS

// Options are what a Handler needs.
type Options struct {
	Sessions Sessions
	// Verifier checks files for the verification page.
	Verifier Verifier
	// FormKey is a secret of 32 bytes or more that binds forms to sessions. It is the
	// same on every replica and over restarts, or open pages go out of date.
	FormKey []byte
	Logger  *slog.Logger
	// Now is the clock; nil means the real one.
	Now func() time.Time
	// ClientIP returns the address that is kept as evidence; nil means that of the
	// peer. Behind a proxy it reads the header which that proxy sets.
	ClientIP func(*http.Request) string
}

// Handler serves the signing pages under Prefix.
type Handler struct {
	sessions   Sessions
	verifier   Verifier
	checks     *checks
	formKey    []byte
	logger     *slog.Logger
	now        func() time.Time
	clientIP   func(*http.Request) string
	catalogues catalogue.Set
	templates  *template.Template
	assets     *assets
	routes     http.Handler
}

// New returns a Handler.
func New(o Options) (*Handler, error) {
	if o.Sessions == nil || o.Verifier == nil || o.Logger == nil {
		return nil, errors.New("signing pages: sessions, verifier and logger are required")
	}
	if len(o.FormKey) < minFormKey {
		return nil, fmt.Errorf("signing pages: form key has %d bytes, needs %d", len(o.FormKey), minFormKey)
	}
	h := &Handler{sessions: o.Sessions, verifier: o.Verifier, checks: newChecks(), formKey: o.FormKey, logger: o.Logger, now: o.Now, clientIP: o.ClientIP}
	if h.now == nil {
		h.now = time.Now
	}
	if h.clientIP == nil {
		h.clientIP = remoteIP
	}
	var err error
	if h.catalogues, err = catalogue.Read(messageFiles, "messages"); err != nil {
		return nil, fmt.Errorf("signing pages: %w", err)
	}
	if h.assets, err = readAssets(); err != nil {
		return nil, fmt.Errorf("signing pages: %w", err)
	}
	if h.templates, err = template.ParseFS(templateFiles, "templates/*.html"); err != nil {
		return nil, fmt.Errorf("signing pages: %w", err)
	}
	h.routes = secure(h.route())
	return h, nil
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.routes.ServeHTTP(w, r)
}

// route wires every page. The static files are cut off first: no token is "static".
func (h *Handler) route() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+VerifyPath, h.showVerify)
	mux.HandleFunc("POST "+VerifyPath, h.verify)
	mux.HandleFunc("GET /sign/{token}", h.showReview)
	mux.HandleFunc("POST /sign/{token}/consent", h.form(h.consent))
	mux.HandleFunc("GET /sign/{token}/code", h.showCode)
	mux.HandleFunc("POST /sign/{token}/confirm", h.form(h.confirm))
	mux.HandleFunc("POST /sign/{token}/resend", h.form(h.resend))
	mux.HandleFunc("GET /sign/{token}/decline", h.showDecline)
	mux.HandleFunc("POST /sign/{token}/decline", h.form(h.decline))
	mux.HandleFunc("GET /sign/{token}/done", h.showDone)
	mux.HandleFunc("GET /sign/{token}/state", h.state)
	mux.HandleFunc("GET /sign/{token}/documents/{n}", h.document)
	mux.HandleFunc("/sign/", func(w http.ResponseWriter, r *http.Request) {
		h.showProblem(w, h.texts(r, ""), http.StatusNotFound, "unknown", "")
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, Prefix+"static/") {
			h.assets.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// request is one request for a session that exists.
type request struct {
	*http.Request
	token string
	view  View
	texts catalogue.Catalogue
}

// base returns the address of the session, to which the pages add their own part.
func (r *request) base() string { return Prefix + url.PathEscape(r.token) }

// texts returns the catalogue for an actor whose language may be unknown.
func (h *Handler) texts(r *http.Request, language string) catalogue.Catalogue {
	return h.catalogues.Choose(language, r.Header.Get("Accept-Language"))
}

// find looks up the session of a request, or answers why there is none.
func (h *Handler) find(w http.ResponseWriter, r *http.Request) (*request, bool) {
	token := r.PathValue("token")
	view, err := h.sessions.Find(r.Context(), token)
	if err != nil {
		h.showFault(w, r, err, "")
		return nil, false
	}
	return &request{Request: r, token: token, view: view, texts: h.texts(r, view.Language)}, true
}

// form wraps the handler of a form: it bounds and reads the body, looks the session up
// and refuses a form that our pages did not give out.
func (h *Handler) form(next func(http.ResponseWriter, *request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		req, ok := h.find(w, r)
		if !ok {
			return
		}
		if err := r.ParseForm(); err != nil {
			if tooBig := new(http.MaxBytesError); errors.As(err, &tooBig) {
				h.showProblem(w, req.texts, http.StatusRequestEntityTooLarge, "tooLarge", req.base())
				return
			}
			h.showProblem(w, req.texts, http.StatusBadRequest, "badForm", req.base())
			return
		}
		if !h.formTokenFits(req.view.Session, r.PostForm.Get("form-token")) {
			h.showProblem(w, req.texts, http.StatusForbidden, "staleForm", req.base())
			return
		}
		next(w, req)
	}
}

// page is what every template receives.
type page struct {
	Lang   string
	Title  string
	Assets string
	Base   string
	Token  string
	// Errors are shown on top of the page; Notice is a milder word of the same kind.
	Errors []string
	Notice string
	// Public is true for a page that needs no link.
	Public bool
	// Refresh makes a browser without JavaScript ask again after so many seconds.
	Refresh int
	View    View
	Body    any
	texts   catalogue.Catalogue
}

// T returns a text of the page's language.
func (p page) T(key string, args ...any) string { return p.texts.Text(key, args...) }

// N returns a counted text of the page's language.
func (p page) N(key string, n int) string { return p.texts.Count(key, n) }

// Instant returns a time as a script reads it.
func (p page) Instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Moment returns a time as a person reads it where no script puts it in his own zone.
func (p page) Moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// steps is what the list of steps receives.
type steps struct {
	Page page
	Now  int
}

// At returns the list of steps with the one that the page stands for.
func (p page) At(now int) steps { return steps{Page: p, Now: now} }

// newPage returns a page of the session.
func (h *Handler) newPage(r *request, title string) page {
	return page{
		Lang:   r.texts.Language,
		Title:  r.texts.Text(title),
		Assets: h.assets.prefix,
		Base:   r.base(),
		Token:  h.formToken(r.view.Session),
		View:   r.view,
		texts:  r.texts,
	}
}

// render writes a page. It is rendered to memory first, so that a fault in a template
// is a plain error page and not half of a form.
func (h *Handler) render(w http.ResponseWriter, status int, name string, p page) {
	var out bytes.Buffer
	if err := h.templates.ExecuteTemplate(&out, name+".html", p); err != nil {
		h.logger.Error("render signing page", "page", name, "error", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	// A browser that went away is no fault of ours.
	_, _ = out.WriteTo(w)
}
