package handover

import "signbus.dev/pkg/contract"

// BucketDirectory is the key-value bucket in which the directory publishes what the
// other services must know of it. Keys: "customer.<id>" holds a [Customer],
// "subscription.<customer>.<id>" holds a [Subscription].
const BucketDirectory = "DIRECTORY"

// Prefixes of the keys in [BucketDirectory].
const (
	KeyCustomer     = "customer."
	KeySubscription = "subscription."
)

// Customer is a tenant as the other services need it.
type Customer struct {
	// ID is public and part of subjects.
	ID string `json:"id"`
	// Systems are the external systems that may send for the customer.
	Systems []string `json:"systems"`
	// Keys are the lower-case hexadecimal SHA-256 digests of the valid customerCodes.
	// A customerCode is random and long, so a plain digest does not weaken it.
	Keys []string `json:"keys"`
	// Disabled customers are answered product_expired.
	Disabled bool `json:"disabled,omitempty"`
}

// Subscription says which events go to which endpoint.
type Subscription struct {
	ID       string `json:"id"`
	Customer string `json:"customer"`
	// System limits it to one external system; empty means all of the customer.
	System string `json:"system,omitempty"`
	URL    string `json:"url"`
	// Types limits it to event types; empty means all.
	Types []contract.EventType `json:"types,omitempty"`
	// Mode is binary or structured, the CloudEvents content mode.
	Mode string `json:"mode"`
	// Secrets sign each request, newest first; during a rotation there are two.
	Secrets []string `json:"secrets"`
	// Disabled says why nothing is delivered; empty when it is.
	Disabled string `json:"disabled,omitempty"`
}
