package providerdispatch

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"signbus.dev/pkg/bus"
	"signbus.dev/pkg/contract"
	"signbus.dev/pkg/contract/handover"
	"signbus.dev/pkg/store"
	"signbus.dev/services/provider-dispatch/process"
)

// fact is something done that is worth a count and a log line once it is committed.
type fact func()

// collect keeps the facts of a message for the time after the commit. A message that is
// applied again, because the database gave the transaction up, replaces its own.
func (s *Service) collect(m *bus.Incoming, do func() ([]fact, error)) error {
	delete(s.facts, m.ID)
	facts, err := do()
	if err == nil && len(facts) > 0 {
		s.facts[m.ID] = facts
	}
	return err
}

// report tells the facts of a batch. A batch that the database lost at its very commit is
// told here and once more when it comes again: counts and log lines are approximate then,
// the journal never is.
func (s *Service) report() {
	for _, facts := range s.facts {
		tell(facts)
	}
	clear(s.facts)
}

func tell(facts []fact) {
	for _, f := range facts {
		f()
	}
}

type metrics struct {
	operations *prometheus.CounterVec
	seconds    *prometheus.HistogramVec
	ended      *prometheus.CounterVec
	void       *prometheus.CounterVec
	open       *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		operations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signbus_operations_total", Help: "Operations that have ended, by command and outcome.",
		}, []string{"command", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "signbus_operation_seconds", Help: "Time from accepting a command to its outcome.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 16),
		}, []string{"command"}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signbus_envelopes_total", Help: "Envelopes that have ended, by their last status.",
		}, []string{"status"}),
		void: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signbus_void_progress_total", Help: "Reports of providers without effect, by reason.",
		}, []string{"reason"}),
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "signbus_envelopes_open", Help: "Envelopes that have not ended, by status; of all processes that share the database.",
		}, []string{"status"}),
	}
	if reg != nil {
		reg.MustRegister(m.operations, m.seconds, m.ended, m.void, m.open)
	}
	return m
}

// countOpen counts the envelopes that have not ended.
func (s *Service) countOpen(ctx context.Context) error {
	counts := map[contract.EnvelopeStatus]int64{contract.StatusDraft: 0, contract.StatusInProgress: 0}
	rows, err := s.db.Query(ctx, `SELECT status, COUNT(*) FROM dispatch_envelopes WHERE status IN ('DRF', 'PGS') GROUP BY status`)
	_, err = store.Collect(rows, err, func(_ *struct{}, scan func(...any) error) error {
		var (
			status contract.EnvelopeStatus
			n      int64
		)
		err := scan(&status, &n)
		counts[status] = n
		return err
	})
	if err != nil {
		return err
	}
	for status, n := range counts {
		s.metrics.open.WithLabelValues(string(status)).Set(float64(n))
	}
	return nil
}

// operationDone tells the outcome of an operation; envelope is empty when there is none.
func (s *Service) operationDone(op handover.Operation, envelope string, code contract.Code) fact {
	at := s.now()
	return func() {
		command := commandLabel(op.Command)
		s.metrics.operations.WithLabelValues(command, string(code)).Inc()
		duration := max(0, at.Sub(op.AcceptedAt))
		if !op.AcceptedAt.IsZero() {
			s.metrics.seconds.WithLabelValues(command).Observe(duration.Seconds())
		}
		s.log.Info("operation done", slog.String("operation", op.ID), slog.String("envelope", envelope),
			slog.String("customer", op.Customer), slog.String("system", op.System), slog.String("command", command),
			slog.String("code", string(code)), slog.Duration("duration", duration))
	}
}

// commandLabel keeps names that a caller invents out of labels and log lines.
func commandLabel(name string) string {
	for _, known := range contract.Commands() {
		if name == string(known) {
			return name
		}
	}
	return "other"
}

// envelopeEnded tells how an envelope ended.
func (s *Service) envelopeEnded(state process.State, at time.Time) fact {
	assignments, signatures := 0, 0
	for _, step := range state.Steps {
		assignments += len(step.Assignments)
	}
	for _, d := range state.Documents {
		signatures += d.Version - 1
	}
	return func() {
		s.metrics.ended.WithLabelValues(string(state.Status)).Inc()
		s.log.Info("envelope ended", "envelope", state.Envelope.ID, "customer", state.Envelope.Customer,
			"system", state.Envelope.System, "status", string(state.Status), "previous", string(state.PreviousStatus),
			"documents", len(state.Documents), "steps", len(state.Steps), "assignments", assignments,
			"versions_made", signatures, "duration", at.Sub(state.CreatedAt))
	}
}

// voidProgress tells that the report of a provider had no effect.
func (s *Service) voidProgress(p *handover.Progress, void process.Void) fact {
	return func() {
		s.metrics.void.WithLabelValues(string(void)).Inc()
		s.log.Info("progress without effect", "envelope", p.EnvelopeID, "assignment", p.Assignment,
			"kind", string(p.Kind), "epoch", p.Epoch, "reason", string(void))
	}
}
