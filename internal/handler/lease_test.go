package handler

import (
	"context"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"example.com/tenant-provisioner/internal/testkit"
)

// The lease of an attempt is renewed while its worker runs: during the steps, and during an outage as soon as the
// database accepts it.
func TestLeaseIsRenewedWhileTheWorkerRuns(t *testing.T) {
	b := newBundle(t)
	b.config.Topology.AckWait = shortAckWait
	renewals := func() int {
		b.db.mu.Lock()
		defer b.db.mu.Unlock()
		return b.db.renewals
	}
	b.db.work = func(context.Context, string, int) error {
		if renewals() == 0 {
			b.eventually("the lease is renewed during the steps", func() bool { return renewals() >= 2 })
			return errOutage
		}
		return nil
	}
	b.db.probeFault = errOutage // only probes fail, so that renewals can be counted
	h := b.start()
	b.publish(b.request("order", "acme"))
	b.eventually("an outage", func() bool { return h.Err() != nil })
	paused := renewals()
	b.eventually("the lease is renewed during the outage", func() bool { return renewals() >= paused+2 })
	b.db.mu.Lock()
	b.db.probeFault = nil
	b.db.mu.Unlock()
	b.awaitSettled()
	b.counts(1, 0)
	testkit.Equal(t, "attempts", b.db.attempts("order"), 1)
	ended := renewals()
	b.publish(b.request("another", "other")) // a short attempt needs no renewal
	b.awaitSettled()
	testkit.Equal(t, "renewals", renewals(), ended)
}

// A panic between the steps ends the span of its delivery.
func TestPanicEndsItsSpan(t *testing.T) {
	b := newBundle(t)
	b.db.claimPanics = 1
	spans := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("test")
	h := b.start(func(c *Config) { c.Tracer = tracer })
	b.publishTenants(1)
	b.awaitSettled()
	h.stop(t)
	testkit.Equal(t, "spans that were not ended", len(spans.Started())-len(spans.Ended()), 0)
	testkit.Equal(t, "spans of a panic", panicked(spans), 1)
}

// panicked counts the spans that a panic has ended.
func panicked(spans *tracetest.SpanRecorder) (n int) {
	for _, span := range spans.Ended() {
		if span.Status().Description == "panic: out of cheese" {
			n++
		}
	}
	return n
}

// A panic while an outcome is published ends the spans of its delivery.
func TestPanicWhilePublishingEndsItsSpans(t *testing.T) {
	b := newBundle(t)
	spans := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("test")
	reads := 0
	b.db.fails = func(where faultPlace, _ string) error {
		if where == "publication" {
			if reads++; reads == 2 { // the first is that of the dead letter
				panic("out of cheese")
			}
		}
		return nil
	}
	h := b.start(func(c *Config) { c.Tracer = tracer })
	b.publish(b.request("1", "not valid"))
	b.awaitSettled()
	h.stop(t)
	b.counts(1, 1)
	testkit.Equal(t, "spans that were not ended", len(spans.Started())-len(spans.Ended()), 0)
	testkit.Equal(t, "spans of a panic", panicked(spans), 1)
}
