package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/tenant-provisioner/internal/sql"
)

const (
	// migrationLockTimeout is how long a start waits for another replica's migration before it reports which session it
	// waits for, and tries again.
	migrationLockTimeout = 5 * time.Second
	// tableLockTimeout is how long a migration waits for transactions that use a table: later ones queue behind it.
	tableLockTimeout = time.Second
)

// migrate creates the registry's schema and migrates it, if anything is missing. Each migration is a transaction of its
// own, so a migration that fails loses nothing of those before it, and the next start continues after them. Each
// transaction holds an advisory lock, so replicas that start at the same time are serialized. If the process is frozen,
// the server ends the transaction, and with it the lock. A transaction waits only briefly for others, because later
// ones queue behind it: migrate then returns an outage that names them, and the caller tries again.
func (s *Store) migrate(ctx context.Context, createdBy string) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	return s.withStatements(ctx, conn, s.migrateOn(ctx, conn, createdBy))
}

func (s *Store) migrateOn(ctx context.Context, conn *pgxpool.Conn, createdBy string) error {
	if err := s.connector.config.checkBase(ctx, conn, s.q); err != nil {
		return withMissingPrivilege(sharedFault(err), s.rightsToMigrate())
	}
	pending, err := s.q.pendingMigrations(ctx, conn, s.registry)
	if err != nil {
		return withMissingPrivilege(sharedFault(err), s.rightsToMigrate())
	}
	if len(pending) == 0 {
		unstamped, err := s.checkRegistry(ctx, conn)
		if err != nil {
			return err
		}
		foreign, err := s.foreignExpressions(ctx, conn)
		if err != nil {
			return sharedFault(err)
		}
		if !unstamped && len(foreign) == 0 {
			return nil
		}
	}
	for done := false; err == nil && !done; {
		done, err = s.migrateOnce(ctx, conn, createdBy)
	}
	return err
}

// latestMigration is the version of the last migration.
const latestMigration = 13

// migrations are the migrations of the registry. Their versions are their positions, starting at 1.
func (s *Store) migrations(createdBy string) [latestMigration][]sql.Statement {
	return [latestMigration][]sql.Statement{
		slices.Concat(s.createStamp(), messages(s.q.migrations.Registry), messages(s.q.CheckRegistry)),
		s.bootstrap(createdBy),
		messages(s.q.migrations.History),
		messages(s.q.migrations.Prepared),
		messages(s.q.migrations.Stamp),
		messages(s.q.migrations.Dumps),
		messages(s.q.migrations.Restore),
		messages(s.q.migrations.Checkpoint),
		messages(s.q.migrations.Retention),
		messages(s.q.migrations.Plans),
		messages(s.q.migrations.Scripts),
		messages(s.q.migrations.Base),
		messages(s.q.migrations.Comparisons),
	}
}

// bootstrap returns the statements that create what is missing of the bootstrap tenant. DocEX's document has no
// related_po. What exists is left out: IF NOT EXISTS alone would require the ownership of the table.
func (s *Store) bootstrap(createdBy string) []sql.Statement {
	row := sql.Statement{Text: s.q.migrations.Bootstrap, Args: []any{s.registry, createdBy}}
	if s.own() {
		return []sql.Statement{row}
	}
	statements := append(messages(render(s.q.Tables, "schema", s.registry)), sql.Statement{
		Text:   render(sql.AddColumns(s.q.Tables, sql.RelatedPo), "schema", s.registry),
		Unless: &sql.Statement{Text: s.q.HasColumn, Args: []any{s.registry, sql.RelatedPo.Table, sql.RelatedPo.Column}},
	})
	for i, index := range sql.Statements(render(s.q.Indexes, "schema", s.registry)) {
		statements = append(statements, sql.Statement{
			Text:   index,
			Unless: &sql.Statement{Text: s.q.HasRelation, Args: []any{s.registry, sql.Indexes[i].Name}},
		})
	}
	return append(statements, row)
}

// messages makes each statement of a .sql file a message of its own.
func messages(text string) (all []sql.Statement) {
	for _, statement := range sql.Statements(text) {
		all = append(all, sql.Statement{Text: statement})
	}
	return all
}

// pendingMigrations returns the versions that have not run, of those up to latestMigration. Later ones are another
// version's.
func (q queries) pendingMigrations(ctx context.Context, on querier, registry string) (pending []int, err error) {
	var exists bool
	if err := on.QueryRow(ctx, q.HasRelation, registry, sql.MigrationsTable).Scan(&exists); err != nil {
		return nil, err
	}
	var applied []int
	if exists {
		rows, err := on.Query(ctx, q.AppliedMigrations)
		if err != nil {
			return nil, err
		}
		if applied, err = pgx.CollectRows(rows, pgx.RowTo[int]); err != nil {
			return nil, err
		}
	}
	for version := 1; version <= latestMigration; version++ {
		if !slices.Contains(applied, version) {
			pending = append(pending, version)
		}
	}
	return pending, nil
}

// migrateOnce runs the first pending migration in a transaction. If none is pending it finishes the registry instead,
// and is done.
func (s *Store) migrateOnce(
	ctx context.Context, conn *pgxpool.Conn, createdBy string,
) (done bool, err error) {
	locked, version, rebuilt, err := s.runNextMigration(ctx, conn, createdBy)
	if err == nil {
		_, err = conn.Exec(ctx, "COMMIT")
	}
	if err != nil {
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingTimeout)
		defer cancel()
		_, rollbackErr := conn.Exec(tidy, "ROLLBACK")
		if waitEnded(err) && rollbackErr == nil {
			return false, s.blockedMigration(ctx, conn, err, locked)
		}
		return false, err
	}
	if version > 0 {
		s.log.InfoContext(ctx, "registry migrated", "table", s.registry+"."+sql.MigrationsTable, "version", version)
	}
	for _, what := range rebuilt {
		s.log.WarnContext(ctx, "rebuilt an object of the registry that used code outside pg_catalog", "object", what)
	}
	return version == 0, nil
}

