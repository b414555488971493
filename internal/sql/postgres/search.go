package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

// Tenant is [Reader.Tenant] on a connection for work.
func (s *Store) Tenant(ctx context.Context, id string) (sql.TenantRow, error) {
	t, err := s.q.readTenant(ctx, s.pool, id)
	if errors.Is(err, pgx.ErrNoRows) {
		err = sql.ErrNotFound
	} else {
		err = s.ledgerFault(err)
	}
	if err != nil {
		return t, fmt.Errorf("read the registry: %w", err)
	}
	return t, nil
}

// Requests is [Reader.Requests] on a connection for work.
func (s *Store) Requests(ctx context.Context, f sql.RequestFilter, limit int) ([]sql.RequestRecord, error) {
	all, err := s.q.readRequests(ctx, s.pool, f, limit)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", s.ledgerFault(err))
	}
	return all, nil
}

func (q queries) readTenant(ctx context.Context, db querier, id string) (t sql.TenantRow, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err = t.Scan(db.QueryRow(ctx, q.Tenant, id))
	return t, err
}

func (q queries) readRequests(
	ctx context.Context, db querier, f sql.RequestFilter, limit int,
) ([]sql.RequestRecord, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	since, before := f.Bounds()
	rows, err := db.Query(ctx, q.Records, pipeline.Storable(f.TenantID), f.State, pipeline.Storable(f.Source), f.Cause,
		since, before, f.Last.Key, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (rec sql.RequestRecord, err error) {
		err = rec.Scan(row)
		return rec, err
	})
}
