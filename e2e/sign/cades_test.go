package sign

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf/pdftest"
)

// document is content of any type that CAdES signs.
type document struct {
	name string
	data []byte
}

// contents are what CAdES is to sign: text as it comes, nothing, every byte, a PDF.
var contents = []document{
	{"text.txt", []byte("Anna and Bruno agree.\n")},
	{"lines.csv", []byte("a;b\r\n1;2\n\r3;4\r")},
	{"empty.bin", nil},
	{"bytes.bin", everyByte()},
	{"order.xml", []byte(`<?xml version="1.0"?><order><item n="2">pump</item></order>`)},
	{"contract.pdf", pdftest.Sample(2, "Contract")},
}

func everyByte() []byte {
	var all []byte
	for i := range 70_000 {
		all = append(all, byte(i), byte(i>>8))
	}
	return all
}

// TestCAdES signs content of several types with the command, attached and detached, and has
// OpenSSL and Bouncy Castle look.
func TestCAdES(t *testing.T) {
	_, _ = pki(t), java(t)
	for _, c := range cadesCombinations() {
		t.Run(fmt.Sprintf("%s/detached=%t", c, c.detached), func(t *testing.T) {
			t.Parallel()
			testCAdES(t, c)
		})
	}
}

func testCAdES(t *testing.T, c combination) {
	a, folder := pki(t), t.TempDir()
	file := filepath.Join(folder, c.input)
	data := contents[slices.IndexFunc(contents, func(d document) bool { return d.name == c.input })].data
	require.NoError(t, os.WriteFile(file, data, 0o600))
	last := file
	for i, k := range c.signers {
		out := filepath.Join(folder, fmt.Sprintf("%d-%s.p7m", i+1, c.input))
		args := []string{"sign", last, "--format", "cades", "--level", c.level}
		if c.detached {
			out = strings.TrimSuffix(out, "m") + "s"
			if i == 0 {
				args = append(args, "--detached")
			} else {
				args = append(args, "--content", file)
			}
		}
		args = append(append(args, "-o", out), keyFlags(a, k, i)...)
		args = append(args, levelFlags(a, c.level)...)
		s := signbus(t, args...)
		require.Zerof(t, s.code, "%s\n%s", strings.Join(args, " "), s.errs)
		last = out
	}
	requireCAdES(t, last, file, c)
}

// requireCAdES requires that every judge accepts every signer of a file.
func requireCAdES(t *testing.T, signed, file string, c combination) {
	t.Helper()
	a := pki(t)
	beside := "-"
	if c.detached {
		beside = file
	}
	var found javaCMS
	java(t).ask(t, &found, "cms", signed, beside, a.root())
	require.Equal(t, !c.detached, found.Attached)
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	if found.Attached {
		sum := sha256.Sum256(data)
		require.Equal(t, hex.EncodeToString(sum[:]), found.Content, "the content, as Bouncy Castle takes it out")
	}
	require.Empty(t, found.Store.Problems)
	var want, got []string
	judged := true
	for _, k := range c.signers {
		want = append(want, "Anna "+k.name)
		judged = judged && k.algorithm != "ED25519" // the gap of OpenSSL, which judges all signers at once
	}
	for _, s := range found.Signers {
		got = append(got, commonName(s.Subject))
		require.True(t, s.opinion().good, s.Problem)
		requireSigner(t, s, c.level)
		if s.Timestamp != nil {
			stamp := opensslStamp(t, s.Timestamp.Token, s.Value, a.root())
			require.True(t, stamp.good, stamp.why)
		}
	}
	require.ElementsMatch(t, want, got)
	if c.level == "B-LT" {
		requireOpenSSLAccepts(t, &found.Store)
	}

	if judged {
		out := filepath.Join(t.TempDir(), "content")
		args := []string{"cms", "-verify", "-cades", "-binary", "-inform", "DER", "-purpose", "any", "-in", signed, "-CAfile", a.root(), "-out", out}
		if c.detached {
			args = append(args, "-content", file)
		}
		s := hear(t, "openssl", args...)
		require.Zero(t, s.code, s.errs)
		taken, err := os.ReadFile(out)
		require.NoError(t, err)
		require.Equal(t, data, taken, "the content, as OpenSSL takes it out")
	}
	args := []string{"verify", signed, "--ca", a.root()}
	if c.detached {
		args = append(args, "--content", file)
	}
	s := signbus(t, args...)
	require.Zerof(t, s.code, "%s%s", s.out, s.errs)
}
