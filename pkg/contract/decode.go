package contract

import (
	"reflect"
)

// MaxModelBytes bounds a request apart from its document bytes. The model travels
// between services in one message, whose limit is eight times this.
const MaxModelBytes = 1 << 20

// DecodeInsertEnvelope reads a command insertEnvelope. It refuses malformed JSON with
// line and column; unknown fields, wrong types and values that are not base64 with their
// path; trailing data, duplicate keys and oversize. The spellings of [Tolerances] are
// put right; an absent sendingMode becomes IMD.
//
// Where the JSON could be read at all, what could be bound comes back beside the error,
// so that a refusal can name the envelope.
func DecodeInsertEnvelope(data []byte) (InsertEnvelope, error) {
	in, err := decode[InsertEnvelope](data, false)
	if err == nil && in.Envelope.SendingMode == "" {
		in.Envelope.SendingMode = SendImmediate
	}
	return in, err
}

// DecodeDeleteEnvelope reads a command deleteEnvelope.
func DecodeDeleteEnvelope(data []byte) (DeleteEnvelope, error) {
	return decode[DeleteEnvelope](data, false)
}

// DecodeCancelEnvelope reads a command cancelEnvelope.
func DecodeCancelEnvelope(data []byte) (CancelEnvelope, error) {
	return decode[CancelEnvelope](data, false)
}

// DecodeSendEnvelope reads a command sendEnvelope.
func DecodeSendEnvelope(data []byte) (SendEnvelope, error) { return decode[SendEnvelope](data, false) }

// DecodeFindEnvelope reads a query findEnvelope.
func DecodeFindEnvelope(data []byte) (FindEnvelope, error) { return decode[FindEnvelope](data, false) }

// DecodeGetStatus reads a query status.
func DecodeGetStatus(data []byte) (GetStatus, error) { return decode[GetStatus](data, false) }

// DecodeGetURL reads a query url.
func DecodeGetURL(data []byte) (GetURL, error) { return decode[GetURL](data, false) }

// DecodeSubscribe reads a request to subscribe.
func DecodeSubscribe(data []byte) (Subscribe, error) { return decode[Subscribe](data, false) }

// DecodeFoundEnvelope reads the answer to findEnvelope, of this bus or of another that
// serves the same texts: fields that it does not know are passed over.
func DecodeFoundEnvelope(data []byte) (FoundEnvelope, error) {
	return decode[FoundEnvelope](data, true)
}

// DecodeLiveStatus reads a list of step events as notifications carry it, in either
// spelling of its counts.
func DecodeLiveStatus(data []byte) ([]StepEvent, error) { return decode[[]StepEvent](data, true) }

func decode[T any](data []byte, lenient bool) (T, error) {
	var out T
	n, err := parseJSON(data)
	if err != nil {
		return out, err
	}
	v := reflect.ValueOf(&out).Elem()
	if v.Kind() == reflect.Struct && n.kind != kindObject {
		return out, illegal("", "the request must be a JSON object")
	}
	b := binder{lenient: lenient}
	b.bind(n, v, "")
	if !lenient && len(data)-b.documentBytes > MaxModelBytes {
		return out, &Error{Code: CodeTooLarge, Message: "the request without its document bytes is over 1 MiB"}
	}
	return out, b.problems.err()
}
