package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/pdf/pdftest"
	"signbus.dev/pkg/subjects"
)

// smallRequest is a draft with one small document: acceptance is what is measured, and a
// draft gives the stages behind it little to do on the same two cores.
func smallRequest(id string) contract.InsertEnvelope {
	return contract.InsertEnvelope{CustomerCode: "demo-secret", ExternalSystemCode: "ERP", Envelope: contract.Envelope{
		ExternalID: id, Subject: "Benchmark", LoadedByExtID: "segr", TrustLevelCode: contract.TrustDigitalPDF, SendingMode: "DRF",
		Documents: []contract.Document{{
			ExternalID: "d", Title: "d", MimeType: "application/pdf", OriginalFname: "d.pdf", Bytes: pdftest.Sample(1, "Benchmark"),
		}},
	}}
}

// measured is what a load gave.
type measured struct {
	rate     float64
	p50, p99 time.Duration
}

func (m measured) cells() []string {
	return []string{fmt.Sprintf("%.0f/s", m.rate), fmt.Sprintf("%.2f ms", m.p50.Seconds()*1e3), fmt.Sprintf("%.2f ms", m.p99.Seconds()*1e3)}
}

// load calls do from so many clients at once for a time; each call gets its own number.
func load(ctx context.Context, clients int, length time.Duration, do func(ctx context.Context, n int64) error) (measured, error) {
	var (
		mutex sync.Mutex
		times []time.Duration
		first error
		next  atomic.Int64
		wait  sync.WaitGroup
	)
	deadline := time.Now().Add(length)
	start := time.Now()
	for range clients {
		wait.Go(func() {
			var own []time.Duration
			var err error
			for err == nil && time.Now().Before(deadline) && ctx.Err() == nil {
				begin := time.Now()
				err = do(ctx, next.Add(1))
				own = append(own, time.Since(begin))
			}
			mutex.Lock()
			defer mutex.Unlock()
			times = append(times, own...)
			if first == nil {
				first = err
			}
		})
	}
	wait.Wait()
	elapsed := time.Since(start)
	if first != nil {
		return measured{}, first
	}
	slices.Sort(times)
	return measured{rate: float64(len(times)) / elapsed.Seconds(), p50: times[len(times)/2], p99: times[len(times)*99/100]}, nil
}

var clientCounts = []int{1, 16, 64}

func benchAccept(ctx context.Context, bin, natsServer string, length time.Duration) error {
	sample, err := json.Marshal(smallRequest("bench-0000000000"))
	if err != nil {
		return err
	}
	rows := [][]string{{"", "clients", "accepted", "p50", "p99", "beside raw"}}
	raw := map[int]float64{}
	for _, clients := range clientCounts {
		m, err := rawPublish(ctx, natsServer, sample, clients, length)
		if err != nil {
			return err
		}
		raw[clients] = m.rate
		rows = append(rows, append([]string{"raw JetStream publish", strconv.Itoa(clients)}, append(m.cells(), "1.00×")...))
		for _, kind := range []struct {
			name   string
			paused bool
			run    func(context.Context, *process, int, time.Duration) (measured, error)
		}{
			{"our queue", true, queueAccept}, {"our REST", true, restAccept},
			{"our queue, worked off meanwhile", false, queueAccept}, {"our REST, worked off meanwhile", false, restAccept},
		} {
			m, err := onFreshBus(ctx, bin, clients, length, kind.paused, kind.run)
			if err != nil {
				return err
			}
			rows = append(rows, append([]string{kind.name, strconv.Itoa(clients)}, append(m.cells(), fmt.Sprintf("%.2f×", m.rate/raw[clients]))...))
		}
	}
	table(fmt.Sprintf("Acceptance of a %d-byte command, durable (sync_interval: always)", len(sample)), rows...)
	return nil
}

// onFreshBus measures on a bus of its own. Paused, the bus only accepts, like the raw
// server beside it; otherwise its stages work on the same cores and the same disk.
func onFreshBus(ctx context.Context, bin string, clients int, length time.Duration, paused bool, run func(context.Context, *process, int, time.Duration) (measured, error)) (measured, error) {
	p, err := startBus(ctx, bin)
	if err != nil {
		return measured{}, err
	}
	defer p.stop()
	if paused {
		nc, err := nats.Connect(p.nats)
		if err != nil {
			return measured{}, err
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			return measured{}, err
		}
		for stream, consumer := range map[string]string{subjects.StreamCommands: subjects.Intake, subjects.StreamWork: "intake-packs"} {
			if _, err := js.PauseConsumer(ctx, stream, consumer, time.Now().Add(time.Hour)); err != nil {
				return measured{}, err
			}
		}
	}
	return run(ctx, p, clients, length)
}

func rawPublish(ctx context.Context, natsServer string, payload []byte, clients int, length time.Duration) (measured, error) {
	p, err := startNATS(ctx, natsServer)
	if err != nil {
		return measured{}, err
	}
	defer p.stop()
	nc, err := nats.Connect(p.nats)
	if err != nil {
		return measured{}, err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return measured{}, err
	}
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "RAW", Subjects: []string{"cmd.>"}, Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew}); err != nil {
		return measured{}, err
	}
	return publish(ctx, js, clients, length, func(int64) []byte { return payload })
}

func publish(ctx context.Context, js jetstream.JetStream, clients int, length time.Duration, payload func(int64) []byte) (measured, error) {
	return load(ctx, clients, length, func(ctx context.Context, n int64) error {
		_, err := js.Publish(ctx, "cmd.demo.ERP.insertEnvelope", payload(n))
		return err
	})
}

// payloads makes requests that differ in the externalId, without encoding each anew.
func payloads() (func(n int64) (id string, data []byte), error) {
	const mark = "bench-0000000000"
	sample, err := json.Marshal(smallRequest(mark))
	if err != nil {
		return nil, err
	}
	before, after, _ := bytes.Cut(sample, []byte(mark))
	return func(n int64) (string, []byte) {
		id := fmt.Sprintf("bench-%010d", n)
		return id, slices.Concat(before, []byte(id), after)
	}, nil
}

func queueAccept(ctx context.Context, p *process, clients int, length time.Duration) (measured, error) {
	build, err := payloads()
	if err != nil {
		return measured{}, err
	}
	nc, err := nats.Connect(p.nats)
	if err != nil {
		return measured{}, err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return measured{}, err
	}
	return publish(ctx, js, clients, length, func(n int64) []byte { _, data := build(n); return data })
}

func restAccept(ctx context.Context, p *process, clients int, length time.Duration) (measured, error) {
	build, err := payloads()
	if err != nil {
		return measured{}, err
	}
	web := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	return load(ctx, clients, length, func(ctx context.Context, n int64) error {
		id, data := build(n)
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, p.http+"/legalbus/services/v1/envelopes/"+id, bytes.NewReader(data))
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
	})
}
