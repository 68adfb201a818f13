package sign

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPAdES signs every file of the matrix with the command and has every judge look.
func TestPAdES(t *testing.T) {
	_, _, _ = pki(t), files(t), java(t)
	for _, c := range combinations() {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			testPAdES(t, c)
		})
	}
}

func inputOf(name string) input {
	return inputs[slices.IndexFunc(inputs, func(in input) bool { return in.name == name })]
}

func testPAdES(t *testing.T, c combination) {
	a, in := pki(t), inputOf(c.input)
	original := files(t).file(c.input)
	last, stamps := original, []box(nil)
	folder := t.TempDir()
	for i, k := range c.signers {
		out := filepath.Join(folder, fmt.Sprintf("signed-%d.pdf", i+1))
		args := []string{"sign", last, "-o", out, "--level", c.level}
		args = append(args, keyFlags(a, k, i)...)
		args = append(args, levelFlags(a, c.level)...)
		place, flags := placeOf(in, c, i)
		if place != (box{}) {
			stamps = append(stamps, place)
		}
		s := signbus(t, append(args, flags...)...)
		require.Zerof(t, s.code, "%s\n%s", strings.Join(args, " "), s.errs)
		requirePrefix(t, last, out)
		last = out
	}

	qpdf(t, last, in.warned)
	for _, j := range judges {
		requireVerdict(t, j, j.judge(t, last, a.root()), in, c)
	}
	requireLevel(t, last, in, c)
	requireOwnOpinion(t, last, in, c)
	requireKept(t, original, last)
	requireSamePages(t, original, last, stamps)
	if in.archive {
		require.Empty(t, pdfaErrors(t, last), "it is no PDF/A any more")
	}
}

// keyFlags names a key: as PKCS #12 for one signer, as PEM for the next.
func keyFlags(a *authority, k key, signer int) []string {
	flags := []string{"--key", a.file(k.name + ".p12")}
	if signer%2 == 1 {
		flags = []string{"--key", a.file(k.name + ".key"), "--cert", a.file(k.name + ".chain.pem")}
	}
	if k.pss {
		flags = append(flags, "--pss")
	}
	return flags
}

func levelFlags(a *authority, level string) []string {
	if level == "B-B" {
		return nil
	}
	return []string{"--tsa", a.tsa(), "--trust", a.root()}
}

// box is a rectangle on the first page, in points from the lower left of the page as shown.
type box struct{ left, bottom, right, top float64 }

// placeOf says where a signer signs: in a blank field while there is one, else in a new one.
func placeOf(in input, c combination, signer int) (box, []string) {
	text := []string{"--text", "Anna " + c.signers[signer].name, "--text", "签名 Łukasz è Ж"}
	if signer < len(in.blank) {
		field := in.blank[signer]
		flags := []string{"--field", field.name}
		if field.box != (box{}) {
			flags = append(flags, text...)
		}
		return field.box, flags
	}
	if !c.visible {
		return box{}, nil
	}
	left, bottom := 20+float64(signer%2)*140, 20+float64(signer/2)*60
	place := box{left, bottom, left + 120, bottom + 50}
	return place, append([]string{"--rect", fmt.Sprintf("1,%g,%g,%g,%g", place.left, place.bottom, place.right, place.top)}, text...)
}

// requirePrefix requires that a file begins with the bytes of another.
func requirePrefix(t *testing.T, before, after string) {
	t.Helper()
	old, err := os.ReadFile(before)
	require.NoError(t, err)
	now, err := os.ReadFile(after)
	require.NoError(t, err)
	require.Truef(t, len(now) > len(old) && bytes.HasPrefix(now, old), "the bytes of %s are not the beginning of %s", before, after)
}

// requireVerdict requires that a judge accepts every signature that it can judge.
func requireVerdict(t *testing.T, j judge, v verdict, in input, c combination) {
	t.Helper()
	if !knows(j.name, opinion{why: v.said}) {
		return // it knows nothing about such files
	}
	var want, got []string
	for range in.signed {
		want = append(want, "Carla")
	}
	for _, k := range c.signers {
		want = append(want, "Anna "+k.name)
	}
	for _, o := range v.signatures {
		got = append(got, o.signer)
		require.Truef(t, o.good || !knows(j.name, o), "%s on the signature of %s: %s", j.name, o.signer, o.why)
	}
	require.ElementsMatchf(t, want, got, "%s:\n%s", j.name, v.said)
	if j.stamps {
		require.Equalf(t, c.level == "B-LTA", len(v.stamps) > 0, "%s on document time-stamps:\n%s", j.name, v.said)
		for _, o := range v.stamps {
			require.Truef(t, o.good || !knows(j.name, o), "%s on a document time-stamp: %s", j.name, o.why)
		}
	}
	// Validation data come after the signature that they are for; a document time-stamp closes over them.
	last := slices.IndexFunc(v.signatures, func(o opinion) bool { return o.signer == want[len(want)-1] })
	if !j.stamps && c.level == "B-LTA" || c.level == "B-LT" || !knows(j.name, v.signatures[last]) {
		return
	}
	require.Truef(t, v.whole, "%s: the last signature does not cover the whole file\n%s", j.name, v.said)
}

