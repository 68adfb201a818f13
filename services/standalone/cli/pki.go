package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/subjects"
)

// pki is for operators: it asks the running bus, whose key store nobody else opens.
func (a *app) pki() *cobra.Command {
	parent := &cobra.Command{
		Use: "pki", Short: "List and revoke certificates of the built-in authority", GroupID: "bus",
		Long: "List and revoke certificates of the built-in authority. Both ask the running bus, over a connection that may make calls to services: the operator's.",
	}
	parent.AddCommand(a.pkiList(), a.pkiRevoke())
	return parent
}

func (a *app) pkiList() *cobra.Command {
	var query handover.CertificateQuery
	list := &cobra.Command{
		Use: "list", Short: "List certificates with their serial numbers", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			var found handover.Certificates
			if err := a.operate(c.Context(), handover.CallCertificates, query, &found); err != nil {
				return err
			}
			for _, one := range found.Certificates {
				state := "until " + one.NotAfter.Format(time.DateOnly)
				if one.RevokedAt != nil {
					state = "revoked " + one.RevokedAt.Format(time.DateTime) + ", " + one.Reason
				}
				if err := a.print(one, "%s  %s  %s\n", one.Serial, state, one.Subject); err != nil {
					return err
				}
			}
			if found.More {
				a.note("There are more; narrow the list with --name.")
			}
			return nil
		},
	}
	list.Flags().StringVar(&query.Name, "name", "", "only those whose subject contains this")
	list.Flags().BoolVar(&query.All, "all", false, "also those that have ended or were revoked")
	return list
}

func (a *app) pkiRevoke() *cobra.Command {
	var at string
	request := handover.RevokeRequest{}
	revoke := &cobra.Command{
		Use: "revoke SERIAL", Short: "Revoke a certificate, for ever", Args: args(cobra.ExactArgs(1)),
		Long: `Revoke a certificate of the built-in authority, for ever. What it signed before that time stays valid
where a time-stamp proves it. Whose certificate it was gets a new one with a new key when he signs again:
to keep him from signing, disable him in the directory.`,
		RunE: func(c *cobra.Command, list []string) error {
			request.Serial = list[0]
			if at != "" {
				moment, err := time.Parse(time.RFC3339, at)
				if err != nil {
					return usageError{fmt.Errorf("--at %q is not a time such as 2026-11-22T10:00:00Z", at)}
				}
				request.At = &moment
			}
			var done handover.Revocation
			if err := a.operate(c.Context(), handover.CallRevoke, request, &done); err != nil {
				return err
			}
			return a.print(done, "%s is revoked since %s (%s)\n", done.Serial, done.At.Format(time.RFC3339), done.Reason)
		},
	}
	revoke.Flags().StringVar(&request.Reason, "reason", "unspecified",
		"unspecified, keyCompromise, cACompromise, affiliationChanged, superseded, cessationOfOperation or privilegeWithdrawn")
	revoke.Flags().StringVar(&at, "at", "", "since when it is not to be trusted (RFC 3339); default now")
	return revoke
}

// operate makes a call to the signature book.
func (a *app) operate(ctx context.Context, verb string, request, result any) error {
	nc, err := nats.Connect(a.nats, nats.Name("signbus-cli"), nats.Timeout(dialTimeout))
	if err != nil {
		return fmt.Errorf("connect to NATS at %s: %w", a.nats, err)
	}
	defer nc.Close()
	err = bus.Call(ctx, nc, subjects.SignatureBook, verb, request, result)
	if errors.Is(err, nats.ErrNoResponders) {
		return fmt.Errorf("no signature-book answers at %s: it does not run, or this connection may not call it", nc.ConnectedAddr())
	}
	return err
}
