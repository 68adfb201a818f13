package pages

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net"
	"net/http"
	"strings"
)

// pagePolicy allows a page its own files and nothing else. Fonts inside a PDF are given
// to the browser as bytes, blob: images are pictures inside a PDF.
const pagePolicy = "default-src 'none'; script-src 'self'; worker-src 'self' blob:; img-src 'self' data: blob:; " +
	"style-src 'self'; font-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// workerPolicy is that of the script files. It governs the worker which reads the PDF:
// that one may also compile the embedded decoders of scanned pages.
const workerPolicy = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; font-src 'self' data:; frame-ancestors 'none'"

// filePolicy goes with PDF bytes. It names no sources, because a browser applies it to
// its own PDF viewer too.
const filePolicy = "frame-ancestors 'none'"

// secure sets the headers that every answer carries.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", pagePolicy)
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
		header.Set("X-Robots-Tag", "noindex, nofollow")
		header.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// formToken returns the token that the forms of a session carry. It proves that a form
// comes from a page of ours.
func (h *Handler) formToken(session string) string {
	mac := hmac.New(sha256.New, h.formKey)
	mac.Write([]byte("signing form of session "))
	mac.Write([]byte(session))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// formTokenFits compares in constant time.
func (h *Handler) formTokenFits(session, token string) bool {
	return hmac.Equal([]byte(h.formToken(session)), []byte(token))
}

// remoteIP returns the address of the peer, which is right where no proxy stands in front.
func remoteIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// client returns what is kept of the browser as evidence.
func (h *Handler) client(r *http.Request) Client {
	const longest = 300
	agent := r.UserAgent()
	if len(agent) > longest {
		agent = agent[:longest]
	}
	agent = strings.Map(printable, strings.ToValidUTF8(agent, ""))
	return Client{IP: h.clientIP(r), UserAgent: agent}
}
