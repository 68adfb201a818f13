// Command signbus runs the bus and is a client of it; see `signbus --help`.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"signbus.dev/services/standalone/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Main(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
