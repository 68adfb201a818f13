// Package graphometric seals how a hand moved when it signed: the strokes with pressure and
// time, encrypted for an escrow key and bound to the document that was signed.
//
// It promises that a sealed recording can be read by the holders of the escrow keys alone, in
// one format on every device, and that it names the SHA-256 of the version that was signed.
// In a PDF it is the entry [EntryKey] of the signature dictionary, inside of the bytes that
// the signature covers. It compares no hands: that is for an expert with the escrow key.
package graphometric

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"signbus.dev/pkg/sign/cms"
)

// EntryKey is the entry of the signature dictionary that holds a sealed recording: a string
// with the DER of a CMS message (RFC 5083).
const EntryKey = "SIGNBUS.Graphometric"

// Version is the version of the format that Seal writes.
const Version = "signbus.graphometric.v1"

// Limits of a recording. A signature takes 2 to 10 seconds, and a pen tells of 240 points in one.
const (
	MaxStrokes    = 100
	MaxPoints     = 4000
	MaxRecipients = 8
	// MaxTime is how long it may take, in milliseconds.
	MaxTime = 60 * 60 * 1000
	// MaxText bounds each text of a recording, in bytes.
	MaxText = 1000
	// MinRatio and MaxRatio bound the shape of the drawing area.
	MinRatio = 0.25
	MaxRatio = 20
	// maxJSON bounds what Read reads.
	maxJSON = 1 << 20
)

// ErrRecording means that a recording is none of a signature: nothing is drawn, or a value is
// out of its range.
var ErrRecording = errors.New("not the recording of a signature")

// ErrNothing is the [ErrRecording] in which nothing is drawn.
var ErrNothing = fmt.Errorf("%w: nothing is drawn", ErrRecording)

// Pointer is what drew a stroke, in the words of Pointer Events (W3C).
type Pointer string

// The pointers.
const (
	Pen   Pointer = "pen"
	Touch Pointer = "touch"
	Mouse Pointer = "mouse"
)

// Recording is how a hand moved when it signed.
type Recording struct {
	// FieldName and FieldDescription tell which signature it is, SignerRole and SignerName
	// whose; each may be empty.
	FieldName        string `json:"fieldName,omitempty"`
	FieldDescription string `json:"fieldDescription,omitempty"`
	SignerRole       string `json:"signerRole,omitempty"`
	SignerName       string `json:"signerName,omitempty"`
	// Ratio is the width of the drawing area over its height.
	Ratio float64 `json:"ratio"`
	// Strokes are in the order in which they were drawn.
	Strokes []Stroke `json:"strokes"`
}

// Stroke is a line from where the pointer came down to where it was lifted.
type Stroke struct {
	Pointer Pointer `json:"pointer"`
	Points  []Point `json:"points"`
}

// Point is a place of the pointer. It is written as [x, y, pressure, time].
type Point struct {
	// X and Y lie in 0..1: 0,0 is the upper left corner of the drawing area, 1,1 the lower right.
	X, Y float64
	// Pressure lies in 0..1. A device that measures none tells 0.5 (Pointer Events, 4.1).
	Pressure float64
	// Time is in milliseconds since the first point of the recording.
	Time int
}

// MarshalJSON writes four numbers, which keeps a recording small.
func (p Point) MarshalJSON() ([]byte, error) {
	return json.Marshal([4]any{p.X, p.Y, p.Pressure, p.Time})
}

// UnmarshalJSON reads four numbers.
func (p *Point) UnmarshalJSON(data []byte) error {
	var numbers []json.Number
	if err := json.Unmarshal(data, &numbers); err != nil {
		return err
	}
	if len(numbers) != 4 {
		return fmt.Errorf("a point has 4 numbers, not %d", len(numbers))
	}
	var errs [4]error
	p.X, errs[0] = numbers[0].Float64()
	p.Y, errs[1] = numbers[1].Float64()
	p.Pressure, errs[2] = numbers[2].Float64()
	var ms int64
	ms, errs[3] = numbers[3].Int64()
	if ms < 0 || ms > MaxTime {
		return errors.New("time of a point is out of range")
	}
	p.Time = int(ms)
	return errors.Join(errs[:]...)
}

