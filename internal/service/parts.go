package service

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// parts are the running parts of the service, by name, each with the function that stops it.
type parts struct {
	takesRequests atomic.Bool // requests may be in progress

	mu      sync.Mutex
	running map[string]func() error
}

// started adds a part, or replaces the function that stops it.
func (p *parts) started(name string, stop func() error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == nil {
		p.running = map[string]func() error{}
	}
	p.running[name] = stop
}

// names are the names of the parts, sorted.
func (p *parts) names() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.running))
}

// stop stops all parts at the same time, because one that hangs must not use up the time of another, and waits for them
// until ctx ends. It returns the errors of those that have stopped; the others are still in names.
func (p *parts) stop(ctx context.Context, log *slog.Logger) (err error) {
	type result struct {
		name string
		err  error
	}
	p.mu.Lock()
	stopping := maps.Clone(p.running)
	p.mu.Unlock()
	results := make(chan result, len(stopping))
	for name, stop := range stopping {
		go func() { results <- result{name, recovering(ctx, log, stop)} }()
	}
	for range stopping {
		select {
		case r := <-results:
			err = errors.Join(err, r.err)
			p.mu.Lock()
			delete(p.running, r.name)
			p.mu.Unlock()
		case <-ctx.Done():
			return err
		}
	}
	return err
}
