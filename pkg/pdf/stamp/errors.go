package stamp

import "errors"

// The reasons for which an appearance can not be drawn. Each is wrapped with a sentence
// that says what to change.
var (
	// ErrImage means that an image is no PNG or JPEG, is damaged, or is too large.
	ErrImage = errors.New("unusable image")
	// ErrQR means that the text of a QR code is too long, for the code or for the box.
	ErrQR = errors.New("unusable qr code")
	// ErrSize means that the box, or the picture of a preview, has no usable size.
	ErrSize = errors.New("unusable size")
)
