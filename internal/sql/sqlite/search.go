package sqlite

import (
	"context"
	databasesql "database/sql"
	"errors"
	"fmt"

	"example.com/tenant-provisioner/internal/sql"
)

// Tenant is [Reader.Tenant] in the process that has the registry open.
func (s *Store) Tenant(ctx context.Context, id string) (t sql.TenantRow, err error) {
	err = t.Scan(s.readDB.QueryRowContext(ctx, q.Tenant, id))
	missing := errors.Is(err, databasesql.ErrNoRows)
	if err == nil || missing {
		err = s.inPlace()
	}
	switch {
	case err != nil:
		return t, fmt.Errorf("read the registry: %w", registryFault(err))
	case missing:
		return t, fmt.Errorf("read the registry: %w", sql.ErrNotFound)
	}
	return t, nil
}

// Requests is [Reader.Requests] in the process that has the registry open.
func (s *Store) Requests(ctx context.Context, f sql.RequestFilter, limit int) ([]sql.RequestRecord, error) {
	all, err := readRequests(ctx, s.readDB, f, limit)
	if err == nil {
		err = s.inPlace()
	}
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", registryFault(err))
	}
	return all, nil
}

func readRequests(ctx context.Context, from querier, f sql.RequestFilter, limit int) ([]sql.RequestRecord, error) {
	since, before := f.Bounds()
	return collect(ctx, from, q.Records, func(row scanner) (rec sql.RequestRecord, err error) {
		err = rec.Scan(row)
		return rec, err
	}, f.TenantID, f.State, f.Source, f.Cause, formatTime(since), formatTime(before), f.Last.Key, limit)
}
