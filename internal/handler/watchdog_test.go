package handler

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/tenant-provisioner/internal/testkit"
)

func TestWatchdog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var never time.Time
		p := newWatchdog()
		for at, where := range states {
			p.setState(at)
			time.Sleep(where.patience)
			if err := p.err(never); err != nil {
				t.Errorf("%s, within patience: %v", where.name, err)
			}
			time.Sleep(time.Second)
			if err := p.err(never); err == nil || !strings.Contains(err.Error(), where.name) {
				t.Errorf("%s, after patience: %v", where.name, err)
			}
			// Progress of workers and the prober counts only while intake waits for them.
			p.touch()
			if err := p.err(never); (err != nil) != (at == stateServer) {
				t.Errorf("%s, workers made progress: %v", where.name, err)
			}
			time.Sleep(where.patience + time.Second)
			if err := p.err(time.Now()); (err != nil) != (at == stateServer) {
				t.Errorf("%s, a step made progress: %v", where.name, err)
			}
			p.setState(at)
			if err := p.err(never); err != nil {
				t.Errorf("%s, intake made progress: %v", where.name, err)
			}
		}
	})
}

// hang simulates that intake, workers and prober made no progress for an hour.
func (w *watchdog) hang() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = time.Now().Add(-time.Hour)
}

// An idle stream or an unavailable database is no reason for a restart; a lack of progress is one.
func TestLiveness(t *testing.T) {
	b := newBundle(t)
	entered, release := b.block()
	h := b.start()
	testkit.Must(t, h.Liveness())
	h.watchdog.hang()
	b.eventually("idle intake makes progress", func() bool { return h.Liveness() == nil })

	b.publishTenants(5)
	testkit.Receive(t, "work begins", entered)
	b.eventually("intake waits for workers", func() bool {
		h.watchdog.hang()
		err := h.watchdog.err(time.Time{})
		return h.InFlight() == 4 && err != nil && strings.Contains(err.Error(), states[stateWorkers].name)
	})
	testkit.Must(t, h.Liveness()) // a step has begun just now
	release()
	b.awaitSettled()
	b.eventually("nothing is in flight", func() bool { return h.InFlight() == 0 })

	b.db.unplug()
	b.publishTenants(6)
	b.eventually("intake pauses", func() bool { return h.breaker.err() != nil })
	h.watchdog.hang()
	b.eventually("the prober makes progress", func() bool { return h.watchdog.err(time.Time{}) == nil })
}
