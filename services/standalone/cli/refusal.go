package cli

import (
	"errors"
	"io/fs"
	"strings"

	"signbus.dev/pkg/pdf"
	"signbus.dev/pkg/pdf/stamp"
	"signbus.dev/pkg/sign/cades"
	"signbus.dev/pkg/sign/cms"
	"signbus.dev/pkg/sign/keys"
	"signbus.dev/pkg/sign/pades"
	"signbus.dev/pkg/sign/revocation"
	"signbus.dev/pkg/sign/tsp"
)

// refusedError is a refusal to sign, with its code of docs/errors.md.
type refusedError struct {
	code string
	error
}

// Unwrap returns the cause.
func (e refusedError) Unwrap() error { return e.error }

func refuse(code string, err error) error { return refusedError{code, err} }

// refusals are the reasons for which signing fails, with what to change where the cause does
// not say it itself.
var refusals = []struct {
	cause  error
	code   string
	advice string
}{
	{keys.ErrPassphrase, "KEY_PASSPHRASE", "give the right one in the file of --passphrase-file, in SIGNBUS_KEY_PASSPHRASE or on the terminal"},
	{keys.ErrNoCertificate, "KEY_CERTIFICATE", "name its certificate and chain with --cert"},
	{keys.ErrMismatch, "KEY_MISMATCH", "name the certificate that was issued for this key"},
	{keys.ErrNoKey, "KEY_NOT_FOUND", "name a file or record that holds the private key"},
	{keys.ErrToken, "KEY_TOKEN", "plug it in, see that it is not locked, and sign again"},
	{keys.ErrUnsupported, "KEY_UNSUPPORTED", ""},
	{keys.ErrName, "KEY_NAME", ""},
	{keys.ErrExists, "KEY_EXISTS", "choose another name"},
	{cms.ErrExpired, "CERTIFICATE_EXPIRED", "sign with a certificate that is valid now"},
	{cms.ErrNotYetValid, "CERTIFICATE_NOT_YET_VALID", "check the clock of this machine, or sign once the certificate is valid"},
	{cms.ErrKeyMismatch, "KEY_MISMATCH", "name the certificate that was issued for this key"},
	{tsp.ErrUnavailable, "TSA_UNAVAILABLE", "try again later, or name another authority with --tsa"},
	{tsp.ErrReply, "TSA_REPLY", "name another authority with --tsa, and the certificates that vouch for it with --trust; check the clock of this machine"},
	{pades.ErrTimestamp, "TSA_UNAVAILABLE", ""},
	{cms.ErrTimestamp, "TSA_REPLY", "name another authority with --tsa"},
	{errPending, "PENDING", ""},
	{pades.ErrPending, "PENDING", "finish it on the very file on which it was begun"},
	{cms.ErrSignature, "SIGNATURE_VALUE", "the value must be made over the printed digest, with the key of the certificate"},
	{cades.ErrContent, "CONTENT", "name the signed file with --content"},
	{cms.ErrDigestMismatch, "CONTENT_CHANGED", "sign the file as it was signed before"},
	{cms.ErrMalformed, "FILE_FORMAT", "a file that ends in .p7m or .p7s must be a signed message; give another one another name"},
	{revocation.ErrRevoked, "CERTIFICATE_REVOKED", ""},
	{revocation.ErrUnavailable, "REVOCATION_UNAVAILABLE", "try again later, ask for a lower level, or sign with a certificate that names an OCSP or CRL address"},
	{revocation.ErrUnknown, "REVOCATION_UNKNOWN", "sign with a certificate whose authority says whether it is revoked, or ask for a lower level"},
	{revocation.ErrChain, "CERTIFICATE_CHAIN", "name the certificates of the authorities with --cert or --trust"},
	{pades.ErrRevocation, "REVOCATION_UNAVAILABLE", ""},
	{pdf.ErrNotPDF, "PDF_FORMAT", "or sign it as any other file with --format cades"},
	{pdf.ErrTruncated, "PDF_FORMAT", ""},
	{pdf.ErrEncrypted, "PDF_ENCRYPTED", ""},
	{pdf.ErrTooLarge, "PDF_TOO_LARGE", ""},
	{pdf.ErrTooComplex, "PDF_TOO_COMPLEX", ""},
	{pdf.ErrNoPages, "PDF_FORMAT", ""},
	{pdf.ErrBroken, "PDF_FORMAT", ""},
	{pdf.ErrPageRange, "PLACE", "name a page that the document has"},
	{pdf.ErrOutsidePage, "PLACE", "name a place on the page"},
	{pdf.ErrFieldNotFound, "FIELD_NOT_FOUND", ""},
	{pdf.ErrFieldSigned, "FIELD_SIGNED", ""},
	{stamp.ErrImage, "APPEARANCE", ""},
	{stamp.ErrQR, "APPEARANCE", ""},
	{stamp.ErrSize, "APPEARANCE", ""},
	{pdf.ErrNotPermitted, "NOT_PERMITTED", ""},
	{pdf.ErrRequest, "REQUEST", ""},
	{cms.ErrUnsupported, "NOT_SUPPORTED", "sign with another key"},
	{fs.ErrNotExist, "FILE_ACCESS", ""},
	{fs.ErrPermission, "FILE_ACCESS", ""},
}

// explain gives an error of signing its code and says what to change.
func explain(err error) error {
	if _, usage := errors.AsType[usageError](err); usage || err == nil {
		return err
	}
	if known, ok := errors.AsType[refusedError](err); ok {
		return refuse(known.code, err)
	}
	if _, ok := errors.AsType[*tsp.RejectedError](err); ok {
		return refuse("TSA_REFUSED", err)
	}
	for _, r := range refusals {
		if !errors.Is(err, r.cause) {
			continue
		}
		if r.advice == "" || strings.Contains(err.Error(), r.advice) {
			return refuse(r.code, err)
		}
		return refuse(r.code, advised{err, r.advice})
	}
	return failedError{err}
}

// advised is an error that goes on to say what to change.
type advised struct {
	error
	advice string
}

// Error says what is wrong and what to change.
func (e advised) Error() string { return e.error.Error() + "; " + e.advice }

// Unwrap returns the cause.
func (e advised) Unwrap() error { return e.error }
