package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/internal/sql"
)

// AppliedScripts returns the initialisation scripts that registered tenants have.
func (s *Store) AppliedScripts(ctx context.Context) ([]sql.AppliedScript, error) {
	all, err := s.q.appliedScripts(ctx, s.pool)
	if err != nil {
		return nil, fmt.Errorf("read the applied scripts: %w", withMissingPrivilege(s.registryFault(err),
			"SELECT on applied_scripts in schema "+s.registry))
	}
	return all, nil
}

// AppliedScripts returns the initialisation scripts that registered tenants have. A registry of an earlier version has
// recorded none.
func (r *Reader) AppliedScripts(ctx context.Context) ([]sql.AppliedScript, error) {
	if !r.has.scripted {
		return nil, nil
	}
	all, err := r.q.appliedScripts(ctx, r.pool)
	if err != nil {
		return nil, fmt.Errorf("read the applied scripts: %w", r.explainPrivilege(err))
	}
	return all, nil
}

func (q queries) appliedScripts(ctx context.Context, db querier) ([]sql.AppliedScript, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	rows, err := db.Query(ctx, q.AppliedScripts)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (a sql.AppliedScript, err error) {
		err = a.Scan(row)
		return a, err
	})
}
