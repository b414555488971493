package sqlite

import (
	"context"
	databasesql "database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"example.com/tenant-provisioner/internal/crash"
	"example.com/tenant-provisioner/internal/pipeline"
)

// pendingChange is something to be written to the registry, which waits for a commit.
type pendingChange struct {
	durable bool // the caller is told when it is on the disk
	// dir holds a tenant's file. Its names, and those in its parents, are durable before the commit is:
	// all the way up, since a directory may be one that an attempt made which then died.
	dir    string
	tenant string
	do     func(ctx context.Context, registry *databasesql.Tx) error
	err    error
	unsync error // why the names of the file are not durable
	told   chan error
}

// commitQueue is the changes that wait.
type commitQueue struct {
	mutex   sync.Mutex
	waiting []*pendingChange
}

func (q *commitQueue) enqueue(c *pendingChange) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.waiting = append(q.waiting, c)
}

// withdraw reports whether the change was still waiting.
func (q *commitQueue) withdraw(c *pendingChange) bool {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	i := slices.Index(q.waiting, c)
	if i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
	return i >= 0
}

// drain empties the queue.
func (q *commitQueue) drain() (batch []*pendingChange) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	batch, q.waiting = q.waiting, nil
	return batch
}

// write is writeOnce, again for a change that can be made again where another one's fault had it abandoned.
func (s *Store) write(ctx context.Context, c *pendingChange) (err error) {
	for range 3 {
		if err = s.writeOnce(ctx, c); !errors.Is(err, errAbandoned) || c.dir != "" {
			break
		}
		c.err = nil
	}
	return err
}

// writeOnce makes the change in a write transaction of the registry and returns when that is committed. Who gets the
// turn takes along all that wait for it: they share one transaction, and one wait for the disk. Nobody waits for
// others to come. A caller whose context ends leaves the queue; once its change is being written it waits for
// the result, which is the truth.
func (s *Store) writeOnce(ctx context.Context, c *pendingChange) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c.told = make(chan error, 1)
	s.queue.enqueue(c)
	select {
	case err := <-c.told:
		return err
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		if s.queue.withdraw(c) {
			return context.Cause(ctx)
		}
		return <-c.told
	}
	select {
	case err := <-c.told: // who had the turn before took it along
		return err
	default:
	}
	s.leader(ctx, s.queue.drain())
	return <-c.told
}

// errAbandoned is what the others are told where one change of the batch panics, or its directory does not work. It
// costs them nothing.
var errAbandoned = fmt.Errorf("the transaction was abandoned for another one's fault: %w", pipeline.ErrBusy)

// leader writes a batch and tells everybody what became of it. A transaction that is not committed has told no
// change the truth, not even one that failed: what it met there may have been another's.
func (s *Store) leader(ctx context.Context, batch []*pendingChange) {
	err := errAbandoned
	defer func() {
		for _, c := range batch {
			switch {
			case c.unsync != nil:
				c.err = c.unsync
			case err != nil:
				c.err = err
			}
			c.told <- c.err
		}
	}()
	if len(batch) > 1 {
		ctx = context.WithoutCancel(ctx) // the caller's end is not the others'
	}
	err = s.commit(ctx, batch)
}

// commit writes a batch in one transaction.
func (s *Store) commit(ctx context.Context, batch []*pendingChange) error {
	if err := s.inPlace(); err != nil {
		return err
	}
	db := s.lax
	if slices.ContainsFunc(batch, func(c *pendingChange) bool { return c.durable }) {
		db = s.durable
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return registryFault(err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	if len(batch) == 1 {
		if err := batch[0].do(ctx, tx); err != nil {
			return registryFault(errors.Join(err, tx.Rollback()))
		}
	} else if err := withSavepoints(ctx, tx, batch); err != nil {
		return registryFault(err)
	}
	if err := s.syncDirs(batch); err != nil {
		return err
	}
	return registryFault(tx.Commit())
}

// withSavepoints makes each change so that it can fail without the others. An error is the transaction's.
func withSavepoints(ctx context.Context, tx *databasesql.Tx, batch []*pendingChange) error {
	for _, c := range batch {
		if _, err := tx.ExecContext(ctx, "SAVEPOINT change"); err != nil {
			return err
		}
		end := "RELEASE change"
		if err := c.do(ctx, tx); err != nil {
			c.err = registryFault(err)
			end = "ROLLBACK TO change; RELEASE change"
		}
		if _, err := tx.ExecContext(ctx, end); err != nil {
			return errors.Join(c.err, err)
		}
	}
	return nil
}

// syncDirs makes the names of the batch's files durable. At once: a file system has one journal, and who waits
// for it at the same time waits for the same write. Where a tenant's directory fails, the fault is that tenant's.
func (s *Store) syncDirs(batch []*pendingChange) error {
	var all errgroup.Group
	begun := map[string]bool{}
	var mutex sync.Mutex
	failed := map[string]error{}
	for _, c := range batch {
		if c.err != nil || c.dir == "" {
			continue
		}
		for dir := c.dir; !begun[dir]; dir = filepath.Dir(dir) {
			begun[dir] = true
			all.Go(func() error {
				err := s.syncDir(dir)
				if err != nil {
					mutex.Lock()
					defer mutex.Unlock()
					failed[dir] = err
				}
				return err
			})
			if dir == s.Root {
				break
			}
		}
	}
	if err := all.Wait(); err != nil {
		for _, c := range batch {
			if why := failed[c.dir]; why != nil && c.dir != s.Root {
				c.unsync, err = registryFault(why), errAbandoned // a rehearsal tells whether it is that tenant's
			}
		}
		return registryFault(err)
	}
	for _, c := range batch {
		if c.err == nil && c.dir != "" {
			crash.Point("directory synced", c.tenant)
		}
	}
	return nil
}
