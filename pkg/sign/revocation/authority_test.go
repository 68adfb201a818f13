package revocation_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"signbus.dev/pkg/pki"
	"signbus.dev/pkg/sign/revocation"
)

// The built-in authority answers in process and over HTTP alike.
func TestBuiltInAuthority(t *testing.T) {
	t.Parallel()
	var authority *pki.Authority
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		authority.Handler(slog.New(slog.DiscardHandler)).ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	keeper, err := pki.NewDirectory(t.TempDir())
	require.NoError(t, err)
	authority, err = pki.Open(t.Context(), keeper, pki.Options{Passphrase: []byte("tests"), PublicURL: server.URL})
	require.NoError(t, err)
	user, err := authority.User(t.Context(), pki.User{Customer: "demo", ExternalID: "anna", Name: "Anna"})
	require.NoError(t, err)
	tsa, err := authority.TSA(t.Context())
	require.NoError(t, err)
	local := revocation.Local(authority.Revocation)
	fetching := func(change ...func(*revocation.Options)) revocation.Source {
		return collector(append(change, func(o *revocation.Options) { o.Now = time.Now })...)
	}
	for name, source := range map[string]revocation.Source{
		"in process": local, "over HTTP": fetching(), "with a nonce": fetching(func(o *revocation.Options) { o.Nonce = true }),
	} {
		for _, identity := range []*pki.Identity{user, tsa} {
			data, err := source.Collect(t.Context(), identity.Chain, time.Now())
			require.NoError(t, err, name)
			require.Len(t, data.OCSPs, 1, name)
			require.Len(t, data.Certificates, 3, "%s: with the responder", name)
			require.NoError(t, data.Status(identity.Chain[0], authority.Certificate(), time.Now()).Err())
		}
	}
	list, err := authority.CRL(t.Context())
	require.NoError(t, err)
	data := revocation.Data{CRLs: [][]byte{list}}
	require.NoError(t, data.Status(user.Chain[0], authority.Certificate(), time.Now()).Err())

	_, err = authority.Revoke(t.Context(), user.Chain[0].SerialNumber, pki.KeyCompromise, time.Time{})
	require.NoError(t, err)
	for name, source := range map[string]revocation.Source{"in process": local, "over HTTP": fetching()} {
		_, err := source.Collect(t.Context(), user.Chain, time.Now())
		require.ErrorIs(t, err, revocation.ErrRevoked, name)
		require.ErrorContains(t, err, "keyCompromise", name)
	}
	// Of another authority's certificate it knows nothing.
	a := newAuthority(t)
	leaf, _ := a.issue()
	_, err = local.Collect(t.Context(), a.chain(leaf), now)
	require.ErrorIs(t, err, revocation.ErrUnknown)
}
