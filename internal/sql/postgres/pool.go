package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/internal/crash"
	"example.com/tenant-provisioner/internal/pipeline"
)

// preparedPool is what this process knows of the prepared boundaries that all replicas share.
type preparedPool struct {
	target     int    // 0: none are prepared or taken
	definition string // boundaries of another one are not ours
	ready      atomic.Int64
	taken      atomic.Int64
	misses     atomic.Int64

	refusedUntil atomic.Int64  // nanoseconds since 1970: none is asked for until then
	wake         chan struct{} // an attempt of this process that has asked it has ended
}

// Prepared is the state of the pool of prepared boundaries, for metrics.
type Prepared struct {
	Ready  int64 // as last counted; boundaries of another definition are not
	Target int
	Taken  int64 // by attempts of this process; one that fails gives its boundary back
	Misses int64 // attempts that found none
}

// Prepared is the state of the pool.
func (s *Store) Prepared() Prepared {
	p := &s.prepared
	return Prepared{Ready: p.ready.Load(), Target: p.target, Taken: p.taken.Load(), Misses: p.misses.Load()}
}

// countUse notes whether an attempt has had a boundary of the pool.
func (p *preparedPool) countUse(taken bool) {
	if taken {
		p.taken.Add(1)
	} else {
		p.misses.Add(1)
	}
}

// attemptEnded tells who fills the pool that an attempt that asked it has ended: one boundary may be missing.
func (p *preparedPool) attemptEnded() {
	select {
	case p.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// workKey is the lock that every attempt shares, so that a filler can tell whether anybody is at work.
func (s *Store) workKey() int64 { return lockKey("work", s.registry) }

// asksPool reports whether the attempt asks for a prepared boundary. Only a first one does: whatever may be wrong
// with the pool, it costs a request a delay and no more.
func (b *build) asksPool() bool {
	return b.prepared.target > 0 && b.claim.Attempt == 1 && time.Now().UnixNano() >= b.prepared.refusedUntil.Load()
}

// refusalPause is how long no boundary is asked for after one could not be used: what is refused is refused to all.
const refusalPause = time.Minute

// refuse notes that prepared boundaries cannot be used.
func (p *preparedPool) refuse(log *slog.Logger, why error) {
	p.refusedUntil.Store(time.Now().Add(refusalPause).UnixNano())
	log.Warn("could not use prepared boundary; building boundaries on demand for one minute", "error", why)
}

// scanTaken reads which boundary was taken, if one was.
func (b *build) scanTaken(row pgx.Row) error {
	if err := row.Scan(&b.taken, &b.takenStamped); !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	return nil
}

// open makes the tenant's schema of the boundary that was taken or, where there was none, from nothing. The
// transaction has seen that there was no such schema; whether one has come meanwhile is looked at again.
func (b *build) open(ctx context.Context) (existed bool, err error) {
	b.prepared.countUse(b.taken != "")
	if b.taken != "" {
		crash.Point("boundary taken", b.tenant)
		rename := b.ddl(render(b.q.renameSchema, "prepared", b.taken))
		if !b.takenStamped { // built by the earlier version
			unstamped, err := b.isUnstamped(ctx)
			if err != nil {
				return false, err
			}
			if unstamped {
				rename += ";\n" + b.stampSQL(b.schema)
			}
		}
		if err := b.exec(ctx, rename); err != nil {
			return false, fmt.Errorf("rename schema %s to %s: %w", b.taken, b.schema, b.faultAt(ctx, ofPool, err))
		}
		return false, nil
	}
	batch := &pgx.Batch{}
	batch.Queue(b.q.schemaExists, b.schema).QueryRow(func(row pgx.Row) error { return row.Scan(&existed) })
	batch.Queue(b.ddl(b.q.createSchema))
	sent := time.Now()
	if err := stall(b.conn.SendBatch(ctx, batch).Close(), sent, b.timeouts); err != nil {
		return false, fmt.Errorf("create schema %s: %w", b.schema, withMissingPrivilege(classify(err), createRight))
	}
	return existed, nil
}

// errUnusable costs the request nothing: the next attempt goes on without that boundary.
var errUnusable = fmt.Errorf("it is not the request's: %w", pipeline.ErrBusy)

// reject gives up the attempt because the boundary that was taken is not as defined: somebody has changed it. It
// leaves the pool, so that nobody meets it again.
func (b *build) reject(ctx context.Context, in pipeline.Inspection) error {
	differences := in.Faults()
	b.log.WarnContext(ctx, "prepared boundary was changed; removing it from the pool",
		"schema", b.taken, "differences", differences)
	batch := &pgx.Batch{}
	batch.Queue("ROLLBACK")
	batch.Queue(b.q.laxCommit) // what is lost with it is found again
	batch.Queue(b.q.removePrepared, b.taken)
	if err := b.conn.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("remove schema %s from the pool: %w", b.taken, sharedFault(err))
	}
	return fmt.Errorf("%w: the prepared boundary %s differs from the definition and was put aside: %s",
		errUnusable, b.taken, strings.Join(differences, "; "))
}

// activity is when this process last began or ended something for a request.
type activity struct {
	start time.Time
	last  atomic.Int64 // nanoseconds since start: by the clock that nobody sets
}

func (a *activity) touch() { a.last.Store(int64(time.Since(a.start))) }

// idle is how long nothing has begun or ended.
func (a *activity) idle() time.Duration { return time.Since(a.start) - time.Duration(a.last.Load()) }
