package signaturebook

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/bus/bustest"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/pki"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/subjects"
)

func TestOperatorListsAndRevokes(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *store.DB) {
		b := newBook(t, db, nil)
		anna, err := b.authority.User(t.Context(), pki.User{Customer: "demo", ExternalID: "anna", Name: "Anna Alpha"})
		require.NoError(t, err)
		_, err = b.authority.User(t.Context(), pki.User{Customer: "demo", ExternalID: "bruno", Name: "Bruno Beta"})
		require.NoError(t, err)
		_, err = b.authority.TSA(t.Context())
		require.NoError(t, err)
		ask := func(verb string, request, result any) error {
			return bus.Call(t.Context(), b.bus.Conn, subjects.SignatureBook, verb, request, result)
		}
		list := func(q handover.CertificateQuery) []handover.Certificate {
			var found handover.Certificates
			require.NoError(t, ask(handover.CallCertificates, q, &found))
			require.False(t, found.More)
			return found.Certificates
		}
		bustest.Eventually(t, func() bool {
			return ask(handover.CallCertificates, handover.CertificateQuery{}, nil) == nil
		}, "the service answers")
		all := list(handover.CertificateQuery{})
		require.Len(t, all, 3)
		require.Contains(t, all[0].Subject, "Time-Stamp", "what ends last comes first")
		found := list(handover.CertificateQuery{Name: "aNNa al"})
		require.Len(t, found, 1)
		serial := fmt.Sprintf("%x", anna.Chain[0].SerialNumber)
		require.Equal(t, serial, found[0].Serial)
		require.Nil(t, found[0].RevokedAt)

		var done handover.Revocation
		require.NoError(t, ask(handover.CallRevoke, handover.RevokeRequest{Serial: strings.ToUpper(serial), Reason: "keyCompromise"}, &done))
		require.Equal(t, serial, done.Serial)
		require.Equal(t, "keyCompromise", done.Reason)
		require.WithinDuration(t, b.clock.Now(), done.At, time.Minute)
		require.Empty(t, list(handover.CertificateQuery{Name: "anna"}))
		found = list(handover.CertificateQuery{Name: "anna", All: true})
		require.Len(t, found, 1)
		require.WithinDuration(t, done.At, *found[0].RevokedAt, 0)
		require.Equal(t, "keyCompromise", found[0].Reason)

		future := time.Now().Add(time.Hour)
		for name, c := range map[string]struct {
			request handover.RevokeRequest
			code    contract.Code
			path    string
		}{
			"no number":  {handover.RevokeRequest{Serial: "anna", Reason: "superseded"}, contract.CodeIllegalArgument, "serial"},
			"not ours":   {handover.RevokeRequest{Serial: "1234", Reason: "superseded"}, contract.CodeNotFound, "serial"},
			"no reason":  {handover.RevokeRequest{Serial: serial, Reason: "boredom"}, contract.CodeIllegalArgument, "reason"},
			"the future": {handover.RevokeRequest{Serial: serial, Reason: "superseded", At: &future}, contract.CodeIllegalArgument, "at"},
		} {
			err := ask(handover.CallRevoke, c.request, nil)
			var known *contract.Error
			require.ErrorAs(t, err, &known, name)
			require.Equal(t, c.code, known.Code, name)
			require.Equal(t, c.path, known.Path, name)
		}
	})
}
