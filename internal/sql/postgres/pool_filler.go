package postgres

import (
	"context"
	"fmt"
	"time"

	"example.com/tenant-provisioner/internal/repeatlog"
)

const (
	// quietTime is how long nobody may be at work before a boundary is built: longer than the pauses of a worker
	// between two requests and within one, so that in steady traffic none is built, and short enough for the
	// gaps of any other.
	quietTime = 50 * time.Millisecond
	// lookInterval is how often the pool is counted when nothing has been taken here: others take from it too.
	lookInterval = time.Second
	// fillBackoff is how long a filler that fails waits at first, and fillBackoffMost at most.
	fillBackoff     = 500 * time.Millisecond
	fillBackoffMost = 10 * time.Second
)

// FillPool keeps the pool of prepared boundaries full, until ctx ends. It builds one at a time, only while no request
// is worked on in any replica, and with one connection at most. A fault that repeats is logged once; it
// never gives up. Where no boundaries are to be prepared it returns at once.
func (s *Store) FillPool(ctx context.Context) {
	if s.prepared.target == 0 {
		return
	}
	pause := fillBackoff
	failing := false
	faults := repeatlog.New(s.log)
	for ctx.Err() == nil {
		wait, err := s.fillOnce(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			faults.Warn("could not prepare boundaries; building them on demand; retrying", err)
			wait, pause, failing = pause, min(2*pause, fillBackoffMost), true
		case failing && (wait == 0 || wait == lookInterval): // one was built, or none is missing
			faults.Recovered("preparing boundaries again")
			pause, failing = fillBackoff, false
		}
		wake := s.prepared.wake
		if failing {
			wake = nil // it is not hurried by requests
		}
		pauseUntil(ctx, wait, wake)
	}
}

// pauseUntil waits, or until it is woken or ctx ends.
func pauseUntil(ctx context.Context, wait time.Duration, wake <-chan struct{}) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-ctx.Done():
	}
}

// fillOnce builds a boundary if one is missing and nobody is at work, and returns how long to wait before the next
// look: not at all where it has built one.
func (s *Store) fillOnce(ctx context.Context) (wait time.Duration, err error) {
	if idle := s.activity.idle(); idle < quietTime { // nothing is built now: not even a count is worth its while
		return quietTime - idle, nil
	}
	full, err := s.countPrepared(ctx)
	if err != nil {
		return 0, err
	}
	if full {
		return lookInterval, nil
	}
	quiet, err := s.isQuiet(ctx)
	if err != nil {
		return 0, err
	}
	if !quiet {
		return quietTime, nil
	}
	built, err := s.prepareOne(ctx)
	if err != nil || built {
		return 0, err
	}
	return lookInterval, nil // another replica is at it
}

// countPrepared counts what is ready, and reports whether that is enough.
func (s *Store) countPrepared(ctx context.Context) (full bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var n int64
	if err := s.pool.QueryRow(ctx, s.q.countPrepared, s.prepared.definition).Scan(&n); err != nil {
		return false, fmt.Errorf("count the prepared boundaries: %w", sharedFault(err))
	}
	s.prepared.ready.Store(n)
	return n >= int64(s.prepared.target), nil
}

// isQuiet reports whether nobody was at work for a while: here, nor, at its beginning and its end, elsewhere.
func (s *Store) isQuiet(ctx context.Context) (bool, error) {
	if quiet, err := s.noAttemptRuns(ctx); err != nil || !quiet {
		return false, err
	}
	pauseUntil(ctx, quietTime, nil)
	if s.activity.idle() < quietTime {
		return false, nil
	}
	return s.noAttemptRuns(ctx)
}

// noAttemptRuns reports whether no attempt of any replica is in its transaction at this moment.
func (s *Store) noAttemptRuns(ctx context.Context) (quiet bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := s.pool.QueryRow(ctx, s.q.isQuiet, s.workKey()).Scan(&quiet); err != nil {
		return false, fmt.Errorf("see whether requests are worked on: %w", sharedFault(err))
	}
	return quiet, nil
}
