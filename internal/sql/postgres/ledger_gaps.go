package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/internal/sql"
)

// Unregistered returns tenants that the ledger has as provisioned and the registry lacks, at most limit.
func (r *Reader) Unregistered(ctx context.Context, limit int) (found []sql.Unregistered, err error) {
	if !r.has.ledger {
		return nil, sql.ErrNoLedger
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	rows, err := r.pool.Query(ctx, r.q.Unregistered, limit)
	if err == nil {
		found, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (u sql.Unregistered, err error) {
			var key string
			err = row.Scan(&key, &u.TenantID, &u.Boundary, &u.Exists)
			u.Register = sql.RegisterSQL(r.q.RegisterAgain, key)
			return u, err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("compare registry and ledger: %w", r.explainPrivilege(err))
	}
	return found, nil
}

// CountForeign returns the number of registered tenants that no request has provisioned.
func (r *Reader) CountForeign(ctx context.Context) (n int, err error) {
	if !r.has.ledger {
		return 0, sql.ErrNoLedger
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := r.pool.QueryRow(ctx, r.q.CountForeign).Scan(&n); err != nil {
		return 0, fmt.Errorf("compare registry and ledger: %w", r.explainPrivilege(err))
	}
	return n, nil
}

// CaseVariant is a schema whose name differs from that of a tenant's only in case.
type CaseVariant struct {
	TenantID, TenantSchema string
	Schema                 string
	Owner                  string // the tenant that Schema is registered for; empty: none
}

// CaseVariants returns such schemas, at most limit.
func (r *Reader) CaseVariants(ctx context.Context, limit int) ([]CaseVariant, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	rows, err := r.pool.Query(ctx, r.q.CaseVariantSchemas, limit)
	if err != nil {
		return nil, fmt.Errorf("read the registry: %w", sharedFault(err))
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[CaseVariant])
	if err != nil {
		return nil, fmt.Errorf("read the registry: %w", sharedFault(err))
	}
	return found, nil
}
