package directory

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/subjects"
)

var (
	// ErrInvalid says that a customer, user or role cannot be kept as it was given.
	ErrInvalid = errors.New("invalid")
	// ErrKeyTaken says that a customerCode is another customer's or was revoked.
	ErrKeyTaken = errors.New("customerCode cannot be used")
)

// Customer is a tenant as [Service.EnsureCustomer] takes it.
type Customer struct {
	// ID is public and stands in subjects.
	ID   string
	Name string
	// Codes are the customerCodes; only their digests are kept.
	Codes []string
	// Systems are the external systems that may send.
	Systems []string
	// SignatureLevel is that of tasks that name none; empty means [provider.DefaultLevel].
	SignatureLevel string
	// QR puts a QR code to the verification page into signatures that show, unless the task
	// says otherwise.
	QR       bool
	Disabled bool
}

// Authority is what a user may do.
type Authority string

// The authorities.
const (
	// Manager signs, also by automatic signature.
	Manager Authority = "manager"
	// Secretary loads envelopes.
	Secretary Authority = "secretary"
	// Stranger signs without being one of the customer's own people.
	Stranger Authority = "stranger"
	// Admin may do what a secretary may, and keeps the directory.
	Admin Authority = "admin"
)

// User is a person as [Service.EnsureUser] takes it.
type User struct {
	Customer string
	// ExternalID is unique for the customer; upper and lower case differ.
	ExternalID string
	// Username is the name to log in with, unique for the customer.
	Username, Name, Surname, Email, Phone string
	// Language and Timezone are for mails and pages, such as "en" and "Europe/Rome".
	Language, Timezone           string
	Title, Organization, Company string
	Authorities                  []Authority
	Disabled                     bool
}

// Role is a group of users as [Service.EnsureRole] takes it.
type Role struct {
	Customer, ID, Name string
	// Members are external ids of users that exist.
	Members []string
}

