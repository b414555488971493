package handler

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// gate is open while the database can be used. Intake and waiting workers wait at it; while it is closed
// one prober asks the database, ever more rarely, and opens it.
type gate struct {
	probe   func(context.Context) error
	backoff Backoff
	log     *slog.Logger

	mu     sync.Mutex
	reason error         // why it is closed; nil: open
	open   chan struct{} // closed while the gate is open
	shut   chan struct{} // tells the prober
	streak int           // closings since something last succeeded
}

func newGate(probe func(context.Context) error, backoff Backoff, log *slog.Logger) *gate {
	g := &gate{probe: probe, backoff: backoff, log: log, open: make(chan struct{}), shut: make(chan struct{}, 1)}
	close(g.open)
	return g
}

// close closes the gate; closing it again changes nothing.
func (g *gate) close(reason error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.reason != nil {
		return
	}
	g.reason, g.open = reason, make(chan struct{})
	g.streak++
	g.shut <- struct{}{}
	g.log.Error("intake is paused until the database is back", "error", reason)
}

// succeeded says that work got through: the next outage is a new one.
func (g *gate) succeeded() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.reason == nil {
		g.streak = 0
	}
}

// err is why the gate is closed, or nil.
func (g *gate) err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reason
}

// wait returns when the gate is open, or with the context's cause.
func (g *gate) wait(ctx context.Context) error {
	g.mu.Lock()
	open := g.open
	g.mu.Unlock()
	select {
	case <-open:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run probes while the gate is closed, until ctx ends.
func (g *gate) run(ctx context.Context) {
	for {
		select {
		case <-g.shut:
		case <-ctx.Done():
			return
		}
		// A database that answers probes but fails all work would else be tried without a pause.
		g.mu.Lock()
		tries := g.streak
		g.mu.Unlock()
		for {
			if sleep(ctx, g.backoff.Delay(tries)) != nil {
				return
			}
			tries++
			if err := g.probe(ctx); err != nil {
				g.log.WarnContext(ctx, "the database is still away", "error", err)
				g.mu.Lock()
				g.reason = err // says more than the error that work met first
				g.mu.Unlock()
				continue
			}
			break
		}
		g.mu.Lock()
		g.reason = nil
		close(g.open)
		g.mu.Unlock()
		g.log.InfoContext(ctx, "the database is back; intake resumes")
	}
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
