package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Prune implements [database.Store]. Its commit is asynchronous: what is lost of it is pruned again.
func (s *Store) Prune(
	ctx context.Context, from, before time.Time, limit int,
) (pruned int, last time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	batch := &pgx.Batch{}
	batch.Queue(s.q.AsyncCommit)
	batch.Queue(s.q.Prune, before.UTC(), limit, from.UTC()).QueryRow(func(row pgx.Row) error {
		return row.Scan(&pruned, &last)
	})
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		return 0, from, fmt.Errorf("prune the ledger: %w", withMissingPrivilege(s.ledgerFault(err),
			"DELETE on tenant_requests, and UPDATE on registry_stamp, in schema "+s.registry))
	}
	return pruned, last, nil
}
