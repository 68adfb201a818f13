package signaturebook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/store"
	"signbus.dev/services/signature-book/pages"
)

// acceptedDocument is one document that an actor agreed to, named by its bytes.
type acceptedDocument struct {
	DocExternalID string                `json:"docExternalId"`
	SHA256        string                `json:"sha256"`
	Version       int                   `json:"version"`
	Actions       []contract.ActionType `json:"actions"`
}

// consent is what an actor agreed to.
type consent struct {
	GivenAt     time.Time
	Client      pages.Client
	Accepted    []acceptedDocument
	Autograph   pages.Autograph
	ConfirmedAt time.Time // zero until the one-time code was entered
}

// putConsent writes a consent that is not confirmed, in place of an earlier one.
func putConsent(ctx context.Context, tx *store.Tx, assignment string, c consent) error {
	accepted, err := json.Marshal(c.Accepted)
	if err != nil {
		return err
	}
	autograph, err := json.Marshal(c.Autograph)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `INSERT INTO signature_consent
			(assignment, given_at, ip, user_agent, accepted, autograph, confirmed_at, confirmed_ip, confirmed_agent)
		VALUES ($1, $2, $3, $4, $5, $6, 0, '', '')
		ON CONFLICT (assignment) DO UPDATE SET given_at = excluded.given_at, ip = excluded.ip,
			user_agent = excluded.user_agent, accepted = excluded.accepted, autograph = excluded.autograph
		WHERE signature_consent.confirmed_at = 0`,
		assignment, store.Micros(c.GivenAt), c.Client.IP, c.Client.UserAgent, string(accepted), string(autograph))
	if err == nil && n == 0 {
		return fmt.Errorf("consent of assignment %s is confirmed already: %w", assignment, pages.ErrWrongStatus)
	}
	return err
}

// confirmConsent records that the one-time code was entered.
func confirmConsent(ctx context.Context, tx *store.Tx, assignment string, client pages.Client, at time.Time) error {
	n, err := tx.Exec(ctx, `UPDATE signature_consent SET confirmed_at = $2, confirmed_ip = $3, confirmed_agent = $4
		WHERE assignment = $1 AND confirmed_at = 0`, assignment, store.Micros(at), client.IP, client.UserAgent)
	if err == nil && n == 0 {
		return fmt.Errorf("consent of assignment %s is not there to be confirmed: %w", assignment, pages.ErrWrongStatus)
	}
	return err
}

// findConsent reads a confirmed consent; nil when there is none.
func findConsent(ctx context.Context, q store.Querier, assignment string) (*consent, error) {
	var (
		c                   consent
		given, confirmed    int64
		accepted, autograph string
	)
	err := q.QueryRow(ctx, `SELECT given_at, ip, user_agent, accepted, autograph, confirmed_at FROM signature_consent
		WHERE assignment = $1 AND confirmed_at > 0`, []any{assignment},
		&given, &c.Client.IP, &c.Client.UserAgent, &accepted, &autograph, &confirmed)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c.GivenAt, c.ConfirmedAt = store.Time(given), store.Time(confirmed)
	if err := errors.Join(json.Unmarshal([]byte(accepted), &c.Accepted), json.Unmarshal([]byte(autograph), &c.Autograph)); err != nil {
		return nil, fmt.Errorf("consent of assignment %s: %w", assignment, err)
	}
	return &c, nil
}
