package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gofrs/flock"
	"github.com/pressly/goose/v3"
	driver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"example.com/tenant-provisioner/internal/sql"
)

// lockPoll is how often the migration lock is tried while another process holds it.
const lockPoll = 20 * time.Millisecond

// latestMigration is the version of the last migration.
const latestMigration = 10

// migrate migrates the registry. Processes that start at the same time are serialized by a lock of the operating
// system, which is released if its process dies.
func (s *Store) migrate(ctx context.Context, registry string) (err error) {
	lock := flock.New(registry + ".lock")
	if _, err := lock.TryLockContext(ctx, lockPoll); err != nil {
		return fmt.Errorf("wait for another process's migration: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()

	if err := s.checkBase(ctx, s.syncDB); err != nil { // another process may have created the registry
		return err
	}
	all := [latestMigration][]sql.Statement{
		append(s.createStamp(), sql.Statement{Text: migrations.Registry}, sql.Statement{Text: q.CheckRegistry}),
		s.bootstrap(registry),
		{{Text: migrations.History}},
		{{Text: migrations.Stamp}},
		{{Text: migrations.Restore}},
		{{Text: migrations.Checkpoint}},
		{{Text: migrations.Retention}},
		addPlans(),
		addScripts(),
		{{Text: migrations.Base, Unless: hasColumn("registry_stamp", "base_definition")}},
	}
	err = sql.Migrate(ctx, goose.DialectSQLite3, s.syncDB, sql.MigrationsTable, s.Log, all[:])
	if native, ok := errors.AsType[*driver.Error](err); ok && native.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE {
		err = sql.SharedBoundary(err, "tenant_registry")
	}
	if err != nil {
		return err
	}
	// A registry created by DocEX must still have the columns: its own migrations are not checked.
	if _, err = s.readDB.ExecContext(ctx, q.CheckRegistry); err != nil {
		return err
	}
	return s.readStamp(ctx)
}

// hasColumn is the query whether a table has a column: SQLite has no ADD COLUMN IF NOT EXISTS.
func hasColumn(table, column string) *sql.Statement {
	return &sql.Statement{Text: q.HasColumn, Args: []any{table, column}}
}

// addPlans returns the statements that add the columns of plans, one each. A registry that has lost the table of
// migrations has them.
func addPlans() (all []sql.Statement) {
	columns := []string{"plan", "plan_max_bytes", "plan_max_rows"}
	for i, statement := range sql.Statements(migrations.Plans) {
		all = append(all, sql.Statement{Text: statement, Unless: hasColumn("tenant_registry", columns[i])})
	}
	return all
}

// addScripts is addPlans for the column and the table of scripts.
func addScripts() (all []sql.Statement) {
	statements := sql.Statements(migrations.Scripts)
	all = append(all, sql.Statement{Text: statements[0], Unless: hasColumn("tenant_registry", "definition")})
	for _, statement := range statements[1:] {
		all = append(all, sql.Statement{Text: statement})
	}
	return all
}

// createStamp returns the statements that give a registry the configured id if it is created now. A registry that
// exists gets a random id later, if it has none.
func (s *Store) createStamp() []sql.Statement {
	if s.own() {
		return s.recordBase()
	}
	if s.Config.RegistryID == "" {
		return nil
	}
	exists := &sql.Statement{Text: q.HasRegistry}
	return []sql.Statement{
		{Text: sql.Statements(migrations.Stamp)[0], Unless: exists},
		{Text: q.CreateStamp, Args: []any{s.Config.RegistryID}, Unless: exists},
	}
}
