package page

import (
	"context"
	"sync"
	"time"
)

// view is the data of one rendering.
type view struct {
	Config
	At          time.Time
	Up          time.Duration
	Started     time.Time
	NotReady    error // why no requests are taken; nil: they are
	Queue       answer[queue]
	Outcomes    answer[outcomes]
	Rates       answer[rates]
	Minutes     answer[minutes]
	DeadLetters answer[deadLetters]
	Store       *Database // nil: not opened yet
}

// readAll reads all sources in parallel.
func (p *Page) readAll(ctx context.Context) view {
	v := view{Config: p.Config, Started: p.started.UTC()}
	var all sync.WaitGroup
	all.Go(func() { v.Queue = query(ctx, p, &p.queue, readQueue) })
	all.Go(func() { v.Outcomes = query(ctx, p, &p.outcomes, readOutcomes) })
	all.Go(func() { v.DeadLetters = query(ctx, p, &p.deadLetters, readDeadLetters) })
	all.Go(func() { v.Rates = query(ctx, p, &p.rates, p.readRates) })
	all.Go(func() { v.Minutes = query(ctx, p, &p.minutes, p.readMinutes) })
	all.Wait()
	p.mu.Lock()
	database := p.database
	p.mu.Unlock()
	if database != nil {
		store := database()
		v.Store = &store
	}
	v.NotReady = p.Ready()
	v.At = p.Now().UTC()
	v.Up = v.At.Sub(p.started)
	return v
}
