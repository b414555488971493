package main

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.com/tenant-provisioner/events"
)

// metrics counts what the pipeline does, by the conventions of Prometheus. It is a [pipeline.Observer].
type metrics struct {
	registry *prometheus.Registry
	outcomes *prometheus.CounterVec
	warnings *prometheus.CounterVec
	steps    *prometheus.HistogramVec
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
	}
	m.registry.MustRegister(m.outcomes, m.warnings, m.steps,
		collectors.NewGoCollector(), collectors.NewBuildInfoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) StepEnded(step string, took time.Duration, err error) {
	result := "ok"
	if err != nil {
		result = "error"
	}
	m.steps.WithLabelValues(step, result).Observe(took.Seconds())
}

func (m *metrics) Warned(step, code string) { m.warnings.WithLabelValues(step, code).Inc() }

func (m *metrics) Recorded(eventType string, cause events.CauseCode) {
	m.outcomes.WithLabelValues(eventType, string(cause)).Inc()
}

// handler serves the metrics in Prometheus' text format.
func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}
