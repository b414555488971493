package main

import (
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/buildinfo"
	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/handler"
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
	requests *prometheus.HistogramVec
	unstored prometheus.Counter
}

// durations are buckets in seconds, of which the first is half a millisecond, for servers that do not take native
// histograms, whose buckets grow by a tenth.
func durations(name, help string, count int, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: name, Help: help,
		Buckets:                         prometheus.ExponentialBuckets(0.0005, 2, count),
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  160,
		NativeHistogramMinResetDuration: time.Hour,
	}, labels)
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
		steps: durations("tenant_provisioner_step_duration_seconds",
			"How long steps took, by step and result (ok, error).", 16, "step", "result"), // to 16 s
		requests: durations("tenant_provisioner_request_duration_seconds",
			"From a request in the stream to its published outcome, by event type; what is delivered again counts again.",
			24, "type"), // to 70 min
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenant_provisioner_attempts_total",
			Help: "Attempts that have ended, by result: provisioned, failed for good, postponed after a transient fault, " +
				"interrupted by an outage, handed_back because the process ends, overtaken by one of another delivery.",
		}, []string{"result"}),
		unstored: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tenant_provisioner_dead_letters_refused_total",
			Help: "Failures without a dead letter, because NATS refused every form of it.",
		}),
	}
	// All that can be counted is there from the start: what first appears as 1 has not increased, to Prometheus.
	m.outcomes.WithLabelValues(events.TypeProvisioned, "")
	for _, code := range events.CauseCodes() {
		m.outcomes.WithLabelValues(events.TypeProvisioningFailed, string(code))
	}
	for _, result := range pipeline.AttemptResults() {
		m.attempts.WithLabelValues(string(result))
	}
	m.warnings.WithLabelValues("validate_request", events.WarnNotDocEXCompatible)
	for _, step := range []string{"create_indexes", "validate_schema"} {
		m.warnings.WithLabelValues(step, events.WarnIndexFailed)
	}
	m.registry.MustRegister(m.outcomes, m.warnings, m.steps, m.attempts, m.requests, m.unstored, buildInfo(),
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

func (m *metrics) AttemptEnded(r pipeline.AttemptResult) { m.attempts.WithLabelValues(string(r)).Inc() }

func (m *metrics) Warned(step, code string) { m.warnings.WithLabelValues(step, code).Inc() }

func (m *metrics) Recorded(eventType string, cause events.CauseCode) {
	m.outcomes.WithLabelValues(eventType, string(cause)).Inc()
}

func (m *metrics) settled(eventType string, took time.Duration) {
	m.requests.WithLabelValues(eventType).Observe(took.Seconds())
}

// buildInfo tells which build runs.
func buildInfo() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "tenant_provisioner_build_info",
		Help:        "1, with the version and revision of the program and the version of Go that built it.",
		ConstLabels: prometheus.Labels{"version": buildinfo.Version(), "goversion": runtime.Version()},
	}, func() float64 { return 1 })
}

// gauge shows what value tells at each scrape.
func (m *metrics) gauge(name, help string, value func() float64) {
	opts := prometheus.GaugeOpts{Name: "tenant_provisioner_" + name, Help: help}
	m.registry.MustRegister(prometheus.NewGaugeFunc(opts, value))
}

// watchStore registers the metrics of the store's connections and of its pool of prepared boundaries.
func (m *metrics) watchStore(db database.Store) {
	m.registry.MustRegister(database.Collectors(db)...)
	if _, ok := database.Prepared(db); ok {
		m.watchPool(func() postgres.Prepared {
			p, _ := database.Prepared(db)
			return p
		})
	}
}

// watchHandler shows what the handler has in hand, and how it is.
func (m *metrics) watchHandler(h *handler.Handler, ready func() error) {
	m.gauge("requests_in_hand", "Requests that this process has pulled and not yet settled.",
		func() float64 { return float64(h.InHand()) })
	m.gauge("workers", "Tenants that this process builds at once (CONCURRENCY).",
		func() float64 { return float64(h.Workers) })
	m.gauge("ready", "Whether this process takes requests, as /readyz tells.",
		func() float64 { return truth(ready() == nil) })
	m.gauge("alive", "Whether intake gets on, as /livez tells.", func() float64 { return truth(h.Alive() == nil) })
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
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
