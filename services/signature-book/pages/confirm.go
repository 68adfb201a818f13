package pages

import (
	"errors"
	"net/http"
	"strings"
)

// showCode asks for the one-time code.
func (h *Handler) showCode(w http.ResponseWriter, r *http.Request) {
	req, ok := h.find(w, r)
	if !ok {
		return
	}
	switch req.view.Status {
	case AwaitingCode:
		notice := ""
		if r.URL.Query().Has("sent") {
			notice = req.texts.Text("code.sentAgain")
		}
		h.renderCode(w, req, http.StatusOK, notice)
	case Open:
		http.Redirect(w, r, req.base(), http.StatusSeeOther)
	case Closed:
		h.showClosed(w, req)
	default:
		http.Redirect(w, r, req.base()+"/done", http.StatusSeeOther)
	}
}

// renderCode writes the page that asks for the one-time code.
func (h *Handler) renderCode(w http.ResponseWriter, r *request, status int, notice string, problems ...string) {
	p := h.newPage(r, "code.title")
	p.Notice = notice
	p.Errors = problems
	p.Body = struct {
		Digits int
		Signs  bool
	}{CodeDigits, r.view.signs()}
	h.render(w, status, "code", p)
}

// confirm takes the one-time code.
func (h *Handler) confirm(w http.ResponseWriter, r *request) {
	code, complete := readCode(r.PostForm.Get("code"))
	if !complete && r.view.Status == AwaitingCode {
		h.renderCode(w, r, http.StatusUnprocessableEntity, "", r.texts.Text("error.codeShape", "n", CodeDigits))
		return
	}
	err := h.sessions.Confirm(r.Context(), r.token, code, h.client(r.Request))
	if err == nil {
		http.Redirect(w, r.Request, r.base()+"/done", http.StatusSeeOther)
		return
	}
	h.codeRefused(w, r, err)
}

// resend sends another one-time code.
func (h *Handler) resend(w http.ResponseWriter, r *request) {
	err := h.sessions.Resend(r.Context(), r.token)
	if err == nil {
		http.Redirect(w, r.Request, r.base()+"/code?sent", http.StatusSeeOther)
		return
	}
	h.codeRefused(w, r, err)
}

// codeRefused says why a code is not taken or not sent.
func (h *Handler) codeRefused(w http.ResponseWriter, r *request, err error) {
	wrong, locked, tooSoon := new(WrongCodeError), new(LockedError), new(TooSoonError)
	switch {
	case errors.As(err, &wrong):
		h.renderCode(w, r, http.StatusUnprocessableEntity, "", r.texts.Count("error.wrongCode", wrong.TriesLeft))
	case errors.Is(err, ErrCodeExpired):
		h.renderCode(w, r, http.StatusUnprocessableEntity, "", r.texts.Text("error.codeExpired"))
	case errors.As(err, &locked):
		n := h.waitMinutes(w, locked.Until)
		h.renderCode(w, r, http.StatusTooManyRequests, "", r.texts.Count("error.locked", n))
	case errors.As(err, &tooSoon):
		n := h.waitMinutes(w, tooSoon.Until)
		h.renderCode(w, r, http.StatusTooManyRequests, "", r.texts.Count("error.tooSoon", n))
	case errors.Is(err, ErrWrongStatus):
		h.showWrongStatus(w, r, err)
	default:
		h.showFault(w, r.Request, err, r.view.Language)
	}
}

// readCode takes the spaces and dashes out of a code and reports whether what remains
// has the shape of one: a slip of the finger does not cost a try.
func readCode(text string) (string, bool) {
	code := strings.NewReplacer(" ", "", "-", "", "\u00a0", "", "\t", "").Replace(text)
	if len(code) != CodeDigits {
		return code, false
	}
	return code, strings.Trim(code, "0123456789") == ""
}
