package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"signbus.dev/pkg/contract"
)

func (a *app) subscribe() *cobra.Command {
	var (
		s     contract.Subscribe
		types []string
		mode  string
	)
	c := &cobra.Command{
		Use: "subscribe URL", Short: "Register a webhook that receives events as signed CloudEvents", GroupID: "client", Args: args(cobra.ExactArgs(1)),
		Long: `Register a webhook. Each event is sent as a CloudEvent, signed per the Standard Webhooks specification
with the secret that is printed now and never again. Failed deliveries are tried again on a published schedule.`,
		RunE: func(c *cobra.Command, urls []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			s.URL, s.Mode = urls[0], contract.SubscriptionMode(mode)
			for _, t := range types {
				if !strings.HasPrefix(t, contract.EventPrefix) {
					t = contract.EventPrefix + t
				}
				s.Types = append(s.Types, contract.EventType(t))
			}
			made, err := client.Subscribe(c.Context(), s)
			if err != nil {
				return err
			}
			return a.print(made, "Subscription %s\n  url     %s\n  mode    %s\n  secret  %s\n", made.ID, made.URL, made.Mode, made.Secret)
		},
	}
	f := c.Flags()
	f.StringSliceVar(&types, "types", nil, "event types, such as envelope.process.ended (default: all)")
	f.StringVar(&mode, "mode", string(contract.ModeBinary), "CloudEvents content mode: binary or structured")
	f.StringVar(&s.ExternalSystemCode, "only-system", "", "only events of this external system")
	return c
}

func (a *app) subscriptions() *cobra.Command {
	return &cobra.Command{
		Use: "subscriptions", Short: "List the webhooks", GroupID: "client", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			list, err := client.Subscriptions(c.Context())
			if err != nil {
				return err
			}
			for _, s := range list {
				if err := a.print(s, "%s  %-10s %s\n", s.ID, s.Mode, s.URL); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (a *app) unsubscribe() *cobra.Command {
	return &cobra.Command{
		Use: "unsubscribe SUBSCRIPTION", Short: "Remove a webhook", GroupID: "client", Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, ids []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			if err := client.Unsubscribe(c.Context(), ids[0]); err != nil {
				return err
			}
			return a.print(map[string]string{"removed": ids[0]}, "Removed %s\n", ids[0])
		},
	}
}
