package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/internal/repeatlog"
	"example.com/tenant-provisioner/internal/sql"
)

const (
	// quietTime is how long no attempt may run before a boundary is built. It is longer than the pauses of a worker
	// between two requests and within one, so none is built in steady traffic; it is short enough for the gaps in any
	// other traffic.
	quietTime = 50 * time.Millisecond
	// countInterval is how often the pool is counted while this process takes nothing: other replicas take from it too.
	countInterval = time.Second
	// dueInterval is how often boundaries are looked for that are to be compared again, once all were.
	dueInterval = 15 * time.Second
	// fillBackoff is the first pause after a failure; it doubles up to fillBackoffMost.
	fillBackoff    = 500 * time.Millisecond
	maxFillBackoff = 10 * time.Second
)

// FillPool keeps the pool of prepared boundaries full until ctx ends. It builds one at a time, only while no replica is
// processing a request, and uses at most one connection. It logs a repeated fault once and retries without limit. If no
// boundaries are to be prepared, it returns at once.
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
			wait, pause, failing = pause, min(2*pause, maxFillBackoff), true
		case failing && (wait == 0 || wait == countInterval): // one was built, or the pool is full
			faults.Recovered("preparing boundaries again")
			pause, failing = fillBackoff, false
		}
		wake := s.prepared.wake
		if failing {
			wake = nil // requests do not shorten the backoff
		}
		pauseUntil(ctx, wait, wake)
	}
}

// pauseUntil waits for that time, or until it is woken or ctx ends.
func pauseUntil(ctx context.Context, wait time.Duration, wake <-chan struct{}) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-ctx.Done():
	}
}

// fillOnce builds a boundary if one is missing, or else compares one that is due, if no request is being processed. It
// returns how long to wait before the next call, which is 0 if it has done something.
func (s *Store) fillOnce(ctx context.Context) (wait time.Duration, err error) {
	if idle := s.activity.idle(); idle < quietTime { // nothing would be built now, so do not count either
		return quietTime - idle, nil
	}
	full, err := s.countPrepared(ctx)
	if err != nil {
		return 0, err
	}
	if full && time.Now().Before(s.prepared.compareAt) {
		return countInterval, nil
	}
	quiet, err := s.isQuiet(ctx)
	if err != nil {
		return 0, err
	}
	if !quiet {
		return quietTime, nil
	}
	if full {
		compared, err := s.compareDue(ctx)
		if compared {
			return 0, nil
		}
		s.prepared.compareAt = time.Now().Add(dueInterval)
		return countInterval, err
	}
	built, err := s.prepareOne(ctx)
	if err != nil || built {
		return 0, err
	}
	return countInterval, nil // another replica is building
}

// countPrepared counts the boundaries that are ready, and reports whether they are enough.
func (s *Store) countPrepared(ctx context.Context) (full bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var pool poolCount
	err = pool.scan(s.pool.QueryRow(ctx, s.q.CountPrepared, s.prepared.definition))
	switch {
	case err != nil:
		err = fmt.Errorf("count the prepared boundaries: %w", sharedFault(err))
		if ctx.Err() != nil { // the filler stops, or the server is slow: that says nothing of the pool
			return false, err
		}
	case s.prepared.byDefault && pool.standby:
		err = errStandby
	}
	s.prepared.unusable.Store(err != nil)
	s.prepared.ready.Store(pool.ready)
	return pool.isFull(s.prepared.target), err
}

// errStandby is why boundaries are not prepared by default beside a standby: unlike a dump of this server, one of a
// standby cannot be seen here.
var errStandby = errors.New("a standby is connected, and a pg_dump of it would fail at a boundary that is renamed; " +
	"set PREPARED_BOUNDARIES to prepare them in spite of that, and leave them out of its dumps: pg_dump -N '" +
	sql.PreparedPrefix + "*'")

// poolCount is the number of boundaries in the pool: those that can be taken, and with those that are passed over while
// a pg_dump can see them.
type poolCount struct {
	ready, total int64
	standby      bool // one is connected, or a program that receives the WAL as a standby does
}

func (c *poolCount) scan(row pgx.Row) error { return row.Scan(&c.ready, &c.total, &c.standby) }

// isFull reports whether enough boundaries are ready. Dumps, one after the other, must not let the pool grow for ever.
func (c *poolCount) isFull(target int) bool {
	return c.ready >= int64(target) || c.total >= 2*int64(target)
}

// isQuiet reports whether no attempt ran for quietTime. For other replicas it samples only the start and the end of
// that time.
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

// noAttemptRuns reports whether no replica has an attempt in its transaction now.
func (s *Store) noAttemptRuns(ctx context.Context) (quiet bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := s.pool.QueryRow(ctx, s.q.IsQuiet, s.workKey()).Scan(&quiet); err != nil {
		return false, fmt.Errorf("check whether requests are in progress: %w", sharedFault(err))
	}
	return quiet, nil
}
