package cli

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// progress tells people how much of a long file was read, on a terminal only.
type progress struct {
	io.ReaderAt
	to   io.Writer // nil says nothing
	size int64
	told int64 // per cent
}

// longFile is the size from which progress is worth a line; a smaller file takes less than a tenth of a second.
const longFile = 64 << 20

// progress watches the reading of a file.
func (a *app) progress(in io.ReaderAt, size int64) *progress {
	p := &progress{ReaderAt: in, size: size}
	if file, ok := a.errs.(*os.File); ok && !a.json && size >= longFile && term.IsTerminal(int(file.Fd())) {
		p.to = file
	}
	return p
}

// ReadAt reads, and tells each per cent once.
func (p *progress) ReadAt(data []byte, off int64) (int, error) {
	n, err := p.ReaderAt.ReadAt(data, off)
	// Only the pass over all bytes goes in order; the look at the end comes first and is not counted.
	if share := (off + int64(n)) * 100 / max(p.size, 1); p.to != nil && share == p.told+1 {
		p.told = share
		_, _ = fmt.Fprintf(p.to, "\rRead %d MB of %d MB", (off+int64(n))>>20, p.size>>20)
	}
	return n, err
}

// end clears the line, and says no more.
func (p *progress) end() {
	if p.to != nil {
		_, _ = fmt.Fprint(p.to, "\r\x1b[K")
		p.to = nil
	}
}
