// Package cli is the `signbus` command: it runs the bus and it is a client of it. Every
// subcommand speaks to people by default and to programs with --json. It holds no logic
// of the bus.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"signbus.dev/pkg/client"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/service"
	"signbus.dev/services/standalone"
)

// The exit codes.
const (
	exitOK = iota
	// exitFailed: the bus refused, or the thing asked about is not good.
	exitFailed
	// exitUsage: the command line is wrong.
	exitUsage
	// exitUnreachable: the bus cannot be reached.
	exitUnreachable
)

// app is what the subcommands share.
type app struct {
	out, errs io.Writer
	environ   []string
	json      bool
	// Where the bus is and who asks.
	url, nats, customer, system, code, user string
}

// usageError is an error of the command line.
type usageError struct{ error }

// failedError says that something is not good; what has been printed already.
type failedError struct{ error }

// Main runs the command and returns its exit code.
func Main(ctx context.Context, args, environ []string, out, errs io.Writer) int {
	a := &app{out: out, errs: errs, environ: environ}
	root := a.root()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	a.json = a.json || slices.Contains(args, "--json") // the command line may be wrong before its flags are read
	var (
		usage   usageError
		failed  failedError
		refused refusedError
	)
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &failed):
		a.complain(failed.error)
		return exitFailed
	case errors.As(err, &refused):
		a.complain(err)
		return exitFailed
	case errors.As(err, &usage), strings.HasPrefix(err.Error(), "unknown "):
		a.complain(err)
		return exitUsage
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return exitOK // stopped by the user
	case len(contract.Problems(err)) > 0:
		a.complain(err)
		return exitFailed
	case errors.Is(err, nats.ErrNoServers), errors.Is(err, os.ErrDeadlineExceeded), strings.Contains(err.Error(), "connection refused"):
		a.complain(fmt.Errorf("%w\nIs the bus running? Start one with `signbus run --dev`, or name it with --url and --nats", err))
		return exitUnreachable
	}
	a.complain(err)
	return exitFailed
}

func (a *app) complain(err error) {
	var (
		known   *contract.Error
		refused refusedError
	)
	if a.json {
		line := map[string]string{"error": err.Error()}
		if errors.As(err, &known) {
			line["code"] = known.Code.API()
		} else if errors.As(err, &refused) {
			line["code"] = refused.code
		}
		_ = json.NewEncoder(a.errs).Encode(line) //nolint:errchkjson // strings only
		return
	}
	if errors.As(err, &known) {
		_, _ = fmt.Fprintf(a.errs, "signbus: %s: %s\n", known.Code.API(), contract.Sentence(err))
		return
	}
	if errors.As(err, &refused) {
		_, _ = fmt.Fprintf(a.errs, "signbus: %s: %v\n", refused.code, err)
		return
	}
	_, _ = fmt.Fprintln(a.errs, "signbus:", err)
}

func (a *app) env(name, fallback string) string {
	for _, kv := range a.environ {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value
		}
	}
	return fallback
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "signbus",
		Short: "An e-signature bus: hand a signing request over once, get signed documents and ordered events back",
		Long: `Signbus takes signing requests from a company's systems, drives every signer's step, and reports
each fact as an ordered event.

Run a bus on this machine:        signbus run --dev
Have a contract signed:           signbus send contract.pdf --sign anna --then bruno --watch
Check what came back:             signbus verify out/contract.pdf`,
		SilenceUsage: true, SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see `%s --help`", err, c.CommandPath())}
	})
	f := root.PersistentFlags()
	f.BoolVar(&a.json, "json", false, "print JSON, one value a line, for programs")
	f.StringVar(&a.url, "url", a.env("SIGNBUS_CLIENT_URL", "http://127.0.0.1:8080"), "HTTP address of the bus (SIGNBUS_CLIENT_URL)")
	f.StringVar(&a.nats, "server", a.env("SIGNBUS_CLIENT_NATS", "nats://127.0.0.1:4222"), "NATS address of the bus (SIGNBUS_CLIENT_NATS)")
	f.StringVar(&a.customer, "customer", a.env("SIGNBUS_CLIENT_CUSTOMER", "demo"), "id of the customer (SIGNBUS_CLIENT_CUSTOMER)")
	f.StringVar(&a.system, "system", a.env("SIGNBUS_CLIENT_SYSTEM", "ERP"), "external system (SIGNBUS_CLIENT_SYSTEM)")
	f.StringVar(&a.user, "as", a.env("SIGNBUS_CLIENT_USER", "segr"), "secretary in whose name commands are given (SIGNBUS_CLIENT_USER)")
	// The code is a secret: it comes from the environment, so that it is not seen in process lists.
	a.code = a.env("SIGNBUS_CLIENT_CODE", "demo-secret")
	root.AddGroup(&cobra.Group{ID: "bus", Title: "Run the bus:"}, &cobra.Group{ID: "sign", Title: "Sign files on this machine, without a bus:"},
		&cobra.Group{ID: "client", Title: "Use a bus (customerCode in SIGNBUS_CLIENT_CODE):"})
	root.AddCommand(
		a.run(), a.serve(), a.migrate(), a.config(), a.version(), a.health(), a.dead(), a.pki(),
		a.sign(), a.seal(), a.timestamp(), a.key(),
		a.send(), a.status(), a.get(), a.watch(), a.verify(), a.cancel(), a.deleteCommand(), a.start(),
		a.subscribe(), a.subscriptions(), a.unsubscribe(),
	)
	root.SetHelpCommandGroupID("bus")
	root.CompletionOptions.HiddenDefaultCmd = true
	return root
}

// args wraps an argument check so that its error counts as a usage error.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, list []string) error {
		if err := check(c, list); err != nil {
			return usageError{fmt.Errorf("%w; see `%s --help`", err, c.CommandPath())}
		}
		return nil
	}
}

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", GroupID: "bus", Args: args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			goVersion := ""
			if info, ok := debug.ReadBuildInfo(); ok {
				goVersion = info.GoVersion
			}
			return a.print(map[string]string{"version": service.Version, "go": goVersion}, "signbus %s (%s)\n", service.Version, goVersion)
		},
	}
}

// print prints a value as JSON, or the text for people.
func (a *app) print(value any, format string, text ...any) error {
	if a.json {
		return json.NewEncoder(a.out).Encode(value)
	}
	_, err := fmt.Fprintf(a.out, format, text...)
	return err
}

// note tells people what happens; programs do not see it.
func (a *app) note(format string, values ...any) {
	if !a.json {
		_, _ = fmt.Fprintf(a.errs, format+"\n", values...)
	}
}

// dialTimeout is how long a client command waits for NATS.
const dialTimeout = 5 * time.Second

// web is for the few calls that the client does not have.
func (a *app) web() *http.Client { return &http.Client{Timeout: dialTimeout} }

// client returns a client for HTTP only.
func (a *app) client() (*client.Client, error) {
	return client.New(client.Options{URL: a.url, Customer: a.customer, System: a.system, Code: a.code})
}

// connect returns a client with a connection to NATS, and what closes it.
func (a *app) connect() (*client.Client, func(), error) {
	nc, err := nats.Connect(a.nats, nats.Name("signbus-cli"), nats.Timeout(dialTimeout), nats.MaxReconnects(-1))
	if err != nil {
		return nil, nil, fmt.Errorf("connect to NATS at %s: %w", a.nats, err)
	}
	c, err := client.New(client.Options{URL: a.url, Conn: nc, Customer: a.customer, System: a.system, Code: a.code})
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return c, nc.Close, nil
}

// services names the services for help texts.
func services() string { return strings.Join(standalone.Names(), ", ") }