// requireLevel requires, with Bouncy Castle, what the level promises of each of our signatures.
func requireLevel(t *testing.T, file string, in input, c combination) {
	t.Helper()
	var found javaPDF
	java(t).ask(t, &found, "pdf", file, pki(t).root())
	ours := 0
	for _, s := range found.Signatures {
		require.True(t, s.RangeSound, s.Field)
		if s.Timestamp != nil {
			require.Equal(t, "ETSI.RFC3161", s.SubFilter)
			continue
		}
		require.Len(t, s.Signers, 1, s.Field)
		if s.Signers[0].Subject != "" && strings.HasPrefix(commonName(s.Signers[0].Subject), "Carla") {
			continue
		}
		ours++
		require.Equal(t, "ETSI.CAdES.detached", s.SubFilter)
		require.False(t, s.Signers[0].SigningTime, "EN 319 142-1, 6.3: the time is in the dictionary, not in the signed attributes")
		requireSigner(t, s.Signers[0], c.level)
	}
	require.Equal(t, len(c.signers), ours)
	if c.level == "B-B" || c.level == "B-T" {
		require.Nil(t, found.Store)
		return
	}
	require.NotNil(t, found.Store)
	require.Empty(t, found.Store.Problems)
	require.Empty(t, found.VRIStrangers, "VRI entries for signatures that are not there")
	require.GreaterOrEqual(t, len(found.VRI), ours)
	requireOpenSSLAccepts(t, found.Store)
}

// requireSigner requires what a level promises of a signer.
func requireSigner(t *testing.T, s javaSigner, level string) {
	t.Helper()
	require.Empty(t, s.Problem)
	require.True(t, s.SigningCertificate, "the signed attributes name another certificate, or none")
	if level == "B-B" {
		require.Nil(t, s.Timestamp)
		return
	}
	require.NotNil(t, s.Timestamp)
	require.True(t, s.Timestamp.opinion().good, s.Timestamp.Problem)
	if level == "B-T" {
		return
	}
	for _, one := range append(s.Revocation, s.Timestamp.Revocation...) {
		require.Containsf(t, []string{"ocsp", "crl", "nocheck"}, one.By, "revocation of %s", one.Subject)
	}
}

// requireOpenSSLAccepts has OpenSSL verify the OCSP answers and revocation lists of a file.
func requireOpenSSLAccepts(t *testing.T, store *javaStore) {
	t.Helper()
	a, folder := pki(t), t.TempDir()
	issuers := filepath.Join(folder, "issuers.pem")
	var all []byte
	for _, name := range []string{"root.pem", "issuing.pem"} {
		pem, err := os.ReadFile(a.file(name))
		require.NoError(t, err)
		all = append(all, pem...)
	}
	require.NoError(t, os.WriteFile(issuers, all, 0o600))
	for i, der := range store.OCSPs {
		path := filepath.Join(folder, fmt.Sprint("ocsp", i))
		require.NoError(t, os.WriteFile(path, der, 0o600))
		s := hear(t, "openssl", "ocsp", "-respin", path, "-CAfile", issuers)
		require.Containsf(t, s.all(), "Response verify OK", "OCSP answer %d", i)
	}
	for i, der := range store.CRLs {
		path := filepath.Join(folder, fmt.Sprint("crl", i))
		require.NoError(t, os.WriteFile(path, der, 0o600))
		s := hear(t, "openssl", "crl", "-inform", "DER", "-in", path, "-CAfile", issuers, "-noout")
		require.Containsf(t, s.all(), "verify OK", "revocation list %d", i)
	}
}

// requireOwnOpinion requires that the command finds in a file what it wrote.
func requireOwnOpinion(t *testing.T, file string, in input, c combination) {
	t.Helper()
	s := signbus(t, "verify", file, "--ca", pki(t).root(), "--json")
	var report struct {
		Valid      bool
		Signatures []struct{ Subject, Level, Problem string }
	}
	require.NoErrorf(t, json.NewDecoder(strings.NewReader(s.out)).Decode(&report), "%s%s", s.out, s.errs)
	require.Equal(t, !in.weak, report.Valid, s.out)
	require.Equal(t, !in.weak, s.code == 0, s.errs)
	ours := 0
	for _, one := range report.Signatures {
		if strings.Contains(one.Subject, "Anna ") {
			ours++
			require.Empty(t, one.Problem)
			require.Equal(t, c.level, one.Level, s.out)
		}
	}
	require.Equal(t, len(c.signers), ours, s.out)
}
