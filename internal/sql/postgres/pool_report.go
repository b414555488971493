package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"example.com/tenant-provisioner/internal/sql"
)

// ErrNoPool means that an earlier version, which prepared no boundaries, created the registry.
var ErrNoPool = errors.New("the registry has no pool of prepared boundaries: start the service once, which migrates it")

// PreparedBoundary is a boundary in the pool, or an unregistered schema with the name of one.
type PreparedBoundary struct {
	Schema  string
	Pooled  bool   // it is in the pool
	Current bool   // in the pool, with this program's definition
	Exists  bool   // its schema exists
	Holds   bool   // a relation in it that must be empty holds rows, or is a foreign table
	Unsure  bool   // it is not in the pool, but may be in another registry's in this database
	Owner   string // the schema's owner, if this role is not a member of it and may create schemas
	// Remove is the SQL that removes it. The SQL does not drop a schema that may hold rows or be another registry's;
	// empty: there is nothing to remove.
	Remove string
}

// Prepared lists the prepared boundaries by name, ready or not. It omits those that carry the stamp of another registry
// in this database.
func (r *Reader) Prepared(ctx context.Context) ([]PreparedBoundary, error) {
	if !r.has.pooled {
		return nil, ErrNoPool
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	own, alone, err := r.surroundings(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the registries in this database: %w", r.explainPrivilege(err))
	}
	rows, err := r.pool.Query(ctx, r.q.PreparedBoundaries, r.definition, sql.PreparedPrefix, r.emptyRelations)
	if err != nil {
		return nil, fmt.Errorf("read the pool of prepared boundaries: %w", r.explainPrivilege(err))
	}
	var all []PreparedBoundary
	var b PreparedBoundary
	var comment string
	fields := []any{&b.Schema, &b.Pooled, &b.Current, &b.Exists, &b.Holds, &b.Owner, &comment}
	_, err = pgx.ForEachRow(rows, fields, func() error {
		stamp := stampOf(comment)
		if !b.Pooled && !alone && own != "" && stamp != "" && stamp != own {
			return nil
		}
		b.Unsure = !b.Pooled && (stamp == "" || own == "") && !alone
		all = append(all, b)
		return nil
	})
	if err == nil {
		err = r.checkRows(ctx, all)
	}
	if err != nil {
		return nil, fmt.Errorf("read the pool of prepared boundaries: %w", r.explainPrivilege(err))
	}
	for i, b := range all {
		all[i].Remove = removal(r.registry, b)
	}
	return all, nil
}

// checkRows sets Holds to whether the boundaries hold rows. Only one that has pages may, except on Citus. One that this
// role may not read may hold some.
func (r *Reader) checkRows(ctx context.Context, all []PreparedBoundary) error {
	citus, err := readCitusVersion(ctx, r.pool)
	if err != nil {
		return err
	}
	for i := range all {
		if !all[i].Exists || citus == "" && !all[i].Holds {
			continue
		}
		full, err := r.q.findRows(ctx, r.pool, all[i].Schema, false, func(found relation) bool {
			return r.emptyRelations == nil || slices.Contains(r.emptyRelations, found.Name)
		})
		denied := sqlState(err) == insufficientPrivilege
		if err != nil && !denied && sqlState(err) != undefinedTable { // a request has taken it
			return err
		}
		all[i].Holds = full != "" || denied
	}
	return nil
}

// surroundings reads the registry's id, empty if it cannot be read, and whether the registry is the only one in this
// database. A role without SELECT on the id reads it from the comment on the registry's schema.
func (r *Reader) surroundings(ctx context.Context) (own string, alone bool, err error) {
	if r.has.stamped {
		err = r.pool.QueryRow(ctx, r.q.Stamp).Scan(&own)
	}
	var server *pgconn.PgError
	if errors.As(err, &server) && server.Code == insufficientPrivilege || errors.Is(err, pgx.ErrNoRows) {
		var o ownership
		err = o.scan(r.pool.QueryRow(ctx, r.q.SchemaComment, r.registry))
		own = stampOf(o.comment)
	}
	if err != nil {
		return "", false, err
	}
	tag, err := r.pool.Exec(ctx, r.q.Registries, r.registry)
	return own, tag.RowsAffected() == 0, err
}

// removal returns the SQL that removes a boundary, for an operator to run. It deletes the row first. A replica about to
// take the boundary then skips it; if it has taken it already, no schema of that name exists any more.
func removal(registry string, b PreparedBoundary) string {
	forget := "DELETE FROM " + quote(registry, "prepared_boundaries") + " WHERE schema_name = " + literal(b.Schema) + ";"
	drop := "DROP SCHEMA " + quote(b.Schema) + " CASCADE;"
	switch {
	case b.Pooled && b.Exists && !b.Holds:
		return "BEGIN; " + forget + " " + drop + " COMMIT;"
	case b.Pooled:
		return forget
	case b.Holds, b.Unsure:
		return ""
	}
	return drop
}
