package pages

import (
	"encoding/json"
	"net/http"
)

// doneBody is the body of the page after the actor is done.
type doneBody struct {
	Heading string
	Text    string
	// Waiting is true while the page should look again by itself.
	Waiting bool
	// Good is true unless something went wrong.
	Good bool
	// Documents are offered for download.
	Documents []doneDocument
}

// doneDocument is one document to download.
type doneDocument struct {
	Title string
	URL   string
}

// showDone shows how far the session is after the actor's part.
func (h *Handler) showDone(w http.ResponseWriter, r *http.Request) {
	req, ok := h.find(w, r)
	if !ok {
		return
	}
	switch req.view.Status {
	case Open:
		http.Redirect(w, r, req.base(), http.StatusSeeOther)
	case AwaitingCode:
		http.Redirect(w, r, req.base()+"/code", http.StatusSeeOther)
	case Closed:
		h.showClosed(w, req)
	default:
		h.renderDone(w, req, http.StatusOK, "")
	}
}

// renderDone writes the page after the actor is done; noticeKey may be empty.
func (h *Handler) renderDone(w http.ResponseWriter, r *request, status int, noticeKey string) {
	key := "done." + string(r.view.Status)
	if !r.view.signs() && r.texts.Has(key+".other.title") {
		key += ".other"
	}
	body := doneBody{
		Heading: r.texts.Text(key+".title", "name", r.view.Name),
		Text:    r.texts.Text(key + ".text"),
		Waiting: r.view.Status == Confirmed,
		Good:    r.view.Status == Confirmed || r.view.Status == Signed,
	}
	p := h.newPage(r, key+".title")
	p.Title = body.Heading
	if noticeKey != "" {
		p.Notice = r.texts.Text(noticeKey)
	}
	if body.Waiting {
		p.Refresh = 5
	}
	if r.view.Status == Signed {
		for i, d := range r.view.Documents {
			body.Documents = append(body.Documents, doneDocument{Title: d.Title, URL: documentURL(r, i+1) + "?save"})
		}
	}
	p.Body = body
	h.render(w, status, "done", p)
}

// state answers the script of a waiting page.
func (h *Handler) state(w http.ResponseWriter, r *http.Request) {
	view, err := h.sessions.Find(r.Context(), r.PathValue("token"))
	if err != nil {
		h.showFault(w, r, err, "")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	body, err := json.Marshal(map[string]Status{"status": view.Status})
	if err != nil {
		h.showFault(w, r, err, view.Language)
		return
	}
	// A browser that went away is no fault of ours.
	_, _ = w.Write(body)
}
