package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// blankFields counts the signature fields that wait for a signature, as poppler sees them.
func blankFields(t *testing.T, document []byte) int {
	t.Helper()
	path := filepath.Join(t.TempDir(), "document.pdf")
	require.NoError(t, os.WriteFile(path, document, 0o600))
	said := ask(t, "pdfsig", "poppler-utils", "-nocert", path)
	return strings.Count(said, "The signature form field is not signed.")
}

// testFieldsOnce: the first signature places the fields of all, each further one fills its own.
func testFieldsOnce(t *testing.T, b *bus) {
	extID := newID("fields")
	b.insert(t, request(extID, contractPDF,
		human(1, "annaU", 1, action("S", compass(1, 7)), action("A", compass(2, 1))),
		human(2, "annaU|brunoU|carlaU", 2, action("S", compass(1, 9))),
		seal(3, action("S", object{"invisible": true}))))
	b.visitor(t, extID, "anna").sign(t)
	anna, bruno := b.visitor(t, extID, "anna"), b.visitor(t, extID, "bruno")
	first := b.get(t, extID).Documents[0].Bytes
	require.Equal(t, 3, blankFields(t, first), "two of three people and the seal are awaited") // the next step has begun
	b.eyes(t).accept(t, first, 2)
	bruno.sign(t)
	var second []byte
	until(t, waitTime, "bruno's signature in the document", func() bool {
		second = b.get(t, extID).Documents[0].Bytes
		return blankFields(t, second) == 2
	})
	require.Equal(t, first, second[:len(first)])
	anna.sign(t)
	b.ended(t, extID)
	signed := b.get(t, extID).Documents[0].Bytes
	require.Zero(t, blankFields(t, signed))
	b.eyes(t).accept(t, signed, 5)
}

// testCertified: the first signature certifies, and the planned ones still fit in.
func testCertified(t *testing.T, b *bus) {
	extID := newID("certified")
	first := automatic(1, "annaU", action("S", compass(1, 7)))
	first["confString"] = object{"certification": "forms"}
	b.insert(t, request(extID, contractPDF, first,
		automatic(2, "brunoU", action("S", compass(1, 9))), seal(3, action("S", compass(2, 9)))))
	b.ended(t, extID)
	signed := b.get(t, extID).Documents[0].Bytes
	b.eyes(t).accept(t, signed, 3)
	require.Contains(t, string(signed), "/TransformMethod/DocMDP")

	// One that is certified against every change is turned away.
	extID = newID("certified")
	first["confString"] = object{"certification": "no-changes"}
	b.insert(t, request(extID, contractPDF, first))
	b.ended(t, extID)
	signed = b.get(t, extID).Documents[0].Bytes
	b.eyes(t).accept(t, signed, 1)
	refused := b.put(t, direct, request(newID("certified"), signed, automatic(1, "annaU", action("S", compass(1, 9)))))
	o := refused.outcome(t, 422)
	require.Equal(t, "BAD_DOC_FORMAT", o.Code)
	require.Contains(t, o.Message, "certified against every change")
}

// testLevels: what nobody asks for is B-LT, and each level that is asked for is reached.
func testLevels(t *testing.T, b *bus) {
	levelled := func(order int, level string) object {
		task := automatic(order, "annaU", action("S", compass(1, order)))
		if level != "" {
			task["confString"] = object{"signatureLevel": level}
		}
		return task
	}
	for level, want := range map[string]string{"": "B-LT", "B-B": "B-B", "B-T": "B-T", "B-LT": "B-LT", "B-LTA": "B-LTA"} {
		t.Run("level "+level, func(t *testing.T) {
			extID := newID("level")
			b.insert(t, request(extID, contractPDF, levelled(1, level), levelled(2, level)))
			b.ended(t, extID)
			path := filepath.Join(t.TempDir(), "signed.pdf")
			require.NoError(t, os.WriteFile(path, b.get(t, extID).Documents[0].Bytes, 0o600))
			said := b.signbus(t, "verify", path, "--ca", b.eyes(t).ca).out
			require.Equal(t, 2, strings.Count(said, "PAdES "+want+"\n"), said)
			ask(t, "qpdf", "qpdf", "--check", path)
			poppler := ask(t, "pdfsig", "poppler-utils", "-nssdir", b.eyes(t).nss, path)
			require.NotContains(t, poppler, "Signature is Invalid", poppler)
		})
	}
}
