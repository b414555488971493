package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/internal/sql"
)

// Twins returns pairs of registered ids that differ only in case, at most limit.
func (r *Reader) Twins(ctx context.Context, limit int) ([][2]string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	rows, err := r.pool.Query(ctx, r.q.CaseVariants, limit)
	if err != nil {
		return nil, fmt.Errorf("read the registry: %w", sharedFault(err))
	}
	pairs, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p [2]string, err error) {
		err = row.Scan(&p[0], &p[1])
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the registry: %w", sharedFault(err))
	}
	return pairs, nil
}

// Misplaced returns the tenants of a page of the registry whose boundary is not where DocEX looks, or is registered for
// another tenant.
func (r *Reader) Misplaced(ctx context.Context, page []sql.TenantRow) (found []sql.Misplaced, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	names := make([]string, len(page))
	for i, t := range page {
		names[i] = r.expected(t)
	}
	rows, err := r.pool.Query(ctx, r.q.BoundaryOwners, names)
	if err != nil {
		return nil, fmt.Errorf("read the registry: %w", sharedFault(err))
	}
	owners := map[string]string{}
	var schema, id string
	_, err = pgx.ForEachRow(rows, []any{&schema, &id}, func() error {
		owners[schema] = id
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the registry: %w", sharedFault(err))
	}
	for i, t := range page {
		m := sql.Misplaced{TenantID: t.ID, RegisteredAs: t.Boundary.SchemaName, Expected: names[i]}
		if owner := owners[names[i]]; owner != t.ID {
			m.Owner = owner
		}
		if m.Owner != "" || m.RegisteredAs != "" && m.RegisteredAs != m.Expected {
			found = append(found, m)
		}
	}
	return found, nil
}