// runNextMigration does everything up to the commit. locked reports whether it got the lock. version is 0 if no
// migration was pending: then it finished the registry.
func (s *Store) runNextMigration(
	ctx context.Context, conn *pgxpool.Conn, createdBy string,
) (locked bool, version int, rebuilt []string, err error) {
	batch := &pgx.Batch{}
	batch.Queue("BEGIN")
	batch.Queue(s.q.BeginMigration, milliseconds(migrationLockTimeout), milliseconds(frozenTimeout))
	batch.Queue(s.q.MigrationLock, s.migrationKey())
	batch.Queue(s.q.LockTimeout, milliseconds(tableLockTimeout))
	s.queueLocalTables(batch)
	if err := conn.SendBatch(ctx, batch).Close(); err != nil {
		return false, 0, nil, fmt.Errorf("wait for another replica's migration: %w", err)
	}
	if err := s.createRegistrySchema(ctx, conn); err != nil {
		return true, 0, nil, err
	}
	if err := s.connector.config.checkBase(ctx, conn, s.q); err != nil { // another replica may have created the registry
		return true, 0, nil, withMissingPrivilege(sharedFault(err), s.rightsToMigrate())
	}
	pending, err := s.q.pendingMigrations(ctx, conn, s.registry)
	if err == nil && len(pending) == latestMigration {
		err = sendEach(ctx, conn.Conn(), sql.Statements(s.q.CreateMigrations)...)
	}
	if err == nil && len(pending) == 0 {
		rebuilt, err = s.finishRegistry(ctx, conn)
		return true, 0, rebuilt, err
	}
	if err == nil {
		version = pending[0]
		err = s.runMigration(ctx, conn, version, s.migrations(createdBy)[version-1])
	}
	return true, version, nil, withMissingPrivilege(sharedFault(err), s.rightsToMigrate())
}

// finishRegistry does what depends on all migrations.
func (s *Store) finishRegistry(ctx context.Context, conn *pgxpool.Conn) (rebuilt []string, err error) {
	if rebuilt, err = s.rebuildExpressions(ctx, conn); err != nil {
		return nil, withMissingPrivilege(sharedFault(err), s.rightsToMigrate())
	}
	unstamped, err := s.checkRegistry(ctx, conn)
	if err == nil && unstamped {
		_, err = conn.Exec(ctx, s.stampSQL(s.registry))
	}
	return rebuilt, err
}

func (s *Store) runMigration(ctx context.Context, conn *pgxpool.Conn, version int, statements []sql.Statement) error {
	for _, statement := range statements {
		if err := runStatement(ctx, conn, statement); err != nil {
			if sqlState(err) == uniqueViolation && version == 1 {
				err = sql.SharedBoundary(err, quote(s.registry, "tenant_registry"))
			}
			return fmt.Errorf("migration %d: %w", version, err)
		}
	}
	_, err := conn.Exec(ctx, s.q.RecordMigration, version)
	return err
}

// uniqueViolation is the SQLSTATE of a duplicate key.
const uniqueViolation = "23505"

func runStatement(ctx context.Context, conn *pgxpool.Conn, s sql.Statement) error {
	if s.Unless != nil {
		var done bool
		if err := conn.QueryRow(ctx, s.Unless.Text, s.Unless.Args...).Scan(&done); err != nil || done {
			return err
		}
	}
	_, err := conn.Exec(ctx, s.Text, s.Args...)
	return err
}

// checkRegistry fails if a registry created by DocEX lacks a column: its own migrations are not checked. It reads the
// registry's id, and reports whether the registry's schema has yet to be stamped with it.
func (s *Store) checkRegistry(ctx context.Context, conn *pgxpool.Conn) (unstamped bool, err error) {
	if _, err := conn.Exec(ctx, s.q.CheckRegistry); err != nil {
		return false, withMissingPrivilege(sharedFault(err), s.rightsToMigrate())
	}
	return s.readStamp(ctx, conn)
}

// migrationKey is the key of the lock of migrations.
func (s *Store) migrationKey() int64 { return lockKey("migration", s.registry) }

// waitEnded reports whether lock_timeout or statement_timeout ended a wait.
func waitEnded(err error) bool {
	var server *pgconn.PgError
	return errors.As(err, &server) && (server.Code == "55P03" || server.Code == "57014")
}

// createRegistrySchema creates the schema if it is missing. IF NOT EXISTS alone would require the privilege to create
// schemas.
func (s *Store) createRegistrySchema(ctx context.Context, conn *pgxpool.Conn) error {
	var exists bool
	if err := conn.QueryRow(ctx, s.q.SchemaExists, s.registry).Scan(&exists); err != nil {
		return err
	}
	if exists {
		return s.requireFree(ctx, conn)
	}
	_, err := conn.Exec(ctx, s.q.CreateRegistrySchema)
	return withMissingPrivilege(sharedFault(err),
		createPrivilege+", or create the schema with deploy/postgres/registry.sql")
}

// rightsToMigrate are the privileges needed to migrate a registry in a schema that another role owns.
func (s *Store) rightsToMigrate() string {
	return "USAGE and CREATE on schema " + s.registry + ", and make it the owner of the tables that are there already"
}
