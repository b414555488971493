package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/internal/sql"
)

// ErrNoPool says that the registry is of a version that prepared no boundaries.
var ErrNoPool = errors.New("the registry has no pool of prepared boundaries: start the service once, which migrates it")

// PreparedBoundary is one that is in the pool, or a schema that has the name of one and is nobody's.
type PreparedBoundary struct {
	Schema  string
	Pooled  bool   // it is in the pool
	Current bool   // in the pool, and of this program's definition
	Exists  bool   // its schema is there
	Holds   bool   // something in it has pages, and so may have rows, or is a foreign table
	Owner   string // whose the schema is, if the role of this session cannot act for them and could create schemas
	// Remove is the SQL that removes it. The schema of one that holds something is not dropped by it; empty: there is
	// nothing to remove then.
	Remove string
}

// Prepared lists the prepared boundaries, ready or not, by name.
func (r *Reader) Prepared(ctx context.Context) ([]PreparedBoundary, error) {
	if !r.pooled {
		return nil, ErrNoPool
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	rows, err := r.pool.Query(ctx, r.q.preparedBoundaries, r.q.definition(), sql.PreparedPrefix)
	if err != nil {
		return nil, fmt.Errorf("read the pool of prepared boundaries: %w", r.lacking(err))
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (b PreparedBoundary, err error) {
		err = row.Scan(&b.Schema, &b.Pooled, &b.Current, &b.Exists, &b.Holds, &b.Owner)
		b.Remove = removal(r.registry, b)
		return b, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the pool of prepared boundaries: %w", r.lacking(err))
	}
	return all, nil
}

// removal is the SQL that removes a boundary, for people to run. The row goes first: a replica that is about to
// take the boundary passes over it from then on, or has it already, and then the schema of that name is gone.
func removal(registry string, b PreparedBoundary) string {
	forget := "DELETE FROM " + quote(registry, "prepared_boundaries") + " WHERE schema_name = " + literal(b.Schema) + ";"
	drop := "DROP SCHEMA " + quote(b.Schema) + " CASCADE;"
	switch {
	case b.Pooled && b.Exists && !b.Holds:
		return "BEGIN; " + forget + " " + drop + " COMMIT;"
	case b.Pooled:
		return forget
	case b.Holds:
		return ""
	}
	return drop
}
