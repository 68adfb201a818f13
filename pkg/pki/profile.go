package pki

import (
	"crypto/sha1" //nolint:gosec // RFC 5280's key identifier, not a security function.
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrSubject means that a certificate cannot be made for such names.
var ErrSubject = errors.New("name is not fit for a certificate")

// User is a person who gets a certificate.
type User struct {
	// Customer is the public id of the customer and the certificate's organisation.
	Customer string
	// ExternalID tells users of one customer apart; it is not readable in the certificate.
	ExternalID string
	// Name is "Name Surname".
	Name string
}

// Organisation is a customer who gets a certificate for seals.
type Organisation struct {
	// Customer is the public id of the customer.
	Customer string
	// Name is shown in the seal; the customer's id when empty.
	Name string
}

// maxName is the upper bound of RFC 5280 for a common name and an organisation name, in characters.
const maxName = 64

var (
	oidExtKeyUsage  = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidTimeStamping = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}
)

// kind is what a certificate is for.
type kind int

const (
	forUser kind = iota
	forSeal
	forTSA
	forOCSP
)

// profile is what a certificate says; the key comes from the request.
type profile struct {
	kind    kind
	record  string // The name under which identities of this profile are kept, without their number.
	subject pkix.Name
}

func (a *Authority) userProfile(u User) (profile, error) {
	if u.ExternalID == "" || len(u.ExternalID) > 1024 {
		return profile{}, fmt.Errorf("external id: %w", ErrSubject)
	}
	name, err := cleanName(u.Name)
	if err != nil {
		return profile{}, fmt.Errorf("user's name: %w", err)
	}
	customer, err := cleanName(u.Customer)
	if err != nil {
		return profile{}, fmt.Errorf("customer: %w", err)
	}
	return profile{
		kind: forUser,
		// The name is part of the record: who takes another name gets another certificate.
		record: "user-" + a.vault.pseudonym("user", u.Customer, u.ExternalID, name),
		subject: pkix.Name{
			CommonName: name, Organization: []string{customer},
			SerialNumber: a.vault.pseudonym("person", u.Customer, u.ExternalID),
		},
	}, nil
}

func (a *Authority) sealProfile(o Organisation) (profile, error) {
	customer, err := cleanName(o.Customer)
	if err != nil {
		return profile{}, fmt.Errorf("customer: %w", err)
	}
	name := customer
	if o.Name != "" {
		if name, err = cleanName(o.Name); err != nil {
			return profile{}, fmt.Errorf("organisation's name: %w", err)
		}
	}
	return profile{
		kind:   forSeal,
		record: "seal-" + a.vault.pseudonym("seal", o.Customer, name),
		subject: pkix.Name{
			CommonName: name, Organization: []string{name}, OrganizationalUnit: []string{"Seal"},
			SerialNumber: a.vault.pseudonym("organisation", o.Customer),
		},
	}, nil
}

func tsaProfile() profile {
	return profile{
		kind: forTSA, record: "tsa",
		subject: pkix.Name{CommonName: "Signbus Development Time-Stamp Authority", Organization: []string{organisation}},
	}
}

// ocspProfile is that of the delegated responder (RFC 6960, 4.2.2.2): the authority's own key signs certificates and CRLs only.
func ocspProfile() profile {
	return profile{
		kind: forOCSP, record: "ocsp",
		subject: pkix.Name{CommonName: "Signbus Development OCSP Responder", Organization: []string{organisation}},
	}
}

// cleanName cuts a long name, because a certificate with a shorter name is better
// than a process that stops; what is not text is refused.
func cleanName(name string) (string, error) {
	name = strings.Join(strings.Fields(name), " ")
	if name == "" || !utf8.ValidString(name) {
		return "", ErrSubject
	}
	for _, r := range name {
		if !unicode.IsGraphic(r) {
			return "", ErrSubject
		}
	}
	if runes := []rune(name); len(runes) > maxName {
		name = strings.TrimSpace(string(runes[:maxName]))
	}
	return name, nil
}

// template leaves the extended key usage of users and seals out: tools that check
// signed mail, OpenSSL and NSS among them, accept such a certificate for documents too.
func (p profile) template(url string) (*x509.Certificate, error) {
	t := &x509.Certificate{
		Subject:               p.subject,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment,
		BasicConstraintsValid: true,
	}
	if url != "" {
		t.IssuingCertificateURL = []string{url + issuerPath}
	}
	if p.kind == forOCSP {
		t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
		t.ExtraExtensions = []pkix.Extension{{Id: oidOCSPNoCheck, Value: asn1.NullBytes}}
		return t, nil
	}
	if url != "" {
		t.OCSPServer, t.CRLDistributionPoints = []string{url + ocspPath}, []string{url + crlPath}
	}
	if p.kind != forTSA {
		return t, nil
	}
	// The standard library writes this extension as not critical, RFC 3161 wants it critical.
	value, err := asn1.Marshal([]asn1.ObjectIdentifier{oidTimeStamping})
	if err != nil {
		return nil, err
	}
	t.ExtraExtensions = []pkix.Extension{{Id: oidExtKeyUsage, Critical: true, Value: value}}
	return t, nil
}

// keyID is the first method of RFC 5280, 4.2.1.2.
func keyID(subjectPublicKeyInfo []byte) ([]byte, error) {
	bits, err := keyBits(subjectPublicKeyInfo)
	if err != nil {
		return nil, err
	}
	sum := sha1.Sum(bits) //nolint:gosec // As above.
	return sum[:], nil
}

// keyBits are those of the key, without algorithm and length.
func keyBits(subjectPublicKeyInfo []byte) ([]byte, error) {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if rest, err := asn1.Unmarshal(subjectPublicKeyInfo, &info); err != nil || len(rest) > 0 {
		return nil, errors.New("public key cannot be read")
	}
	return info.Key.Bytes, nil
}
