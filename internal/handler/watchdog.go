package handler

import (
	"fmt"
	"sync"
	"time"
)

// state is where intake stands: what it waits for there tells who has to get on.
type state int

// The places.
const (
	stateServer  state = iota // for a message, or the server's word on streams and consumer; intake looks up now and then
	placeGate                 // for the database; the prober asks, and interrupted work tries
	placeWorkers              // for a free slot; workers end steps, publish and acknowledge
	placeEnd                  // for work to end or be handed back
)

// places tells of each what it is called, and the longest time without a sign of life that can be explained: no call
// of a server goes on for longer than a minute and a half.
var places = map[state]struct {
	name     string
	patience time.Duration
}{
	stateServer:  {"waiting for NATS", 2 * time.Minute},
	placeGate:    {"waiting for the database", 3 * time.Minute},
	placeWorkers: {"waiting for a worker", 3 * time.Minute},
	placeEnd:     {"waiting for work to end", 3 * time.Minute},
}

// watchdog tells whether intake gets on. To wait for a server that is away is to get on, as long as somebody asks it:
// what does not is a process that only a restart can help.
type watchdog struct {
	mu   sync.Mutex
	at   state
	last time.Time
}

func newWatchdog() *watchdog { return &watchdog{last: time.Now()} }

// setState says that intake itself has got on, to this place.
func (p *watchdog) setState(at state) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.last = at, time.Now()
}

// touch says that a worker or the prober got on, which counts where intake waits for them.
func (p *watchdog) touch() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at != stateServer {
		p.last = time.Now()
	}
}

// err is nil while intake gets on. worked is when the pipeline last did.
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
