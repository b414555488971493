package postgres

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/tenant-provisioner/internal/sql"
)

// lacksRegistry reports whether this database has no registry in the configured schema, not even one of DocEX. foreign
// are then the boundaries of registries that are not in this database. It fails if the schema belongs to another one.
func (s *Store) lacksRegistry(ctx context.Context) (lacks bool, foreign []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return false, nil, connectFault(err)
	}
	defer conn.Release()
	if has, err := s.q.readParts(ctx, conn, s.registry); err != nil || has.registry {
		return false, nil, sharedFault(err)
	}
	if err := s.requireFree(ctx, conn); err != nil {
		return true, nil, sharedFault(err)
	}
	foreign, err = s.foreignBoundaries(ctx, conn)
	return true, foreign, sharedFault(err)
}

// foreignBoundaries returns schemas that carry the stamp of a registry that is not in this database, at most
// [sql.MaxForeign]. A registry in this database whose own schema carries no stamp is recognized by what it has
// registered, if this role may read it. Prepared boundaries are no tenant's.
func (s *Store) foreignBoundaries(ctx context.Context, conn *pgxpool.Conn) ([]string, error) {
	var others []otherRegistry
	stamped := map[string]string{} // the comments by schema
	batch := &pgx.Batch{}
	batch.Queue(s.q.Registries, s.registry).Query(func(rows pgx.Rows) (err error) {
		others, err = pgx.CollectRows(rows, pgx.RowToStructByPos[otherRegistry])
		return err
	})
	batch.Queue(s.q.StampedSchemas, stampPrefix, true, nil).Query(func(rows pgx.Rows) error {
		var schema, comment string
		_, err := pgx.ForEachRow(rows, []any{&schema, &comment}, func() error {
			stamped[schema] = comment
			return nil
		})
		return err
	})
	if err := conn.SendBatch(ctx, batch).Close(); err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, other := range others {
		if id := stampOf(other.Comment); id != "" {
			known[id] = true
		}
	}
	var foreign []string
	for schema, comment := range stamped {
		id := stampOf(comment)
		if id != "" && !known[id] && schema != s.registry && !strings.HasPrefix(schema, sql.PreparedPrefix) {
			foreign = append(foreign, schema)
		}
	}
	foreign, err := s.unregistered(ctx, conn, others, foreign)
	slices.Sort(foreign)
	return foreign[:min(len(foreign), sql.MaxForeign)], err
}

// unregistered returns those of the schemas that no unstamped registry in this database has registered.
func (s *Store) unregistered(
	ctx context.Context, conn *pgxpool.Conn, others []otherRegistry, schemas []string,
) ([]string, error) {
	for _, other := range others {
		if stampOf(other.Comment) != "" || !other.Readable || len(schemas) == 0 {
			continue
		}
		rows, err := conn.Query(ctx, render(s.q.RegisteredSchemas, "neighbour", other.Schema), schemas)
		if err != nil {
			return nil, err
		}
		registered, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return nil, err
		}
		schemas = slices.DeleteFunc(schemas, func(name string) bool { return slices.Contains(registered, name) })
	}
	return schemas, nil
}

// createRegistry creates the registry in the caller's transaction. [Store.migrate] does it in several, under a lock.
func (s *Store) createRegistry(ctx context.Context, conn *pgxpool.Conn, createdBy string) error {
	if err := s.createRegistrySchema(ctx, conn); err != nil {
		return err
	}
	err := sendEach(ctx, conn.Conn(), sql.Statements(s.q.CreateMigrations)...)
	for i, statements := range s.migrations(createdBy) {
		if err == nil {
			err = s.runMigration(ctx, conn, i+1, statements)
		}
	}
	if err == nil {
		_, err = s.finishRegistry(ctx, conn)
	}
	return withMissingPrivilege(sharedFault(err), s.rightsToMigrate())
}

// createStamp returns the statements that give a registry the configured id if it is created now, by this replica. A
// registry that exists gets a random id later, if it has none.
func (s *Store) createStamp() []sql.Statement {
	if s.own() {
		return s.recordBase()
	}
	if s.newID == "" {
		return nil
	}
	exists := &sql.Statement{Text: s.q.HasRelation, Args: []any{s.registry, "tenant_registry"}}
	return []sql.Statement{
		{Text: messages(s.q.migrations.Stamp)[0].Text, Unless: exists},
		{Text: s.q.CreateStamp, Args: []any{s.newID}, Unless: exists},
	}
}
