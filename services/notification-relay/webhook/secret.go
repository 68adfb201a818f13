package webhook

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const secretPrefix = "whsec_"

// A signing key has 24 to 64 bytes, as Standard Webhooks says: fewer could be guessed,
// more than the block of SHA-256 add nothing.
const (
	minKeyBytes = 24
	maxKeyBytes = 64
)

// ErrSecret means that a signing secret is not of the form whsec_<base64 of 24 to 64 bytes>.
var ErrSecret = errors.New("signing secret is not whsec_ and base64 of 24 to 64 bytes")

// ErrNoSecret means that an endpoint has no signing secret; nothing is sent unsigned.
var ErrNoSecret = errors.New("no signing secret")

// Secrets are the active signing secrets of one endpoint. With several of them a
// request carries one signature for each, so that a receiver can rotate without a gap.
// The zero value has none. It prints as a placeholder.
type Secrets struct {
	hooks []*standardwebhooks.Webhook
}

// ParseSecrets reads secrets of the form whsec_<base64>. The errors never repeat a secret.
func ParseSecrets(texts ...string) (Secrets, error) {
	if len(texts) == 0 {
		return Secrets{}, ErrNoSecret
	}
	var s Secrets
	for i, text := range texts {
		encoded, ok := strings.CutPrefix(text, secretPrefix)
		if !ok {
			return Secrets{}, fmt.Errorf("secret %d: %w", i+1, ErrSecret)
		}
		key, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || len(key) < minKeyBytes || len(key) > maxKeyBytes {
			return Secrets{}, fmt.Errorf("secret %d: %w", i+1, ErrSecret)
		}
		hook, err := standardwebhooks.NewWebhookRaw(key)
		if err != nil {
			return Secrets{}, fmt.Errorf("secret %d: %w", i+1, ErrSecret)
		}
		s.hooks = append(s.hooks, hook)
	}
	return s, nil
}

// String hides the secrets.
func (s Secrets) String() string { return fmt.Sprintf("%d secrets", len(s.hooks)) }

// GoString hides the secrets.
func (s Secrets) GoString() string { return s.String() }

// LogValue hides the secrets.
func (s Secrets) LogValue() slog.Value { return slog.StringValue(s.String()) }

// sign makes the value of webhook-signature: one signature for each secret, parted by spaces.
func (s Secrets) sign(id string, at time.Time, body []byte) (string, error) {
	if len(s.hooks) == 0 {
		return "", ErrNoSecret
	}
	signatures := make([]string, 0, len(s.hooks))
	for _, hook := range s.hooks {
		signature, err := hook.Sign(id, at, body)
		if err != nil {
			return "", fmt.Errorf("sign webhook %s: %w", id, err)
		}
		signatures = append(signatures, signature)
	}
	return strings.Join(signatures, " "), nil
}
