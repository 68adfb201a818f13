package keys

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTokenURI(t *testing.T) {
	t.Parallel()
	uri, err := parseTokenURI("pkcs11:token=My%20card;object=anna;id=%01%FF;type=private;manufacturer=x?module-path=/usr/lib/card.so&pin-source=file:/run/pin")
	require.NoError(t, err)
	require.Equal(t, &tokenURI{module: "/usr/lib/card.so", label: "My card", object: "anna", id: []byte{1, 0xff}, pinFile: "/run/pin"}, uri)
	uri, err = parseTokenURI("pkcs11:slot-id=3?module-path=/m&pin-source=file:///run/pin")
	require.NoError(t, err)
	require.Equal(t, 3, *uri.slot)
	require.Equal(t, "/run/pin", uri.pinFile)
	for _, wrong := range []string{
		"pkcs11:", "pkcs11:token=a", "pkcs11:object=a?module-path=/m", "pkcs11:token=a?module-path=/m&pin-value=1234",
		"pkcs11:token=a?module-path=/m&pin-source=%7Ccat%20pin", "pkcs11:token=%zz?module-path=/m", "pkcs11:token?module-path=/m",
		"pkcs11:slot-id=x?module-path=/m", "pkcs11:token=a;type=cert?module-path=/m", "pkcs11:token=a;colour=red?module-path=/m",
		"pkcs11:token=a?module-path=/m&module-name=m",
	} {
		_, err := parseTokenURI(wrong)
		require.ErrorIs(t, err, ErrUnsupported, wrong)
		require.NotContains(t, err.Error(), "1234")
	}
}
