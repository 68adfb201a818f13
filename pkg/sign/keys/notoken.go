//go:build !pkcs11

package keys

import (
	"context"
	"fmt"
)

// fromToken says which build has tokens.
func (o Options) fromToken(context.Context, string) (*found, error) {
	return nil, fmt.Errorf("this program was built without PKCS #11, build it with `make build-pkcs11`: %w", ErrUnsupported)
}
