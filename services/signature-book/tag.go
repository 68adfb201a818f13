package signaturebook

import (
	"regexp"
	"strings"
	"time"

	"signbus.dev/pkg/contract/handover"
)

// namePlaceholder stands for "Surname Name" in the first line of a tag. The published
// texts write it with and without spaces.
var namePlaceholder = regexp.MustCompile(`(?i)#\s*nnss\s*#`)

// tagTime is how a tag shows the date, as in the published examples.
const tagTime = "02/01/2006 15:04:05 MST"

// The words for the second and third line of a tag.
const (
	lineTitle        = "TTL"
	lineOrganization = "ORG"
	lineCompany      = "CMP"
	lineFirstOfThree = "TOC"
	lineDate         = "OPD"
)

// tag returns the lines that a visible action shows. configured holds up to three: a text
// with the placeholder of the name, and two words that choose the others. Without any it
// shows the name and the date. Empty lines are left out; unknown words count as empty.
func tag(configured []string, actor handover.Actor, fallbackName string, at time.Time) []string {
	name := strings.TrimSpace(actor.Surname + " " + actor.Name)
	if name == "" {
		name = fallbackName
	}
	date := at.Format(tagTime)
	if strings.Join(configured, "") == "" {
		return []string{name, date}
	}
	words := map[string]string{
		lineTitle: actor.Title, lineOrganization: actor.Organization, lineCompany: actor.Company,
		lineFirstOfThree: firstOf(actor.Title, actor.Organization, actor.Company), lineDate: date,
	}
	first := configured[0]
	if first == "" {
		first = "#nnss#"
	}
	lines := []string{namePlaceholder.ReplaceAllLiteralString(first, name)}
	for _, word := range configured[1:min(len(configured), 3)] {
		lines = append(lines, words[word])
	}
	kept := lines[:0]
	for _, line := range lines {
		if line = strings.TrimSpace(line); line != "" {
			kept = append(kept, line)
		}
	}
	return kept
}

func firstOf(values ...string) string {
	for _, v := range values {
		if strings.TrimSpace(v) != "" {
			return v
		}
	}
	return ""
}
