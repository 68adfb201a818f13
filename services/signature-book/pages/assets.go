package pages

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
)

//go:embed static
var staticFiles embed.FS

// staticTypes are the kinds of files that may be served. They are fixed here because
// the types that Go knows by itself depend on the machine.
var staticTypes = map[string]string{
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".mjs":  "text/javascript; charset=utf-8",
	".pfb":  "application/octet-stream",
	".svg":  "image/svg+xml",
	".ttf":  "font/ttf",
	".wasm": "application/wasm",
}

// asset is one embedded file.
type asset struct {
	kind string
	body []byte
	// zipped compresses the body once, when the first browser asks for it.
	zipped func() []byte
}

// assets serves the embedded style, scripts and the PDF drawing library. Their
// address carries a digest of all of them, so a browser may keep them for ever and
// never mixes two releases.
type assets struct {
	prefix string
	files  map[string]asset
}

// readAssets reads the embedded files.
func readAssets() (*assets, error) {
	a := &assets{files: map[string]asset{}}
	digest := sha256.New()
	err := fs.WalkDir(staticFiles, "static", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		kind, ok := staticTypes[path.Ext(name)]
		if !ok {
			return nil // licences and notes stay in the repository
		}
		body, err := staticFiles.ReadFile(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(digest, "%s %d\n", name, len(body))
		digest.Write(body)
		a.files[strings.TrimPrefix(name, "static/")] = asset{
			kind:   kind,
			body:   body,
			zipped: sync.OnceValue(func() []byte { return zip(body) }),
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read static files: %w", err)
	}
	a.prefix = Prefix + "static/" + hex.EncodeToString(digest.Sum(nil)[:8]) + "/"
	return a, nil
}

// zip returns the body compressed, or nil where that saves nothing.
func zip(body []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	// Writing to memory cannot fail.
	_, _ = w.Write(body)
	_ = w.Close()
	if out.Len() > len(body)*9/10 {
		return nil
	}
	return out.Bytes()
}

// ServeHTTP serves one embedded file.
func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return
	}
	file, ok := a.files[strings.TrimPrefix(r.URL.Path, a.prefix)]
	if !ok {
		http.NotFound(w, r)
		return
	}
	header := w.Header()
	header.Set("Content-Type", file.kind)
	header.Set("Cache-Control", "public, max-age=31536000, immutable")
	header.Set("Content-Security-Policy", workerPolicy)
	header.Add("Vary", "Accept-Encoding")
	body := file.body
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		if zipped := file.zipped(); zipped != nil {
			header.Set("Content-Encoding", "gzip")
			body = zipped
		}
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}
