package pki

import (
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net/http"
)

// Handler serves the authority's certificate at /pki/ca.pem and that of the
// time-stamp authority at /pki/tsa.pem. Both are public.
func (a *Authority) Handler(log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /pki/ca.pem", func(w http.ResponseWriter, _ *http.Request) {
		writePEM(w, a.Certificate())
	})
	mux.HandleFunc("GET /pki/tsa.pem", func(w http.ResponseWriter, r *http.Request) {
		identity, err := a.TSA(r.Context())
		if err != nil {
			log.ErrorContext(r.Context(), "pki.tsa.failed", "error", err)
			http.Error(w, "the certificate is not available now", http.StatusServiceUnavailable)
			return
		}
		writePEM(w, identity.Chain[0])
	})
	return mux
}

func writePEM(w http.ResponseWriter, certificate *x509.Certificate) {
	w.Header().Set("Content-Type", "application/x-pem-file")
	_ = pem.Encode(w, &pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})
}
