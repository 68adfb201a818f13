package pages

import (
	"errors"
	"net/http"
	"strings"
	"unicode/utf8"
)

// maxReason bounds the reason for declining; it travels in an event.
const maxReason = 1000

// declineBody is the body of the page that asks for the reason.
type declineBody struct {
	Reason string
	Max    int
}

// showDecline asks for the reason.
func (h *Handler) showDecline(w http.ResponseWriter, r *http.Request) {
	req, ok := h.find(w, r)
	if !ok {
		return
	}
	switch req.view.Status {
	case Open, AwaitingCode:
		h.renderDecline(w, req, http.StatusOK, "")
	case Closed:
		h.showClosed(w, req)
	default:
		http.Redirect(w, r, req.base()+"/done", http.StatusSeeOther)
	}
}

// renderDecline writes the page that asks for the reason.
func (h *Handler) renderDecline(w http.ResponseWriter, r *request, status int, reason string, problems ...string) {
	p := h.newPage(r, "decline.title")
	p.Errors = problems
	p.Body = declineBody{Reason: reason, Max: maxReason}
	h.render(w, status, "decline", p)
}

// decline takes the reason.
func (h *Handler) decline(w http.ResponseWriter, r *request) {
	if r.view.Status != Open && r.view.Status != AwaitingCode {
		h.showWrongStatus(w, r, ErrWrongStatus)
		return
	}
	reason := readReason(r.PostForm.Get("reason"))
	if reason == "" {
		h.renderDecline(w, r, http.StatusUnprocessableEntity, "", r.texts.Text("error.reasonEmpty"))
		return
	}
	if utf8.RuneCountInString(reason) > maxReason {
		h.renderDecline(w, r, http.StatusUnprocessableEntity, reason, r.texts.Text("error.reasonTooLong", "n", maxReason))
		return
	}
	err := h.sessions.Decline(r.Context(), r.token, reason, h.client(r.Request))
	switch {
	case err == nil:
		http.Redirect(w, r.Request, r.base()+"/done", http.StatusSeeOther)
	case errors.Is(err, ErrWrongStatus):
		h.showWrongStatus(w, r, err)
	default:
		h.showFault(w, r.Request, err, r.view.Language)
	}
}

// readReason keeps the lines of the reason and drops what cannot be read.
func readReason(text string) string {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(strings.Map(printable, line))
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}
