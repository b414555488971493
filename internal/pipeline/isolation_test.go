package pipeline

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Invariant 7: an attempt after one that vanished waits, uncounted, until no other runs. No other begins while it runs.
func TestAttemptAfterAVanishedOneRunsInIsolation(t *testing.T) {
	withFakeClock(t, func(t *testing.T) {
		b := newTestbed()
		running, most, order := 0, 0, []string{}
		b.config.Steps[2].Run = func(context.Context, *Attempt) error {
			b.mu.Lock()
			running++
			most = max(most, running)
			if b.vanished {
				order = append(order, "isolated")
			} else {
				order = append(order, "other")
			}
			b.mu.Unlock()
			time.Sleep(time.Minute)
			b.mu.Lock()
			running--
			b.mu.Unlock()
			return nil
		}
		b.config.Limit.Attempts = 10
		b.config.Steps[len(b.config.Steps)-1].Run = func(context.Context, *Attempt) error { return nil } // otherwise the others would be decided
		p := b.provisioner(t)
		begin := func(r Request) { go p.Job(r).Run(t.Context()) }
		claims := func() (n int) {
			synctest.Wait()
			b.mu.Lock()
			defer b.mu.Unlock()
			for _, c := range b.calls {
				if c == "claim" {
					n++
				}
			}
			return n
		}
		begin(request(t))
		begin(request(t))
		claims()
		again := request(t)
		again.Redelivered = true
		b.vanished = true
		begin(again)
		if n := claims(); n != 2 {
			t.Errorf("%d claims: the isolated attempt is counted before it begins", n)
		}
		begin(request(t)) // waits for the isolated one
		if n := claims(); n != 2 {
			t.Errorf("%d claims while another waits for isolation", n)
		}
		time.Sleep(time.Minute + time.Second)
		n := claims()
		b.mu.Lock()
		if n != 3 || running != 1 {
			t.Errorf("%d claims, %d running", n, running)
		}
		b.vanished = false
		b.mu.Unlock()
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if want := []string{"other", "other", "isolated", "other"}; !slices.Equal(order, want) || most != 2 {
			t.Errorf("%v, at most %d at once", order, most)
		}
	})
}

// A job that is stopped while it waits for admission spends no attempt, and its message is released at once.
func TestStoppedWhileWaitingForAdmission(t *testing.T) {
	withFakeClock(t, func(t *testing.T) {
		b := newTestbed()
		b.config.Steps[2].Run = func(context.Context, *Attempt) error { time.Sleep(time.Minute); return nil }
		p := b.provisioner(t)
		go p.Job(request(t)).Run(t.Context())
		synctest.Wait()
		b.vanished = true
		again := request(t)
		again.Redelivered = true
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		got := p.Job(again).Run(ctx)
		if got.Verdict != Release || got.Attempt != 0 || len(b.notes) != 0 {
			t.Errorf("%+v, notes %v", got, b.notes)
		}
		time.Sleep(2 * time.Minute)
	})
}

// A job that is abandoned during an outage refunds its attempt, if it can reach the database.
func TestAbandonDuringAnOutage(t *testing.T) {
	t.Parallel()
	b := newTestbed()
	b.fail["tables"] = &Fault{Class: Outage, DriverCode: "57P01", Message: "unavailable"}
	j := b.provisioner(t).Job(request(t))
	paused := j.Run(t.Context())
	if paused.Verdict != Pause {
		t.Fatal(paused.Verdict)
	}
	abandoned := j.Abandon(t.Context(), paused)
	if abandoned.Verdict != Release || len(b.notes) != 1 || !b.notes[0].Refund || b.notes[0].Code != "57P01" {
		t.Errorf("%+v, notes %+v", abandoned, b.notes)
	}
	b = newTestbed()
	b.fail["claim"] = &Fault{Class: Outage, Message: "unavailable"}
	j = b.provisioner(t).Job(request(t))
	if abandoned := j.Abandon(t.Context(), j.Run(t.Context())); abandoned.Verdict != Release || len(b.notes) != 0 {
		t.Errorf("without a claim: %+v, notes %+v", abandoned, b.notes)
	}
}

// A job that waits for admission when the drain begins is released at once. Running attempts may finish.
func TestDrainWhileWaitingForAdmission(t *testing.T) {
	withFakeClock(t, func(t *testing.T) {
		b := newTestbed()
		b.config.Steps[2].Run = func(context.Context, *Attempt) error { time.Sleep(time.Minute); return nil }
		p := b.provisioner(t)
		running := make(chan Decision, 1)
		go func() { running <- p.Job(request(t)).Run(t.Context()) }()
		synctest.Wait()
		b.vanished = true
		again := request(t)
		again.Redelivered = true
		waiting := make(chan Decision, 1)
		go func() { waiting <- p.Job(again).Run(t.Context()) }()
		synctest.Wait()
		p.Drain()
		if got := <-waiting; got.Verdict != Release || got.Attempt != 0 || len(b.notes) != 0 {
			t.Errorf("%+v, notes %v", got, b.notes)
		}
		if got := <-running; got.Verdict != Acknowledge {
			t.Errorf("%+v", got)
		}
	})
}

// interrupted returns a redelivered job that an outage has paused, while another attempt runs. The outage is over.
func (b *testbed) interrupted(t *testing.T) (*Provisioner, *Job) {
	t.Helper()
	b.fail["tables"] = &Fault{Class: Outage, DriverCode: "57P01", Message: "unavailable"}
	p := b.provisioner(t)
	r := request(t)
	r.Redelivered = true
	j := p.Job(r)
	if got := j.Run(t.Context()); got.Verdict != Pause {
		t.Fatal(got.Verdict)
	}
	delete(b.fail, "tables")
	if !p.running.TryAcquire(1) {
		t.Fatal("not admitted")
	}
	return p, j
}

// A job does not treat its own attempt, interrupted by an outage, as vanished. It refunds the attempt if the process
// ends before it continues.
func TestInterruptedAttemptIsNotIsolated(t *testing.T) {
	withFakeClock(t, func(t *testing.T) {
		b := newTestbed()
		_, j := b.interrupted(t)
		b.vanished = true // as the ledger reports it
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if got := j.Run(ctx); got.Verdict != Acknowledge || got.Attempt != 1 {
			t.Errorf("it waits for isolation: %+v", got)
		}

		b = newTestbed()
		b.fail["tables"] = &Fault{Class: Outage, DriverCode: "57P01", Message: "unavailable"}
		p := b.provisioner(t)
		j = p.Job(request(t))
		j.Run(t.Context())
		if !p.running.TryAcquire(exclusive) { // an isolated attempt is running
			t.Fatal("not admitted")
		}
		ctx, stop = context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if got := j.Run(ctx); got.Verdict != Release || len(b.notes) != 1 || !b.notes[0].Refund {
			t.Errorf("%+v, notes %+v", got, b.notes)
		}
	})
}
