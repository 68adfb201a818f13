// Command bench measures the bus beside its raw parts, all in one run on one machine.
// Disks drift: read the ratios, not the single figures.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	bin := flag.String("bin", "bin/signbus", "the signbus program")
	natsServer := flag.String("nats-server", "nats-server", "the nats-server program for the raw figures")
	seconds := flag.Duration("time", 3*time.Second, "length of each measurement")
	only := flag.String("only", "", "part to run: accept, flow, sign or memory; empty: all")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *bin, *natsServer, *seconds, *only)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bin, natsServer string, length time.Duration, only string) error {
	parts := []struct {
		name string
		run  func() error
	}{
		{"accept", func() error { return benchAccept(ctx, bin, natsServer, length) }},
		{"flow", func() error { return benchFlow(ctx, bin) }},
		{"sign", func() error { return benchSign(ctx, length) }},
		{"memory", func() error { return benchMemory(ctx, bin) }},
	}
	for _, part := range parts {
		if only != "" && only != part.name {
			continue
		}
		if err := part.run(); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

// table prints rows with aligned columns.
func table(title string, rows ...[]string) {
	fmt.Printf("\n%s\n", title)
	width := map[int]int{}
	for _, row := range rows {
		for i, cell := range row {
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", width[i]-len([]rune(cell)))
			if i == 0 {
				b.WriteString("  " + cell + pad)
			} else {
				b.WriteString("  " + pad + cell)
			}
		}
		fmt.Println(strings.TrimRight(b.String(), " "))
	}
}
