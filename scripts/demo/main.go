// Command demo shows the main job of Signbus from outside: it starts a bus, sends a
// contract through the queue, signs as the manager on the signing page, prints the events
// as they come, checks the signed PDF and leaves it in a folder. It uses nothing that a
// customer's program could not use.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"signbus.dev/pkg/client"
	"signbus.dev/pkg/contract"
)

//go:embed contract.pdf
var contractPDF []byte

func main() {
	bin := flag.String("bin", "bin/signbus", "the signbus program")
	out := flag.String("out", "out", "folder for the signed contract")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	err := run(ctx, *bin, *out)
	cancel()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bin, out string) error {
	data, err := os.MkdirTemp("", "signbus-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(data) }()
	b, err := startBus(ctx, bin, data)
	if err != nil {
		return err
	}
	signed, err := b.signContract(ctx, out)
	err = errors.Join(err, b.stop())
	if err != nil {
		return err
	}
	say("The signed contract is %s", signed)
	return nil
}

func say(format string, values ...any) { fmt.Printf("\n"+format+"\n", values...) }

// demoBus is the bus that runs for the demo.
type demoBus struct {
	bin     string
	command *exec.Cmd
	log     string
	http    string
	nats    string
}

func startBus(ctx context.Context, bin, data string) (*demoBus, error) {
	httpAddr, err := freePort()
	if err != nil {
		return nil, err
	}
	natsAddr, err := freePort()
	if err != nil {
		return nil, err
	}
	b := &demoBus{bin: bin, http: "http://" + httpAddr, nats: "nats://" + natsAddr, log: filepath.Join(data, "bus.log")}
	say("1. A bus starts: %s run --dev --http %s --nats %s", bin, httpAddr, natsAddr)
	log, err := os.Create(b.log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	b.command = exec.Command(bin, "run", "--dev", "--http", httpAddr, "--nats", natsAddr, "--data", filepath.Join(data, "data")) //nolint:gosec,noctx // the program under demonstration; stopped in order
	b.command.Stdout, b.command.Stderr = log, log
	if err := b.command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w; build it with `make build`", bin, err)
	}
	if err := b.waitReady(ctx); err != nil {
		_ = b.command.Process.Kill()
		text, _ := os.ReadFile(b.log)
		return nil, fmt.Errorf("the bus does not get ready: %w\n%s", err, text)
	}
	return b, nil
}

// freePort returns a loopback address that was free a moment ago.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // returns at once
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// stop stops the bus as an operator would.
func (b *demoBus) stop() error {
	if err := b.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := b.command.Wait(); err != nil {
		text, _ := os.ReadFile(b.log)
		return fmt.Errorf("the bus did not stop in order: %w\n%s", err, text)
	}
	return nil
}

// signContract does the job and returns where the signed contract is.
func (b *demoBus) signContract(ctx context.Context, out string) (string, error) {
	nc, err := nats.Connect(b.nats)
	if err != nil {
		return "", err
	}
	defer nc.Close()
	c, err := client.New(client.Options{URL: b.http, Conn: nc, Customer: "demo", System: "ERP", Code: "demo-secret"})
	if err != nil {
		return "", err
	}
	say("2. The contract goes to the queue, subject cmd.demo.ERP.insertEnvelope:\n" +
		"   anna signs by hand, then bruno's signature is automatic, then the company's seal closes it")
	operation, err := c.Insert(ctx, request(), "")
	if err != nil {
		return "", err
	}
	fmt.Println("   taken in charge as operation", operation)
	say("3. Events, as they come:")
	if err := b.follow(ctx, c); err != nil {
		return "", err
	}
	say("4. The documents are fetched and checked:")
	if err := b.cli(ctx, "get", externalID, "-o", out); err != nil {
		return "", err
	}
	signed := filepath.Join(out, "contract.pdf")
	return signed, b.cli(ctx, "verify", signed)
}

// cli runs a subcommand of signbus against the bus.
func (b *demoBus) cli(ctx context.Context, args ...string) error {
	command := exec.CommandContext(ctx, b.bin, append(args, "--url", b.http, "--server", b.nats)...) //nolint:gosec // the program under demonstration
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	return command.Run()
}

const externalID = "demo-contract"

func request() contract.InsertEnvelope {
	task := func(order int, kind contract.TaskType, action contract.TaskAction, actor string, zone int) contract.Task {
		return contract.Task{
			Type: kind, Order: order, Action: action, ActorExpr: actor, HowMany: 1, CertType: "I",
			ActionDefs: []contract.ActionDef{{
				DocExternalID: "contract", Type: "S", Mandatory: true,
				Appearance: &contract.Appearance{CompassAppearance: &contract.CompassAppearance{Page: -1, Position: zone}},
			}},
		}
	}
	return contract.InsertEnvelope{Envelope: contract.Envelope{
		ExternalID: externalID, Subject: "Framework agreement", LoadedByExtID: "segr",
		TrustLevelCode: contract.TrustDigitalPDF, SendingMode: "IMD", SysGenerator: "ERP",
		CommonMessage: &contract.CommonMessage{Subject: "Framework agreement", Text: "Please sign the framework agreement."},
		Documents: []contract.Document{{
			ExternalID: "contract", Title: "Framework agreement", MimeType: "application/pdf", OriginalFname: "contract.pdf", Bytes: contractPDF,
		}},
		ProcDef: &contract.ProcDef{Tasks: []contract.Task{
			task(1, "T", "WRK", "annaU", 4), task(2, "A", "ASI", "brunoU", 5), task(3, "A", "SEA", "", 6),
		}},
	}}
}
