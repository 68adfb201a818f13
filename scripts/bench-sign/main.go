// Command bench-sign measures signatures on PDF files beside the limit, one digest pass over
// the file and one key operation, and beside foreign signers, all in one run. What is counted
// is processor time, of one core, so that other work on the machine does not show.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	seconds := flag.Duration("time", 2*time.Second, "processor time of each measurement")
	largest := flag.Int64("largest", 500_000_000, "leave out sizes above this number of bytes")
	js := flag.String("js", "scripts/bench-sign/js", "folder of the foreign signer that runs on Node.js")
	task := flag.String("task", "", "what a process of its own measures: limit, floor or ours")
	file := flag.String("file", "", "file that it signs")
	key := flag.String("key", "", "key that it signs with")
	visible := flag.Bool("visible", false, "whether the signature shows")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	if *task != "" {
		err = measure(ctx, *task, *file, *key, *visible, *seconds)
	} else {
		err = run(ctx, *js, *largest, *seconds)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-sign:", err)
		os.Exit(1)
	}
}

// cost is what signatures took in a process.
type cost struct {
	Count   uint64  `json:"count"`
	Seconds float64 `json:"seconds"` // of processor time
	Memory  int64   `json:"memory"`  // peak, in bytes
	Allocs  uint64  `json:"allocs,omitempty"`
	Bytes   uint64  `json:"bytes,omitempty"` // allocated
}

func (c cost) each() float64 { return c.Seconds / float64(c.Count) }

type bench struct {
	ctx     context.Context //nolint:containedctx // lives as long as the run
	dir, js string
	seconds time.Duration
}

