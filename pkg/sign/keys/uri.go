package keys

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// tokenURI is what a PKCS #11 URI (RFC 7512) says about the key.
type tokenURI struct {
	module        string // path of the library
	label, serial string // of the token
	slot          *int
	object        string // label of the key
	id            []byte // of the key
	pinFile       string
}

// parseTokenURI reads a URI. What describes the token or the library in further words is passed
// over; a PIN in the URI is refused, because others see the command line.
func parseTokenURI(text string) (*tokenURI, error) {
	path, query, _ := strings.Cut(strings.TrimPrefix(text, tokenPrefix), "?")
	u := &tokenURI{}
	if err := attributes(path, ";", u.path); err != nil {
		return nil, err
	}
	if err := attributes(query, "&", u.query); err != nil {
		return nil, err
	}
	switch {
	case u.module == "":
		return nil, fmt.Errorf("the URI names no library, add ?module-path=/path/of/the/library.so: %w", ErrUnsupported)
	case u.label == "" && u.serial == "" && u.slot == nil:
		return nil, fmt.Errorf("the URI names no token, add token=LABEL, serial=NUMBER or slot-id=NUMBER: %w", ErrUnsupported)
	}
	return u, nil
}

// attributes hands the decoded attributes of a part of the URI over.
func attributes(part, separator string, take func(name, value string) error) error {
	if part == "" {
		return nil
	}
	for attribute := range strings.SplitSeq(part, separator) {
		name, encoded, ok := strings.Cut(attribute, "=")
		if !ok {
			return fmt.Errorf("the URI has a part without a value: %w", ErrUnsupported)
		}
		value, err := url.PathUnescape(encoded)
		if err != nil {
			return fmt.Errorf("%s of the URI is not percent-encoded: %w", name, ErrUnsupported)
		}
		if err := take(name, value); err != nil {
			return err
		}
	}
	return nil
}

func (u *tokenURI) path(name, value string) error {
	switch name {
	case "token":
		u.label = value
	case "serial":
		u.serial = value
	case "slot-id":
		slot, err := strconv.ParseUint(value, 10, 31)
		if err != nil {
			return fmt.Errorf("slot-id of the URI is no number: %w", ErrUnsupported)
		}
		number := int(slot)
		u.slot = &number
	case "object":
		u.object = value
	case "id":
		u.id = []byte(value)
	case "type":
		if value != "private" {
			return fmt.Errorf("type of the URI is not private: %w", ErrUnsupported)
		}
	case "manufacturer", "model", "library-manufacturer", "library-description", "library-version", "slot-manufacturer", "slot-description":
	default:
		return fmt.Errorf("attribute %s of the URI is not known: %w", name, ErrUnsupported)
	}
	return nil
}

func (u *tokenURI) query(name, value string) error {
	switch name {
	case "module-path":
		u.module = value
	case "pin-source":
		u.pinFile = strings.TrimPrefix(strings.TrimPrefix(value, "file:"), "//")
		if strings.HasPrefix(value, "|") || u.pinFile == "" {
			return fmt.Errorf("pin-source of the URI is not a file: %w", ErrUnsupported)
		}
	case "pin-value":
		return fmt.Errorf("a PIN in the URI is seen by others, put it in a file or the environment: %w", ErrUnsupported)
	default:
		return fmt.Errorf("attribute %s of the URI is not known: %w", name, ErrUnsupported)
	}
	return nil
}
