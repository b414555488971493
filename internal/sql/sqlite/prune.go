package sqlite

import (
	"context"
	databasesql "database/sql"
	"fmt"
	"time"
)

// Prune implements [database.Store]. Its commit is asynchronous: what is lost of it is pruned again.
func (s *Store) Prune(ctx context.Context, before time.Time, limit int) (pruned int, err error) {
	var rows int64
	err = s.write(ctx, &pendingChange{do: func(ctx context.Context, tx *databasesql.Tx) error {
		if _, err := tx.ExecContext(ctx, q.SetPruned, formatTime(before)); err != nil {
			return err
		}
		result, err := tx.ExecContext(ctx, q.Prune, formatTime(before), limit)
		if err != nil {
			return err
		}
		rows, err = result.RowsAffected()
		return err
	}})
	if err != nil {
		return 0, fmt.Errorf("prune the ledger: %w", err)
	}
	return int(rows), nil
}
