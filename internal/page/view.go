package page

import (
	"context"
	"sync"
	"time"
)

// view is the data of one rendering.
type view struct {
	Config
	At       time.Time
	Up       time.Duration
	Started  time.Time
	Away     error // why no requests are taken; nil: they are
	Queue    answer[queue]
	Outcomes answer[outcomes]
	Rates    answer[rates]
	Letters  answer[letters]
	Store    *Database // nil: not opened yet
}

// look reads all sources in parallel.
func (p *Page) look(ctx context.Context) view {
	v := view{Config: p.Config, Started: p.started.UTC()}
	var all sync.WaitGroup
	all.Go(func() { v.Queue = ask(ctx, p, &p.queue, readQueue) })
	all.Go(func() { v.Outcomes = ask(ctx, p, &p.outcomes, readOutcomes) })
	all.Go(func() { v.Letters = ask(ctx, p, &p.letters, readLetters) })
	all.Go(func() { v.Rates = ask(ctx, p, &p.rates, p.readRates) })
	all.Wait()
	p.mu.Lock()
	database := p.database
	p.mu.Unlock()
	if database != nil {
		store := database()
		v.Store = &store
	}
	v.Away = p.Ready()
	v.At = p.Now().UTC()
	v.Up = v.At.Sub(p.started)
	return v
}
