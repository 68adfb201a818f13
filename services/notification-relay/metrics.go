package relay

import (
	"github.com/prometheus/client_golang/prometheus"

	"signbus.dev/services/notification-relay/webhook"
)

type metrics struct {
	attempts  *prometheus.CounterVec
	seconds   prometheus.Histogram
	ended     *prometheus.CounterVec
	underWay  prometheus.Gauge
	waiting   prometheus.Gauge
	paused    prometheus.Gauge
	lateness  prometheus.Histogram
	stale     prometheus.Counter
	disabling *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signbus_relay_attempts_total", Help: "Tries to deliver an event, by how they ended.",
		}, []string{"reason"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "signbus_relay_attempt_seconds", Help: "Duration of tries.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 12),
		}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signbus_relay_deliveries_ended_total", Help: "Deliveries that a try has ended.",
		}, []string{"status"}),
		underWay: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "signbus_relay_attempts_under_way", Help: "Tries that this process is making now.",
		}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "signbus_relay_endpoints_waiting", Help: "Endpoints with pending deliveries.",
		}),
		paused: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "signbus_relay_endpoints_paused", Help: "Endpoints with pending deliveries that pause because they fail.",
		}),
		lateness: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "signbus_relay_lateness_seconds", Help: "How long after its time an endpoint's first delivery was claimed.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 10),
		}),
		stale: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "signbus_relay_stale_attempts_total", Help: "Tries that lasted longer than their claim.",
		}),
		disabling: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signbus_relay_endpoints_disabled_total", Help: "Endpoints that were disabled, by cause.",
		}, []string{"cause"}),
	}
	if reg != nil {
		reg.MustRegister(m.attempts, m.seconds, m.ended, m.underWay, m.waiting, m.paused, m.lateness, m.stale, m.disabling)
	}
	return m
}

func (m *metrics) attempted(out webhook.Outcome, v verdict) {
	m.attempts.WithLabelValues(string(out.Reason)).Inc()
	m.seconds.Observe(out.Duration.Seconds())
	if v.stale {
		m.stale.Inc()
	}
	if v.status != Pending && !v.stale {
		m.ended.WithLabelValues(string(v.status)).Inc()
	}
	if v.disabled != "" {
		m.disabling.WithLabelValues(v.disabled).Inc()
	}
}
