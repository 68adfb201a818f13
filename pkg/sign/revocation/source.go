package revocation

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Local is a Source whose answers are at hand: it is how an authority in this process
// answers without HTTP. The answers are verified like any other; the function returns none
// for certificates that are not its own.
type Local func(ctx context.Context, chain []*x509.Certificate) (certificates []*x509.Certificate, ocsps, crls [][]byte, err error)

var _ Source = Local(nil)

// Collect implements Source.
func (f Local) Collect(ctx context.Context, chain []*x509.Certificate, at time.Time) (Data, error) {
	certificates, ocsps, crls, err := f(ctx, chain)
	if err != nil {
		return Data{}, fmt.Errorf("collect revocation information: %w: %w", ErrUnavailable, err)
	}
	data := Data{OCSPs: ocsps, CRLs: crls}
	data.addCertificates(chain...)
	data.addCertificates(certificates...)
	for i, cert := range chain[:max(len(chain)-1, 0)] {
		if err := data.Status(cert, chain[i+1], at).Err(); err != nil {
			return Data{}, fmt.Errorf("collect revocation information: %w", err)
		}
	}
	return data, nil
}

// First asks one source after the other, until one knows: the next is asked when an answer
// is unknown or not available.
type First []Source

var _ Source = First(nil)

// Collect implements Source.
func (f First) Collect(ctx context.Context, chain []*x509.Certificate, at time.Time) (Data, error) {
	var errs []error
	for _, source := range f {
		data, err := source.Collect(ctx, chain, at)
		if err == nil || (!errors.Is(err, ErrUnknown) && !errors.Is(err, ErrUnavailable)) {
			return data, err
		}
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		return Data{}, fmt.Errorf("collect revocation information: %w: no source", ErrUnavailable)
	}
	// The last source is the one that reaches furthest.
	return Data{}, errs[len(errs)-1]
}
