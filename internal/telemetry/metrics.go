// Package telemetry provides the metrics, the traces and the logger of the service. It bounds every text that it
// writes, whatever a request contains.
package telemetry

import (
	"net/http"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/buildinfo"
	"example.com/tenant-provisioner/internal/pipeline"
)

// Metrics counts what the pipeline does, following the conventions of Prometheus.
type Metrics struct {
	registry *prometheus.Registry
	watched  atomic.Pointer[prometheus.Registry] // what WatchQueue, WatchStore and WatchHandler have registered
	outcomes *prometheus.CounterVec
	warnings *prometheus.CounterVec
	steps    *prometheus.HistogramVec
	attempts *prometheus.CounterVec
	requests *prometheus.HistogramVec
	unstored prometheus.Counter
}

// durations is a histogram in seconds. Its native buckets grow by a tenth. Servers without native histograms use count
// classic buckets, which double from half a millisecond.
func durations(name, help string, count int, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: name, Help: help,
		Buckets:                         prometheus.ExponentialBuckets(0.0005, 2, count),
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  160,
		NativeHistogramMinResetDuration: time.Hour,
	}, labels)
}

// NewMetrics returns the metrics of a pipeline with these steps, registered and at zero.
func NewMetrics(steps []pipeline.Step) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenant_provisioner_outcomes_total",
			Help: "Outcomes recorded by this process, by event type and cause code (empty for a success).",
		}, []string{"type", "cause"}),
		warnings: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenant_provisioner_warnings_total",
			Help: "Warnings that outcomes carry, such as indexes that could not be created, by step and code.",
		}, []string{"step", "code"}),
		steps: durations("tenant_provisioner_step_duration_seconds",
			"How long steps took, by step and result (ok, error).", 16, "step", "result"), // to 16 s
		requests: durations("tenant_provisioner_request_duration_seconds",
			"Time from a request's arrival in the stream to its published outcome, by event type; a redelivery counts again.",
			24, "type"), // to 70 min
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenant_provisioner_attempts_total",
			Help: "Attempts that have ended, by result: provisioned, failed for good, postponed after a transient fault, " +
				"interrupted by an outage, handed_back because the process stops, overtaken by an attempt of another delivery.",
		}, []string{"result"}),
		unstored: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tenant_provisioner_dead_letters_refused_total",
			Help: "Failures without a dead letter, because NATS refused every form of it.",
		}),
	}
	// Every series exists from the start: Prometheus sees no increase in a series that first appears with the value 1.
	m.outcomes.WithLabelValues(events.TypeProvisioned, "")
	m.requests.WithLabelValues(events.TypeProvisioned)
	m.requests.WithLabelValues(events.TypeProvisioningFailed)
	for _, code := range events.CauseCodes() {
		m.outcomes.WithLabelValues(events.TypeProvisioningFailed, string(code))
	}
	for _, result := range pipeline.AttemptResults() {
		m.attempts.WithLabelValues(string(result))
	}
	for _, step := range steps {
		for _, code := range step.Warnings {
			m.warnings.WithLabelValues(step.Name, code)
		}
	}
	m.registry.MustRegister(m.outcomes, m.warnings, m.steps, m.attempts, m.requests, m.unstored, buildInfo(),
		collectors.NewGoCollector(), collectors.NewBuildInfoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.Reset()
	return m
}

// Reset removes what WatchQueue, WatchStore and WatchHandler have registered: the service connects again. Counters and
// histograms go on.
func (m *Metrics) Reset() { m.watched.Store(prometheus.NewRegistry()) }

// StepEnded counts a step and observes its duration.
func (m *Metrics) StepEnded(step string, took time.Duration, err error) {
	result := "ok"
	if err != nil {
		result = "error"
	}
	m.steps.WithLabelValues(step, result).Observe(took.Seconds())
}

// AttemptEnded implements [pipeline.Observer].
func (m *Metrics) AttemptEnded(r pipeline.AttemptResult) { m.attempts.WithLabelValues(string(r)).Inc() }

// Warned implements [pipeline.Observer].
func (m *Metrics) Warned(step, code string) { m.warnings.WithLabelValues(step, code).Inc() }

// Recorded implements [pipeline.Observer].
func (m *Metrics) Recorded(eventType string, cause events.CauseCode) {
	m.outcomes.WithLabelValues(eventType, string(cause)).Inc()
}

// ObserveRequest observes the time from a request in the stream to its published outcome.
func (m *Metrics) ObserveRequest(eventType string, took time.Duration) {
	m.requests.WithLabelValues(eventType).Observe(took.Seconds())
}

// DeadLetterRefused counts a failure without a dead letter.
func (m *Metrics) DeadLetterRefused() { m.unstored.Inc() }

// buildInfo is the metric that identifies the build.
func buildInfo() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "tenant_provisioner_build_info",
		Help:        "1, with the version and revision of the program and the version of Go that built it.",
		ConstLabels: prometheus.Labels{"version": buildinfo.Version(), "goversion": runtime.Version()},
	}, func() float64 { return 1 })
}

// Handler serves the metrics in Prometheus' text format.
func (m *Metrics) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		all := prometheus.Gatherers{m.registry, m.watched.Load()}
		promhttp.HandlerFor(all, promhttp.HandlerOpts{Registry: m.registry}).ServeHTTP(w, r)
	})
}
