package signaturebook

import (
	"context"
	"errors"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/store"
	"signbus.dev/services/signature-book/pages"
)

// link returns the address of a session's page.
func (s *Service) link(token string) string { return s.PublicURL + pages.Prefix + token }

// signingURL answers where the actor of an assignment signs. After the secret was changed
// the answer is a new link, and the one sent before ends.
func (s *Service) signingURL(ctx context.Context, q handover.SigningURLQuery) (any, error) {
	token := s.secrets.token(q.Assignment)
	hash := hashToken(token)
	err := s.DB.Update(ctx, func(tx *store.Tx) error {
		known, err := lockSession(ctx, tx, q.Assignment)
		if err != nil {
			return err
		}
		if known == nil || known.Customer != q.Customer || known.TokenHash == "" {
			return &contract.Error{Code: contract.CodeNotFound, Message: "the assignment has no signing page; it is not open, or nobody signs it in person"}
		}
		if known.Status == pages.Closed {
			return &contract.Error{Code: contract.CodeNotFound, Message: "the assignment was withdrawn and has no signing page any more"}
		}
		if known.TokenHash == hash {
			return nil
		}
		known.TokenHash = hash
		return known.save(ctx, tx, s.Now())
	})
	if known := new(contract.Error); errors.As(err, &known) {
		return nil, known
	}
	if err != nil {
		return nil, err
	}
	return handover.SigningURL{URL: s.link(token)}, nil
}
