package contract

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// ConfString is a map of settings. On the wire it is a string that holds a JSON
// object, or the object itself; values are texts, numbers or booleans and are kept as
// text. It is written as the string, which every version of the texts knows.
type ConfString map[string]string

// MarshalJSON writes a string that holds the JSON object.
func (c ConfString) MarshalJSON() ([]byte, error) {
	if c == nil {
		return []byte("null"), nil
	}
	inner, err := json.Marshal(map[string]string(c))
	if err != nil {
		return nil, err
	}
	return json.Marshal(string(inner))
}

// UnmarshalJSON reads the string or the object.
func (c *ConfString) UnmarshalJSON(data []byte) error {
	if string(bytes.TrimSpace(data)) == "null" {
		*c = nil
		return nil
	}
	n, err := parseJSON(data)
	if err != nil {
		return err
	}
	var problems problemList
	*c = bindConfString(n, "confString", &problems)
	return problems.err()
}

// The settings of a task (chapters 4.1, 9.2 and 9.7.4; provider, signatureLevel,
// certification and qr are ours).
const (
	keySignAllVisible   = "signAllVisible"
	keyProvider         = "provider"
	keySignatureLevel   = "signatureLevel"
	keyCertification    = "certification"
	keyQR               = "qr"
	keyInvitationMail   = "receiveInvitationMailToSign"
	keyCompletedMail    = "receiveCompletedEnvelopeMail"
	keyRequiredIdentity = "requiredIdentification"
)

// The settings of an action (chapters 4.1 and 6.6).
const (
	keyActionInTCF      = "actionInTCF"
	keyVisibilityStatus = "visibilityStatus"
	keyCustomText       = "customSignatureText"
	keyCustomTextL1     = "customSignatureTextL1"
	keyCustomTextL2     = "customSignatureTextL2"
	keyGraphFieldName   = "graphFieldName"
	keyGraphFieldDesc   = "graphFieldDesc"
	keyGraphSignerRole  = "graphSignerRole"
	keyGraphSignerName  = "graphSignerName"
)

// The baseline levels of a signature (ETSI EN 319 142-1 and EN 319 122-1, clause 6). Each
// one has what the one before it has. Which of them can be made is a provider's to say.
const (
	// LevelBB is a signature with the signer's certificate.
	LevelBB = "B-B"
	// LevelBT has a time-stamp of a time-stamp authority.
	LevelBT = "B-T"
	// LevelBLT has the certificates and revocation data that prove it.
	LevelBLT = "B-LT"
	// LevelBLTA has a time-stamp over all of that, which can be renewed.
	LevelBLTA = "B-LTA"
)

// Levels returns the signature levels, the lowest first.
func Levels() []string { return []string{LevelBB, LevelBT, LevelBLT, LevelBLTA} }

// Certification says which changes a certified PDF still allows (DocMDP, ISO 32000-2, 12.8.2.2).
type Certification string

// The certifications.
const (
	// CertifyNone makes an ordinary signature.
	CertifyNone Certification = "none"
	// CertifyNoChanges allows no change, so no further signature either.
	CertifyNoChanges Certification = "no-changes"
	// CertifyForms allows to fill in forms and to sign.
	CertifyForms Certification = "forms"
	// CertifyAnnotations allows annotations too.
	CertifyAnnotations Certification = "annotations"
)

// Permission returns the number that the PDF standard gives to the certification, 1 to 3;
// 0 for none.
func (c Certification) Permission() int {
	return max(0, slices.Index([]Certification{CertifyNone, CertifyNoChanges, CertifyForms, CertifyAnnotations}, c))
}

// maxCustomText bounds one line of a signature tag: more can never be read in it.
const maxCustomText = 200

// TaskConf is the confString of a task, parsed.
type TaskConf struct {
	// SignAllVisible says whether the button "sign all" shows; true when not given.
	SignAllVisible bool
	// Provider names the provider that performs the task; empty lets the bus choose.
	Provider string
	// SignatureLevel is one of [Levels]; empty means the customer's default.
	SignatureLevel string
	// Certification is what the first signature of the task certifies in each document that
	// it signs; empty or none for ordinary signatures.
	Certification Certification
	// QR says whether signatures that show carry a QR code to the page where anybody can
	// check the document; nil means the customer's default.
	QR *bool
}

// ActionConf is the confString of an action, parsed.
type ActionConf struct {
	// Confirmed (actionInTCF) inserts the action as approved, waiting for confirmation.
	Confirmed bool
	// Visibility is V, H or N; empty when not given.
	Visibility Visibility
	// Text is the first line of the signature tag, #nnss# stands for "surname name".
	Text string
	// L1 and L2 choose the other lines: TTL, ORG, CMP, TOC, OPD or NAN.
	L1, L2 string
	// GraphFieldName, GraphFieldDesc, GraphSignerRole and GraphSignerName tell in a
	// graphometric recording which signature it is and whose, without space around them.
	GraphFieldName, GraphFieldDesc, GraphSignerRole, GraphSignerName string
}

// ParseTaskConf reads the settings of a task and refuses the ones it does not know.
func ParseTaskConf(c ConfString) (TaskConf, error) {
	var problems problemList
	conf := parseTaskConf(c, "confString", &problems)
	return conf, problems.err()
}

// ParseActionConf reads the settings of an action and refuses the ones it does not know.
func ParseActionConf(c ConfString) (ActionConf, error) {
	var problems problemList
	conf := parseActionConf(c, "confString", &problems)
	return conf, problems.err()
}

