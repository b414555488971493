package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/repeatlog"
)

const (
	// queueInterval is how often the queue is sampled.
	queueInterval = 5 * time.Second
	// queueTimeout bounds a sample's wait for NATS.
	queueTimeout = 2 * time.Second
	// maxQueueAge is the age from which a sample is not exported: sampling hangs.
	maxQueueAge = 3 * queueInterval
)

// queueMetrics samples the queue, the streams and the account in the background, so that no scrape waits for NATS. The
// values are of all replicas together; every replica exports the same.
type queueMetrics struct {
	js     jetstream.JetStream
	faults *repeatlog.Log
	last   atomic.Pointer[queueSample]
}

// queueSample is what NATS returned. What it did not return is nil, or missing in usage.
type queueSample struct {
	queue   *handler.Queue
	letters *uint64            // dead letters
	usage   map[string]float64 // of the streams' limits, by stream
	account *float64           // of the account's limits
	at      time.Time
	err     error // why something is missing
}

func queueGauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("tenant_provisioner_"+name, help, labels, nil)
}

var (
	queueUp = queueGauge("queue_up",
		"1 if NATS returned the state of queue, streams and account within the last seconds; if 0, some metrics are missing.")
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
	streamUsage = queueGauge("stream_usage_ratio",
		"How full a stream is, by the nearest of its limits (max_bytes, max_msgs); 0 without limits.", "stream")
	accountUsage = queueGauge("account_usage_ratio",
		"How much of its storage the NATS account has used; 0 without a limit. The server's own limit is not included.")
)

// WatchQueue registers the metrics of the queue. The caller calls start once the streams exist: it takes a first
// sample, and then samples in the background until ctx ends or stop is called. stop waits for the last sample.
func (m *Metrics) WatchQueue(js jetstream.JetStream, log *slog.Logger) (start func(ctx context.Context) (stop func())) {
	q := &queueMetrics{js: js, faults: repeatlog.New(log)}
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
	switch {
	case s.err == nil:
		m.faults.Recovered("queue metrics are complete again")
	case ctx.Err() == nil:
		m.faults.Warn("could not read queue metrics", s.err)
	}
}

// sample reads each part by itself: a permission that one lacks costs no other metric.
func (m *queueMetrics) sample(ctx context.Context) (s queueSample) {
	ctx, cancel := context.WithTimeout(ctx, queueTimeout)
	defer cancel()
	s.at, s.usage = time.Now(), map[string]float64{}
	if !m.js.Conn().IsConnected() { // else each request fails with an error of the client's buffer
		s.err = nats.ErrDisconnected
		return s
	}
	queue, err := handler.ReadQueue(ctx, m.js)
	if err == nil {
		s.queue = &queue
	}
	s.err = err
	for _, name := range []string{events.StreamRequests, events.StreamEvents, events.StreamDeadLetters} {
		stream, err := m.js.Stream(ctx, name)
		if err != nil {
			s.err = errors.Join(s.err, fmt.Errorf("read stream %s: %w", name, handler.ExplainAPIPermission(m.js, err)))
			continue
		}
		info := stream.CachedInfo()
		s.usage[name] = max(share(info.State.Bytes, info.Config.MaxBytes), share(info.State.Msgs, info.Config.MaxMsgs))
		if name == events.StreamDeadLetters {
			s.letters = &info.State.Msgs
		}
	}
	account, err := m.js.AccountInfo(ctx)
	if err != nil {
		err = handler.ExplainAPIPermission(m.js, err)
		s.err = errors.Join(s.err, fmt.Errorf("read the limits of the account: %w", err))
		return s
	}
	used := share(account.Store, account.Limits.MaxStore)
	for _, tier := range account.Tiers {
		used = max(used, share(tier.Store, tier.Limits.MaxStore))
	}
	s.account = &used
	return s
}

// share is the used part of a limit; 0 if there is no limit.
func share(used uint64, limit int64) float64 {
	if limit <= 0 {
		return 0
	}
	return float64(used) / float64(limit)
}

// Describe implements [prometheus.Collector].
func (m *queueMetrics) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		queueUp, queuePending, queueInFlight, queueRedelivered, queueOldest, queueMaxAge, queuePulls, lettersWaiting,
		streamUsage, accountUsage,
	} {
		descs <- desc
	}
}

// Collect implements [prometheus.Collector].
func (m *queueMetrics) Collect(to chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	s := m.last.Load()
	if s == nil || time.Since(s.at) > maxQueueAge {
		gauge(queueUp, 0)
		return
	}
	gauge(queueUp, boolToFloat(s.err == nil))
	if q := s.queue; q != nil {
		gauge(queuePending, float64(q.Pending))
		gauge(queueInFlight, float64(q.InFlight))
		gauge(queueRedelivered, float64(q.Redelivered))
		gauge(queueOldest, q.Age(time.Now()).Seconds())
		gauge(queueMaxAge, q.MaxAge.Seconds())
		gauge(queuePulls, float64(q.Pulls))
	}
	if s.letters != nil {
		gauge(lettersWaiting, float64(*s.letters))
	}
	for stream, used := range s.usage {
		gauge(streamUsage, used, stream)
	}
	if s.account != nil {
		gauge(accountUsage, *s.account)
	}
}
