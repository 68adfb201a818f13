package pki

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Where the Handler serves what certificates name.
const (
	issuerPath = "/pki/ca.cer"
	crlPath    = "/pki/ca.crl"
	ocspPath   = "/pki/ocsp"
)

const (
	ocspQueryType = "application/ocsp-request"
	ocspReplyType = "application/ocsp-response"
)

// Handler serves what is public of the authority: its certificate at /pki/ca.cer (DER) and
// /pki/ca.pem, that of the time-stamp authority at /pki/tsa.pem, the CRL at /pki/ca.crl, and
// OCSP at /pki/ocsp by POST (RFC 6960, appendix A) and GET (RFC 5019, 5).
func (a *Authority) Handler(log *slog.Logger) http.Handler {
	h := &handler{authority: a, log: log}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+issuerPath, func(w http.ResponseWriter, _ *http.Request) {
		h.write(w, "application/pkix-cert", keepCertificate, a.Certificate().Raw)
	})
	mux.HandleFunc("GET /pki/ca.pem", func(w http.ResponseWriter, _ *http.Request) {
		h.write(w, "application/x-pem-file", 0, encodePEM(a.Certificate()))
	})
	mux.HandleFunc("GET /pki/tsa.pem", h.tsa)
	mux.HandleFunc("GET "+crlPath, h.crl)
	mux.HandleFunc("POST "+ocspPath, h.ocspPost)
	mux.HandleFunc("GET "+ocspPath+"/", h.ocspGet)
	return mux
}

// keepCertificate is how long others may keep the authority's certificate.
const keepCertificate = day

type handler struct {
	authority *Authority
	log       *slog.Logger
}

func (h *handler) tsa(w http.ResponseWriter, r *http.Request) {
	identity, err := h.authority.TSA(r.Context())
	if err != nil {
		h.unavailable(w, r, "pki.tsa.failed", err)
		return
	}
	h.write(w, "application/x-pem-file", 0, encodePEM(identity.Chain[0]))
}

func (h *handler) crl(w http.ResponseWriter, r *http.Request) {
	list, err := h.authority.CRL(r.Context())
	if err != nil {
		h.unavailable(w, r, "pki.crl.failed", err)
		return
	}
	h.write(w, "application/pkix-crl", listAge, list)
}

func (h *handler) ocspPost(w http.ResponseWriter, r *http.Request) {
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.TrimSpace(kind) != ocspQueryType {
		http.Error(w, "content type must be "+ocspQueryType, http.StatusUnsupportedMediaType)
		return
	}
	query, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxQuery))
	if err != nil {
		status := http.StatusBadRequest
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		http.Error(w, "OCSP request cannot be read", status)
		return
	}
	h.ocsp(w, r, query, 0)
}

// ocspGet takes the request from the path: base64, whether or not its slashes are escaped.
func (h *handler) ocspGet(w http.ResponseWriter, r *http.Request) {
	text, err := url.PathUnescape(strings.TrimPrefix(r.URL.EscapedPath(), ocspPath+"/"))
	if err != nil || len(text) > maxQuery {
		http.Error(w, "OCSP request cannot be read", http.StatusBadRequest)
		return
	}
	query, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		http.Error(w, "OCSP request is not base64", http.StatusBadRequest)
		return
	}
	h.ocsp(w, r, query, listAge)
}

func (h *handler) ocsp(w http.ResponseWriter, r *http.Request, query []byte, keep time.Duration) {
	reply, err := h.authority.RespondOCSP(r.Context(), query)
	if err != nil {
		keep = 0
		if r.Context().Err() == nil {
			h.log.ErrorContext(r.Context(), "pki.ocsp.failed", "error", err)
		}
	}
	h.write(w, ocspReplyType, keep, reply)
}

func (h *handler) unavailable(w http.ResponseWriter, r *http.Request, event string, err error) {
	h.log.ErrorContext(r.Context(), "pki.failed", "what", event, "error", err)
	http.Error(w, "not available now", http.StatusServiceUnavailable)
}

// write answers; caches may keep the answer for a while.
func (h *handler) write(w http.ResponseWriter, kind string, keep time.Duration, body []byte) {
	w.Header().Set("Content-Type", kind)
	if keep > 0 {
		w.Header().Set("Cache-Control", "public, max-age="+strconv.Itoa(int(keep/time.Second)))
	}
	_, _ = w.Write(body) //nolint:gosec // Certificates, CRLs and signed answers: never text that came with the request.
}

func encodePEM(certificate *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})
}
