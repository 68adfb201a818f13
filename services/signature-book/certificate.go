package signaturebook

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/pki"
)

// Register lists and revokes what was certified; *pki.Authority does.
type Register interface {
	Certificates(ctx context.Context, f func(*x509.Certificate, *pki.Revocation) error) error
	Revoke(ctx context.Context, serial *big.Int, reason pki.Reason, at time.Time) (pki.Revocation, error)
}

// maxCertificates bounds the answer to what a person reads.
const maxCertificates = 1000

var errEnough = errors.New("enough")

// certificates lists certificates for the operator, those that end last first.
func (s *Service) certificates(ctx context.Context, q handover.CertificateQuery) (any, error) {
	out := handover.Certificates{Certificates: []handover.Certificate{}}
	name, now := strings.ToLower(q.Name), s.Now()
	err := s.Register.Certificates(ctx, func(c *x509.Certificate, revoked *pki.Revocation) error {
		subject := c.Subject.String()
		if !strings.Contains(strings.ToLower(subject), name) || (!q.All && (revoked != nil || now.After(c.NotAfter))) {
			return nil
		}
		if len(out.Certificates) == maxCertificates {
			return errEnough
		}
		one := handover.Certificate{Serial: fmt.Sprintf("%x", c.SerialNumber), Subject: subject, NotBefore: c.NotBefore, NotAfter: c.NotAfter}
		if revoked != nil {
			one.RevokedAt, one.Reason = &revoked.At, revoked.Reason.String()
		}
		out.Certificates = append(out.Certificates, one)
		return nil
	})
	if out.More = errors.Is(err, errEnough); err != nil && !out.More {
		return nil, err
	}
	slices.SortFunc(out.Certificates, func(a, b handover.Certificate) int { return b.NotAfter.Compare(a.NotAfter) })
	return out, nil
}

// revoke revokes a certificate for the operator.
func (s *Service) revoke(ctx context.Context, q handover.RevokeRequest) (any, error) {
	serial, ok := new(big.Int).SetString(strings.ReplaceAll(q.Serial, ":", ""), 16)
	if !ok {
		return nil, &contract.Error{Code: contract.CodeIllegalArgument, Path: "serial", Message: "the serial number is not hexadecimal"}
	}
	reason, err := pki.ParseReason(q.Reason)
	if err != nil {
		return nil, &contract.Error{Code: contract.CodeIllegalArgument, Path: "reason", Message: pki.ErrReason.Error()}
	}
	var at time.Time
	if q.At != nil {
		at = *q.At
	}
	revoked, err := s.Register.Revoke(ctx, serial, reason, at)
	switch {
	case errors.Is(err, pki.ErrNotIssued):
		return nil, &contract.Error{Code: contract.CodeNotFound, Path: "serial", Message: "the authority of this bus gave no certificate of that serial number"}
	case errors.Is(err, pki.ErrTime):
		return nil, &contract.Error{Code: contract.CodeIllegalArgument, Path: "at", Message: pki.ErrTime.Error()}
	case err != nil:
		return nil, err
	}
	s.Log.Info("certificate revoked", "serial", fmt.Sprintf("%x", revoked.Serial), "reason", revoked.Reason.String(), "at", revoked.At)
	return handover.Revocation{Serial: fmt.Sprintf("%x", revoked.Serial), At: revoked.At, Reason: revoked.Reason.String()}, nil
}
