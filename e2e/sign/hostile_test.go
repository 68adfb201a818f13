package sign

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// requireRejected requires that the command does not call a file validly signed.
func requireRejected(t *testing.T, file string) {
	t.Helper()
	s := signbus(t, "verify", file, "--ca", pki(t).root())
	require.Equalf(t, 1, s.code, "%s%s", s.out, s.errs)
}

// TestLaterEdits: what other software changes after a signature, in an update of its own,
// is not hidden by that signature, nor by one more signature over it all.
func TestLaterEdits(t *testing.T) {
	a, w := pki(t), files(t)
	for name, certification := range map[string]string{"approved": "0", "certified for forms": "2", "certified for annotations": "3"} {
		folder := t.TempDir()
		signed := filepath.Join(folder, "signed.pdf")
		require.NoError(t, produce(t.Context(), "sign", w.file("pdfbox-form"), signed, a.file("carla.p12"), passphrase, certification))
		require.Zero(t, signbus(t, "verify", signed, "--ca", a.root()).code)
		edits := t.TempDir()
		require.NoError(t, produce(t.Context(), "edit", signed, edits))
		list, err := filepath.Glob(filepath.Join(edits, "*.pdf"))
		require.NoError(t, err)
		require.Len(t, list, 10)
		for _, edited := range list {
			kind := strings.TrimSuffix(filepath.Base(edited), ".pdf")
			t.Run(name+"/"+kind, func(t *testing.T) {
				if kind != "script" && kind != "attachment" {
					require.Falsef(t, reflect.DeepEqual(painters[0].paint(t, signed), painters[0].paint(t, edited)), "%s shows nothing", kind)
				}
				requireRejected(t, edited)
				// Filling in a form is allowed after these signatures, and so are notes after the last.
				if kind == "value" || kind == "annotation" && certification == "3" {
					return
				}
				again := filepath.Join(t.TempDir(), "again.pdf")
				if s := signbus(t, "sign", edited, "-o", again, "--key", a.file("P-256.p12")); s.code != 0 {
					return // it sees the change itself
				}
				requireRejected(t, again)
			})
		}
	}
}

var byteRange = regexp.MustCompile(`/ByteRange ?\[ ?(\d+) (\d+) (\d+) (\d+) *\]`)

// ranges returns the numbers of the last signature's ByteRange.
func ranges(t testing.TB, data []byte) (n [4]int) {
	t.Helper()
	found := byteRange.FindAllSubmatch(data, -1)
	require.NotEmpty(t, found)
	for i := range n {
		var err error
		n[i], err = strconv.Atoi(string(found[len(found)-1][i+1]))
		require.NoError(t, err)
	}
	return n
}

