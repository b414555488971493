package telemetry

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

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
	if took := time.Since(began); took > queueTimeout/2 {
		t.Errorf("a scrape takes %s", took)
	}
	stop()
	testkit.Contains(t, "the metrics", text, "tenant_provisioner_queue_up 0")
	testkit.Lacks(t, "the metrics", text, "tenant_provisioner_queue_pending_requests")

	q := &queueMetrics{}
	m.Reset() // the service connects again
	m.watched.Load().MustRegister(q)
	q.last.Store(&queueSample{letters: 3, at: time.Now()})
	testkit.Contains(t, "the metrics", scrape(m), "tenant_provisioner_queue_up 1", "tenant_provisioner_dead_letters 3")
	q.last.Store(&queueSample{letters: 3, at: time.Now().Add(-maxQueueAge - time.Second)})
	text = scrape(m)
	testkit.Contains(t, "the metrics of an old sample", text, "tenant_provisioner_queue_up 0")
	testkit.Lacks(t, "the metrics of an old sample", text, "tenant_provisioner_dead_letters 3")
}
