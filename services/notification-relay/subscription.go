package relay

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/services/notification-relay/webhook"
)

// subscription says which events of a customer go to which endpoint. It is kept in
// memory only.
type subscription struct {
	endpointKey
	// system limits the subscription to one external system; empty means all.
	system string
	// types limits it to these event types; empty means all.
	types []contract.EventType
	url   string
	// disabled holds back what is pending and takes nothing new.
	disabled bool
	mode     webhook.Mode
	secrets  webhook.Secrets
}

// endpointKey names the endpoint of a subscription.
type endpointKey struct{ customer, subscription string }

// readSubscription takes over what the directory publishes. A subscription with an
// unusable mode or secret comes back beside the error: its deliveries fail with a reason
// that a person can find, instead of never having existed.
func readSubscription(p handover.Subscription) (subscription, error) {
	s := subscription{
		endpointKey: endpointKey{p.Customer, p.ID},
		system:      p.System, types: p.Types, url: p.URL, disabled: p.Disabled != "",
	}
	var secretErr, modeErr error
	s.secrets, secretErr = webhook.ParseSecrets(p.Secrets...)
	s.mode, modeErr = webhook.ParseMode(p.Mode)
	if err := errors.Join(secretErr, modeErr); err != nil {
		return s, fmt.Errorf("read subscription %s: %w", p.ID, err)
	}
	return s, nil
}

// wants says whether the subscription takes an event.
func (s subscription) wants(system, eventType string) bool {
	return !s.disabled &&
		(s.system == "" || s.system == system) &&
		(len(s.types) == 0 || slices.Contains(s.types, contract.EventType(eventType)))
}

// addressDigest tells whether the endpoint's address has changed, without keeping it.
func (s subscription) addressDigest() string {
	sum := sha256.Sum256([]byte(s.url))
	return hex.EncodeToString(sum[:8])
}
