package cli_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/bus/bustest"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/subjects"
)

func TestPKICommands(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t)
	d := newDesk(t)
	d.environ = append(d.environ, "SIGNBUS_CLIENT_NATS="+b.URL)
	nobody := d.run(t, "pki", "list")
	require.Equal(t, 1, nobody.code)
	require.Contains(t, nobody.errs, "no signature-book answers")

	ends := time.Date(2027, 1, 2, 0, 0, 0, 0, time.UTC)
	revoked := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	asked := make(chan handover.RevokeRequest, 1)
	bustest.Go(t, func(ctx context.Context) error {
		return bus.Serve(ctx, b.Conn, subjects.SignatureBook, b.Log, map[string]bus.Verb{
			handover.CallCertificates: bus.Answer(func(_ context.Context, q handover.CertificateQuery) (any, error) {
				out := handover.Certificates{More: true, Certificates: []handover.Certificate{{Serial: "4f", Subject: "CN=Anna", NotAfter: ends}}}
				if q.All && q.Name == "anna" {
					out.Certificates = append(out.Certificates, handover.Certificate{Serial: "50", Subject: "CN=Old Anna", RevokedAt: &revoked, Reason: "superseded"})
				}
				return out, nil
			}),
			handover.CallRevoke: bus.Answer(func(_ context.Context, q handover.RevokeRequest) (any, error) {
				asked <- q
				if q.Reason == "boredom" {
					return nil, &contract.Error{Code: contract.CodeIllegalArgument, Message: "that is no reason"}
				}
				return handover.Revocation{Serial: q.Serial, At: revoked, Reason: q.Reason}, nil
			}),
		})
	})
	bustest.Eventually(t, func() bool { return d.run(t, "pki", "list").code == 0 }, "the service answers")
	list := d.run(t, "pki", "list", "--name", "anna", "--all")
	require.Equal(t, "4f  until 2027-01-02  CN=Anna\n50  revoked 2026-11-22 10:00:00, superseded  CN=Old Anna\n", list.out)
	require.Contains(t, list.errs, "--name")
	require.Contains(t, d.run(t, "pki", "list", "--json").out, `{"serial":"4f","subject":"CN=Anna",`)

	done := d.run(t, "pki", "revoke", "4f", "--reason", "keyCompromise", "--at", "2026-11-22T10:00:00Z")
	require.Zero(t, done.code, done.errs)
	require.Equal(t, "4f is revoked since 2026-11-22T10:00:00Z (keyCompromise)\n", done.out)
	request := <-asked
	require.Equal(t, "keyCompromise", request.Reason)
	require.Equal(t, revoked, request.At.UTC())

	require.Equal(t, 1, d.run(t, "pki", "revoke", "4f", "--reason", "boredom").code)
	require.Nil(t, (<-asked).At)
	require.Equal(t, 2, d.run(t, "pki", "revoke").code)
	require.Equal(t, 2, d.run(t, "pki", "revoke", "4f", "--at", "yesterday").code)
}
