package telemetry

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/handler"
)

const (
	// queueInterval is how often the queue is sampled.
	queueInterval = 5 * time.Second
	// queueTimeout bounds a sample's wait for NATS.
	queueTimeout = 2 * time.Second
	// maxQueueAge is the age from which a sample is not exported: sampling hangs.
	maxQueueAge = 3 * queueInterval
)

// queueMetrics samples the queue in the background, so that no scrape waits for NATS. The values are of all replicas
// together; every replica exports the same.
type queueMetrics struct {
	js   jetstream.JetStream
	log  *slog.Logger
	last atomic.Pointer[queueSample]
}

// queueSample is what NATS returned.
type queueSample struct {
	queue   handler.Queue
	letters uint64 // dead letters
	at      time.Time
	err     error
}

func queueGauge(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("tenant_provisioner_"+name, help, nil, nil)
}

var (
	queueUp = queueGauge("queue_up",
		"1 if NATS returned the state of the queue within the last seconds; if 0, the other queue metrics are missing.")
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

// WatchQueue registers the metrics of the queue. The caller calls start once the streams exist: it takes a first
// sample, and then samples in the background until ctx ends or stop is called. stop waits for the last sample.
func (m *Metrics) WatchQueue(js jetstream.JetStream, log *slog.Logger) (start func(ctx context.Context) (stop func())) {
	q := &queueMetrics{js: js, log: log}
	m.watched.Load().MustRegister(q)
	return func(ctx context.Context) func() {
		ctx, cancel := context.WithCancel(ctx)
		q.update(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			q.run(ctx)
		}()
		return func() {
			cancel()
			<-done
		}
	}
}

func (m *queueMetrics) run(ctx context.Context) {
	ticker := time.NewTicker(queueInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			m.update(ctx)
		case <-ctx.Done():
			return
		}
	}
}

func (m *queueMetrics) update(ctx context.Context) {
	s := m.sample(ctx)
	m.last.Store(&s)
	if s.err != nil {
		m.log.DebugContext(ctx, "could not read queue metrics", "error", s.err)
	}
}

func (m *queueMetrics) sample(ctx context.Context) (s queueSample) {
	ctx, cancel := context.WithTimeout(ctx, queueTimeout)
	defer cancel()
	s.at = time.Now()
	if s.queue, s.err = handler.ReadQueue(ctx, m.js); s.err != nil {
		return s
	}
	letters, err := m.js.Stream(ctx, events.StreamDeadLetters)
	if s.err = err; err == nil {
		s.letters = letters.CachedInfo().State.Msgs
	}
	return s
}

// Describe implements [prometheus.Collector].
func (m *queueMetrics) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		queueUp, queuePending, queueInFlight, queueRedelivered, queueOldest, queueMaxAge, queuePulls, lettersWaiting,
	} {
		descs <- desc
	}
}

// Collect implements [prometheus.Collector].
func (m *queueMetrics) Collect(to chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value)
	}
	s := m.last.Load()
	if s == nil || s.err != nil || time.Since(s.at) > maxQueueAge {
		gauge(queueUp, 0)
		return
	}
	q := s.queue
	gauge(queueUp, 1)
	gauge(queuePending, float64(q.Pending))
	gauge(queueInFlight, float64(q.InFlight))
	gauge(queueRedelivered, float64(q.Redelivered))
	gauge(queueOldest, q.Age(time.Now()).Seconds())
	gauge(queueMaxAge, q.MaxAge.Seconds())
	gauge(queuePulls, float64(q.Pulls))
	gauge(lettersWaiting, float64(s.letters))
}
