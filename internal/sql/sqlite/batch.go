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

// pendingChange is a change to the registry that waits for a group commit.
type pendingChange struct {
	durable bool // the caller gets the result only when it is on disk
	// dir contains a tenant's file. The directory entries of the file, and of its parents up to the root, are synced
	// before the commit: a crashed attempt may have created a parent without syncing it.
	dir    string
	tenant string
	do     func(ctx context.Context, registry *transaction) error
	undo   func() error // removes the file that do has placed; nil if it places none
	err    error
	unsync error // why the directory entries of the file are not durable
	done   chan error
}

// commitQueue contains the pending changes.
type commitQueue struct {
	mutex   sync.Mutex
	waiting []*pendingChange
}

func (q *commitQueue) enqueue(c *pendingChange) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.waiting = append(q.waiting, c)
}

// withdraw removes a pending change. It reports false if a leader has already drained it.
func (q *commitQueue) withdraw(c *pendingChange) bool {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	i := slices.Index(q.waiting, c)
	if i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
	return i >= 0
}

// drain empties the queue and returns its changes.
func (q *commitQueue) drain() (batch []*pendingChange) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	batch, q.waiting = q.waiting, nil
	return batch
}

// write is writeOnce with retries: a change that was rolled back because of another change in its batch is repeated, up
// to three times in total, unless it places a file.
func (s *Store) write(ctx context.Context, c *pendingChange) (err error) {
	for range 3 {
		if err = s.writeOnce(ctx, c); !errors.Is(err, errAbandoned) || c.dir != "" {
			break
		}
		c.err = nil
	}
	return err
}

// writeOnce makes the change in a write transaction of the registry and returns after the commit. Changes are group
// committed. The caller that becomes the leader drains the queue and commits all pending changes in one
// transaction, with one wait for the disk. A leader does not wait for further changes. A caller whose context ends
// withdraws its change; if the change is already being written, it waits for the actual result.
func (s *Store) writeOnce(ctx context.Context, c *pendingChange) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c.done = make(chan error, 1)
	s.queue.enqueue(c)
	select {
	case err := <-c.done:
		return err
	case s.leader <- struct{}{}:
		defer func() { <-s.leader }()
	case <-ctx.Done():
		if s.queue.withdraw(c) {
			return context.Cause(ctx)
		}
		return <-c.done
	}
	select {
	case err := <-c.done: // the previous leader committed it
		return err
	default:
	}
	s.commitBatch(ctx, s.queue.drain())
	return <-c.done
}

// errAbandoned is the result of a batch's other changes if one change panics or its directory cannot be synced. It
// costs their requests no attempt.
var errAbandoned = fmt.Errorf("the transaction was rolled back for another change's fault: %w", pipeline.ErrBusy)

// commitBatch commits a batch and sends each change its result. If the transaction does not commit, all changes get its
// error, even one that failed by itself: its failure may depend on other changes in the transaction.
func (s *Store) commitBatch(ctx context.Context, batch []*pendingChange) {
	err := errAbandoned
	defer func() {
		for _, c := range batch {
			switch {
			case c.unsync != nil:
				c.err = c.unsync
			case err != nil:
				c.err = err
			}
			c.done <- c.err
		}
	}()
	if len(batch) > 1 {
		ctx = context.WithoutCancel(ctx) // the end of the leader's context must not fail the others
	}
	err = s.commit(ctx, batch)
}

// begin begins a transaction that holds the registry's write lock until it is committed or end is called, also if ctx
// ends before: the lock guards the log, and the files that are placed.
func begin(ctx context.Context, db *databasesql.DB) (tx *databasesql.Tx, end func(), err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, nil, err
	}
	if tx, err = conn.BeginTx(context.WithoutCancel(ctx), nil); err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return tx, func() {
		tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
		conn.Close()  //nolint:errcheck // the pool has it again
	}, nil
}

// commit writes a batch in one transaction.
func (s *Store) commit(ctx context.Context, batch []*pendingChange) (err error) {
	defer func() { s.distrustLog(err) }()
	if err := s.inPlace(); err != nil {
		return err
	}
	db := s.asyncDB
	if slices.ContainsFunc(batch, func(c *pendingChange) bool { return c.durable }) {
		db = s.syncDB
	}
	begun, end, err := begin(ctx, db)
	if err != nil {
		return registryFault(err)
	}
	defer end()
	tx := &transaction{begun, s.statements[db]}
	if err := s.trustLog(); err != nil {
		return registryFault(err)
	}
	if len(batch) == 1 {
		if err := batch[0].do(ctx, tx); err != nil {
			return registryFault(errors.Join(err, tx.Rollback()))
		}
	} else if err := withSavepoints(ctx, tx, batch); err != nil {
		return registryFault(err)
	}
	if err := s.syncDirs(batch); err != nil {
		return errors.Join(err, undo(batch))
	}
	if err := tx.Commit(); err != nil {
		return registryFault(err)
	}
	return s.inPlace() // replaced in the meantime: the commit went to a file that no other process reads
}

// undo removes the files that the batch's changes have placed, before its transaction is rolled back.
func undo(batch []*pendingChange) error {
	var faults []error
	for _, c := range batch {
		if c.undo != nil {
			faults = append(faults, c.undo())
		}
	}
	return errors.Join(faults...)
}

// withSavepoints makes each change within a savepoint, so that one can fail without the others. It returns errors of
// the transaction itself.
func withSavepoints(ctx context.Context, tx *transaction, batch []*pendingChange) error {
	for _, c := range batch {
		if _, err := tx.ExecContext(ctx, savepoint); err != nil {
			return err
		}
		end := release
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

// syncDirs makes the directory entries of the batch's files durable. It syncs all directories concurrently: a file
// system has one journal, so concurrent syncs share one write. If syncing a tenant's own directory fails, only that
// tenant's change fails with that error.
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
				err := s.files.SyncDir(dir)
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
				c.unsync, err = registryFault(why), errAbandoned // a rehearsal shows whether the fault is that tenant's
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
