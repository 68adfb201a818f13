package pki

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
)

// Certificates calls f with each certificate that was issued for a key in the key store,
// and with its revocation, nil when it was not revoked. It stops at f's first error and
// returns it. Certificates for keys elsewhere (CertifyUser) are not kept, so not listed.
func (a *Authority) Certificates(ctx context.Context, f func(*x509.Certificate, *Revocation) error) error {
	list, err := a.Revoked(ctx)
	if err != nil {
		return err
	}
	revoked := make(map[string]*Revocation, len(list))
	for i := range list {
		revoked[list[i].Serial.String()] = &list[i]
	}
	visit := func(name string, value []byte) error {
		var r record
		if err := json.Unmarshal(value, &r); err != nil || len(r.Chain) == 0 {
			return fmt.Errorf("record %s: %w", name, ErrCorrupt)
		}
		certificate, err := x509.ParseCertificate(r.Chain[0])
		if err != nil {
			return fmt.Errorf("record %s: %w", name, ErrCorrupt)
		}
		return f(certificate, revoked[certificate.SerialNumber.String()])
	}
	for _, kind := range []string{"user", "seal"} {
		if err := a.keeper.Each(ctx, kind, visit); err != nil {
			return err
		}
	}
	for _, p := range []profile{tsaProfile(), ocspProfile()} {
		for number := 1; ; number++ {
			value, err := a.keeper.Get(ctx, numbered(p.record, number))
			if errors.Is(err, ErrNotFound) {
				break
			}
			if err == nil {
				err = visit(p.record, value)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
