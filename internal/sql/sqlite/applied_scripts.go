package sqlite

import (
	"context"
	databasesql "database/sql"
	"fmt"

	"example.com/tenant-provisioner/internal/sql"
)

// AppliedScripts returns the initialisation scripts that registered tenants have.
func (s *Store) AppliedScripts(ctx context.Context) ([]sql.AppliedScript, error) {
	all, err := appliedScripts(ctx, s.readDB)
	if err != nil {
		return nil, fmt.Errorf("read the applied scripts: %w", registryFault(err))
	}
	return all, nil
}

// AppliedScripts returns the initialisation scripts that registered tenants have. A registry of an earlier version has
// recorded none.
func (r *Reader) AppliedScripts(ctx context.Context) (all []sql.AppliedScript, err error) {
	if !r.scripted {
		return nil, nil
	}
	err = r.read(ctx, "applied scripts", func(tx *databasesql.Tx) (err error) {
		all, err = appliedScripts(ctx, tx)
		return err
	})
	return all, err
}

func appliedScripts(ctx context.Context, from querier) ([]sql.AppliedScript, error) {
	return collect(ctx, from, q.AppliedScripts, func(row scanner) (a sql.AppliedScript, err error) {
		err = a.Scan(row)
		return a, err
	})
}
