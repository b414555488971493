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

// breaker is the circuit breaker for the database. An outage trips it: interrupted work and intake wait until it is
// reset. In the meantime one prober probes the database with backoff.
//
// A database may answer probes but fail all work, for example because its disk is full. So an outage that interrupted
// work ends in two steps. First a rehearsal must succeed; the breaker is then half-open and lets the interrupted work
// retry. Intake and readiness wait until some of that work succeeds.
type breaker struct {
	probe    func(context.Context) error
	rehearse func(context.Context) error // does what a request's work does, without effect
	backoff  Backoff
	probed   func() // called after each probe during an outage
	faults   *repeatlog.Log

	mu               sync.Mutex
	reason           error         // of the outage; nil: there is none
	byWork           bool          // the outage interrupted work, so work must succeed to end it
	halfOpen         bool          // a probe succeeded, and interrupted work retries
	resumed          chan struct{} // closed while interrupted work may continue
	untripped        chan struct{} // closed while there is no outage
	tripped          chan struct{} // wakes the prober
	consecutiveTrips int           // trips since work last succeeded
	worked           bool          // work succeeded since the last tick of the prober
}

func newBreaker(
	probe, rehearse func(context.Context) error, backoff Backoff, asked func(), log *slog.Logger,
) *breaker {
	g := &breaker{
		probe: probe, rehearse: rehearse, backoff: backoff, probed: asked, faults: repeatlog.New(log),
		resumed: make(chan struct{}), untripped: make(chan struct{}), tripped: make(chan struct{}, 1),
	}
	close(g.resumed)
	close(g.untripped)
	return g
}

// trip trips the breaker because an outage interrupted work. If it is tripped already, this only sets byWork.
func (g *breaker) trip(reason error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.byWork = true
	g.tripLocked(reason)
}

func (g *breaker) tripLocked(reason error) {
	switch {
	case g.reason == nil:
		g.untripped = make(chan struct{})
		g.faults.Error("database is unavailable; intake paused", reason)
	case !g.halfOpen:
		return
	default:
		g.faults.Warn("database answers probes, but work fails; intake stays paused", reason)
	}
	g.reason, g.halfOpen, g.resumed = reason, false, make(chan struct{})
	g.consecutiveTrips++
	g.tripped <- struct{}{}
}

// succeeded records that work succeeded.
func (g *breaker) succeeded() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.worked = true
	switch {
	case g.reason == nil:
		g.consecutiveTrips = 0
	case g.halfOpen:
		g.reset()
	}
}

// reset ends the outage. The caller holds the lock.
func (g *breaker) reset() {
	g.reason, g.byWork, g.halfOpen = nil, false, false
	close(g.untripped)
	g.faults.Recovered("database is available; intake resumed")
}

// err is the reason of the outage, or nil.
func (g *breaker) err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reason
}

// wait returns when interrupted work may continue, or with the context's cause.
func (g *breaker) wait(ctx context.Context) error {
	g.mu.Lock()
	open := g.resumed
	g.mu.Unlock()
	return until(ctx, open)
}

// ready returns when there is no outage, or with the context's cause.
func (g *breaker) ready(ctx context.Context) error {
	g.mu.Lock()
	whole := g.untripped
	g.mu.Unlock()
	return until(ctx, whole)
}

func until(ctx context.Context, open <-chan struct{}) error {
	select {
	case <-open:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run probes until ctx ends: with backoff during an outage, else every probeInterval if idle.
func (g *breaker) run(ctx context.Context) {
	idle := time.NewTicker(probeInterval)
	defer idle.Stop()
	for {
		select {
		case <-g.tripped:
			if g.probeUntilAnswered(ctx) != nil {
				return
			}
		case <-idle.C:
			g.probeIfIdle(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// probeIfIdle probes the database if no work has shown its state, and trips the breaker if it is unavailable.
func (g *breaker) probeIfIdle(ctx context.Context) {
	g.mu.Lock()
	known := g.worked || g.reason != nil
	g.worked = false
	g.mu.Unlock()
	if known {
		return
	}
	if err := g.check(ctx); err != nil && ctx.Err() == nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.tripLocked(err)
	}
}

// probeUntilAnswered probes the database until a probe succeeds, then makes the breaker half-open. If no work was
// interrupted it resets the breaker.
func (g *breaker) probeUntilAnswered(ctx context.Context) error {
	// Without this count, a database that answers probes but fails all work would be retried without a pause.
	g.mu.Lock()
	tries := g.consecutiveTrips
	g.mu.Unlock()
	for {
		if err := sleep(ctx, g.backoff.Delay(tries)); err != nil {
			return err
		}
		tries++
		err := g.check(ctx)
		g.probed()
		if err == nil {
			break
		}
		g.faults.Warn("database is still unavailable", err)
		g.mu.Lock()
		g.reason = err // more specific than the error that interrupted the work
		g.mu.Unlock()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.halfOpen = true
	close(g.resumed)
	if !g.byWork {
		g.reset()
	}
	return nil
}

// check probes the database. It also rehearses a request's work in two cases: the outage interrupted work, or the probe
// failed with a transient fault, which does not show whether the database is unavailable.
func (g *breaker) check(ctx context.Context) error {
	err := g.probe(ctx)
	var fault *pipeline.Fault
	if err != nil && !(errors.As(err, &fault) && fault.Class == pipeline.Transient) {
		return err
	}
	g.mu.Lock()
	met := g.byWork
	g.mu.Unlock()
	if err != nil || met {
		return g.rehearse(ctx)
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
