package revocation

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
)

var (
	oidIssuingDistributionPoint = asn1.ObjectIdentifier{2, 5, 29, 28}
	oidAuthorityKeyID           = asn1.ObjectIdentifier{2, 5, 29, 35}
	oidCRLNumber                = asn1.ObjectIdentifier{2, 5, 29, 20}
	oidReason                   = asn1.ObjectIdentifier{2, 5, 29, 21}
	oidInvalidityDate           = asn1.ObjectIdentifier{2, 5, 29, 24}
	oidExpiredCerts             = asn1.ObjectIdentifier{2, 5, 29, 60}
)

// issuingDistributionPoint is RFC 5280, 5.2.5.
type issuingDistributionPoint struct {
	Point struct {
		FullName []asn1.RawValue `asn1:"optional,tag:0"`
	} `asn1:"optional,tag:0"`
	OnlyUsers      bool           `asn1:"optional,tag:1"`
	OnlyCAs        bool           `asn1:"optional,tag:2"`
	OnlyReasons    asn1.BitString `asn1:"optional,tag:3"`
	Indirect       bool           `asn1:"optional,tag:4"`
	OnlyAttributes bool           `asn1:"optional,tag:5"`
}

// readCRL verifies a complete CRL of the certificate's own issuer (RFC 5280, 6.3.3) and
// finds the certificate in it. Delta and indirect CRLs and those for some reasons only are
// refused: they do not prove that a certificate is good. The time is the caller's to judge.
func readCRL(der []byte, cert, issuer *x509.Certificate) (*answer, error) {
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, fmt.Errorf("CRL: %w", err)
	}
	if !bytes.Equal(list.RawIssuer, issuer.RawSubject) {
		return nil, errors.New("CRL: is of another issuer")
	}
	if weak(list.SignatureAlgorithm) {
		return nil, fmt.Errorf("CRL: signature algorithm %s is not accepted", list.SignatureAlgorithm)
	}
	if err := list.CheckSignatureFrom(issuer); err != nil {
		return nil, fmt.Errorf("CRL: signature: %w", err)
	}
	if list.NextUpdate.IsZero() || list.NextUpdate.Before(list.ThisUpdate) {
		return nil, errors.New("CRL: has no nextUpdate after its thisUpdate")
	}
	if err := covers(list, cert); err != nil {
		return nil, err
	}
	a := &answer{
		der: der, state: Good, producedAt: list.ThisUpdate, thisUpdate: list.ThisUpdate, nextUpdate: list.NextUpdate,
	}
	for i := range list.RevokedCertificateEntries {
		entry := &list.RevokedCertificateEntries[i]
		for _, extension := range entry.Extensions {
			if extension.Critical && !extension.Id.Equal(oidReason) && !extension.Id.Equal(oidInvalidityDate) {
				return nil, fmt.Errorf("CRL: critical extension %s of an entry is not understood", extension.Id)
			}
		}
		if entry.SerialNumber.Cmp(cert.SerialNumber) == 0 {
			a.state, a.revokedAt, a.reason = Revoked, entry.RevocationTime, Reason(entry.ReasonCode)
		}
	}
	if a.state == Good && a.thisUpdate.After(cert.NotAfter) && !remembers(list.Extensions, oidExpiredCerts, cert.NotAfter) {
		return nil, errors.New("CRL: is younger than the certificate's end")
	}
	return a, nil
}

// covers checks that a CRL speaks for this kind of certificate.
func covers(list *x509.RevocationList, cert *x509.Certificate) error {
	for _, extension := range list.Extensions {
		switch {
		case extension.Id.Equal(oidIssuingDistributionPoint):
			if err := pointCovers(extension.Value, cert); err != nil {
				return err
			}
		case extension.Id.Equal(oidAuthorityKeyID), extension.Id.Equal(oidCRLNumber), extension.Id.Equal(oidExpiredCerts):
		case extension.Critical:
			return fmt.Errorf("CRL: critical extension %s is not understood", extension.Id)
		}
	}
	return nil
}

func pointCovers(der []byte, cert *x509.Certificate) error {
	var point issuingDistributionPoint
	if rest, err := asn1.Unmarshal(der, &point); err != nil || len(rest) > 0 {
		return errors.New("CRL: issuing distribution point cannot be read")
	}
	switch {
	case point.Indirect, point.OnlyAttributes, point.OnlyReasons.BitLength > 0:
		return errors.New("CRL: does not speak for all certificates of its issuer")
	case point.OnlyUsers && cert.IsCA, point.OnlyCAs && !cert.IsCA:
		return errors.New("CRL: is not for this kind of certificate")
	}
	if len(point.Point.FullName) == 0 {
		return nil
	}
	for _, name := range point.Point.FullName {
		const uri = 6
		if name.Class == asn1.ClassContextSpecific && name.Tag == uri && slices.Contains(cert.CRLDistributionPoints, string(name.Bytes)) {
			return nil
		}
	}
	return errors.New("CRL: is for other distribution points than the certificate's")
}