// EnsureCustomer makes the customer as given, or brings it to that. Codes and systems
// that it has besides stay; a code is given up by [Service.RevokeCode].
func (s *Service) EnsureCustomer(ctx context.Context, c Customer) error {
	if err := c.validate(); err != nil {
		return fmt.Errorf("ensure customer: %w", err)
	}
	err := s.DB.Update(ctx, func(tx *store.Tx) error {
		now := store.Micros(s.Now())
		if _, err := tx.Exec(ctx, `INSERT INTO directory_customers (id, name, disabled, signature_level, qr, created_at, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, $6)
			ON CONFLICT (id) DO UPDATE SET name = excluded.name, disabled = excluded.disabled,
				signature_level = excluded.signature_level, qr = excluded.qr, updated_at = excluded.updated_at
			WHERE directory_customers.name <> excluded.name OR directory_customers.disabled <> excluded.disabled
				OR directory_customers.signature_level <> excluded.signature_level OR directory_customers.qr <> excluded.qr`,
			c.ID, c.Name, c.Disabled, c.SignatureLevel, c.QR, now); err != nil {
			return err
		}
		for _, code := range c.Codes {
			if err := ensureKey(ctx, tx, c.ID, digest(code), now); err != nil {
				return err
			}
		}
		for _, system := range c.Systems {
			if _, err := tx.Exec(ctx, `INSERT INTO directory_systems (customer, name, created_at, updated_at) VALUES ($1, $2, $3, $3)
				ON CONFLICT (customer, name) DO NOTHING`, c.ID, system, now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("ensure customer %s: %w", c.ID, err)
	}
	s.publish(ctx, c.ID, handover.KeyCustomer+c.ID)
	return nil
}

func (c Customer) validate() error {
	if !subjects.ValidToken(c.ID) {
		return fmt.Errorf("%w: the id must be 1 to 64 letters, digits, - or _", ErrInvalid)
	}
	for _, system := range c.Systems {
		if !subjects.ValidToken(system) {
			return fmt.Errorf("%w: an external system must be 1 to 64 letters, digits, - or _", ErrInvalid)
		}
	}
	if c.SignatureLevel != "" && !slices.Contains(contract.Levels(), c.SignatureLevel) {
		return fmt.Errorf("%w: the signature level must be %s", ErrInvalid, strings.Join(contract.Levels(), ", "))
	}
	if slices.Contains(c.Codes, "") {
		return fmt.Errorf("%w: a customerCode is empty", ErrInvalid)
	}
	return nil
}

// digest is the only form in which a customerCode is kept.
func digest(code string) string {
	sum := sha256.Sum256([]byte(code))
	return hex.EncodeToString(sum[:])
}

func ensureKey(ctx context.Context, tx *store.Tx, customer, digest string, now int64) error {
	if _, err := tx.Exec(ctx, `INSERT INTO directory_keys (digest, customer, label, created_at, updated_at, revoked_at)
		VALUES ($1, $2, '', $3, $3, 0) ON CONFLICT (digest) DO NOTHING`, digest, customer, now); err != nil {
		return err
	}
	var owner string
	var revoked int64
	if err := tx.QueryRow(ctx, `SELECT customer, revoked_at FROM directory_keys WHERE digest = $1`, []any{digest}, &owner, &revoked); err != nil {
		return err
	}
	if owner != customer || revoked != 0 {
		return ErrKeyTaken
	}
	return nil
}

// RevokeCode makes a customerCode invalid for ever. It returns [store.ErrNotFound] when
// the customer has no such code.
func (s *Service) RevokeCode(ctx context.Context, customer, code string) error {
	err := s.DB.Update(ctx, func(tx *store.Tx) error {
		var revoked int64
		return tx.QueryRow(ctx, `UPDATE directory_keys SET updated_at = $1, revoked_at = CASE WHEN revoked_at = 0 THEN $1 ELSE revoked_at END
			WHERE digest = $2 AND customer = $3 RETURNING revoked_at`,
			[]any{store.Micros(s.Now()), digest(code), customer}, &revoked)
	})
	if err != nil {
		return fmt.Errorf("revoke a customerCode of %s: %w", customer, err)
	}
	s.publish(ctx, customer, handover.KeyCustomer+customer)
	return nil
}

// EnsureUser makes the user as given, or brings him to that.
func (s *Service) EnsureUser(ctx context.Context, u User) error {
	if err := u.validate(); err != nil {
		return fmt.Errorf("ensure user: %w", err)
	}
	err := s.DB.Update(ctx, func(tx *store.Tx) error {
		now := store.Micros(s.Now())
		if _, err := tx.Exec(ctx, `INSERT INTO directory_users (customer, external_id, username, name, surname, email, phone,
				language, timezone, title, organization, company, enabled, created_at, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14)
			ON CONFLICT (customer, external_id) DO UPDATE SET username = excluded.username, name = excluded.name,
				surname = excluded.surname, email = excluded.email, phone = excluded.phone, language = excluded.language,
				timezone = excluded.timezone, title = excluded.title, organization = excluded.organization,
				company = excluded.company, enabled = excluded.enabled, updated_at = excluded.updated_at`,
			u.Customer, u.ExternalID, u.Username, u.Name, u.Surname, u.Email, u.Phone,
			u.Language, u.Timezone, u.Title, u.Organization, u.Company, !u.Disabled, now); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM directory_authorities WHERE customer = $1 AND user_id = $2`, u.Customer, u.ExternalID); err != nil {
			return err
		}
		for _, a := range u.Authorities {
			if _, err := tx.Exec(ctx, `INSERT INTO directory_authorities (customer, user_id, authority, created_at) VALUES ($1, $2, $3, $4)
				ON CONFLICT (customer, user_id, authority) DO NOTHING`, u.Customer, u.ExternalID, string(a), now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("ensure user %s of %s: %w", u.ExternalID, u.Customer, err)
	}
	return nil
}

func (u User) validate() error {
	if err := validReference(u.ExternalID); err != nil {
		return fmt.Errorf("%w: external id %w", ErrInvalid, err)
	}
	if u.Username == "" {
		return fmt.Errorf("%w: the username is missing", ErrInvalid)
	}
	for _, a := range u.Authorities {
		switch a {
		case Manager, Secretary, Stranger, Admin:
		default:
			return fmt.Errorf("%w: an authority must be manager, secretary, stranger or admin", ErrInvalid)
		}
	}
	return nil
}

// EnsureRole makes the role as given, or brings it to that: with these members and no
// others. Users who do not exist give [store.ErrConflict].
func (s *Service) EnsureRole(ctx context.Context, r Role) error {
	if err := validReference(r.ID); err != nil {
		return fmt.Errorf("ensure role: %w: id %w", ErrInvalid, err)
	}
	err := s.DB.Update(ctx, func(tx *store.Tx) error {
		now := store.Micros(s.Now())
		if _, err := tx.Exec(ctx, `INSERT INTO directory_roles (customer, role_id, name, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)
			ON CONFLICT (customer, role_id) DO UPDATE SET name = excluded.name, updated_at = excluded.updated_at`,
			r.Customer, r.ID, r.Name, now); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM directory_role_members WHERE customer = $1 AND role_id = $2`, r.Customer, r.ID); err != nil {
			return err
		}
		for _, member := range r.Members {
			if _, err := tx.Exec(ctx, `INSERT INTO directory_role_members (customer, role_id, user_id, created_at) VALUES ($1, $2, $3, $4)
				ON CONFLICT (customer, role_id, user_id) DO NOTHING`, r.Customer, r.ID, member, now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("ensure role %s of %s: %w", r.ID, r.Customer, err)
	}
	return nil
}

// validReference checks an id that actor expressions must be able to name.
func validReference(id string) error {
	switch {
	case !contract.ValidExternalID(id):
		return errors.New("must be 1 to 255 bytes without control characters")
	case strings.Contains(id, "|"), strings.TrimSpace(id) != id:
		return errors.New("must not contain | nor begin or end with a space")
	}
	return nil
}
