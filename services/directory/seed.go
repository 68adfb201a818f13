package directory

import "context"

// What [Seed] makes. The code is no secret: it is for a bus on one's own machine.
const (
	// DemoCustomer is the id of the customer.
	DemoCustomer = "demo"
	// DemoCode is its customerCode.
	DemoCode = "demo-secret"
	// DemoSystem is its external system.
	DemoSystem = "ERP"
)

// Seed makes the customer for development: one external system, a secretary, three
// managers and a role of the first two. It can be called at every start.
func Seed(ctx context.Context, s *Service) error {
	if err := s.EnsureCustomer(ctx, Customer{
		ID: DemoCustomer, Name: "Demo", Codes: []string{DemoCode}, Systems: []string{DemoSystem},
	}); err != nil {
		return err
	}
	person := User{Customer: DemoCustomer, Language: "en", Timezone: "UTC", Organization: "Board", Company: "Demo Company"}
	for _, p := range []struct {
		id, name, surname, title string
		authority                Authority
	}{
		{"segr", "Demo", "Secretary", "", Secretary},
		{"anna", "Anna", "Alpha", "Director", Manager},
		{"bruno", "Bruno", "Beta", "Manager", Manager},
		{"carla", "Carla", "Gamma", "Manager", Manager},
	} {
		u := person
		u.ExternalID, u.Username, u.Name, u.Surname, u.Title = p.id, p.id, p.name, p.surname, p.title
		u.Email = p.id + "@example.com"
		u.Authorities = []Authority{p.authority}
		if err := s.EnsureUser(ctx, u); err != nil {
			return err
		}
	}
	return s.EnsureRole(ctx, Role{Customer: DemoCustomer, ID: "1", Name: "Signers", Members: []string{"anna", "bruno"}})
}
