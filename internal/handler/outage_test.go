package handler

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/testkit"
)

func TestTransientFaultIsRetriedWithBackoff(t *testing.T) {
	b := newBundle(t)
	b.config.Backoff.Min, b.config.Backoff.Max = 200*time.Millisecond, time.Second
	var attempts []time.Time
	b.db.work = func(_ context.Context, _ string, attempt int) error {
		attempts = append(attempts, time.Now()) // one request, one attempt at a time
		if attempt < 3 {
			return errTransient
		}
		return nil
	}
	b.start()
	b.publish(b.request("order", "acme"))
	b.awaitSettled()
	data, err := events.ProvisionedFrom(b.outcome())
	testkit.Must(t, err)
	testkit.Equal(t, "attempts", data.Attempts, 3)
	testkit.Equal(t, "deliveries", b.delivered(), 3)
	b.counts(1, 0)
	for i, least := range []time.Duration{100 * time.Millisecond, 200 * time.Millisecond} {
		if waited := attempts[i+1].Sub(attempts[i]); waited < least || waited > least+testkit.Patience/2 {
			t.Errorf("attempt %d came after %s, want at least %s", i+2, waited, least)
		}
	}
}

func TestAttemptsAreExhausted(t *testing.T) {
	b := newBundle(t)
	b.limit.Attempts = 3
	b.db.work = func(context.Context, string, int) error { return errTransient }
	b.start()
	b.publish(b.request("order", "acme"))
	b.awaitSettled()
	failed := b.failure()
	testkit.Equal(t, "cause", failed.Cause.Code, events.CauseAttemptsExhausted)
	testkit.Equal(t, "detail", failed.Cause.Detail, "40P01: deadlock")
	testkit.Equal(t, "attempts", failed.Attempts, 3)
	testkit.Equal(t, "deliveries", b.delivered(), 3)
	b.counts(1, 1)
}

// Invariant 6: a worker keeps its message, no more messages are pulled than workers hold, and no attempt is spent.
func TestOutagePausesIntake(t *testing.T) {
	t.Parallel()
	for name, claimed := range map[string]bool{"before the claim": false, "during the attempt": true} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t)
			b.config.Topology.AckWait = shortAckWait
			var attempts atomic.Int32
			b.db.work = func(context.Context, string, int) error {
				if attempts.Add(1) == 1 {
					b.db.unplug()
				}
				return nil // the registration fails with the outage
			}
			if !claimed {
				b.db.work = nil
				b.db.unplug()
			}
			h := b.start()
			b.publishTenants(8)
			b.eventually("Err reports the outage", func() bool { return errors.Is(h.Err(), errOutage) })
			pings := func() int {
				b.db.mu.Lock()
				defer b.db.mu.Unlock()
				return b.db.pings
			}
			b.eventually("the database is probed", func() bool { return pings() > 5 })
			realWait(t, 2*shortAckWait)
			info := b.consumer()
			if most := messagesPerWorker * b.config.Workers; info.NumAckPending > most || info.NumRedelivered > 0 || b.delivered() > most {
				t.Errorf("%d messages held, %d redelivered, %d delivered, by %d workers",
					info.NumAckPending, info.NumRedelivered, b.delivered(), b.config.Workers)
			}
			b.counts(0, 0)
			b.db.plug()
			b.awaitSettled()
			b.counts(8, 0)
			b.eventually("Err is nil again", func() bool { return h.Err() == nil })
			for _, name := range tenants(8) {
				testkit.Equal(t, "attempts of "+name, b.db.attempts("order-"+name), 1)
			}
			testkit.Equal(t, "delivered", b.delivered(), 8)
		})
	}
}

// Work is retried with backoff if the database answers probes but fails all work.
func TestWorkIsRetriedWithBackoffWhileProbesSucceed(t *testing.T) {
	b := newBundle(t)
	b.config.Backoff.Max = 10 * time.Second
	var tries atomic.Int32
	b.db.work = func(context.Context, string, int) error {
		tries.Add(1)
		return errOutage
	}
	h := b.start()
	b.publish(b.request("order", "acme"))
	b.eventually("several tries", func() bool { return tries.Load() >= 3 })
	realWait(t, 600*time.Millisecond)
	if n := tries.Load(); n > 10 { // 5, 10, 20, … ms
		t.Errorf("%d tries", n)
	}
	if err := h.Err(); err != nil && !errors.Is(err, errOutage) {
		t.Error(err)
	}
}

// A process that shuts down during an outage releases its requests immediately: another process may have a connection.
func TestShutdownDuringAnOutageReleases(t *testing.T) {
	b := newBundle(t)
	b.db.unplug()
	first := b.start()
	b.publishTenants(2)
	b.eventually("the outage is detected", func() bool { return first.Err() != nil })
	begin := time.Now()
	first.stop(t)
	b.db.plug()
	b.start()
	b.awaitSettled()
	if took := time.Since(begin); took > b.config.Topology.AckWait/2 {
		t.Errorf("the messages were redelivered after %s", took)
	}
	b.counts(2, 0)
}

// The prober's error is more specific than the error that interrupted the work.
func TestErrReportsTheNewestReason(t *testing.T) {
	b := newBundle(t)
	b.db.unplug()
	h := b.start()
	b.publish(b.request("order", "acme"))
	b.eventually("the outage is detected", func() bool { return h.Err() != nil })
	newer := &pipeline.Fault{Class: pipeline.Outage, Message: "the server is starting up"}
	b.db.set(newer)
	b.eventually("Err reports the newer reason", func() bool { return errors.Is(h.Err(), newer) })
	b.db.plug()
	b.awaitSettled()
}
