package cms_test

import (
	"crypto"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/sign/signtest"
)

var now = signtest.Now

func digestOf(content []byte) func(crypto.Hash) ([]byte, error) {
	return func(h crypto.Hash) ([]byte, error) { return hashed(h, content), nil }
}

func hashed(h crypto.Hash, content []byte) []byte {
	state := h.New()
	state.Write(content)
	return state.Sum(nil)
}

// opensslFails returns what OpenSSL says when it refuses.
func opensslFails(t testing.TB, arguments ...string) string {
	t.Helper()
	output, err := signtest.Try(t, "openssl", arguments...)
	require.Error(t, err, "openssl %v: %s", arguments, output)
	return output
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return content
}
