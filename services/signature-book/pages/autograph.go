package pages

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"signbus.dev/pkg/sign/graphometric"
)

// Limits of an autograph. A careful signature on a phone takes about 600 points; the
// limits leave room for any hand and keep the evidence under 100 KB.
const (
	maxStrokes   = 100
	maxPoints    = 4000
	maxNameRunes = 100
	minRatio     = 0.25
	maxRatio     = 20
)

// AutographKind says how the actor made his signature.
type AutographKind string

// The kinds of autographs.
const (
	// NoAutograph is given where nothing is to be signed, only approved or viewed.
	NoAutograph AutographKind = ""
	// Typed is the actor's name as he typed it.
	Typed AutographKind = "typed"
	// Drawn is a drawing of the actor's hand.
	Drawn AutographKind = "drawn"
)

// Autograph is the actor's signature as he made it on the page.
type Autograph struct {
	Kind AutographKind `json:"kind,omitempty"`
	// Text is the name of a Typed autograph.
	Text string `json:"text,omitempty"`
	// Ratio is the width of the drawing area over its height.
	Ratio float64 `json:"ratio,omitempty"`
	// Strokes are the lines of a Drawn autograph, in the order they were drawn.
	Strokes [][]Point `json:"strokes,omitempty"`
}

// Point is a place in the drawing area: 0,0 is its upper left corner, 1,1 its lower right.
type Point struct {
	X, Y float64
}

// MarshalJSON writes the point as a pair, which keeps a drawing small.
func (p Point) MarshalJSON() ([]byte, error) {
	return json.Marshal([2]float64{p.X, p.Y})
}

// UnmarshalJSON reads a pair of numbers between 0 and 1.
func (p *Point) UnmarshalJSON(data []byte) error {
	var pair []float64
	if err := json.Unmarshal(data, &pair); err != nil {
		return err
	}
	if len(pair) != 2 {
		return fmt.Errorf("a point has 2 numbers, not %d", len(pair))
	}
	for _, v := range pair {
		if v < 0 || v > 1 {
			return errors.New("a point lies outside the drawing area")
		}
	}
	p.X, p.Y = pair[0], pair[1]
	return nil
}

var (
	errNothingDrawn  = errors.New("nothing is drawn")
	errDrawingTooBig = errors.New("drawing has too many lines or points")
	errDrawing       = errors.New("drawing cannot be read")
	errNameEmpty     = errors.New("name is empty")
	errNameTooLong   = errors.New("name is too long")
)

// parseDrawing reads the strokes that the drawing pad sends.
func parseDrawing(text string) (Autograph, error) {
	if strings.TrimSpace(text) == "" {
		return Autograph{}, errNothingDrawn
	}
	var drawing struct {
		Ratio   float64   `json:"ratio"`
		Strokes [][]Point `json:"strokes"`
	}
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&drawing); err != nil {
		return Autograph{}, fmt.Errorf("%w: %w", errDrawing, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Autograph{}, fmt.Errorf("%w: more than one value", errDrawing)
	}
	points := 0
	for _, s := range drawing.Strokes {
		points += len(s)
	}
	switch {
	case len(drawing.Strokes) > maxStrokes || points > maxPoints:
		return Autograph{}, errDrawingTooBig
	case points < 2:
		return Autograph{}, errNothingDrawn
	case drawing.Ratio < minRatio || drawing.Ratio > maxRatio:
		return Autograph{}, fmt.Errorf("%w: ratio out of range", errDrawing)
	}
	return Autograph{Kind: Drawn, Ratio: drawing.Ratio, Strokes: drawing.Strokes}, nil
}

// parseRecording reads the strokes with pressure and time that the drawing pad sends, and
// returns also the drawing, which is all that shows.
func parseRecording(text string) (Autograph, *graphometric.Recording, error) {
	if strings.TrimSpace(text) == "" {
		return Autograph{}, nil, errNothingDrawn
	}
	recording, err := graphometric.Read([]byte(text))
	switch {
	case errors.Is(err, graphometric.ErrNothing):
		return Autograph{}, nil, errNothingDrawn
	case err != nil:
		return Autograph{}, nil, fmt.Errorf("%w: %w", errDrawing, err)
	}
	// Whose signature it is comes from the request, not from a browser.
	recording = &graphometric.Recording{Ratio: recording.Ratio, Strokes: recording.Strokes}
	drawing := Autograph{Kind: Drawn, Ratio: recording.Ratio}
	for _, s := range recording.Strokes {
		points := make([]Point, len(s.Points))
		for i, p := range s.Points {
			points[i] = Point{X: p.X, Y: p.Y}
		}
		drawing.Strokes = append(drawing.Strokes, points)
	}
	return drawing, recording, nil
}

// parseName reads the name that the actor typed.
func parseName(text string) (Autograph, error) {
	name := strings.Join(strings.Fields(strings.Map(printable, text)), " ")
	switch {
	case name == "":
		return Autograph{}, errNameEmpty
	case utf8.RuneCountInString(name) > maxNameRunes:
		return Autograph{}, errNameTooLong
	}
	return Autograph{Kind: Typed, Text: name}, nil
}

// printable keeps what can be read and turns the rest into spaces.
func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return ' '
}
