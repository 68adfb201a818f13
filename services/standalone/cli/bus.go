package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/config"
	"signbus.dev/pkg/service"
	"signbus.dev/pkg/store"
	"signbus.dev/pkg/subjects"
	"signbus.dev/services/standalone"
)

// load reads the configuration: defaults, environment, then flags.
func (a *app) load(c *cobra.Command) (config.Config, error) {
	cfg, err := config.Load(a.environ)
	if err != nil {
		return cfg, usageError{err}
	}
	f := c.Flags()
	for name, target := range map[string]*string{"http": &cfg.HTTP, "nats": &cfg.NATS, "data": &cfg.Data, "db": &cfg.DB} {
		if f.Changed(name) {
			*target, _ = f.GetString(name)
		}
	}
	if f.Changed("dev") {
		cfg.Dev, _ = f.GetBool("dev")
	}
	if err := cfg.Complete(); err != nil {
		return cfg, usageError{err}
	}
	return cfg, nil
}

func (a *app) busFlags(c *cobra.Command) *cobra.Command {
	d := config.Default()
	f := c.Flags()
	f.String("http", d.HTTP, "address of the HTTP server (SIGNBUS_HTTP)")
	f.String("nats", d.NATS, "host:port of the embedded NATS, or nats:// of an outside one (SIGNBUS_NATS)")
	f.String("data", d.Data, "folder of everything the bus keeps (SIGNBUS_DATA)")
	f.String("db", "", "database: sqlite:PATH or postgres://... (SIGNBUS_DB)")
	f.Bool("dev", false, "development: sample customer, no authentication on loopback, mails printed (SIGNBUS_DEV)")
	return c
}

func (a *app) run() *cobra.Command {
	return a.busFlags(&cobra.Command{
		Use: "run", Short: "Run the whole bus in this process until stopped", GroupID: "bus", Args: args(cobra.NoArgs),
		Long: `Run the whole bus in one process, on an embedded NATS and SQLite unless told otherwise.
It stops in order on Ctrl-C or SIGTERM. Everything it keeps is in the data folder.
` + "`signbus config` lists every setting.",
		RunE: func(c *cobra.Command, _ []string) error { return a.runServices(c, standalone.Names()) },
	})
}

func (a *app) serve() *cobra.Command {
	return a.busFlags(&cobra.Command{
		Use: "serve SERVICE...", Short: "Run some of the services in this process", GroupID: "bus",
		Long: `Run some of the services in this process; the others run elsewhere on the same NATS and database.
Services: ` + services() + ".",
		Args: args(cobra.MinimumNArgs(1)), ValidArgs: standalone.Names(),
		RunE: func(c *cobra.Command, names []string) error { return a.runServices(c, names) },
	})
}

func (a *app) runServices(c *cobra.Command, names []string) error {
	wires, err := standalone.Wires(names...)
	if err != nil {
		return usageError{err}
	}
	cfg, err := a.load(c)
	if err != nil {
		return err
	}
	if cfg.Dev {
		a.note("Development mode: customer %s, customerCode %s, external system %s; mails and codes are printed here.",
			"demo", "demo-secret", "ERP")
	}
	return service.Run(c.Context(), cfg, a.out, a.errs, nil, wires...)
}

func (a *app) migrate() *cobra.Command {
	return a.busFlags(&cobra.Command{
		Use: "migrate", Short: "Bring the database up to date and end", GroupID: "bus", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := a.load(c)
			if err != nil {
				return err
			}
			db, err := store.Open(c.Context(), cfg.DB)
			if err != nil {
				return err
			}
			if err := errors.Join(standalone.Migrate(c.Context(), db), db.Close()); err != nil {
				return err
			}
			return a.print(map[string]bool{"migrated": true}, "The database is up to date.\n")
		},
	})
}

func (a *app) config() *cobra.Command {
	return a.busFlags(&cobra.Command{
		Use: "config", Short: "List every setting with its value and default", GroupID: "bus", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := a.load(c)
			if err != nil {
				return err
			}
			for _, v := range cfg.Describe() {
				if err := a.print(v, "%s=%s\n    %s Default: %q. Since %s.\n", v.Env, v.Value, v.Description, v.Default, v.Since); err != nil {
					return err
				}
			}
			return nil
		},
	})
}

