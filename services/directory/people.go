package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/provider"
	"signbus.dev/pkg/store"
)

// person is a user with what he may do.
type person struct {
	handover.Actor
	enabled     bool
	authorities []Authority
}

func (p *person) may(one ...Authority) bool {
	return slices.ContainsFunc(one, func(a Authority) bool { return slices.Contains(p.authorities, a) })
}

// people are the users and roles that one envelope names.
type people struct {
	users map[string]*person
	// roles holds the members of each role that exists, ordered by external id.
	roles map[string][]string
}

// readPeople reads the users and roles of a customer, and the users that the roles name.
func readPeople(ctx context.Context, q store.Querier, customer string, users, roles []string) (people, error) {
	p := people{users: map[string]*person{}, roles: map[string][]string{}}
	for _, ids := range chunks(roles) {
		rows, err := q.Query(ctx, `SELECT r.role_id, COALESCE(m.user_id, '') FROM directory_roles r
			LEFT JOIN directory_role_members m ON m.customer = r.customer AND m.role_id = r.role_id
			WHERE r.customer = $1 AND r.role_id IN (`+placeholders(2, len(ids))+`)`, arguments(customer, ids)...)
		pairs, err := store.Collect(rows, err, func(pair *[2]string, scan func(...any) error) error { return scan(&pair[0], &pair[1]) })
		if err != nil {
			return p, fmt.Errorf("read roles: %w", err)
		}
		for _, pair := range pairs {
			members := p.roles[pair[0]]
			if pair[1] != "" {
				members = append(members, pair[1])
				users = append(users, pair[1])
			}
			p.roles[pair[0]] = members
		}
	}
	for _, members := range p.roles { // in Go, because the engines order texts in their own ways
		slices.Sort(members)
	}
	slices.Sort(users)
	for _, ids := range chunks(slices.Compact(users)) {
		if err := p.readUsers(ctx, q, customer, ids); err != nil {
			return p, fmt.Errorf("read users: %w", err)
		}
	}
	return p, nil
}

func (p people) readUsers(ctx context.Context, q store.Querier, customer string, ids []string) error {
	rows, err := q.Query(ctx, `SELECT u.external_id, u.name, u.surname, u.email, u.language, u.title, u.organization, u.company,
			u.enabled, COALESCE(a.authority, '')
		FROM directory_users u LEFT JOIN directory_authorities a ON a.customer = u.customer AND a.user_id = u.external_id
		WHERE u.customer = $1 AND u.external_id IN (`+placeholders(2, len(ids))+`)`, arguments(customer, ids)...)
	list, err := store.Collect(rows, err, func(u *person, scan func(...any) error) error {
		u.authorities = make([]Authority, 1)
		return scan(&u.ExternalID, &u.Name, &u.Surname, &u.Email, &u.Language, &u.Title, &u.Organization, &u.Company,
			&u.enabled, (*string)(&u.authorities[0]))
	})
	if err != nil {
		return err
	}
	for _, u := range list { // one row for each authority
		if known := p.users[u.ExternalID]; known != nil {
			known.authorities = append(known.authorities, u.authorities...)
			continue
		}
		p.users[u.ExternalID] = &u
	}
	return nil
}

// settings are what a customer has decided for all its envelopes.
type settings struct {
	// level is the signature level of tasks that name none.
	level string
	// qr is whether signatures that show carry a QR code where the task says nothing.
	qr bool
}

// readSettings reads those of a customer who may use the bus; for another it returns a
// [contract.Error].
func readSettings(ctx context.Context, q store.Querier, customer string) (settings, error) {
	var (
		s        settings
		disabled bool
	)
	err := q.QueryRow(ctx, `SELECT disabled, signature_level, qr FROM directory_customers WHERE id = $1`, []any{customer},
		&disabled, &s.level, &s.qr)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return s, &contract.Error{Code: contract.CodeCustNotFound, Message: "there is no such customer"}
	case err != nil:
		return s, fmt.Errorf("read customer: %w", err)
	case disabled:
		return s, &contract.Error{Code: contract.CodeProductExpired, Message: "the customer is disabled; ask the operator of the bus"}
	case s.level == "":
		s.level = provider.DefaultLevel
	}
	return s, nil
}

// chunks keeps statements within the number of arguments that engines take.
func chunks(ids []string) [][]string {
	return slices.Collect(slices.Chunk(ids, 500))
}

// placeholders writes n placeholders, "$2, $3, $4" for from 2.
func placeholders(from, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(from + i))
	}
	return b.String()
}

func arguments(customer string, ids []string) []any {
	args := make([]any, 0, len(ids)+1)
	args = append(args, customer)
	for _, id := range ids {
		args = append(args, id)
	}
	return args
}