func run(ctx context.Context, js string, largest int64, seconds time.Duration) (err error) {
	dir, err := os.MkdirTemp("", "bench-sign-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &bench{ctx: ctx, dir: dir, js: js, seconds: seconds}
	if err := writeKeys(ctx, dir); err != nil {
		return err
	}
	fmt.Println("Signatures per second of one core, allocations and peak memory of a process that makes them.")
	fmt.Println("The limit is one SHA-256 pass over the file and one key operation; a later signature may go below it.")
	fmt.Println("With the tail is the limit with the bytes that a signature adds digested and written too, and nothing of PDF and CMS.")
	for _, size := range []int64{50_000, 5_000_000, 500_000_000} {
		if size > largest {
			continue
		}
		first := filepath.Join(dir, "first.pdf")
		if err := writeFile(first, size); err != nil {
			return err
		}
		if err := b.compare("first", first); err != nil {
			return err
		}
		tenth := filepath.Join(dir, "tenth.pdf")
		if err := signNineTimes(ctx, first, tenth, filepath.Join(dir, "P-256")); err != nil {
			return err
		}
		if err := os.Remove(first); err != nil {
			return err
		}
		if err := b.compare("tenth", tenth); err != nil {
			return err
		}
	}
	return nil
}

// compare prints a table for one file.
func (b *bench) compare(which, file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	rows := [][]string{{fmt.Sprintf("%.2f MB, %s signature", float64(info.Size())/1e6, which), "per second", "ms each", "of the limit", "allocations", "peak memory"}}
	for _, key := range []string{"P-256", "RSA-2048"} {
		limit, err := b.own("limit", file, key)
		if err != nil {
			return err
		}
		rows = append(rows, row(key+" limit", limit, limit))
		if which == "first" {
			floor, err := b.own("floor", file, key)
			if err != nil {
				return err
			}
			rows = append(rows, row(key+" limit, with the tail", floor, limit))
		}
		for _, signer := range []struct {
			name string
			run  func() (cost, error)
		}{
			{"signbus", func() (cost, error) { return b.own("ours", file, key) }},
			{"signbus, with appearance", func() (cost, error) { return b.own("ours", file, key, "-visible") }},
			{"@signpdf/signpdf", func() (cost, error) { return b.node(file, key) }},
			{"mutool sign", func() (cost, error) { return b.mutool(file, key) }},
		} {
			if signer.name == "@signpdf/signpdf" && key != "RSA-2048" {
				continue // it knows RSA only
			}
			c, err := signer.run()
			if err != nil {
				if b.ctx.Err() != nil || strings.HasPrefix(signer.name, "signbus") {
					return err
				}
				rows = append(rows, []string{key + " " + signer.name, "fails: " + err.Error()})
				continue
			}
			rows = append(rows, row(key+" "+signer.name, c, limit))
		}
	}
	table(rows)
	return nil
}

func row(name string, c, limit cost) []string {
	allocs := "-"
	if c.Allocs > 0 {
		allocs = fmt.Sprintf("%d, %d KB", c.Allocs, c.Bytes>>10)
	}
	return []string{
		name, fmt.Sprintf("%.4g", 1/c.each()), fmt.Sprintf("%.3f", c.each()*1000), fmt.Sprintf("%.3g", limit.each()/c.each()),
		allocs, fmt.Sprintf("%.0f MB", float64(c.Memory)/1e6),
	}
}

func table(rows [][]string) {
	var width [8]int
	for _, row := range rows {
		for i, cell := range row {
			width[i] = max(width[i], len(cell))
		}
	}
	fmt.Println()
	for _, row := range rows {
		for i, cell := range row {
			fmt.Printf("%-*s  ", width[i], cell)
		}
		fmt.Println()
	}
}

// own measures in a process of its own, on one core.
func (b *bench) own(task, file, key string, more ...string) (cost, error) {
	self, err := os.Executable()
	if err != nil {
		return cost{}, err
	}
	args := append([]string{"-task", task, "-file", file, "-key", filepath.Join(b.dir, key), "-time", b.seconds.String()}, more...)
	cmd := exec.CommandContext(b.ctx, self, args...) //nolint:gosec // this program
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	return read(cmd)
}

func (b *bench) node(file, key string) (cost, error) {
	defer func() { _ = os.Remove(file + ".out") }()
	args := []string{
		"--max-old-space-size=12000", filepath.Join(b.js, "sign.mjs"), file, filepath.Join(b.dir, key) + ".p12", passphrase,
		strconv.FormatFloat(b.seconds.Seconds(), 'f', -1, 64),
	}
	return read(exec.CommandContext(b.ctx, "node", args...)) //nolint:gosec // files made above
}

// read runs a command that prints its cost.
func read(cmd *exec.Cmd) (cost, error) {
	var diagnosis strings.Builder
	cmd.Stderr = &diagnosis
	out, err := cmd.Output()
	if err != nil {
		return cost{}, fmt.Errorf("%w: %s", err, short(diagnosis.String()))
	}
	var c cost
	if err := json.Unmarshal(out, &c); err != nil {
		return cost{}, fmt.Errorf("unexpected answer: %s", short(string(out)))
	}
	return c, nil
}

// mutool measures a program that signs once: its start counts.
func (b *bench) mutool(file, key string) (cost, error) {
	out := file + ".out"
	defer func() { _ = os.Remove(out) }()
	var c cost
	for c.Seconds < b.seconds.Seconds() {
		args := []string{"sign", "-s", filepath.Join(b.dir, key) + ".p12", "-P", passphrase, "-o", out, file, strconv.Itoa(blankField)}
		cmd := exec.CommandContext(b.ctx, "mutool", args...) //nolint:gosec // files made above
		text, err := cmd.CombinedOutput()
		if err != nil {
			return cost{}, fmt.Errorf("%w: %s", err, short(string(text)))
		}
		if err := grown(file, out); err != nil {
			return cost{}, err
		}
		c.Count++
		c.Seconds += (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
		if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			c.Memory = max(c.Memory, usage.Maxrss*1024)
		}
	}
	return c, nil
}

// grown makes sure that something was added.
func grown(before, after string) error {
	a, err := os.Stat(before)
	if err != nil {
		return err
	}
	b, err := os.Stat(after)
	if err == nil && b.Size() <= a.Size() {
		err = errors.New("nothing was signed")
	}
	return err
}

func short(text string) string {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); strings.Contains(strings.ToLower(line), "error") {
			return line
		}
	}
	return strings.TrimSpace(text[:min(len(text), 200)])
}