// TestByteRange: a signature covers the whole file but itself, or it is worth nothing.
func TestByteRange(t *testing.T) {
	a, w := pki(t), files(t)
	ours := filepath.Join(t.TempDir(), "ours.pdf")
	s := signbus(t, "sign", w.file("pdfbox-form"), "-o", ours, "--key", a.file("P-256.p12"))
	require.Zero(t, s.code, s.errs)
	theirs := filepath.Join(t.TempDir(), "theirs.pdf")
	require.NoError(t, produce(t.Context(), "sign", w.file("pdfbox-form"), theirs, a.file("carla.p12"), passphrase, "0"))

	games := map[string]func(t *testing.T, data []byte) []byte{
		"one byte in the first part":     func(t *testing.T, data []byte) []byte { return flip(data, 20) },
		"one byte in the last part":      func(t *testing.T, data []byte) []byte { return flip(data, ranges(t, data)[2]+3) },
		"no range":                       renamed("/ByteRange", "/ByteRangX"),
		"no contents":                    noContents,
		"empty range":                    newRange("0 0 0 0"),
		"range of nothing but the end":   newRange("0 0 %[3]d %[4]d"),
		"range beyond the end":           newRange("0 %[2]d %[3]d 999999999"),
		"range that begins later":        newRange("1 %[2]d %[3]d %[4]d"),
		"overlapping range":              newRange("0 %[2]d 9 %[4]d"),
		"negative range":                 newRange("0 -1 %[3]d %[4]d"),
		"range with an overflow":         newRange("0 %[2]d 9223372036854775807 9"),
		"range of one part":              newRange("0 %[2]d"),
		"contents of zeros":              zeroContents,
		"entries hidden in the padding":  hiddenInPadding,
		"wrapped":                        wrapped,
		"objects after the end":          appended("\n9 0 obj\n<</Type/Catalog>>\nendobj\n"),
		"an end after the end":           appended("\n%%EOF\n"),
		"the same signature once more":   cloned,
		"a table that frees the objects": freed,
	}
	for name, play := range games {
		for by, file := range map[string]string{"ours": ours, "theirs": theirs} {
			t.Run(by+"/"+name, func(t *testing.T) {
				data, err := os.ReadFile(file)
				require.NoError(t, err)
				played := play(t, bytes.Clone(data))
				require.NotEqual(t, data, played)
				out := filepath.Join(t.TempDir(), "played.pdf")
				require.NoError(t, os.WriteFile(out, played, 0o600))
				requireRejected(t, out)
			})
		}
	}
	for name, args := range map[string][]string{
		"qpdf rewrites":   {"qpdf", "--object-streams=generate", "IN", "OUT"},
		"qpdf encrypts":   {"qpdf", "--encrypt", "", "owner", "256", "--", "IN", "OUT"},
		"mutool rewrites": {"mutool", "clean", "IN", "OUT"},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "rewritten.pdf")
			args = replace(args, "IN", ours, "OUT", out)
			ask(t, args[0], args[1:]...)
			requireRejected(t, out)
		})
	}
}

func flip(data []byte, at int) []byte {
	data[at] ^= 1
	return data
}

func renamed(from, to string) func(*testing.T, []byte) []byte {
	return func(t *testing.T, data []byte) []byte {
		t.Helper()
		require.True(t, bytes.Contains(data, []byte(from)), from)
		return bytes.Replace(data, []byte(from), []byte(to), 1)
	}
}

func noContents(t *testing.T, data []byte) []byte {
	t.Helper()
	at := bytes.LastIndex(data[:ranges(t, data)[1]], []byte("/Contents"))
	copy(data[at:], "/Contentx")
	return data
}

// newRange writes other numbers in the place of a ByteRange.
func newRange(format string) func(*testing.T, []byte) []byte {
	return func(t *testing.T, data []byte) []byte {
		t.Helper()
		n := ranges(t, data)
		places := byteRange.FindAllIndex(data, -1)
		place := places[len(places)-1]
		text := fmt.Sprintf("/ByteRange["+format+"]", n[0], n[1], n[2], n[3])
		text, _, _ = strings.Cut(text, "%!(EXTRA")
		// The place may be too small; then the file moves, as it would for an attacker.
		text += strings.Repeat(" ", max(0, place[1]-place[0]-len(text)))
		return slices.Concat(data[:place[0]], []byte(text), data[place[1]:])
	}
}

func zeroContents(t *testing.T, data []byte) []byte {
	t.Helper()
	n := ranges(t, data)
	for i := n[1] + 1; i < n[2]-1; i++ {
		data[i] = '0'
	}
	return data
}

// hiddenInPadding ends the signature early and uses the zeros behind it for other entries
// of the dictionary. The digest is still right.
func hiddenInPadding(t *testing.T, data []byte) []byte {
	t.Helper()
	n := ranges(t, data)
	gap := data[n[1]:n[2]]
	end := len(bytes.TrimRight(gap, "0>"))
	end += end%2 + 1 // whole bytes
	hidden := []byte("> /Name (Somebody else) /Reason (Void) /Pad <")
	require.Less(t, end+len(hidden), len(gap))
	copy(gap[end:], hidden)
	return data
}

