// Package catalogue holds what people read in several languages: texts by key, one file
// of JSON for each language.
//
// The package promises that a page or a mail is never left with a hole: a text that a
// language misses is the English one. It knows plural forms of one and other only, which
// is what the languages here need.
package catalogue

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"sort"
	"strconv"
	"strings"
)

// fallbackLanguage is the language whose catalogue is always complete.
const fallbackLanguage = "en"

// Catalogue holds the texts of one language. A text may name values as {name}; a
// counted text has two forms, under its key with ".one" and ".other".
type Catalogue struct {
	// Language is the two-letter code.
	Language string
	texts    map[string]string
}

// Text returns the text under key with the named values put in; args are pairs of a
// name and a value. A key without a text returns itself, which the tests exclude.
func (c Catalogue) Text(key string, args ...any) string {
	text, ok := c.texts[key]
	if !ok {
		return key
	}
	pairs := make([]string, 0, len(args))
	for i := 0; i+1 < len(args); i += 2 {
		pairs = append(pairs, fmt.Sprintf("{%v}", args[i]), fmt.Sprint(args[i+1]))
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// Count returns the counted text under key for n, which the text names as {n}.
func (c Catalogue) Count(key string, n int) string {
	form := ".other"
	if n == 1 {
		form = ".one"
	}
	return c.Text(key+form, "n", strconv.Itoa(n))
}

// Has reports whether there is a text under key.
func (c Catalogue) Has(key string) bool { return c.texts[key] != "" }

// Set holds the texts of every language by its two-letter code.
type Set map[string]Catalogue

// Read reads the files <language>.json of a folder. A language that misses a text gets
// the English one, so a translation may lag behind.
func Read(fsys fs.FS, folder string) (Set, error) {
	entries, err := fs.ReadDir(fsys, folder)
	if err != nil {
		return nil, fmt.Errorf("read messages: %w", err)
	}
	all := Set{}
	for _, entry := range entries {
		language, ok := strings.CutSuffix(entry.Name(), ".json")
		if !ok {
			continue
		}
		data, err := fs.ReadFile(fsys, path.Join(folder, entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("read messages: %w", err)
		}
		texts := map[string]string{}
		if err := json.Unmarshal(data, &texts); err != nil {
			return nil, fmt.Errorf("read messages of %s: %w", language, err)
		}
		all[language] = Catalogue{Language: language, texts: texts}
	}
	fallback, ok := all[fallbackLanguage]
	if !ok {
		return nil, fmt.Errorf("read messages: no catalogue for %s", fallbackLanguage)
	}
	for _, c := range all {
		for key, text := range fallback.texts {
			if _, ok := c.texts[key]; !ok {
				c.texts[key] = text
			}
		}
	}
	return all, nil
}

// Choose returns the catalogue of the actor's language, else the best one of the
// browser's Accept-Language header, else the English one.
func (all Set) Choose(language, accept string) Catalogue {
	if c, ok := all[primary(language)]; ok {
		return c
	}
	for _, tag := range acceptedLanguages(accept) {
		if c, ok := all[tag]; ok {
			return c
		}
	}
	return all[fallbackLanguage]
}

// primary returns the two-letter code at the head of a language tag such as it-IT or IT.
func primary(tag string) string {
	head, _, _ := strings.Cut(strings.ReplaceAll(strings.TrimSpace(tag), "_", "-"), "-")
	return strings.ToLower(head)
}

// acceptedLanguages returns the languages of an Accept-Language header, best first.
func acceptedLanguages(header string) []string {
	// A browser sends a handful; the bound keeps a hostile header cheap.
	const most = 20
	type choice struct {
		language string
		quality  float64
	}
	var choices []choice
	for _, part := range strings.SplitN(header, ",", most+1) {
		if len(choices) == most {
			break
		}
		tag, params, _ := strings.Cut(part, ";")
		quality := 1.0
		if q, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			parsed, err := strconv.ParseFloat(q, 64)
			if err != nil {
				continue
			}
			quality = parsed
		}
		if quality > 0 {
			choices = append(choices, choice{primary(tag), quality})
		}
	}
	sort.SliceStable(choices, func(i, j int) bool { return choices[i].quality > choices[j].quality })
	languages := make([]string, len(choices))
	for i, c := range choices {
		languages[i] = c.language
	}
	return languages
}
