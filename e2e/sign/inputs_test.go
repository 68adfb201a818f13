package sign

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pdf/pdftest"
)

// input is a PDF that somebody else's program makes.
type input struct {
	name string
	// make writes the file to OUT, or to the path that it returns.
	make func(ctx context.Context, w *workshop, out string) error
	// blank are the blank signature fields that the file brings.
	blank []blankField
	// signed is how many signatures the file brings.
	signed int
	// weak: the signature that the file brings uses SHA-1, which the command does not accept.
	weak bool
	// warned: qpdf warns of something in it.
	warned bool
	// encrypted: the file has an owner password and opens without one.
	encrypted bool
	// archive: the file is PDF/A-1b.
	archive bool
}

// blankField is a signature field that nobody has signed yet; an empty box is invisible.
type blankField struct {
	name string
	box  box
}

// The blank fields of PDFBox's file.
var (
	annasField = blankField{"Contratto.Firma di Anna", box{60, 80, 260, 140}}
	otherBlank = []blankField{{"Contratto.签名", box{300, 80, 500, 140}}, {"Invisible", box{}}, {"Invisible 2", box{}}}
	allBlank   = append([]blankField{annasField}, otherBlank...)
)

// workshop makes the files of a run; each is made once.
type workshop struct{ folder string }

func (w *workshop) file(name string) string { return filepath.Join(w.folder, name+".pdf") }

// inputs are made in this order: later ones may rewrite earlier ones.
var inputs = []input{
	{name: "libreoffice", make: libreoffice("")},
	{name: "libreoffice-tagged", make: libreoffice(`"UseTaggedPDF":{"type":"boolean","value":"true"},"SelectPdfVersion":{"type":"long","value":"17"}`)},
	{name: "libreoffice-pdfa", make: libreoffice(`"UseTaggedPDF":{"type":"boolean","value":"true"},"SelectPdfVersion":{"type":"long","value":"1"}`), archive: true},
	{name: "chromium", make: chromium},
	{name: "latex", make: latex},
	{name: "pdfbox-form", make: madeByPDFBox},
	{name: "pdfbox-blank", make: madeByPDFBox, blank: allBlank},
	{name: "pdfbox-attachments", make: madeByPDFBox},
	{name: "pdfbox-rotated-90", make: madeByPDFBox},
	{name: "pdfbox-rotated-180", make: madeByPDFBox},
	{name: "pdfbox-rotated-270", make: madeByPDFBox},
	{name: "pdfbox-cropped", make: madeByPDFBox},
	{name: "pdfbox-userunit", make: madeByPDFBox},
	{name: "pdfbox-2.0", make: madeByPDFBox},
	{name: "pdf-lib", make: node("form.mjs")},
	{name: "ghostscript-1.3", make: ghostscript("1.3")},
	{name: "ghostscript-1.4", make: ghostscript("1.4")},
	{name: "ghostscript-1.7", make: ghostscript("1.7")},
	{name: "cairo", make: rewrite("chromium", "pdftocairo", "-pdf", "IN", "OUT")},
	{name: "qpdf-object-streams", make: rewrite("pdfbox-form", "qpdf", "--object-streams=generate", "IN", "OUT")},
	{name: "qpdf-linearized", make: rewrite("libreoffice-tagged", "qpdf", "--linearize", "IN", "OUT")},
	{name: "qpdf-linearized-streams", make: rewrite("pdf-lib", "qpdf", "--linearize", "--object-streams=generate", "IN", "OUT")},
	{name: "qpdf-plain", make: rewrite("latex", "qpdf", "--object-streams=disable", "--qdf", "IN", "OUT")},
	{name: "qpdf-2.0", make: rewrite("pdfbox-form", "qpdf", "--force-version=2.0", "--object-streams=generate", "IN", "OUT")},
	{name: "qpdf-rc4-40", make: encrypted("40", "--allow-weak-crypto"), encrypted: true},
	{name: "qpdf-rc4-128", make: encrypted("128", "--allow-weak-crypto", "--use-aes=n"), encrypted: true},
	{name: "qpdf-aes-128", make: encrypted("128", "", "--use-aes=y"), encrypted: true},
	{name: "qpdf-aes-256", make: encrypted("256", ""), encrypted: true},
	{name: "qpdf-aes-256-streams", make: encrypted("256", "--object-streams=generate"), encrypted: true},
	{name: "mutool-clean", make: rewrite("pdfbox-form", "mutool", "clean", "-gggg", "-z", "IN", "OUT")},
	{name: "mutool-merge", make: rewrite("chromium", "mutool", "merge", "-o", "OUT", "IN")},
	{name: "hybrid", make: hybrid},
	{name: "signed-pdfbox", make: signedByPDFBox(0), signed: 1},
	{name: "certified-pdfbox", make: signedByPDFBox(2), signed: 1, blank: allBlank},
	{name: "signed-signpdf", make: signedBySignPDF, signed: 1, warned: true},
	{name: "signed-mutool", make: signedByMutool, signed: 1, weak: true, blank: otherBlank},
}

