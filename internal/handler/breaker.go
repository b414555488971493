package handler

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/repeatlog"
)

// probeInterval is how often the database is probed while no work shows its state, so that an idle replica also notices
// an outage.
const probeInterval = 3 * time.Second

const stillUnavailable = "database is still unavailable"

// breaker is the circuit breaker for the database. An outage trips it: interrupted work and intake wait until it is
// reset. In the meantime one prober probes the database with backoff.
//
// A database may answer probes but fail all work, for example because its disk is full. So an outage that interrupted
// work ends in two steps. First a rehearsal must succeed; the breaker is then half-open and lets the interrupted work
// retry. Intake and readiness wait until some of that work succeeds, or all of it has ended.
//
// No outage ends before the guard has compared the database with the streams: it may have been restored in between.
type breaker struct {
	probe    func(context.Context) error
	rehearse func(context.Context) error // does what a request's work does, without effect
	guard    func(context.Context) error // see [Config.Guard]
	backoff  Backoff
	probed   func() // called after each probe during an outage
	faults   *repeatlog.Log

	mu               sync.Mutex
	reason           error         // of the outage; nil: there is none
	interrupted      int           // work that an outage has interrupted and that has not ended
	halfOpen         bool          // a probe succeeded, and interrupted work retries
	resumed          chan struct{} // closed while interrupted work may continue
	untripped        chan struct{} // closed while there is no outage
	tripped          chan struct{} // wakes the prober
	consecutiveTrips int           // trips since work last succeeded
	worked           bool          // work succeeded since the last tick of the prober
}

func newBreaker(
	probe, rehearse, guard func(context.Context) error, backoff Backoff, probed func(), log *slog.Logger,
) *breaker {
	b := &breaker{
		probe: probe, rehearse: rehearse, guard: guard, backoff: backoff, probed: probed, faults: repeatlog.New(log),
		resumed: make(chan struct{}), untripped: make(chan struct{}), tripped: make(chan struct{}, 1),
	}
	close(b.resumed)
	close(b.untripped)
	return b
}

// trip trips the breaker, unless it is tripped already.
func (b *breaker) trip(reason error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tripLocked(reason)
}

// interrupt counts work that an outage has interrupted. The work calls it before it trips the breaker for the first
// time, and end when it ends.
func (b *breaker) interrupt() (end func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.interrupted++
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.interrupted--; b.interrupted == 0 && b.halfOpen {
			b.reset()
		}
	}
}

func (b *breaker) tripLocked(reason error) {
	switch {
	case b.reason == nil:
		b.untripped = make(chan struct{})
		b.faults.Error("database is unavailable; intake paused", reason)
	case !b.halfOpen:
		return
	default:
		b.faults.Warn("database answers probes, but work fails; intake stays paused", reason)
	}
	b.reason, b.halfOpen, b.resumed = reason, false, make(chan struct{})
	b.consecutiveTrips++
	b.tripped <- struct{}{}
}

// succeeded records that work succeeded.
func (b *breaker) succeeded() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.worked = true
	switch {
	case b.reason == nil:
		b.consecutiveTrips = 0
	case b.halfOpen:
		b.reset()
	}
}

// reset ends the outage. The caller holds the lock.
func (b *breaker) reset() {
	b.reason, b.halfOpen = nil, false
	close(b.untripped)
	b.faults.Recovered("database is available; intake resumed")
}

// err is the reason of the outage, or nil.
func (b *breaker) err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reason
}

// wait returns when interrupted work may continue, or with the context's cause.
func (b *breaker) wait(ctx context.Context) error {
	b.mu.Lock()
	resumed := b.resumed
	b.mu.Unlock()
	return until(ctx, resumed)
}

// ready returns when there is no outage, or with the context's cause.
func (b *breaker) ready(ctx context.Context) error {
	b.mu.Lock()
	untripped := b.untripped
	b.mu.Unlock()
	return until(ctx, untripped)
}

func until(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run probes until ctx ends: with backoff during an outage, else every probeInterval if idle.
func (b *breaker) run(ctx context.Context) {
	idle := time.NewTicker(probeInterval)
	defer idle.Stop()
	for {
		select {
		case <-b.tripped:
			if b.probeUntilAnswered(ctx) != nil {
				return
			}
		case <-idle.C:
			b.probeIfIdle(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// probeIfIdle probes the database if no work has shown its state, and trips the breaker if it is unavailable. While
// interrupted work retries, it only updates the reason: that work may wait for minutes, for example for a standby.
func (b *breaker) probeIfIdle(ctx context.Context) {
	b.mu.Lock()
	known := b.worked || b.reason != nil && !b.halfOpen
	b.worked = false
	b.mu.Unlock()
	if known {
		return
	}
	err := b.check(ctx)
	if err == nil || ctx.Err() != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.halfOpen {
		b.faults.Warn(stillUnavailable, err)
		b.reason = err
		return
	}
	b.tripLocked(err)
}

// probeUntilAnswered probes the database until a probe succeeds, then makes the breaker half-open. If no interrupted
// work waits it resets the breaker.
func (b *breaker) probeUntilAnswered(ctx context.Context) error {
	// Without this count, a database that answers probes but fails all work would be retried without a pause.
	b.mu.Lock()
	tries := b.consecutiveTrips
	b.mu.Unlock()
	for {
		if err := sleep(ctx, b.backoff.Delay(tries)); err != nil {
			return err
		}
		tries++
		what := stillUnavailable
		err := b.check(ctx)
		b.probed()
		if err == nil {
			what = "database is available, but not compared with the streams; intake stays paused"
			err = b.guard(ctx)
			b.probed()
		}
		if err == nil {
			break
		}
		b.faults.Warn(what, err)
		b.mu.Lock()
		b.reason = err // more specific than the error that interrupted the work
		b.mu.Unlock()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.halfOpen = true
	close(b.resumed)
	if b.interrupted == 0 {
		b.reset()
	}
	return nil
}

// check probes the database. It also rehearses a request's work in two cases: an outage interrupted work, or the probe
// failed with a transient fault, which does not show whether the database is unavailable.
func (b *breaker) check(ctx context.Context) error {
	err := b.probe(ctx)
	var fault *pipeline.Fault
	if err != nil && !(errors.As(err, &fault) && fault.Class == pipeline.Transient) {
		return err
	}
	b.mu.Lock()
	interrupted := b.interrupted
	b.mu.Unlock()
	if err != nil || interrupted > 0 {
		return b.rehearse(ctx)
	}
	return nil
}

// sleep waits, or returns the context's cause.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