// wrapped moves the signed end of the file away and puts other objects in between, with a
// second ByteRange that skips them (the signature wrapping attack).
func wrapped(t *testing.T, data []byte) []byte {
	t.Helper()
	n := ranges(t, data)
	start, table := lastTable(t, data)
	// The old place of the table is before the moved end: there the attacker's table lies.
	var out bytes.Buffer
	out.Write(data[:n[2]])
	moved := start + 4*len(table) + 4000
	fmt.Fprintf(&out, " /ByteRange [0 %d %d %d] >>\nendobj\n", n[1], moved, n[3])
	require.Less(t, out.Len(), start)
	out.WriteString(strings.Repeat(" ", start-out.Len()))
	number := 0
	for line := range strings.Lines(table) {
		var offset, generation int
		var kind string
		if fields := strings.Fields(line); len(fields) == 3 && fields[2] == "n" {
			_, err := fmt.Sscan(line, &offset, &generation, &kind)
			require.NoError(t, err)
			if offset >= n[2] {
				offset += moved - n[2]
			}
			fmt.Fprintf(&out, "%010d %05d n\r\n", offset, generation)
			number++
			continue
		}
		out.WriteString(line)
	}
	require.NotZero(t, number)
	require.Less(t, out.Len(), moved)
	out.WriteString("\n" + strings.Repeat(" ", moved-out.Len()-1))
	out.Write(data[n[2] : n[2]+n[3]])
	return out.Bytes()
}

// lastTable returns where the last cross-reference table is, and the table with its trailer.
func lastTable(t testing.TB, data []byte) (start int, table string) {
	t.Helper()
	at := bytes.LastIndex(data, []byte("startxref"))
	_, err := fmt.Sscan(string(data[at+len("startxref"):]), &start)
	require.NoError(t, err)
	table = string(data[start:at])
	require.True(t, strings.HasPrefix(table, "xref"), "the file has a cross-reference table")
	return start, table
}

func appended(text string) func(*testing.T, []byte) []byte {
	return func(_ *testing.T, data []byte) []byte { return append(data, text...) }
}

// update appends objects in an incremental update.
func update(t testing.TB, data []byte, objects map[int]string) []byte {
	t.Helper()
	start, table := lastTable(t, data)
	_, trailer, _ := strings.Cut(table, "trailer")
	trailer = regexp.MustCompile(`/Prev \d+`).ReplaceAllString(trailer, "")
	trailer = strings.Replace(trailer, "<<", fmt.Sprintf("<< /Prev %d ", start), 1)
	entries := "xref\n"
	for _, number := range slices.Sorted(maps.Keys(objects)) {
		if objects[number] == "" {
			entries += fmt.Sprintf("%d 1\n0000000000 00001 f\r\n", number)
			continue
		}
		entries += fmt.Sprintf("%d 1\n%010d 00000 n\r\n", number, len(data))
		data = fmt.Appendf(data, "%d 0 obj\n%s\nendobj\n", number, objects[number])
	}
	return fmt.Appendf(data, "%strailer%s\nstartxref\n%d\n%%%%EOF\n", entries, trailer, len(data))
}

// cloned adds a second field with the dictionary of a signature that is there.
func cloned(t *testing.T, data []byte) []byte {
	t.Helper()
	n := ranges(t, data)
	contents := string(data[n[1]:n[2]])
	body := fmt.Sprintf("<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /ETSI.CAdES.detached /Name (Somebody else) /ByteRange [%d %d %d %d] /Contents %s >>",
		n[0], n[1], n[2], n[3], contents)
	dictionary := regexp.MustCompile(`(\d+) 0 obj\s*<<[^>]*/ByteRange`).FindSubmatch(data)
	if dictionary == nil {
		dictionary = regexp.MustCompile(`(\d+) 0 obj\s*<<\s*/Type ?/Sig\b`).FindSubmatch(data)
	}
	require.NotNil(t, dictionary)
	number, err := strconv.Atoi(string(dictionary[1]))
	require.NoError(t, err)
	return update(t, data, map[int]string{number: body})
}

// freed appends a table that takes an object of the page away.
func freed(t *testing.T, data []byte) []byte {
	t.Helper()
	contents := regexp.MustCompile(`/Contents (\d+) 0 R`).FindSubmatch(data)
	require.NotNil(t, contents)
	number, err := strconv.Atoi(string(contents[1]))
	require.NoError(t, err)
	return update(t, data, map[int]string{number: ""})
}
