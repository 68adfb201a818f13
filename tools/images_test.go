package tools

import (
	"encoding/json"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const dockerfile = "deploy/Dockerfile"

// stage is one FROM of the Dockerfile with what follows it.
type stage struct {
	name, from   string
	instructions []instruction
}

type instruction struct{ verb, rest string }

// stages reads the Dockerfile: comments left out, continued lines joined.
func stages(t *testing.T) []stage {
	t.Helper()
	var logical []string
	joined := ""
	for line := range strings.SplitSeq(read(t, dockerfile), "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") || line == "" {
			continue
		}
		joined += strings.TrimSuffix(line, "\\")
		if !strings.HasSuffix(line, "\\") {
			logical = append(logical, joined)
			joined = ""
		}
	}
	var found []stage
	for _, line := range logical {
		verb, rest, _ := strings.Cut(line, " ")
		if verb == "FROM" {
			words := strings.Fields(rest)
			require.Lenf(t, words, 3, "every stage has a name: %s", line)
			found = append(found, stage{name: words[2], from: words[0]})
			continue
		}
		require.NotEmptyf(t, found, "%s comes before the first FROM", line)
		last := &found[len(found)-1]
		last.instructions = append(last.instructions, instruction{verb, strings.TrimSpace(rest)})
	}
	return found
}

func stageNamed(all []stage, name string) (stage, bool) {
	i := slices.IndexFunc(all, func(s stage) bool { return s.name == name })
	if i < 0 {
		return stage{}, false
	}
	return all[i], true
}

// last returns the last instruction of a kind in a stage or the stages it is made from.
func last(all []stage, s stage, verb string) string {
	for _, v := range slices.Backward(s.instructions) {
		if v.verb == verb {
			return v.rest
		}
	}
	if parent, ok := stageNamed(all, s.from); ok {
		return last(all, parent, verb)
	}
	return ""
}

// list reads the JSON form of ENTRYPOINT, CMD and HEALTHCHECK.
func list(t *testing.T, text string) []string {
	t.Helper()
	var words []string
	require.NoErrorf(t, json.Unmarshal([]byte(text), &words), "%s is not the JSON form, which needs no shell", text)
	return words
}

// programs returns the names of the programs that the build makes.
func programs(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, s := range append([]string{"standalone"}, services...) {
		if exists(t, "services/"+s+"/cmd") {
			names = append(names, children(t, "services/"+s+"/cmd")...)
		}
	}
	return names
}

// TestImages: each service and the whole bus have an image with a program that exists, as
// an ordinary user, with a health check that needs no shell.
func TestImages(t *testing.T) {
	all := stages(t)
	built := programs(t)
	for _, name := range append([]string{"signbus"}, services...) {
		image, ok := stageNamed(all, name)
		require.Truef(t, ok, "%s has no target %s", dockerfile, name)
		entrypoint := list(t, last(all, image, "ENTRYPOINT"))
		require.Equal(t, []string{"/usr/bin/" + name}, entrypoint)
		require.Containsf(t, built, name, "no services/*/cmd/%s: the image %s would not build", name, name)
		require.Regexpf(t, `^[1-9][0-9]*:[1-9][0-9]*$`, last(all, image, "USER"), "the image %s runs as root", name)

		_, check, ok := strings.Cut(last(all, image, "HEALTHCHECK"), "CMD ")
		require.Truef(t, ok, "the image %s has no health check", name)
		require.Equal(t, []string{"/usr/bin/signbus", "health"}, list(t, check)[:2])
	}
	require.Equal(t, "signbus", all[len(all)-1].name, "a build without a target gives the whole bus")
}

// TestImageContents: what is copied exists, and what is copied from the build was made there.
func TestImageContents(t *testing.T) {
	all := stages(t)
	built := programs(t)
	for _, s := range all {
		for _, i := range s.instructions {
			if i.verb != "COPY" {
				continue
			}
			words := strings.Fields(i.rest)
			fromBuild := slices.Contains(words, "--from=build")
			words = slices.DeleteFunc(words, func(w string) bool { return strings.HasPrefix(w, "--") })
			for _, source := range words[:len(words)-1] {
				switch {
				case !fromBuild:
					require.Truef(t, exists(t, source), "%s copies %s, which is not there", dockerfile, source)
					require.Containsf(t, strings.Split(read(t, ".dockerignore"), "\n"), "!"+source, "%s is kept out of the build", source)
				case strings.HasPrefix(words[len(words)-1], "/usr/bin/"):
					require.Equal(t, path.Base(source), path.Base(words[len(words)-1]))
					require.Containsf(t, built, path.Base(source), "%s copies the program %s, which is not built", dockerfile, source)
				}
			}
		}
	}
}

// TestImagesArePinned: a build today and one next year start from the same line of versions.
func TestImagesArePinned(t *testing.T) {
	var images []string
	all := stages(t)
	for _, s := range all {
		if _, ours := stageNamed(all, s.from); !ours && s.from != "scratch" {
			images = append(images, s.from)
		}
	}
	for _, s := range composition(t).Services {
		images = append(images, s.Image)
	}
	require.NotEmpty(t, images)
	for _, image := range images {
		_, tag, ok := strings.Cut(image, ":")
		require.Truef(t, ok && tag != "" && !strings.Contains(tag, "latest"), "%s has no fixed version", image)
		require.NotRegexpf(t, `^[^/]*\.[^/]*/`, image, "%s names a registry", image)
	}
}
