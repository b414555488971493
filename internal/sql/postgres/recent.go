package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/internal/sql"
)

// Recent implements [database.ComparableReader].
func (r *Reader) Recent(ctx context.Context, limit int) ([]sql.LedgerEntry, error) {
	if !r.has.latest {
		return nil, sql.ErrNoLedger
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	rows, err := r.pool.Query(ctx, r.q.Recent, limit)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", r.explainPrivilege(err))
	}
	entries, err := pgx.CollectRows(rows, scanEntry)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", r.explainPrivilege(err))
	}
	return entries, nil
}
