package contract

import (
	"encoding/base64"
	"mime"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxExternalID = 255
	maxSystem     = 64
	maxMimeType   = 255
	// maxMoment is the end of the year 9999, the last that RFC 3339 can write.
	maxMoment = 253402300799999
)

// Validate checks everything that can be checked without knowing the customer, the
// users or the inside of the documents, and refuses what is not built yet.
func (in InsertEnvelope) Validate() error {
	var problems problemList
	checkCustomerCode(in.CustomerCode, &problems)
	checkSystem(in.ExternalSystemCode, "externalSystemCode", &problems)
	in.Envelope.validate(&problems)
	for _, e := range Unsupported(in) {
		problems.add(e)
	}
	return problems.err()
}

// Validate checks an envelope as [InsertEnvelope.Validate] does.
func (e Envelope) Validate() error {
	var problems problemList
	e.validate(&problems)
	for _, u := range unsupportedEnvelope(e) {
		problems.add(u)
	}
	return problems.err()
}

// Validate checks that everything mandatory is there; externalID is the id in the path
// over HTTP, empty on the queue.
func (d DeleteEnvelope) Validate() error {
	return validateCommand(d.CustomerCode, d.UsrExtID, d.EnveExtID)
}

// Validate checks that everything mandatory is there.
func (c CancelEnvelope) Validate() error {
	return validateCommand(c.CustomerCode, c.UsrExtID, c.EnveExtID)
}

// Validate checks that everything mandatory is there.
func (s SendEnvelope) Validate() error {
	return validateCommand(s.CustomerCode, s.UsrExtID, s.EnveExtID)
}

// Validate checks that everything mandatory is there.
func (f FindEnvelope) Validate() error {
	var problems problemList
	checkCustomerCode(f.CustomerCode, &problems)
	checkSystem(f.ExternalSystemCode, "externalSystemCode", &problems)
	checkID(f.EnveExtID, "enveExtId", &problems)
	return problems.err()
}

// Validate checks that everything mandatory is there.
func (g GetStatus) Validate() error {
	var problems problemList
	checkCustomerCode(g.CustomerCode, &problems)
	checkID(g.EnveExtID, "enveExtId", &problems)
	return problems.err()
}

// Validate checks that everything mandatory is there.
func (g GetURL) Validate() error { return validateCommand(g.CustomerCode, g.UsrExtID, g.EnveExtID) }

func validateCommand(customerCode, user, envelope string) error {
	var problems problemList
	checkCustomerCode(customerCode, &problems)
	checkID(user, "usrExtId", &problems)
	checkID(envelope, "enveExtId", &problems)
	return problems.err()
}

// Validate checks a request to subscribe. Whether the address may be reached is
// decided when it is connected to.
func (s Subscribe) Validate() error {
	var problems problemList
	if s.ExternalSystemCode != "" {
		checkSystem(s.ExternalSystemCode, "externalSystemCode", &problems)
	}
	if u, err := url.Parse(s.URL); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		problems.add(illegal("url", "must be an absolute http or https address"))
	} else if u.User != nil {
		problems.add(illegal("url", "must not carry a user or a password"))
	}
	for i, t := range s.Types {
		if !t.Known() {
			problems.add(illegal(index("types", i), "must be the type of an event, such as "+string(EventOperationDone)))
		}
	}
	switch s.Mode {
	case "", ModeBinary, ModeStructured:
	default:
		problems.add(illegal("mode", "must be binary or structured"))
	}
	if s.Secret != "" && !validSecret(s.Secret) {
		problems.add(illegal("secret", "must be whsec_ and the base64 of 24 to 64 bytes"))
	}
	return problems.err()
}

func validSecret(s string) bool {
	encoded, found := strings.CutPrefix(s, "whsec_")
	if !found {
		return false
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	return err == nil && len(key) >= 24 && len(key) <= 64
}

// ValidExternalID reports whether s may be an external id: 1 to 255 bytes of UTF-8
// without control characters. Case and spaces count.
func ValidExternalID(s string) bool {
	return s != "" && len(s) <= maxExternalID && utf8.ValidString(s) && !hasControl(s)
}

func hasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }

func checkID(s, path string, problems *problemList) {
	switch {
	case s == "":
		problems.add(illegal(path, "is missing"))
	case len(s) > maxExternalID:
		problems.add(illegal(path, "must be at most 255 bytes long"))
	case !utf8.ValidString(s):
		problems.add(illegal(path, "must be UTF-8"))
	case hasControl(s):
		problems.add(illegal(path, "must not contain control characters"))
	}
}

