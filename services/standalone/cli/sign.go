package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"signbus.dev/pkg/pdf"
)

// signFlags are the flags of sign and seal.
type signFlags struct {
	seal  bool
	out   string
	force bool

	keyFlags
	level      string
	tsa, trust []string

	field, rect                     string
	text                            []string
	image, qr, autograph, preview   string
	date                            bool
	name, reason, location, contact string

	certify, lock   string
	addField        []string
	pss, detached   bool
	format, content string
	prepare, resume string
	signature       string
}

func (a *app) sign() *cobra.Command {
	f := signFlags{}
	c := &cobra.Command{
		Use: "sign FILE -o OUT --key KEY", Short: "Sign a file with a key of yours", GroupID: "sign", Args: args(cobra.ExactArgs(1)),
		Long: `Sign a PDF file with a key of yours (PAdES). The signature is appended: FILE stays as it is, its bytes are
the first bytes of OUT, and earlier signatures stay valid. OUT appears whole or not at all.

A file of another type, or any with --format cades, gets a CAdES signature: OUT is a .p7m with the content
inside, or with --detached a .p7s beside it. A FILE that is a .p7m or .p7s gets one more signature, parallel to
the others.

KEY is the path of a PKCS #12 (.p12, .pfx) or PEM file, store:NAME for a key of the key store (see
` + "`signbus key`" + `), or a pkcs11: URI. Its passphrase comes from --passphrase-file, from
SIGNBUS_KEY_PASSPHRASE, or is asked for on the terminal; it is never a flag, which others could read.

The level is B-B, or B-T when a time-stamp authority is named. The level asked for is reached or nothing is
written: the clock of this machine never stands in for a time-stamp.`,
		Example: `  signbus sign contract.pdf -o signed.pdf --key anna.p12
  signbus sign contract.pdf -o signed.pdf --key anna.p12 --tsa https://tsa.example/ --trust tsa-ca.pem
  signbus sign contract.pdf -o signed.pdf --key anna.pem --cert chain.pem --rect 1,350,60,550,120 --text 'Anna Example'
  signbus sign form.pdf -o signed.pdf --key store:anna --field Contract.Buyer --reason Agreed
  signbus sign form.pdf -o signed.pdf --key store:anna --certify forms --add-field Seller=1,60,60,200,110
  signbus sign data.xml -o data.xml.p7m --key anna.p12
  signbus sign data.xml.p7m -o both.p7m --key bruno.p12`,
		RunE: func(c *cobra.Command, files []string) error { return a.signFile(c.Context(), files[0], &f) },
	}
	f.register(a, c)
	return c
}

func (a *app) seal() *cobra.Command {
	f := signFlags{seal: true}
	c := &cobra.Command{
		Use: "seal FILE -o OUT --key KEY", Short: "Seal a file with an organisation's certificate", GroupID: "sign", Args: args(cobra.ExactArgs(1)),
		Long: `Seal a file with the certificate of an organisation. It is what ` + "`signbus sign`" + ` does, with the same flags; the
reason is "Sealed" and the name is that of the organisation unless you give others.`,
		Example: `  signbus seal invoice.pdf -o sealed.pdf --key company.p12 --tsa https://tsa.example/
  signbus seal invoice.pdf -o sealed.pdf --key company.p12 --rect 1,400,30,560,80`,
		RunE: func(c *cobra.Command, files []string) error { return a.signFile(c.Context(), files[0], &f) },
	}
	f.register(a, c)
	return c
}

