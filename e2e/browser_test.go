package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// testBrowser: two people sign in Chromium, one on a phone with a finger and one at a desk
// with a mouse; what their hands did is in the signed document, for the escrow key alone.
func testBrowser(t *testing.T, b *bus) {
	extID := newID("browser")
	r := request(extID, contractPDF, human(1, "annaU", 1, action("G", compass(1, 7))), human(2, "brunoU", 1, action("G", compass(1, 9))))
	envelopeOf(r)["trustLevelCode"] = "GRAPHO_FEA"
	b.insert(t, r)
	var points []int
	for _, who := range []struct{ user, device string }{{"anna", "phone"}, {"bruno", "desk"}} {
		s := b.visitor(t, extID, who.user)
		points = append(points, s.browse(t, who.device))
		s.reaches(t, "signed")
	}
	b.ended(t, extID)
	signed := b.get(t, extID).Documents[0].Bytes
	b.eyes(t).accept(t, signed, 2)

	for n, r := range b.recordings(t, signed) {
		require.Equal(t, []string{"touch", "mouse"}[n], r.Strokes[0].Pointer)
		require.Len(t, r.Strokes, 2)
		recorded, last := 0, -1.0
		for _, stroke := range r.Strokes {
			recorded += len(stroke.Points)
			for _, p := range stroke.Points {
				require.GreaterOrEqual(t, p[3], last, "time does not run backwards")
				last = p[3]
			}
		}
		require.Equal(t, points[n], recorded)
		require.Greater(t, recorded, 8)
		require.InDelta(t, 0.1, r.Strokes[0].Points[0][0], 0.02)
		require.InDelta(t, 0.7, r.Strokes[0].Points[0][1], 0.02)
		if n == 0 {
			require.InDelta(t, 0.7, r.Strokes[0].Points[0][2], 0.01, "the pressure of the finger")
		}
	}
}

// browse signs in Chromium and returns how many points the page recorded. Pictures of the pages
// go to the folder SIGNBUS_E2E_PICTURES, if it is set.
func (s *signer) browse(t testing.TB, device string) int {
	t.Helper()
	require.DirExists(t, filepath.Join("js", "node_modules", "playwright-core"), "the npm packages are missing: run make tools")
	tool(t, "chromium", "the Debian package chromium")
	args := []string{"sign.mjs", s.url, device}
	if folder := os.Getenv("SIGNBUS_E2E_PICTURES"); folder != "" {
		args = append(args, folder)
	}
	cmd := exec.CommandContext(t.Context(), tool(t, "node", "the Debian package nodejs"), args...)
	cmd.Dir = "js"
	var errs bytes.Buffer
	cmd.Stderr = &errs
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	require.Truef(t, lines.Scan() && lines.Text() == "code?", "%s%s", lines.Text(), &errs)
	_, err = in.Write([]byte(s.code(t) + "\n"))
	require.NoError(t, err)
	require.Truef(t, lines.Scan(), "%s", &errs)
	var seen struct {
		Points           int
		Outside, Console []string
	}
	require.NoErrorf(t, json.Unmarshal(lines.Bytes(), &seen), "%s", lines.Text())
	require.NoErrorf(t, cmd.Wait(), "%s", &errs)
	require.Empty(t, seen.Outside, "the pages load nothing from elsewhere")
	require.Empty(t, seen.Console, "the browser complains about nothing")
	return seen.Points
}
