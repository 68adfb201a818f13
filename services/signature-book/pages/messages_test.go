package pages

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// readTexts reads one catalogue as it stands in the repository, without the fallback.
func readTexts(t *testing.T, file string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	texts := map[string]string{}
	require.NoError(t, json.Unmarshal(data, &texts))
	return texts
}

func TestLanguagesSayTheSame(t *testing.T) {
	t.Parallel()
	placeholder := regexp.MustCompile(`\{\w+\}`)
	files, err := filepath.Glob("messages/*.json")
	require.NoError(t, err)
	require.Contains(t, files, "messages/en.json")
	english := readTexts(t, "messages/en.json")
	for _, file := range files {
		texts := readTexts(t, file)
		for key, text := range texts {
			require.NotEmpty(t, text, "%s %s", file, key)
			require.Contains(t, english, key, "%s has a text that English does not", file)
			if strings.HasSuffix(key, ".one") {
				continue // may spell the number out
			}
			want := placeholder.FindAllString(english[key], -1)
			got := placeholder.FindAllString(text, -1)
			slices.Sort(want)
			slices.Sort(got)
			require.Equal(t, want, got, "%s %s", file, key)
		}
	}
}

// Every text that the pages name exists, and every text that exists is named.
func TestTextsAndPagesFit(t *testing.T) {
	t.Parallel()
	var source strings.Builder
	for _, pattern := range []string{"*.go", "templates/*.html", "static/*.js"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			source.Write(data)
		}
	}
	english := readTexts(t, "messages/en.json")
	named := regexp.MustCompile(`(?:\.T|\.Text\(|\btext\() ?"([a-z]+\.[\w.]+)"`)
	for _, found := range named.FindAllStringSubmatch(source.String(), -1) {
		if !strings.HasSuffix(found[1], ".") { // a prefix, completed while running
			require.Contains(t, english, found[1])
		}
	}
	counted := regexp.MustCompile(`(?:\.N|\.Count\() ?"([a-z]+\.[\w.]+)"`)
	for _, found := range counted.FindAllStringSubmatch(source.String(), -1) {
		require.Contains(t, english, found[1]+".one")
		require.Contains(t, english, found[1]+".other")
	}
	// These are put together from a word of the code.
	made := regexp.MustCompile(`^(done\.(again\.)?(confirmed|signed|declined|failed)|action\.(sign|approve|view)$|mark\.(sign|approve|view)$|problem\.|verify\.(verdict|stamp)\.(valid|changed|unknown|broken)$)`)
	for key := range english {
		base := strings.TrimSuffix(strings.TrimSuffix(key, ".one"), ".other")
		if !made.MatchString(key) {
			require.True(t, strings.Contains(source.String(), `"`+key+`"`) || strings.Contains(source.String(), `"`+base+`"`), "no page uses %s", key)
		}
	}
	for _, key := range []string{"unknown", "documentGone", "fault", "tooLarge", "badForm", "staleForm", "noDocument", "closed.withdrawn"} {
		require.Contains(t, english, "problem."+key+".title")
		require.Contains(t, english, "problem."+key+".text")
	}
	for reason := range closedReasons {
		require.Contains(t, english, "problem.closed."+reason+".title")
		require.Contains(t, english, "problem.closed."+reason+".text")
	}
}

// A page loads nothing from anywhere else, and has no script or style in itself, which
// the content security policy would stop.
func TestPagesStandAlone(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("templates/*.html")
	require.NoError(t, err)
	own, err := filepath.Glob("static/*.*")
	require.NoError(t, err)
	inline := regexp.MustCompile(`(?i)\sstyle=|<style|\son\w+="|javascript:`)
	outside := regexp.MustCompile(`(?i)(https?:)?//[a-z0-9-]+\.[a-z]{2,}`)
	for _, file := range append(files, own...) {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		if strings.HasSuffix(file, ".html") {
			require.NotRegexp(t, inline, string(data), file)
		}
		require.NotRegexp(t, outside, strings.ReplaceAll(string(data), "http://www.w3.org/2000/svg", ""), file)
	}
}
