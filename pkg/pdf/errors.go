package pdf

import (
	"errors"
	"fmt"
)

// The reasons for which a file is refused. Each is wrapped with a sentence that
// says what to change; none carries text of the document.
var (
	// ErrNotPDF means that the bytes are no PDF file.
	ErrNotPDF = errors.New("not a pdf file")
	// ErrTruncated means that the end of the file is missing.
	ErrTruncated = errors.New("the pdf file is cut off")
	// ErrEncrypted means that the file opens with a password only, or for certain readers.
	ErrEncrypted = errors.New("the pdf file is encrypted")
	// ErrTooLarge means that the file has more bytes or pages than allowed.
	ErrTooLarge = errors.New("the pdf file is too large")
	// ErrTooComplex means that the file would take more work or memory than allowed.
	ErrTooComplex = errors.New("the pdf file is too complex")
	// ErrNoPages means that the file has no page.
	ErrNoPages = errors.New("the pdf file has no pages")
	// ErrBroken means that the structure of the file is damaged.
	ErrBroken = errors.New("the pdf file is broken")
)

// The reasons for which a place or a field is refused.
var (
	// ErrPageRange means that a page number is not one of the document.
	ErrPageRange = errors.New("page out of range")
	// ErrOutsidePage means that a box is empty or not on its page.
	ErrOutsidePage = errors.New("box outside of the page")
	// ErrPosition means that a compass position is none of -1 and 1 to 9.
	ErrPosition = errors.New("unknown compass position")
	// ErrFieldNotFound means that the document has no signature field of that name.
	ErrFieldNotFound = errors.New("signature field not found")
	// ErrFieldSigned means that the signature field is signed already.
	ErrFieldSigned = errors.New("signature field already signed")
	// ErrNotPermitted means that an earlier signature, or the permissions of an encrypted
	// document, forbid the change.
	ErrNotPermitted = errors.New("the document forbids this change")
	// ErrRequest means that a request contradicts itself or has a value out of range.
	ErrRequest = errors.New("request not valid")
	// ErrContentsTooSmall means that the signature does not fit the reserved space.
	ErrContentsTooSmall = errors.New("signature larger than the space reserved for it")
)

// again is the advice for files whose structure is damaged.
const again = "open it in a PDF program, save it again as a new file and send that"

func broken(format string, args ...any) error {
	return fmt.Errorf("%w: %s; %s", ErrBroken, fmt.Sprintf(format, args...), again)
}

func truncated(what string) error {
	return fmt.Errorf("%w: %s; send the complete file", ErrTruncated, what)
}

func tooComplex(format string, args ...any) error {
	return fmt.Errorf("%w: %s; print it to a new PDF file or split it and send that", ErrTooComplex, fmt.Sprintf(format, args...))
}
