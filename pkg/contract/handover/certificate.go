package handover

import "time"

// CertificateQuery asks for certificates of the built-in authority.
type CertificateQuery struct {
	// Name narrows the list to subjects that contain it, whatever the case.
	Name string `json:"name,omitempty"`
	// All adds those that have ended or were revoked.
	All bool `json:"all,omitempty"`
}

// Certificates is the answer to [CertificateQuery]: those that end last first.
type Certificates struct {
	Certificates []Certificate `json:"certificates"`
	// More says that there are more than one answer carries; ask with a name.
	More bool `json:"more,omitempty"`
}

// Certificate is one certificate of the built-in authority.
type Certificate struct {
	// Serial is its number, in hexadecimal.
	Serial    string    `json:"serial"`
	Subject   string    `json:"subject"`
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
	// RevokedAt and Reason are set when it was revoked.
	RevokedAt *time.Time `json:"revokedAt,omitempty"`
	Reason    string     `json:"reason,omitempty"`
}

// RevokeRequest asks to revoke a certificate of the built-in authority, for ever.
type RevokeRequest struct {
	// Serial is its number, in hexadecimal.
	Serial string `json:"serial"`
	// Reason is a name of RFC 5280, 5.3.1, such as keyCompromise.
	Reason string `json:"reason"`
	// At is since when it is not to be trusted; now when it is missing.
	At *time.Time `json:"at,omitempty"`
}

// Revocation is the answer to [RevokeRequest]: the first revocation of the certificate.
type Revocation struct {
	Serial string    `json:"serial"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}
