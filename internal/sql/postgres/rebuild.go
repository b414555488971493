package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// rebuildExpressions creates the registry's index, checks and defaults again if one of them calls code outside
// pg_catalog. An earlier version created them by the search_path of its session, so that they can contain a function or
// an operator of another role, which would run as the service.
func (s *Store) rebuildExpressions(ctx context.Context) error {
	rows, err := s.pool.Query(ctx, s.q.ForeignExpressions, s.registry)
	if err != nil {
		return err
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(found) == 0 {
		return err
	}
	if _, err := s.pool.Exec(ctx, s.q.RebuildExpressions); err != nil {
		return fmt.Errorf("rebuild what uses code outside pg_catalog (%s): %w", found[0], err)
	}
	for _, what := range found {
		s.log.WarnContext(ctx, "rebuilt an object of the registry that used code outside pg_catalog", "object", what)
	}
	return nil
}
