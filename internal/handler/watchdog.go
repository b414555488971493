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
	stateBreaker              // for the database; the prober and interrupted work must make progress
	stateWorkers              // for a free slot; workers must finish steps, publish and acknowledge
	stateDrain                // for work to finish or be released
)

// states has the name of each state and the longest time without progress that can be explained: no call to a server
// takes longer than a minute and a half.
var states = map[state]struct {
	name     string
	patience time.Duration
}{
	stateServer:  {"waiting for NATS", 2 * time.Minute},
	stateBreaker: {"waiting for the database", 3 * time.Minute},
	stateWorkers: {"waiting for a worker", 3 * time.Minute},
	stateDrain:   {"waiting for work to end", 3 * time.Minute},
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
func (w *watchdog) setState(at state) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at, w.last = at, time.Now()
}

// touch records progress of a worker or the prober, which counts only while intake waits for them.
func (w *watchdog) touch() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.at != stateServer {
		w.last = time.Now()
	}
}

// err returns nil while intake makes progress. worked is when the pipeline last did.
func (w *watchdog) err(worked time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := w.last
	if w.at != stateServer && worked.After(last) {
		last = worked
	}
	where := states[w.at]
	if quiet := time.Since(last); quiet > where.patience {
		return fmt.Errorf("intake has made no progress for %s, %s; restart the process (SIGQUIT prints where it hangs)",
			quiet.Round(time.Second), where.name)
	}
	return nil
}
