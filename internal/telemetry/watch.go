package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/handler"
)

// gauge registers a gauge that calls value at each scrape; value must not block.
func (m *Metrics) gauge(name, help string, value func() float64) {
	opts := prometheus.GaugeOpts{Name: "tenant_provisioner_" + name, Help: help}
	m.watched.Load().MustRegister(prometheus.NewGaugeFunc(opts, value))
}

// WatchLog registers the metric of the log's buffer.
func (m *Metrics) WatchLog(lines *LogBuffer) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "tenant_provisioner_log_lines_dropped_total",
		Help: "Lines of the log that were dropped, because stderr was full, closed or too slow.",
	}, func() float64 { return float64(lines.Dropped()) }))
}

// WatchStore registers the metrics of the store's connections and of its pool of prepared boundaries.
func (m *Metrics) WatchStore(db database.Store) {
	m.watched.Load().MustRegister(database.Collectors(db)...)
	if _, ok := database.Prepared(db); ok {
		m.watchPool(func() database.Pool {
			p, _ := database.Prepared(db)
			return p
		})
	}
}

// WatchProbes registers the metrics of readiness and liveness. They exist from the start, also while the service waits
// for a server: an alert on a missing metric does not fire. alive and ready are the probes; restored reports whether
// database and streams do not belong together.
func (m *Metrics) WatchProbes(alive, ready func() error, restored func() bool) {
	gauge := func(name, help string, is func() bool) {
		opts := prometheus.GaugeOpts{Name: "tenant_provisioner_" + name, Help: help}
		m.registry.MustRegister(prometheus.NewGaugeFunc(opts, func() float64 { return boolToFloat(is()) }))
	}
	gauge("ready", "Whether this process takes requests, as /readyz reports.", func() bool { return ready() == nil })
	gauge("database_mismatch", "Whether this process takes no requests because database and streams do not belong "+
		"together: one of them was restored, made again or copied.", restored)
	gauge("alive", "Whether intake makes progress, as /livez reports.", func() bool { return alive() == nil })
}

// WatchHandler registers the metrics of the handler: requests in flight and workers.
func (m *Metrics) WatchHandler(h *handler.Handler) {
	m.gauge("requests_in_hand", "Requests that this process has pulled and not yet settled.",
		func() float64 { return float64(h.InFlight()) })
	m.gauge("workers", "Tenants that this process builds at the same time (CONCURRENCY).",
		func() float64 { return float64(h.Workers) })
}

func boolToFloat(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// watchPool registers the metrics of the pool of prepared boundaries, whose state pool returns.
func (m *Metrics) watchPool(pool func() database.Pool) {
	m.watched.Load().MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tenant_provisioner_prepared_boundaries",
			Help: "Prepared boundaries that are ready, of all replicas, at the last count.",
		}, func() float64 { return float64(pool().Ready) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tenant_provisioner_prepared_boundaries_target",
			Help: "Target number of ready prepared boundaries (PREPARED_BOUNDARIES).",
		}, func() float64 { return float64(pool().Target) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "tenant_provisioner_prepared_taken_total",
			Help: "Attempts of this process that took a prepared boundary; a failed attempt returns it.",
		}, func() float64 { return float64(pool().Taken) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "tenant_provisioner_prepared_misses_total",
			Help: "Attempts of this process that found no prepared boundary and built their own.",
		}, func() float64 { return float64(pool().Misses) }),
	)
}
