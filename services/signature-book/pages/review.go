package pages

import (
	"errors"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"signbus.dev/pkg/contract"
	"signbus.dev/services/signature-book/catalogue"
)

// reviewForm is what the actor had entered, to be shown again when something misses.
type reviewForm struct {
	All      bool
	Accepted []int
	Drawn    bool
	Name     string
	Strokes  string
}

// review is the body of the page on which the actor reads and agrees.
type review struct {
	Form      reviewForm
	Documents []reviewDocument
	// Autograph is true when the actor's hand is asked for.
	Autograph bool
	// Hand is true when it has to be drawn, because its movement is recorded.
	Hand bool
	// Texts are those that the scripts need.
	Texts map[string]string
}

// reviewDocument is one document on that page.
type reviewDocument struct {
	Number   int
	Title    string
	FileName string
	Pages    int
	Size     string
	Actions  []reviewAction
	Accepted bool
	// Shown is true for a PDF, whose pages are drawn; any other file is offered to be saved.
	Shown bool
	// Fingerprint is the SHA-256 of a file that is not shown, in groups of eight digits.
	Fingerprint string
	Data        viewerData
}

// reviewAction is one action in words.
type reviewAction struct {
	Kind     ActionKind
	Label    string
	Where    string
	Approved bool
}

// viewerData is what the script needs to draw one document.
type viewerData struct {
	URL   string      `json:"url"`
	Pages int         `json:"pages"`
	Marks []viewerBox `json:"marks"`
}

// viewerBox is a place in a document, in PDF points from the lower left corner of the
// page as it is displayed.
type viewerBox struct {
	Page  int     `json:"page"`
	LLX   float64 `json:"llx"`
	LLY   float64 `json:"lly"`
	URX   float64 `json:"urx"`
	URY   float64 `json:"ury"`
	Kind  string  `json:"kind"`
	Label string  `json:"label"`
}

// showReview shows the documents, or where the session is when it has moved on.
func (h *Handler) showReview(w http.ResponseWriter, r *http.Request) {
	req, ok := h.find(w, r)
	if !ok {
		return
	}
	switch req.view.Status {
	case Open, AwaitingCode:
		h.renderReview(w, req, http.StatusOK, reviewForm{Name: req.view.Name})
	case Closed:
		h.showClosed(w, req)
	default:
		h.renderDone(w, req, http.StatusOK, "")
	}
}

// renderReview writes the page on which the actor reads and agrees.
func (h *Handler) renderReview(w http.ResponseWriter, r *request, status int, form reviewForm, problems ...string) {
	body := review{Form: form, Autograph: r.view.autograph(), Hand: r.view.graphometric(), Texts: scriptTexts(r.texts)}
	for i, d := range r.view.Documents {
		body.Documents = append(body.Documents, newReviewDocument(r, i+1, d, form))
	}
	p := h.newPage(r, "review.title")
	p.Errors = problems
	if r.view.Status == AwaitingCode {
		p.Notice = r.texts.Text("review.codeSent")
	}
	p.Body = body
	h.render(w, status, "review", p)
}

// newReviewDocument puts a document in words for the page.
func newReviewDocument(r *request, number int, d Document, form reviewForm) reviewDocument {
	out := reviewDocument{
		Number:   number,
		Title:    d.Title,
		FileName: d.FileName,
		Pages:    d.Pages,
		Size:     sizeText(r.texts, d.Size),
		Accepted: slices.Contains(form.Accepted, number),
		Shown:    strings.EqualFold(d.MimeType, contract.MimePDF),
		Data: viewerData{
			URL:   documentURL(r, number),
			Pages: d.Pages,
			Marks: []viewerBox{},
		},
	}
	if !out.Shown {
		out.Fingerprint = strings.Join(slices.Collect(groups(d.SHA256, 8)), " ")
	}
	for _, a := range d.Actions {
		action := reviewAction{
			Kind:     a.Kind,
			Label:    r.texts.Text("action." + string(a.Kind)),
			Where:    whereText(r.texts, d, a),
			Approved: a.Approved,
		}
		out.Actions = append(out.Actions, action)
		if !a.Visible {
			continue
		}
		for _, b := range a.Boxes {
			out.Data.Marks = append(out.Data.Marks, viewerBox{
				Page: b.Page, LLX: b.LLX, LLY: b.LLY, URX: b.URX, URY: b.URY,
				Kind: string(a.Kind), Label: r.texts.Text("mark." + string(a.Kind)),
			})
		}
	}
	return out
}

// groups cuts a text into parts of n bytes.
func groups(text string, n int) iter.Seq[string] {
	return func(yield func(string) bool) {
		for part := range slices.Chunk([]byte(text), n) {
			if !yield(string(part)) {
				return
			}
		}
	}
}

