package telemetry

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/testkit"
)

func scrape(m *Metrics) string {
	recorder := httptest.NewRecorder()
	m.Handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	return recorder.Body.String()
}

// No scrape waits for NATS: it exports the last sample, and none that is missing or too old.
func TestScrapeDoesNotWaitForNATS(t *testing.T) {
	t.Parallel()
	m := NewMetrics(pipeline.Steps())
	js := natstest.JetStream(t, natstest.OnePong(t))
	stop := m.WatchQueue(js, slog.New(slog.DiscardHandler))(t.Context())
	began := time.Now()
	text := scrape(m)
	if took := time.Since(began); took >= queueTimeout {
		t.Errorf("a scrape takes %s", took)
	}
	stop()
	testkit.Contains(t, "the metrics", text, "tenant_provisioner_queue_up 0")
	testkit.Lacks(t, "the metrics", text, "tenant_provisioner_queue_pending_requests")

	q := &queueMetrics{}
	m.Reset() // the service connects again
	m.watched.Load().MustRegister(q)
	letters := uint64(3)
	q.last.Store(&queueSample{letters: &letters, at: time.Now()})
	testkit.Contains(t, "the metrics", scrape(m), "tenant_provisioner_queue_up 1", "tenant_provisioner_dead_letters 3")
	q.last.Store(&queueSample{letters: &letters, at: time.Now().Add(-maxQueueAge - time.Second)})
	text = scrape(m)
	testkit.Contains(t, "the metrics of an old sample", text, "tenant_provisioner_queue_up 0")
	testkit.Lacks(t, "the metrics of an old sample", text, "tenant_provisioner_dead_letters 3")
}

// A part that NATS does not return makes queue_up 0, and costs no other metric. How full streams and account are is
// exported.
func TestQueueMetricsOfOnePartAreMissing(t *testing.T) {
	t.Parallel()
	js := natstest.JetStream(t, natstest.StartConfigured(t, `
		accounts { A: { jetstream: { max_file: 10MB }, users: [{user: a, password: a}] } }
		no_auth_user: a`).URL)
	for _, config := range []jetstream.StreamConfig{
		{Name: events.StreamRequests, Subjects: []string{events.TypeRequested}, MaxMsgs: 4, MaxBytes: 1 << 20},
		{Name: events.StreamEvents, Subjects: []string{"events"}, MaxBytes: 2 << 20},
	} {
		_, err := js.CreateStream(t.Context(), config)
		testkit.Must(t, err)
	}
	consumer, err := js.CreateConsumer(t.Context(), events.StreamRequests,
		jetstream.ConsumerConfig{Durable: events.DurableConsumer, AckPolicy: jetstream.AckExplicitPolicy})
	testkit.Must(t, err)
	for range 3 {
		_, err := js.Publish(t.Context(), events.TypeRequested, []byte("x"))
		testkit.Must(t, err)
	}
	_, err = js.Publish(t.Context(), "events", make([]byte, 1<<20-100))
	testkit.Must(t, err)
	testkit.Eventually(t, "the server has counted the requests", func() bool { // after it has confirmed them
		info, err := consumer.Info(t.Context())
		testkit.Must(t, err)
		return info.NumPending == 3
	})

	var log testkit.Output
	m := NewMetrics(pipeline.Steps())
	stop := m.WatchQueue(js, slog.New(slog.NewTextHandler(&log, nil)))(t.Context())
	text := scrape(m)
	stop()
	testkit.Contains(t, "the metrics", text, "tenant_provisioner_queue_up 0", "tenant_provisioner_queue_pending_requests 3",
		`tenant_provisioner_stream_usage_ratio{stream="TENANT_REQUESTS"} 0.75`,
		`tenant_provisioner_stream_usage_ratio{stream="TENANT_EVENTS"} 0.49`, "tenant_provisioner_account_usage_ratio 0.1")
	testkit.Lacks(t, "the metrics", text, "tenant_provisioner_dead_letters ", `stream="TENANT_DEAD_LETTERS"`)
	testkit.Logs(t, &log, "could not read queue metrics", "TENANT_DEAD_LETTERS")

	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: events.StreamDeadLetters, Subjects: []string{"letters"}})
	testkit.Must(t, err)
	q := &queueMetrics{js: js}
	s := q.sample(t.Context())
	testkit.Must(t, s.err)
	testkit.Equal(t, "usage without limits", s.usage[events.StreamDeadLetters], 0)
}

// Every series that alerts read exists before anything has happened.
func TestDurationsOfRequestsExistFromTheStart(t *testing.T) {
	t.Parallel()
	testkit.Contains(t, "the metrics", scrape(NewMetrics(pipeline.Steps())),
		`tenant_provisioner_request_duration_seconds_count{type="tenant.provisioned"} 0`)
}
