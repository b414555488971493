package handler

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"example.com/tenant-provisioner/internal/testkit"
)

// Invariant 7.
func TestDrainLetsRunningWorkFinish(t *testing.T) {
	b := newBundle(t)
	entered, release := b.block()
	h := b.start()
	b.publishTenants(5)
	testkit.Receive(t, "work begins", entered)
	testkit.Receive(t, "work begins", entered)
	b.eventually("two more are claimed", func() bool {
		b.db.mu.Lock()
		defer b.db.mu.Unlock()
		return b.db.claims == 4
	})
	h.cancel()
	b.eventually("intake stops", func() bool { return h.Err() != nil })
	select {
	case <-h.stopped:
		t.Fatal("Run returned before the work ended")
	default:
	}
	release()
	testkit.Receive(t, "the end of Run", h.stopped)
	testkit.Must(t, h.err)
	b.counts(2, 0) // not those that waited for a worker
	testkit.Equal(t, "claims", b.db.claims, 4)
	b.start()
	b.awaitSettled()
	b.counts(5, 0)
	for _, name := range tenants(5) {
		testkit.Equal(t, "attempts of "+name, b.db.attempts("order-"+name), 1)
	}
}

func TestDrainTimeoutReleases(t *testing.T) {
	b := newBundle(t)
	b.limit.Attempts = 1
	entered, release := b.block()
	h := b.start(func(c *Config) { c.DrainTimeout = 50 * time.Millisecond })
	b.publishTenants(2)
	testkit.Receive(t, "work begins", entered)
	testkit.Receive(t, "work begins", entered)
	begin := time.Now()
	h.stop(t)
	release()
	b.counts(0, 0)
	b.start()
	b.awaitSettled()
	if took := time.Since(begin); took > b.config.Topology.AckWait/2 {
		t.Errorf("the messages were redelivered after %s", took)
	}
	b.counts(2, 0)
	// Work that the drain timeout ended does not count as an attempt: with one attempt allowed, both still succeeded.
	testkit.Equal(t, "attempts", b.db.attempts("order-tenant_0"), 1)
}

// Work that ignores its context is left running, which is logged and is no error of Run: the process can end.
func TestStuckWorkIsReported(t *testing.T) {
	b := newBundle(t)
	entered, stuck := make(chan struct{}, 2), make(chan struct{})
	b.db.work = func(context.Context, string, int) error {
		entered <- struct{}{}
		<-stuck
		return nil
	}
	var written testkit.Output
	h := b.start(func(c *Config) {
		c.DrainTimeout, c.Log = time.Millisecond, slog.New(slog.NewTextHandler(&written, nil))
	})
	b.publish(b.request("order", "acme"))
	testkit.Receive(t, "work begins", entered)
	h.cancel()
	testkit.Receive(t, "the end of Run", h.stopped)
	testkit.Must(t, h.err)
	testkit.Contains(t, "the log", written.String(), "workers did not stop")
	close(stuck)
	b.start()
	b.awaitSettled()
	b.counts(1, 0)
}

// Run may stop at any moment between a pull request and its message: no message waits for AckWait.
func TestMessagesInFlightAreReleased(t *testing.T) {
	b := newBundle(t)
	begin := time.Now()
	const rounds, each = 15, 6
	for range rounds {
		h := b.start()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range each {
				b.publish(b.request(time.Now().String(), "acme"))
			}
		}()
		h.stop(t)
		<-done
	}
	b.start()
	b.awaitSettled()
	if took := time.Since(begin); took > b.config.Topology.AckWait {
		t.Errorf("after %s: a message was redelivered only after AckWait", took)
	}
	testkit.Equal(t, "outcomes", causes(t, b.outcomes()), "PROVISIONED 1, TENANT_EXISTS 89")
}

func TestIdleRunEnds(t *testing.T) {
	b := newBundle(t)
	h := b.start()
	h.stop(t)
	if h.Err() == nil {
		t.Error("ready after Run returned")
	}
}

// A connection that is closed permanently ends Run with an error, so that a supervisor can act.
func TestClosedConnectionEndsRun(t *testing.T) {
	b := newBundle(t)
	h := b.start()
	b.config.Conn.Close()
	testkit.Receive(t, "the end of Run", h.stopped)
	Contains(t, "Run", h.err, "take requests", "closed")
	h.err = nil
}