func (f *signFlags) register(a *app, c *cobra.Command) {
	flags := c.Flags()
	flags.StringVarP(&f.out, "output", "o", "", "file to write; it must not be FILE")
	flags.BoolVar(&f.force, "force", false, "replace OUT where it exists")
	f.keyFlags.register(a, c)
	flags.StringVar(&f.level, "level", "", "baseline level: B-B, B-T, B-LT or B-LTA (default B-B, with --tsa B-T)")
	flags.StringArrayVar(&f.tsa, "tsa", nil, "address of a time-stamp authority (RFC 3161); repeat it for others to fall back on")
	flags.StringArrayVar(&f.trust, "trust", nil, "PEM file of trusted certificates, for the time-stamp authority and revocation answers (default: the system's)")
	flags.StringVar(&f.field, "field", "", "full name of a blank signature field to sign in")
	flags.StringVar(&f.rect, "rect", "", "PAGE,LLX,LLY,URX,URY: where a new signature shows, in points from the lower left of the page as shown")
	flags.StringArrayVar(&f.text, "text", nil, "line of the appearance; repeat it for more")
	flags.StringVar(&f.image, "image", "", "PNG or JPEG picture in the appearance")
	flags.StringVar(&f.qr, "qr", "", "text of a QR code in the appearance")
	flags.StringVar(&f.autograph, "autograph", "", "name to set as if written by hand")
	flags.BoolVar(&f.date, "date", false, "show the date of signing")
	flags.StringVar(&f.preview, "preview", "", "write a PNG picture of the appearance to this file too; without -o nothing is signed")
	flags.StringVar(&f.name, "name", "", "name of the signer (default: that of the certificate)")
	flags.StringVar(&f.reason, "reason", "", "reason for signing")
	flags.StringVar(&f.location, "location", "", "place of signing")
	flags.StringVar(&f.contact, "contact", "", "how to reach the signer")
	flags.StringVar(&f.certify, "certify", "", "certify the document, as its first signature, and allow later: no-changes, forms or annotations")
	flags.StringVar(&f.lock, "lock", "", "lock form fields: all, include=A,B or exclude=A,B")
	flags.StringArrayVar(&f.addField, "add-field", nil, "NAME=PAGE,LLX,LLY,URX,URY: blank signature field to add before signing; repeat it for more")
	flags.BoolVar(&f.pss, "pss", false, "sign with RSASSA-PSS instead of PKCS #1 v1.5 (RSA keys)")
	flags.StringVar(&f.format, "format", "", "pades or cades (default: pades for a PDF file, else cades)")
	flags.BoolVar(&f.detached, "detached", false, "CAdES: leave the content out of the signature (.p7s)")
	flags.StringVar(&f.content, "content", "", "the signed file, where FILE is a detached signature (default: FILE without .p7s)")
	flags.StringVar(&f.prepare, "prepare", "", "for a key that is elsewhere: write the pending signature to this file and print the digest to sign")
	flags.StringVar(&f.resume, "resume", "", "finish the pending signature of this file")
	flags.StringVar(&f.signature, "signature", "", "with --resume: file with the signature value")
}

// box reads PAGE,LLX,LLY,URX,URY.
func box(text string) (pdf.Box, error) {
	parts := strings.Split(text, ",")
	const numbers = 5
	if len(parts) != numbers {
		return pdf.Box{}, fmt.Errorf("%q is not PAGE,LLX,LLY,URX,URY", text)
	}
	page, err := strconv.Atoi(strings.TrimSpace(parts[0]))
	if err != nil || page < 1 {
		return pdf.Box{}, fmt.Errorf("%q does not begin with a page number, counted from 1", text)
	}
	var corner [numbers - 1]float64
	for i := range corner {
		if corner[i], err = strconv.ParseFloat(strings.TrimSpace(parts[i+1]), 64); err != nil {
			return pdf.Box{}, fmt.Errorf("%q has a corner that is no number", text)
		}
	}
	b := pdf.Box{Page: page, LLX: corner[0], LLY: corner[1], URX: corner[2], URY: corner[3]}
	if b.Empty() {
		return pdf.Box{}, fmt.Errorf("%q has no area; leave the place out for an invisible signature", text)
	}
	return b, nil
}

// certification reads --certify: what stays allowed after (DocMDP).
func certification(text string) (int, error) {
	switch text {
	case "", "none":
		return 0, nil
	case "no-changes":
		return 1, nil
	case "forms":
		return 2, nil
	case "annotations":
		return 3, nil
	}
	return 0, fmt.Errorf("%q is none of none, no-changes, forms and annotations", text)
}

// lock reads all, include=A,B or exclude=A,B.
func lock(text string) (*pdf.Lock, error) {
	action, list, named := strings.Cut(text, "=")
	var fields []string
	for field := range strings.SplitSeq(list, ",") {
		if field = strings.TrimSpace(field); field != "" {
			fields = append(fields, field)
		}
	}
	switch {
	case text == "":
		return nil, nil //nolint:nilnil // no lock is not an error
	case action == "all" && !named:
		return &pdf.Lock{Action: pdf.LockAll}, nil
	case action == "include" && len(fields) > 0:
		return &pdf.Lock{Action: pdf.LockInclude, Fields: fields}, nil
	case action == "exclude" && len(fields) > 0:
		return &pdf.Lock{Action: pdf.LockExclude, Fields: fields}, nil
	}
	return nil, fmt.Errorf("%q is none of all, include=A,B and exclude=A,B", text)
}

// newField reads NAME=PAGE,LLX,LLY,URX,URY.
func newField(text string) (pdf.NewField, error) {
	i := strings.LastIndexByte(text, '=') // a name may hold one
	if i < 1 {
		return pdf.NewField{}, fmt.Errorf("%q is not NAME=PAGE,LLX,LLY,URX,URY", text)
	}
	b, err := box(text[i+1:])
	return pdf.NewField{Name: text[:i], Box: b}, err
}
