package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"signbus.dev/pkg/client"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/pdf/pdftest"
)

// flowEnvelopes is how many envelopes a flow measurement sends.
const flowEnvelopes = 300

func automaticRequest(id string, doc []byte) contract.InsertEnvelope {
	r := smallRequest(id)
	r.Envelope.SendingMode = "IMD"
	r.Envelope.Documents[0].Bytes = doc
	r.Envelope.ProcDef = &contract.ProcDef{Tasks: []contract.Task{{
		Type: "A", Order: 1, Action: "ASI", ActorExpr: "annaU", HowMany: 1, CertType: "I",
		ActionDefs: []contract.ActionDef{{
			DocExternalID: "d", Type: "S", Mandatory: true,
			Appearance: &contract.Appearance{CompassAppearance: &contract.CompassAppearance{Page: 1, Position: 9}},
		}},
	}}}
	return r
}

var errAllEnded = errors.New("all ended")

// benchFlow measures whole envelopes, one at a time and many at once, and where the
// time goes.
func benchFlow(ctx context.Context, bin string) error {
	doc := pdftest.Padded(50_000)
	p, err := startBus(ctx, bin)
	if err != nil {
		return err
	}
	defer p.stop()
	c, nc, err := p.client()
	if err != nil {
		return err
	}
	defer nc.Close()
	if _, err := flow(ctx, c, "warm", 20, 1, doc); err != nil { // keys and certificates are made
		return err
	}
	rows := [][]string{{"", "envelopes", "rate", "each"}}
	for _, clients := range []int{1, 16} {
		took, err := flow(ctx, c, fmt.Sprintf("c%d", clients), flowEnvelopes, clients, doc)
		if err != nil {
			return err
		}
		rows = append(rows, []string{
			fmt.Sprintf("%d at a time", clients), strconv.Itoa(flowEnvelopes), fmt.Sprintf("%.0f/s", flowEnvelopes/took.Seconds()),
			fmt.Sprintf("%.1f ms", took.Seconds()*1e3/flowEnvelopes),
		})
	}
	table("From insertion to the end of the process: one automatic signature (PAdES B-T) on a 50 KB PDF", rows...)
	values, err := p.metrics()
	if err != nil {
		return err
	}
	stages := [][]string{{"stage", "messages", "batches", "a batch", "all batches"}}
	for _, stage := range []string{"intake", "document-store-ingest", "directory", "provider-dispatch", "signature-book", "document-store-record", "intake-outcomes"} {
		label := fmt.Sprintf(`{stage="%s"}`, stage)
		batches, sum := values["signbus_stage_batch_seconds_count"+label], values["signbus_stage_batch_seconds_sum"+label]
		if batches == 0 {
			continue
		}
		stages = append(stages, []string{
			stage, fmt.Sprintf("%.0f", values["signbus_stage_messages_total"+label]), fmt.Sprintf("%.0f", batches),
			fmt.Sprintf("%.2f ms", sum/batches*1e3), fmt.Sprintf("%.2f s", sum),
		})
	}
	table("Where the time goes, by stage (stages overlap)", stages...)
	return nil
}

// flow sends envelopes, so many clients at a time each waiting for the end of its own,
// and returns how long all took.
func flow(ctx context.Context, c *client.Client, prefix string, envelopes, clients int, doc []byte) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	ended := map[string]chan struct{}{}
	for i := range envelopes {
		ended[fmt.Sprintf("%s-%d", prefix, i)] = make(chan struct{})
	}
	followed := make(chan error, 1)
	go func() {
		left := envelopes
		followed <- c.Events(ctx, client.Follow{New: true}, func(e client.Event) error {
			if ch := ended[e.ExternalID]; ch != nil && e.Type == contract.EventEnvelopeProcessEnded {
				close(ch)
				if left--; left == 0 {
					return errAllEnded
				}
			}
			return nil
		})
	}()
	start := time.Now()
	next := make(chan string)
	var wait sync.WaitGroup
	errs := make(chan error, clients)
	for range clients {
		wait.Go(func() {
			for id := range next {
				if _, err := c.Insert(ctx, automaticRequest(id, doc), id); err != nil {
					errs <- err
					return
				}
				select {
				case <-ended[id]:
				case <-ctx.Done():
					errs <- fmt.Errorf("envelope %s has not ended: %w", id, ctx.Err())
					return
				}
			}
		})
	}
	go func() {
		defer close(next)
		for i := range envelopes {
			select {
			case next <- fmt.Sprintf("%s-%d", prefix, i):
			case <-ctx.Done():
				return
			}
		}
	}()
	wait.Wait()
	took := time.Since(start)
	select {
	case err := <-errs:
		return 0, err
	default:
	}
	if err := <-followed; !errors.Is(err, errAllEnded) {
		return 0, err
	}
	return took, nil
}
