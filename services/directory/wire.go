package directory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"signbus.dev/pkg/provider"
	"signbus.dev/pkg/service"
	"signbus.dev/pkg/subjects"
)

// Wire builds the service on a platform, makes the customer of the development mode, and
// applies the configured file.
func Wire(ctx context.Context, p *service.Platform) (service.Unit, error) {
	if err := Migrate(ctx, p.DB); err != nil {
		return service.Unit{}, err
	}
	s := New(Options{
		DB: p.DB, Conn: p.Conn, JS: p.JS, Publisher: p.Publisher, Log: p.Log, Metrics: p.Metrics,
		AllowHTTP: p.Config.WebhookHTTP, Replicas: p.Config.Replicas,
		Providers: []provider.Capabilities{provider.SignatureBook(p.Config.EscrowCert != "")},
	})
	if p.Config.Dev {
		if err := Seed(ctx, s); err != nil {
			return service.Unit{}, err
		}
	}
	if p.Config.Directory != "" {
		if err := s.applyFile(ctx, p.Config.Directory); err != nil {
			return service.Unit{}, err
		}
	}
	return service.Unit{Name: subjects.Directory, Run: s.Run}, nil
}

// directoryFile is the file that SIGNBUS_DIRECTORY names: what must exist. What it does
// not name stays as it is.
type directoryFile struct {
	Customers []struct {
		ID      string   `json:"id"`
		Name    string   `json:"name"`
		Codes   []string `json:"customerCodes"`
		Systems []string `json:"externalSystems"`
		// SignatureLevel is that of tasks that name none.
		SignatureLevel string `json:"signatureLevel"`
		// QR puts a QR code into signatures that show.
		QR       bool `json:"qr"`
		Disabled bool `json:"disabled"`
		Users    []struct {
			ExternalID   string      `json:"externalId"`
			Username     string      `json:"username"`
			Name         string      `json:"name"`
			Surname      string      `json:"surname"`
			Email        string      `json:"email"`
			Phone        string      `json:"phone"`
			Language     string      `json:"language"`
			Timezone     string      `json:"timezone"`
			Title        string      `json:"title"`
			Organization string      `json:"organization"`
			Company      string      `json:"company"`
			Authorities  []Authority `json:"authorities"`
			Disabled     bool        `json:"disabled"`
		} `json:"users"`
		Roles []struct {
			ID      string   `json:"id"`
			Name    string   `json:"name"`
			Members []string `json:"members"`
		} `json:"roles"`
	} `json:"customers"`
}

func (s *Service) applyFile(ctx context.Context, path string) error {
	f, err := os.Open(path) //nolint:gosec // the operator's own file
	if err != nil {
		return fmt.Errorf("SIGNBUS_DIRECTORY: %w", err)
	}
	defer f.Close()
	decoder := json.NewDecoder(f)
	decoder.DisallowUnknownFields()
	var file directoryFile
	if err := decoder.Decode(&file); err != nil {
		return fmt.Errorf("SIGNBUS_DIRECTORY: %w", err)
	}
	var errs []error
	for _, c := range file.Customers {
		errs = append(errs, s.EnsureCustomer(ctx, Customer{ID: c.ID, Name: c.Name, Codes: c.Codes, Systems: c.Systems, SignatureLevel: c.SignatureLevel, QR: c.QR, Disabled: c.Disabled}))
		for _, u := range c.Users {
			username := u.Username
			if username == "" {
				username = u.ExternalID
			}
			errs = append(errs, s.EnsureUser(ctx, User{
				Customer: c.ID, ExternalID: u.ExternalID, Username: username, Name: u.Name, Surname: u.Surname, Email: u.Email,
				Phone: u.Phone, Language: u.Language, Timezone: u.Timezone, Title: u.Title, Organization: u.Organization,
				Company: u.Company, Authorities: u.Authorities, Disabled: u.Disabled,
			}))
		}
		for _, r := range c.Roles {
			errs = append(errs, s.EnsureRole(ctx, Role{Customer: c.ID, ID: r.ID, Name: r.Name, Members: r.Members}))
		}
	}
	return errors.Join(errs...)
}
