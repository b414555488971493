package main

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql/postgres"
)

// metrics counts what the pipeline does, by the conventions of Prometheus.
type metrics struct {
	registry *prometheus.Registry
	outcomes *prometheus.CounterVec
	warnings *prometheus.CounterVec
	steps    *prometheus.HistogramVec
	attempts *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenant_provisioner_outcomes_total",
			Help: "Outcomes recorded by this process, by event type and cause code (empty for a success).",
		}, []string{"type", "cause"}),
		warnings: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenant_provisioner_warnings_total",
			Help: "Warnings that outcomes carry, such as indexes that could not be created, by step and code.",
		}, []string{"step", "code"}),
		steps: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:                        "tenant_provisioner_step_duration_seconds",
			Help:                        "How long steps took, by step and result (ok, error).",
			Buckets:                     prometheus.ExponentialBuckets(0.0005, 2, 16), // 0.5 ms to 16 s
			NativeHistogramBucketFactor: 1.1,
		}, []string{"step", "result"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenant_provisioner_attempts_total",
			Help: "Attempts that have ended, by result: provisioned, failed for good, postponed for another try after a " +
				"transient error, handed_back because the process ends, interrupted by an outage.",
		}, []string{"result"}),
	}
	m.registry.MustRegister(m.outcomes, m.warnings, m.steps, m.attempts,
		collectors.NewGoCollector(), collectors.NewBuildInfoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) stepEnded(step string, took time.Duration, err error) {
	result := "ok"
	if err != nil {
		result = "error"
	}
	m.steps.WithLabelValues(step, result).Observe(took.Seconds())
}

func (m *metrics) AttemptEnded(v pipeline.Verdict) {
	m.attempts.WithLabelValues(attemptResults[v]).Inc()
}

// attemptResults are what attempts come to, as the label's values.
var attemptResults = map[pipeline.Verdict]string{
	pipeline.Acknowledge: "provisioned", pipeline.Terminate: "failed", pipeline.Postpone: "postponed",
	pipeline.HandBack: "handed_back", pipeline.Pause: "interrupted",
}

func (m *metrics) Warned(step, code string) { m.warnings.WithLabelValues(step, code).Inc() }

func (m *metrics) Recorded(eventType string, cause events.CauseCode) {
	m.outcomes.WithLabelValues(eventType, string(cause)).Inc()
}

// watchPool shows the pool of prepared boundaries as pool tells it.
func (m *metrics) watchPool(pool func() postgres.Prepared) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tenant_provisioner_prepared_boundaries",
			Help: "Prepared boundaries that are ready, of all replicas, as last counted.",
		}, func() float64 { return float64(pool().Ready) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tenant_provisioner_prepared_boundaries_target",
			Help: "Prepared boundaries that are to be ready (PREPARED_BOUNDARIES).",
		}, func() float64 { return float64(pool().Target) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "tenant_provisioner_prepared_taken_total",
			Help: "Attempts of this process that took a prepared boundary; one that fails gives it back.",
		}, func() float64 { return float64(pool().Taken) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "tenant_provisioner_prepared_misses_total",
			Help: "Attempts of this process that found no prepared boundary and built their own.",
		}, func() float64 { return float64(pool().Misses) }),
	)
}

// handler serves the metrics in Prometheus' text format.
func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}
