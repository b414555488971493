package sqlite

import (
	"context"
	databasesql "database/sql"
	"os"

	"example.com/tenant-provisioner/internal/sql"
)

// Unregistered returns tenants that the ledger has as provisioned and the registry lacks, at most limit. A relative
// path starts in the working directory of the service; if it leads nowhere from here, the template's path is tried.
func (r *Reader) Unregistered(ctx context.Context, limit int) (found []sql.Unregistered, err error) {
	if !r.ledger {
		return nil, sql.ErrNoLedger
	}
	err = r.read(ctx, "ledger", func(tx *databasesql.Tx) (err error) {
		found, err = collect(ctx, tx, q.Unregistered, func(row scanner) (u sql.Unregistered, err error) {
			var key, updated string
			err = row.Scan(&key, &u.TenantID, &u.Boundary, &updated)
			u.Register = sql.RegisterSQL(q.RegisterAgain, key)
			return u, err
		}, limit)
		return err
	})
	for i, u := range found {
		_, errRecorded := os.Stat(u.Boundary)
		_, errExpected := os.Stat(r.path(u.TenantID))
		found[i].Exists = errRecorded == nil || errExpected == nil
	}
	return found, err
}

// CountForeign returns the number of registered tenants that no request has provisioned.
func (r *Reader) CountForeign(ctx context.Context) (n int, err error) {
	if !r.ledger {
		return 0, sql.ErrNoLedger
	}
	err = r.read(ctx, "ledger", func(tx *databasesql.Tx) error {
		return tx.QueryRowContext(ctx, q.CountForeign).Scan(&n)
	})
	return n, err
}