func checkCustomerCode(s string, problems *problemList) {
	if s == "" {
		problems.add(illegal("customerCode", "is missing"))
	}
}

// checkSystem admits what can stand in a subject, see pkg/subjects.
func checkSystem(s, path string, problems *problemList) {
	switch {
	case s == "":
		problems.add(illegal(path, "is missing"))
	case len(s) > maxSystem || strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}):
		problems.add(illegal(path, "must be 1 to 64 letters, digits, - or _"))
	}
}

func checkText(s, path string, problems *problemList) {
	if strings.TrimSpace(s) == "" {
		problems.add(illegal(path, "is missing"))
	}
}

// checkMimeType admits a media type of RFC 9110, 8.3.1, with parameters or without.
func checkMimeType(s, path string, problems *problemList) {
	if strings.TrimSpace(s) == "" {
		problems.add(illegal(path, "is missing"))
	} else if kind, _, err := mime.ParseMediaType(s); err != nil || !strings.Contains(kind, "/") || len(s) > maxMimeType {
		problems.add(illegal(path, "must be a media type, such as application/pdf"))
	}
}

// checkOneOf accepts a value of the list.
func checkOneOf[T ~string](value T, path string, problems *problemList, allowed ...T) {
	if value == "" {
		problems.add(illegal(path, "is missing"))
		return
	}
	names := make([]string, len(allowed))
	for i, a := range allowed {
		if a == value {
			return
		}
		names[i] = string(a)
	}
	problems.add(illegal(path, "must be one of "+strings.Join(names, ", ")))
}

func (e Envelope) validate(problems *problemList) {
	const path = "envelope"
	checkID(e.ExternalID, path+".externalId", problems)
	checkText(e.Subject, path+".subject", problems)
	checkID(e.LoadedByExtID, path+".loadedByExtId", problems)
	checkOneOf(e.TrustLevelCode, path+".trustLevelCode", problems,
		TrustInternalPDF, TrustDigitalPDF, TrustDigitalP7M, TrustFEA, TrustGraphoFEA)
	if e.SendingMode != "" {
		checkOneOf(e.SendingMode, path+".sendingMode", problems, SendImmediate, SendDraft)
	}
	if e.CorporateUseType != "" {
		checkOneOf(e.CorporateUseType, path+".corporateUseType", problems,
			UsePublic, UseCorporate, UseReserved, UseRestricted)
	}
	if e.ExpireAt < 0 || e.ExpireAt > maxMoment {
		problems.add(illegal(path+".expireAt", "must be milliseconds since 1970, before the year 10000"))
	}
	if m := e.CommonMessage; m != nil {
		checkText(m.Subject, path+".commonMessage.subject", problems)
		checkText(m.Text, path+".commonMessage.text", problems)
	}
	documents := e.validateDocuments(problems)
	e.validateProcess(documents, problems)
}

// validateDocuments returns the set of document ids.
func (e Envelope) validateDocuments(problems *problemList) map[string]bool {
	const path = "envelope.documents"
	if len(e.Documents) == 0 {
		problems.add(illegal(path, "must have at least one document"))
	}
	ids := make(map[string]bool, len(e.Documents))
	for i, d := range e.Documents {
		at := index(path, i)
		checkID(d.ExternalID, at+".externalId", problems)
		if ids[d.ExternalID] && d.ExternalID != "" {
			problems.add(&Error{
				Code: CodeMultipleDocsSameExtID, Path: at + ".externalId",
				Message: "is the externalId of another document of this envelope",
			})
		}
		ids[d.ExternalID] = true
		checkText(d.Title, at+".title", problems)
		checkText(d.OriginalFname, at+".originalFname", problems)
		if hasControl(d.OriginalFname) {
			problems.add(illegal(at+".originalFname", "must not contain control characters"))
		}
		checkMimeType(d.MimeType, at+".mimeType", problems)
		if d.OOXMLSignStrategy != "" {
			checkOneOf(d.OOXMLSignStrategy, at+".ooxmlSignStrategy", problems, "OXP", "OXX")
		}
		d.validateContent(at, problems)
	}
	return ids
}

func (d Document) validateContent(path string, problems *problemList) {
	switch {
	case len(d.Bytes) == 0 && d.URI == "":
		problems.add(illegal(path+".bytes", "is missing; give the content in base64, or upload it and give its uri"))
	case len(d.Bytes) > 0 && d.URI != "":
		problems.add(illegal(path+".uri", "must be left out when bytes are given"))
	case strings.HasPrefix(d.URI, blobScheme):
		if _, err := parseBlobURI(d.URI, path+".uri"); err != nil {
			problems.add(Problems(err)[0])
		}
	}
}
