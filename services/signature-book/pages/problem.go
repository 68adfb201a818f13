package pages

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"signbus.dev/services/signature-book/catalogue"
)

// problem is the body of a page that says why something cannot be done.
type problem struct {
	Heading string
	Text    string
	// Back is the address of the page from which to try again; empty when there is none.
	Back string
}

// showProblem answers with the texts under problem.<key>.
func (h *Handler) showProblem(w http.ResponseWriter, texts catalogue.Catalogue, status int, key, back string) {
	h.render(w, status, "problem", page{
		Lang:   texts.Language,
		Title:  texts.Text("problem." + key + ".title"),
		Assets: h.assets.prefix,
		Body: problem{
			Heading: texts.Text("problem." + key + ".title"),
			Text:    texts.Text("problem." + key + ".text"),
			Back:    back,
		},
		texts: texts,
	})
}

// showFault answers an error that leaves no page of the session to show.
func (h *Handler) showFault(w http.ResponseWriter, r *http.Request, err error, language string) {
	texts := h.texts(r, language)
	switch {
	case errors.Is(err, ErrNotFound):
		h.showProblem(w, texts, http.StatusNotFound, "unknown", "")
	case errors.Is(err, ErrDocumentGone):
		h.showProblem(w, texts, http.StatusGone, "documentGone", "")
	case r.Context().Err() != nil:
		// The browser went away; nobody reads the answer.
	default:
		h.logger.ErrorContext(r.Context(), "signing page", "method", r.Method, "route", r.Pattern, "error", err)
		h.showProblem(w, texts, http.StatusInternalServerError, "fault", "")
	}
}

// closedReasons are the reasons that have words of their own.
var closedReasons = map[string]bool{
	"completed": true, "rejected": true, "cancelled": true, "deleted": true, "expired": true,
}

// showClosed answers for a session that was withdrawn.
func (h *Handler) showClosed(w http.ResponseWriter, r *request) {
	reason := r.view.Reason
	if !closedReasons[reason] {
		reason = "withdrawn"
	}
	h.showProblem(w, r.texts, http.StatusGone, "closed."+reason, "")
}

// showWrongStatus answers a form that came when the session had moved on, by showing
// where it is now. A session that has not moved on is a fault.
func (h *Handler) showWrongStatus(w http.ResponseWriter, r *request, err error) {
	again, ok := h.find(w, r.Request)
	if !ok {
		return
	}
	switch again.view.Status {
	case Closed:
		h.showClosed(w, again)
	case Confirmed, Signed, Declined, Failed:
		h.renderDone(w, again, http.StatusConflict, "done.again."+string(again.view.Status))
	case Open:
		h.renderReview(w, again, http.StatusConflict, reviewForm{Name: again.view.Name}, again.texts.Text("error.noConsent"))
	default:
		h.showFault(w, r.Request, err, again.view.Language)
	}
}

// waitMinutes returns the minutes until then, rounded up and at least 1, and sets
// Retry-After.
func (h *Handler) waitMinutes(w http.ResponseWriter, until time.Time) int {
	wait := until.Sub(h.now())
	seconds := max(1, int(math.Ceil(wait.Seconds())))
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	return max(1, int(math.Ceil(wait.Minutes())))
}
