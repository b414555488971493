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

// probeInterval is how often the database is asked while no work tells how it is: a replica that has nothing
// to do is to know as well.
const probeInterval = 3 * time.Second

// breaker is open while the database can be used. Work that an outage has interrupted waits at it, and intake
// does. While it is closed one prober asks the database, ever more rarely.
//
// A database may answer probes and fail all work, such as one whose disk is full. So an outage that work has
// met is over only when the same work, rehearsed for nobody, has got through, and then the interrupted work: the prober
// lets it try, and intake and readiness wait for its word.
type breaker struct {
	probe    func(context.Context) error
	rehearse func(context.Context) error // what work does, for nobody
	backoff  Backoff
	probed   func() // told after each probe of an outage
	faults   *repeatlog.Log

	mu               sync.Mutex
	reason           error         // of the outage; nil: there is none
	byWork           bool          // by work: work must get through
	halfOpen         bool          // the prober has been answered, and work tries
	resumed          chan struct{} // closed while interrupted work may go on
	untripped        chan struct{} // closed while there is no outage
	tripped          chan struct{} // tells the prober
	consecutiveTrips int           // closings since something last succeeded
	worked           bool          // something succeeded since the prober last looked
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

// trip closes the gate for an outage that work has met; closing it again changes nothing.
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

// succeeded says that work got through.
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

// wait returns when interrupted work may go on, or with the context's cause.
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

// run probes until ctx ends: all the time while the gate is closed, else now and then.
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

// probeIfIdle asks the database if nothing else has, and closes the gate if it is away.
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

// probeUntilAnswered asks the database until it answers, then lets interrupted work try, and intake too if no
// work was interrupted.
func (g *breaker) probeUntilAnswered(ctx context.Context) error {
	// A database that answers probes but fails all work would else be tried without a pause.
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
		g.reason = err // says more than the error that work met first
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

// check asks the database whether it can be used. It has to do the work that a request needs where it failed to do that
// for a request, and where nothing is known of what the question itself has met.
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
