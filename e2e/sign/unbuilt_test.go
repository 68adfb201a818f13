package sign

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// unbuilt are the features of the matrix that the command does not have yet, by the flag
// that asks for them. It must refuse them by name; once it does not, the test fails until
// the line here is gone.
var unbuilt = map[string]bool{
	"edits between signatures": true,
}

// lacks returns the first unbuilt feature that a combination needs, or "".
func lacks(c combination) string {
	for _, k := range c.signers {
		if k.pss && unbuilt["--pss"] {
			return "--pss"
		}
	}
	if flag := "--level " + c.level; unbuilt[flag] {
		return flag
	}
	if unbuilt["encrypted"] && inputOf(c.input).encrypted {
		return "encrypted"
	}
	return ""
}

// requireRefusal requires that the command says what it cannot do, and writes nothing.
func requireRefusal(t *testing.T, c combination, flag string) {
	t.Helper()
	a, out := pki(t), filepath.Join(t.TempDir(), "signed.pdf")
	for i, k := range c.signers {
		if flag == "--pss" && !k.pss {
			continue
		}
		args := append([]string{"sign", files(t).file(c.input), "-o", out, "--level", c.level}, keyFlags(a, k, i)...)
		s := signbus(t, append(args, levelFlags(a, c.level)...)...)
		require.NotZero(t, s.code, "%s works: take it off the list unbuilt", flag)
		require.Contains(t, s.errs, flag)
		require.NoFileExists(t, out)
		return
	}
}
