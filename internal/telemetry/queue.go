package telemetry

import (
	"context"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/handler"
)

// queueTimeout bounds a scrape's wait for NATS. Prometheus' default for the whole scrape is 10 s.
const queueTimeout = 2 * time.Second

// queueMetrics queries NATS at each scrape. The values are of all replicas together; every replica exports the same.
type queueMetrics struct {
	js  jetstream.JetStream
	log *slog.Logger
}

func queueGauge(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("tenant_provisioner_"+name, help, nil, nil)
}

var (
	queueUp = queueGauge("queue_up",
		"1 if NATS returned the state of the queue; if 0, the other queue metrics are missing.")
	queuePending = queueGauge("queue_pending_requests",
		"Requests in the stream that were never delivered, of all replicas together.")
	queueInFlight = queueGauge("queue_in_flight_requests",
		"Requests that were delivered and are not settled: running, or waiting for a retry.")
	queueRedelivered = queueGauge("queue_redelivered_requests",
		"Of the requests in flight, those that were delivered more than once.")
	queueOldest = queueGauge("queue_oldest_request_age_seconds",
		"Age of the oldest request in the stream that is not settled; 0 if all are settled.")
	queueMaxAge = queueGauge("queue_max_age_seconds",
		"Age at which the stream drops requests; 0 if it drops none.")
	queuePulls = queueGauge("queue_waiting_pulls",
		"Pull requests that wait at the server; above 0 if a replica is free to take a request.")
	lettersWaiting = queueGauge("dead_letters",
		"Dead letters that wait to be replayed or removed.")
)

// WatchQueue registers the metrics of the queue.
func (m *Metrics) WatchQueue(js jetstream.JetStream, log *slog.Logger) {
	m.registry.MustRegister(&queueMetrics{js, log})
}

// Describe implements [prometheus.Collector].
func (m *queueMetrics) Describe(descs chan<- *prometheus.Desc) {
	prometheus.DescribeByCollect(m, descs)
}

// Collect implements [prometheus.Collector].
func (m *queueMetrics) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), queueTimeout)
	defer cancel()
	gauge := func(desc *prometheus.Desc, value float64) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value)
	}
	q, err := handler.ReadQueue(ctx, m.js)
	var letters jetstream.Stream
	if err == nil {
		letters, err = m.js.Stream(ctx, events.StreamDeadLetters)
	}
	if err != nil {
		m.log.DebugContext(ctx, "could not read queue metrics", "error", err)
		gauge(queueUp, 0)
		return
	}
	gauge(queueUp, 1)
	gauge(queuePending, float64(q.Pending))
	gauge(queueInFlight, float64(q.InFlight))
	gauge(queueRedelivered, float64(q.Redelivered))
	gauge(queueOldest, q.Age(time.Now()).Seconds())
	gauge(queueMaxAge, q.MaxAge.Seconds())
	gauge(queuePulls, float64(q.Pulls))
	gauge(lettersWaiting, float64(letters.CachedInfo().State.Msgs))
}
