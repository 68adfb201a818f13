package tools

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// first returns what the first group of a pattern matches in a file.
func first(t *testing.T, name, pattern string) string {
	t.Helper()
	match := regexp.MustCompile(pattern).FindStringSubmatch(read(t, name))
	require.NotNilf(t, match, "%s has nothing like %s", name, pattern)
	return match[1]
}

// TestPins: the same thing has the same version wherever it is named.
func TestPins(t *testing.T) {
	embedded := first(t, "go.mod", `github.com/nats-io/nats-server/v2 (v\S+)`)
	require.Equal(t, embedded, first(t, "Makefile", `NATS_SERVER_VERSION\s*:= (\S+)`), "the server of the tests and the embedded one")
	require.Equal(t, embedded, "v"+first(t, "docker-compose.yml", `image: nats:([0-9.]+)-alpine`), "the server of the compose file and the embedded one")
	require.Equal(t, first(t, "go.mod", `github.com/pdfcpu/pdfcpu (v\S+)`), first(t, "Makefile", `PDFCPU_VERSION\s*:= (\S+)`), "pdfcpu as a library and as a judge of signatures")

	language := first(t, "go.mod", `(?m)^go (\d+\.\d+)`)
	require.Equal(t, language, first(t, "go.work", `(?m)^go (\d+\.\d+)`))
	require.Equal(t, language, first(t, "e2e/go.mod", `(?m)^go (\d+\.\d+)`))
	require.Equal(t, language, first(t, dockerfile, `FROM golang:(\d+\.\d+)-`))

	for _, name := range []string{"github.com/nats-io/nats.go", "github.com/stretchr/testify", "github.com/cloudevents/sdk-go/v2"} {
		pattern := regexp.QuoteMeta(name) + ` (v\S+)`
		require.Equal(t, first(t, "go.mod", pattern), first(t, "e2e/go.mod", pattern), name)
	}
}

// TestVersionIsStamped: the variable that the builds set is one that the code has; the
// linker ignores a wrong name in silence.
func TestVersionIsStamped(t *testing.T) {
	for _, name := range []string{"Makefile", dockerfile} {
		variable := first(t, name, `-X (\S+)=`)
		dot := strings.LastIndex(variable, ".")
		folder := strings.TrimPrefix(variable[:dot], module+"/")
		declared := regexp.MustCompile(`(?m)^(?:var )?\s*` + variable[dot+1:] + `\s*(?:string)?\s*= "|^var ` + variable[dot+1:] + ` string$`)
		var found bool
		for _, file := range files(t) {
			if strings.HasPrefix(file, folder+"/") && strings.HasSuffix(file, ".go") {
				found = found || declared.MatchString(read(t, file))
			}
		}
		require.Truef(t, found, "%s sets %s, which is not a string variable of the code", name, variable)
	}
}
