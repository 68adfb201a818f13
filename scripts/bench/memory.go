package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"signbus.dev/pkg/pdf/pdftest"
)

// memoryDocument is the size of each document.
const memoryDocument = 10_000_000

// benchMemory measures how the bus's memory grows with large documents in flight: sent
// over REST, signed automatically, waited for.
func benchMemory(ctx context.Context, bin string) error {
	doc := pdftest.Padded(memoryDocument)
	rows := [][]string{{"documents of 10 MB at once", "at rest", "peak", "growth", "growth / bytes in flight"}}
	for _, clients := range []int{1, 16} {
		p, err := startBus(ctx, bin)
		if err != nil {
			return err
		}
		grown, rest, peak, err := memoryGrowth(ctx, p, clients, doc)
		p.stop()
		if err != nil {
			return err
		}
		mb := func(n int64) string { return fmt.Sprintf("%.0f MB", float64(n)/1e6) }
		rows = append(rows, []string{
			strconv.Itoa(clients), mb(rest), mb(peak), mb(grown), fmt.Sprintf("%.2f×", float64(grown)/float64(clients*memoryDocument)),
		})
	}
	table("Memory of the whole bus in one process", rows...)
	return nil
}

func memoryGrowth(ctx context.Context, p *process, clients int, doc []byte) (grown, rest, peak int64, err error) {
	web := &http.Client{Timeout: 5 * time.Minute}
	put := func(id string, doc []byte) error {
		data, err := json.Marshal(automaticRequest(id, doc))
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, p.http+"/gosign/services/v1/envelopes/"+id, bytes.NewReader(data))
		if err != nil {
			return err
		}
		resp, err := web.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", resp.Status, body)
		}
		return err
	}
	if err := put("warm", pdftest.Sample(1, "Benchmark")); err != nil {
		return 0, 0, 0, err
	}
	if rest, _, err = p.memory(); err != nil {
		return 0, 0, 0, err
	}
	errs := make([]error, clients)
	var wait sync.WaitGroup
	for i := range clients {
		wait.Go(func() { errs[i] = put(fmt.Sprintf("big-%d", i), doc) })
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return 0, 0, 0, err
		}
	}
	_, peak, err = p.memory()
	return peak - rest, rest, peak, err
}
