package bus

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what the stages of a process do.
type Metrics struct {
	messages *prometheus.CounterVec
	deads    *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

// NewMetrics returns metrics registered with reg; nil: registered nowhere.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signbus_stage_messages_total", Help: "Messages taken by a stage, redeliveries included.",
		}, []string{"stage"}),
		deads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signbus_stage_dead_letters_total", Help: "Messages that a stage could not handle.",
		}, []string{"stage"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "signbus_stage_batch_seconds", Help: "Time from taking a batch to acknowledging it.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
		}, []string{"stage"}),
	}
	if reg != nil {
		reg.MustRegister(m.messages, m.deads, m.seconds)
	}
	return m
}

func (m *Metrics) batch(stage string, n int, d time.Duration) {
	m.messages.WithLabelValues(stage).Add(float64(n))
	m.seconds.WithLabelValues(stage).Observe(d.Seconds())
}

func (m *Metrics) dead(stage string) { m.deads.WithLabelValues(stage).Inc() }
