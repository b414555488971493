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

// gate is open while the database can be used. Work that an outage has interrupted waits at it, and intake
// does. While it is closed one prober asks the database, ever more rarely.
//
// A database may answer probes and fail all work, such as one whose disk is full. So an outage that work has
// met is over only when the same work, rehearsed for nobody, has got through, and then the interrupted work: the prober
// lets it try, and intake and readiness wait for its word.
type gate struct {
	probe    func(context.Context) error
	rehearse func(context.Context) error // what work does, for nobody
	backoff  Backoff
	asked    func() // told after each probe of an outage
	faults   *repeatlog.Log

	mu     sync.Mutex
	reason error         // of the outage; nil: there is none
	met    bool          // by work: work must get through
	ajar   bool          // the prober has been answered, and work tries
	open   chan struct{} // closed while interrupted work may go on
	whole  chan struct{} // closed while there is no outage
	shut   chan struct{} // tells the prober
	streak int           // closings since something last succeeded
	worked bool          // something succeeded since the prober last looked
}

func newGate(
	probe, rehearse func(context.Context) error, backoff Backoff, asked func(), log *slog.Logger,
) *gate {
	g := &gate{
		probe: probe, rehearse: rehearse, backoff: backoff, asked: asked, faults: repeatlog.New(log),
		open: make(chan struct{}), whole: make(chan struct{}), shut: make(chan struct{}, 1),
	}
	close(g.open)
	close(g.whole)
	return g
}

// close closes the gate for an outage that work has met; closing it again changes nothing.
func (g *gate) close(reason error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.met = true
	g.closeLocked(reason)
}

func (g *gate) closeLocked(reason error) {
	switch {
	case g.reason == nil:
		g.whole = make(chan struct{})
		g.faults.Error("intake is paused until the database is back", reason)
	case !g.ajar:
		return
	default:
		g.faults.Warn("the database answers, but work does not get through", reason)
	}
	g.reason, g.ajar, g.open = reason, false, make(chan struct{})
	g.streak++
	g.shut <- struct{}{}
}

// succeeded says that work got through.
func (g *gate) succeeded() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.worked = true
	switch {
	case g.reason == nil:
		g.streak = 0
	case g.ajar:
		g.over()
	}
}

// over ends the outage. The caller holds the lock.
func (g *gate) over() {
	g.reason, g.met, g.ajar = nil, false, false
	close(g.whole)
	g.faults.Recovered("the database is back; intake resumes")
}

// err is the reason of the outage, or nil.
func (g *gate) err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reason
}

// wait returns when interrupted work may go on, or with the context's cause.
func (g *gate) wait(ctx context.Context) error {
	g.mu.Lock()
	open := g.open
	g.mu.Unlock()
	return until(ctx, open)
}

// ready returns when there is no outage, or with the context's cause.
func (g *gate) ready(ctx context.Context) error {
	g.mu.Lock()
	whole := g.whole
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
func (g *gate) run(ctx context.Context) {
	idle := time.NewTicker(probeInterval)
	defer idle.Stop()
	for {
		select {
		case <-g.shut:
			if g.untilAnswered(ctx) != nil {
				return
			}
		case <-idle.C:
			g.look(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// look asks the database if nothing else has, and closes the gate if it is away.
func (g *gate) look(ctx context.Context) {
	g.mu.Lock()
	known := g.worked || g.reason != nil
	g.worked = false
	g.mu.Unlock()
	if known {
		return
	}
	if err := g.sound(ctx); err != nil && ctx.Err() == nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.closeLocked(err)
	}
}

// untilAnswered asks the database until it answers, then lets interrupted work try, and intake too if no
// work was interrupted.
func (g *gate) untilAnswered(ctx context.Context) error {
	// A database that answers probes but fails all work would else be tried without a pause.
	g.mu.Lock()
	tries := g.streak
	g.mu.Unlock()
	for {
		if err := sleep(ctx, g.backoff.Delay(tries)); err != nil {
			return err
		}
		tries++
		err := g.sound(ctx)
		g.asked()
		if err == nil {
			break
		}
		g.faults.Warn("the database is still unavailable", err)
		g.mu.Lock()
		g.reason = err // says more than the error that work met first
		g.mu.Unlock()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ajar = true
	close(g.open)
	if !g.met {
		g.over()
	}
	return nil
}

// sound asks the database whether it can be used. It has to do the work that a request needs where it failed to do that
// for a request, and where nothing is known of what the question itself has met.
func (g *gate) sound(ctx context.Context) error {
	err := g.probe(ctx)
	var fault *pipeline.Fault
	if err != nil && !(errors.As(err, &fault) && fault.Class == pipeline.Transient) {
		return err
	}
	g.mu.Lock()
	met := g.met
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