func (a *app) health() *cobra.Command {
	return &cobra.Command{
		Use: "health", Short: "Ask a running process whether it is ready; exit code 0 when it is", GroupID: "bus", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), dialTimeout)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(a.url, "/")+"/readyz", nil)
			if err != nil {
				return usageError{err}
			}
			resp, err := a.web().Do(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
			if err != nil {
				return err
			}
			if resp.StatusCode != http.StatusOK {
				return failedError{fmt.Errorf("not ready: %s", strings.TrimSpace(string(body)))}
			}
			return a.print(json.RawMessage(body), "ready\n")
		},
	}
}

// deadLetter is a message that could not be handled.
type deadLetter struct {
	Sequence uint64    `json:"sequence"`
	Service  string    `json:"service"`
	Subject  string    `json:"subject"`
	Reason   string    `json:"reason"`
	Time     time.Time `json:"time"`
	Size     int       `json:"size"`
}

func (a *app) dead() *cobra.Command {
	parent := &cobra.Command{
		Use: "dead", Short: "List dead letters, and hand them over again", GroupID: "bus",
		Long: "Messages that the bus could not handle are kept with the reason. They need a connection that may read the DEAD stream: the operator's.",
	}
	list := &cobra.Command{
		Use: "list", Short: "List dead letters with the reason", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.eachDead(c.Context(), func(letter deadLetter, _ *jetstream.RawStreamMsg, _ jetstream.JetStream) error {
				return a.print(letter, "%6d  %s  %-18s %-40s %s\n", letter.Sequence,
					letter.Time.Format(time.DateTime), letter.Service, letter.Subject, letter.Reason)
			})
		},
	}
	redrive := &cobra.Command{
		Use: "redrive [SEQUENCE...]", Short: "Hand dead letters over again, all or those named",
		RunE: func(c *cobra.Command, sequences []string) error {
			wanted := map[uint64]bool{}
			for _, text := range sequences {
				n, err := strconv.ParseUint(text, 10, 64)
				if err != nil {
					return usageError{fmt.Errorf("%q is not a sequence number; `signbus dead list` shows them", text)}
				}
				wanted[n] = true
			}
			return a.eachDead(c.Context(), func(letter deadLetter, msg *jetstream.RawStreamMsg, js jetstream.JetStream) error {
				if len(wanted) > 0 && !wanted[letter.Sequence] {
					return nil
				}
				if err := bus.Redrive(c.Context(), js, msg); err != nil {
					return err
				}
				return a.print(letter, "%6d  handed over again to %s\n", letter.Sequence, letter.Subject)
			})
		},
	}
	parent.AddCommand(list, redrive)
	return parent
}

// eachDead visits every dead letter that is there now.
func (a *app) eachDead(ctx context.Context, visit func(deadLetter, *jetstream.RawStreamMsg, jetstream.JetStream) error) error {
	nc, err := nats.Connect(a.nats, nats.Name("signbus-cli"), nats.Timeout(dialTimeout))
	if err != nil {
		return fmt.Errorf("connect to NATS at %s: %w", a.nats, err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	stream, err := js.Stream(ctx, subjects.StreamDead)
	if err != nil {
		return fmt.Errorf("read dead letters: %w", err)
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return fmt.Errorf("read dead letters: %w", err)
	}
	for seq := info.State.FirstSeq; seq != 0 && seq <= info.State.LastSeq; seq++ {
		msg, err := stream.GetMsg(ctx, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read dead letter %d: %w", seq, err)
		}
		service, _ := subjects.ServiceOfDead(msg.Subject)
		letter := deadLetter{
			Sequence: seq, Service: service, Subject: msg.Header.Get(subjects.HeaderDeadSubject),
			Reason: msg.Header.Get(subjects.HeaderDeadReason), Time: msg.Time, Size: len(msg.Data),
		}
		if err := visit(letter, msg, js); err != nil {
			return err
		}
	}
	return nil
}
