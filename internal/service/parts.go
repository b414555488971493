package service

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// parts are the running parts of the service, by name, each with the function that stops it.
type parts struct {
	takesRequests atomic.Bool // since they all run

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

// stopOne stops a part that another one will replace.
func (p *parts) stopOne(name string) error {
	p.mu.Lock()
	stop := p.running[name]
	delete(p.running, name)
	p.mu.Unlock()
	return stop()
}

// names are the names of the parts, sorted.
func (p *parts) names() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.running))
}

// stop stops all parts at the same time, because one that hangs must not use up the time of another, and waits for them
// until ctx ends. It returns the errors of those that have stopped; the others are still in names.
func (p *parts) stop(ctx context.Context) (err error) {
	type result struct {
		name string
		err  error
	}
	p.mu.Lock()
	stopping := maps.Clone(p.running)
	p.mu.Unlock()
	results := make(chan result, len(stopping))
	for name, stop := range stopping {
		go func() { results <- result{name, stop()} }()
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
