package pages

import (
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"signbus.dev/pkg/contract"
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
	// Only a PDF is shown by the browser. Anything else is saved, whatever it is called: it
	// may be a page with scripts.
	kind, disposition := contract.MimePDF, "inline"
	if !strings.EqualFold(file.MimeType, contract.MimePDF) {
		kind, disposition = "application/octet-stream", "attachment"
	}
	if r.URL.Query().Has("save") {
		disposition = "attachment"
	}
	header := w.Header()
	header.Set("Content-Type", kind)
	header.Set("Content-Security-Policy", filePolicy)
	header.Set("Content-Disposition", mime.FormatMediaType(disposition, map[string]string{"filename": fileName(file, n)}))
	if file.Tag != "" {
		header.Set("ETag", strconv.Quote(file.Tag))
	}
	http.ServeContent(w, r, "", time.Time{}, file.Content)
}

// fileName returns a name that is safe to offer.
func fileName(file File, n int) string {
	if clean := readReason(file.Name); clean != "" {
		return clean
	}
	name := "document-" + strconv.Itoa(n)
	if strings.EqualFold(file.MimeType, contract.MimePDF) {
		name += ".pdf"
	}
	return name
}
