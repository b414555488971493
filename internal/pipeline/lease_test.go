package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// An isolated attempt that an outage has interrupted still runs in isolation afterwards.
func TestIsolationSurvivesAnOutage(t *testing.T) {
	withFakeClock(t, func(t *testing.T) {
		b := newTestbed()
		b.vanished = true
		p, j := b.interrupted(t)
		b.vanished = false // its own attempt has not vanished
		ended := make(chan Decision, 1)
		go func() { ended <- j.Run(t.Context()) }()
		synctest.Wait()
		select {
		case got := <-ended:
			t.Fatalf("it does not run in isolation: %s", got.Verdict)
		default:
		}
		p.running.Release(1)
		if got := <-ended; got.Verdict != Acknowledge || got.Attempt != 1 {
			t.Errorf("%+v", got)
		}
	})
}

// A boundary that another worker holds costs no attempt, and does not fail the request on its last one.
func TestBusyBoundaryCostsNoAttempt(t *testing.T) {
	t.Parallel()
	b := newTestbed()
	b.config.Limit.Attempts = 1
	b.fail["boundary"] = fmt.Errorf("create schema tenant_acme: %w", ErrBusy)
	got := b.run(t)
	if got.Verdict != Retry || got.Facts != (Facts{Ledger: Busy}) || got.Attempt != 0 || !errors.Is(got.Err, ErrBusy) {
		t.Errorf("%+v", got)
	}
	if len(b.notes) != 1 || !b.notes[0].Refund || b.notes[0].Step != "create_isolation_boundary" ||
		slices.Contains(b.calls, "record_failure") {
		t.Errorf("notes %+v, calls %v", b.notes, b.calls)
	}

	b = newTestbed() // if the process stops, the attempt is refunded once
	ctx, stop := context.WithCancel(t.Context())
	b.fail["boundary"] = ErrBusy
	b.config.Steps[1].Run = func(ctx context.Context, a *Attempt) error {
		defer stop()
		return createBoundary(ctx, a)
	}
	got = b.provisioner(t).Job(request(t)).Run(ctx)
	if got.Verdict != Release || len(b.notes) != 1 || !b.notes[0].Refund {
		t.Errorf("%+v, notes %+v", got, b.notes)
	}
}

// A refund that the ledger cannot record is not lost: the job keeps its attempt, and continues with it.
func TestRefundWaitsForTheLedger(t *testing.T) {
	t.Parallel()
	for name, why := range map[string]error{
		"unavailable": &Fault{Class: Outage, Message: "locked"}, "no answer": context.DeadlineExceeded,
	} {
		b := newTestbed()
		b.config.Limit.Attempts = 1
		b.fail["boundary"], b.fail["note"] = ErrBusy, why
		j := b.provisioner(t).Job(request(t))
		if got := j.Run(t.Context()); got.Verdict != Pause || !errors.Is(got.Err, why) {
			t.Errorf("%s: %+v", name, got)
		}
		delete(b.fail, "boundary")
		delete(b.fail, "note")
		if got := j.Run(t.Context()); got.Verdict != Acknowledge || got.Attempt != 1 {
			t.Errorf("%s: %+v, calls %v", name, got, b.calls)
		}
	}
}

// The lease is renewed from the claim until the job ends, also while it waits for a worker or during an outage.
func TestRenewal(t *testing.T) {
	withFakeClock(t, func(t *testing.T) {
		b := newTestbed()
		b.config.Workers = 1
		b.fail["tables"] = &Fault{Class: Outage, Message: "unavailable"}
		p := b.provisioner(t)
		j := p.Job(request(t))
		renewed := func(when string, want bool) {
			t.Helper()
			b.mu.Lock()
			b.calls = nil
			b.mu.Unlock()
			if err := j.Renew(t.Context()); err != nil {
				t.Error(err)
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			if slices.Contains(b.calls, "renew") != want {
				t.Errorf("%s: %v", when, b.calls)
			}
		}
		renewed("before the claim", false)
		if !p.building.TryAcquire(1) {
			t.Fatal("no worker")
		}
		paused := make(chan Decision, 1)
		go func() { paused <- j.Run(t.Context()) }()
		synctest.Wait()
		renewed("while it waits for a worker", true)
		p.building.Release(1)
		if got := <-paused; got.Verdict != Pause {
			t.Fatal(got.Verdict)
		}
		renewed("during the outage", true)
		b.mu.Lock()
		delete(b.fail, "tables")
		b.mu.Unlock()
		b.slow["tables"] = time.Minute
		ended := make(chan Decision, 1)
		go func() { ended <- j.Run(t.Context()) }()
		synctest.Wait()
		renewed("while it builds", true)
		if got := <-ended; got.Verdict != Acknowledge {
			t.Fatal(got.Verdict)
		}
		renewed("after the end", false)
	})
}

func TestLeaseForCopies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ lease, set, want time.Duration }{
		{lease: time.Second, want: 10 * time.Minute},
		{lease: 30 * time.Second, want: 10 * time.Minute},
		{lease: 5 * time.Minute, want: 50 * time.Minute},
		{lease: time.Minute, set: time.Hour, want: time.Hour},
	} {
		if got := (Limit{Attempts: 1, Lease: c.lease, CopyLease: c.set}).ForCopies(); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}
