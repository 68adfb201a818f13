package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
)

// Mode is a content mode of the CloudEvents HTTP binding.
type Mode string

// The content modes.
const (
	// Structured puts the whole event into the body, so that the signature covers it all.
	Structured Mode = "structured"
	// Binary puts the event's data into the body and its attributes into ce- headers;
	// the signature covers the id and the data.
	Binary Mode = "binary"
)

// ErrMode means that a content mode is neither binary nor structured.
var ErrMode = errors.New("content mode is neither binary nor structured")

const structuredType = "application/cloudevents+json"

// ParseMode reads a content mode; empty means binary.
func ParseMode(text string) (Mode, error) {
	switch m := Mode(text); m {
	case "":
		return Binary, nil
	case Structured, Binary:
		return m, nil
	}
	return "", ErrMode
}

// encode writes the event's headers and returns the body.
func encode(mode Mode, ev event.Event, header http.Header) ([]byte, error) {
	switch mode {
	case Structured:
		body, err := json.Marshal(ev)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrEvent, err)
		}
		header.Set("Content-Type", structuredType)
		return body, nil
	case Binary:
		if err := writeAttributes(ev, header); err != nil {
			return nil, err
		}
		return ev.Data(), nil
	}
	return nil, ErrMode
}

// writeAttributes writes the ce- headers itself, since the SDK's binding leaves out the
// percent-encoding that the HTTP binding requires.
func writeAttributes(ev event.Event, header http.Header) error {
	set := func(name, value string) {
		if value != "" {
			header.Set("ce-"+name, escape(value))
		}
	}
	set("specversion", ev.SpecVersion())
	set("id", ev.ID())
	set("source", ev.Source())
	set("type", ev.Type())
	set("subject", ev.Subject())
	set("dataschema", ev.DataSchema())
	if !ev.Time().IsZero() {
		set("time", types.FormatTime(ev.Time()))
	}
	for name, value := range ev.Extensions() {
		text, err := types.Format(value)
		if err != nil {
			return fmt.Errorf("%w: extension %s: %w", ErrEvent, name, err)
		}
		set(name, text)
	}
	if contentType := ev.DataContentType(); contentType != "" {
		header.Set("Content-Type", contentType)
	}
	return nil
}

// escape percent-encodes a header value: the space, the double quote, the percent sign
// and everything outside printable ASCII, byte by byte in UTF-8.
func escape(value string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(value) {
		c := value[i]
		if c > ' ' && c <= '~' && c != '"' && c != '%' {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}
