package tools

import (
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

var (
	inlineLink    = regexp.MustCompile(`\]\(\s*<?([^\s)>]+)>?(?:\s+"[^"]*")?\s*\)`)
	referenceLink = regexp.MustCompile(`(?m)^\[[^\]]+\]:\s+(\S+)`)
	codeSpan      = regexp.MustCompile("`[^`\n]*`")
	heading       = regexp.MustCompile(`^#{1,6}\s+(.*?)\s*#*$`)
)

// prose returns a page without its fenced code.
func prose(page string) string {
	var kept []string
	fenced := false
	for line := range strings.SplitSeq(page, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
			continue
		}
		if !fenced {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

// links returns the targets of a page's links, inline ones first.
func links(page string) []string {
	page = codeSpan.ReplaceAllString(prose(page), "")
	var found []string
	for _, pattern := range []*regexp.Regexp{inlineLink, referenceLink} {
		for _, match := range pattern.FindAllStringSubmatch(page, -1) {
			found = append(found, match[1])
		}
	}
	return found
}

// anchors returns the names that the headings of a page get on a forge: lower-case, words
// joined by hyphens, everything else left out.
func anchors(page string) []string {
	var names []string
	for line := range strings.SplitSeq(prose(page), "\n") {
		match := heading.FindStringSubmatch(line)
		if match == nil {
			continue
		}
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ' || r == '-':
				return '-'
			case r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			default:
				return -1
			}
		}, match[1])
		names = append(names, name)
	}
	return names
}

// follow says what is wrong with a link on a page; links to other sites are not followed.
func follow(t *testing.T, page, link string) error {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		return err
	}
	if u.Scheme != "" || u.Host != "" {
		return nil
	}
	target := page
	if u.Path != "" {
		target = filepath.Join(filepath.Dir(page), u.Path)
		if after, ok := strings.CutPrefix(u.Path, "/"); ok {
			target = after
		}
		if !exists(t, target) {
			return fmt.Errorf("%s does not exist", target)
		}
	}
	if u.Fragment == "" || filepath.Ext(target) != ".md" {
		return nil
	}
	if !slices.Contains(anchors(read(t, target)), u.Fragment) {
		return fmt.Errorf("%s has no heading #%s", target, u.Fragment)
	}
	return nil
}
