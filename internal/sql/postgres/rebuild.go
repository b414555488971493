package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
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

// rebuildExpressions creates these objects again, within the transaction of the migration.
func (s *Store) rebuildExpressions(ctx context.Context, conn *pgxpool.Conn) error {
	found, err := s.foreignExpressions(ctx, conn)
	if err != nil || len(found) == 0 {
		return err
	}
	if _, err := conn.Exec(ctx, s.q.RebuildExpressions); err != nil {
		return fmt.Errorf("rebuild what uses code outside pg_catalog (%s): %w", found[0], err)
	}
	for _, what := range found {
		s.log.WarnContext(ctx, "rebuilding an object of the registry that used code outside pg_catalog", "object", what)
	}
	return nil
}
