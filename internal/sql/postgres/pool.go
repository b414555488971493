package postgres

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/internal/crash"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/repeatlog"
)

// preparedPool is this process's view of the pool of prepared boundaries, which all replicas share.
type preparedPool struct {
	target     int    // 0: none are prepared or taken
	byDefault  bool   // the target is the default: none are prepared or taken while a standby is connected
	definition string // boundaries of other definitions are ignored
	ready      atomic.Int64
	taken      atomic.Int64
	misses     atomic.Int64

	compareAt     time.Time    // when the filler next looks for a boundary to compare
	locked        []string     // those that it cannot compare now
	unusable      atomic.Bool  // as last counted: it cannot be read, or is not used because a standby is connected
	disabledUntil atomic.Int64 // nanoseconds since 1970: until then the pool is not used
	faults        *repeatlog.Log
	wake          chan struct{} // signals that an attempt which used the pool has ended
}

// Prepared is the state of the pool of prepared boundaries, for metrics.
type Prepared struct {
	Ready  int64 // as last counted, without boundaries of other definitions
	Target int
	Taken  int64 // by attempts of this process, including failed ones, which return their boundary
	Misses int64 // attempts that found none
}

// Prepared returns the state of the pool.
func (s *Store) Prepared() Prepared {
	p := &s.prepared
	return Prepared{Ready: p.ready.Load(), Target: p.target, Taken: p.taken.Load(), Misses: p.misses.Load()}
}

// countUse counts whether an attempt found a boundary in the pool.
func (p *preparedPool) countUse(taken bool) {
	if taken {
		p.taken.Add(1)
	} else {
		p.misses.Add(1)
	}
}

// attemptEnded wakes [Store.FillPool] after an attempt that used the pool: a boundary may be missing.
func (p *preparedPool) attemptEnded() {
	select {
	case p.wake <- struct{}{}:
	default: // a wake-up is pending already
	}
}

// workKey is the key of the lock that all attempts share. It lets the filler detect attempts of other replicas.
func (s *Store) workKey() int64 { return lockKey("work", s.registry) }

// usesPool reports whether the attempt tries to take a prepared boundary. Only a first attempt does, so a broken pool
// can only delay a request.
func (b *build) usesPool() bool {
	p := &b.prepared
	return p.target > 0 && b.claim.Attempt == 1 && !p.unusable.Load() && time.Now().UnixNano() >= p.disabledUntil.Load()
}

// poolPause is how long the pool is not used after a boundary was unusable: the cause usually affects all of them.
const poolPause = time.Minute

// disable stops the use of the pool for poolPause.
func (p *preparedPool) disable(why error) {
	p.disabledUntil.Store(time.Now().Add(poolPause).UnixNano())
	p.faults.Warn("could not use prepared boundary; building boundaries on demand for one minute", why)
}

// openBoundary creates the tenant's schema, from the boundary that was taken, or else empty. The transaction has seen
// that the schema does not exist; for an empty one it checks again, because the schema may have been created since.
func (b *build) openBoundary(ctx context.Context) (existed bool, err error) {
	b.prepared.countUse(b.taken != "")
	if b.taken != "" {
		crash.Point("boundary taken", b.tenant)
		if err := b.checkTakenRows(ctx); err != nil {
			return false, err
		}
		rename := []string{b.ddl(render(b.q.RenameSchema, "prepared", b.taken))}
		if !b.pooled.stamped { // prepared by an earlier version
			unstamped, err := b.isUnstamped(ctx)
			if err != nil {
				return false, err
			}
			if unstamped {
				rename = append(rename, b.stampSQL(b.schema))
			}
		}
		if b.unaltered, err = b.renameTaken(ctx, rename); err != nil {
			err = withMissingPrivilege(err, createPrivilege)
			return false, fmt.Errorf("rename schema %s to %s: %w", b.taken, b.schema, b.faultAt(ctx, poolScope, err))
		}
		return false, nil
	}
	batch := &pgx.Batch{}
	batch.Queue(b.q.SchemaExists, b.schema).QueryRow(func(row pgx.Row) error { return row.Scan(&existed) })
	b.queueLeaveSchema(func(text string, args ...any) { batch.Queue(text, args...) })
	batch.Queue(b.ddl(b.q.CreateSchema))
	sent := time.Now()
	if err := stall(b.conn.SendBatch(ctx, batch).Close(), sent, b.timeouts); err != nil {
		return false, fmt.Errorf("create schema %s: %w", b.schema, withMissingPrivilege(classify(err), createPrivilege))
	}
	return existed, nil
}

// errUnusable does not count as an attempt: the next attempt continues without that boundary.
var errUnusable = fmt.Errorf("not the request's fault: %w", pipeline.ErrBusy)

// reject abandons the attempt because the boundary that was taken does not match the definition. It removes the
// boundary from the pool, so that no other attempt takes it.
func (b *build) reject(ctx context.Context, differences []string) error {
	b.log.WarnContext(ctx, "prepared boundary was changed; removing it from the pool",
		"schema", b.taken, "differences", differences)
	batch := &pgx.Batch{}
	batch.Queue("ROLLBACK")
	batch.Queue(b.q.AsyncCommit) // if this commit is lost, the next attempt finds the difference again
	batch.Queue(b.q.RemovePrepared, b.taken)
	if err := b.conn.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("remove schema %s from the pool: %w", b.taken, sharedFault(err))
	}
	return fmt.Errorf("%w: the prepared boundary %s differs from the definition and was removed from the pool: %s",
		errUnusable, b.taken, strings.Join(differences, "; "))
}

// activity records when this process last started or ended work on a request.
type activity struct {
	start time.Time
	last  atomic.Int64 // nanoseconds since start, by the monotonic clock
}

func (a *activity) touch() { a.last.Store(int64(time.Since(a.start))) }

// idle returns the time since the last start or end of work.
func (a *activity) idle() time.Duration { return time.Since(a.start) - time.Duration(a.last.Load()) }
