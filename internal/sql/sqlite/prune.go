package sqlite

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Prune implements [database.Store]. Its commit is asynchronous: what is lost of it is pruned again.
func (s *Store) Prune(
	ctx context.Context, from, before time.Time, limit int,
) (pruned int, last time.Time, err error) {
	var created []string
	err = s.write(ctx, &pendingChange{do: func(ctx context.Context, tx *transaction) (err error) {
		if _, err := tx.ExecContext(ctx, q.SetPruned, formatTime(before)); err != nil {
			return err
		}
		created, err = collect(ctx, tx, q.Prune, func(row scanner) (at string, err error) {
			err = row.Scan(&at)
			return at, err
		}, formatTime(before), limit, formatTime(from))
		return err
	}})
	if err != nil {
		return 0, from, fmt.Errorf("prune the ledger: %w", err)
	}
	last = from
	if len(created) > 0 {
		// One that is not a time was not written by this program: the next batch begins at the same place again.
		if at, err := time.Parse(time.DateTime, slices.Max(created)); err == nil {
			last = at
		}
	}
	return len(created), last, nil
}
