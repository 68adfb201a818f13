package pages

import (
	"errors"
	"mime"
	"net/http"
	"strconv"
	"time"
)

// documentURL returns the address of the nth document.
func documentURL(r *request, n int) string {
	return r.base() + "/documents/" + strconv.Itoa(n)
}

// document sends the bytes of a document, whole or in the parts that a viewer asks for.
func (h *Handler) document(w http.ResponseWriter, r *http.Request) {
	req, ok := h.find(w, r)
	if !ok {
		return
	}
	if req.view.Status == Closed {
		h.showClosed(w, req)
		return
	}
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil || n < 1 || n > len(req.view.Documents) {
		h.showProblem(w, req.texts, http.StatusNotFound, "noDocument", req.base())
		return
	}
	file, err := h.sessions.Document(r.Context(), req.token, n)
	if errors.Is(err, ErrWrongStatus) {
		h.showWrongStatus(w, req, err)
		return
	}
	if err != nil {
		h.showFault(w, r, err, req.view.Language)
		return
	}
	defer func() { _ = file.Content.Close() }() // read only: nothing is lost
	disposition := "inline"
	if r.URL.Query().Has("save") {
		disposition = "attachment"
	}
	header := w.Header()
	header.Set("Content-Type", "application/pdf")
	header.Set("Content-Security-Policy", filePolicy)
	header.Set("Content-Disposition", mime.FormatMediaType(disposition, map[string]string{"filename": fileName(file.Name, n)}))
	if file.Tag != "" {
		header.Set("ETag", strconv.Quote(file.Tag))
	}
	http.ServeContent(w, r, "", time.Time{}, file.Content)
}

// fileName returns a name that is safe to offer.
func fileName(name string, n int) string {
	if clean := readReason(name); clean != "" {
		return clean
	}
	return "document-" + strconv.Itoa(n) + ".pdf"
}