func parseTaskConf(c ConfString, path string, problems *problemList) TaskConf {
	conf := TaskConf{SignAllVisible: true}
	for _, key := range sortedKeys(c) {
		value, at := c[key], join(path, key)
		switch key {
		case keySignAllVisible:
			if value != "V" && value != "N" {
				problems.add(illegal(at, "must be V (the button shows) or N (it does not)"))
			}
			conf.SignAllVisible = value != "N"
		case keyProvider:
			if !providerName(value) {
				problems.add(illegal(at, "must be the name of a provider: lower-case letters, digits and -"))
			}
			conf.Provider = value
		case keySignatureLevel:
			if !slices.Contains(Levels(), value) {
				problems.add(illegal(at, "must be B-B, B-T, B-LT or B-LTA"))
			}
			conf.SignatureLevel = value
		case keyCertification:
			conf.Certification = Certification(value)
			switch conf.Certification {
			case CertifyNone, CertifyNoChanges, CertifyForms, CertifyAnnotations:
			default:
				problems.add(illegal(at, "must be none, no-changes, forms or annotations"))
			}
		case keyQR:
			on, ok := parseBool(value)
			if !ok {
				problems.add(illegal(at, "must be true or false"))
			}
			conf.QR = &on
		case keyInvitationMail, keyCompletedMail, keyRequiredIdentity:
			if on, ok := parseBool(value); !ok {
				problems.add(illegal(at, "must be true or false"))
			} else if on || key != keyRequiredIdentity {
				problems.add(notSupported(at, "is not supported yet; leave it out"))
			}
		default:
			problems.add(illegal(at, "unknown key"))
		}
	}
	return conf
}

func parseActionConf(c ConfString, path string, problems *problemList) ActionConf {
	var conf ActionConf
	for _, key := range sortedKeys(c) {
		value, at := c[key], join(path, key)
		switch key {
		case keyActionInTCF:
			on, ok := parseBool(value)
			if !ok {
				problems.add(illegal(at, "must be true or false"))
			}
			conf.Confirmed = on
		case keyVisibilityStatus:
			conf.Visibility = Visibility(value)
			switch conf.Visibility {
			case VisibilityVisible, VisibilityHidden, VisibilityNone:
			default:
				problems.add(illegal(at, "must be V (visible), H (signed, not shown) or N (PDF unchanged)"))
			}
		case keyCustomText:
			conf.Text = checkedLine(value, at, problems)
		case keyCustomTextL1:
			conf.L1 = checkedLine(value, at, problems)
		case keyCustomTextL2:
			conf.L2 = checkedLine(value, at, problems)
		case keyGraphFieldName:
			conf.GraphFieldName = strings.TrimSpace(checkedLine(value, at, problems))
		case keyGraphFieldDesc:
			conf.GraphFieldDesc = strings.TrimSpace(checkedLine(value, at, problems))
		case keyGraphSignerRole:
			conf.GraphSignerRole = strings.TrimSpace(checkedLine(value, at, problems))
		case keyGraphSignerName:
			conf.GraphSignerName = strings.TrimSpace(checkedLine(value, at, problems))
		default:
			problems.add(illegal(at, "unknown key"))
		}
	}
	return conf
}

func checkedLine(value, path string, problems *problemList) string {
	if len(value) > maxCustomText {
		problems.add(illegal(path, "must be at most 200 bytes long"))
	}
	if hasControl(value) {
		problems.add(illegal(path, "must be one line without control characters"))
	}
	return value
}

// lineCodes are the values that the second and third line of a signature tag may have.
var lineCodes = []string{"TTL", "ORG", "CMP", "TOC", "OPD", "NAN"}

// Lines returns the three lines of the signature tag before substitution: the text,
// then the codes of the other two; nil when the confString sets none, so that the
// provider's own text is used, and in a P7M, where nothing shows. As chapter 4.1 has it, a code that is unknown or not
// admitted for the trust level (DIGITAL_PDF admits codes for approvals and views only)
// is not taken into account: it becomes NAN, an empty line.
func (c ActionConf) Lines(trust TrustLevel, action ActionType) []string {
	if trust.Format() == CAdES || c.Text == "" && c.L1 == "" && c.L2 == "" {
		return nil
	}
	admitted := trust == TrustInternalPDF || trust == TrustFEA ||
		(trust == TrustDigitalPDF && (action == ActionApprove || action == ActionView))
	code := func(s string) string {
		if !admitted || !slices.Contains(lineCodes, s) {
			return "NAN"
		}
		return s
	}
	return []string{c.Text, code(c.L1), code(c.L2)}
}

// Visibility returns how the action shows, out of its confString and its appearance:
// visibilityStatus if given; else what `invisible` or compass position -1 means, which
// is H for a signature and N for an approval or a view; else V. In a P7M nothing shows,
// so appearances are not looked at.
func (a ActionDef) Visibility(trust TrustLevel) Visibility {
	if v := a.ConfString[keyVisibilityStatus]; v != "" {
		return Visibility(v)
	}
	if trust.Format() != CAdES && !a.Appearance.hidden() {
		return VisibilityVisible
	}
	if a.Type.Signature() {
		return VisibilityHidden
	}
	return VisibilityNone
}

// hidden reports whether the appearance itself says that nothing shows.
func (a *Appearance) hidden() bool {
	return a != nil && (a.Invisible || (a.CompassAppearance != nil && a.CompassAppearance.Position == PositionInvisible))
}

func sortedKeys(c ConfString) []string {
	keys := make([]string, 0, len(c))
	for k := range c {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// parseBool reads the two ways in which the samples write booleans inside a confString.
func parseBool(s string) (value, ok bool) {
	switch s {
	case "true", "false":
		v, err := strconv.ParseBool(s)
		return v, err == nil
	}
	return false, false
}

func providerName(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
	}) < 0
}
