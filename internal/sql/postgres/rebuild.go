package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/tenant-provisioner/internal/sql"
)

// foreignExpressions describes the registry's index, checks and defaults that call code outside pg_catalog. An earlier
// version created them by the search_path of its session, so that they can contain a function or an operator of another
// role, which would run as the service.
func (s *Store) foreignExpressions(ctx context.Context, conn *pgxpool.Conn) ([]string, error) {
	rows, err := conn.Query(ctx, s.q.ForeignExpressions, s.registry)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// rebuildExpressions creates these objects again, within the transaction of the migration, and returns them.
func (s *Store) rebuildExpressions(ctx context.Context, conn *pgxpool.Conn) (found []string, err error) {
	if found, err = s.foreignExpressions(ctx, conn); err != nil || len(found) == 0 {
		return nil, err
	}
	if err := sendEach(ctx, conn.Conn(), sql.Statements(s.q.RebuildExpressions)...); err != nil {
		return nil, fmt.Errorf("rebuild what uses code outside pg_catalog (%s): %w", found[0], err)
	}
	return found, nil
}
