package cms

import "errors"

// problems say what the errors of a check mean to a reader.
var problems = []struct {
	is   error
	text string
}{
	{ErrSignature, "The signature does not belong to the signer's certificate."},
	{ErrSigningCertificate, "The signature names another certificate than the one it comes with."},
	{ErrUnsupported, "The signature uses an algorithm that is weak or unknown."},
	{ErrTimestamp, "The time-stamp of the signature is wrong or not trusted."},
	{ErrUntrusted, "The signer's certificate does not lead to a trusted authority."},
	{ErrNoCertificate, "The certificate of the signer is missing from the signature, or can not be read."},
	{ErrMalformed, "The signature is damaged."},
}

// Problem says in a sentence what an error of a check means to a reader; nothing for nil. What
// ErrDigestMismatch means depends on what was signed: that is the caller's to say. Of an
// ErrTimestamp it says what is wrong inside of the token, where that is known.
func Problem(err error) string {
	if err == nil {
		return ""
	}
	for _, p := range problems {
		if errors.Is(err, p.is) {
			return p.text
		}
	}
	return "The signature can not be checked."
}
