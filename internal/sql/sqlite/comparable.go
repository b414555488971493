package sqlite

import (
	"context"
	databasesql "database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

// Stamp reads the registry's id, whether the streams have it, and the checkpoint. From then on the store uses that id,
// which another process may have changed, and takes an earlier checkpoint for a restore. SQLite cannot distinguish a
// copy of a file from the file.
func (s *Store) Stamp(ctx context.Context) (stamp sql.Stamp, err error) {
	err = s.readDB.QueryRowContext(ctx, q.StampState).Scan(stampTargets(&stamp)...)
	if err == nil {
		err = s.inPlace()
	}
	if err != nil {
		return sql.Stamp{}, fmt.Errorf("read the registry's id: %w", registryFault(err))
	}
	s.registryID.Store(&stamp.ID)
	s.checkpoint.Store(&stamp.Checkpoint)
	stamp.Bound = stamp.Streams
	return stamp, nil
}

// Stamp reads the registry's id, and whether the streams have it. A registry of an earlier version has neither, or an
// id that the streams do not have.
func (r *Reader) Stamp(ctx context.Context) (stamp sql.Stamp, err error) {
	if !r.stamped {
		return sql.Stamp{}, nil
	}
	err = r.read(ctx, "registry's id", func(tx *databasesql.Tx) error {
		if !r.latest {
			return tx.QueryRowContext(ctx, q.Stamp).Scan(&stamp.ID)
		}
		return tx.QueryRowContext(ctx, q.StampState).Scan(stampTargets(&stamp)...)
	})
	stamp.Bound = stamp.Streams
	return stamp, err
}

// stampTargets are what stamp_state.sql is scanned into.
func stampTargets(stamp *sql.Stamp) []any {
	return append([]any{&stamp.ID, &stamp.Streams}, stamp.Times()...)
}

// SetCheckpoint implements [database.Recovery]. Its commit is asynchronous: one that is lost takes the checkpoint back,
// and a durable commit after it makes it durable too.
func (s *Store) SetCheckpoint(ctx context.Context, from, to sql.Checkpoint) (moved bool, err error) {
	err = s.write(ctx, &pendingChange{do: func(ctx context.Context, tx *transaction) error {
		result, err := tx.ExecContext(ctx, q.SetCheckpoint, append(from.Columns(), to.Columns()...)...)
		if err != nil {
			return err
		}
		rows, err := result.RowsAffected()
		moved = rows == 1
		return err
	}})
	if err != nil {
		return false, fmt.Errorf("record the checkpoint: %w", err)
	}
	if moved {
		s.checkpoint.Store(&to)
	}
	return moved, nil
}

// Entry returns the ledger's entry of the request with that key, or [sql.ErrNotFound].
func (s *Store) Entry(ctx context.Context, key string) (e sql.LedgerEntry, err error) {
	err = e.Scan(s.readDB.QueryRowContext(ctx, q.Entry, key))
	missing := errors.Is(err, databasesql.ErrNoRows)
	if err == nil || missing {
		err = s.inPlace()
	}
	switch {
	case err != nil:
		return e, fmt.Errorf("read the ledger: %w", registryFault(err))
	case missing:
		return e, fmt.Errorf("read the ledger: %w", sql.ErrNotFound)
	}
	return e, nil
}

// Entry returns the ledger's entry of the request with that key, or [sql.ErrNotFound].
func (r *Reader) Entry(ctx context.Context, key string) (e sql.LedgerEntry, err error) {
	if !r.latest {
		return e, sql.ErrNoLedger
	}
	err = r.read(ctx, "ledger", func(tx *databasesql.Tx) error {
		return e.Scan(tx.QueryRowContext(ctx, q.Entry, key))
	})
	return e, err
}

// Entries returns at most limit entries of the ledger with a key above after, in the order of their keys.
func (r *Reader) Entries(ctx context.Context, after string, limit int) (page []sql.LedgerEntry, err error) {
	if !r.latest {
		return nil, sql.ErrNoLedger
	}
	err = r.read(ctx, "ledger", func(tx *databasesql.Tx) (err error) {
		page, err = collect(ctx, tx, q.Entries, scanEntry, after, limit)
		return err
	})
	return page, err
}

func scanEntry(row scanner) (e sql.LedgerEntry, err error) {
	err = e.Scan(row)
	return e, err
}

// IsAccepted reports whether an operator has accepted that the ledger lacks the outcome with that id.
func (s *Store) IsAccepted(ctx context.Context, outcomeID string) (accepted bool, err error) {
	err = s.readDB.QueryRowContext(ctx, q.IsAccepted, pipeline.Storable(outcomeID)).Scan(&accepted)
	if err == nil {
		err = s.inPlace()
	}
	if err != nil {
		return false, fmt.Errorf("read the accepted outcomes: %w", registryFault(err))
	}
	return accepted, nil
}

// IsAccepted reports whether an operator has accepted that the ledger lacks the outcome with that id.
func (r *Reader) IsAccepted(ctx context.Context, outcomeID string) (accepted bool, err error) {
	if !r.latest {
		return false, nil
	}
	err = r.read(ctx, "accepted outcomes", func(tx *databasesql.Tx) error {
		return tx.QueryRowContext(ctx, q.IsAccepted, pipeline.Storable(outcomeID)).Scan(&accepted)
	})
	return accepted, err
}

// Accept records outcomes that cannot be restored, in one commit. Those that are recorded already stay.
func (s *Store) Accept(ctx context.Context, outcomes []sql.AcceptedOutcome) error {
	err := s.write(ctx, &pendingChange{durable: true, do: func(ctx context.Context, tx *transaction) error {
		for _, o := range outcomes {
			if _, err := tx.ExecContext(ctx, q.Accept, pipeline.Storable(o.OutcomeID), o.Key,
				pipeline.Storable(o.TenantID), pipeline.Storable(o.Reason)); err != nil {
				return err
			}
		}
		return nil
	}})
	if err != nil {
		return fmt.Errorf("record the accepted outcomes: %w", err)
	}
	return nil
}

// Boundaries returns the paths of all files that the template of names can have given, in the form of
// [pipeline.Boundary]. The registry's file is not among them.
func (r *Reader) Boundaries(ctx context.Context) ([]string, error) {
	paths, err := boundariesBelow(ctx, r.root, r.names)
	if err != nil {
		return nil, fmt.Errorf("list the files of tenants in %s: %w", r.root, classify(err))
	}
	return paths, nil
}

// boundariesBelow lists the files below a directory that the template can have given. It opens none of them, and
// ignores what disappears while it lists. The registry's is not among them: its id is reserved.
func boundariesBelow(ctx context.Context, root string, names sql.PathTemplate) ([]string, error) {
	paths := []string{root}
	for _, part := range names.Parts() {
		var next []string
		for _, dir := range paths {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			found, err := namesIn(dir, part)
			if err != nil {
				return nil, err
			}
			for _, name := range found {
				next = append(next, filepath.Join(dir, name))
			}
		}
		paths = next
	}
	var failed error
	paths = slices.DeleteFunc(paths, func(path string) bool {
		info, err := os.Lstat(path)
		failed = errors.Join(failed, ignoreMissing(err))
		return err != nil || !info.Mode().IsRegular()
	})
	return paths, failed
}

// namesIn returns the names in the directory that a component of the template can have given. One without a placeholder
// is not looked up.
func namesIn(dir, part string) (found []string, err error) {
	if !strings.Contains(part, sql.Placeholder) {
		return []string{part}, nil
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if sql.PartGives(part, e.Name()) {
			found = append(found, e.Name())
		}
	}
	return found, ignoreMissing(err)
}
