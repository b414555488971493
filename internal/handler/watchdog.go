package handler

import (
	"fmt"
	"sync"
	"time"
)

// state is what intake waits for. It determines which goroutines must make progress.
type state int

// The states.
const (
	stateServer  state = iota // for a message, or a reply about streams and consumer; intake touches it regularly
	placeGate                 // for the database; the prober and interrupted work must make progress
	placeWorkers              // for a free slot; workers must finish steps, publish and acknowledge
	placeEnd                  // for work to finish or be released
)

// places has the name of each state and the longest time without progress that can be explained: no call to a server
// takes longer than a minute and a half.
var places = map[state]struct {
	name     string
	patience time.Duration
}{
	stateServer:  {"waiting for NATS", 2 * time.Minute},
	placeGate:    {"waiting for the database", 3 * time.Minute},
	placeWorkers: {"waiting for a worker", 3 * time.Minute},
	placeEnd:     {"waiting for work to end", 3 * time.Minute},
}

// watchdog reports whether intake makes progress. Waiting for an unavailable server counts as progress as long as the
// server is probed. Without progress, only a restart helps.
type watchdog struct {
	mu   sync.Mutex
	at   state
	last time.Time
}

func newWatchdog() *watchdog { return &watchdog{last: time.Now()} }

// setState records that intake itself has made progress and entered this state.
func (p *watchdog) setState(at state) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.last = at, time.Now()
}

// touch records progress of a worker or the prober, which counts only while intake waits for them.
func (p *watchdog) touch() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at != stateServer {
		p.last = time.Now()
	}
}

// err returns nil while intake makes progress. worked is when the pipeline last did.
func (p *watchdog) err(worked time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := p.last
	if p.at != stateServer && worked.After(last) {
		last = worked
	}
	where := places[p.at]
	if quiet := time.Since(last); quiet > where.patience {
		return fmt.Errorf("intake has made no progress for %s, %s; restart the process (SIGQUIT prints where it hangs)",
			quiet.Round(time.Second), where.name)
	}
	return nil
}