// Read reads the JSON of a recording and checks it. Nothing of it is in the error.
func Read(data []byte) (*Recording, error) {
	if len(data) > maxJSON {
		return nil, fmt.Errorf("%w: it has more than %d bytes", ErrRecording, maxJSON)
	}
	var r Recording
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		return nil, fmt.Errorf("%w: it cannot be read", ErrRecording)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: more than one value", ErrRecording)
	}
	if err := r.Check(); err != nil {
		return nil, err
	}
	return &r, nil
}

// Check says what makes the recording none of a signature.
func (r *Recording) Check() error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrRecording, fmt.Sprintf(format, args...))
	}
	for _, text := range []string{r.FieldName, r.FieldDescription, r.SignerRole, r.SignerName} {
		if len(text) > MaxText || !utf8.ValidString(text) {
			return refuse("a text is longer than %d bytes or not UTF-8", MaxText)
		}
	}
	if !within(r.Ratio, MinRatio, MaxRatio) {
		return refuse("the shape of the drawing area is out of range")
	}
	if len(r.Strokes) > MaxStrokes {
		return refuse("it has more than %d strokes", MaxStrokes)
	}
	points, last := 0, 0
	for _, s := range r.Strokes {
		if s.Pointer != Pen && s.Pointer != Touch && s.Pointer != Mouse {
			return refuse("a pointer is no pen, touch or mouse")
		}
		if len(s.Points) == 0 {
			return refuse("a stroke has no points")
		}
		if points += len(s.Points); points > MaxPoints {
			return refuse("it has more than %d points", MaxPoints)
		}
		for _, p := range s.Points {
			if !within(p.X, 0, 1) || !within(p.Y, 0, 1) || !within(p.Pressure, 0, 1) {
				return refuse("a point is out of range")
			}
			if p.Time < last || p.Time > MaxTime {
				return refuse("time runs backwards or longer than an hour")
			}
			last = p.Time
		}
	}
	if points < 2 {
		return ErrNothing
	}
	return nil
}

// within is false for what is no number.
func within(v, low, high float64) bool { return v >= low && v <= high }

// sealed is what the holder of the escrow key finds.
type sealed struct {
	Version string `json:"version"`
	// DocumentSHA256 is that of the version that was signed: the file as it was before the
	// signature was added to it.
	DocumentSHA256 string    `json:"documentSha256"`
	SignedAt       time.Time `json:"signedAt"`
	Recording
}

// Seal encrypts a recording for the recipients, each of whom can read it alone, and binds it to
// the document version of that digest, signed at the time. The result is the value of the entry
// [EntryKey]. Certificates that cannot be encrypted for are [cms.ErrUnsupported].
func Seal(r Recording, documentSHA256 [32]byte, recipients []*x509.Certificate, at time.Time) ([]byte, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	if len(recipients) > MaxRecipients {
		return nil, fmt.Errorf("%d escrow certificates; name at most %d", len(recipients), MaxRecipients)
	}
	plain, err := json.Marshal(sealed{
		Version: Version, DocumentSHA256: hex.EncodeToString(documentSHA256[:]), SignedAt: at.UTC(), Recording: r,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: it cannot be written", ErrRecording)
	}
	defer clear(plain)
	return cms.Encrypt(plain, recipients)
}

// CheckRecipients says why nothing can be sealed for the certificates: there are none or too
// many, or one is not for encryption.
func CheckRecipients(recipients []*x509.Certificate) error {
	if len(recipients) > MaxRecipients {
		return fmt.Errorf("%d escrow certificates; name at most %d", len(recipients), MaxRecipients)
	}
	_, err := cms.Encrypt(nil, recipients)
	return err
}