// files are all inputs, made.
var files = once(func() (*workshop, error) {
	w := &workshop{folder: filepath.Join(scratch, "inputs")}
	if err := os.Mkdir(w.folder, 0o700); err != nil {
		return nil, err
	}
	for _, in := range inputs {
		if err := in.make(context.Background(), w, w.file(in.name)); err != nil {
			return nil, fmt.Errorf("make the input %s: %w", in.name, err)
		}
	}
	return w, nil
})

// script returns the path of a script of the folder inputs.
func script(name string) string {
	path, _ := filepath.Abs(filepath.Join("..", "inputs", name))
	return path
}

func libreoffice(options string) func(context.Context, *workshop, string) error {
	return func(ctx context.Context, w *workshop, out string) error {
		_, err := must(ctx, w.folder, "soffice", "--headless", "-env:UserInstallation=file://"+filepath.Join(w.folder, "libreoffice.profile"),
			"--convert-to", "pdf:writer_pdf_Export:{"+options+"}", "--outdir", w.folder, script("letter.fodt"))
		if err != nil {
			return err
		}
		return os.Rename(w.file("letter"), out)
	}
}

func chromium(ctx context.Context, w *workshop, out string) error {
	// A container that runs as root has no sandbox to offer.
	_, err := must(ctx, w.folder, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--user-data-dir="+filepath.Join(w.folder, "chromium.profile"), "--no-pdf-header-footer", "--print-to-pdf="+out, script("page.html"))
	return err
}

func latex(ctx context.Context, w *workshop, out string) error {
	_, err := must(ctx, w.folder, "pdflatex", "-interaction=batchmode", "-jobname=article", script("article.tex"))
	if err != nil {
		return err
	}
	return os.Rename(w.file("article"), out)
}

func ghostscript(version string) func(context.Context, *workshop, string) error {
	return func(ctx context.Context, w *workshop, out string) error {
		_, err := must(ctx, w.folder, "gs", "-q", "-dSAFER", "-dBATCH", "-dNOPAUSE", "-sDEVICE=pdfwrite",
			"-dCompatibilityLevel="+version, "-sOutputFile="+out, w.file("latex"))
		return err
	}
}

func rewrite(from, program string, args ...string) func(context.Context, *workshop, string) error {
	return func(ctx context.Context, w *workshop, out string) error {
		_, err := must(ctx, w.folder, program, replace(args, "IN", w.file(from), "OUT", out)...)
		return err
	}
}

func replace(args []string, pairs ...string) []string {
	list := slices.Clone(args)
	for i := range list {
		for j := 0; j < len(pairs); j += 2 {
			if list[i] == pairs[j] {
				list[i] = pairs[j+1]
			}
		}
	}
	return list
}

// encrypted has an owner password and opens without one.
func encrypted(bits, option string, more ...string) func(context.Context, *workshop, string) error {
	return func(ctx context.Context, w *workshop, out string) error {
		args := []string{}
		if option != "" {
			args = append(args, option)
		}
		args = append(append(args, "--encrypt", "", "owner", bits), more...)
		_, err := must(ctx, w.folder, "qpdf", append(args, "--", w.file("pdfbox-form"), out)...)
		return err
	}
}

// node runs a script that writes a file.
func node(name string) func(context.Context, *workshop, string) error {
	return func(ctx context.Context, _ *workshop, out string) error {
		_, err := must(ctx, "", "node", script(name), out)
		return err
	}
}

// madeByPDFBox is for the files that PDFBox makes all at once.
func madeByPDFBox(ctx context.Context, w *workshop, out string) error {
	if _, err := os.Stat(out); err == nil {
		return nil
	}
	return produce(ctx, "files", w.folder)
}

// hybrid has a cross-reference table and a stream for readers that know streams.
func hybrid(_ context.Context, _ *workshop, out string) error {
	file := pdftest.Document{Pages: []pdftest.Page{{}, {}}, Hybrid: true}.Bytes()
	return os.WriteFile(out, file, 0o600)
}

func signedByPDFBox(certification int) func(context.Context, *workshop, string) error {
	return func(ctx context.Context, w *workshop, out string) error {
		from := "libreoffice"
		if certification > 0 {
			from = "pdfbox-blank"
		}
		a, err := authorityOf()
		if err != nil {
			return err
		}
		return produce(ctx, "sign", w.file(from), out, a.file("carla.p12"), passphrase, fmt.Sprint(certification))
	}
}

func signedBySignPDF(ctx context.Context, w *workshop, out string) error {
	a, err := authorityOf()
	if err != nil {
		return err
	}
	_, err = must(ctx, "", "node", script("sign.mjs"), w.file("pdfbox-2.0"), out, a.file("carla.p12"), passphrase)
	return err
}

// signedByMutool fills the first of the blank fields.
func signedByMutool(ctx context.Context, w *workshop, out string) error {
	a, err := authorityOf()
	if err != nil {
		return err
	}
	// It signs fields by their object numbers, which it lists.
	list, err := must(ctx, w.folder, "mutool", "sign", w.file("pdfbox-blank"))
	if err != nil {
		return err
	}
	number, _, _ := strings.Cut(strings.TrimSpace(list), ":")
	_, err = must(ctx, w.folder, "mutool", "sign", "-s", a.file("direct.p12"), "-P", passphrase, "-o", out, w.file("pdfbox-blank"), number)
	return err
}

// TestInputs: the files are what they are meant to be.
func TestInputs(t *testing.T) {
	w := files(t)
	var producers, versions string
	for _, in := range inputs {
		file := w.file(in.name)
		qpdf(t, file, in.warned)
		info := ask(t, "pdfinfo", file)
		producers += after(info, "Producer:") + "\n"
		versions += after(info, "PDF version:") + "\n"
		c := contentOf(t, file)
		var blank, expected []string
		for _, field := range in.blank {
			expected = append(expected, field.name)
		}
		signed := 0
		for name, filled := range c.SignatureFields {
			if filled {
				signed++
			} else {
				blank = append(blank, name)
			}
		}
		require.ElementsMatch(t, expected, blank, in.name)
		require.Equal(t, in.signed, signed, in.name)
		require.Equal(t, in.encrypted, c.Encrypted, in.name)
		if in.archive {
			require.Empty(t, pdfaErrors(t, file), in.name)
		}
	}
	for _, producer := range []string{"LibreOffice", "Skia/PDF", "pdfTeX", "Ghostscript", "cairo", "pdf-lib"} {
		require.Contains(t, producers, producer)
	}
	for _, version := range []string{"1.3", "1.4", "1.5", "1.6", "1.7", "2.0"} {
		require.Contains(t, versions, version+"\n")
	}
}
