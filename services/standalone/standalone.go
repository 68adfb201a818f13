// Package standalone joins the services: it is the one place that knows all of them. It
// owns nothing.
package standalone

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/journal"
	"signbus.dev/pkg/service"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/subjects"
	"signbus.dev/services/directory"
	documentstore "signbus.dev/services/document-store"
	"signbus.dev/services/intake"
	relay "signbus.dev/services/notification-relay"
	providerdispatch "signbus.dev/services/provider-dispatch"
	signaturebook "signbus.dev/services/signature-book"
)

// wires are the services in the order in which they start: whoever is asked first.
var wires = []struct {
	name string
	wire service.Wire
}{
	{subjects.Directory, directory.Wire},
	{subjects.DocumentStore, documentstore.Wire},
	{subjects.ProviderDispatch, providerdispatch.Wire},
	{subjects.SignatureBook, signaturebook.Wire},
	{subjects.NotificationRelay, relay.Wire},
	{subjects.Intake, intake.Wire},
}

// Names returns the names of all services.
func Names() []string {
	names := make([]string, 0, len(wires))
	for _, w := range wires {
		names = append(names, w.name)
	}
	return names
}

// Wires returns the wires of the named services, in starting order.
func Wires(names ...string) ([]service.Wire, error) {
	for _, name := range names {
		if !slices.Contains(Names(), name) {
			return nil, fmt.Errorf("unknown service %q; services: %s", name, strings.Join(Names(), ", "))
		}
	}
	var list []service.Wire
	for _, w := range wires {
		if slices.Contains(names, w.name) {
			list = append(list, w.wire)
		}
	}
	return list, nil
}

// Migrate brings the tables of every owner up to date.
func Migrate(ctx context.Context, db *store.DB) error {
	var errs []error
	for _, migrate := range []func(context.Context, *store.DB) error{
		bus.Migrate, journal.Migrate, intake.Migrate, documentstore.Migrate, directory.Migrate,
		providerdispatch.Migrate, signaturebook.Migrate, relay.Migrate,
	} {
		errs = append(errs, migrate(ctx, db))
	}
	return errors.Join(errs...)
}
