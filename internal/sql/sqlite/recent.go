package sqlite

import (
	"context"
	databasesql "database/sql"

	"example.com/tenant-provisioner/internal/sql"
)

// Recent implements [database.ComparableReader].
func (r *Reader) Recent(ctx context.Context, limit int) (entries []sql.LedgerEntry, err error) {
	if !r.latest {
		return nil, sql.ErrNoLedger
	}
	err = r.read(ctx, "ledger", func(tx *databasesql.Tx) (err error) {
		entries, err = collect(ctx, tx, q.Recent, scanEntry, limit)
		return err
	})
	return entries, err
}