// whereText says on which pages an action will show.
func whereText(texts catalogue.Catalogue, d Document, a Action) string {
	if d.Around && a.Kind == Sign {
		return texts.Text("where.around")
	}
	if !a.Visible || len(a.Boxes) == 0 {
		return texts.Text("where.nowhere")
	}
	var pages []int
	for _, b := range a.Boxes {
		if !slices.Contains(pages, b.Page) {
			pages = append(pages, b.Page)
		}
	}
	if len(pages) == 1 {
		return texts.Text("where.page", "page", pages[0])
	}
	return texts.Text("where.pages", "n", len(pages))
}

// sizeText says the size of a file in KB or MB.
func sizeText(texts catalogue.Catalogue, size int64) string {
	const kilo, mega = 1 << 10, 1 << 20
	if size < mega {
		return texts.Text("size.kb", "n", max(1, (size+kilo/2)/kilo))
	}
	return texts.Text("size.mb", "n", strconv.FormatFloat(float64(size)/mega, 'f', 1, 64))
}

// scriptTexts returns the texts that the scripts show.
func scriptTexts(texts catalogue.Catalogue) map[string]string {
	out := map[string]string{}
	for _, key := range []string{
		"viewer.pageOf", "viewer.page", "viewer.failed", "viewer.gone", "viewer.next", "viewer.place",
		"pad.empty", "pad.drawn", "pad.full",
	} {
		out[key] = texts.Text(key)
	}
	return out
}

// consent takes the form of the review page.
func (h *Handler) consent(w http.ResponseWriter, r *request) {
	if r.view.Status != Open && r.view.Status != AwaitingCode {
		h.showWrongStatus(w, r, ErrWrongStatus)
		return
	}
	form, consent, problems := h.readConsent(r)
	if len(problems) > 0 {
		h.renderReview(w, r, http.StatusUnprocessableEntity, form, problems...)
		return
	}
	err := h.sessions.Consent(r.Context(), r.token, consent)
	locked, tooSoon := new(LockedError), new(TooSoonError)
	switch {
	case err == nil:
		http.Redirect(w, r.Request, r.base()+"/code", http.StatusSeeOther)
	case errors.As(err, &locked):
		n := h.waitMinutes(w, locked.Until)
		h.renderReview(w, r, http.StatusTooManyRequests, form, r.texts.Count("error.locked", n))
	case errors.As(err, &tooSoon):
		n := h.waitMinutes(w, tooSoon.Until)
		h.renderReview(w, r, http.StatusTooManyRequests, form, r.texts.Count("error.tooSoon", n))
	case errors.Is(err, ErrNoAddress):
		h.renderReview(w, r, http.StatusUnprocessableEntity, form, r.texts.Text("error.noAddress"))
	case errors.Is(err, ErrWrongStatus):
		h.showWrongStatus(w, r, err)
	default:
		h.showFault(w, r.Request, err, r.view.Language)
	}
}

// readConsent reads the form of the review page and says what misses in it.
func (h *Handler) readConsent(r *request) (reviewForm, Consent, []string) {
	values := r.PostForm
	form := reviewForm{
		All:     values.Get("accept-all") != "",
		Drawn:   values.Get("autograph") == string(Drawn),
		Name:    values.Get("name"),
		Strokes: values.Get("strokes"),
	}
	for i := range r.view.Documents {
		if form.All || slices.Contains(values["accept"], strconv.Itoa(i+1)) {
			form.Accepted = append(form.Accepted, i+1)
		}
	}
	consent := Consent{Accepted: form.Accepted, Client: h.client(r.Request)}
	var problems []string
	switch missing := len(r.view.Documents) - len(form.Accepted); {
	case missing > 0 && len(r.view.Documents) == 1:
		problems = append(problems, r.texts.Text("error.notAccepted"))
	case missing > 0:
		problems = append(problems, r.texts.Count("error.notAllAccepted", missing))
	}
	if r.view.autograph() {
		var err error
		hand := r.view.graphometric()
		switch {
		case hand:
			consent.Autograph, consent.Recording, err = parseRecording(form.Strokes)
		case form.Drawn:
			consent.Autograph, err = parseDrawing(form.Strokes)
		default:
			consent.Autograph, err = parseName(form.Name)
		}
		if err != nil {
			key := autographProblem(err)
			if hand && errors.Is(err, errNothingDrawn) {
				key = "error.handMissing"
			}
			problems = append(problems, r.texts.Text(key))
			form.Strokes = ""
		}
	}
	return form, consent, problems
}

// autographProblem returns the key of the text that says what is wrong.
func autographProblem(err error) string {
	switch {
	case errors.Is(err, errNameEmpty):
		return "error.nameEmpty"
	case errors.Is(err, errNameTooLong):
		return "error.nameTooLong"
	case errors.Is(err, errNothingDrawn):
		return "error.nothingDrawn"
	case errors.Is(err, errDrawingTooBig):
		return "error.drawingTooBig"
	default:
		return "error.drawing"
	}
}
